// The gradient of the weights by Winograd's algorithm: at each position the transformed source
// pixels of all tiles, [tile][channel], times the transformed gradients, [tile][column], summed
// over the tiles; one transformation back at the end. For stride 1 F(3x3, 4x4), for stride 2 F(2x2,
// 4x4) of each phase (cpu/conv/winograd/winograd_strided.h).
#pragma once

#include "cpu/conv/vector/conv_window.h"
#include "cpu/conv/winograd/vector/phase_tiles.h"
#include "cpu/conv/winograd/vector/winograd_product.h"
#include "cpu/conv/winograd/vector/winograd_tiles.h"

namespace nnrt::NNC_ISA {

NNC_INLINE const WinogradWeightArguments& winograd_weight_arguments(const Call& call) {
  return *static_cast<const WinogradWeightArguments*>(call.arguments);
}

// Some tiles of a unit, for its block of source channels and its block of result channels.
struct WeightStage {
  int64_t first_tile, last_tile;  // of this stage
  int64_t part_begin, part_end;   // of the unit
  int64_t first_channel, channels;
  int64_t first_column, columns;
  int64_t split;
};

NNC_INLINE void set_tiles(const WinogradWeightArguments& winograd, WeightStage& stage,
                          int64_t first) {
  stage.first_tile = first;
  stage.last_tile = smaller(stage.part_end, first + winograd.cut.tile_block);
}

NNC_INLINE WeightStage first_weight_stage(const WinogradWeightArguments& winograd, int64_t unit) {
  const WinogradTiles& tiles = winograd.tiles;
  const WinogradWeightCut& cut = winograd.cut;
  // The blocks of one part vary fastest: they read the same pixels.
  WeightStage stage;
  stage.first_channel = unit % winograd.channel_blocks * cut.channel_block;
  stage.channels = smaller(cut.channel_block, tiles.source_channels - stage.first_channel);
  const int64_t rest = unit / winograd.channel_blocks;
  stage.first_column = rest % winograd.column_blocks * cut.column_block;
  stage.columns = smaller(cut.column_block, tiles.result_channels - stage.first_column);
  stage.split = rest / winograd.column_blocks;
  stage.part_begin = stage.split * winograd.split_tiles;
  stage.part_end = smaller(tiles.count, stage.part_begin + winograd.split_tiles);
  set_tiles(winograd, stage, stage.part_begin);
  return stage;
}

struct WeightMemory {
  const float* x;
  const float* dy;
  float* zeros;
  float* source;
  float* gradient;
  float* sums;
};

// What the strides differ in: positions, the phases at each, the transformations. A slice is the
// sums of a position and a phase that has it; slices(p) come before those of position p.
struct StrideOne {
  static constexpr int side = kSide;
  static constexpr int64_t span = 4;    // source pixels from tile to tile
  static constexpr int64_t margin = 2;  // rows and columns that the tile before has read
  static constexpr PhaseRange at(int) { return {0, 1}; }
  static constexpr int slices(int p) { return p; }
  NNC_INLINE static int64_t slice(const WinogradWeightArguments& winograd, int64_t) {
    return winograd.sum_position;
  }
  NNC_INLINE static void source(const WinogradTiles& tiles, const WeightMemory& memory,
                                const WeightStage& stage, const TransformedTiles& to) {
    transform_source(tiles, memory.x, stage.first_tile, stage.last_tile, stage.first_channel,
                     stage.channels, memory.zeros, to);
  }
  NNC_INLINE static void gradient(const WinogradTiles& tiles, const WeightMemory& memory,
                                  const WeightStage& stage, const TransformedTiles& to) {
    transform_gradient<GradientBySize::of, kSide, false>(tiles, memory.dy, stage.first_tile,
                                                         stage.last_tile, stage.first_column,
                                                         stage.columns, memory.zeros, to);
  }
  template <class Put>
  NNC_INLINE static void sums(const float* from, int64_t slice, Put store) {
    transform_square<WeightGradientTransform>(
        [&](int i, int j)
            __attribute__((always_inline)) { return Float::load(from + (i * kSide + j) * slice); },
        [&](int i, int j, Float value) __attribute__((always_inline)) { store(3 * i + j, value); });
  }
};

struct StrideTwo {
  static constexpr int side = kPhaseSide;
  static constexpr int64_t span = 8;
  static constexpr int64_t margin = 0;
  static constexpr PhaseRange at(int p) { return phases_at(p); }
  static constexpr int slices(int p) { return slices_before(p); }
  NNC_INLINE static int64_t slice(const WinogradWeightArguments& winograd, int64_t channels) {
    return channels * winograd.column_stride;
  }
  NNC_INLINE static void source(const WinogradTiles& tiles, const WeightMemory& memory,
                                const WeightStage& stage, const TransformedTiles& to) {
    transform_phases(tiles, memory.x, stage.first_tile, stage.last_tile, stage.first_channel,
                     stage.channels, memory.zeros, to);
  }
  NNC_INLINE static void gradient(const WinogradTiles& tiles, const WeightMemory& memory,
                                  const WeightStage& stage, const TransformedTiles& to) {
    transform_gradient<PhaseGradient, kPhaseSide, true>(tiles, memory.dy, stage.first_tile,
                                                        stage.last_tile, stage.first_column,
                                                        stage.columns, memory.zeros, to);
  }
  template <int Phase, class Put>
  NNC_INLINE static void phase_sums(const float* from, int64_t slice, Put store) {
    constexpr bool two_rows = phase_has_two_rows(Phase);
    constexpr bool two_columns = phase_has_two_columns(Phase);
    transform_square<PhaseWeightGradient<two_rows>, PhaseWeightGradient<two_columns>>(
        [&](int i, int j) __attribute__((always_inline)) {
          return Float::load(from + slice_of(Phase, i * kPhaseSide + j) * slice);
        },
        [&](int i, int j, Float value) __attribute__((always_inline)) {
          store(3 * (two_rows ? 2 * i : 1) + (two_columns ? 2 * j : 1), value);
        });
  }
  template <class Put>
  NNC_INLINE static void sums(const float* from, int64_t slice, Put store) {
    phase_sums<0>(from, slice, store);
    phase_sums<1>(from, slice, store);
    phase_sums<2>(from, slice, store);
    phase_sums<3>(from, slice, store);
  }
};

// sums[position][phase][channel][column] += source[position][tile][phase][channel] *
// gradient[position][tile][column] over the stage's tiles; meanwhile asks for the next stage's
// pixels.
template <class Stride>
void add_stage(const WinogradWeightArguments& winograd, const WeightMemory& memory,
               const WeightStage& stage, const WeightStage* next) {
  const WinogradTiles& tiles = winograd.tiles;
  PositionProduct product;
  product.a_row = 1;
  product.a_step = winograd.channel_stride;
  product.b_step = winograd.column_stride;
  product.c_row = winograd.column_stride;
  product.accumulate = stage.first_tile > stage.part_begin;
  const WeightStage& after = next != nullptr ? *next : stage;
  PrefetchPixels source(tiles, memory.x, tiles.source_height, tiles.source_width,
                        tiles.source_channels, after.first_tile, after.last_tile, Stride::span);
  PrefetchPixels gradient(tiles, memory.dy, tiles.result_height, tiles.result_width,
                          tiles.result_channels, after.first_tile, after.last_tile);
  if (next != nullptr) {
    source.set_window(Stride::margin - tiles.pad_top, Stride::margin - tiles.pad_left,
                      next->first_channel, next->channels);
    gradient.set_window(0, 0, next->first_column, next->columns);
  }
  const TileOrder order(tiles, stage.first_tile, stage.last_tile);
  const int64_t slice = Stride::slice(winograd, stage.channels);
  for (int p = 0; p < Stride::side * Stride::side; ++p) {
    source.prefetch<0>(p, Stride::side * Stride::side);
    gradient.prefetch<0>(p, Stride::side * Stride::side);
    const TileOrder::Range range = order.at(p / Stride::side, p % Stride::side);
    const PhaseRange phases = Stride::at(p);
    product.depth = range.end - range.begin;
    product.rows = phases.count * stage.channels;
    const float* const pixels = memory.source + p * winograd.source_position +
                                range.begin * product.a_step + phases.first * stage.channels;
    const float* const gradients =
        memory.gradient + p * winograd.gradient_position + range.begin * product.b_step;
    for (int64_t n = 0; n < stage.columns; n += kPanel) {
      product.vectors = ceil_div(smaller(kPanel, stage.columns - n), kLanes);
      multiply_position(product, pixels, gradients + n,
                        memory.sums + Stride::slices(p) * slice + n);
    }
  }
}

// Sums of a block back to dw: [3][3][source channels][result channels].
template <class Stride>
void transform_sums(const WinogradWeightArguments& winograd, const float* sums,
                    const WeightStage& stage, float* dw) {
  const int64_t stride = winograd.tiles.result_channels;
  const int64_t tap_stride = winograd.tiles.source_channels * stride;
  const int64_t slice = Stride::slice(winograd, stage.channels);
  for (int64_t c = 0; c < stage.channels; ++c) {
    const float* from = sums + c * winograd.column_stride;
    float* to = dw + (stage.first_channel + c) * stride + stage.first_column;
    for (int64_t n = 0; n < stage.columns; n += kLanes) {
      const int64_t lanes = smaller(kLanes, stage.columns - n);
      Stride::sums(from + n, slice, [&](int tap, Float value) __attribute__((always_inline)) {
        float* at = to + tap * tap_stride + n;
        if (lanes == kLanes) {
          value.store(at);
        } else {
          value.store_partial(at, lanes);
        }
      });
    }
  }
}

// Unit: a block of source channels and one of result channels, of one part of the tiles.
template <class Stride>
void winograd_weight(const Call& call, int64_t begin, int64_t end) {
  const WinogradWeightArguments& winograd = winograd_weight_arguments(call);
  const WinogradTiles& tiles = winograd.tiles;
  const int64_t elements = 9 * tiles.source_channels * tiles.result_channels;
  auto scratch = [&](int64_t offset) {
    return reinterpret_cast<float*>(static_cast<char*>(call.scratch) + offset);
  };
  const WeightMemory memory = {static_cast<const float*>(call.operands[0]),
                               static_cast<const float*>(call.operands[1]),
                               scratch(winograd.zero_offset),
                               scratch(winograd.source_offset),
                               scratch(winograd.gradient_offset),
                               scratch(winograd.sum_offset)};
  if (begin == end) return;
  zero_floats(memory.zeros, round_up(larger(tiles.source_channels, tiles.result_channels), kLanes));
  WeightStage stage = first_weight_stage(winograd, begin);
  for (int64_t unit = begin; unit < end;) {
    const bool complete = stage.last_tile == stage.part_end;
    WeightStage next = stage;
    if (!complete) {
      set_tiles(winograd, next, stage.last_tile);
    } else if (++unit < end) {
      next = first_weight_stage(winograd, unit);
    }
    Stride::source(tiles, memory, stage,
                   {memory.source, winograd.channel_stride, winograd.source_position});
    Stride::gradient(tiles, memory, stage,
                     {memory.gradient, winograd.column_stride, winograd.gradient_position});
    add_stage<Stride>(winograd, memory, stage, unit < end ? &next : nullptr);
    if (complete) {
      float* dw = winograd.cut.splits == 1
                      ? static_cast<float*>(call.results[0])
                      : static_cast<float*>(call.workspace) + stage.split * elements;
      transform_sums<Stride>(winograd, memory.sums, stage, dw);
    }
    stage = next;
  }
}

// Unit: kCombineBlock elements of dw.
inline void winograd_weight_combine(const Call& call, int64_t begin, int64_t end) {
  const WinogradWeightArguments& winograd = winograd_weight_arguments(call);
  const int64_t elements = 9 * winograd.tiles.source_channels * winograd.tiles.result_channels;
  combine_parts(call, winograd.cut.splits, elements, begin, end);
}

}  // namespace nnrt::NNC_ISA
