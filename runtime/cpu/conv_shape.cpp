// The sizes of a convolution from attributes and tensors, checked.
#include <limits>
#include <string>

#include "cpu/attributes.h"
#include "cpu/conv.h"

namespace nnrt {
namespace {

// Extents and steps beyond this are refused: no product of two of them overflows.
constexpr int64_t kMost = int64_t{1} << 31;

void expect_between(int64_t value, int64_t least, const std::string& what) {
  NNC_CHECK(value >= least && value < kMost,
            "convolution: " + what + " is " + std::to_string(value));
}

// Output extent along one axis; 0 where the window does not fit.
int64_t out_extent(int64_t in, int64_t before, int64_t after, int64_t kernel, int64_t stride,
                   int64_t dilation) {
  const int64_t room = in + before + after - dilation * (kernel - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

void set_attributes(const AttributeMap& attributes, ConvShape& shape,
                    std::vector<int64_t>& padding) {
  const std::vector<int64_t> stride = integers_attribute(attributes, "stride", 2);
  const std::vector<int64_t> dilation = integers_attribute(attributes, "dilation", 2);
  padding = integers_attribute(attributes, "padding", 4);
  for (int64_t value : stride) expect_between(value, 1, "stride");
  for (int64_t value : dilation) expect_between(value, 1, "dilation");
  for (int64_t value : padding) expect_between(value, 0, "padding");
  shape.stride_height = stride[0];
  shape.stride_width = stride[1];
  shape.dilation_height = dilation[0];
  shape.dilation_width = dilation[1];
  shape.pad_top = padding[0];
  shape.pad_left = padding[2];
  shape.groups = integer_attribute(attributes, "groups", 1);
  expect_between(shape.groups, 1, "groups");
}

}  // namespace

double ConvShape::flops() const {
  return 2.0 * static_cast<double>(images * out_height * out_width) *
         static_cast<double>(kernel_height * kernel_width * group_in()) *
         static_cast<double>(out_channels);
}

ConvShape conv_shape(const BindRequest& request, const TensorInfo& x, const TensorInfo& w,
                     const TensorInfo& y, bool exact) {
  NNC_CHECK(x.rank() == 4 && w.rank() == 4 && y.rank() == 4, "convolution takes tensors of rank 4");
  ConvShape shape;
  std::vector<int64_t> padding;
  set_attributes(*request.attributes, shape, padding);
  shape.images = x.shape[0];
  shape.in_height = x.shape[1];
  shape.in_width = x.shape[2];
  shape.in_channels = x.shape[3];
  shape.out_height = y.shape[1];
  shape.out_width = y.shape[2];
  shape.out_channels = y.shape[3];
  shape.kernel_height = w.shape[0];
  shape.kernel_width = w.shape[1];
  for (const TensorInfo* info : {&x, &w, &y}) {
    for (int64_t dim : info->shape) expect_between(dim, 0, "an extent");
  }
  expect_between(shape.in_channels, 1, "the number of channels");
  expect_between(shape.out_channels, 1, "the number of channels");
  expect_between(shape.kernel_height, 1, "the kernel's height");
  expect_between(shape.kernel_width, 1, "the kernel's width");
  expect_between(shape.kernel_height * shape.dilation_height, 1, "the kernel's extent");
  expect_between(shape.kernel_width * shape.dilation_width, 1, "the kernel's extent");
  NNC_CHECK(y.shape[0] == shape.images, "convolution: batch sizes do not fit");
  NNC_CHECK(shape.in_channels % shape.groups == 0 && shape.out_channels % shape.groups == 0,
            "convolution: channels are not a multiple of groups");
  NNC_CHECK(w.shape[2] == shape.group_in() && w.shape[3] == shape.out_channels,
            "convolution: weights do not fit the channels");
  if (exact) {
    const int64_t height = out_extent(shape.in_height, padding[0], padding[1], shape.kernel_height,
                                      shape.stride_height, shape.dilation_height);
    const int64_t width = out_extent(shape.in_width, padding[2], padding[3], shape.kernel_width,
                                     shape.stride_width, shape.dilation_width);
    NNC_CHECK(height == shape.out_height && width == shape.out_width,
              "convolution: the result is " + std::to_string(shape.out_height) + " x " +
                  std::to_string(shape.out_width) + ", not " + std::to_string(height) + " x " +
                  std::to_string(width));
  }
  return shape;
}

void check_conv(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 2, 1);
  const std::vector<int> all = {step.operands[0], step.operands[1], step.results[0]};
  expect_floats(step, buffers, all);
  for (int index : all) expect_rank(step, buffers, index, 4);
  expect_integers(step, "stride", 2);
  expect_integers(step, "padding", 4);
  expect_integers(step, "dilation", 2);
  if (step.attributes.count("groups") != 0) expect_integer(step, "groups");
}

}  // namespace nnrt
