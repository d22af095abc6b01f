// What steps of the normalizations must be.
#include "core/kernels/checks.h"

namespace nnrt {
namespace {

// Floats of one type, the first with an axis that is normalized.
void check_norm(const StepSpec& step, const std::vector<BufferSpec>& buffers, size_t operands) {
  expect_counts(step, operands, 3);
  std::vector<int> all = step.operands;
  all.insert(all.end(), step.results.begin(), step.results.end());
  expect_floats(step, buffers, all);
  expect_rank_at_least(step, buffers, step.operands[0], 1);
  expect_number(step, "epsilon");
}

}  // namespace

void check_batch_norm(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_norm(step, buffers, 3);
}
void check_batch_norm_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_norm(step, buffers, 6);
}
void check_layer_norm(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_norm(step, buffers, 3);
}
void check_layer_norm_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_norm(step, buffers, 5);
}

}  // namespace nnrt
