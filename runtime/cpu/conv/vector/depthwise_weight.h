// The gradient of a depthwise convolution's weights on vectors of channels: dw[tap][channel] = sum
// over pixels of x[pixel + tap][channel] dy[pixel][channel].
#pragma once

#include "cpu/conv/conv.h"
#include "cpu/conv/vector/conv_weight.h"
#include "cpu/row_streaming.h"

namespace nnrt::NNC_ISA {

// Some rows of pixels of an image, one vector of channels.
struct DepthwiseWeightRows {
  const float* x;  // the image
  int64_t x_height, x_width, x_pixel;
  const float* dy;  // row 0
  int64_t dy_width, dy_pixel;
  int64_t first, end;  // rows
  int64_t stride_height;
  const int64_t* row_at;  // rows of taps
  int64_t column_at;      // the first column of taps
  // What comes after these rows, from each pixel of them; 0: nothing. x: in memory.
  const float* x_prefetched;
  int64_t x_ahead, dy_ahead;
  float* dw;  // the first tap
  int64_t dw_tap;
  int64_t lanes;
  bool accumulate;
};

// Pixels of a run: each of x is read once for all the taps of a row that it is under. With the sums
// of nine taps they fit into 16 registers.
inline constexpr int kWeightPixels = 4;

// Rows x Columns neighbouring taps. Each sum runs in ascending order of pixels.
template <int Rows, int Columns, int Stride, bool Whole>
void depthwise_weight_rows(const DepthwiseWeightRows& at) {
  constexpr int kUnder = (kWeightPixels - 1) * Stride + Columns;  // pixels of x under a run
  const auto load = [&](const float* from) __attribute__((always_inline)) {
    return Whole ? Float::load(from) : Float::load_partial(from, at.lanes);
  };
  Float sum[Rows][Columns];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j)
      sum[r][j] = at.accumulate ? load(at.dw + (r * Columns + j) * at.dw_tap) : Float::zero();
  }
  const int64_t x_row = at.x_width * at.x_pixel;
  for (int64_t row = at.first; row < at.end; ++row) {
    const int64_t top = row * at.stride_height;
    const float* dy = at.dy + row * at.dy_width * at.dy_pixel;
    for (int64_t p = 0; p < at.dy_width; p += kWeightPixels) {
      const int64_t count = smaller(kWeightPixels, at.dy_width - p);
      const int64_t left = p * Stride + at.column_at;
      Float gradient[kWeightPixels];
#pragma GCC unroll 8
      for (int i = 0; i < kWeightPixels; ++i)
        gradient[i] = i < count ? load(dy + (p + i) * at.dy_pixel) : Float::zero();
      if (at.dy_ahead != 0) {
        for (int64_t i = 0; i < count; ++i)
          __builtin_prefetch(dy + (p + i) * at.dy_pixel + at.dy_ahead, 0, 2);
      }
      if (at.x_ahead != 0) {
        const float* const x = at.x_prefetched + top * x_row + p * Stride * at.x_pixel + at.x_ahead;
        for (int64_t y = 0; y < at.stride_height; ++y) {
          for (int64_t i = 0; i < count * Stride; ++i)
            __builtin_prefetch(x + y * x_row + i * at.x_pixel, 0, 2);
        }
      }
      const bool inside = count == kWeightPixels && left >= 0 && left + kUnder <= at.x_width;
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        const int64_t y = top + at.row_at[r];
        if (y < 0 || y >= at.x_height) continue;
        const float* const x = at.x + y * x_row + left * at.x_pixel;
        if (inside) {
#pragma GCC unroll 16
          for (int k = 0; k < kUnder; ++k) {
            const Float pixel = load(x + k * at.x_pixel);
#pragma GCC unroll 8
            for (int j = 0; j < Columns; ++j) {
              const int i = (k - j) / Stride;
              if (k >= j && (k - j) % Stride == 0 && i < kWeightPixels)
                sum[r][j] = fma(pixel, gradient[i], sum[r][j]);
            }
          }
        } else {
#pragma GCC unroll 16
          for (int k = 0; k < kUnder; ++k) {
            if (left + k < 0 || left + k >= at.x_width) continue;
            const Float pixel = load(x + k * at.x_pixel);
#pragma GCC unroll 8
            for (int j = 0; j < Columns; ++j) {
              const int i = (k - j) / Stride;
              if (k >= j && (k - j) % Stride == 0 && i < kWeightPixels && i < count)
                sum[r][j] = fma(pixel, gradient[i], sum[r][j]);
            }
          }
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j) {
      float* const to = at.dw + (r * Columns + j) * at.dw_tap;
      if (Whole) {
        sum[r][j].store(to);
      } else {
        sum[r][j].store_partial(to, at.lanes);
      }
    }
  }
}

// For so many rows of taps at a time; `of` by their number and whether the vector is whole.
struct DepthwiseWeightRuns {
  int64_t rows;
  void (*of[3][2])(const DepthwiseWeightRows& at);
};
template <int Stride>
inline constexpr DepthwiseWeightRuns kThreeColumns = {
    3,
    {{&depthwise_weight_rows<1, 3, Stride, false>, &depthwise_weight_rows<1, 3, Stride, true>},
     {&depthwise_weight_rows<2, 3, Stride, false>, &depthwise_weight_rows<2, 3, Stride, true>},
     {&depthwise_weight_rows<3, 3, Stride, false>, &depthwise_weight_rows<3, 3, Stride, true>}}};
template <int Stride>
inline constexpr DepthwiseWeightRuns kFiveColumns = {
    1, {{&depthwise_weight_rows<1, 5, Stride, false>, &depthwise_weight_rows<1, 5, Stride, true>}}};

// Those for a kernel; nullptr where its taps are taken by depthwise_weight_tile.
inline const DepthwiseWeightRuns* depthwise_weight_runs(const ConvShape& shape) {
  if (shape.group_out() != 1 || shape.dilation_width != 1) return nullptr;
  const int64_t columns = shape.kernel_width, stride = shape.stride_width;
  if (columns == 3 && stride == 1) return &kThreeColumns<1>;
  if (columns == 3 && stride == 2) return &kThreeColumns<2>;
  if (columns == 5 && stride == 1) return &kFiveColumns<1>;
  if (columns == 5 && stride == 2) return &kFiveColumns<2>;
  return nullptr;
}

inline bool weight_in_place(const ConvShape& shape) {
  return depthwise_weight_runs(shape) != nullptr;
}

// Some channels over a block of pixels, added to dw where `accumulate`. Where `ask_x` and `ask_dy`,
// what comes after the block is asked for.
inline void depthwise_weight_block(const ConvWeightArguments& weight, const Call& call,
                                   const DepthwiseWeightRuns& runs, const float* source,
                                   const PixelBlock& block, int64_t first_channel, int64_t channels,
                                   float* dw, bool accumulate, bool prefetch_x, bool prefetch_dy) {
  const ConvShape& shape = weight.shape;
  const int64_t x_image = shape.in_height * shape.in_width * shape.in_channels;
  const int64_t dy_image = shape.out_height * shape.out_width * shape.out_channels;
  const int64_t rows = block.rows.count;
  DepthwiseWeightRows at;
  at.x_height = shape.in_height;
  at.x_width = shape.in_width;
  at.x_pixel = at.dy_pixel = at.dw_tap = shape.in_channels;
  at.dy_width = shape.out_width;
  at.first = block.rows.first;
  at.end = at.first + rows;
  at.stride_height = shape.stride_height;
  at.column_at = -shape.pad_left;
  const bool whole = rows == shape.out_height;
  const int64_t x_ahead = whole ? block.images * x_image
                                : rows * shape.stride_height * shape.in_width * shape.in_channels;
  const int64_t dy_ahead =
      whole ? block.images * dy_image : rows * shape.out_width * shape.out_channels;
  for (int64_t c = 0; c < channels; c += kLanes) {
    at.lanes = smaller(kLanes, channels - c);
    for (int64_t row = 0; row < shape.kernel_height; row += runs.rows) {
      at.row_at = weight.pixels.tap_row_at + row;
      at.x_ahead = row == 0 && prefetch_x ? x_ahead : 0;
      at.dy_ahead = row == 0 && prefetch_dy ? dy_ahead : 0;
      at.dw = dw + row * shape.kernel_width * at.dw_tap + c;
      const int64_t count = smaller(runs.rows, shape.kernel_height - row);
      for (int64_t i = 0; i < block.images; ++i) {
        const int64_t x_at = (block.image + i) * x_image + first_channel + c;
        at.x = source + x_at;
        at.x_prefetched = prefetched_source(call) + x_at;
        at.dy = static_cast<const float*>(call.operands[1]) + (block.image + i) * dy_image +
                first_channel + c;
        at.accumulate = accumulate || i > 0;
        runs.of[count - 1][at.lanes == kLanes ? 1 : 0](at);
      }
    }
  }
}

// dw[tap] += sum over pixels of x[pixel + tap] * dy[pixel], for one vector of channels and Taps
// taps. The same number of later pixels of dy is prefetched meanwhile.
template <int Taps>
void depthwise_weight_tile(const float* x, const int64_t* tap_steps, const int64_t* pixel_steps,
                           const float* dy, int64_t dy_stride, int64_t pixels, float* dw,
                           int64_t dw_stride, int64_t lanes, bool accumulate) {
  Float sum[Taps];
  const float* from[Taps];
#pragma GCC unroll 16
  for (int t = 0; t < Taps; ++t) {
    sum[t] = accumulate ? Float::load_partial(dw + t * dw_stride, lanes) : Float::zero();
    from[t] = x + tap_steps[t];
  }
  if (lanes == kLanes) {
    for (int64_t p = 0; p < pixels; ++p) {
      const Float gradient = Float::load(dy + p * dy_stride);
      __builtin_prefetch(dy + (pixels + p) * dy_stride, 0, 2);
#pragma GCC unroll 16
      for (int t = 0; t < Taps; ++t)
        sum[t] = fma(Float::load(from[t] + pixel_steps[p]), gradient, sum[t]);
    }
  } else {
    for (int64_t p = 0; p < pixels; ++p) {
      const Float gradient = Float::load_partial(dy + p * dy_stride, lanes);
#pragma GCC unroll 16
      for (int t = 0; t < Taps; ++t) {
        sum[t] = fma(Float::load_partial(from[t] + pixel_steps[p], lanes), gradient, sum[t]);
      }
    }
  }
#pragma GCC unroll 16
  for (int t = 0; t < Taps; ++t) sum[t].store_partial(dw + t * dw_stride, lanes);
}

// Taps of a tile: as many sums keep both multiply-add units busy, and each vector of dy is read
// once for all of them. Three by three taps are one tile.
inline constexpr int kWeightTaps = 9;

using DepthwiseWeightTile = void (*)(const float* x, const int64_t* tap_steps,
                                     const int64_t* pixel_steps, const float* dy, int64_t dy_stride,
                                     int64_t pixels, float* dw, int64_t dw_stride, int64_t lanes,
                                     bool accumulate);
struct DepthwiseWeightTiles {
  DepthwiseWeightTile of[kWeightTaps];
};
template <int... Taps>
constexpr DepthwiseWeightTiles make_depthwise_weight_tiles(std::integer_sequence<int, Taps...>) {
  return {{&depthwise_weight_tile<Taps + 1>...}};
}
inline constexpr DepthwiseWeightTiles kDepthwiseWeightTiles =
    make_depthwise_weight_tiles(std::make_integer_sequence<int, kWeightTaps>());

// Unit: a block of result channels of one part.
inline void conv_weight_depthwise(const Call& call, int64_t begin, int64_t end) {
  const ConvWeightArguments& weight = conv_weight_arguments(call);
  const ConvShape& shape = weight.shape;
  const int64_t taps = shape.kernel_height * shape.kernel_width;
  const int64_t multiplier = shape.group_out();
  const int64_t stride = shape.out_channels;
  const int64_t group = even_part(taps, kWeightTaps);
  const DepthwiseWeightRuns* const runs = weight.in_place ? depthwise_weight_runs(shape) : nullptr;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t first_channel = unit % weight.channel_blocks * weight.channel_block;
    const int64_t channels = smaller(weight.channel_block, shape.in_channels - first_channel);
    const WeightPart part = weight_part(weight, call, unit / weight.channel_blocks);
    float* dw = part.dw + first_channel * multiplier;
    for (int64_t b = part.begin; b < larger(part.end, part.begin + 1); ++b) {
      if (runs != nullptr && b < part.end) {
        const bool prefetch = b + 1 < weight.image_blocks * weight.row_blocks;
        const PixelBlock block = pixel_block(weight, b);
        depthwise_weight_block(weight, call, *runs, weight_source(weight, call, block), block,
                               first_channel, channels, dw, b > part.begin, prefetch, prefetch);
        continue;
      }
      WeightPixels pixels = {static_cast<const float*>(call.operands[0]),
                             static_cast<const float*>(call.operands[1]),
                             0,
                             {0, 0}};
      if (b < part.end)
        pixels = weight_pixels(weight, call, static_cast<const float*>(call.operands[0]),
                               pixel_block(weight, b), first_channel, channels, multiplier);
      const float* dy = pixels.dy + first_channel * multiplier;
      for (int64_t o = 0; o < channels * multiplier; o += kLanes) {
        const int64_t lanes = smaller(kLanes, channels * multiplier - o);
        for (int64_t t = 0; t < taps; t += group) {
          kDepthwiseWeightTiles.of[smaller(group, taps - t) - 1](
              pixels.x + o, weight.pixels.tap_steps + t, weight.pixels.source_rows, dy + o, stride,
              pixels.count, dw + t * stride + o, stride, lanes, b > part.begin);
        }
      }
    }
  }
}

// Adds what the band's rows of dy give to its part, where x is read in place (RowKernel::run).
inline void conv_weight_depthwise_rows(const Call& call, const RowBand& band) {
  const ConvWeightArguments& weight = conv_weight_arguments(call);
  const ConvShape& shape = weight.shape;
  const DepthwiseWeightRuns& runs = *depthwise_weight_runs(shape);
  float* const dw = weight_sum(weight, call, band.part);
  for (int64_t row = band.first; row < band.end; row += weight.block_rows) {
    const PixelBlock block = {band.image, 1, {row, smaller(weight.block_rows, band.end - row)}};
    const bool prefetch = row + block.rows.count < shape.out_height;
    depthwise_weight_block(weight, call, runs, weight_source(weight, call, block), block, 0,
                           shape.in_channels, dw, !band.begins || row > band.first, prefetch,
                           prefetch && !band.cached);
  }
}

}  // namespace nnrt::NNC_ISA
