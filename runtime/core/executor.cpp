#include "core/executor.h"

#include <algorithm>
#include <mutex>
#include <shared_mutex>

#include "core/profile.h"
#include "core/state_lock.h"

namespace nnrt {
namespace {

std::string expected_shape(const BufferSpec& spec) {
  std::string text = std::string(name_of(spec.dtype)) + "[";
  for (size_t i = 0; i < spec.shape.size(); ++i) text += (i ? ", " : "") + spec.shape[i].text;
  return text + "]";
}

std::string found_shape(const ShapeView& view) {
  std::string text = "[";
  for (size_t i = 0; i < view.rank; ++i) text += (i ? ", " : "") + std::to_string(view.dims[i]);
  return text + "]";
}

[[noreturn]] void wrong_shape(const NamedBuffer& input, const BufferSpec& spec,
                              const ShapeView& view) {
  throw Error("input `" + input.name + "`: expected " + expected_shape(spec) +
              ", found the shape " + found_shape(view));
}

}  // namespace

Executor::Executor(Executable& executable)
    : executable_(executable),
      context_(executable.backend().make_context(executable)),
      entries_(executable.programs().size()),
      symbols_(executable.plan().symbols.size(), 0) {}

const TensorInfo& Executor::output_info(size_t program, const BoundProgram& bound,
                                        size_t output) const {
  const NamedBuffer& named = executable_.programs()[program].program->outputs[output];
  return bound.buffers()[static_cast<size_t>(named.buffer)];
}

BoundProgram* Executor::find(size_t program) {
  for (Entry& entry : entries_[program]) {
    if (entry.symbols == symbols_) {
      entry.last_use = ++uses_;
      return entry.bound.get();
    }
  }
  return nullptr;
}

BoundProgram& Executor::add(size_t program, std::unique_ptr<BoundProgram> bound) {
  std::vector<Entry>& list = entries_[program];
  if (list.size() >= kMaxBound) {
    list.erase(std::min_element(list.begin(), list.end(), [](const Entry& a, const Entry& b) {
      return a.last_use < b.last_use;
    }));
  }
  list.push_back({symbols_, ++uses_, std::move(bound)});
  return *list.back().bound;
}

BoundProgram& Executor::bind(size_t program, const ShapeView* shapes, size_t count) {
  const Executable::Entry& entry = executable_.programs()[program];
  const std::vector<NamedBuffer>& inputs = entry.program->inputs;
  NNC_CHECK(count == inputs.size(), "program `" + entry.name + "` takes " +
                                        std::to_string(inputs.size()) + " inputs, found " +
                                        std::to_string(count));
  for (size_t i = 0; i < count; ++i) {
    const BufferSpec& spec = entry.program->buffers[static_cast<size_t>(inputs[i].buffer)];
    if (shapes[i].rank != spec.shape.size()) wrong_shape(inputs[i], spec, shapes[i]);
  }
  std::fill(symbols_.begin(), symbols_.end(), 0);
  for (const SymbolSource& source : entry.info.symbols) {
    symbols_[static_cast<size_t>(source.symbol)] = shapes[source.input].dims[source.axis];
  }
  if (BoundProgram* found = find(program)) {
    check_shapes(program, *found, shapes);
    return *found;
  }
  // Inputs first: a wrong shape is the user's mistake and deserves its own message, before kernels
  // see it.
  for (size_t i = 0; i < count; ++i) {
    const BufferSpec& spec = entry.program->buffers[static_cast<size_t>(inputs[i].buffer)];
    for (size_t axis = 0; axis < shapes[i].rank; ++axis) {
      if (evaluate(spec.shape[axis], symbols_) != shapes[i].dims[axis])
        wrong_shape(inputs[i], spec, shapes[i]);
    }
  }
  return bind_symbols(program, symbols_);
}

BoundProgram& Executor::bind_symbols(size_t program, const std::vector<int64_t>& symbols) {
  NNC_CHECK(symbols.size() == symbols_.size(), "a value for each symbol is needed");
  symbols_ = symbols;
  if (BoundProgram* found = find(program)) return *found;
  const PhaseTimer timer("bind " + executable_.programs()[program].name,
                         executable_.options().debug);
  return add(program, context_->bind(program, symbols_));
}

void Executor::check_shapes(size_t program, const BoundProgram& bound,
                            const ShapeView* shapes) const {
  const Program& spec = *executable_.programs()[program].program;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const size_t buffer = static_cast<size_t>(spec.inputs[i].buffer);
    if (!std::equal(shapes[i].dims, shapes[i].dims + shapes[i].rank,
                    bound.buffers()[buffer].shape.begin())) {
      wrong_shape(spec.inputs[i], spec.buffers[buffer], shapes[i]);
    }
  }
}

void Executor::run(size_t program, BoundProgram& bound, const RunRequest& request) {
  RunRequest timed = request;
  timed.timed = executable_.timed();
  if (executable_.programs()[program].info.writes_variables()) {
    const StateLock::Changing changing(executable_.state());
    const std::unique_lock<std::shared_mutex> lock(executable_.mutex());
    bound.prepare(executable_.version());
    bound.run(timed);
    executable_.set_step(request.state.step + 1);
    executable_.variables_changed();
    return;
  }
  std::shared_lock<std::shared_mutex> lock(executable_.mutex());
  while (!bound.is_prepared(executable_.version())) {
    // Others read what is prepared: it is made again while nothing runs.
    lock.unlock();
    {
      const std::unique_lock<std::shared_mutex> alone(executable_.mutex());
      bound.prepare(executable_.version());
    }
    lock.lock();
  }
  bound.run(timed);
}

}  // namespace nnrt
