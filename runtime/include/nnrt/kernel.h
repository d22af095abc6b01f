// What a kernel is. Each kernel of kernels.def has a `check` (once per plan) and a `bind` (once per
// actual sizes); the phases that `bind` gives are pure functions over a range of work units: no
// allocation, no exception, no global. What is summed, and in which order, follows from the shape
// alone, and partial results are combined in a fixed order, so results are bitwise the same for any
// number of threads; which sums make a unit may follow from the number of threads too.
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

struct BoundTile;  // cpu/tile.h
struct RowSource;
struct SumTaker;

// Columns [begin, end) of the last axis of a tensor and where they go: column c of row r to
// [r * row + at + c - begin] of another.
struct ColumnStore {
  int64_t begin = 0, end = 0;
  int64_t row = 0, at = 0;
  bool stream = false;  // past the caches
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
  // Where columns of result 0 go besides (BoundKernel::column_lanes), and whether it has memory of
  // its own too: else results[0] is only where elements are counted from.
  const ColumnStore* columns = nullptr;
  void* const* column_targets = nullptr;
  int64_t column_count = 0;
  int64_t result_columns = 0;  // of result 0, where there are any
  bool stores_result = true;
  // Makes rows of operand BoundKernel::remakes, which has no memory; nullptr: it lies where it
  // belongs.
  const RowSource* remade = nullptr;
  // Takes sums of what units complete (BoundKernel::sum_parts); nullptr: nobody does.
  const SumTaker* taker = nullptr;
  // Where another step left the sums that this one merges; nullptr: they are its own.
  void* parts = nullptr;
  const RunState* state = nullptr;
  IndexFault* fault = nullptr;  // is told of indices that lie outside; set where a kernel has some
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
  // Operands that depend on variables alone, in a program that changes none: what a kernel makes of
  // them alone may be kept from run to run. Empty: none.
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
  // Of a source that was kept for a step that has to store it: where its first element belongs.
  void* source = nullptr;
  // What RowKernel::hand asked the other phases to leave.
  const void* handed = nullptr;
  // Of sums: which of the parts these rows belong to, and whether they are its first.
  int64_t part = 0;
  bool begins = false;
};

struct BoundKernel;

// For kernels on images (NHWC) that can work on some rows at a time, so that steps may take turns
// with what lies between them in the cache (core/chain.h). The operand `source` may begin where no
// memory is: `run` touches the rows under those it is told of, nothing else. One of two kinds:
// `rows` of a BoundKernel makes any rows of result 0, in place of the last phase and with the same
// bits, for finite weights (taps in the padding may be left out); the result too may begin where no
// memory is. `sink` takes something from each row of its source, in place of the first phase.
struct RowKernel {
  void (*run)(const Call& call, const RowBand& band) = nullptr;  // nullptr: the kernel cannot
  std::shared_ptr<const void> arguments;                         // the call's, for `run`
  size_t source = 0;                                             // that operand's number
  // `source_rows`: 0 where all of the source has to be there.
  int64_t images = 0, rows = 0, source_rows = 0;
  // Under row r lie rows [r / step * stride + top, r / step * stride + top + extent) of the source,
  // as far as they are inside the image.
  int64_t step = 1, stride = 1, top = 0, extent = 1;
  // Rows come cheapest in so many at a time, from row 0 on.
  int64_t granule = 1;
  // What every band reads besides.
  size_t weight_bytes = 0;
  size_t scratch_bytes = 0;  // a thread's, of `run`
  // Writes nothing but result 0, and reads it nowhere but there.
  bool plain_result = false;
  // Of rows made where the result has no memory: `run` needs so many bytes that the other phases
  // leave where the result would lie, once `hand` has told the kernel, and these operands.
  size_t handed_bytes = 0;
  std::vector<size_t> reads;
  void (*hand)(BoundKernel& kernel) = nullptr;
  // Of sinks: told what is cut. One that `stores` its source where it belongs wants bands of equal
  // height (`count`: rows of a band), each of which is a part of its sums. Others add to result 0
  // and want the number of parts; their other phases come after the bands.
  bool stores = false;
  void (*cut)(BoundKernel& kernel, int64_t count) = nullptr;
};

// Elements of a tensor that lie in a row.
struct Stretch {
  int64_t first = 0, count = 0;
};

// Sums over the pixels of an operand that may be taken while the step that makes it has them in
// the cache, in place of the first phase (core/sums.h).
struct PixelSums {
  // Before a thread's first part. What it leaves in `Call::scratch` lies there for all of them.
  void (*open)(const Call& call) = nullptr;
  // Part `part`: whole pixels. nullptr: the kernel takes no such sums.
  void (*take)(const Call& call, int64_t part, const Stretch* stretches, int64_t count) = nullptr;
  size_t source = 0;          // the operand's number
  std::vector<size_t> reads;  // other operands that are read, the first at the same places
  size_t scratch_bytes = 0;
  // Tells the kernel that there are so many parts, in Call::parts; gives the bytes of them.
  size_t (*cut)(BoundKernel& kernel, int64_t parts) = nullptr;
};

// Another step's sums, for the step that makes what they are taken of.
struct SumTaker {
  const Call* call = nullptr;
  PixelSums sums;
  size_t scratch_offset = 0;  // behind what the maker needs

  Call own_call(const Call& maker) const {
    Call own = *call;
    own.scratch = static_cast<char*>(maker.scratch) + scratch_offset;
    return own;
  }
  void open(const Call& maker) const { sums.open(own_call(maker)); }
  void take(const Call& maker, int64_t part, const Stretch* stretches, int64_t count) const {
    sums.take(own_call(maker), part, stretches, count);
  }
  // Read at the places of what is taken; nullptr: nothing is.
  const void* beside() const {
    return sums.reads.empty() ? nullptr : call->operands[sums.reads.front()];
  }
};

// Another step, whose result's rows are made where they are needed.
struct RowSource {
  const Call* call = nullptr;
  RowKernel rows;
  // Rows [first, end) of an image; `origin` is where its result would begin.
  void make(int64_t image, int64_t first, int64_t end, void* origin) const;
  // That of its operands which lies row by row as the result does.
  const void* operand() const { return call->operands[rows.reads.front()]; }
};

struct BoundKernel {
  // Run before `phases` when variables changed: they read fixed operands and write
  // `Call::prepared`, which stays as it is from run to run. What they write follows from the fixed
  // operands and `layout` (sizes that differ between bindings of a step), so bindings share it.
  std::vector<Phase> prepare;
  size_t prepared_bytes = 0;
  std::string layout;
  std::vector<Phase> phases;
  std::shared_ptr<const void> arguments;
  size_t scratch_bytes = 0;    // per thread (the tile's scratch included)
  size_t workspace_bytes = 0;  // shared
  double flops = 0;
  double bytes = 0;
  double copied = 0;           // elements of windows that are written out with their padding
  const char* algorithm = "";  // shown by NNC_DEBUG=2
  std::string note;            // and why it was chosen
  // The operand whose elements are indices that Call::fault is told of, and what they must lie
  // below; -1: none.
  int index_operand = -1;
  int64_t index_limit = 0;
  // Of a passing result 0: no memory is needed for it, the kernel has some of its own at a time.
  bool holds_result = false;
  // Not 0: the kernel heeds Call::columns that begin and end at multiples of so many, or at the
  // end.
  int64_t column_lanes = 0;
  bool sums_in_result = false;  // result 0 holds partial sums meanwhile
  // The operand that result 0 may replace: each element is read for the last time where that of
  // the result is stored. -1: none.
  int replaces = -1;
  // Of a kernel that copies columns of its operands to result 0 and does nothing else: which, an
  // entry for each operand. `leave` takes the marked operands from its work.
  std::vector<ColumnStore> moves;
  void (*leave)(BoundKernel& kernel, const std::vector<bool>& operands) = nullptr;
  RowKernel rows, sink;
  PixelSums sums;
  // Not 0: so many units of the last phase complete some pixels of result 0 each, cut by the shape
  // alone, and heed Call::taker.
  int64_t sum_parts = 0;
  // The operand whose rows the kernel can have made (Call::remade), some at a time, in this much
  // scratch behind its other. -1: none.
  int remakes = -1;
  size_t remake_bytes = 0;
};

struct KernelSpec {
  const char* name;
  // Which tile program may ride on it.
  enum class Tile : uint8_t { none, epilogue, prologue, self } tile;
  // Throws Error when operand counts, element types, ranks or attributes are not what the kernel
  // takes (shapes may be symbolic).
  void (*check)(const StepSpec& step, const std::vector<BufferSpec>& buffers);
  // Throws Error when the actual shapes do not fit each other: after bind a run may rely on them.
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

// Where a kernel keeps what it packed: prepared, or made anew in each run.
inline float* packed_memory(const Call& call) {
  return static_cast<float*>(call.prepared != nullptr ? call.prepared : call.workspace);
}

// nullptr where there is none. The table is cpu/table.cpp, made from kernels.def.
const KernelSpec* find_kernel(const std::string& name);

}  // namespace nnrt
