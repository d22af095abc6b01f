#include "core/executor.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <shared_mutex>

#include "core/denormals.h"
#include "core/profile.h"
#include "core/team.h"

namespace nnrt {
namespace {

// The units of one share.
std::pair<int64_t, int64_t> units_of(int64_t units, int share, int shares) {
  if (units == 1) return {0, share == 0 ? 1 : 0};
  return {units * share / shares, units * (share + 1) / shares};
}

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
      bindings_(executable.programs().size()),
      symbols_(executable.plan().symbols.size(), 0) {}

const TensorInfo& Executor::output_info(size_t program, const Binding& binding,
                                        size_t output) const {
  const NamedBuffer& named = executable_.programs()[program].program->outputs[output];
  return binding.buffers[static_cast<size_t>(named.buffer)];
}

Binding* Executor::find(size_t program) {
  for (const std::unique_ptr<Binding>& binding : bindings_[program]) {
    if (binding->symbols == symbols_) {
      binding->last_use = ++uses_;
      return binding.get();
    }
  }
  return nullptr;
}

Binding& Executor::add(size_t program, std::unique_ptr<Binding> binding) {
  std::vector<std::unique_ptr<Binding>>& list = bindings_[program];
  if (list.size() >= kMaxBindings) {
    list.erase(std::min_element(list.begin(), list.end(), [](const auto& a, const auto& b) {
      return a->last_use < b->last_use;
    }));
  }
  binding->last_use = ++uses_;
  list.push_back(std::move(binding));
  return *list.back();
}

Binding& Executor::bind(size_t program, const ShapeView* shapes, size_t count) {
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
  if (Binding* found = find(program)) {
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

Binding& Executor::bind_symbols(size_t program, const std::vector<int64_t>& symbols) {
  NNC_CHECK(symbols.size() == symbols_.size(), "a value for each symbol is needed");
  symbols_ = symbols;
  if (Binding* found = find(program)) return *found;
  const Executable::Entry& entry = executable_.programs()[program];
  const Options& options = executable_.options();
  const PhaseTimer timer("bind " + entry.name, options.debug);
  BindOptions bind_options;
  bind_options.isa = options.isa;
  bind_options.threads = options.threads;
  bind_options.verify = options.verify;
  bind_options.fusions = options.fusions;
  bind_options.strict = executable_.plan().strict;
  bind_options.lookup = executable_.lookup();
  bind_options.store = entry.prepared.get();
  std::unique_ptr<Binding> binding =
      bind_program(*entry.program, entry.info, symbols_, bind_options);
  arena_.reserve(binding->layout);
  return add(program, std::move(binding));
}

void Executor::check_shapes(size_t program, const Binding& binding, const ShapeView* shapes) const {
  const Program& spec = *executable_.programs()[program].program;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const size_t buffer = static_cast<size_t>(spec.inputs[i].buffer);
    if (!std::equal(shapes[i].dims, shapes[i].dims + shapes[i].rank,
                    binding.buffers[buffer].shape.begin())) {
      wrong_shape(spec.inputs[i], spec.buffers[buffer], shapes[i]);
    }
  }
}

// Fills in every pointer that stays the same from call to call.
void Executor::resolve(Binding& binding) {
  arena_.reserve(binding.layout);
  if (binding.arena_generation == arena_.generation() + 1) return;
  for (size_t slot = 0; slot < binding.pointers.size(); ++slot) {
    const Place place = binding.places[static_cast<size_t>(binding.pointer_roots[slot])];
    if (place.kind == Place::Kind::arena) binding.pointers[slot] = arena_.data() + place.at;
    if (place.kind == Place::Kind::variable)
      binding.pointers[slot] = executable_.variable(place.at);
    if (place.kind == Place::Kind::prepared)
      binding.pointers[slot] = binding.prepared->memory.data() + place.at;
  }
  for (BoundPart* part : {&binding.prepare, &binding.main}) {
    for (BoundStep& step : part->steps) {
      step.call.workspace = arena_.data() + step.workspace;
      if (step.parts.bytes > 0) step.call.parts = arena_.data() + step.parts.at;
      step.call.state = &state_;
      step.call.fault = step.fault.get();
    }
  }
  binding.arena_generation = arena_.generation() + 1;  // never 0, which means never resolved
}

void Executor::patch(Binding& binding, const void* const* inputs, void* const* outputs) {
  for (const Binding::Patch& patch : binding.input_patches) {
    binding.pointers[patch.slot] =
        const_cast<void*>(inputs[patch.index]);  // check_plan: inputs are never written
  }
  for (const Binding::Patch& patch : binding.output_patches)
    binding.pointers[patch.slot] = outputs[patch.index];
}

void Executor::run(size_t program, Binding& binding, const void* const* inputs,
                   void* const* outputs, const RunState& state, const Prologue& prologue) {
  resolve(binding);
  patch(binding, inputs, outputs);
  binding.timed = executable_.timed();
  state_ = state;
  if (executable_.programs()[program].info.writes_variables()) {
    const StateLock::Changing changing(executable_.state());
    const std::unique_lock<std::shared_mutex> lock(executable_.mutex());
    prepare(binding);
    run_locked(binding, outputs, prologue);
    executable_.set_step(state.step + 1);
    executable_.variables_changed();
  } else {
    std::shared_lock<std::shared_mutex> lock(executable_.mutex());
    while (binding.prepared_version != executable_.version()) {
      // Others read what is prepared: it is made again while nothing runs.
      lock.unlock();
      {
        const std::unique_lock<std::shared_mutex> alone(executable_.mutex());
        prepare(binding);
      }
      lock.lock();
    }
    run_locked(binding, outputs, prologue);
  }
  for (const auto& [buffer, output] : binding.copies) {
    const Place place = binding.places[static_cast<size_t>(buffer)];
    if (place.kind == Place::Kind::input) {
      const size_t bytes = binding.buffers[static_cast<size_t>(buffer)].bytes();
      if (bytes > 0) std::memcpy(outputs[output], inputs[place.at], bytes);
    }
  }
}

std::optional<IndexError> Executor::take_fault(Binding& binding) {
  std::optional<IndexError> first;
  for (const BoundStep& step : binding.main.steps) {
    const std::optional<IndexFault::Found> found = step.fault ? step.fault->take() : std::nullopt;
    if (!found || first) continue;
    const int operand = step.spec->operands[static_cast<size_t>(step.kernel.index_operand)];
    const TensorInfo& indices = binding.buffers[static_cast<size_t>(operand)];
    const int64_t rows = indices.shape.empty() ? 1 : indices.shape[0];
    const std::string place =
        step.spec->source.empty() ? describe(*step.spec, step.index) : step.spec->source;
    first.emplace(place, found->place / std::max<int64_t>(1, indices.elements() / rows), rows,
                  found->index, step.kernel.index_limit);
  }
  return first;
}

// Makes what depends on variables alone, where they changed since it was made. Needs the exclusive
// lock.
void Executor::prepare(Binding& binding) {
  const uint64_t version = executable_.version();
  if (binding.prepared_version == version) return;
  if (!binding.prepare.phases.empty() || !binding.packing.empty())
    run_side_by_side(binding, [&](const Worker& worker) { work_prepare(binding, worker); });
  if (binding.prepared) binding.prepared->version = version;
  for (const BoundStep& step : binding.main.steps) {
    if (step.prepared) step.prepared->version = version;
  }
  binding.prepared_version = version;
}

// Runs body(worker) on as many threads as the cores and the pace of the binding allow. The work is
// cut into one share for each thread of the binding, so the bits do not depend on the threads that
// run.
template <class Body>
void Executor::run_side_by_side(Binding& binding, Body body) {
  const int shares = binding.threads;
  if (shares == 1) return body(Worker{0, 1, 0, 1});
  using Clock = std::chrono::steady_clock;
  const CoreShare cores(shares, executable_.options().cores);
  const int threads = binding.pace.threads(cores.threads());
  const Clock::time_point start = Clock::now();
  int64_t waited = run_team(threads, [&](int thread, int workers) {
    body(Worker{thread, workers, shares * thread / workers, shares * (thread + 1) / workers});
  });
  waited += barrier_.take_waited();
  if (cores.threads() == 1) return;
  binding.pace.ran(std::chrono::nanoseconds(Clock::now() - start).count(),
                   waited / std::max(1, threads - 1));
}

void Executor::run_locked(Binding& binding, void* const* outputs, const Prologue& prologue) {
  run_side_by_side(binding, [&](const Worker& worker) { work(binding, prologue, worker); });
  for (const auto& [buffer, output] : binding.copies) {
    const Place place = binding.places[static_cast<size_t>(buffer)];
    const size_t bytes = binding.buffers[static_cast<size_t>(buffer)].bytes();
    const char* source = nullptr;
    if (place.kind == Place::Kind::arena) source = arena_.data() + place.at;
    if (place.kind == Place::Kind::variable) source = executable_.variable(place.at);
    if (place.kind == Place::Kind::prepared) source = binding.prepared->memory.data() + place.at;
    if (source != nullptr && bytes > 0) std::memcpy(outputs[output], source, bytes);
  }
}

void* Executor::scratch_of(const Binding& binding, const BoundStep& step, int share) const {
  return arena_.data() + binding.scratch[static_cast<size_t>(share)] + step.scratch;
}

void Executor::work_phase(const Binding& binding, const BoundStep& step, const Phase& phase,
                          const Worker& worker) const {
  for (int share = worker.first; share < worker.last; ++share) {
    const auto [begin, end] = units_of(phase.units, share, binding.threads);
    if (begin >= end) continue;
    Call call = step.call;
    call.scratch = scratch_of(binding, step, share);
    if (phase.arguments != nullptr) call.arguments = phase.arguments;
    phase.run(call, begin, end);
  }
}

void Executor::work_prepare(Binding& binding, const Worker& worker) {
  const FlushDenormals flush;
  const uint64_t version = executable_.version();
  bool waiting = false;
  if (!binding.prepared || binding.prepared->version != version) {
    work_phases(binding, binding.prepare, worker, false);
    waiting = !binding.prepare.phases.empty();
  }
  for (const BoundPhase& bound : binding.packing) {
    const BoundStep& step = binding.main.steps[bound.step];
    if (step.prepared->version == version) continue;
    if (worker.workers > 1 && (waiting || bound.barrier)) barrier_.wait(worker.workers);
    waiting = false;
    work_phase(binding, step, bound.phase, worker);
  }
}

void Executor::work(Binding& binding, const Prologue& prologue, const Worker& worker) {
  const FlushDenormals flush;
  bool waiting = false;  // something ran that the steps depend on
  if (prologue.units > 0) {
    const auto [begin, end] = units_of(prologue.units, worker.number, worker.workers);
    if (begin < end) prologue.run(prologue.arguments, begin, end);
    waiting = true;
  }
  if (binding.timed) {
    if (waiting && worker.workers > 1) barrier_.wait(worker.workers);
    work_timed(binding, worker);
  } else {
    work_phases(binding, binding.main, worker, waiting);
  }
}

void Executor::work_phases(Binding& binding, const BoundPart& part, const Worker& worker,
                           bool waiting) {
  bool first = true;
  for (const BoundPhase& bound : part.phases) {
    if (worker.workers > 1 && (first ? waiting : bound.barrier)) barrier_.wait(worker.workers);
    first = false;
    work_phase(binding, part.steps[bound.step], bound.phase, worker);
  }
}

// The same with a barrier after every phase, so that thread 0 can tell how long each step took.
void Executor::work_timed(Binding& binding, const Worker& worker) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
  for (const BoundPhase& bound : binding.main.phases) {
    work_phase(binding, binding.main.steps[bound.step], bound.phase, worker);
    if (worker.workers > 1) barrier_.wait(worker.workers);
    if (worker.number == 0) {
      const Clock::time_point now = Clock::now();
      binding.step_seconds[bound.step] += std::chrono::duration<double>(now - start).count();
      start = now;
    }
  }
  if (worker.number == 0) ++binding.timed_runs;
}

}  // namespace nnrt
