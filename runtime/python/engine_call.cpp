// Engine: running a program, and looping over a data set.
#include <cstring>

#include "core/executor.h"
#include "core/profile.h"
#include "nnrt/trainer.h"
#include "python/bindings.h"

namespace nnrt::python {

struct Engine::Inputs {
  std::vector<py::array> arrays;  // keep the memory alive
  std::vector<double> clocks;     // each holds a float or a double; never grows
  std::vector<const void*> pointers;
  std::vector<ShapeView> shapes;

  explicit Inputs(size_t count) : clocks(count, 0.0), pointers(count, nullptr), shapes(count) {
    arrays.reserve(count);
  }

  void set_array(size_t index, const NamedBuffer& input, const BufferSpec& spec,
                 const py::handle& value) {
    NNC_CHECK(py::isinstance<py::array>(value), "input `" + input.name + "` must be a NumPy array");
    arrays.push_back(dense(py::reinterpret_borrow<py::array>(value), spec.dtype, input.name));
    const py::array& array = arrays.back();
    pointers[index] = array.data();
    static_assert(sizeof(py::ssize_t) == sizeof(int64_t));
    shapes[index] = {reinterpret_cast<const int64_t*>(array.shape()),
                     static_cast<size_t>(array.ndim())};
  }

  void set_clock(size_t index, const BufferSpec& spec, double value) {
    clocks[index] = value;
    if (spec.dtype == DType::f32) {
      const float narrow = static_cast<float>(value);
      std::memcpy(&clocks[index], &narrow, sizeof(narrow));
    }
    pointers[index] = &clocks[index];
  }
};

py::tuple Engine::run_inputs(size_t program, Inputs& inputs, uint64_t seed, uint64_t step,
                             bool checked) {
  const Program& spec = *executable_->programs()[program].program;
  std::vector<TensorInfo> infos(spec.outputs.size());
  std::unique_ptr<Executable::Lease> lease;
  BoundProgram* bound = nullptr;
  {
    const py::gil_scoped_release release;
    // Calls that change variables wait for those that read them, and must not take their turns.
    using Use = Executable::Lease::Use;
    const bool writes = executable_->programs()[program].info.writes_variables();
    lease = std::make_unique<Executable::Lease>(*executable_, writes ? Use::loop : Use::call);
    bound = &(*lease)->bind(program, inputs.shapes.data(), inputs.shapes.size());
    for (size_t i = 0; i < infos.size(); ++i) infos[i] = (*lease)->output_info(program, *bound, i);
  }
  py::tuple outputs(infos.size());
  std::vector<void*> pointers;
  for (size_t i = 0; i < infos.size(); ++i) {
    py::array array = new_array(infos[i]);
    pointers.push_back(array.mutable_data());
    outputs[i] = std::move(array);
  }
  {
    const py::gil_scoped_release release;
    (*lease)->run(program, *bound, {inputs.pointers.data(), pointers.data(), {seed, step}});
    const std::optional<IndexError> error = bound->take_fault();
    if (error && checked) throw *error;
    if (executable_->options().debug >= 2)
      print_profile(executable_->programs()[program].name, *bound, executable_->backend());
    lease.reset();
  }
  return outputs;
}

py::tuple Engine::call(const std::string& program, const py::sequence& values, uint64_t seed,
                       uint64_t step) {
  const size_t index = executable_->program_index(program);
  const Executable::Entry& entry = executable_->programs()[index];
  NNC_CHECK(values.size() == entry.info.data_inputs.size(),
            "program `" + program + "` takes " + std::to_string(entry.info.data_inputs.size()) +
                " arrays, found " + std::to_string(values.size()));
  Inputs inputs(entry.program->inputs.size());
  for (size_t i = 0; i < entry.info.data_inputs.size(); ++i) {
    const size_t position = static_cast<size_t>(entry.info.data_inputs[i]);
    const NamedBuffer& input = entry.program->inputs[position];
    const py::object value = values[i];
    inputs.set_array(position, input, entry.program->buffers[static_cast<size_t>(input.buffer)],
                     value);
  }
  for (int clock : entry.info.clock_inputs) {
    const NamedBuffer& input = entry.program->inputs[static_cast<size_t>(clock)];
    const bool total = input.name == "steps" || input.name == "epoch_steps";
    inputs.set_clock(static_cast<size_t>(clock),
                     entry.program->buffers[static_cast<size_t>(input.buffer)],
                     total ? 1.0 : static_cast<double>(step));
  }
  return run_inputs(index, inputs, seed, step, true);
}

py::dict Engine::run(const std::string& program, const py::dict& values, uint64_t seed,
                     uint64_t step) {
  const size_t index = executable_->program_index(program);
  const Program& spec = *executable_->programs()[index].program;
  Inputs inputs(spec.inputs.size());
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const NamedBuffer& input = spec.inputs[i];
    NNC_CHECK(values.contains(input.name.c_str()), "the input `" + input.name + "` is missing");
    const py::object value = values[input.name.c_str()];
    if (input.role == "clock") {
      inputs.set_clock(i, spec.buffers[static_cast<size_t>(input.buffer)], py::float_(value));
    } else {
      inputs.set_array(i, input, spec.buffers[static_cast<size_t>(input.buffer)], value);
    }
  }
  const py::tuple outputs = run_inputs(index, inputs, seed, step, false);
  py::dict result;
  for (size_t i = 0; i < spec.outputs.size(); ++i)
    result[spec.outputs[i].name.c_str()] = outputs[i];
  return result;
}

namespace {

// The rows as an array, without a copy.
py::array array_of(CollectedRows& rows) {
  if (rows.data.bytes() == 0) return new_array(rows.info);
  auto* const memory = new Block(std::move(rows.data));
  const py::capsule owner(memory, [](void* pointer) { delete static_cast<Block*>(pointer); });
  return py::array(numpy_type(rows.info.dtype), rows.info.shape, memory->data(), owner);
}

py::dict result_dict(LoopResult& result, bool interrupt) {
  py::dict outcome;
  outcome["means"] = py::list(py::cast(result.means));
  py::list collected;
  for (CollectedRows& rows : result.collected) collected.append(array_of(rows));
  outcome["collected"] = collected;
  outcome["rows"] = result.rows;
  outcome["steps"] = result.steps;
  outcome["seconds"] = result.seconds;
  outcome["stopped"] = result.stopped;
  outcome["interrupted"] = interrupt;
  outcome["not_finite_step"] = result.not_finite_step;
  outcome["fault"] = fault_object(result.fault);
  return outcome;
}

}  // namespace

py::dict Engine::loop(const std::string& program, const py::sequence& columns, int64_t batch,
                      bool shuffle, uint64_t seed, uint64_t step, int64_t clock_step,
                      int64_t clock_steps, const py::object& callback, int64_t least_rows,
                      TrainingGuard* guard) {
  const size_t index = executable_->program_index(program);
  const Columns data(*executable_, index, columns);
  LoopOptions options;
  options.batch = batch;
  options.shuffle = shuffle;
  options.state = {seed, step};
  options.clock_step = clock_step;
  options.clock_steps = clock_steps;
  options.least_rows = least_rows;
  bool interrupt = false;
  const LoopCallback report = [&](const LoopProgress& progress) {
    const py::gil_scoped_acquire acquire;
    if (interrupted()) {
      interrupt = true;
      return true;
    }
    if (callback.is_none()) return false;
    try {
      const py::object answer =
          callback(progress.rows_done, progress.rows, py::list(py::cast(*progress.means)));
      return PyObject_IsTrue(answer.ptr()) == 1;
    } catch (const py::error_already_set& error) {
      if (!error.matches(PyExc_KeyboardInterrupt))
        throw;  // a handler may also run inside the callback
      interrupt = true;
      return true;
    }
  };
  LoopResult result;
  {
    const py::gil_scoped_release release;
    result = run_loop(*executable_, index, data.columns, options, report,
                      guard != nullptr ? &guard->guard() : nullptr);
  }
  return result_dict(result, interrupt);
}

}  // namespace nnrt::python
