// A run of a bound program on the CPU: pointers, threads, phases.
#include "cpu/engine/cpu_program.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "cpu/engine/denormals.h"
#include "cpu/engine/team.h"

namespace nnrt {
namespace {

// The units of one share.
std::pair<int64_t, int64_t> units_of(int64_t units, int share, int shares) {
  if (units == 1) return {0, share == 0 ? 1 : 0};
  return {units * share / shares, units * (share + 1) / shares};
}

}  // namespace

// Fills in every pointer that stays the same from call to call.
void CpuProgram::resolve() {
  context_.arena().reserve(binding_->layout);
  if (binding_->arena_generation == context_.arena().generation() + 1) return;
  for (size_t slot = 0; slot < binding_->pointers.size(); ++slot) {
    const Place place = binding_->places[static_cast<size_t>(binding_->pointer_roots[slot])];
    if (place.kind == Place::Kind::arena)
      binding_->pointers[slot] = context_.arena().data() + place.at;
    if (place.kind == Place::Kind::variable)
      binding_->pointers[slot] = context_.executable().variable(place.at);
    if (place.kind == Place::Kind::prepared)
      binding_->pointers[slot] = binding_->prepared->memory.data() + place.at;
  }
  for (BoundPart* part : {&binding_->prepare, &binding_->main}) {
    for (BoundStep& step : part->steps) {
      step.call.workspace = context_.arena().data() + step.workspace;
      if (step.parts.bytes > 0) step.call.parts = context_.arena().data() + step.parts.at;
      step.call.state = &state_;
      step.call.fault = step.fault.get();
    }
  }
  binding_->arena_generation =
      context_.arena().generation() + 1;  // never 0, which means never resolved
}

void CpuProgram::patch(const RunRequest& request) {
  std::copy_n(request.inputs, inputs_.size(), inputs_.begin());
  if (request.batch != nullptr) {
    const CpuRows& rows = static_cast<const CpuRows&>(*request.batch->data);
    for (size_t i = 0; i < rows.columns().size(); ++i)
      inputs_[rows.columns()[i].input] = rows.place(i, *request.batch);
  }
  for (const Binding::Patch& patch : binding_->input_patches) {
    binding_->pointers[patch.slot] =
        const_cast<void*>(inputs_[patch.index]);  // check_plan: inputs are never written
  }
  for (const Binding::Patch& patch : binding_->output_patches)
    binding_->pointers[patch.slot] = request.outputs[patch.index];
}

void CpuProgram::run(const RunRequest& request) {
  resolve();
  patch(request);
  state_ = request.state;
  run_side_by_side([&](const Worker& worker) { work(request, worker); });
  copy_outputs(request.outputs);
}

std::optional<IndexError> CpuProgram::take_fault() {
  std::optional<IndexError> first;
  for (const BoundStep& step : binding_->main.steps) {
    const std::optional<IndexFault::Found> found = step.fault ? step.fault->take() : std::nullopt;
    if (!found || first) continue;
    const int operand = step.spec->operands[static_cast<size_t>(step.kernel.index_operand)];
    const TensorInfo& indices = binding_->buffers[static_cast<size_t>(operand)];
    const int64_t rows = indices.shape.empty() ? 1 : indices.shape[0];
    const std::string place =
        step.spec->source.empty() ? describe(*step.spec, step.index) : step.spec->source;
    first.emplace(place, found->place / std::max<int64_t>(1, indices.elements() / rows), rows,
                  found->index, step.kernel.index_limit);
  }
  return first;
}

void CpuProgram::prepare(uint64_t version) {
  if (binding_->prepared_version == version) return;
  resolve();
  if (!binding_->prepare.phases.empty() || !binding_->packing.empty())
    run_side_by_side([&](const Worker& worker) { work_prepare(version, worker); });
  if (binding_->prepared) binding_->prepared->version = version;
  for (const BoundStep& step : binding_->main.steps) {
    if (step.prepared) step.prepared->version = version;
  }
  binding_->prepared_version = version;
}

// Runs body(worker) on as many threads as the cores and the pace of the binding allow. The work is
// cut into one share for each thread of the binding, so the bits do not depend on the threads that
// run.
template <class Body>
void CpuProgram::run_side_by_side(Body body) {
  const int shares = binding_->threads;
  if (shares == 1) return body(Worker{0, 1, 0, 1});
  using Clock = std::chrono::steady_clock;
  const CoreShare cores(shares, context_.executable().options().cores);
  const int threads = binding_->pace.threads(cores.threads());
  const Clock::time_point start = Clock::now();
  int64_t waited = run_team(threads, [&](int thread, int workers) {
    body(Worker{thread, workers, shares * thread / workers, shares * (thread + 1) / workers});
  });
  waited += context_.barrier().take_waited();
  if (cores.threads() == 1) return;
  binding_->pace.ran(std::chrono::nanoseconds(Clock::now() - start).count(),
                     waited / std::max(1, threads - 1));
}

// The outputs that no step writes where the caller wants them.
void CpuProgram::copy_outputs(void* const* outputs) const {
  for (const auto& [buffer, output] : binding_->copies) {
    const Place place = binding_->places[static_cast<size_t>(buffer)];
    const size_t bytes = binding_->buffers[static_cast<size_t>(buffer)].bytes();
    const void* source = nullptr;
    if (place.kind == Place::Kind::arena) source = context_.arena().data() + place.at;
    if (place.kind == Place::Kind::variable) source = context_.executable().variable(place.at);
    if (place.kind == Place::Kind::prepared) source = binding_->prepared->memory.data() + place.at;
    if (place.kind == Place::Kind::input) source = inputs_[place.at];
    if (source != nullptr && bytes > 0) std::memcpy(outputs[output], source, bytes);
  }
}

void* CpuProgram::scratch_of(const BoundStep& step, int share) const {
  return context_.arena().data() + binding_->scratch[static_cast<size_t>(share)] + step.scratch;
}

void CpuProgram::work_phase(const BoundStep& step, const Phase& phase, const Worker& worker) const {
  for (int share = worker.first; share < worker.last; ++share) {
    const auto [begin, end] = units_of(phase.units, share, binding_->threads);
    if (begin >= end) continue;
    Call call = step.call;
    call.scratch = scratch_of(step, share);
    if (phase.arguments != nullptr) call.arguments = phase.arguments;
    phase.run(call, begin, end);
  }
}

void CpuProgram::work_prepare(uint64_t version, const Worker& worker) {
  const FlushDenormals flush;
  bool waiting = false;
  if (!binding_->prepared || binding_->prepared->version != version) {
    work_phases(binding_->prepare, worker, false);
    waiting = !binding_->prepare.phases.empty();
  }
  for (const BoundPhase& bound : binding_->packing) {
    const BoundStep& step = binding_->main.steps[bound.step];
    if (step.prepared->version == version) continue;
    if (worker.workers > 1 && (waiting || bound.barrier)) context_.barrier().wait(worker.workers);
    waiting = false;
    work_phase(step, bound.phase, worker);
  }
}

void CpuProgram::work(const RunRequest& request, const Worker& worker) {
  const FlushDenormals flush;
  const Batch* const batch = request.batch;
  const bool gathers = batch != nullptr && batch->rows != nullptr;
  if (gathers) {
    const auto [begin, end] = units_of(batch->count, worker.number, worker.workers);
    if (begin < end) static_cast<const CpuRows&>(*batch->data).gather(*batch, begin, end);
  }
  if (request.timed) {
    if (gathers && worker.workers > 1) context_.barrier().wait(worker.workers);
    work_timed(worker);
  } else {
    work_phases(binding_->main, worker, gathers);
  }
}

void CpuProgram::work_phases(const BoundPart& part, const Worker& worker, bool waiting) {
  bool first = true;
  for (const BoundPhase& bound : part.phases) {
    if (worker.workers > 1 && (first ? waiting : bound.barrier))
      context_.barrier().wait(worker.workers);
    first = false;
    work_phase(part.steps[bound.step], bound.phase, worker);
  }
}

// The same with a barrier after every phase, so that thread 0 can tell how long each step took.
void CpuProgram::work_timed(const Worker& worker) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
  for (const BoundPhase& bound : binding_->main.phases) {
    work_phase(binding_->main.steps[bound.step], bound.phase, worker);
    if (worker.workers > 1) context_.barrier().wait(worker.workers);
    if (worker.number == 0) {
      const Clock::time_point now = Clock::now();
      binding_->step_seconds[bound.step] += std::chrono::duration<double>(now - start).count();
      start = now;
    }
  }
  if (worker.number == 0) ++binding_->timed_runs;
}

ProgramReport CpuProgram::report() const {
  ProgramReport report;
  report.arena_bytes = binding_->arena_bytes;
  report.lower_bound_bytes = binding_->lower_bound;
  report.scratch_bytes = binding_->scratch_bytes;
  report.threads = binding_->threads;
  report.timed_runs = binding_->timed_runs;
  report.prepared_bytes = binding_->prepared ? binding_->prepared->memory.bytes() : 0;
  report.barriers = std::count_if(binding_->main.phases.begin(), binding_->main.phases.end(),
                                  [](const BoundPhase& phase) { return phase.barrier; });
  const double runs = static_cast<double>(std::max<int64_t>(1, binding_->timed_runs));
  for (size_t i = 0; i < binding_->main.steps.size(); ++i) {
    const BoundStep& step = binding_->main.steps[i];
    if (step.prepared) report.prepared_bytes += step.prepared->memory.bytes();
    const StepSpec& spec = program_.steps[step.index];
    const int first = !spec.results.empty() ? spec.results.front() : spec.tile->stores.front();
    report.steps.push_back({spec.path, spec.source, spec.kernel, step.kernel.algorithm,
                            text_of(binding_->buffers[static_cast<size_t>(first)]), step.flops,
                            step.bytes, binding_->step_seconds[i] / runs, step.kernel.note});
  }
  return report;
}

void CpuProgram::reset_times() {
  std::fill(binding_->step_seconds.begin(), binding_->step_seconds.end(), 0.0);
  binding_->timed_runs = 0;
}

CpuRows::CpuRows(const std::vector<DataColumn>& columns, size_t most, bool shuffled)
    : columns_(columns) {
  if (!shuffled) return;
  Layout staging;
  for (const DataColumn& column : columns_)
    offsets_.push_back(staging.add(column.row_bytes * most));
  require_memory(staging.bytes, "the rows of a batch");
  staging_ = Block(staging);
}

const char* CpuRows::place(size_t column, const Batch& batch) const {
  if (batch.rows != nullptr) return staging_.data() + offsets_[column];
  return columns_[column].data + static_cast<size_t>(batch.first) * columns_[column].row_bytes;
}

void CpuRows::gather(const Batch& batch, int64_t begin, int64_t end) const {
  for (size_t column = 0; column < columns_.size(); ++column) {
    const size_t bytes = columns_[column].row_bytes;
    char* const target = staging_.data() + offsets_[column];
    for (int64_t i = begin; i < end; ++i) {
      std::memcpy(target + static_cast<size_t>(i) * bytes,
                  columns_[column].data + static_cast<size_t>(batch.rows[i]) * bytes, bytes);
    }
  }
}

}  // namespace nnrt
