// To see inside: the machine, and what a program becomes at given sizes.
#include <pybind11/stl.h>

#include <algorithm>

#include "core/arena.h"
#include "core/executor.h"
#include "core/isa.h"
#include "core/profile.h"
#include "cpu/caches.h"
#include "cpu/kernel_tables.h"
#include "nnrt/trainer.h"
#include "python/bindings.h"

namespace nnrt::python {
namespace {

py::dict machine() {
  const Options options = options_from_environment();
  py::dict result;
  result["isa"] = name_of(options.isa);
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
  Binding& binding = lease->bind_symbols(index, values);
  py::dict result;
  result["isa"] = isa();
  result["threads"] = binding.threads;
  result["arena_bytes"] = binding.arena_bytes;
  result["lower_bound_bytes"] = binding.lower_bound;
  result["scratch_bytes"] = binding.scratch_bytes;
  size_t prepared = binding.prepared ? binding.prepared->memory.bytes() : 0;
  for (const BoundStep& step : binding.main.steps) {
    if (step.prepared) prepared += step.prepared->memory.bytes();
  }
  result["prepared_bytes"] = prepared;
  result["barriers"] = std::count_if(binding.main.phases.begin(), binding.main.phases.end(),
                                     [](const BoundPhase& phase) { return phase.barrier; });
  py::list steps;
  for (const StepReport& step : report_steps(*executable_->programs()[index].program, binding)) {
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
  result["timed_runs"] = binding.timed_runs;
  reset_times(binding);
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
