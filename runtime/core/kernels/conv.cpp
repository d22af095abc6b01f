// What steps of convolution and its gradients must be.
#include "core/kernels/checks.h"

namespace nnrt {
namespace {

void check_conv(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 2, 1);
  const std::vector<int> all = {step.operands[0], step.operands[1], step.results[0]};
  expect_floats(step, buffers, all);
  for (int index : all) expect_rank(step, buffers, index, 4);
  expect_integers(step, "stride", 2);
  expect_integers(step, "padding", 4);
  expect_integers(step, "dilation", 2);
  if (step.attributes.count("groups") != 0) expect_integer(step, "groups");
  // The weights: the result of their own gradient.
  const int weights = step.kernel == "conv2d_backward_weight" ? step.results[0] : step.operands[1];
  check_windows(step, buffers.at(static_cast<size_t>(weights)).shape, false);
}

}  // namespace

void check_conv2d(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_conv(step, buffers);
}

void check_conv2d_backward_data(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_conv(step, buffers);
}

void check_conv2d_backward_weight(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_conv(step, buffers);
}

}  // namespace nnrt
