// Winograd convolution of stride 2 on vectors, forward and the gradient of the data: transform the
// weights; then each unit transforms a block of tiles, multiplies it at the positions of each
// strip, transforms the products back and applies the epilogue.
#pragma once

#include "cpu/conv/winograd/vector/phase_tiles.h"
#include "cpu/conv/winograd/vector/winograd.h"
#include "cpu/conv/winograd/winograd_strided.h"

namespace nnrt::NNC_ISA {

NNC_INLINE const StridedArguments& strided_arguments(const Call& call) {
  return *static_cast<const StridedArguments*>(call.arguments);
}

// A strip: columns [first, first + width) of the result, in the gradient of the data of one phase.
struct PhaseStrip {
  int phase;
  int64_t first, width;
  int64_t weights;  // floats before its weights
  int64_t slices;   // matrices of weights, for each source channel
};

NNC_INLINE PhaseStrip phase_strip(const StridedArguments& strided, int64_t index) {
  const int64_t depth = strided.tiles.source_channels, columns = strided.tiles.result_channels;
  PhaseStrip strip;
  strip.phase = static_cast<int>(index / strided.phase_strips);
  strip.first = index % strided.phase_strips * kPanel;
  strip.width = smaller(kPanel, columns - strip.first);
  strip.slices = strided.backward ? phase_positions(strip.phase) : kSlices;
  int64_t before = 0;
  for (int phase = 0; phase < strip.phase; ++phase) before += phase_positions(phase);
  strip.weights = depth * (before * columns + strip.slices * strip.first);
  return strip;
}

// Transforms the taps of one phase, whose vectors `load(row, column)` gives for the tap of that
// row and column; `place(position)` is where the position goes.
template <int Phase, class Load, class Place>
NNC_INLINE void transform_phase_taps(bool reverse_rows, bool reverse_columns, Load load,
                                     Place place) {
  constexpr bool two_rows = phase_has_two_rows(Phase), two_columns = phase_has_two_columns(Phase);
  const auto tap = [](int i, bool two, bool reverse) __attribute__((always_inline)) {
    return two ? (reverse ? 2 - 2 * i : 2 * i) : 1;
  };
  transform_square<PhaseWeights<two_rows>, PhaseWeights<two_columns>>(
      [&](int i, int j) __attribute__((always_inline)) {
        return load(tap(i, two_rows, reverse_rows), tap(j, two_columns, reverse_columns));
      },
      [&](int i, int j, Float value)
          __attribute__((always_inline)) { put<kSharedPast>(value, place(i * kPhaseSide + j)); });
}

// w: [tap][depth][column]. Columns of a strip of depths [begin, end), which lie in one block of
// channels: to [position][phase][depth][column].
inline void strided_forward_weights(const StridedArguments& strided, const float* w,
                                    const PhaseStrip& strip, int64_t begin, int64_t end, float* to,
                                    int64_t slice) {
  const int64_t stride = strided.tiles.result_channels;
  const int64_t tap_stride = strided.tiles.source_channels * stride;
  for (int64_t k = begin; k < end; ++k, to += strip.width) {
    for (int64_t n = 0; n < strip.width; n += kLanes) {
      const float* from = w + k * stride + strip.first + n;
      const auto load = [&](int r, int s) __attribute__((always_inline)) {
        return Float::load(from + (3 * r + s) * tap_stride);
      };
      const auto phase = [&](auto index) __attribute__((always_inline)) {
        constexpr int kPhase = decltype(index)::value;
        transform_phase_taps<kPhase>(false, false, load, [&](int p) __attribute__((always_inline)) {
          return to + n + slice_of(kPhase, p) * slice;
        });
      };
      phase(std::integral_constant<int, 0>());
      phase(std::integral_constant<int, 1>());
      phase(std::integral_constant<int, 2>());
      phase(std::integral_constant<int, 3>());
    }
  }
}

// w: [tap][column][depth], the two taps of a phase in reverse unless tiles are turned; squares of
// kLanes columns and depths are turned before they are transformed. To [position][depth][column].
template <int Phase>
void strided_backward_weights(const StridedArguments& strided, const float* w,
                              const PhaseStrip& strip, int64_t begin, int64_t end, float* to,
                              int64_t slice) {
  const int64_t stride = strided.tiles.source_channels;
  const int64_t tap_stride = strided.tiles.result_channels * stride;
  for (int64_t k = begin; k < end; k += kLanes, to += kLanes * strip.width) {
    for (int64_t n = 0; n < strip.width; n += kLanes) {
      Float turned[9][kLanes];
      for (int r = phase_has_two_rows(Phase) ? 0 : 1; r < 3; r += 2) {
        for (int s = phase_has_two_columns(Phase) ? 0 : 1; s < 3; s += 2) {
          const float* from = w + (3 * r + s) * tap_stride + (strip.first + n) * stride + k;
          Float(&square)[kLanes] = turned[3 * r + s];
#pragma GCC unroll 16
          for (int c = 0; c < kLanes; ++c) square[c] = Float::load(from + c * stride);
          transpose_vectors(square);
        }
      }
      for (int64_t d = 0; d < kLanes; ++d) {
        transform_phase_taps<Phase>(
            !strided.turn_rows, !strided.turn_columns,
            [&](int r, int s) __attribute__((always_inline)) { return turned[3 * r + s][d]; },
            [&](int p) __attribute__((always_inline)) {
              return to + d * strip.width + n + phase_positions(Phase, p) * slice;
            });
      }
    }
  }
}

// Unit: a block of depths of one strip.
inline void strided_weights(const Call& call, int64_t begin, int64_t end) {
  const StridedArguments& strided = strided_arguments(call);
  const int64_t depth = strided.tiles.source_channels, block = strided.cut.channel_block;
  const int64_t pieces = ceil_div(depth, strided.weight_depth);
  const float* w = static_cast<const float*>(call.operands[1]);
  for (int64_t unit = begin; unit < end; ++unit) {
    const PhaseStrip strip = phase_strip(strided, unit / pieces);
    const int64_t until = smaller(depth, (unit % pieces + 1) * strided.weight_depth);
    for (int64_t k = unit % pieces * strided.weight_depth; k < until;) {
      const int64_t first = k / block * block;
      const int64_t channels = smaller(block, depth - first);
      const int64_t last = smaller(until, first + channels);
      const int64_t slice = channels * strip.width;
      float* to = packed_memory(call) + strip.weights + first * strip.slices * strip.width +
                  (k - first) * strip.width;
      if (!strided.backward) {
        strided_forward_weights(strided, w, strip, k, last, to, slice);
      } else if (strip.phase == 0) {
        strided_backward_weights<0>(strided, w, strip, k, last, to, slice);
      } else if (strip.phase == 1) {
        strided_backward_weights<1>(strided, w, strip, k, last, to, slice);
      } else if (strip.phase == 2) {
        strided_backward_weights<2>(strided, w, strip, k, last, to, slice);
      } else {
        strided_backward_weights<3>(strided, w, strip, k, last, to, slice);
      }
      k = last;
    }
  }
  stream_fence();
}

// One stage of a unit: a block of channels of its tiles, for all its strips.
struct StridedStage {
  int64_t first_tile, last_tile;
  int64_t first_strip, last_strip;
  int64_t first, last;  // channels
};

NNC_INLINE void set_channels(const StridedArguments& strided, StridedStage& stage, int64_t first) {
  stage.first = first;
  stage.last = smaller(strided.tiles.source_channels, first + strided.cut.channel_block);
}

NNC_INLINE StridedStage first_stage(const StridedArguments& strided, int64_t unit) {
  StridedStage stage;
  stage.first_tile = unit % strided.tile_blocks * strided.cut.tile_block;
  stage.last_tile = smaller(strided.tiles.count, stage.first_tile + strided.cut.tile_block);
  stage.first_strip = unit / strided.tile_blocks * strided.cut.strip_block;
  stage.last_strip = smaller(strided.strip_count, stage.first_strip + strided.cut.strip_block);
  set_channels(strided, stage, 0);
  return stage;
}

struct StridedMemory {
  const float* source;
  const float* weights;
  float* result;
  float* zeros;
  float* transformed;
  float* products;
};

// The product of a stage for one strip at all positions that it has; `ask(p)` comes before each.
template <class Prefetch>
void multiply_strip(const StridedArguments& strided, const StridedMemory& memory,
                    const StridedStage& stage, const TileOrder& order, const PhaseStrip& strip,
                    float* products, Prefetch prefetch) {
  const int64_t channels = stage.last - stage.first;
  PositionProduct product;
  product.a_row = (strided.backward ? 1 : kPhases) * channels;
  product.a_step = 1;
  product.b_step = product.c_row = strip.width;
  product.vectors = strip.width / kLanes;
  product.accumulate = stage.first > 0;
  const bool far = strided.cut.strip_block * strip.slices * channels * strip.width >= kFarWeights;
  const float* weights = memory.weights + strip.weights + stage.first * strip.slices * strip.width;
  for (int p = 0; p < kPhasePositions; ++p) {
    prefetch(p);
    PhaseRange phases = phases_at(p);
    if (strided.backward) phases = {0, phase_has(strip.phase, p) ? 1 : 0};
    if (phases.count == 0) continue;
    const TileOrder::Range range = order.at(p / kPhaseSide, p % kPhaseSide);
    product.rows = range.end - range.begin;
    product.depth = phases.count * channels;
    if (far) product.next = weights + product.depth * strip.width;
    multiply_position(product,
                      memory.transformed + p * strided.tile_position + range.begin * product.a_row +
                          phases.first * channels,
                      weights, products + p * strided.product_position + range.begin * strip.width);
    weights += product.depth * strip.width;
  }
}

// Multiplies a stage and prefetches for the steps after it: the pixels of the result and what
// `epilogue` and sums read beside them, if this stage completes them, and the pixels that the next
// stage transforms (`next`; null if there is none).
inline void multiply_stage(const StridedArguments& strided, const StridedMemory& memory,
                           const StridedStage& stage, const StridedStage* next,
                           const VectorEpilogue* epilogue, const float* beside) {
  const WinogradTiles& tiles = strided.tiles;
  const bool complete = stage.last == tiles.source_channels;
  const TileOrder order(tiles, stage.first_tile, stage.last_tile);
  const StridedStage& after = next != nullptr ? *next : stage;
  PrefetchPixels source(tiles, memory.source, tiles.source_height, tiles.source_width,
                        tiles.source_channels, after.first_tile, after.last_tile,
                        strided.backward ? 4 : 8);
  if (next != nullptr)
    source.set_window(-tiles.pad_top, -tiles.pad_left, next->first, next->last - next->first);
  const int64_t steps = (stage.last_strip - stage.first_strip) * kPhasePositions;
  for (int64_t index = stage.first_strip; index < stage.last_strip; ++index) {
    const PhaseStrip strip = phase_strip(strided, index);
    const int64_t step = (index - stage.first_strip) * kPhasePositions;
    float* const products = memory.products + (index - stage.first_strip) * strided.product_strip;
    const auto of_result = [&](const float* images) {
      PrefetchPixels pixels(tiles, images, tiles.result_height, tiles.result_width,
                            tiles.result_channels, stage.first_tile, stage.last_tile,
                            strided.backward ? 8 : 4, strided.backward ? 2 : 1);
      if (images == nullptr || !complete) return pixels;
      const bool down = strided.backward && phase_has_two_rows(strip.phase) != strided.turn_rows;
      const bool across =
          strided.backward && phase_has_two_columns(strip.phase) != strided.turn_columns;
      pixels.set_window(down ? 1 : 0, across ? 1 : 0, strip.first, strip.width);
      return pixels;
    };
    const bool stored = epilogue == nullptr || epilogue->stores_result();
    PrefetchPixels result = of_result(stored ? memory.result : nullptr);
    PrefetchPixels add = of_result(epilogue != nullptr ? epilogue->add : nullptr);
    PrefetchPixels mask = of_result(epilogue != nullptr ? epilogue->mask : nullptr);
    PrefetchPixels sums = of_result(beside);
    multiply_strip(strided, memory, stage, order, strip, products,
                   [&](int p) __attribute__((always_inline)) {
                     source.prefetch<0>(step + p, steps);
                     result.prefetch<1>(p, kPhasePositions);
                     add.prefetch<0>(p, kPhasePositions);
                     mask.prefetch<0>(p, kPhasePositions);
                     sums.prefetch<0>(p, kPhasePositions);
                   });
    if (!complete) continue;
    if (strided.backward) {
      transform_phase_result(strided, strip.phase, products, stage.first_tile, stage.last_tile,
                             strip.first, strip.width, memory.result, epilogue);
    } else {
      transform_strided_result(tiles, products, strided.product_position, stage.first_tile,
                               stage.last_tile, strip.first, strip.width, memory.result, epilogue);
    }
  }
}

// Unit: a block of tiles, a block of strips.
inline void strided_multiply(const Call& call, int64_t begin, int64_t end) {
  const StridedArguments& strided = strided_arguments(call);
  const WinogradTiles& tiles = strided.tiles;
  const StridedMemory memory = {static_cast<const float*>(call.operands[0]),
                                packed_memory(call),
                                static_cast<float*>(call.results[0]),
                                floats_at(call.scratch, strided.zero_offset),
                                floats_at(call.scratch, strided.tile_offset),
                                floats_at(call.scratch, strided.product_offset)};
  const CallEpilogue epilogue(call);
  if (begin == end) return;
  zero_floats(memory.zeros, tiles.source_channels);
  const float* const beside = open_sums(call);
  StridedStage stage = first_stage(strided, begin);
  for (int64_t unit = begin; unit < end;) {
    const bool complete = stage.last == tiles.source_channels;
    StridedStage next = stage;
    if (!complete) {
      set_channels(strided, next, stage.last);
    } else if (++unit < end) {
      next = first_stage(strided, unit);
    }
    const int64_t channels = stage.last - stage.first;
    const int64_t row = (strided.backward ? 1 : kPhases) * channels;
    const TransformedTiles to = {memory.transformed, row, strided.tile_position};
    if (strided.backward) {
      transform_strided_gradient(strided, memory.source, stage.first_tile, stage.last_tile,
                                 stage.first, channels, memory.zeros, to);
    } else {
      transform_phases(tiles, memory.source, stage.first_tile, stage.last_tile, stage.first,
                       channels, memory.zeros, to);
    }
    multiply_stage(strided, memory, stage, unit < end ? &next : nullptr, epilogue.get(), beside);
    if (complete) {
      complete_pixels(tiles, call, unit - 1, stage.first_tile, stage.last_tile,
                      strided.backward ? 8 : 4, false);
    }
    stage = next;
  }
}

}  // namespace nnrt::NNC_ISA
