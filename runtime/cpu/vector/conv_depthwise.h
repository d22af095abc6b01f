// Depthwise convolutions on vectors of channels: every result channel has one source channel, so
// nothing is summed but the taps.
#pragma once

#include "cpu/conv.h"
#include "cpu/vector/conv_block.h"
#include "cpu/vector/finish.h"

namespace nnrt::NNC_ISA {

struct DepthwiseTile {
  const float* source;    // under the first pixel
  int64_t source_stride;  // between pixels
  float* result;
  int64_t result_stride;
  const float* w;
  int64_t w_stride;  // between taps
  // Taps in rows and columns: which of w, and offsets into the source.
  const int64_t* taps;
  int64_t tap_columns;  // of all
  int64_t first_row, end_row, first_column, end_column;
  const int64_t* row_at;
  const int64_t* column_at;
  int64_t row_stride, column_stride;
  int64_t lanes;  // of the last vector
  const Finisher* finish;
  int64_t channel;
};

// Whole: the last vector too is whole.
template <int Pixels, int Vectors, bool Whole>
NNC_INLINE void depthwise_tile(const DepthwiseTile& tile) {
  Float sum[Pixels][Vectors];
#pragma GCC unroll 8
  for (int p = 0; p < Pixels; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[p][v] = Float::zero();
  }
  for (int64_t i = tile.first_row; i < tile.end_row; ++i) {
    const float* row = tile.source + tile.row_at[i] * tile.row_stride;
    for (int64_t j = tile.first_column; j < tile.end_column; ++j) {
      const float* w = tile.w + tile.taps[i * tile.tap_columns + j] * tile.w_stride;
      const float* source = row + tile.column_at[j] * tile.column_stride;
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const bool full = Whole || v + 1 < Vectors;
        const Float weight =
            full ? Float::load(w + v * kLanes) : Float::load_partial(w + v * kLanes, tile.lanes);
#pragma GCC unroll 8
        for (int p = 0; p < Pixels; ++p) {
          const float* from = source + p * tile.source_stride + v * kLanes;
          sum[p][v] = fma(full ? Float::load(from) : Float::load_partial(from, tile.lanes), weight,
                          sum[p][v]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < Pixels; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      float* to = tile.result + p * tile.result_stride + v * kLanes;
      const int64_t channel = tile.channel + v * kLanes;
      const bool full = Whole || v + 1 < Vectors;
      if (tile.finish != nullptr && full) {
        tile.finish->store(sum[p][v], to, channel);
      } else if (tile.finish != nullptr) {
        tile.finish->store_partial(sum[p][v], to, channel, tile.lanes);
      } else if (full) {
        sum[p][v].store(to);
      } else {
        sum[p][v].store_partial(to, tile.lanes);
      }
    }
  }
}

// All channels of Pixels adjacent pixels.
template <int Pixels>
void depthwise_pixels(DepthwiseTile tile, int64_t channels) {
  int64_t c = 0;
  auto advance = [&](int64_t by) __attribute__((always_inline)) {
    tile.source += by;
    tile.result += by;
    tile.w += by;
    tile.channel += by;
    c += by;
  };
  while (c + 2 * kLanes <= channels) {
    depthwise_tile<Pixels, 2, true>(tile);
    advance(2 * kLanes);
  }
  if (c + kLanes <= channels) {
    depthwise_tile<Pixels, 1, true>(tile);
    advance(kLanes);
  }
  if (c < channels) {
    tile.lanes = channels - c;
    depthwise_tile<Pixels, 1, false>(tile);
  }
}

// Asks for `count` source pixels from column `x` on of the rows that the next row of pixels is the
// first to read: the taps of a few pixels lie in too many places to be foreseen.
NNC_INLINE void ask_next_row(const ConvArguments& conv, const ConvClass& pixels,
                             const float* source, int64_t bottom, int64_t x, int64_t count) {
  const int64_t end = smaller(x + count, conv.source.width);
  for (int64_t y = 1; y <= conv.stride_height && bottom + y < conv.source.height; ++y) {
    const float* row = source + (bottom + y) * pixels.row_stride;
    for (int64_t at = x * pixels.pixel_stride; at < end * pixels.pixel_stride; at += kLine / 4)
      __builtin_prefetch(row + at, 0, 3);
  }
}

// A row of pixels: where all columns of taps lie inside the image several pixels at a time, at its
// ends one by one.
inline void depthwise_row(const ConvArguments& conv, const ConvClass& pixels, DepthwiseTile tile,
                          const float* image, int64_t bottom) {
  constexpr int kPixels = 4;
  const float* const source = tile.source;
  float* const result = tile.result;
  for (int64_t i = 0; i < pixels.columns;) {
    const int64_t x = i * conv.stride_width;
    tile.source = source + x * pixels.pixel_stride;
    tile.result = result + i * tile.result_stride;
    tile.first_column = 0;
    tile.end_column = pixels.tap_columns;
    if (conv.in_place) {
      while (tile.first_column < tile.end_column && x + pixels.tap_column_at[tile.first_column] < 0)
        ++tile.first_column;
      while (tile.first_column < tile.end_column &&
             x + pixels.tap_column_at[tile.end_column - 1] >= conv.source.width)
        --tile.end_column;
    }
    const int64_t last = x + (kPixels - 1) * conv.stride_width + pixels.left + pixels.extra_columns;
    const bool inside = !conv.in_place || (x + pixels.left >= 0 && last <= conv.source.width);
    const bool several = inside && i + kPixels <= pixels.columns;
    if (conv.in_place)
      ask_next_row(conv, pixels, image, bottom, x, (several ? kPixels : 1) * conv.stride_width);
    if (several) {
      depthwise_pixels<kPixels>(tile, conv.result.channels);
      i += kPixels;
    } else {
      depthwise_pixels<1>(tile, conv.result.channels);
      ++i;
    }
  }
}

// In the image itself, without the taps that lie outside of it; several results of a source channel
// read a window in which it is repeated.
inline void depthwise_class(const ConvArguments& conv, const ConvClass& pixels, const Call& call,
                            const ConvBlock& unit, const Finisher* finish) {
  const ClassRows rows = class_rows(pixels, conv.step_height, unit.first_row, unit.end_row);
  if (rows.count == 0 || pixels.columns == 0) return;
  const float* source = static_cast<const float*>(call.operands[0]);
  int64_t image_stride = conv.source.height * pixels.row_stride;
  int64_t origin = 0;  // of the window's first pixel's taps
  if (!conv.in_place && pixels.tap_count > 0) {
    float* scratch =
        reinterpret_cast<float*>(static_cast<char*>(call.scratch) + conv.window_offset);
    source =
        open_windows(pixels, conv.source, conv.stride_height, conv.stride_width, source, unit.image,
                     unit.images, rows, 0, conv.source.channels, conv.multiplier, scratch);
    image_stride = pixels.image_stride;
    origin = pixels.top * pixels.row_stride + pixels.left * pixels.pixel_stride;
  } else {
    source += unit.image * image_stride;
  }
  float* result = class_result(conv, pixels, call, unit.image, rows.first);
  const int64_t channels = conv.result.channels;
  DepthwiseTile tile;
  tile.finish = finish;
  tile.channel = 0;
  tile.w = static_cast<const float*>(call.operands[1]);
  tile.w_stride = conv.shape.out_channels;
  tile.taps = pixels.taps;
  tile.tap_columns = pixels.tap_columns;
  tile.row_at = pixels.tap_row_at;
  tile.column_at = pixels.tap_column_at;
  tile.row_stride = pixels.row_stride;
  tile.column_stride = pixels.pixel_stride;
  tile.source_stride = conv.stride_width * pixels.pixel_stride;
  tile.result_stride = conv.step_width * channels;
  for (int64_t image = 0; image < unit.images; ++image) {
    for (int64_t j = 0; j < rows.count; ++j) {
      const int64_t row = conv.in_place ? rows.first + j : j;
      const TapRows taps =
          conv.in_place ? inside_tap_rows(pixels, conv.stride_height, conv.source.height, row)
                        : TapRows{0, pixels.tap_rows};
      tile.first_row = taps.begin;
      tile.end_row = taps.end;
      tile.source =
          source + image * image_stride + row * conv.stride_height * pixels.row_stride - origin;
      tile.result = result + (image * conv.result.height + j * conv.step_height) *
                                 conv.result.width * channels;
      const int64_t bottom = row * conv.stride_height + pixels.top + pixels.extra_rows - 1;
      depthwise_row(conv, pixels, tile, source + image * image_stride, bottom);
    }
  }
}

// Unit: a block of images or rows.
inline void conv_depthwise(const Call& call, int64_t begin, int64_t end) {
  const ConvArguments& conv = conv_arguments(call);
  const CallFinish finish(call);
  for (int64_t index = begin; index < end; ++index) {
    const ConvBlock unit = conv_block(conv, index);
    for (int64_t c = 0; c < conv.class_count; ++c)
      depthwise_class(conv, conv.classes[c], call, unit, finish.get());
    if (finish.get() == nullptr) conv_finish(conv, call, unit, 0, conv.result.channels);
  }
}

// dw[tap] += sum over pixels of x[pixel + tap] * dy[pixel], for one vector of channels and Taps
// taps.
template <int Taps>
NNC_INLINE void depthwise_weight_tile(const float* x, const int64_t* tap_steps,
                                      const int64_t* pixel_steps, const float* dy,
                                      int64_t dy_stride, int64_t pixels, float* dw,
                                      int64_t dw_stride, int64_t lanes, bool accumulate) {
  Float sum[Taps];
  const float* from[Taps];
#pragma GCC unroll 4
  for (int t = 0; t < Taps; ++t) {
    sum[t] = accumulate ? Float::load_partial(dw + t * dw_stride, lanes) : Float::zero();
    from[t] = x + tap_steps[t];
  }
  if (lanes == kLanes) {
    for (int64_t p = 0; p < pixels; ++p) {
      const Float gradient = Float::load(dy + p * dy_stride);
#pragma GCC unroll 4
      for (int t = 0; t < Taps; ++t)
        sum[t] = fma(Float::load(from[t] + pixel_steps[p]), gradient, sum[t]);
    }
  } else {
    for (int64_t p = 0; p < pixels; ++p) {
      const Float gradient = Float::load_partial(dy + p * dy_stride, lanes);
#pragma GCC unroll 4
      for (int t = 0; t < Taps; ++t) {
        sum[t] = fma(Float::load_partial(from[t] + pixel_steps[p], lanes), gradient, sum[t]);
      }
    }
  }
#pragma GCC unroll 4
  for (int t = 0; t < Taps; ++t) sum[t].store_partial(dw + t * dw_stride, lanes);
}

}  // namespace nnrt::NNC_ISA
