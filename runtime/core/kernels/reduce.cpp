// What steps of reduce and argmax must be.
#include "core/kernels/checks.h"

namespace nnrt {

void check_reduce(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_integers(step, "axes");
  expect_integer(step, "keepdims");
  expect_text(step, "op", {"sum", "mean", "max", "min"});
  if (step.tile) {
    NNC_CHECK(step.results.size() == 1 && step.tile->stores == step.results &&
                  step.operands == step.tile->loads,
              "reduce: a prologue reads the operands and stores the result");
    expect_floats(step, buffers, step.results);
    NNC_CHECK(step.tile->compute == buffers.at(static_cast<size_t>(step.results[0])).dtype,
              "reduce: the prologue computes in another type than the result has");
  } else {
    expect_counts(step, 1, 1);
    expect_floats(step, buffers, {step.operands[0], step.results[0]});
  }
}

void check_argmax(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 1, 1);
  expect_floats(step, buffers, {step.operands[0]});
  expect_type(step, buffers, step.results[0], DType::i64);
  expect_integer(step, "axis");
  expect_integer(step, "keepdims");
}

}  // namespace nnrt
