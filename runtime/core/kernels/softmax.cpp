// What steps of softmax and cross-entropy must be.
#include "core/kernels/checks.h"

namespace nnrt {
namespace {

void check_forward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 1, 1);
  expect_floats(step, buffers, {step.operands[0], step.results[0]});
  expect_rank_at_least(step, buffers, step.operands[0], 1);
}

void check_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 2, 1);
  expect_floats(step, buffers, {step.operands[0], step.operands[1], step.results[0]});
  expect_rank_at_least(step, buffers, step.operands[0], 1);
}

}  // namespace

void check_softmax(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_forward(step, buffers);
}

void check_log_softmax(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_forward(step, buffers);
}

void check_softmax_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_backward(step, buffers);
}

void check_log_softmax_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_backward(step, buffers);
}

void check_softmax_cross_entropy(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 2, 1);
  expect_floats(step, buffers, {step.operands[0], step.results[0]});
  expect_integer_type(step, buffers, step.operands[1]);
  expect_rank_at_least(step, buffers, step.operands[0], 1);
  expect_number(step, "smoothing");
}

void check_softmax_cross_entropy_backward(const StepSpec& step,
                                          const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 3, 1);
  expect_floats(step, buffers, {step.operands[0], step.operands[2], step.results[0]});
  expect_integer_type(step, buffers, step.operands[1]);
  expect_rank_at_least(step, buffers, step.operands[0], 1);
  expect_number(step, "smoothing");
}

}  // namespace nnrt
