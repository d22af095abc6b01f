// What `check` and `bind` of several kernels share, beyond reading attributes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cpu/attributes.h"
#include "cpu/product.h"
#include "nnrt/kernel.h"
#include "nnrt/plan.h"

namespace nnrt {

// At check. Buffers are named by index, as in step.operands.
void expect_type(const StepSpec& step, const std::vector<BufferSpec>& buffers, int index,
                 DType type);
void expect_integer_type(const StepSpec& step, const std::vector<BufferSpec>& buffers, int index);
void expect_same_type(const StepSpec& step, const std::vector<BufferSpec>& buffers,
                      const std::vector<int>& indices);
void expect_rank_at_least(const StepSpec& step, const std::vector<BufferSpec>& buffers, int index,
                          size_t rank);
void expect_text(const StepSpec& step, const std::string& name,
                 const std::vector<std::string>& allowed);
size_t rank_of(const std::vector<BufferSpec>& buffers, int index);

// At bind.
std::string text_attribute(const AttributeMap& attributes, const std::string& name);
// Throws Error unless the tensor has this shape; `what` names it.
void check_shape(const TensorInfo& info, const Shape& expected, const std::string& what);
// For a prologue: one store, and a domain of so many elements.
void check_prologue(const BindRequest& request, int64_t elements);
double bytes_of(const BindRequest& request);

// Product of dims [begin, end).
int64_t elements_between(const Shape& shape, size_t begin, size_t end);

inline double as_double(int64_t value) { return static_cast<double>(value); }

}  // namespace nnrt
