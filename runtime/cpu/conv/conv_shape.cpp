// The sizes of a convolution from attributes and tensors, checked.
#include <algorithm>
#include <string>
#include <utility>

#include "cpu/bind.h"
#include "cpu/conv/conv.h"

namespace nnrt {
namespace {

// The most elements of an image with its padding, since windows are copied with it; as for any
// tensor.
constexpr __int128 kMostPadded = int64_t{1} << 48;
// The gradient of an image has a class of pixels for each position under a stride, with tables made
// from the taps. Strides and kernels of networks are below 1000.
constexpr int64_t kMostClasses = 1 << 16;
constexpr int64_t kMostClassTaps = 1 << 26;

void expect_between(int64_t value, int64_t least, const std::string& what) {
  NNC_CHECK(value >= least && value < kMostExtent,
            "convolution: " + what + " is " + std::to_string(value));
}

// Output extent along one axis; 0 if the window does not fit.
int64_t out_extent(int64_t in, const Window& window) {
  const int64_t room = in + window.before + window.after - window.reach();
  return room < 0 ? 0 : room / window.stride + 1;
}

Window window_of(const AttributeMap& attributes, size_t axis, int64_t kernel) {
  const std::vector<int64_t> padding = integers_attribute(attributes, "padding", 4);
  Window window;
  window.kernel = kernel;
  window.stride = integers_attribute(attributes, "stride", 2)[axis];
  window.dilation = integers_attribute(attributes, "dilation", 2)[axis];
  window.before = padding[2 * axis];
  window.after = padding[2 * axis + 1];
  check_window(window, "convolution");
  return window;
}

void set_windows(const Window& rows, const Window& columns, ConvShape& shape) {
  shape.kernel_height = rows.kernel;
  shape.kernel_width = columns.kernel;
  shape.stride_height = rows.stride;
  shape.stride_width = columns.stride;
  shape.dilation_height = rows.dilation;
  shape.dilation_width = columns.dilation;
  shape.pad_top = rows.before;
  shape.pad_left = columns.before;
}

void check_sizes(const ConvShape& shape, const Window& rows, const Window& columns) {
  const auto extent = [](int64_t in, const Window& window) {
    return static_cast<__int128>(in + window.before + window.after + window.reach() +
                                 window.stride);
  };
  const __int128 pixels = extent(shape.in_height, rows) * extent(shape.in_width, columns);
  NNC_CHECK(pixels * std::max(shape.in_channels, shape.out_channels) <= kMostPadded,
            "convolution: the image with its padding is too large");
}

}  // namespace

void check_classes(const ConvShape& shape) {
  const int64_t classes =
      std::min(shape.stride_height, shape.in_height) * std::min(shape.stride_width, shape.in_width);
  NNC_CHECK(classes <= kMostClasses &&
                classes * (shape.kernel_height + shape.kernel_width) <= kMostClassTaps,
            "convolution: strides of " + std::to_string(shape.stride_height) + " x " +
                std::to_string(shape.stride_width) + " are too large for a gradient");
}

double ConvShape::flops() const {
  return 2.0 * static_cast<double>(images * out_height * out_width) *
         static_cast<double>(kernel_height * kernel_width * group_in()) *
         static_cast<double>(out_channels);
}

ConvShape conv_shape(const BindRequest& request, const TensorInfo& x, const TensorInfo& w,
                     const TensorInfo& y, bool exact) {
  NNC_CHECK(x.rank() == 4 && w.rank() == 4 && y.rank() == 4, "convolution takes tensors of rank 4");
  ConvShape shape;
  for (const TensorInfo* info : {&x, &w, &y}) {
    for (int64_t dim : info->shape) expect_between(dim, 0, "an extent");
  }
  const Window rows = window_of(*request.attributes, 0, w.shape[0]);
  const Window columns = window_of(*request.attributes, 1, w.shape[1]);
  set_windows(rows, columns, shape);
  shape.groups = integer_attribute(*request.attributes, "groups", 1);
  expect_between(shape.groups, 1, "groups");
  shape.images = x.shape[0];
  shape.in_height = x.shape[1];
  shape.in_width = x.shape[2];
  shape.in_channels = x.shape[3];
  shape.out_height = y.shape[1];
  shape.out_width = y.shape[2];
  shape.out_channels = y.shape[3];
  expect_between(shape.in_channels, 1, "the number of channels");
  expect_between(shape.out_channels, 1, "the number of channels");
  check_sizes(shape, rows, columns);
  NNC_CHECK(y.shape[0] == shape.images, "convolution: batch sizes do not fit");
  NNC_CHECK(shape.in_channels % shape.groups == 0 && shape.out_channels % shape.groups == 0,
            "convolution: channels are not a multiple of groups");
  NNC_CHECK(w.shape[2] == shape.group_in() && w.shape[3] == shape.out_channels,
            "convolution: weights do not fit the channels");
  if (exact) {
    for (const auto& [input, window] :
         {std::pair{shape.in_height, rows}, std::pair{shape.in_width, columns}}) {
      NNC_CHECK(window.reach() <= input + window.before + window.after,
                "convolution: " + too_small(input, window));
    }
  }
  const int64_t height = out_extent(shape.in_height, rows);
  const int64_t width = out_extent(shape.in_width, columns);
  const bool fits = exact ? height == shape.out_height && width == shape.out_width
                          : height >= shape.out_height && width >= shape.out_width;
  NNC_CHECK(fits, "convolution: the result is " + std::to_string(shape.out_height) + " x " +
                      std::to_string(shape.out_width) + ", not " + std::to_string(height) + " x " +
                      std::to_string(width));
  return shape;
}

}  // namespace nnrt
