// The part of an image under a block of output pixels, with the padding written out as zeros.
#pragma once

#include "cpu/conv/conv.h"
#include "cpu/isa/vector.h"

namespace nnrt::NNC_ISA {

NNC_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
NNC_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

struct WindowCopy {
  ImageShape image;
  int64_t first_row, first_column;  // in the image; may lie outside of it
  int64_t rows, columns;
  int64_t first_channel, channels;  // of the image
  int64_t multiplier;               // each channel is written this many times
  int64_t pixel_stride, row_stride;
};

NNC_INLINE void zero_floats(float* to, int64_t count) {
  if (count > 0) __builtin_memset(to, 0, static_cast<size_t>(count) * sizeof(float));
}

inline void copy_pixels(const WindowCopy& copy, const float* from, int64_t pixels, float* to) {
  const int64_t channels = copy.channels;
  if (copy.multiplier > 1) {
    for (int64_t pixel = 0; pixel < pixels;
         ++pixel, from += copy.image.channels, to += copy.pixel_stride) {
      for (int64_t o = 0; o < channels * copy.multiplier; ++o) to[o] = from[o / copy.multiplier];
    }
  } else if (channels == copy.image.channels && channels == copy.pixel_stride) {
    __builtin_memcpy(to, from, static_cast<size_t>(pixels * channels) * sizeof(float));
  } else {
    for (int64_t pixel = 0; pixel < pixels;
         ++pixel, from += copy.image.channels, to += copy.pixel_stride) {
      int64_t c = 0;
      for (; c + kLanes <= channels; c += kLanes) Float::load(from + c).store(to + c);
      if (c < channels)
        Float::load_partial(from + c, channels - c).store_partial(to + c, channels - c);
    }
  }
}

inline void copy_window(const WindowCopy& copy, const float* image, float* to) {
  const int64_t left = smaller(copy.columns, larger(0, -copy.first_column));
  const int64_t inside =
      larger(0, smaller(copy.columns, copy.image.width - copy.first_column) - left);
  for (int64_t r = 0; r < copy.rows; ++r, to += copy.row_stride) {
    const int64_t y = copy.first_row + r;
    if (y < 0 || y >= copy.image.height || inside == 0) {
      zero_floats(to, copy.columns * copy.pixel_stride);
      continue;
    }
    zero_floats(to, left * copy.pixel_stride);
    const float* from = image +
                        (y * copy.image.width + copy.first_column + left) * copy.image.channels +
                        copy.first_channel;
    copy_pixels(copy, from, inside, to + left * copy.pixel_stride);
    zero_floats(to + (left + inside) * copy.pixel_stride,
                (copy.columns - left - inside) * copy.pixel_stride);
  }
}

// Rows [first, first + count) of the class that lie in rows [begin, end) of the result.
struct ClassRows {
  int64_t first, count;
};
NNC_INLINE ClassRows class_rows(const ResidueClass& pixels, int64_t step, int64_t begin,
                                int64_t end) {
  const int64_t first = begin <= pixels.first_row ? 0 : ceil_div(begin - pixels.first_row, step);
  const int64_t last =
      end <= pixels.first_row ? 0 : smaller(pixels.rows, ceil_div(end - pixels.first_row, step));
  return {first, larger(0, last - first)};
}

// Rows of taps [begin, end) that lie inside the image for pixel row `row` of the class.
struct TapRows {
  int64_t begin, end;
};
NNC_INLINE TapRows inside_tap_rows(const ResidueClass& pixels, int64_t stride_height,
                                   int64_t height, int64_t row) {
  int64_t begin = 0, end = pixels.tap_rows;
  while (begin < end && row * stride_height + pixels.tap_row_at[begin] < 0) ++begin;
  while (begin < end && row * stride_height + pixels.tap_row_at[end - 1] >= height) --end;
  return {begin, end};
}

// Where the class' windows of `images` images from `image` on begin: in the source itself, or in
// `scratch` after a copy.
inline const float* open_windows(const ResidueClass& pixels, const ImageShape& shape,
                                 int64_t stride_height, int64_t stride_width, const float* source,
                                 int64_t image, int64_t images, ClassRows rows,
                                 int64_t first_channel, int64_t channels, int64_t multiplier,
                                 float* scratch) {
  const int64_t first_row = rows.first * stride_height + pixels.top;
  const int64_t image_floats = shape.height * shape.width * shape.channels;
  if (pixels.direct) {
    return source + image * image_floats +
           (first_row * shape.width + pixels.left) * shape.channels + first_channel;
  }
  WindowCopy copy;
  copy.image = shape;
  copy.first_row = first_row;
  copy.first_column = pixels.left;
  copy.rows = (rows.count - 1) * stride_height + pixels.extra_rows;
  copy.columns = (pixels.columns - 1) * stride_width + pixels.extra_columns;
  copy.first_channel = first_channel;
  copy.channels = channels;
  copy.multiplier = multiplier;
  copy.pixel_stride = pixels.pixel_stride;
  copy.row_stride = pixels.row_stride;
  for (int64_t i = 0; i < images; ++i) {
    copy_window(copy, source + (image + i) * image_floats, scratch + i * pixels.image_stride);
  }
  return scratch;
}

}  // namespace nnrt::NNC_ISA
