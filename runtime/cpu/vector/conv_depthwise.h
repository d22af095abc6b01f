// Depthwise convolutions on vectors of channels: every result channel has one source channel, so
// nothing is summed but the taps.
#pragma once

#include "cpu/conv.h"
#include "cpu/vector/conv_block.h"
#include "cpu/vector/finish.h"

namespace nnrt::NNC_ISA {

struct DepthwiseTile {
  const float* source;
  int64_t source_stride;  // between pixels
  float* result;
  int64_t result_stride;
  const float* w;
  int64_t w_stride;  // between taps
  const int64_t* taps;
  const int64_t* tap_steps;
  int64_t tap_count;
  int64_t lanes;  // of the last vector
  const Finisher* finish;
  int64_t channel;
};

template <int Pixels, int Vectors>
NNC_INLINE void depthwise_tile(const DepthwiseTile& tile) {
  Float sum[Pixels][Vectors];
#pragma GCC unroll 8
  for (int p = 0; p < Pixels; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[p][v] = Float::zero();
  }
  const bool whole = tile.lanes == kLanes;
  for (int64_t t = 0; t < tile.tap_count; ++t) {
    const float* w = tile.w + tile.taps[t] * tile.w_stride;
    const float* source = tile.source + tile.tap_steps[t];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      const bool full = whole || v + 1 < Vectors;
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
#pragma GCC unroll 8
  for (int p = 0; p < Pixels; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
      float* to = tile.result + p * tile.result_stride + v * kLanes;
      const int64_t channel = tile.channel + v * kLanes;
      if (tile.finish != nullptr) {
        if (whole || v + 1 < Vectors) {
          tile.finish->store(sum[p][v], to, channel);
        } else {
          tile.finish->store_partial(sum[p][v], to, channel, tile.lanes);
        }
      } else if (whole || v + 1 < Vectors) {
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
  tile.lanes = kLanes;
  while (c + 2 * kLanes <= channels) {
    depthwise_tile<Pixels, 2>(tile);
    advance(2 * kLanes);
  }
  while (c < channels) {
    tile.lanes = smaller(kLanes, channels - c);
    depthwise_tile<Pixels, 1>(tile);
    advance(tile.lanes);
  }
}

inline void depthwise_class(const ConvArguments& conv, const ConvClass& pixels, const Call& call,
                            const ConvBlock& unit, const Finisher* finish) {
  const ClassRows rows = class_rows(pixels, conv.step_height, unit.first_row, unit.end_row);
  if (rows.count == 0 || pixels.columns == 0) return;
  float* scratch = reinterpret_cast<float*>(static_cast<char*>(call.scratch) + conv.window_offset);
  const float* source = static_cast<const float*>(call.operands[0]);
  if (pixels.tap_count > 0) {
    source =
        open_windows(pixels, conv.source, conv.stride_height, conv.stride_width, source, unit.image,
                     unit.images, rows, 0, conv.source.channels, conv.multiplier, scratch);
  }
  float* result = class_result(conv, pixels, call, unit.image, rows.first);
  const int64_t channels = conv.result.channels;
  DepthwiseTile tile;
  tile.finish = finish;
  tile.channel = 0;
  tile.w = static_cast<const float*>(call.operands[1]);
  tile.w_stride = conv.shape.out_channels;
  tile.taps = pixels.taps;
  tile.tap_steps = pixels.tap_steps;
  tile.tap_count = pixels.tap_count;
  tile.source_stride = conv.stride_width * pixels.pixel_stride;
  tile.result_stride = conv.step_width * channels;
  constexpr int kPixels = 4;
  const int64_t lines = unit.images * rows.count;
  for (int64_t line = 0; line < lines; ++line) {
    for (int64_t i = 0; i < pixels.columns;) {
      const int64_t pixel = line * pixels.columns + i;
      tile.source = source + pixels.source_rows[pixel];
      tile.result = result + pixels.result_rows[pixel];
      if (i + kPixels <= pixels.columns) {
        depthwise_pixels<kPixels>(tile, channels);
        i += kPixels;
      } else {
        depthwise_pixels<1>(tile, channels);
        ++i;
      }
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
