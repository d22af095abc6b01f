// The gradient of the weights by Winograd's algorithm, F(3x3, 4x4): at each position the
// transformed source pixels of all tiles, [tile][channel], times the transformed gradients,
// [tile][column], summed over the tiles; one transformation back at the end.
#pragma once

#include "cpu/vector/conv_window.h"
#include "cpu/vector/winograd_product.h"
#include "cpu/vector/winograd_tiles.h"

namespace nnrt::NNC_ISA {

NNC_INLINE const WinogradWeightArguments& winograd_weight_arguments(const Call& call) {
  return *static_cast<const WinogradWeightArguments*>(call.arguments);
}

// sums[position][channel][column] += source[position][tile][channel] *
// gradient[position][tile][column] over the tiles.
inline void add_positions(const WinogradWeightArguments& winograd, const float* source,
                          const float* gradient, float* sums, int64_t tiles, int64_t channels,
                          int64_t columns, bool accumulate) {
  PositionProduct product;
  product.a_row = 1;
  product.a_step = winograd.channel_stride;
  product.b_step = winograd.column_stride;
  product.c_row = winograd.column_stride;
  product.rows = channels;
  product.depth = tiles;
  product.accumulate = accumulate;
  for (int p = 0; p < kPositions; ++p) {
    for (int64_t n = 0; n < columns; n += kPanel) {
      product.vectors = ceil_div(smaller(kPanel, columns - n), kLanes);
      multiply_position(product, source + p * winograd.source_position,
                        gradient + p * winograd.gradient_position + n,
                        sums + p * winograd.sum_position + n);
    }
  }
}

// Sums of a block back to dw: [3][3][source channels][result channels].
inline void transform_sums(const WinogradWeightArguments& winograd, const float* sums,
                           int64_t first_channel, int64_t channels, int64_t first_column,
                           int64_t columns, float* dw) {
  const int64_t stride = winograd.tiles.result_channels;
  const int64_t tap_stride = winograd.tiles.source_channels * stride;
  for (int64_t c = 0; c < channels; ++c) {
    const float* from = sums + c * winograd.column_stride;
    float* to = dw + (first_channel + c) * stride + first_column;
    for (int64_t n = 0; n < columns; n += kLanes) {
      const int64_t lanes = smaller(kLanes, columns - n);
      transform_square<WeightGradientTransform>(
          [&](int i, int j) __attribute__((always_inline)) {
            return Float::load(from + (i * kSide + j) * winograd.sum_position + n);
          },
          [&](int i, int j, Float value) __attribute__((always_inline)) {
            float* at = to + (3 * i + j) * tap_stride + n;
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
inline void winograd_weight(const Call& call, int64_t begin, int64_t end) {
  const WinogradWeightArguments& winograd = winograd_weight_arguments(call);
  const WinogradTiles& tiles = winograd.tiles;
  const WinogradWeightCut& cut = winograd.cut;
  const int64_t elements = 9 * tiles.source_channels * tiles.result_channels;
  const float* x = static_cast<const float*>(call.operands[0]);
  const float* dy = static_cast<const float*>(call.operands[1]);
  auto scratch = [&](int64_t offset) {
    return reinterpret_cast<float*>(static_cast<char*>(call.scratch) + offset);
  };
  float* zeros = scratch(winograd.zero_offset);
  float* source = scratch(winograd.source_offset);
  float* gradient = scratch(winograd.gradient_offset);
  float* sums = scratch(winograd.sum_offset);
  zero_floats(zeros, round_up(larger(tiles.source_channels, tiles.result_channels), kLanes));
  for (int64_t unit = begin; unit < end; ++unit) {
    // The blocks of one part vary fastest: they read the same pixels.
    const int64_t first_channel = unit % winograd.channel_blocks * cut.channel_block;
    const int64_t channels = smaller(cut.channel_block, tiles.source_channels - first_channel);
    const int64_t rest = unit / winograd.channel_blocks;
    const int64_t first_column = rest % winograd.column_blocks * cut.column_block;
    const int64_t columns = smaller(cut.column_block, tiles.result_channels - first_column);
    const int64_t split = rest / winograd.column_blocks;
    const int64_t first_tile = split * winograd.split_tiles;
    const int64_t last_tile = smaller(tiles.count, first_tile + winograd.split_tiles);
    for (int64_t t = first_tile; t < last_tile; t += cut.tile_block) {
      const int64_t stop = smaller(last_tile, t + cut.tile_block);
      transform_source(tiles, x, t, stop, first_channel, channels, zeros,
                       {source, winograd.channel_stride, winograd.source_position});
      transform_gradient(tiles, dy, t, stop, first_column, columns, zeros,
                         {gradient, winograd.column_stride, winograd.gradient_position});
      add_positions(winograd, source, gradient, sums, stop - t, channels, columns, t > first_tile);
    }
    float* dw = cut.splits == 1 ? static_cast<float*>(call.results[0])
                                : static_cast<float*>(call.workspace) + split * elements;
    transform_sums(winograd, sums, first_channel, channels, first_column, columns, dw);
  }
}

// Unit: kCombineBlock elements of dw.
inline void winograd_weight_combine(const Call& call, int64_t begin, int64_t end) {
  const WinogradWeightArguments& winograd = winograd_weight_arguments(call);
  const int64_t elements = 9 * winograd.tiles.source_channels * winograd.tiles.result_channels;
  add_partials(static_cast<const float*>(call.workspace), winograd.cut.splits, elements,
               static_cast<float*>(call.results[0]), begin * kCombineBlock,
               smaller(elements, end * kCombineBlock));
}

}  // namespace nnrt::NNC_ISA
