// A binding: one program at actual sizes. Everything a run needs is decided here, so that a run
// only patches the pointers of inputs and outputs and works through the phases.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cpu/column_store.h"
#include "cpu/engine/arena.h"
#include "cpu/engine/cores.h"
#include "cpu/engine/prepared.h"
#include "cpu/fused_reduction.h"
#include "cpu/kernel.h"
#include "cpu/row_streaming.h"
#include "nnrt/options.h"
#include "nnrt/program.h"

namespace nnrt {

// The memory of a root buffer.
struct Place {
  enum class Kind : uint8_t { none, arena, variable, input, output, prepared };
  Kind kind = Kind::none;
  size_t at = 0;  // an offset (arena, prepared), or an index (variable, input, output)
};

// Partial sums in the arena, from the step that takes them to the one that merges them.
struct PartsPlace {
  size_t at = 0, bytes = 0;
  bool written = false;
};

struct BoundStep {
  const StepSpec* spec = nullptr;
  size_t index = 0;
  BoundKernel kernel;
  std::shared_ptr<const BoundTile> tile;
  // Empty for a step that joined a chain; for the last step of a chain, those of all its steps.
  StepAccess access;
  Call call;
  // For the last step of a chain: the arguments of the chain's phase, and the steps that joined.
  std::shared_ptr<const void> chain;
  std::vector<uint32_t> members;
  bool joined = false;   // the last step of a chain took over a phase of this one
  bool follows = false;  // the other phases come after the chain, not before
  // Columns of result 0 that are stored in these buffers, also or only (cpu/engine/columns.h).
  std::vector<ColumnStore> columns;
  std::vector<int> column_buffers;
  bool stores_result = true;
  std::shared_ptr<const RowSource> recomputed;      // the call's
  std::shared_ptr<const FusedReduction> reduction;  // the call's
  size_t workspace = 0;                             // offset in the arena
  size_t scratch = 0;                               // offset in the thread's own memory
  // Partial sums that this step takes for a later one, or that an earlier step took for this one.
  PartsPlace parts;
  std::shared_ptr<Prepared> prepared;  // of the kernel's `prepare` phases; nullptr without any
  size_t prepared_at = 0;              // offset there
  std::shared_ptr<IndexFault> fault;   // of a kernel with indices
  double flops = 0;
  double bytes = 0;
};

struct BoundPhase {
  Phase phase;
  uint32_t step = 0;
  bool barrier = false;  // all threads must have finished what came before
};

// A part of a program (its preparation, its steps), ready to run.
struct BoundPart {
  std::vector<BoundStep> steps;
  std::vector<BoundPhase> phases;
};

struct Binding {
  std::vector<int64_t> symbols;
  std::vector<TensorInfo> buffers;
  std::vector<Place> places;  // of root buffers
  std::vector<size_t> sizes;  // of each buffer's memory, in bytes
  BoundPart prepare;
  BoundPart main;
  std::vector<BoundPhase> packing;  // the kernels' `prepare` phases, by steps of `main`
  std::vector<std::pair<int, size_t>>
      copies;  // root buffer, output: outputs that cannot be written directly

  int threads = 1;
  size_t arena_bytes = 0;       // temporaries and workspaces
  size_t scratch_bytes = 0;     // a thread
  size_t lower_bound = 0;       // no memory plan needs less than this
  Layout layout;                // of the arena: all of these
  std::vector<size_t> scratch;  // offset of each thread's

  // Pointers that the steps' calls refer to, the buffer of each, and those that change with every
  // call.
  struct Patch {
    size_t slot;
    size_t index;  // of the input or output
  };
  std::vector<void*> pointers;
  std::vector<int> pointer_roots;
  std::vector<Patch> input_patches;
  std::vector<Patch> output_patches;

  std::shared_ptr<Prepared> prepared;  // the plan's prepared buffers; nullptr without any
  uint64_t prepared_version = 0;       // of the variables, when this binding last looked; 0: never
  uint64_t arena_generation = 0;       // of the resolved pointers
  Pace pace;                           // how many threads are fastest
  std::vector<double> step_seconds;    // of timed runs: sums since the last report
  int64_t timed_runs = 0;
};

struct BindOptions {
  Isa isa = Isa::reference;
  int threads = 1;
  bool verify = false;
  bool strict = false;
  Fusions fusions;
  KernelLookup lookup = nullptr;
  PreparedStore* store = nullptr;
};

// Throws Error where actual shapes do not fit each other.
std::unique_ptr<Binding> bind_program(const Program& program, const ProgramInfo& info,
                                      const std::vector<int64_t>& symbols,
                                      const BindOptions& options);

// The parts of bind_program.
BoundStep bind_step(const StepSpec& spec, size_t index, const std::vector<TensorInfo>& buffers,
                    const std::vector<bool>& fixed, bool passing,
                    const std::vector<int64_t>& symbols, const BindOptions& options);
// Puts barriers where a step touches what an earlier one wrote, or writes what an earlier one
// touched (cpu/engine/barriers.cpp).
void place_barriers(BoundPart& part, const Binding& binding, const ProgramInfo& info);
// The number of threads that this much work is worth.
int threads_for(const BoundPart& part, int available);

}  // namespace nnrt
