// The extension module `nnrt._engine`.
#include "python/bindings.h"

PYBIND11_MODULE(_engine, module) {
  module.doc() = "The engine of nnrt: checks, binds, runs and trains plans.";
  module.attr("version") = NNC_VERSION;
  nnrt::python::add_errors(module);
  nnrt::python::add_training(module);
  nnrt::python::add_engine(module);
  nnrt::python::add_introspection(module);
}
