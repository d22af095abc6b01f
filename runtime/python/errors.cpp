// nnrt::Error becomes the Python class nnrt.errors.Error.
#include "python/bindings.h"

namespace nnrt::python {

void add_errors(py::module_&) {
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const IndexError& error) {
      const py::object make = py::module_::import("nnrt.errors").attr("IndexOutside");
      const py::object value = make(error.place, error.row, error.index, error.limit);
      PyErr_SetObject(make.ptr(), value.ptr());
    } catch (const Error& error) {
      const py::object type = py::module_::import("nnrt.errors").attr("Error");
      const py::object value = type(py::str(error.what()), "N0720");
      PyErr_SetObject(type.ptr(), value.ptr());
    }
  });
}

}  // namespace nnrt::python
