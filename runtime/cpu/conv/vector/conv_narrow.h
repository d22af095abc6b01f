// Convolutions with a few result channels (to a grey or colour image) on vectors along the source
// channels: a strip of the block product would leave most lanes empty. Weights are packed as
// [result channel][tap][source channels, padded to whole vectors].
#pragma once

#include "cpu/conv/conv.h"
#include "cpu/conv/vector/conv_block.h"
#include "cpu/gemm/vector/micro_kernel.h"

namespace nnrt::NNC_ISA {

// Unit: one tap of one class.
inline void conv_narrow_pack(const Call& call, int64_t begin, int64_t end) {
  const ConvArguments& conv = conv_arguments(call);
  const ConvShape& shape = conv.shape;
  const float* w = static_cast<const float*>(call.operands[1]);
  const int64_t channels = conv.source.channels;
  const int64_t padded = round_up(channels, kLanes);
  // Strides of w between source channels and between result channels.
  const int64_t source_stride = conv.backward ? 1 : shape.out_channels;
  const int64_t result_stride = conv.backward ? shape.out_channels : 1;
  for (int64_t unit = begin; unit < end; ++unit) {
    const ResidueClass* pixels = conv.classes;
    while (unit - pixels->pack_begin >= pixels->tap_count) ++pixels;
    const int64_t tap = unit - pixels->pack_begin;
    const float* from = w + pixels->taps[tap] * shape.in_channels * shape.out_channels;
    for (int64_t n = 0; n < conv.result.channels; ++n) {
      float* to =
          packed_memory(call) + pixels->narrow_offset + (n * pixels->tap_count + tap) * padded;
      for (int64_t c = 0; c < channels; ++c) to[c] = from[c * source_stride + n * result_stride];
      for (int64_t c = channels; c < padded; ++c) to[c] = 0;
    }
  }
}

struct NarrowTile {
  const float* source;
  const int64_t* source_rows;
  const int64_t* tap_steps;
  int64_t tap_count;
  int64_t channels;
  const float* w;
  float* result;
  const int64_t* result_rows;
};

template <int Pixels, int Columns>
NNC_INLINE void narrow_tile(const NarrowTile& tile) {
  Float sum[Pixels][Columns];
#pragma GCC unroll 8
  for (int p = 0; p < Pixels; ++p) {
#pragma GCC unroll 4
    for (int n = 0; n < Columns; ++n) sum[p][n] = Float::zero();
  }
  const int64_t padded = round_up(tile.channels, kLanes);
  auto add = [&](const float* w, const float* source, int64_t c, auto load)
                 __attribute__((always_inline)) {
                   Float weight[Columns];
#pragma GCC unroll 4
                   for (int n = 0; n < Columns; ++n)
                     weight[n] = Float::load(w + n * tile.tap_count * padded + c);
#pragma GCC unroll 8
                   for (int p = 0; p < Pixels; ++p) {
                     const Float x = load(source + tile.source_rows[p] + c);
#pragma GCC unroll 4
                     for (int n = 0; n < Columns; ++n) sum[p][n] = fma(x, weight[n], sum[p][n]);
                   }
                 };
  for (int64_t t = 0; t < tile.tap_count; ++t) {
    const float* w = tile.w + t * padded;
    const float* source = tile.source + tile.tap_steps[t];
    int64_t c = 0;
    for (; c + kLanes <= tile.channels; c += kLanes) {
      add(w, source, c,
          [](const float* from) __attribute__((always_inline)) { return Float::load(from); });
    }
    if (c < tile.channels) {
      const int64_t left = tile.channels - c;
      add(w, source, c, [left](const float* from) __attribute__((always_inline)) {
        return Float::load_partial(from, left);
      });
    }
  }
  for (int p = 0; p < Pixels; ++p) {
    for (int n = 0; n < Columns; ++n) tile.result[tile.result_rows[p] + n] = reduce_add(sum[p][n]);
  }
}

template <int Columns>
void narrow_pixels(NarrowTile tile, int64_t pixels) {
  // 12 sums of 32 registers, 8 of 16.
  constexpr int kSums = kPanelVectors == 4 ? 12 : 8;
  constexpr int kPixels = Columns == 1 ? 8 : kSums / Columns;
  for (; pixels >= kPixels; pixels -= kPixels) {
    narrow_tile<kPixels, Columns>(tile);
    tile.source_rows += kPixels;
    tile.result_rows += kPixels;
  }
  for (; pixels > 0; --pixels) {
    narrow_tile<1, Columns>(tile);
    ++tile.source_rows;
    ++tile.result_rows;
  }
}

// Unit: a block of images or rows.
inline void conv_narrow(const Call& call, int64_t begin, int64_t end) {
  const ConvArguments& conv = conv_arguments(call);
  constexpr decltype(&narrow_pixels<1>) kColumns[] = {&narrow_pixels<1>, &narrow_pixels<2>,
                                                      &narrow_pixels<3>, &narrow_pixels<4>};
  static_assert(sizeof(kColumns) / sizeof(kColumns[0]) == kNarrowChannels);
  float* scratch = reinterpret_cast<float*>(static_cast<char*>(call.scratch) + conv.window_offset);
  for (int64_t index = begin; index < end; ++index) {
    const ConvBlock unit = conv_block(conv, index);
    for (int64_t c = 0; c < conv.class_count; ++c) {
      const ResidueClass& pixels = conv.classes[c];
      const ClassRows rows = class_rows(pixels, conv.step_height, unit.first_row, unit.end_row);
      if (rows.count == 0 || pixels.columns == 0) continue;
      NarrowTile tile;
      tile.source = static_cast<const float*>(call.operands[0]);
      if (pixels.tap_count > 0) {
        tile.source =
            open_windows(pixels, conv.source, conv.stride_height, conv.stride_width, tile.source,
                         unit.image, unit.images, rows, 0, conv.source.channels, 1, scratch);
      }
      tile.source_rows = pixels.source_rows;
      tile.tap_steps = pixels.tap_steps;
      tile.tap_count = pixels.tap_count;
      tile.channels = conv.source.channels;
      tile.w = packed_memory(call) + pixels.narrow_offset;
      tile.result = class_result(conv, pixels, call, unit.image, rows.first);
      tile.result_rows = pixels.result_rows;
      kColumns[conv.result.channels - 1](tile, unit.images * rows.count * pixels.columns);
    }
    conv_epilogue(conv, call, unit, 0, conv.result.channels);
  }
}

}  // namespace nnrt::NNC_ISA
