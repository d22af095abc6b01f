// To see inside: the machine, and what a program becomes at given sizes.
#include <pybind11/stl.h>

#include <algorithm>

#include "core/executor.h"
#include "cpu/caches.h"
#include "cpu/engine/isa.h"
#include "cpu/kernel_tables.h"
#include "nnrt/memory.h"
#include "nnrt/trainer.h"
#include "python/bindings.h"

namespace nnrt::python {
namespace {

py::dict machine() {
  const Options options = options_from_environment();
  py::dict result;
  const std::unique_ptr<Backend> backend = make_backend(options);
  result["device"] = backend->name();
  result["devices"] = device_names();
  result["isa"] = name_of(options.isa.empty() ? best_isa() : isa_from(options.isa));
  result["best_isa"] = name_of(best_isa());
  result["cpu_features"] = cpu_features();
  result["threads"] = options.threads;
  result["available_memory"] = available_memory();
  py::list sets;
  for (Isa isa : {Isa::reference, Isa::generic, Isa::avx2, Isa::avx512, Isa::neon}) {
    if (is_available(isa)) sets.append(name_of(isa));
  }
  result["available_isas"] = sets;
  result["l2_bytes"] = l2_bytes();
  return result;
}

}  // namespace

py::dict Engine::describe(const std::string& program, const py::dict& symbols) {
  const size_t index = executable_->program_index(program);
  const Plan& plan = executable_->plan();
  std::vector<int64_t> values;
  for (const std::string& symbol : plan.symbols) {
    // A program need not use every symbol of the plan.
    values.push_back(symbols.contains(symbol.c_str()) ? symbols[symbol.c_str()].cast<int64_t>()
                                                      : 0);
  }
  // Does not wait for calls, which wait for the GIL that is held here.
  const Executable::Lease lease(*executable_, Executable::Lease::Use::loop);
  BoundProgram& bound = lease->bind_symbols(index, values);
  const ProgramReport report = bound.report();
  py::dict result;
  result["device"] = device();
  result["isa"] = isa();
  result["threads"] = report.threads;
  result["arena_bytes"] = report.arena_bytes;
  result["lower_bound_bytes"] = report.lower_bound_bytes;
  result["scratch_bytes"] = report.scratch_bytes;
  result["prepared_bytes"] = report.prepared_bytes;
  result["barriers"] = report.barriers;
  py::list steps;
  for (const StepReport& step : report.steps) {
    py::dict entry;
    entry["path"] = step.path;
    entry["source"] = step.source;
    entry["kernel"] = step.kernel;
    entry["algorithm"] = step.algorithm;
    entry["shape"] = step.shape;
    entry["flops"] = step.flops;
    entry["bytes"] = step.bytes;
    entry["seconds"] = step.seconds;
    entry["note"] = step.note;
    steps.append(entry);
  }
  result["steps"] = steps;
  result["timed_runs"] = report.timed_runs;
  bound.reset_times();
  return result;
}

void add_introspection(py::module_& module) {
  module.def(
      "evaluate_dimension",
      [](const std::string& text, const std::map<std::string, int64_t>& symbols) {
        std::vector<std::string> names;
        std::vector<int64_t> values;
        for (const auto& [name, value] : symbols) {
          names.push_back(name);
          values.push_back(value);
        }
        return evaluate(parse_dim(text, names), values);
      },
      py::arg("text"), py::arg("symbols"), "The value of a dimension in text form.");
  module.def(
      "element_types",
      [] {
        py::list types;
        for (const DTypeInfo& info : kDTypes)
          types.append(py::make_tuple(info.name, info.bytes, info.kind_name, info.stored));
        return types;
      },
      "Every element type: its name, bytes, kind, and name in safetensors.");
  module.def(
      "numpy_type", [](const std::string& name) { return numpy_type(dtype_from(name)); },
      py::arg("name"), "NumPy's type for an element type.");
  module.def(
      "peak_flops", [](const std::string& isa) { return measure_peak(isa_from(isa)); },
      py::arg("isa"), py::call_guard<py::gil_scoped_release>(),
      "What one core's multiply-adds reach with an instruction set, in FLOP/s, measured now.");
  module.def("machine", &machine,
             "Instruction sets, CPU features and threads, as the engine sees them.");
  if (guarded()) {
    module.def("set_l2_bytes", &set_l2_bytes, py::arg("bytes"),
               "What the L2 cache counts as from now on.");
  }
  module.def(
      "shuffled_rows",
      [](uint64_t seed, uint64_t step, int64_t rows) {
        NNC_CHECK(rows >= 0, "rows must not be negative");
        std::vector<int64_t> order(static_cast<size_t>(rows));
        shuffle_rows(seed, step, order);
        return order;
      },
      py::arg("seed"), py::arg("step"), py::arg("rows"),
      "The order in which the epoch that starts at `step` sees its rows.");
}

}  // namespace nnrt::python
