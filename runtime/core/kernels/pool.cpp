// What steps of pooling and its gradients must be.
#include "core/kernels/checks.h"

namespace nnrt {
namespace {

// Operands and results are images, those of `floats` of floats.
void check_window(const StepSpec& step, const std::vector<BufferSpec>& buffers,
                  const std::vector<int>& floats) {
  expect_floats(step, buffers, floats);
  for (int index : step.operands) expect_rank(step, buffers, index, 4);
  for (int index : step.results) expect_rank(step, buffers, index, 4);
  expect_integers(step, "kernel", 2);
  expect_integers(step, "stride", 2);
  expect_integers(step, "padding", 4);
  if (step.attributes.count("dilation") != 0) expect_integers(step, "dilation", 2);
  check_windows(step, std::get<std::vector<Dim>>(step.attributes.at("kernel")), true);
}

}  // namespace

void check_max_pool(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 1, 1);
  check_window(step, buffers, {step.operands[0], step.results[0]});
  expect_integers(step, "dilation", 2);
}

void check_max_pool_index(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 1, 2);
  check_window(step, buffers, {step.operands[0], step.results[0]});
  expect_integers(step, "dilation", 2);
}

void check_max_pool_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 2, 1);
  check_window(step, buffers, {step.operands[1], step.results[0]});
  expect_integers(step, "dilation", 2);
}

void check_avg_pool(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 1, 1);
  check_window(step, buffers, {step.operands[0], step.results[0]});
  expect_integer(step, "count_padding");
}

void check_avg_pool_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 1, 1);
  check_window(step, buffers, {step.operands[0], step.results[0]});
  expect_integer(step, "count_padding");
}

}  // namespace nnrt
