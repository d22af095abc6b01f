// Pooling over NHWC images: geometry, and the vector functions.
#pragma once

#include <algorithm>
#include <cstdint>

namespace nnrt {

struct PoolTable;

// One of the two axes of a window.
struct PoolAxis {
  int64_t input = 0;
  int64_t output = 0;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t before = 0;  // padding
  int64_t dilation = 1;

  int64_t start(int64_t position) const { return position * stride - before; }
  // Taps that lie inside the input.
  int64_t first_tap(int64_t position) const {
    const int64_t at = start(position);
    return at >= 0 ? 0 : std::min(kernel, (-at + dilation - 1) / dilation);
  }
  int64_t end_tap(int64_t position) const {
    const int64_t room = input - 1 - start(position);
    return room < 0 ? 0 : std::min(kernel, room / dilation + 1);
  }
  // Windows that an input position may lie in, for dilation 1.
  int64_t first_window(int64_t at) const {
    const int64_t last_start = at + before - kernel + 1;
    return last_start <= 0 ? 0 : (last_start + stride - 1) / stride;
  }
  int64_t end_window(int64_t at) const { return std::min(output, (at + before) / stride + 1); }
  // Positions [first_inside, end_inside) have all their taps inside.
  int64_t first_inside() const { return std::min(output, (before + stride - 1) / stride); }
  int64_t end_inside() const {
    const int64_t room = input + before - ((kernel - 1) * dilation + 1);
    return room < 0 ? first_inside() : std::clamp(room / stride + 1, first_inside(), output);
  }
  bool overlaps() const { return stride < (kernel - 1) * dilation + 1; }
  // Taps of one window that lie inside, at most.
  int64_t most_taps() const {
    return std::min(kernel, (std::max<int64_t>(1, input) - 1) / dilation + 1);
  }
  // No tap lies further than this from the input's first position.
  int64_t farthest() const { return before + input + kernel * dilation + stride; }
};

struct PoolArguments {
  const PoolTable* table = nullptr;
  int64_t images = 0;
  int64_t channels = 0;
  PoolAxis rows;
  PoolAxis columns;
  bool count_padding = false;
  int64_t unit = 1;            // rows of a unit
  int64_t channel_blocks = 1;  // of max_pool_backward with overlapping windows
  bool wide_index = false;     // numbers of taps are i32, not u8
  bool stream = false;         // max_pool_backward: non-temporal stores of dx

  int64_t input_row() const { return columns.input * channels; }
  int64_t output_row() const { return columns.output * channels; }
  int64_t input_image() const { return rows.input * input_row(); }
  int64_t output_image() const { return rows.output * output_row(); }
  int64_t index_bytes() const { return wide_index ? 4 : 1; }
  // What an average divides by.
  double divisor(int64_t row, int64_t column) const {
    if (count_padding) return static_cast<double>(rows.kernel * columns.kernel);
    const int64_t inside =
        std::max<int64_t>(0, rows.end_tap(row) - rows.first_tap(row)) *
        std::max<int64_t>(0, columns.end_tap(column) - columns.first_tap(column));
    return static_cast<double>(std::max<int64_t>(1, inside));
  }
};

struct PoolTable {
  // One row of the output from an image.
  void (*maximum)(const PoolArguments& arguments, float* y_row, const float* image, int64_t row);
  void (*average)(const PoolArguments& arguments, float* y_row, const float* image, int64_t row);
  // And the numbers of the maxima's taps (u8 or i32).
  void (*maximum_index)(const PoolArguments& arguments, float* y_row, void* index_row,
                        const float* image, int64_t row);
  // Adds (overlapping windows) or writes (else) the gradients of one row of the output, channels
  // [first, last). The index is not trusted: a number that names no tap inside the image adds
  // nothing anywhere.
  void (*maximum_backward)(const PoolArguments& arguments, float* dx_image, const void* index_row,
                           const float* dy_row, int64_t row, int64_t first, int64_t last);
  // Writes the gradients of one row of the output, whose windows do not overlap.
  void (*average_backward)(const PoolArguments& arguments, float* dx_image, const float* dy_row,
                           int64_t row);
  // One row of the input's gradient, from windows that overlap.
  void (*average_backward_overlapping)(const PoolArguments& arguments, float* dx_row,
                                       const float* dy_image, int64_t row);
};

}  // namespace nnrt
