// Depthwise convolutions on vectors of channels: every result channel has one source channel, so
// nothing is summed but the taps.
#pragma once

#include "cpu/conv/conv.h"
#include "cpu/conv/vector/conv_block.h"
#include "cpu/conv/vector/depthwise_tile.h"

namespace nnrt::NNC_ISA {

// An end of what lies inside that no source pixel reaches.
inline constexpr int64_t kEverywhere = int64_t{1} << 40;

// The tile of pixels [first, first + count) of a row asks for its share of the source's rows at
// `ahead`, where there are any.
NNC_INLINE void prefetch_ahead(const ConvArguments& conv, DepthwiseTile& tile, const float* ahead,
                               int64_t first, int64_t count) {
  if (ahead == nullptr) return;
  const int64_t under = conv.stride_height * conv.stride_width;  // source pixels of each
  tile.ahead = ahead + first * under * conv.source.channels;
  tile.ahead_lines = ceil_div(count * under * kLanes, kLine / 4);
}

// A row of pixels in runs of nearly equal length. `ahead`: rows of the source that the next row of
// pixels is the first to read; the taps of a few pixels lie in too many places to be foreseen.
inline void depthwise_runs_row(const ConvArguments& conv, const ResidueClass& pixels,
                               const DepthwiseRuns& runs, DepthwiseTile tile, const float* ahead) {
  const float* const source = tile.source;
  float* const result = tile.result;
  const int64_t count = ceil_div(pixels.columns, kRunPixels);
  const int64_t low = pixels.columns / count, tall = pixels.columns % count;
  const int64_t below = conv.step_height * conv.result.width * conv.result.channels;
  for (int64_t run = 0, i = 0; run < count; ++run) {
    const int64_t length = low + (run < tall ? 1 : 0);
    const int64_t x = i * conv.stride_width;
    const int64_t first = x + pixels.tap_column_at[0];
    tile.source = source + x * pixels.pixel_stride;
    tile.result = result + i * tile.result_stride;
    tile.first_inside = conv.in_place ? larger(0, -first) : 0;
    tile.end_inside = conv.in_place ? conv.source.width - first : kEverywhere;
    prefetch_ahead(conv, tile, ahead, i, length);
    if (tile.epilogue != nullptr) {
      tile.epilogue->prefetch<2>(
          tile.result + below, [&](int64_t p) { return p * tile.result_stride; }, length,
          conv.result.channels);
    }
    runs.of[length - 1](tile, conv.result.channels);
    i += length;
  }
}

// A row of pixels: where all columns of taps lie inside the image several pixels at a time, at its
// ends one by one.
inline void depthwise_row(const ConvArguments& conv, const ResidueClass& pixels, DepthwiseTile tile,
                          const float* ahead) {
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
    prefetch_ahead(conv, tile, ahead, i, several ? kPixels : 1);
    if (several) {
      depthwise_pixels<kPixels>(tile, conv.result.channels);
      i += kPixels;
    } else {
      depthwise_pixels<1>(tile, conv.result.channels);
      ++i;
    }
  }
}

// The rows of the source that the pixels below the window ending at row `bottom` of an image are
// the first to read, which may be those of the next image; nullptr at the end.
inline const float* rows_below(const ConvArguments& conv, const Call& call, int64_t image,
                               int64_t bottom) {
  const int64_t row_floats = conv.source.width * conv.source.channels;
  const int64_t row = image * conv.source.height + larger(0, bottom + 1);
  if (row + conv.stride_height > conv.images * conv.source.height) return nullptr;
  return static_cast<const float*>(call.operands[0]) + row * row_floats;
}

// In the image itself, without the taps that lie outside of it; several results of a source channel
// read a window in which it is repeated. `cached`: the source need not be asked for.
inline void depthwise_class(const ConvArguments& conv, const ResidueClass& pixels, const Call& call,
                            const ConvBlock& unit, const VectorEpilogue* epilogue,
                            StoreMode writing, bool cached) {
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
  tile.epilogue = epilogue;
  tile.stream = writing == StoreMode::non_temporal;
  tile.channel = 0;
  tile.ahead_lines = 0;
  tile.result_ahead =
      writing == StoreMode::prefetched ? conv.step_height * conv.result.width * channels : 0;
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
  const DepthwiseRuns* const runs = depthwise_runs(pixels, conv.stride_width);
  const bool prefetch = conv.in_place && pixels.tap_count > 0 && !cached;
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
      const float* ahead = prefetch ? rows_below(conv, call, unit.image + image, bottom) : nullptr;
      if (runs != nullptr) {
        depthwise_runs_row(conv, pixels, *runs, tile, ahead);
      } else {
        depthwise_row(conv, pixels, tile, ahead);
      }
    }
  }
}

// Unit: a block of images or rows.
inline void conv_depthwise(const Call& call, int64_t begin, int64_t end) {
  const ConvArguments& conv = conv_arguments(call);
  const CallEpilogue epilogue(call);
  for (int64_t index = begin; index < end; ++index) {
    const ConvBlock unit = conv_block(conv, index);
    for (int64_t c = 0; c < conv.class_count; ++c)
      depthwise_class(conv, conv.classes[c], call, unit, epilogue.get(), conv.writing, false);
    if (epilogue.get() == nullptr) conv_epilogue(conv, call, unit, 0, conv.result.channels);
  }
  if (conv.writing == StoreMode::non_temporal) stream_fence();
}

}  // namespace nnrt::NNC_ISA
