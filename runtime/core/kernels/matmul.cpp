// What a step of matmul must be.
#include <algorithm>

#include "core/kernels/checks.h"

namespace nnrt {

void check_matmul(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 2, 1);
  expect_floats(step, buffers, {step.operands[0], step.operands[1], step.results[0]});
  const size_t a = buffers.at(static_cast<size_t>(step.operands[0])).shape.size();
  const size_t b = buffers.at(static_cast<size_t>(step.operands[1])).shape.size();
  const size_t c = buffers.at(static_cast<size_t>(step.results[0])).shape.size();
  NNC_CHECK(a >= 2 && b >= 2, "matmul takes matrices");
  NNC_CHECK(c == std::max(a, b), "matmul: the result has the wrong rank");
  for (const char* name : {"transpose_a", "transpose_b"}) {
    if (step.attributes.count(name) != 0) expect_integer(step, name);
  }
}

}  // namespace nnrt
