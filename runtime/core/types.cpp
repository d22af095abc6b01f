// Names of element types.
#include "nnrt/types.h"

namespace nnrt {
namespace {

// Far above any memory, far below overflow of element counts times small factors.
constexpr int64_t kMaxElements = int64_t{1} << 48;

}  // namespace

DType dtype_from(const std::string& name) {
  for (size_t i = 0; i < kDTypeCount; ++i) {
    if (name == kDTypes[i].name) return static_cast<DType>(i);
  }
  throw Error("there is no element type `" + name + "`");
}

size_t checked_bytes(const TensorInfo& info, const std::string& what) {
  // Zero dimensions do not excuse absurd others: kernels multiply dimensions in any order.
  int64_t elements = 1;
  bool empty = false;
  for (int64_t dim : info.shape) {
    NNC_CHECK(dim >= 0, what + " has a negative dimension: " + text_of(info));
    empty = empty || dim == 0;
    NNC_CHECK(!__builtin_mul_overflow(elements, dim == 0 ? 1 : dim, &elements) &&
                  elements <= kMaxElements,
              what + " is too large: " + text_of(info));
  }
  return empty ? 0 : static_cast<size_t>(elements) * size_of(info.dtype);
}

std::string text_of(const TensorInfo& info) {
  std::string text = std::string(name_of(info.dtype)) + "[";
  for (size_t i = 0; i < info.shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(info.shape[i]);
  return text + "]";
}

}  // namespace nnrt
