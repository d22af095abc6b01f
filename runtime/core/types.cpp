// Names of element types.
#include "nnrt/types.h"

namespace nnrt {
namespace {

constexpr std::array<const char*, 6> kDTypeNames = {"f32", "f64", "i32", "i64", "u8", "bool"};

}  // namespace

const char* name_of(DType type) { return kDTypeNames[static_cast<size_t>(type)]; }

DType dtype_from(const std::string& name) {
  for (size_t i = 0; i < kDTypeNames.size(); ++i) {
    if (name == kDTypeNames[i]) return static_cast<DType>(i);
  }
  throw Error("there is no element type `" + name + "`");
}

}  // namespace nnrt
