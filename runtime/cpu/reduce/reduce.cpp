// Reductions: binding and phases. Shapes alone divide the work; partial results are combined in a
// fixed order.
#include "cpu/reduce/reduce.h"

#include <algorithm>
#include <vector>

#include "cpu/bind.h"
#include "cpu/kernel_tables.h"
#include "cpu/reduce/reference/reduce.h"
#include "cpu/tile/tile.h"

namespace nnrt {
namespace {

constexpr int64_t kUnit = 16 * 1024;  // elements of a unit: 64 KB, some microseconds
constexpr int64_t kBlock =
    4096;  // elements a prologue gives at a time, and that one float total takes in: 16 KB, in L1
constexpr int64_t kColumnBlock = 2048;
constexpr int64_t kLeastRows = 64;  // rows of a part of columns, so that partial results stay few

// x as [outer][reduced][columns], or by strides if the axes are scattered.
struct ReduceArguments {
  const ReduceTable* table = nullptr;
  Reduction reduction = Reduction::sum;
  double factor = 1;
  int64_t outer = 1;
  int64_t reduced = 1;
  int64_t columns = 1;
  int64_t period = 1;      // of columns
  int64_t parts = 1;       // of the reduced extent
  int64_t part_rows = 1;   // reduced extent of a part
  int64_t outer_unit = 1;  // outer indices of a unit, where parts == 1
  int64_t column_blocks = 1;
  int64_t column_block = 1;
  size_t tile_scratch = 0;
  size_t totals_offset = 0;  // in scratch
  reference::Walk kept_walk;
  reference::Walk reduced_walk;
};

// The input, from memory or from the prologue. Values of a range are valid until the next range is
// read.
class Source {
 public:
  explicit Source(const Call& call, size_t tile_scratch)
      : call_(call),
        values_(reinterpret_cast<float*>(static_cast<char*>(call.scratch) + tile_scratch)) {}

  const float* range(int64_t begin, int64_t count) const {
    if (!call_.tile) return static_cast<const float*>(call_.operands[0]) + begin;
    run_tile_value(*call_.tile, call_, call_.scratch, begin, begin + count, values_);
    return values_;
  }

 private:
  const Call& call_;
  float* values_;
};

double combine_double(Reduction reduction, double a, double b) {
  return reference::combine<double>(reduction, a, b);
}

// One row, a block at a time: blocks in float, their totals in double.
double reduce_row(const ReduceArguments& arguments, const Source& source, int64_t begin,
                  int64_t count) {
  const int reduction = static_cast<int>(arguments.reduction);
  double total = reference::start_of<double>(arguments.reduction);
  for (int64_t done = 0; done < count; done += kBlock) {
    const int64_t part = std::min(kBlock, count - done);
    const float value = arguments.table->whole[reduction](source.range(begin + done, part), part);
    total = combine_double(arguments.reduction, total, static_cast<double>(value));
  }
  return total;
}

// Units are blocks of rows, or parts of long rows.
void run_rows(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const ReduceArguments*>(call.arguments);
  const Source source(call, arguments.tile_scratch);
  float* y = static_cast<float*>(call.results[0]);
  if (arguments.parts > 1) {
    double* partial = static_cast<double*>(call.workspace);
    for (int64_t unit = begin; unit < end; ++unit) {
      const int64_t row = unit / arguments.parts;
      const int64_t first = unit % arguments.parts * arguments.part_rows;
      const int64_t count = std::min(arguments.part_rows, arguments.reduced - first);
      partial[unit] = reduce_row(arguments, source, row * arguments.reduced + first, count);
    }
    return;
  }
  const int64_t last = std::min(end * arguments.outer_unit, arguments.outer);
  const int64_t together = std::max<int64_t>(1, kBlock / std::max<int64_t>(1, arguments.reduced));
  const int reduction = static_cast<int>(arguments.reduction);
  for (int64_t row = begin * arguments.outer_unit; row < last;) {
    if (together > 1) {
      const int64_t rows = std::min(together, last - row);
      const float* x = source.range(row * arguments.reduced, rows * arguments.reduced);
      for (int64_t r = 0; r < rows; ++r) {
        const float total =
            arguments.table->whole[reduction](x + r * arguments.reduced, arguments.reduced);
        y[row + r] = static_cast<float>(total * arguments.factor);
      }
      row += rows;
    } else {
      y[row] = static_cast<float>(
          reduce_row(arguments, source, row * arguments.reduced, arguments.reduced) *
          arguments.factor);
      ++row;
    }
  }
}

void combine_rows(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const ReduceArguments*>(call.arguments);
  const double* partial = static_cast<const double*>(call.workspace);
  float* y = static_cast<float*>(call.results[0]);
  for (int64_t row = begin; row < end; ++row) {
    double total = reference::start_of<double>(arguments.reduction);
    for (int64_t part = 0; part < arguments.parts; ++part) {
      total = combine_double(arguments.reduction, total, partial[row * arguments.parts + part]);
    }
    y[row] = static_cast<float>(total * arguments.factor);
  }
}

// The totals of rows [first, first + rows) and columns [column, column + width) of one outer index,
// into `out`.
void reduce_block(const ReduceArguments& arguments, const Source& source, float* totals,
                  int64_t outer, int64_t first, int64_t rows, int64_t column, int64_t width,
                  double factor, float* out) {
  const int reduction = static_cast<int>(arguments.reduction);
  const bool whole_rows = width == arguments.columns;
  const int64_t period = whole_rows ? arguments.period : width;
  std::fill(totals, totals + period, reference::start_of<float>(arguments.reduction));
  const int64_t base = (outer * arguments.reduced + first) * arguments.columns + column;
  if (whole_rows) {
    const int64_t count = rows * width;
    const int64_t step = std::max<int64_t>(1, kBlock / period) * period;
    for (int64_t done = 0; done < count; done += step) {
      const int64_t part = std::min(step, count - done);
      arguments.table->columns[reduction](totals, source.range(base + done, part), part, period);
    }
  } else {
    for (int64_t row = 0; row < rows; ++row) {
      arguments.table->columns[reduction](
          totals, source.range(base + row * arguments.columns, width), width, width);
    }
  }
  for (int64_t c = 0; c < width; ++c) {
    double total = static_cast<double>(totals[c]);
    for (int64_t i = c + width; i < period; i += width) {
      total = combine_double(arguments.reduction, total, static_cast<double>(totals[i]));
    }
    out[c] = static_cast<float>(total * factor);
  }
}

// Units are parts of rows and blocks of columns of an outer index; or several outer indices.
void run_columns(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const ReduceArguments*>(call.arguments);
  const Source source(call, arguments.tile_scratch);
  float* totals =
      reinterpret_cast<float*>(static_cast<char*>(call.scratch) + arguments.totals_offset);
  float* y = static_cast<float*>(call.results[0]);
  float* partial = static_cast<float*>(call.workspace);
  const int64_t columns = arguments.columns;
  if (arguments.parts == 1 && arguments.column_blocks == 1) {
    const int64_t last = std::min(end * arguments.outer_unit, arguments.outer);
    for (int64_t outer = begin * arguments.outer_unit; outer < last; ++outer) {
      reduce_block(arguments, source, totals, outer, 0, arguments.reduced, 0, columns,
                   arguments.factor, y + outer * columns);
    }
    return;
  }
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t column = unit % arguments.column_blocks * arguments.column_block;
    const int64_t width = std::min(arguments.column_block, columns - column);
    const int64_t part_index = unit / arguments.column_blocks;  // outer * parts + part
    const int64_t first = part_index % arguments.parts * arguments.part_rows;
    const int64_t rows = std::min(arguments.part_rows, arguments.reduced - first);
    const int64_t outer = part_index / arguments.parts;
    const bool is_last = arguments.parts == 1;
    float* out = is_last ? y + outer * columns + column : partial + part_index * columns + column;
    reduce_block(arguments, source, totals, outer, first, rows, column, width,
                 is_last ? arguments.factor : 1.0, out);
  }
}

constexpr int64_t kCombineUnit = 256;  // results of a unit

void combine_columns(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const ReduceArguments*>(call.arguments);
  const float* partial = static_cast<const float*>(call.workspace);
  float* y = static_cast<float*>(call.results[0]);
  const int64_t columns = arguments.columns;
  const int64_t last = std::min(end * kCombineUnit, arguments.outer * columns);
  for (int64_t i = begin * kCombineUnit; i < last; ++i) {
    const float* at = partial + i / columns * arguments.parts * columns + i % columns;
    double total = reference::start_of<double>(arguments.reduction);
    for (int64_t part = 0; part < arguments.parts; ++part) {
      total = combine_double(arguments.reduction, total, static_cast<double>(at[part * columns]));
    }
    y[i] = static_cast<float>(total * arguments.factor);
  }
}

constexpr int64_t kPlainUnit = 64;  // results of a unit

// Any axes and any float type. The prologue's values, if any, are in the workspace.
template <class T>
void run_plain(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const ReduceArguments*>(call.arguments);
  const T* x = static_cast<const T*>(call.tile ? call.workspace : call.operands[0]);
  T* y = static_cast<T*>(call.results[0]);
  const int64_t last = std::min(end * kPlainUnit, arguments.kept_walk.count());
  for (int64_t i = begin * kPlainUnit; i < last; ++i) {
    const T* at = x + arguments.kept_walk.offset(i);
    y[i] =
        reference::reduce_one<T>(arguments.reduction, at, arguments.reduced_walk, arguments.factor);
  }
}

// The prologue's values for the whole input, in the type of the result.
void run_prologue(const Call& call, int64_t begin, int64_t end) {
  const int64_t elements = tile_elements(*call.tile);
  const int64_t item = static_cast<int64_t>(size_of(tile_compute_type(*call.tile)));
  const int64_t first = begin * kUnit;
  run_tile_value(*call.tile, call, call.scratch, first, std::min(end * kUnit, elements),
                 static_cast<char*>(call.workspace) + first * item);
}

void set_walks(ReduceArguments& arguments, const Shape& shape,
               const std::vector<bool>& is_reduced) {
  int64_t stride = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    reference::Walk& walk = is_reduced[d] ? arguments.reduced_walk : arguments.kept_walk;
    for (int k = walk.rank; k > 0; --k) {
      walk.dims[k] = walk.dims[k - 1];
      walk.strides[k] = walk.strides[k - 1];
    }
    ++walk.rank;
    walk.dims[0] = shape[d];
    walk.strides[0] = stride;
    stride *= shape[d];
  }
}

// True when x is [outer][reduced][columns]: at most one run of reduced axes.
bool set_block(ReduceArguments& arguments, const Shape& shape,
               const std::vector<bool>& is_reduced) {
  int stage = 0;  // 0: outer, 1: reduced, 2: columns
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    if (is_reduced[d]) {
      if (stage == 2) return false;
      stage = 1;
      arguments.reduced *= shape[d];
    } else if (stage == 0) {
      arguments.outer *= shape[d];
    } else {
      stage = 2;
      arguments.columns *= shape[d];
    }
  }
  arguments.period = period_of(arguments.columns);
  return true;
}

void bind_rows(const BindRequest& request, ReduceArguments& arguments, BoundKernel& bound) {
  const bool split = arguments.reduced > 2 * kUnit;
  arguments.part_rows = split ? kUnit : arguments.reduced;
  arguments.parts = split ? ceil_div(arguments.reduced, kUnit) : 1;
  arguments.outer_unit = std::max<int64_t>(1, kUnit / std::max<int64_t>(1, arguments.reduced));
  bound.scratch_bytes = request.tile ? request.tile_scratch + kBlock * sizeof(float) : 0;
  bound.algorithm = "rows";
  if (!split) {
    bound.phases.push_back({&run_rows, ceil_div(arguments.outer, arguments.outer_unit)});
    return;
  }
  bound.workspace_bytes =
      line_bytes(arguments.outer * arguments.parts * static_cast<int64_t>(sizeof(double)));
  bound.phases.push_back({&run_rows, arguments.outer * arguments.parts});
  bound.phases.push_back({&combine_rows, arguments.outer});
}

void bind_columns(const BindRequest& request, ReduceArguments& arguments, BoundKernel& bound) {
  arguments.column_block = std::min(arguments.columns, kColumnBlock);
  arguments.column_blocks = ceil_div(arguments.columns, arguments.column_block);
  arguments.part_rows = std::max(kLeastRows, kUnit / arguments.column_block);
  arguments.parts = std::max<int64_t>(1, ceil_div(arguments.reduced, arguments.part_rows));
  arguments.outer_unit =
      std::max<int64_t>(1, kUnit / std::max<int64_t>(1, arguments.reduced * arguments.columns));
  arguments.totals_offset = request.tile_scratch + (request.tile ? kBlock * sizeof(float) : 0);
  const int64_t totals = std::max(arguments.period, arguments.column_block);
  bound.scratch_bytes =
      arguments.totals_offset + line_bytes(totals * static_cast<int64_t>(sizeof(float)));
  bound.algorithm = "columns";
  const bool together = arguments.parts == 1 && arguments.column_blocks == 1;
  bound.phases.push_back(
      {&run_columns, together ? ceil_div(arguments.outer, arguments.outer_unit)
                              : arguments.outer * arguments.parts * arguments.column_blocks});
  if (arguments.parts == 1) return;
  const int64_t results = arguments.outer * arguments.columns;
  bound.workspace_bytes =
      line_bytes(results * arguments.parts * static_cast<int64_t>(sizeof(float)));
  bound.phases.push_back({&combine_columns, ceil_div(results, kCombineUnit)});
}

void bind_plain(const BindRequest& request, ReduceArguments& arguments, BoundKernel& bound,
                DType type, int64_t elements) {
  if (request.tile) {
    NNC_CHECK(tile_compute_type(*request.tile) == type,
              "reduce: the prologue computes in another type than the result has");
    bound.phases.push_back({&run_prologue, ceil_div(elements, kUnit)});
    bound.workspace_bytes = line_bytes(elements * static_cast<int64_t>(size_of(type)));
    bound.scratch_bytes = request.tile_scratch;
  }
  bound.phases.push_back({reference_loop(type, []<class T>() { return &run_plain<T>; }),
                          ceil_div(arguments.kept_walk.count(), kPlainUnit)});
  bound.algorithm = "reference";
}

Reduction reduction_from(const std::string& op) {
  if (op == "max") return Reduction::maximum;
  return op == "min" ? Reduction::minimum : Reduction::sum;
}

}  // namespace

BoundKernel bind_reduce(const BindRequest& request) {
  auto arguments = std::make_shared<ReduceArguments>();
  const std::string op = text_attribute(*request.attributes, "op");
  const TensorInfo& result = request.results[0];
  // With a prologue the input's shape is the domain, which keepdims and the result's shape do not
  // tell.
  const Shape shape = request.tile ? tile_domain(*request.tile) : request.operands[0].shape;
  std::vector<bool> is_reduced(shape.size(), false);
  int64_t elements = 1;
  int64_t reduced = 1;
  for (int64_t axis : integers_attribute(*request.attributes, "axes")) {
    NNC_CHECK(axis >= 0 && axis < static_cast<int64_t>(shape.size()) &&
                  !is_reduced[static_cast<size_t>(axis)],
              "reduce: bad axis " + std::to_string(axis));
    is_reduced[static_cast<size_t>(axis)] = true;
    reduced *= shape[static_cast<size_t>(axis)];
  }
  for (int64_t dim : shape) elements *= dim;
  Shape expected;
  const bool keep = integer_attribute(*request.attributes, "keepdims") != 0;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!is_reduced[d]) expected.push_back(shape[d]);
    if (is_reduced[d] && keep) expected.push_back(1);
  }
  check_shape(result, expected, "reduce: the result");
  check_prologue(request, elements);
  arguments->reduction = reduction_from(op);
  arguments->factor = op == "mean" ? 1.0 / static_cast<double>(reduced) : 1.0;
  arguments->table = kernel_tables_of(request.isa).reduce;
  arguments->tile_scratch = request.tile_scratch;
  set_walks(*arguments, shape, is_reduced);
  BoundKernel bound;
  if (vector_kernels(request.isa, result.dtype) == nullptr || elements == 0 ||
      !set_block(*arguments, shape, is_reduced)) {
    bind_plain(request, *arguments, bound, result.dtype, elements);
  } else if (arguments->columns == 1) {
    bind_rows(request, *arguments, bound);
  } else {
    bind_columns(request, *arguments, bound);
  }
  bound.arguments = arguments;
  bound.flops = as_double(elements);
  bound.bytes = bytes_of(request);
  return bound;
}

namespace {

struct ArgmaxArguments {
  const ReduceTable* table = nullptr;  // nullptr: the plain loop
  int64_t outer = 1;
  int64_t extent = 1;
  int64_t inner = 1;
  int64_t unit = 1;  // results of a unit
};

template <class T>
void run_argmax(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const ArgmaxArguments*>(call.arguments);
  const T* x = static_cast<const T*>(call.operands[0]);
  int64_t* y = static_cast<int64_t*>(call.results[0]);
  const int64_t last = std::min(end * arguments.unit, arguments.outer * arguments.inner);
  for (int64_t i = begin * arguments.unit; i < last; ++i) {
    const T* at =
        x + i / arguments.inner * arguments.extent * arguments.inner + i % arguments.inner;
    y[i] = reference::argmax_one(at, arguments.extent, arguments.inner);
  }
}

// Long rows: vectors find the largest value, then a search finds its first element. The search ends
// with the row, even if another thread changes an input meanwhile.
void run_argmax_rows(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const ArgmaxArguments*>(call.arguments);
  const float* x = static_cast<const float*>(call.operands[0]);
  int64_t* y = static_cast<int64_t*>(call.results[0]);
  const int64_t last = std::min(end * arguments.unit, arguments.outer);
  for (int64_t row = begin * arguments.unit; row < last; ++row) {
    const float* at = x + row * arguments.extent;
    const float largest =
        arguments.table->whole[static_cast<int>(Reduction::maximum)](at, arguments.extent);
    const int64_t last_place = arguments.extent - 1;
    int64_t i = 0;
    if (largest == largest) {
      while (i < last_place && at[i] != largest) ++i;
    } else {
      while (i < last_place && at[i] == at[i]) ++i;
    }
    y[row] = i;
  }
}

}  // namespace

BoundKernel bind_argmax(const BindRequest& request) {
  auto arguments = std::make_shared<ArgmaxArguments>();
  const Shape& shape = request.operands[0].shape;
  const int64_t axis = integer_attribute(*request.attributes, "axis");
  NNC_CHECK(axis >= 0 && axis < static_cast<int64_t>(shape.size()),
            "argmax: bad axis " + std::to_string(axis));
  const size_t at = static_cast<size_t>(axis);
  Shape expected = shape;
  if (integer_attribute(*request.attributes, "keepdims") != 0) {
    expected[at] = 1;
  } else {
    expected.erase(expected.begin() + axis);
  }
  check_shape(request.results[0], expected, "argmax: the result");
  NNC_CHECK(shape[at] > 0 || request.results[0].elements() == 0, "argmax: nothing to choose from");
  arguments->outer = elements_between(shape, 0, at);
  arguments->extent = shape[at];
  arguments->inner = elements_between(shape, at + 1, shape.size());
  arguments->unit = std::max<int64_t>(1, kUnit / 4 / std::max<int64_t>(1, arguments->extent));
  arguments->table = kernel_tables_of(request.isa).reduce;
  constexpr int64_t kLongRow = 32;
  BoundKernel bound;
  const DType type = request.operands[0].dtype;
  const bool vector = vector_kernels(request.isa, type) != nullptr && arguments->inner == 1 &&
                      arguments->extent >= kLongRow;
  const auto run =
      vector ? &run_argmax_rows : reference_loop(type, []<class T>() { return &run_argmax<T>; });
  bound.phases.push_back({run, ceil_div(arguments->outer * arguments->inner, arguments->unit)});
  bound.arguments = arguments;
  bound.algorithm = vector ? "rows" : "reference";
  bound.flops = as_double(request.operands[0].elements());
  bound.bytes = bytes_of(request);
  return bound;
}

}  // namespace nnrt
