// Winograd convolution on vectors, forward and the gradient of the data: transform the weights;
// then each unit transforms a block of tiles, multiplies it at all positions, transforms the
// products back and applies the epilogue.
#pragma once

#include "cpu/conv/vector/conv_window.h"
#include "cpu/conv/winograd/vector/winograd_product.h"
#include "cpu/conv/winograd/vector/winograd_tiles.h"
#include "cpu/fused_reduction.h"
#include "cpu/tile/tile.h"

namespace nnrt::NNC_ISA {

NNC_INLINE const WinogradArguments& winograd_arguments(const Call& call) {
  return *static_cast<const WinogradArguments*>(call.arguments);
}

NNC_INLINE float* floats_at(void* base, int64_t bytes) {
  return reinterpret_cast<float*>(static_cast<char*>(base) + bytes);
}

// Columns of strip `strip`.
NNC_INLINE int64_t strip_width(const WinogradArguments& winograd, int64_t strip) {
  return smaller(kPanel, winograd.tiles.result_channels - strip * kPanel);
}

// The positions of whole tiles of so many pixels, one after the other.
template <int Size>
struct WholeTile {
  static constexpr int side = Size == 4 ? kSide : 4;
  static constexpr int positions = side * side;
  static constexpr int point(int i) { return i + 1 < side ? i : kSide - 1; }
  using Weights = std::conditional_t<Size == 4, WeightTransform, SmallWeightTransform>;
};

// Transforms 3x3 weights of one depth, whose vectors `load(tap)` gives, to to[position * stride].
template <bool Past, class Tile, class Load>
NNC_INLINE void transform_taps(Load load, float* to, int64_t stride) {
  transform_square<typename Tile::Weights>(
      [&](int i, int j) __attribute__((always_inline)) { return load(3 * i + j); },
      [&](int i, int j, Float value)
          __attribute__((always_inline)) { put<Past>(value, to + (i * Tile::side + j) * stride); });
}

// w: [tap][depth][column]. Columns [column, column + width) of depths [begin, end), to
// [position][depth][columns in whole vectors].
template <bool Past, class Tile>
void transform_forward_weights(const WinogradArguments& winograd, const float* w, int64_t column,
                               int64_t width, int64_t begin, int64_t end, float* to,
                               int64_t position) {
  const int64_t stride = winograd.tiles.result_channels;
  const int64_t tap_stride = winograd.tiles.source_channels * stride;
  const int64_t padded = round_up(width, kLanes);
  for (int64_t k = begin; k < end; ++k, to += padded) {
    const float* from = w + k * stride + column;
    int64_t n = 0;
    for (; n + kLanes <= width; n += kLanes) {
      transform_taps<Past, Tile>(
          [&](int tap)
              __attribute__((always_inline)) { return Float::load(from + tap * tap_stride + n); },
          to + n, position);
    }
    if (n < width) {
      transform_taps<Past, Tile>(
          [&](int tap) __attribute__((always_inline)) {
            return Float::load_partial(from + tap * tap_stride + n, width - n);
          },
          to + n, position);
    }
  }
}

// w: [tap][column][depth], taps in reverse: squares of kLanes columns and depths are turned before
// they are transformed.
template <bool Past, class Tile>
void transform_backward_weights(const WinogradArguments& winograd, const float* w, int64_t column,
                                int64_t width, int64_t begin, int64_t end, float* to,
                                int64_t position) {
  const int64_t stride = winograd.tiles.source_channels;
  const int64_t tap_stride = winograd.tiles.result_channels * stride;
  const int64_t padded = round_up(width, kLanes);
  for (int64_t n = 0; n < width; n += kLanes) {
    const int64_t columns = smaller(kLanes, width - n);
    for (int64_t k = begin; k < end; k += kLanes) {
      const int64_t depths = smaller(kLanes, end - k);
      Float turned[9][kLanes];
      for (int tap = 0; tap < 9; ++tap) {
        const float* from = w + (8 - tap) * tap_stride + (column + n) * stride + k;
        Float square[kLanes];
        if (columns == kLanes && depths == kLanes) {
#pragma GCC unroll 16
          for (int c = 0; c < kLanes; ++c) square[c] = Float::load(from + c * stride);
        } else {
          for (int c = 0; c < kLanes; ++c) {
            square[c] =
                c < columns ? Float::load_partial(from + c * stride, depths) : Float::zero();
          }
        }
        transpose_square(square);
#pragma GCC unroll 16
        for (int d = 0; d < kLanes; ++d) turned[tap][d] = square[d];
      }
      for (int64_t d = 0; d < depths; ++d) {
        transform_taps<Past, Tile>([&](int tap)
                                       __attribute__((always_inline)) { return turned[tap][d]; },
                                   to + (k - begin + d) * padded + n, position);
      }
    }
  }
}

template <bool Past, class Tile>
void transform_tile_weights(const WinogradArguments& winograd, const float* w, int64_t strip,
                            int64_t begin, int64_t end, float* to, int64_t position) {
  const int64_t column = strip * kPanel, width = strip_width(winograd, strip);
  if (winograd.backward) {
    transform_backward_weights<Past, Tile>(winograd, w, column, width, begin, end, to, position);
  } else {
    transform_forward_weights<Past, Tile>(winograd, w, column, width, begin, end, to, position);
  }
}
template <bool Past>
void transform_weights(const WinogradArguments& winograd, const float* w, int64_t strip,
                       int64_t begin, int64_t end, float* to, int64_t position) {
  if (winograd.tiles.size == 2) {
    transform_tile_weights<Past, WholeTile<2>>(winograd, w, strip, begin, end, to, position);
  } else {
    transform_tile_weights<Past, WholeTile<4>>(winograd, w, strip, begin, end, to, position);
  }
}

// For all threads, with non-temporal stores (gemm/vector/micro_kernel.h). Vectors that are half a
// line are collected first.
inline void transform_shared_weights(const WinogradArguments& winograd, const float* w,
                                     int64_t strip, int64_t begin, int64_t end, float* to,
                                     int64_t position) {
  if constexpr (kLanes * 8 != kLine) {
    transform_weights<kSharedPast>(winograd, w, strip, begin, end, to, position);
  } else {
    alignas(kLine) float collected[kPositions * kLanes * kPanel];
    const int64_t padded = round_up(strip_width(winograd, strip), kLanes);
    for (int64_t k = begin; k < end; k += kLanes) {
      const int64_t depths = smaller(kLanes, end - k);
      transform_weights<false>(winograd, w, strip, k, k + depths, collected, kLanes * padded);
      for (int64_t p = 0; p < winograd.positions; ++p) {
        const float* from = collected + p * kLanes * padded;
        float* run = to + p * position + (k - begin) * padded;
        for (int64_t i = 0; i < depths * padded; i += kLanes) Float::load(from + i).stream(run + i);
      }
    }
  }
}

// Unit: a block of depths of one strip.
inline void winograd_weights(const Call& call, int64_t begin, int64_t end) {
  const WinogradArguments& winograd = winograd_arguments(call);
  const int64_t depth = winograd.tiles.source_channels;
  const int64_t blocks = ceil_div(depth, winograd.weight_depth);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t strip = unit / blocks;
    const int64_t first = unit % blocks * winograd.weight_depth;
    const int64_t padded = round_up(strip_width(winograd, strip), kLanes);
    transform_shared_weights(winograd, static_cast<const float*>(call.operands[1]), strip, first,
                             smaller(depth, first + winograd.weight_depth),
                             packed_memory(call) + strip * winograd.weight_strip + first * padded,
                             winograd.weight_position);
  }
  stream_fence();
}

// What is left to do with all channels of the pixels of tiles [begin, end), of `side` rows and
// columns: the epilogue where `epilogue` is true, and another step's sums.
inline void complete_pixels(const WinogradTiles& tiles, const Call& call, int64_t part,
                            int64_t begin, int64_t end, int64_t side, bool epilogue) {
  if (!epilogue && call.reduction == nullptr) return;
  Stretch stretches[kMostStretches];
  const int64_t count = stretches_under(tiles, begin, end, side, stretches);
  for (int64_t i = 0; epilogue && i < count; ++i) {
    run_tile(*call.tile, call, call.scratch, stretches[i].first,
             stretches[i].first + stretches[i].count);
  }
  if (call.reduction != nullptr) call.reduction->take(call, part, stretches, count);
}

// Asks for 3x3 weights ahead of their transformation, as PrefetchPixels does for pixels.
class PrefetchWeights {
 public:
  NNC_INLINE PrefetchWeights() = default;
  NNC_INLINE PrefetchWeights(const WinogradArguments& winograd, const float* w, int64_t strip,
                             int64_t begin, int64_t end) {
    const int64_t width = strip_width(winograd, strip), column = strip * kPanel;
    const WinogradTiles& tiles = winograd.tiles;
    tap_stride_ = tiles.source_channels * tiles.result_channels;
    row_stride_ = winograd.backward ? tiles.source_channels : tiles.result_channels;
    from_ = w + (winograd.backward ? column * row_stride_ + begin : begin * row_stride_ + column);
    rows_ = winograd.backward ? width : end - begin;
    length_ = winograd.backward ? end - begin : width;
  }
  NNC_INLINE void prefetch(int p, int64_t positions) const {
    const int64_t until = 9 * rows_ * (p + 1) / positions;
    for (int64_t i = 9 * rows_ * p / positions; i < until; ++i) {
      const float* row = from_ + i / rows_ * tap_stride_ + i % rows_ * row_stride_;
      for (int64_t n = 0; n < length_; n += kLine / 4) __builtin_prefetch(row + n, 0, 2);
    }
  }

 private:
  const float* from_ = nullptr;
  int64_t tap_stride_ = 0, row_stride_ = 0, rows_ = 0, length_ = 0;
};

// One stage of a unit: some channels of its tiles, for one strip.
struct WinogradStage {
  int64_t first_tile, last_tile;
  int64_t first_strip, last_strip, strip;
  int64_t first, last;  // channels
};

NNC_INLINE void set_channels(const WinogradArguments& winograd, WinogradStage& stage,
                             int64_t first) {
  stage.first = first;
  stage.last = smaller(winograd.tiles.source_channels, first + winograd.cut.channel_block);
}

NNC_INLINE WinogradStage first_stage(const WinogradArguments& winograd, int64_t unit) {
  WinogradStage stage;
  stage.first_tile = unit % winograd.tile_blocks * winograd.cut.tile_block;
  stage.last_tile = smaller(winograd.tiles.count, stage.first_tile + winograd.cut.tile_block);
  stage.first_strip = stage.strip = unit / winograd.tile_blocks * winograd.cut.strip_block;
  stage.last_strip = smaller(winograd.strip_count, stage.first_strip + winograd.cut.strip_block);
  set_channels(winograd, stage, 0);
  return stage;
}

struct WinogradMemory {
  const float* source;
  const float* w;
  const float* transformed_weights;  // all of them, where they come first
  float* result;
  float* zeros;
  float* transformed;
  float* weights;
  float* products;
};

NNC_INLINE WinogradMemory winograd_memory(const WinogradArguments& winograd, const Call& call) {
  return {static_cast<const float*>(call.operands[0]),
          static_cast<const float*>(call.operands[1]),
          packed_memory(call),
          static_cast<float*>(call.results[0]),
          floats_at(call.scratch, winograd.zero_offset),
          floats_at(call.scratch, winograd.tile_offset),
          floats_at(call.scratch, winograd.weight_offset),
          floats_at(call.scratch, winograd.product_offset)};
}

// The transformations into the scratch that a stage needs and does not find there.
inline void open_stage(const WinogradArguments& winograd, const WinogradMemory& memory,
                       const WinogradStage& stage) {
  if (winograd.channel_blocks > 1 || stage.strip == stage.first_strip) {
    transform_source(winograd.tiles, memory.source, stage.first_tile, stage.last_tile, stage.first,
                     stage.last - stage.first, memory.zeros,
                     {memory.transformed, winograd.channel_stride, winograd.tile_position});
  }
  if (!winograd.cut.weights_first) {
    transform_weights<false>(winograd, memory.w, stage.strip, stage.first, stage.last,
                             memory.weights, winograd.weight_position);
  }
}

// Multiplies at all positions and prefetches for the steps after it: the pixels of the result and
// what `epilogue` and sums read beside them, if this stage completes them, and the pixels that the
// next stage transforms (`next`; null if there is none).
template <class Tile>
void multiply_stage(const WinogradArguments& winograd, const WinogradMemory& memory,
                    const WinogradStage& stage, const WinogradStage* next,
                    const VectorEpilogue* epilogue, const float* beside) {
  const WinogradTiles& tiles = winograd.tiles;
  const int64_t width = strip_width(winograd, stage.strip);
  PositionProduct product;
  product.a_row = winograd.channel_stride;
  product.a_step = 1;
  product.b_step = product.c_row = round_up(width, kLanes);
  product.depth = stage.last - stage.first;
  product.vectors = product.b_step / kLanes;
  product.accumulate = stage.first > 0;
  const float* weights = memory.weights;
  if (winograd.cut.weights_first) {
    weights = memory.transformed_weights + stage.strip * winograd.weight_strip +
              stage.first * product.b_step;
  }
  const auto of_result = [&](const float* images) {
    PrefetchPixels pixels(tiles, images, tiles.result_height, tiles.result_width,
                          tiles.result_channels, stage.first_tile, stage.last_tile, tiles.size);
    if (images != nullptr && stage.last == tiles.source_channels)
      pixels.set_window(0, 0, stage.strip * kPanel, width);
    return pixels;
  };
  const bool stored = epilogue == nullptr || epilogue->stores_result();
  PrefetchPixels result = of_result(stored ? memory.result : nullptr);
  PrefetchPixels add = of_result(epilogue != nullptr ? epilogue->add : nullptr);
  PrefetchPixels mask = of_result(epilogue != nullptr ? epilogue->mask : nullptr);
  PrefetchPixels sums = of_result(beside);
  const WinogradStage& after = next != nullptr ? *next : stage;
  PrefetchPixels source(tiles, memory.source, tiles.source_height, tiles.source_width,
                        tiles.source_channels, after.first_tile, after.last_tile, tiles.size);
  PrefetchWeights own_weights;
  if (next != nullptr) {
    if (winograd.channel_blocks > 1 || next->strip == next->first_strip) {
      source.set_window(2 - tiles.pad_top, 2 - tiles.pad_left, next->first,
                        next->last - next->first);
    }
    if (!winograd.cut.weights_first)
      own_weights = PrefetchWeights(winograd, memory.w, next->strip, next->first, next->last);
  }
  const bool far =
      winograd.cut.weights_first && winograd.cut.strip_block * winograd.weight_strip >= kFarWeights;
  const TileOrder order(tiles, stage.first_tile, stage.last_tile);
  constexpr int count = Tile::positions;
  for (int p = 0; p < count; ++p) {
    source.prefetch<0>(p, count);
    own_weights.prefetch(p, count);
    result.prefetch<1>(p, count);
    add.prefetch<0>(p, count);
    mask.prefetch<0>(p, count);
    sums.prefetch<0>(p, count);
    const int row = Tile::point(p / Tile::side), column = Tile::point(p % Tile::side);
    const TileOrder::Range range = order.at(row, column);
    product.rows = range.end - range.begin;
    if (far) product.next = weights + (p + 1) * winograd.weight_position;
    const int64_t place = row * kSide + column;
    multiply_position(
        product, memory.transformed + place * winograd.tile_position + range.begin * product.a_row,
        weights + p * winograd.weight_position,
        memory.products + place * winograd.product_position + range.begin * product.c_row);
  }
}

// Gives what a taker of sums reads beside the pixels.
NNC_INLINE const float* open_sums(const Call& call) {
  if (call.reduction == nullptr) return nullptr;
  call.reduction->open(call);
  return static_cast<const float*>(call.reduction->beside());
}

// Unit: a block of tiles, a block of strips.
inline void winograd_multiply(const Call& call, int64_t begin, int64_t end) {
  const WinogradArguments& winograd = winograd_arguments(call);
  const WinogradTiles& tiles = winograd.tiles;
  const WinogradMemory memory = winograd_memory(winograd, call);
  const CallEpilogue epilogue(call);
  zero_floats(memory.zeros, round_up(tiles.source_channels, kLanes));
  if (begin == end) return;
  const float* const beside = open_sums(call);
  WinogradStage stage = first_stage(winograd, begin);
  for (int64_t unit = begin; unit < end;) {
    const bool complete = stage.last == tiles.source_channels;
    const bool unit_complete = complete && stage.strip + 1 == stage.last_strip;
    WinogradStage next = stage;
    if (unit_complete) {
      if (++unit < end) next = first_stage(winograd, unit);
    } else if (complete) {
      ++next.strip;
      set_channels(winograd, next, 0);
    } else {
      set_channels(winograd, next, stage.last);
    }
    open_stage(winograd, memory, stage);
    const WinogradStage* const after = unit < end ? &next : nullptr;
    if (tiles.size == 2) {
      multiply_stage<WholeTile<2>>(winograd, memory, stage, after, epilogue.get(), beside);
    } else {
      multiply_stage<WholeTile<4>>(winograd, memory, stage, after, epilogue.get(), beside);
    }
    if (complete) {
      const int64_t width = strip_width(winograd, stage.strip);
      transform_result(tiles, memory.products, round_up(width, kLanes), winograd.product_position,
                       stage.first_tile, stage.last_tile, stage.strip * kPanel, width,
                       memory.result, epilogue.get());
    }
    if (unit_complete) {
      complete_pixels(tiles, call, unit - 1, stage.first_tile, stage.last_tile, tiles.size,
                      winograd.epilogue);
    }
    stage = next;
  }
}

}  // namespace nnrt::NNC_ISA
