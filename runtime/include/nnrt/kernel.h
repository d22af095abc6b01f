// What a kernel is. Each kernel of kernels.def has a `check` (once per plan) and a `bind` (once per
// actual sizes). `bind` gives phases: pure functions over a range of work units, which do not
// allocate, throw or use globals. The order of every sum follows from the shape alone, so results
// are bitwise the same for any number of threads. The number of threads may decide which sums make
// a unit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nnrt/index_fault.h"
#include "nnrt/plan.h"
#include "nnrt/types.h"

namespace nnrt {

enum class Isa : uint8_t { reference, generic, avx2, avx512, neon };
const char* name_of(Isa isa);

// Changes from call to call.
struct RunState {
  uint64_t seed = 0;
  uint64_t step = 0;
};

struct BoundTile;  // cpu/tile/tile.h
struct RowSource;
struct FusedReduction;

// Columns [begin, end) of the last axis of a tensor and where they go: column c of row r to
// [r * row + at + c - begin] of another.
struct ColumnStore {
  int64_t begin = 0, end = 0;
  int64_t row = 0, at = 0;
  bool stream = false;  // with non-temporal stores
};

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

// A few result rows of one image.
struct RowBand {
  int64_t image = 0, first = 0, end = 0;
  bool kept = false;    // in the cache, for the next step
  bool cached = false;  // so is the source, of the step before
  // If the source was kept for a step that must store it: the address of its first element.
  void* source = nullptr;
  // What the other phases left for RowKernel::run (RowKernel::hand).
  const void* handed = nullptr;
  // For sums: the part that these rows belong to, and whether they are its first rows.
  int64_t part = 0;
  bool begins = false;
};

struct BoundKernel;

// Row streaming, for kernels on images (NHWC): steps take turns on a few rows at a time, and what
// one makes for the next stays in the cache (core/chain.h). `run` touches only the rows of operand
// `source` that lie under the rows it is given, so `source` may begin where no memory is. There are
// two kinds. `rows` of a BoundKernel computes any rows of result 0 in place of the last phase, with
// the same bits for finite weights (taps in the padding may be left out); its result may begin
// where no memory is. `sink` consumes each row of its source in place of the first phase.
struct RowKernel {
  void (*run)(const Call& call, const RowBand& band) = nullptr;  // nullptr: the kernel cannot
  std::shared_ptr<const void> arguments;                         // the call's, for `run`
  size_t source = 0;                                             // that operand's number
  // `source_rows`: 0 if all of the source must be in memory.
  int64_t images = 0, rows = 0, source_rows = 0;
  // Under row r lie rows [r / step * stride + top, r / step * stride + top + extent) of the source,
  // as far as they are inside the image.
  int64_t step = 1, stride = 1, top = 0, extent = 1;
  // Bands whose height is a multiple of this, from row 0 on, are cheapest.
  int64_t granule = 1;
  // Bytes that every band reads beside its rows.
  size_t weight_bytes = 0;
  size_t scratch_bytes = 0;  // a thread's, of `run`
  // `run` writes result 0 and nothing else, and reads it only where it writes it.
  bool plain_result = false;
  // For a result that is not materialized: the bytes that the other phases leave for `run` in the
  // place of the result, after `hand` has told the kernel; and the operands that `run` reads.
  size_t handed_bytes = 0;
  std::vector<size_t> reads;
  void (*hand)(BoundKernel& kernel) = nullptr;
  // For sinks: `cut` tells the kernel how the rows are divided. A sink that `stores` its source in
  // memory takes bands of equal height (`count`: rows of a band), each a part of its sums. Other
  // sinks add to result 0 and take the number of parts; their other phases run after the bands.
  bool stores = false;
  void (*cut)(BoundKernel& kernel, int64_t count) = nullptr;
};

// Consecutive elements of a tensor.
struct Stretch {
  int64_t first = 0, count = 0;
};

// Sums over the pixels of an operand. The step that computes the operand may take them in place of
// the first phase, while the pixels are in the cache (core/fused_reductions.h).
struct PixelReduction {
  // Runs before a thread's first part. What it leaves in `Call::scratch` stays for all its parts.
  void (*open)(const Call& call) = nullptr;
  // Takes part `part`, whole pixels. Null if the kernel takes no such sums.
  void (*take)(const Call& call, int64_t part, const Stretch* stretches, int64_t count) = nullptr;
  size_t source = 0;          // the operand's number
  std::vector<size_t> reads;  // other operands that are read, the first at the same places
  size_t scratch_bytes = 0;
  // Tells the kernel how many parts lie in Call::parts; returns the bytes that they need.
  size_t (*cut)(BoundKernel& kernel, int64_t parts) = nullptr;
};

// Another step's sums, for the step that computes what is summed.
struct FusedReduction {
  const Call* call = nullptr;
  PixelReduction sums;
  size_t scratch_offset = 0;  // after the producer's own scratch

  Call own_call(const Call& maker) const {
    Call own = *call;
    own.scratch = static_cast<char*>(maker.scratch) + scratch_offset;
    return own;
  }
  void open(const Call& maker) const { sums.open(own_call(maker)); }
  void take(const Call& maker, int64_t part, const Stretch* stretches, int64_t count) const {
    sums.take(own_call(maker), part, stretches, count);
  }
  // The other operand that is read at the same places; null if there is none.
  const void* beside() const {
    return sums.reads.empty() ? nullptr : call->operands[sums.reads.front()];
  }
};

// Another step, whose result is recomputed row by row by its consumer.
struct RowSource {
  const Call* call = nullptr;
  RowKernel rows;
  // Computes rows [first, end) of an image; `origin` is the address of the result's row 0.
  void make(int64_t image, int64_t first, int64_t end, void* origin) const;
  // The operand that has the rows of the result.
  const void* operand() const { return call->operands[rows.reads.front()]; }
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
  // For a kernel that only copies columns of its operands to result 0: the columns of each operand.
  // `leave` removes the marked operands from its work.
  std::vector<ColumnStore> moves;
  void (*leave)(BoundKernel& kernel, const std::vector<bool>& operands) = nullptr;
  RowKernel rows, sink;
  PixelReduction sums;
  // If nonzero, Call::reduction is supported: this many units of the last phase, divided by the
  // shape alone, complete some pixels of result 0 each.
  int64_t sum_parts = 0;
  // The operand whose rows the kernel can recompute (Call::recomputed), a few at a time, and the
  // scratch that this needs after its own. -1: none.
  int recomputes = -1;
  size_t recompute_bytes = 0;
};

struct KernelSpec {
  const char* name;
  // The tile program that the kernel accepts.
  enum class Tile : uint8_t { none, epilogue, prologue, self } tile;
  // Throws Error if operand counts, element types, ranks or attributes are not what the kernel
  // accepts (shapes may be symbolic).
  void (*check)(const StepSpec& step, const std::vector<BufferSpec>& buffers);
  // Throws Error if the actual shapes do not fit each other; phases rely on that.
  BoundKernel (*bind)(const BindRequest& request);
};

inline void RowSource::make(int64_t image, int64_t first, int64_t end, void* origin) const {
  Call own = *call;
  own.arguments = rows.arguments.get();
  own.results = &origin;
  RowBand band;
  band.image = image;
  band.first = first;
  band.end = end;
  band.kept = true;
  band.handed = call->results[0];
  rows.run(own, band);
}

inline bool is_fixed(const BindRequest& request, size_t operand) {
  return operand < request.fixed.size() && request.fixed[operand];
}

// Where a kernel keeps its packed panels: prepared, or packed again in each run.
inline float* packed_memory(const Call& call) {
  return static_cast<float*>(call.prepared != nullptr ? call.prepared : call.workspace);
}

// Null if there is no such kernel. The table is cpu/table.cpp, made from kernels.def.
const KernelSpec* find_kernel(const std::string& name);

}  // namespace nnrt
