// NumPy arrays and the engine's memory.
#include <cstdlib>

#include "nnrt/memory.h"
#include "python/bindings.h"

namespace nnrt::python {
namespace {

template <class Storage>
py::dtype numpy_type_of() {
  return py::dtype::of<Storage>();
}
template <>
py::dtype numpy_type_of<Truth>() {
  return py::dtype::of<bool>();
}
// NumPy has no bf16 of its own.
template <>
py::dtype numpy_type_of<BFloat16>() {
  try {
    return py::dtype::from_args(py::module_::import("ml_dtypes").attr("bfloat16"));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ImportError)) throw;
  }
  throw Error("arrays of bf16 need the package ml_dtypes: `pip install ml_dtypes`");
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
#define NNC_DTYPE(type, name, Storage, kind, stored) \
  case DType::type:                                  \
    return numpy_type_of<Storage>();
#include "nnrt/dtypes.def"
  }
  throw Error("there is no such element type");
}

// NumPy's equality: `l` and `q` are both 64 bits wide here and both count as i64.
bool has_type(const py::array& array, DType type) {
  const py::dtype found = array.dtype(), wanted = numpy_type(type);
  return found.is(wanted) || found.equal(wanted);
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
