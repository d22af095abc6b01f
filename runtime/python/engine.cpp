// The class Engine: making one, and its variables.
#include <algorithm>

#include "core/plan_reader.h"
#include "python/bindings.h"

namespace nnrt::python {

Engine::Engine(const py::bytes& plan, int threads, const std::string& isa,
               const std::string& device) {
  Options options = options_from_environment();
  NNC_CHECK(threads >= 0 && threads <= 1024,
            "threads must lie between 1 and 1024 (0: the default)");
  if (threads > 0) options.threads = threads;
  if (!isa.empty()) options.isa = isa;
  if (!device.empty()) options.device = device;
  const std::string_view text = plan;
  const py::gil_scoped_release release;
  executable_ = std::make_unique<Executable>(read_plan(text), options);
}

py::list Engine::variables() const {
  py::list result;
  for (const VariableSpec& variable : executable_->plan().variables) {
    py::dict entry;
    entry["name"] = variable.name;
    entry["dtype"] = name_of(variable.dtype);
    entry["shape"] = py::tuple(py::cast(variable.shape));
    entry["kind"] = variable.kind;
    entry["master_of"] = variable.master_of;
    result.append(entry);
  }
  return result;
}

namespace {

// A new array for the value of a variable.
py::array target_for(const VariableSpec& variable, size_t index,
                     std::vector<Executable::Target>& targets) {
  py::array array = new_array({variable.dtype, variable.shape});
  targets.push_back({index, array.mutable_data(), static_cast<size_t>(array.nbytes())});
  return array;
}

py::array value_of(const VariableSpec& variable, const py::array& value) {
  py::array array = dense(value, variable.dtype, variable.name);
  NNC_CHECK(
      array.ndim() == static_cast<py::ssize_t>(variable.shape.size()) &&
          std::equal(variable.shape.begin(), variable.shape.end(), array.shape()),
      "the value of `" + variable.name + "` must be " + text_of({variable.dtype, variable.shape}));
  return array;
}

}  // namespace

py::array Engine::variable(const std::string& name) {
  const size_t index = executable_->variable_index(name);
  std::vector<Executable::Target> targets;
  py::array array = target_for(executable_->plan().variables[index], index, targets);
  array.attr("flags").attr("writeable") = false;  // writing to it would not change the engine
  const py::gil_scoped_release release;
  executable_->read_variables(targets);
  return array;
}

py::tuple Engine::state() {
  std::vector<Executable::Target> targets;
  py::dict arrays;
  const std::vector<VariableSpec>& variables = executable_->plan().variables;
  for (size_t i = 0; i < variables.size(); ++i)
    arrays[py::str(variables[i].name)] = target_for(variables[i], i, targets);
  uint64_t step = 0;
  {
    const py::gil_scoped_release release;
    step = executable_->read_variables(targets);
  }
  return py::make_tuple(arrays, step);
}

void Engine::set_variable(const std::string& name, const py::array& value) {
  py::dict values;
  values[py::str(name)] = value;
  set_variables(values);
}

void Engine::set_variables(const py::dict& values) {
  std::vector<py::array> arrays;  // keep the memory alive
  std::vector<Executable::Source> sources;
  for (const auto& [key, value] : values) {
    const size_t index = executable_->variable_index(py::cast<std::string>(key));
    NNC_CHECK(py::isinstance<py::array>(value),
              "the value of `" + py::cast<std::string>(key) + "` must be a NumPy array");
    arrays.push_back(
        value_of(executable_->plan().variables[index], py::reinterpret_borrow<py::array>(value)));
    sources.push_back({index, arrays.back().data(), static_cast<size_t>(arrays.back().nbytes())});
  }
  const py::gil_scoped_release release;
  executable_->set_variables(sources);
}

void add_engine(py::module_& module) {
  py::class_<Engine>(
      module, "Engine",
      "A checked plan with its variables, ready to run on any thread. `plan`: its JSON "
      "form, as the artifact stores it.")
      .def(py::init<const py::bytes&, int, const std::string&, const std::string&>(),
           py::arg("plan"), py::arg("threads") = 0, py::arg("isa") = "", py::arg("device") = "")
      .def_property_readonly("variables", &Engine::variables)
      .def("variable", &Engine::variable, py::arg("name"), "A read-only copy.")
      .def("state", &Engine::state,
           "Copies of all variables by name, and their step: one state, which is that "
           "between two steps while a training runs.")
      .def("set_variable", &Engine::set_variable, py::arg("name"), py::arg("value"))
      .def("set_variables", &Engine::set_variables, py::arg("values"),
           "All or none, between two steps.")
      .def_property("step", &Engine::step, &Engine::set_step,
                    "Steps of training that the variables have behind them.")
      .def("written", &Engine::written, py::arg("program"),
           "The variables that a run of this program changes.")
      .def("unchanged", &Engine::unchanged, py::arg("program"), py::keep_alive<0, 1>(),
           "A context in which no other thread changes the variables, unless `program` does.")
      .def("call", &Engine::call, py::arg("program"), py::arg("inputs"), py::arg("seed") = 0,
           py::arg("step") = 0, "Data inputs in the program's order; gives its outputs in order.")
      .def("run", &Engine::run, py::arg("program"), py::arg("inputs"), py::arg("seed") = 0,
           py::arg("step") = 0, "Inputs by name, clocks included; gives the outputs by name.")
      .def("loop", &Engine::loop, py::arg("program"), py::arg("columns"), py::arg("batch"),
           py::arg("shuffle") = false, py::arg("seed") = 0, py::arg("step") = 0,
           py::arg("clock_step") = 0, py::arg("clock_steps") = 0, py::arg("callback") = py::none(),
           py::arg("least_rows") = 1, py::arg("guard") = py::none(),
           "One pass over a data set; a last batch of fewer than `least_rows` joins the one before "
           "it.")
      .def("guard", &Engine::guard, py::arg("program"), py::arg("columns"), py::keep_alive<0, 1>(),
           "What keeps the last good variables, for loops over these columns.")
      .def("begin_training", &Engine::begin_training)
      .def("end_training", &Engine::end_training)
      .def("describe", &Engine::describe, py::arg("program"), py::arg("symbols"),
           "The binding of a program at these sizes: memory, threads, and a list of its steps with "
           "their mean seconds in timed runs since the last description.")
      .def_property("timed", &Engine::timed, &Engine::set_timed,
                    "Whether runs take the time of each step.")
      .def_property_readonly("threads", &Engine::threads)
      .def_property_readonly("device", &Engine::device)
      .def_property_readonly("isa", &Engine::isa);
}

}  // namespace nnrt::python
