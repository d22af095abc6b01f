// What training needs beside the loop: its columns, the guard of its variables, a context in which
// they stay as they are.
#include "python/bindings.h"

namespace nnrt::python {

Columns::Columns(const Executable& executable, size_t program, const py::sequence& values) {
  const Executable::Entry& entry = executable.programs()[program];
  NNC_CHECK(values.size() == entry.info.data_inputs.size(),
            "program `" + entry.name + "` takes " + std::to_string(entry.info.data_inputs.size()) +
                " arrays, found " + std::to_string(values.size()));
  for (size_t i = 0; i < values.size(); ++i) {
    const NamedBuffer& input =
        entry.program->inputs[static_cast<size_t>(entry.info.data_inputs[i])];
    const py::object value = values[i];
    NNC_CHECK(py::isinstance<py::array>(value), "input `" + input.name + "` must be a NumPy array");
    arrays.push_back(dense(py::reinterpret_borrow<py::array>(value),
                           entry.program->buffers[static_cast<size_t>(input.buffer)].dtype,
                           input.name));
    const py::array& array = arrays.back();
    columns.push_back({static_cast<const char*>(array.data()),
                       Shape(array.shape(), array.shape() + array.ndim())});
  }
}

bool interrupted() {
  if (PyErr_CheckSignals() == 0) return false;
  if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) == 0) throw py::error_already_set();
  PyErr_Clear();
  return true;
}

py::object fault_object(const std::optional<Fault>& fault) {
  if (!fault) return py::none();
  py::dict result;
  result["found"] = fault->found;
  result["step"] = fault->step;
  result["loss"] = fault->loss;
  result["variable"] = fault->variable;
  result["kind"] = fault->kind;
  result["variables"] = fault->variables;
  result["kept"] = fault->kept;
  return result;
}

TrainingGuard::TrainingGuard(Executable& executable, size_t program, const py::sequence& columns)
    : columns_(executable, program, columns) {
  const auto stop = [] {
    const py::gil_scoped_acquire acquire;
    return interrupted();
  };
  const py::gil_scoped_release release;
  guard_ = std::make_unique<Guard>(executable, program, columns_.columns, stop);
}

py::object TrainingGuard::check() {
  std::optional<Fault> fault;
  {
    const py::gil_scoped_release release;
    fault = guard_->check();
  }
  return fault_object(fault);
}

void Unchanged::enter() {
  const py::gil_scoped_release release;
  if (lock_ != nullptr) reading_.emplace(*lock_);
}

std::unique_ptr<TrainingGuard> Engine::guard(const std::string& program,
                                             const py::sequence& columns) {
  return std::make_unique<TrainingGuard>(*executable_, executable_->program_index(program),
                                         columns);
}

std::vector<std::string> Engine::written(const std::string& program) const {
  std::vector<std::string> names;
  for (int index : executable_->programs()[executable_->program_index(program)].info.written)
    names.push_back(executable_->plan().variables[static_cast<size_t>(index)].name);
  return names;
}

std::unique_ptr<Unchanged> Engine::unchanged(const std::string& program) {
  const size_t index = executable_->program_index(program);
  const bool writes = executable_->programs()[index].info.writes_variables();
  return std::make_unique<Unchanged>(writes ? nullptr : &executable_->state());
}

void add_training(py::module_& module) {
  py::class_<TrainingGuard>(module, "Guard",
                            "Keeps the last good variables of a training: see `Engine.guard`.")
      .def("check", &TrainingGuard::check,
           "What made a variable infinite or no number, or None. The variables are then as they "
           "were before that.");
  py::class_<Unchanged>(module, "Unchanged", "See `Engine.unchanged`.")
      .def("__enter__", &Unchanged::enter)
      .def("__exit__", [](Unchanged& self, const py::object&, const py::object&,
                          const py::object&) { self.leave(); });
}

}  // namespace nnrt::python
