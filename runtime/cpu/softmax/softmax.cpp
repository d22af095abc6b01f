// Softmax and its kin: check, bind and the phases. Units are blocks of rows.
#include "cpu/softmax/softmax.h"

#include <algorithm>

#include "cpu/bind.h"
#include "cpu/kernel_tables.h"
#include "cpu/softmax/reference/softmax.h"

namespace nnrt {
namespace {

constexpr int64_t kUnit = 4096;  // elements of a unit: some microseconds of exponentials

struct SoftmaxArguments {
  const SoftmaxTable* table = nullptr;
  int64_t rows = 0;
  int64_t extent = 1;
  int64_t unit = 1;  // rows of a unit
  DType labels = DType::i64;
  double smoothing = 0;
};

struct Rows {
  const SoftmaxArguments& arguments;
  int64_t first;
  int64_t count;

  Rows(const Call& call, int64_t begin, int64_t end)
      : arguments(*static_cast<const SoftmaxArguments*>(call.arguments)),
        first(begin * arguments.unit),
        count(std::min(end * arguments.unit, arguments.rows) - first) {}
  int64_t offset() const { return first * arguments.extent; }
};

template <class T>
const T* operand(const Call& call, int index) {
  return static_cast<const T*>(call.operands[index]);
}
template <class T>
T* result(const Call& call) {
  return static_cast<T*>(call.results[0]);
}

// [x] -> y
template <auto Member>
void run_forward(const Call& call, int64_t begin, int64_t end) {
  const Rows rows(call, begin, end);
  (rows.arguments.table->*Member)(result<float>(call) + rows.offset(),
                                  operand<float>(call, 0) + rows.offset(), rows.count,
                                  rows.arguments.extent);
}
template <class T, auto Function>
void run_plain_forward(const Call& call, int64_t begin, int64_t end) {
  const Rows rows(call, begin, end);
  Function(result<T>(call) + rows.offset(), operand<T>(call, 0) + rows.offset(), rows.count,
           rows.arguments.extent);
}

// [y, dy] -> dx
template <auto Member>
void run_backward(const Call& call, int64_t begin, int64_t end) {
  const Rows rows(call, begin, end);
  (rows.arguments.table->*Member)(
      result<float>(call) + rows.offset(), operand<float>(call, 0) + rows.offset(),
      operand<float>(call, 1) + rows.offset(), rows.count, rows.arguments.extent);
}
template <class T, auto Function>
void run_plain_backward(const Call& call, int64_t begin, int64_t end) {
  const Rows rows(call, begin, end);
  Function(result<T>(call) + rows.offset(), operand<T>(call, 0) + rows.offset(),
           operand<T>(call, 1) + rows.offset(), rows.count, rows.arguments.extent);
}

constexpr int64_t kLabels = 256;  // converted at a time, on the stack

int64_t label_at(const void* labels, DType type, int64_t index) {
  if (type == DType::i64) return static_cast<const int64_t*>(labels)[index];
  if (type == DType::i32) return static_cast<const int32_t*>(labels)[index];
  return static_cast<const uint8_t*>(labels)[index];
}

// Calls body(first row, rows, their labels).
template <class Body>
void over_labels(const Call& call, int64_t begin, int64_t end, Body body) {
  const Rows rows(call, begin, end);
  int64_t labels[kLabels];
  for (int64_t done = 0; done < rows.count; done += kLabels) {
    const int64_t count = std::min(kLabels, rows.count - done);
    for (int64_t i = 0; i < count; ++i) {
      labels[i] = label_at(call.operands[1], rows.arguments.labels, rows.first + done + i);
    }
    body(rows.arguments, rows.first + done, count, labels);
  }
}

template <class T, bool Plain>
void run_cross_entropy(const Call& call, int64_t begin, int64_t end) {
  over_labels(
      call, begin, end,
      [&](const SoftmaxArguments& arguments, int64_t first, int64_t count, const int64_t* labels) {
        T* loss = result<T>(call) + first;
        const T* logits = operand<T>(call, 0) + first * arguments.extent;
        for (int64_t i = 0; call.fault != nullptr && i < count; ++i) {
          if (labels[i] < 0 || labels[i] >= arguments.extent)
            call.fault->report(first + i, labels[i]);
        }
        if constexpr (Plain) {
          reference::cross_entropy(loss, logits, labels, count, arguments.extent,
                                   arguments.smoothing);
        } else {
          arguments.table->cross_entropy(loss, logits, labels, count, arguments.extent,
                                         static_cast<float>(arguments.smoothing));
        }
      });
}

template <class T, bool Plain>
void run_cross_entropy_backward(const Call& call, int64_t begin, int64_t end) {
  over_labels(
      call, begin, end,
      [&](const SoftmaxArguments& arguments, int64_t first, int64_t count, const int64_t* labels) {
        T* dlogits = result<T>(call) + first * arguments.extent;
        const T* logits = operand<T>(call, 0) + first * arguments.extent;
        const T* dloss = operand<T>(call, 2) + first;
        if constexpr (Plain) {
          reference::cross_entropy_backward(dlogits, logits, labels, dloss, count, arguments.extent,
                                            arguments.smoothing);
        } else {
          arguments.table->cross_entropy_backward(dlogits, logits, labels, dloss, count,
                                                  arguments.extent,
                                                  static_cast<float>(arguments.smoothing));
        }
      });
}

using PhaseFunction = void (*)(const Call&, int64_t, int64_t);

// `fast` for floats, else the plain loop of the type.
// `plain`: a lambda over the float type that gives its reference loop.
template <class Plain>
BoundKernel bind_rows(const BindRequest& request, PhaseFunction fast, Plain plain) {
  const TensorInfo& x = request.operands[0];
  auto arguments = std::make_shared<SoftmaxArguments>();
  NNC_CHECK(x.rank() > 0, "softmax: rows have one axis at least");
  arguments->table = kernel_tables_of(request.isa).softmax;
  arguments->extent = x.shape.back();
  arguments->rows = elements_between(x.shape, 0, x.shape.size() - 1);
  NNC_CHECK(arguments->extent > 0 || arguments->rows == 0, "softmax: rows of no elements");
  arguments->unit = std::max<int64_t>(1, kUnit / std::max<int64_t>(1, arguments->extent));
  if (request.operands.size() > 1) arguments->labels = request.operands[1].dtype;
  if (request.attributes->count("smoothing") != 0) {
    arguments->smoothing = number_attribute(*request.attributes, "smoothing");
  }
  const bool is_plain = vector_kernels(request.isa, x.dtype) == nullptr;
  BoundKernel bound;
  bound.phases.push_back({is_plain ? reference_loop(x.dtype, plain) : fast,
                          ceil_div(arguments->rows, arguments->unit)});
  bound.arguments = arguments;
  bound.algorithm = is_plain ? "reference" : "rows";
  bound.flops = 8 * as_double(x.elements());
  bound.bytes = bytes_of(request);
  return bound;
}

void check_same_shapes(const BindRequest& request) {
  for (const TensorInfo& info : request.operands)
    check_shape(info, request.results[0].shape, "softmax: an operand");
}

Shape without_last(const Shape& shape) { return Shape(shape.begin(), shape.end() - 1); }

}  // namespace

BoundKernel bind_softmax(const BindRequest& request) {
  check_same_shapes(request);
  return bind_rows(request, &run_forward<&SoftmaxTable::softmax>, []<class T>() -> PhaseFunction {
    return &run_plain_forward<T, &reference::softmax<T>>;
  });
}
BoundKernel bind_log_softmax(const BindRequest& request) {
  check_same_shapes(request);
  return bind_rows(
      request, &run_forward<&SoftmaxTable::log_softmax>,
      []<class T>() -> PhaseFunction { return &run_plain_forward<T, &reference::log_softmax<T>>; });
}
BoundKernel bind_softmax_backward(const BindRequest& request) {
  check_same_shapes(request);
  return bind_rows(request, &run_backward<&SoftmaxTable::softmax_backward>,
                   []<class T>() -> PhaseFunction {
                     return &run_plain_backward<T, &reference::softmax_backward<T>>;
                   });
}
BoundKernel bind_log_softmax_backward(const BindRequest& request) {
  check_same_shapes(request);
  return bind_rows(request, &run_backward<&SoftmaxTable::log_softmax_backward>,
                   []<class T>() -> PhaseFunction {
                     return &run_plain_backward<T, &reference::log_softmax_backward<T>>;
                   });
}

BoundKernel bind_softmax_cross_entropy(const BindRequest& request) {
  const Shape rows = without_last(request.operands[0].shape);
  check_shape(request.operands[1], rows, "softmax_cross_entropy: the labels");
  check_shape(request.results[0], rows, "softmax_cross_entropy: the loss");
  BoundKernel bound =
      bind_rows(request, &run_cross_entropy<float, false>,
                []<class T>() -> PhaseFunction { return &run_cross_entropy<T, true>; });
  bound.index_operand = 1;
  bound.index_limit = request.operands[0].shape.back();
  return bound;
}
BoundKernel bind_softmax_cross_entropy_backward(const BindRequest& request) {
  const Shape rows = without_last(request.operands[0].shape);
  check_shape(request.operands[1], rows, "softmax_cross_entropy_backward: the labels");
  check_shape(request.operands[2], rows, "softmax_cross_entropy_backward: the loss's gradient");
  check_shape(request.results[0], request.operands[0].shape,
              "softmax_cross_entropy_backward: the result");
  return bind_rows(request, &run_cross_entropy_backward<float, false>,
                   []<class T>() -> PhaseFunction { return &run_cross_entropy_backward<T, true>; });
}

}  // namespace nnrt
