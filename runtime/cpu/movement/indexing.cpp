// Kernels with indices: gather and its gradient, iota; and the gradient of resize_nearest, whose
// windows are as simple.
#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "cpu/bind.h"
#include "cpu/kernel_tables.h"
#include "cpu/movement/box_copy.h"
#include "cpu/reduce/reduce.h"

namespace nnrt {
namespace {

constexpr int64_t kUnit = 8192;  // elements of a unit

struct GatherArguments {
  const ReduceTable* table = nullptr;
  size_t item = 4;    // bytes of an element
  uint64_t fill = 0;  // the element of a row whose id is outside: NaN, or 0 if the type has none
  DType ids = DType::i64;
  int64_t table_rows = 0;
  int64_t row = 1;    // elements
  int64_t count = 0;  // ids
  int64_t unit = 1;   // ids, or rows of the table, of a unit
};

const GatherArguments& arguments_of(const Call& call) {
  return *static_cast<const GatherArguments*>(call.arguments);
}

int64_t id_at(const void* ids, DType type, int64_t index) {
  if (type == DType::i64) return static_cast<const int64_t*>(ids)[index];
  if (type == DType::i32) return static_cast<const int32_t*>(ids)[index];
  return static_cast<const uint8_t*>(ids)[index];
}

// An id outside the table gives `fill`.
void run_gather(const Call& call, int64_t begin, int64_t end) {
  const GatherArguments& arguments = arguments_of(call);
  const size_t bytes = static_cast<size_t>(arguments.row) * arguments.item;
  const char* table = static_cast<const char*>(call.operands[0]);
  char* y = static_cast<char*>(call.results[0]);
  const int64_t last = std::min(end * arguments.unit, arguments.count);
  for (int64_t i = begin * arguments.unit; i < last; ++i) {
    const int64_t id = id_at(call.operands[1], arguments.ids, i);
    char* to = y + static_cast<size_t>(i) * bytes;
    if (id >= 0 && id < arguments.table_rows) {
      std::memcpy(to, table + static_cast<size_t>(id) * bytes, bytes);
      continue;
    }
    if (call.fault != nullptr) call.fault->report(i, id);
    for (size_t at = 0; at < bytes; at += arguments.item)
      std::memcpy(to + at, &arguments.fill, arguments.item);
  }
}

// The workspace: for each row of the table the first position with its id, then for each position
// the next one (-1: none), so that every row's gradients are added in order, on any thread.
int64_t* first_of(const Call& call) { return static_cast<int64_t*>(call.workspace); }
int64_t* next_of(const Call& call) { return first_of(call) + arguments_of(call).table_rows; }

void link_ids(const Call& call, int64_t, int64_t) {
  const GatherArguments& arguments = arguments_of(call);
  int64_t* first = first_of(call);
  int64_t* next = next_of(call);
  std::fill_n(first, arguments.table_rows, int64_t{-1});
  for (int64_t i = arguments.count; i-- > 0;) {
    const int64_t id = id_at(call.operands[0], arguments.ids, i);
    next[i] = -1;
    if (id < 0 || id >= arguments.table_rows) continue;
    next[i] = first[id];
    first[id] = i;
  }
}

template <class T>
void add_row(const GatherArguments& arguments, T* to, const T* from) {
  if constexpr (std::is_same_v<T, float>) {
    if (arguments.table) {
      arguments.table->columns[static_cast<int>(Reduction::sum)](to, from, arguments.row,
                                                                 arguments.row);
      return;
    }
  }
  for (int64_t i = 0; i < arguments.row; ++i) to[i] += from[i];
}

template <class T>
void sum_rows(const Call& call, int64_t begin, int64_t end) {
  const GatherArguments& arguments = arguments_of(call);
  const T* dy = static_cast<const T*>(call.operands[1]);
  T* dtable = static_cast<T*>(call.results[0]);
  const int64_t last = std::min(end * arguments.unit, arguments.table_rows);
  for (int64_t row = begin * arguments.unit; row < last; ++row) {
    T* to = dtable + row * arguments.row;
    std::fill_n(to, arguments.row, T(0));
    for (int64_t i = first_of(call)[row]; i >= 0; i = next_of(call)[i])
      add_row(arguments, to, dy + i * arguments.row);
  }
}

std::shared_ptr<GatherArguments> gather_arguments(const BindRequest& request,
                                                  const TensorInfo& table, const TensorInfo& ids,
                                                  const TensorInfo& rows) {
  NNC_CHECK(table.rank() > 0, "gather: the table has one axis at least");
  Shape expected = ids.shape;
  expected.insert(expected.end(), table.shape.begin() + 1, table.shape.end());
  check_shape(rows, expected, "gather: the rows");
  auto arguments = std::make_shared<GatherArguments>();
  const KernelTables* vectors = vector_kernels(request.isa, table.dtype);
  if (vectors) arguments->table = vectors->reduce;
  arguments->item = size_of(table.dtype);
  arguments->fill = element_bits(table.dtype, std::numeric_limits<double>::quiet_NaN());
  arguments->ids = ids.dtype;
  arguments->table_rows = table.shape[0];
  arguments->row = elements_between(table.shape, 1, table.shape.size());
  arguments->count = ids.elements();
  arguments->unit = std::max<int64_t>(1, kUnit / std::max<int64_t>(1, arguments->row));
  return arguments;
}

struct ResizeArguments {
  Shape shape;  // of dx
  int64_t rows = 1;
  int64_t columns = 1;
  int64_t unit = 1;  // rows of dx of a unit
};

template <class T>
void run_resize_backward(const Call& call, int64_t begin, int64_t end) {
  const auto& a = *static_cast<const ResizeArguments*>(call.arguments);
  const int64_t width = a.shape[2];
  const int64_t channels = a.shape[3];
  const T* dy = static_cast<const T*>(call.operands[0]);
  T* dx = static_cast<T*>(call.results[0]);
  const int64_t last = std::min(end * a.unit, a.shape[0] * a.shape[1]);
  for (int64_t row = begin * a.unit; row < last; ++row) {
    T* to = dx + row * width * channels;
    std::fill_n(to, width * channels, T(0));
    for (int64_t i = 0; i < a.rows; ++i) {
      const T* from = dy + (row * a.rows + i) * width * a.columns * channels;
      for (int64_t x = 0; x < width; ++x) {
        for (int64_t j = 0; j < a.columns; ++j, from += channels) {
          for (int64_t c = 0; c < channels; ++c) to[x * channels + c] += from[c];
        }
      }
    }
  }
}

struct IotaArguments {
  int64_t extent = 1;
  int64_t inner = 1;
  int64_t elements = 0;
};

template <class T>
void run_iota(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const IotaArguments*>(call.arguments);
  const int64_t last = std::min(end * kUnit, arguments.elements);
  for (int64_t i = begin * kUnit; i < last; ++i) {
    static_cast<T*>(call.results[0])[i] = static_cast<T>(i / arguments.inner % arguments.extent);
  }
}

}  // namespace

BoundKernel bind_gather(const BindRequest& request) {
  auto arguments =
      gather_arguments(request, request.operands[0], request.operands[1], request.results[0]);
  BoundKernel bound;
  bound.phases.push_back({&run_gather, ceil_div(arguments->count, arguments->unit)});
  bound.arguments = arguments;
  bound.bytes = 2 * static_cast<double>(request.results[0].bytes());
  bound.index_operand = 1;
  bound.index_limit = arguments->table_rows;
  bound.algorithm = "rows";
  return bound;
}

BoundKernel bind_gather_backward(const BindRequest& request) {
  auto arguments =
      gather_arguments(request, request.results[0], request.operands[0], request.operands[1]);
  BoundKernel bound;
  bound.workspace_bytes = line_bytes((arguments->table_rows + arguments->count) *
                                     static_cast<int64_t>(sizeof(int64_t)));
  bound.phases.push_back({&link_ids, 1});
  bound.phases.push_back(
      {reference_loop(request.results[0].dtype, []<class T>() { return &sum_rows<T>; }),
       ceil_div(arguments->table_rows, arguments->unit)});
  bound.arguments = arguments;
  bound.bytes = bytes_of(request);
  bound.flops = as_double(request.operands[1].elements());
  bound.algorithm = "rows";
  return bound;
}

BoundKernel bind_resize_nearest_backward(const BindRequest& request) {
  auto arguments = std::make_shared<ResizeArguments>();
  const Shape& dx = request.results[0].shape;
  const auto factor = integers_attribute(*request.attributes, "factor", 2);
  const std::string what = "resize_nearest_backward";
  NNC_CHECK(factor[0] >= 1 && factor[1] >= 1, what + ": factors are at least 1");
  check_shape(request.operands[0],
              {dx[0], checked_product(dx[1], factor[0], what),
               checked_product(dx[2], factor[1], what), dx[3]},
              what + ": the gradient");
  arguments->shape = dx;
  arguments->rows = factor[0];
  arguments->columns = factor[1];
  arguments->unit =
      std::max<int64_t>(1, kUnit / std::max<int64_t>(1, dx[2] * dx[3] * factor[0] * factor[1]));
  BoundKernel bound;
  bound.phases.push_back(
      {reference_loop(request.results[0].dtype, []<class T>() { return &run_resize_backward<T>; }),
       ceil_div(dx[0] * dx[1], arguments->unit)});
  bound.arguments = arguments;
  bound.bytes = bytes_of(request);
  bound.flops = as_double(request.operands[0].elements());
  bound.algorithm = "rows";
  return bound;
}

BoundKernel bind_iota(const BindRequest& request) {
  auto arguments = std::make_shared<IotaArguments>();
  const TensorInfo& result = request.results[0];
  const int64_t axis = integer_attribute(*request.attributes, "axis");
  NNC_CHECK(axis >= 0 && axis < result.rank(), "iota: bad axis " + std::to_string(axis));
  const size_t at = static_cast<size_t>(axis);
  arguments->extent = std::max<int64_t>(1, result.shape[at]);
  arguments->inner =
      std::max<int64_t>(1, elements_between(result.shape, at + 1, result.shape.size()));
  arguments->elements = result.elements();
  void (*run)(const Call&, int64_t, int64_t) = &run_iota<uint8_t>;
  if (result.dtype == DType::f32) run = &run_iota<float>;
  if (result.dtype == DType::f64) run = &run_iota<double>;
  if (result.dtype == DType::i32) run = &run_iota<int32_t>;
  if (result.dtype == DType::i64) run = &run_iota<int64_t>;
  BoundKernel bound;
  bound.phases.push_back({run, ceil_div(arguments->elements, kUnit)});
  bound.arguments = arguments;
  bound.bytes = bytes_of(request);
  bound.algorithm = "iota";
  return bound;
}

}  // namespace nnrt
