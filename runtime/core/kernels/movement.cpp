// What steps that move elements must be: transpose, concat, slice, pad, resize, gather, iota.
#include "core/kernels/checks.h"

namespace nnrt {
namespace {

void check_one_to_one(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 1, 1);
  expect_same_type(step, buffers, {step.operands[0], step.results[0]});
}

}  // namespace

void check_transpose(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_one_to_one(step, buffers);
  expect_integers(step, "permutation", rank_of(buffers, step.operands[0]));
}

void check_concat(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  NNC_CHECK(!step.operands.empty() && step.results.size() == 1,
            "concat takes operands and gives one result");
  std::vector<int> all = step.operands;
  all.push_back(step.results[0]);
  expect_same_type(step, buffers, all);
  expect_integer(step, "axis");
}

void check_slice(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_one_to_one(step, buffers);
  expect_integers(step, "begin", rank_of(buffers, step.operands[0]));
  expect_integers(step, "step", rank_of(buffers, step.operands[0]));
}

void check_slice_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_slice(step, buffers);
}

void check_pad(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_one_to_one(step, buffers);
  expect_integers(step, "low", rank_of(buffers, step.operands[0]));
  expect_number(step, "value");
}

void check_resize_nearest(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  check_one_to_one(step, buffers);
  expect_rank(step, buffers, step.operands[0], 4);
  expect_integers(step, "factor", 2);
}

void check_gather(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 2, 1);
  expect_same_type(step, buffers, {step.operands[0], step.results[0]});
  expect_integer_type(step, buffers, step.operands[1]);
  expect_rank_at_least(step, buffers, step.operands[0], 1);
}

void check_gather_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 2, 1);
  expect_integer_type(step, buffers, step.operands[0]);
  expect_floats(step, buffers, {step.operands[1], step.results[0]});
  expect_rank_at_least(step, buffers, step.results[0], 1);
}

void check_resize_nearest_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 1, 1);
  expect_floats(step, buffers, {step.operands[0], step.results[0]});
  expect_rank(step, buffers, step.operands[0], 4);
  expect_rank(step, buffers, step.results[0], 4);
  expect_integers(step, "factor", 2);
}

void check_iota(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 0, 1);
  const DType type = buffers.at(static_cast<size_t>(step.results[0])).dtype;
  NNC_CHECK(is_float(type) || info_of(type).kind == DTypeKind::integer,
            std::string("iota gives numbers to compute with, no ") + name_of(type));
  expect_rank_at_least(step, buffers, step.results[0], 1);
  expect_integer(step, "axis");
}

}  // namespace nnrt
