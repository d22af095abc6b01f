// NumPy arrays and the engine's memory.
#include <cstdlib>

#include "nnrt/memory.h"
#include "python/bindings.h"

namespace nnrt::python {
namespace {

// Type number and item size: `l` and `q` are both 64 bits wide here and must both count as i64.
struct NumpyType {
  char kind;
  size_t size;
};

NumpyType kind_of(DType type) {
  switch (type) {
    case DType::f32:
    case DType::f64:
      return {'f', size_of(type)};
    case DType::i32:
    case DType::i64:
      return {'i', size_of(type)};
    case DType::u8:
      return {'u', 1};
    case DType::boolean:
      return {'b', 1};
  }
  return {'f', 4};
}

// Guarded memory: the array ends at a page that may not be touched. Inputs, which own what they
// hold and no more, have the elements' size as their unit.
py::array guarded_array(const TensorInfo& info, size_t unit) {
  Layout layout;
  const size_t offset = layout.add(info.bytes(), unit);
  auto block = std::make_unique<Block>(layout);
  char* const memory = block->data() + offset;
  const py::capsule owner(block.release(), [](void* p) { delete static_cast<Block*>(p); });
  return py::array(numpy_type(info.dtype), info.shape, memory, owner);
}

}  // namespace

py::dtype numpy_type(DType type) {
  switch (type) {
    case DType::f32:
      return py::dtype::of<float>();
    case DType::f64:
      return py::dtype::of<double>();
    case DType::i32:
      return py::dtype::of<int32_t>();
    case DType::i64:
      return py::dtype::of<int64_t>();
    case DType::u8:
      return py::dtype::of<uint8_t>();
    case DType::boolean:
      return py::dtype::of<bool>();
  }
  return py::dtype::of<float>();
}

bool has_type(const py::array& array, DType type) {
  const NumpyType wanted = kind_of(type);
  const py::dtype found = array.dtype();
  return found.kind() == wanted.kind && static_cast<size_t>(found.itemsize()) == wanted.size &&
         found.byteorder() != '>';
}

py::array new_array(const TensorInfo& info) {
  if (guarded()) return guarded_array(info, kAlignment);
  const size_t bytes = round_up(std::max<size_t>(info.bytes(), 1), kAlignment);
  void* memory = std::aligned_alloc(kAlignment, bytes);
  NNC_CHECK(memory != nullptr, "out of memory: an output of " + std::to_string(bytes) + " bytes");
  const py::capsule owner(memory, [](void* pointer) { std::free(pointer); });
  return py::array(numpy_type(info.dtype), info.shape, memory, owner);
}

py::array dense(const py::array& array, DType type, const std::string& name) {
  NNC_CHECK(has_type(array, type), "input `" + name + "`: expected elements of " + name_of(type) +
                                       ", found " + py::str(array.dtype()).cast<std::string>());
  const bool aligned = reinterpret_cast<uintptr_t>(array.data()) % size_of(type) == 0;
  if (!guarded() && (array.flags() & py::array::c_style) != 0 && aligned) return array;
  const TensorInfo info = {type, Shape(array.shape(), array.shape() + array.ndim())};
  py::array copy = guarded() ? guarded_array(info, size_of(type)) : new_array(info);
  py::module_::import("numpy").attr("copyto")(copy, array);
  return copy;
}

}  // namespace nnrt::python
