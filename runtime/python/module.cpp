// The extension module `nnrt._engine`.
#include <pybind11/pybind11.h>

#include "core/isa.h"

namespace py = pybind11;

PYBIND11_MODULE(_engine, module) {
  module.doc() = "The engine of nnrt: checks, binds, runs and trains plans.";
  module.attr("version") = NNC_VERSION;
  module.def("best_isa", [] { return nnrt::name_of(nnrt::best_isa()); });
}
