// The class Engine: making one, and its variables.
#include <algorithm>

#include "core/isa.h"
#include "python/bindings.h"

namespace nnrt::python {

Engine::Engine(const py::dict& plan, int threads, const std::string& isa) {
  Options options = options_from_environment();
  NNC_CHECK(threads >= 0 && threads <= 1024,
            "threads must lie between 1 and 1024 (0: the default)");
  if (threads > 0) options.threads = threads;
  if (!isa.empty()) options.isa = isa_from(isa);
  Plan parsed = plan_from(plan);
  const py::gil_scoped_release release;
  executable_ = std::make_unique<Executable>(std::move(parsed), options);
}

py::list Engine::variables() const {
  py::list result;
  for (const VariableSpec& variable : executable_->plan().variables) {
    py::dict entry;
    entry["name"] = variable.name;
    entry["dtype"] = name_of(variable.dtype);
    entry["shape"] = py::tuple(py::cast(variable.shape));
    entry["kind"] = variable.kind;
    result.append(entry);
  }
  return result;
}

py::array Engine::variable(const py::object& self, const std::string& name) const {
  const size_t index = executable_->variable_index(name);
  const VariableSpec& variable = executable_->plan().variables[index];
  py::array view(numpy_type(variable.dtype), variable.shape, executable_->variable(index), self);
  view.attr("flags").attr("writeable") = false;
  return view;
}

void Engine::set_variable(const std::string& name, const py::array& value) {
  const size_t index = executable_->variable_index(name);
  const VariableSpec& variable = executable_->plan().variables[index];
  const py::array array = dense(value, variable.dtype, name);
  NNC_CHECK(array.ndim() == static_cast<py::ssize_t>(variable.shape.size()) &&
                std::equal(variable.shape.begin(), variable.shape.end(), array.shape()),
            "the value of `" + name + "` must be " + text_of({variable.dtype, variable.shape}));
  const void* data = array.data();
  const size_t bytes = static_cast<size_t>(array.nbytes());
  const py::gil_scoped_release release;
  executable_->set_variable(index, data, bytes);
}

void add_engine(py::module_& module) {
  py::class_<Engine>(module, "Engine",
                     "A checked plan with its variables, ready to run on any thread.")
      .def(py::init<const py::dict&, int, const std::string&>(), py::arg("plan"),
           py::arg("threads") = 0, py::arg("isa") = "")
      .def_property_readonly("variables", &Engine::variables)
      .def(
          "variable",
          [](const py::object& self, const std::string& name) {
            return self.cast<const Engine&>().variable(self, name);
          },
          py::arg("name"), "A read-only view of the engine's memory.")
      .def("set_variable", &Engine::set_variable, py::arg("name"), py::arg("value"))
      .def("call", &Engine::call, py::arg("program"), py::arg("inputs"), py::arg("seed") = 0,
           py::arg("step") = 0, "Data inputs in the program's order; gives its outputs in order.")
      .def("run", &Engine::run, py::arg("program"), py::arg("inputs"), py::arg("seed") = 0,
           py::arg("step") = 0, "Inputs by name, clocks included; gives the outputs by name.")
      .def("loop", &Engine::loop, py::arg("program"), py::arg("columns"), py::arg("batch"),
           py::arg("shuffle") = false, py::arg("seed") = 0, py::arg("step") = 0,
           py::arg("clock_step") = 0, py::arg("clock_steps") = 0, py::arg("callback") = py::none(),
           py::arg("least_rows") = 1,
           "One pass over a data set; a last batch of fewer than `least_rows` joins the one before "
           "it.")
      .def("begin_training", &Engine::begin_training)
      .def("end_training", &Engine::end_training)
      .def("describe", &Engine::describe, py::arg("program"), py::arg("symbols"),
           "The binding of a program at these sizes: memory, threads, and a list of its steps with "
           "their mean seconds in timed runs since the last description.")
      .def_property("timed", &Engine::timed, &Engine::set_timed,
                    "Whether runs take the time of each step.")
      .def_property_readonly("threads", &Engine::threads)
      .def_property_readonly("isa", &Engine::isa);
}

}  // namespace nnrt::python
