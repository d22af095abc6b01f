// What the files of the extension share.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <string>
#include <vector>

#include "core/state_lock.h"
#include "nnrt/executable.h"
#include "nnrt/plan.h"
#include "nnrt/trainer.h"

namespace nnrt::python {

namespace py = pybind11;

// arrays.cpp
py::dtype numpy_type(DType type);
// Whether the array holds elements of this type.
bool has_type(const py::array& array, DType type);
// A new array with 64-byte aligned memory of its own.
py::array new_array(const TensorInfo& info);
// Dense and aligned as it is, or a dense copy.
py::array dense(const py::array& array, DType type, const std::string& name);

// Arrays for a program's data inputs, in order, and their memory as the trainer takes it.
struct Columns {
  std::vector<py::array> arrays;
  std::vector<Column> columns;

  Columns(const Executable& executable, size_t program, const py::sequence& values);
};

// Runs Python's signal handlers; true when one raised KeyboardInterrupt, which then means: stop.
// Needs the GIL.
bool interrupted();

// The Python context that `Engine.unchanged` gives.
class Unchanged {
 public:
  explicit Unchanged(StateLock* lock) : lock_(lock) {}
  void enter();
  void leave() { reading_.reset(); }

 private:
  StateLock* lock_;  // nothing where the program itself changes variables
  std::optional<StateLock::Reading> reading_;
};

// A fault as a dict, or None.
py::object fault_object(const std::optional<Fault>& fault);

// The Python class `nnrt._engine.Guard` wraps this: a guard and the arrays it needs.
class TrainingGuard {
 public:
  TrainingGuard(Executable& executable, size_t program, const py::sequence& columns);
  py::object check();
  Guard& guard() { return *guard_; }

 private:
  Columns columns_;
  std::unique_ptr<Guard> guard_;
};

// The Python class `nnrt._engine.Engine` wraps this.
class Engine {
 public:
  Engine(const py::bytes& plan, int threads, const std::string& isa, const std::string& device);

  py::list variables() const;
  py::array variable(const std::string& name);
  py::tuple state();
  void set_variable(const std::string& name, const py::array& value);
  void set_variables(const py::dict& values);

  py::tuple call(const std::string& program, const py::sequence& inputs, uint64_t seed,
                 uint64_t step);
  py::dict run(const std::string& program, const py::dict& inputs, uint64_t seed, uint64_t step);
  py::dict loop(const std::string& program, const py::sequence& columns, int64_t batch,
                bool shuffle, uint64_t seed, uint64_t step, int64_t clock_step, int64_t clock_steps,
                const py::object& callback, int64_t least_rows, TrainingGuard* guard);
  std::vector<std::string> written(const std::string& program) const;
  std::unique_ptr<Unchanged> unchanged(const std::string& program);
  std::unique_ptr<TrainingGuard> guard(const std::string& program, const py::sequence& columns);
  uint64_t step() const { return executable_->step(); }
  void set_step(uint64_t step) { executable_->set_step(step); }
  bool begin_training() { return executable_->begin_training(); }
  void end_training() { executable_->end_training(); }

  py::dict describe(const std::string& program, const py::dict& symbols);
  bool timed() const { return executable_->timed(); }
  void set_timed(bool timed) { executable_->set_timed(timed); }
  int threads() const { return executable_->options().threads; }
  std::string isa() const { return executable_->backend().target(); }
  std::string device() const { return executable_->backend().name(); }

 private:
  struct Inputs;  // arrays and clocks of one call (engine_call.cpp)
  // `checked`: an index that lies outside is an error; else it gives NaN, as kernels define it.
  py::tuple run_inputs(size_t program, Inputs& inputs, uint64_t seed, uint64_t step, bool checked);

  std::unique_ptr<Executable> executable_;
};

void add_engine(py::module_& module);         // engine.cpp
void add_training(py::module_& module);       // engine_training.cpp
void add_introspection(py::module_& module);  // introspection.cpp
void add_errors(py::module_& module);         // errors.cpp

}  // namespace nnrt::python
