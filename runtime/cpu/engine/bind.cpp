// bind_program: sizes, kernels, places, memory plan, pointers and schedule of one program.
#include <algorithm>
#include <map>
#include <set>

#include "core/planner.h"
#include "core/sizes.h"
#include "cpu/engine/binding.h"
#include "cpu/engine/chain.h"
#include "cpu/engine/columns.h"
#include "cpu/engine/fused_reductions.h"
#include "cpu/engine/work.h"
#include "cpu/tile/tile.h"

namespace nnrt {
namespace {

// Of operands and results of a step that are looked at for in-place use. Steps of networks have
// some tens.
constexpr size_t kMostPairs = 4096;

class Binder {
 public:
  Binder(const Program& program, const ProgramInfo& info, const std::vector<int64_t>& symbols,
         const BindOptions& options)
      : program_(program), info_(info), options_(options), binding_(std::make_unique<Binding>()) {
    binding_->symbols = symbols;
  }

  std::unique_ptr<Binding> bind() {
    binding_->buffers = evaluate_buffers(program_, binding_->symbols);
    for (const TensorInfo& info : binding_->buffers) binding_->sizes.push_back(info.bytes());
    reads_ = count_reads();
    bind_part(program_.prepare, binding_->prepare, no_buffers());
    bind_part(program_.steps, binding_->main, fixed_buffers());
    check_work(*binding_, options_.isa, options_.threads);
    const Fusions& fusions = options_.fusions;
    ChainBuffers chained;
    if (fusions.chains) {
      chained = join_chains(binding_->main, temporary_readers(), info_.roots, binding_->buffers,
                            options_.threads);
    }
    for (const auto& [buffer, bytes] : chained.handed) binding_->sizes[root(buffer)] = bytes;
    if (fusions.sums) taken_ = take_sums(binding_->main, info_.roots, binding_->buffers);
    std::vector<int> unstored;
    if (fusions.columns) {
      unstored =
          store_columns(binding_->main, plain_buffers(), reads_, info_.roots, binding_->buffers);
    }
    place_buffers();
    for (const std::vector<int>* list : {&chained.unused, &unstored}) {
      for (int buffer : *list) binding_->places[root(buffer)] = {};
    }
    for (const BoundPart* part : {&binding_->prepare, &binding_->main}) {
      for (const BoundStep& step : part->steps) {
        if (step.kernel.holds_result) binding_->places[root(step.spec->results.front())] = {};
      }
    }
    place_packed();
    plan();
    for (BoundPart* part : {&binding_->prepare, &binding_->main})
      place_barriers(*part, *binding_, info_);
    add_pointers();
    binding_->threads = std::max(threads_for(binding_->prepare, options_.threads),
                                 threads_for(binding_->main, options_.threads));
    place_scratch();
    binding_->step_seconds.assign(binding_->main.steps.size(), 0);
    return std::move(binding_);
  }

 private:
  size_t root(int buffer) const {
    return static_cast<size_t>(info_.roots[static_cast<size_t>(buffer)]);
  }
  const TensorInfo& info_of(size_t buffer) const { return binding_->buffers[buffer]; }

  std::vector<bool> no_buffers() const { return std::vector<bool>(program_.buffers.size(), false); }

  // Buffers that depend on variables alone, where the program changes no variable.
  std::vector<bool> fixed_buffers() const {
    std::vector<bool> fixed = no_buffers();
    for (size_t i = 0; i < fixed.size() && !info_.writes_variables(); ++i) {
      const BufferKind kind = program_.buffers[root(static_cast<int>(i))].kind;
      fixed[i] = kind == BufferKind::variable || kind == BufferKind::constant ||
                 kind == BufferKind::prepared;
    }
    return fixed;
  }

  // How many steps and outputs read each buffer's memory; an epilogue's reading of its own kernel's
  // result is not counted.
  std::vector<int> count_reads() const {
    std::vector<int> reads(program_.buffers.size(), 0);
    for (const std::vector<StepSpec>* steps : {&program_.prepare, &program_.steps}) {
      for (const StepSpec& step : *steps) {
        for (int read : access_of(step).reads) ++reads[root(read)];
      }
    }
    for (const NamedBuffer& output : program_.outputs) ++reads[root(output.buffer)];
    return reads;
  }

  // A temporary under no other name.
  bool is_plain(size_t buffer) const {
    return program_.buffers[buffer].kind == BufferKind::temporary &&
           program_.buffers[buffer].alias < 0;
  }

  std::vector<bool> plain_buffers() const {
    std::vector<bool> plain = no_buffers();
    for (size_t i = 0; i < plain.size(); ++i) plain[i] = is_plain(i);
    return plain;
  }

  // How many steps read a temporary; 0 for others.
  std::vector<int> temporary_readers() const {
    std::vector<int> readers = reads_;
    for (size_t i = 0; i < readers.size(); ++i) {
      if (!is_plain(i)) readers[i] = 0;
    }
    return readers;
  }

  // Whether nothing but its own epilogue reads the step's first result.
  bool passes(const StepSpec& spec) const {
    if (!options_.fusions.held || !spec.tile || spec.results.empty()) return false;
    const int result = spec.results.front();
    const auto touches = [&](int buffer) { return root(buffer) == root(result); };
    return is_plain(static_cast<size_t>(result)) && reads_[root(result)] == 0 &&
           std::none_of(spec.tile->stores.begin(), spec.tile->stores.end(), touches);
  }

  void bind_part(const std::vector<StepSpec>& specs, BoundPart& part,
                 const std::vector<bool>& fixed) {
    for (size_t i = 0; i < specs.size(); ++i) {
      if (is_empty(specs[i], i, binding_->buffers)) continue;
      check_hazards(specs[i], i, info_.roots, binding_->buffers, binding_->symbols);
      part.steps.push_back(bind_step(specs[i], i, binding_->buffers, fixed, passes(specs[i]),
                                     binding_->symbols, options_));
    }
  }

  Shape domain_of(const StepSpec& spec) const {
    return spec.tile ? evaluate_shape(spec.tile->domain, binding_->symbols) : Shape{};
  }

  void place_buffers() {
    std::vector<int> named(program_.buffers.size(), 0);
    for (const NamedBuffer& output : program_.outputs) ++named[root(output.buffer)];
    binding_->places.resize(program_.buffers.size());
    Layout prepared;
    for (size_t i = 0; i < program_.buffers.size(); ++i) {
      const BufferSpec& spec = program_.buffers[i];
      if (spec.alias >= 0) continue;
      Place& place = binding_->places[i];
      switch (spec.kind) {
        case BufferKind::variable:
        case BufferKind::constant:
          place = {Place::Kind::variable, static_cast<size_t>(spec.variable)};
          break;
        case BufferKind::input:
          break;  // below, by number
        case BufferKind::prepared:
          place = {Place::Kind::prepared, prepared.add(info_of(i).bytes())};
          break;
        case BufferKind::temporary:
        case BufferKind::output:
          place = {Place::Kind::arena, 0};
          break;
      }
    }
    for (size_t i = 0; i < program_.inputs.size(); ++i) {
      binding_->places[static_cast<size_t>(program_.inputs[i].buffer)] = {Place::Kind::input, i};
    }
    for (size_t i = 0; i < program_.outputs.size(); ++i) {
      const size_t buffer = root(program_.outputs[i].buffer);
      if (binding_->places[buffer].kind == Place::Kind::arena && named[buffer] == 1) {
        binding_->places[buffer] = {Place::Kind::output, i};
      } else {
        binding_->copies.emplace_back(static_cast<int>(buffer), i);
      }
    }
    if (prepared.bytes > 0) binding_->prepared = options_.store->find("buffers", prepared);
  }

  // Memory and order of what kernels prepare. They read variables and prepared buffers alone, so
  // only the phases of one kernel wait for each other.
  void place_packed() {
    for (size_t i = 0; i < binding_->main.steps.size(); ++i) {
      BoundStep& step = binding_->main.steps[i];
      if (step.kernel.prepare.empty()) continue;
      Layout packed;
      step.prepared_at = packed.add(step.kernel.prepared_bytes);
      step.prepared = options_.store->find(
          "step " + std::to_string(step.index) + " " + step.kernel.layout, packed);
      bool waits = false;
      for (const Phase& phase : step.kernel.prepare) {
        if (phase.units <= 0) continue;
        binding_->packing.push_back({phase, static_cast<uint32_t>(i), waits});
        waits = true;
      }
    }
  }

  template <class Visit>
  void each_step(Visit visit) {
    for (BoundPart* part : {&binding_->prepare, &binding_->main}) {
      for (BoundStep& step : part->steps) visit(step);
    }
  }

  bool in_arena(size_t buffer) const { return binding_->places[buffer].kind == Place::Kind::arena; }

  // Whether the kernel stores each element of its only result once, just after its epilogue has
  // read what lies at the same place of others, which it may then replace.
  static bool finishes_once(const BoundStep& step) {
    return step.spec->tile && step.kernel.column_lanes > 0 && !step.kernel.sums_in_result &&
           step.columns.empty() && step.members.empty() && !step.joined;
  }
  bool is_operand(const BoundStep& step, size_t buffer) const {
    const std::vector<int>& operands = step.spec->operands;
    return std::any_of(operands.begin(), operands.end(),
                       [&](int operand) { return root(operand) == buffer; });
  }

  // Whether the kernel's first result may lie where that operand does, which nothing else reads.
  bool may_replace(const BoundStep& step, size_t from, size_t to) const {
    const StepSpec& spec = *step.spec;
    if (root(spec.results.front()) != to) return false;
    for (size_t i = 0; i < spec.operands.size(); ++i) {
      const bool replaced = i == static_cast<size_t>(step.kernel.replaces);
      if ((root(spec.operands[i]) == from) != replaced) return false;
    }
    return !spec.tile;
  }

  MemoryRequest::Step memory_step(const BoundStep& step, const std::vector<int>& item_of) const {
    MemoryRequest::Step result;
    const StepAccess& access = step.access;
    const auto collect = [&](const std::vector<int>& buffers, std::vector<int>& items) {
      std::set<int> seen;
      for (int buffer : buffers) {
        const int item = item_of[root(buffer)];
        if (item >= 0 && seen.insert(item).second) items.push_back(item);
      }
    };
    collect(access.reads, result.reads);
    collect(access.writes, result.writes);
    result.workspace = step.kernel.workspace_bytes;
    if (!options_.fusions.in_place) return result;
    const bool finishes = finishes_once(step);
    const bool replaces = step.kernel.replaces >= 0;
    const bool is_tile = step.spec->tile && step.spec->tile->role == TileRole::self;
    if (!is_tile && !finishes && !replaces) return result;
    const Shape domain = domain_of(*step.spec);
    size_t pairs = 0;
    for (int read : access.reads) {
      for (int write : access.writes) {
        if (++pairs > kMostPairs) return result;
        const size_t from = root(read);
        const size_t to = root(write);
        if (from == to || item_of[from] < 0 || item_of[to] < 0 ||
            binding_->sizes[from] != binding_->sizes[to] ||
            info_of(from).dtype != info_of(to).dtype) {
          continue;
        }
        const bool safe = replaces ? may_replace(step, from, to)
                          : finishes
                              ? !is_operand(step, from)
                              : in_place_safe(*step.spec, info_.roots, static_cast<int>(from),
                                              static_cast<int>(to), binding_->buffers, domain);
        if (!safe) continue;
        result.in_place.emplace_back(item_of[from], item_of[to]);
      }
    }
    return result;
  }

  void plan() {
    MemoryRequest request;
    std::vector<int> item_of(program_.buffers.size(), -1);
    std::vector<size_t> buffer_of;
    for (size_t i = 0; i < program_.buffers.size(); ++i) {
      if (program_.buffers[i].alias >= 0 || !in_arena(i)) continue;
      item_of[i] = static_cast<int>(buffer_of.size());
      buffer_of.push_back(i);
      request.sizes.push_back(binding_->sizes[i]);
    }
    for (const BoundPart* part : {&binding_->prepare, &binding_->main}) {
      for (const BoundStep& step : part->steps) request.steps.push_back(memory_step(step, item_of));
    }
    const size_t first_main = binding_->prepare.steps.size();
    for (const FusedSums& taken : taken_) {
      const int item = static_cast<int>(request.sizes.size());
      request.sizes.push_back(binding_->main.steps[taken.maker].parts.bytes);
      request.steps[first_main + taken.maker].writes.push_back(item);
      request.steps[first_main + taken.merger].reads.push_back(item);
    }
    MemoryRequest::Step last;  // outputs that are copied live to the end
    for (const auto& [buffer, output] : binding_->copies) {
      const int item = item_of[static_cast<size_t>(buffer)];
      if (item >= 0 && std::find(last.reads.begin(), last.reads.end(), item) == last.reads.end()) {
        last.reads.push_back(item);
      }
    }
    request.steps.push_back(last);
    require_memory(total_of(request) / 1024,
                   "the activations of this batch");  // absurd sizes, before planning
    const MemoryPlan memory =
        guarded() ? plan_apart(request, binding_->layout) : plan_memory(request);
    if (options_.verify) {
      const OverlapReport report = check_overlap(request, memory);
      NNC_CHECK(report.problem.empty(), "internal error in the memory planner: " + report.problem);
    }
    binding_->lower_bound = memory.lower_bound;
    if (!guarded()) binding_->layout.add(memory.bytes);
    binding_->arena_bytes = binding_->layout.bytes;
    for (size_t item = 0; item < buffer_of.size(); ++item) {
      binding_->places[buffer_of[item]].at = memory.offsets[item];
    }
    for (size_t i = 0; i < taken_.size(); ++i) {
      for (size_t step : {taken_[i].maker, taken_[i].merger})
        binding_->main.steps[step].parts.at = memory.offsets[buffer_of.size() + i];
    }
    size_t number = 0;
    for (BoundPart* part : {&binding_->prepare, &binding_->main}) {
      for (BoundStep& step : part->steps) {
        step.workspace += memory.workspace_offsets[number++];
        for (uint32_t member : step.members) part->steps[member].workspace += step.workspace;
      }
    }
  }

  // Each thread's own memory, which serves every step. In guarded memory a step's ends with it.
  void place_scratch() {
    size_t most = 0;
    each_step([&most](BoundStep& step) { most = std::max(most, step.kernel.scratch_bytes); });
    binding_->scratch_bytes = round_up(most, 2 * kAlignment);
    for (int thread = 0; thread < binding_->threads; ++thread)
      binding_->scratch.push_back(binding_->layout.add(binding_->scratch_bytes));
    if (!guarded()) return;
    each_step([this](BoundStep& step) {
      step.scratch = binding_->scratch_bytes - round_up(step.kernel.scratch_bytes, kAlignment);
    });
  }

  static size_t total_of(const MemoryRequest& request) {
    size_t total = 0;
    for (size_t size : request.sizes)
      NNC_CHECK(!__builtin_add_overflow(total, size, &total), "sizes are too large");
    return total;
  }

  void add_pointers() {
    size_t total = 0;
    each_step([&total](BoundStep& step) {
      total += step.spec->operands.size() + step.spec->results.size() + step.columns.size();
      if (step.spec->tile) total += step.spec->tile->loads.size() + step.spec->tile->stores.size();
    });
    binding_->pointers.assign(total, nullptr);  // never moves again: the calls point into it
    each_step([this](BoundStep& step) {
      step.call.operands = add_list(step.spec->operands);
      std::vector<int> results = step.spec->results;
      if (!step.stores_result) results[0] = step.column_buffers[0];
      step.call.results = add_list(results);
      step.call.columns = step.columns.data();
      step.call.column_targets = add_list(step.column_buffers);
      step.call.column_count = static_cast<int64_t>(step.columns.size());
      step.call.stores_result = step.stores_result;
      if (!step.columns.empty()) {
        const size_t result = static_cast<size_t>(step.spec->results[0]);
        step.call.result_columns = info_of(result).shape.back();
      }
      if (step.spec->tile) {
        step.call.tile_loads = add_list(step.spec->tile->loads);
        step.call.tile_stores = add_list(step.spec->tile->stores);
      }
      step.call.arguments = step.kernel.arguments.get();
      if (step.prepared) step.call.prepared = step.prepared->memory.data() + step.prepared_at;
      step.call.tile = step.tile.get();
      step.call.recomputed = step.recomputed.get();
      step.call.reduction = step.reduction.get();
    });
  }

  void* const* add_list(const std::vector<int>& buffers) {
    void* const* start = binding_->pointers.data() + binding_->pointer_roots.size();
    for (int buffer : buffers) {
      const size_t slot = binding_->pointer_roots.size();
      const size_t owner = root(buffer);
      binding_->pointer_roots.push_back(static_cast<int>(owner));
      const Place place = binding_->places[owner];
      if (place.kind == Place::Kind::input) binding_->input_patches.push_back({slot, place.at});
      if (place.kind == Place::Kind::output) binding_->output_patches.push_back({slot, place.at});
    }
    return start;
  }

  const Program& program_;
  const ProgramInfo& info_;
  const BindOptions& options_;
  std::unique_ptr<Binding> binding_;
  std::vector<int> reads_;
  std::vector<FusedSums> taken_;
};

}  // namespace

std::unique_ptr<Binding> bind_program(const Program& program, const ProgramInfo& info,
                                      const std::vector<int64_t>& symbols,
                                      const BindOptions& options) {
  return Binder(program, info, symbols, options).bind();
}

}  // namespace nnrt
