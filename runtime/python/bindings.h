// What the files of the extension share.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "nnrt/executable.h"
#include "nnrt/plan.h"

namespace nnrt::python {

namespace py = pybind11;

// plan.cpp: the dict form of a plan; throws Error for anything malformed.
Plan plan_from(const py::handle& source);

// arrays.cpp
py::dtype numpy_type(DType type);
// Whether the array holds elements of this type.
bool has_type(const py::array& array, DType type);
// A new array with 64-byte aligned memory of its own.
py::array new_array(const TensorInfo& info);
// Dense and aligned as it is, or a dense copy.
py::array dense(const py::array& array, DType type, const std::string& name);

// The Python class `nnrt._engine.Engine` wraps this.
class Engine {
 public:
  Engine(const py::dict& plan, int threads, const std::string& isa);

  py::list variables() const;
  py::array variable(const py::object& self, const std::string& name) const;
  void set_variable(const std::string& name, const py::array& value);

  py::tuple call(const std::string& program, const py::sequence& inputs, uint64_t seed,
                 uint64_t step);
  py::dict run(const std::string& program, const py::dict& inputs, uint64_t seed, uint64_t step);
  py::dict loop(const std::string& program, const py::sequence& columns, int64_t batch,
                bool shuffle, uint64_t seed, uint64_t step, int64_t clock_step, int64_t clock_steps,
                const py::object& callback, int64_t least_rows);
  bool begin_training() { return executable_->begin_training(); }
  void end_training() { executable_->end_training(); }

  py::dict describe(const std::string& program, const py::dict& symbols);
  bool timed() const { return executable_->timed(); }
  void set_timed(bool timed) { executable_->set_timed(timed); }
  int threads() const { return executable_->options().threads; }
  std::string isa() const { return name_of(executable_->options().isa); }

 private:
  struct Inputs;  // arrays and clocks of one call (engine_call.cpp)
  py::tuple run_inputs(size_t program, Inputs& inputs, uint64_t seed, uint64_t step);

  std::unique_ptr<Executable> executable_;
};

void add_engine(py::module_& module);         // engine.cpp
void add_introspection(py::module_& module);  // introspection.cpp
void add_errors(py::module_& module);         // errors.cpp

}  // namespace nnrt::python
