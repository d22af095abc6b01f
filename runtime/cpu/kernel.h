// What a kernel of the CPU is. Each kernel of kernels.def has a rule (core/kernels/) and a `bind`,
// which runs once per actual sizes. It gives phases: pure functions over a range of work units,
// which do not allocate, throw or use globals. The order of every sum follows from the shape alone,
// so results are bitwise the same for any number of threads. The number of threads may decide which
// sums make a unit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cpu/engine/isa.h"
#include "nnrt/index_fault.h"
#include "nnrt/plan.h"
#include "nnrt/run_state.h"
#include "nnrt/types.h"

namespace nnrt {

struct BoundTile;  // cpu/tile/tile.h
// Optional capabilities, each with a header of its own.
struct RowKernel;       // cpu/row_streaming.h
struct RowSource;       //
struct PixelReduction;  // cpu/fused_reduction.h
struct FusedReduction;  //
struct ColumnStore;     // cpu/column_store.h
struct ColumnCopies;    //

// What a phase sees while it runs.
struct Call {
  const void* arguments = nullptr;  // the kernel's own argument struct, made by bind
  void* const* operands =
      nullptr;  // one pointer per operand (dense, 64-byte aligned except for user-given inputs)
  void* const* results = nullptr;      // one pointer per result
  void* const* tile_loads = nullptr;   // pointers of tile->loads
  void* const* tile_stores = nullptr;  // pointers of tile->stores
  void* workspace = nullptr;           // shared by all threads during this step, 64-byte aligned
  void* prepared = nullptr;            // what the kernel's `prepare` phases wrote, where it has any
  void* scratch = nullptr;             // this thread's own, 64-byte aligned
  const BoundTile* tile = nullptr;     // the step's bound tile program, if any
  // Other buffers that take columns of result 0 (BoundKernel::column_lanes). If `stores_result` is
  // false, only they are written; results[0] is the address that offsets count from.
  const ColumnStore* columns = nullptr;
  void* const* column_targets = nullptr;
  int64_t column_count = 0;
  int64_t result_columns = 0;  // of result 0, where there are any
  bool stores_result = true;
  // Recomputes rows of operand BoundKernel::recomputes, which is not materialized; null if it is.
  const RowSource* recomputed = nullptr;
  // Fused reduction over finished output tiles (BoundKernel::sum_parts); null if unused.
  const FusedReduction* reduction = nullptr;
  // Partial sums of another step, which this one merges; null if it takes the sums itself.
  void* parts = nullptr;
  const RunState* state = nullptr;
  IndexFault* fault = nullptr;  // records indices out of range; null if a kernel has no indices
};

// `units` independent pieces of work; the executor gives each thread a contiguous range and puts a
// barrier between phases.
struct Phase {
  void (*run)(const Call& call, int64_t begin, int64_t end) = nullptr;
  int64_t units = 1;
  const void* arguments = nullptr;  // in place of the kernel's, where set
};

struct BindRequest {
  const AttributeMap* attributes =
      nullptr;  // dimensions already evaluated: every Dim is a constant
  std::vector<TensorInfo> operands;
  std::vector<TensorInfo> results;
  // Operands that depend on variables alone, in a program that changes no variable. A kernel may
  // keep what it computes from them alone from run to run. Empty if there are none.
  std::vector<bool> fixed;
  const BoundTile* tile = nullptr;  // epilogue or prologue, bound to the same sizes
  bool passing = false;             // result 0 is read by the epilogue alone
  size_t tile_scratch = 0;          // bytes of scratch that tile needs
  Isa isa = Isa::reference;
  int threads = 1;  // that share the units, if they are worth it
  bool strict =
      false;  // precision = "strict": no algorithm that changes rounding beyond summation order
};

struct BoundKernel {
  // Phases that run before `phases` when variables have changed. They read fixed operands and write
  // `Call::prepared`, which is kept from run to run. The content follows from the fixed operands
  // and `layout` (sizes that differ between bindings of a step), so bindings share it.
  std::vector<Phase> prepare;
  size_t prepared_bytes = 0;
  std::string layout;
  std::vector<Phase> phases;
  std::shared_ptr<const void> arguments;
  size_t scratch_bytes = 0;    // per thread (the tile's scratch included)
  size_t workspace_bytes = 0;  // shared
  double flops = 0;
  double bytes = 0;
  double copied = 0;           // elements of windows that are copied with their padding
  const char* algorithm = "";  // shown by NNC_DEBUG=2
  std::string note;            // why it was chosen
  // The operand whose elements are indices, and the bound that they must lie below; -1: none.
  int index_operand = -1;
  int64_t index_limit = 0;
  // A passing result 0 is not materialized: the kernel holds a part of it at a time.
  bool holds_result = false;
  // If nonzero, Call::columns is supported at multiples of this many lanes, and at the end.
  int64_t column_lanes = 0;
  bool sums_in_result = false;  // result 0 holds partial sums between phases
  // The operand whose memory result 0 may take: each element is read for the last time before the
  // element of the result is stored. -1: none.
  int replaces = -1;
  // Capabilities; null if the kernel has them not.
  std::shared_ptr<RowKernel> rows;       // computes any rows of result 0
  std::shared_ptr<RowKernel> sink;       // consumes rows of an operand
  std::shared_ptr<PixelReduction> sums;  // sums that another step may take
  std::shared_ptr<ColumnCopies> copies;  // copies columns of its operands, and nothing else
  // If nonzero, Call::reduction is supported: this many units of the last phase, divided by the
  // shape alone, complete some pixels of result 0 each.
  int64_t sum_parts = 0;
  // The operand whose rows the kernel can recompute (Call::recomputed), a few at a time, and the
  // scratch that this needs after its own. -1: none.
  int recomputes = -1;
  size_t recompute_bytes = 0;
};

inline bool is_fixed(const BindRequest& request, size_t operand) {
  return operand < request.fixed.size() && request.fixed[operand];
}

// Where a kernel keeps its packed panels: prepared, or packed again in each run.
inline float* packed_memory(const Call& call) {
  return static_cast<float*>(call.prepared != nullptr ? call.prepared : call.workspace);
}

// Throws Error if the actual shapes do not fit each other; phases rely on that.
using BindKernel = BoundKernel (*)(const BindRequest& request);
// Null if there is no such kernel. The table is cpu/engine/kernel_list.cpp, made from kernels.def.
BindKernel find_kernel(const std::string& name);
using KernelLookup = BindKernel (*)(const std::string& name);

}  // namespace nnrt
