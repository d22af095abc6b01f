// What steps of the normalizations must be.
#include "core/kernels/checks.h"

namespace nnrt {
namespace {

std::vector<int> all_buffers(const StepSpec& step) {
  std::vector<int> all = step.operands;
  all.insert(all.end(), step.results.begin(), step.results.end());
  return all;
}

}  // namespace

void check_batch_norm(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 3, 3);
  expect_floats(step, buffers, all_buffers(step));
  expect_rank_at_least(step, buffers, step.operands[0], 1);
  expect_number(step, "epsilon");
}

void check_batch_norm_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 6, 3);
  expect_floats(step, buffers, all_buffers(step));
  expect_rank_at_least(step, buffers, step.operands[0], 1);
  expect_number(step, "epsilon");
}

void check_layer_norm(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 3, 3);
  expect_floats(step, buffers, all_buffers(step));
  expect_rank_at_least(step, buffers, step.operands[0], 1);
  expect_number(step, "epsilon");
}

void check_layer_norm_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 5, 3);
  expect_floats(step, buffers, all_buffers(step));
  expect_rank_at_least(step, buffers, step.operands[0], 1);
  expect_number(step, "epsilon");
}

}  // namespace nnrt
