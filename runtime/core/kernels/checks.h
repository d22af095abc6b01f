// What `check` and `bind` of several kernels share, beyond reading attributes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/kernels/attributes.h"
#include "nnrt/plan.h"
#include "nnrt/types.h"

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

// One axis of a window over images.
struct Window {
  int64_t kernel = 1, stride = 1, before = 0, after = 0, dilation = 1;
  // Pixels from the first tap to the last.
  int64_t reach() const { return (kernel - 1) * dilation + 1; }
};
// Sizes of windows and images beyond this are refused: no product of two of them overflows.
inline constexpr int64_t kMostExtent = int64_t{1} << 31;
// Throws Error unless each size is one that a window can have.
void check_window(const Window& window, const std::string& what);
// And unless each window of a pooling has some of its taps inside: the padding is smaller than the
// reach.
void check_pool_window(const Window& window, const std::string& what);
// That an image is too small for a window.
std::string too_small(int64_t input, const Window& window);
// The windows of a step at check, as far as their sizes are numbers by then. `kernel`: height and
// width.
void check_windows(const StepSpec& step, const std::vector<Dim>& kernel, bool pools);

// At bind.
std::string text_attribute(const AttributeMap& attributes, const std::string& name);
// Throws Error unless the tensor has this shape; `what` names it.
void check_shape(const TensorInfo& info, const Shape& expected, const std::string& what);

// Throws Error where the product of two sizes overflows.
int64_t checked_product(int64_t a, int64_t b, const std::string& what);

// Product of dims [begin, end).
int64_t elements_between(const Shape& shape, size_t begin, size_t end);

}  // namespace nnrt
