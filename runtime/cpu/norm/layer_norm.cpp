// Layer normalization: binding and phases. Units are blocks of rows.
#include <algorithm>

#include "cpu/bind.h"
#include "cpu/kernel_tables.h"
#include "cpu/norm/norm.h"
#include "cpu/norm/reference/norm.h"

namespace nnrt {
namespace {

constexpr int64_t kUnit = 8192;       // elements of a unit: 32 KB
constexpr int64_t kLeastRows = 32;    // rows of a unit that leaves partial gradients
constexpr int64_t kColumnUnit = 256;  // columns of a unit of merging

struct LayerNormArguments {
  const NormTable* table = nullptr;
  int64_t rows = 0;
  int64_t extent = 0;
  int64_t unit_rows = 1;
  int64_t units = 0;
  double epsilon = 0;
};

const LayerNormArguments& arguments_of(const Call& call) {
  return *static_cast<const LayerNormArguments*>(call.arguments);
}

template <class T>
const T* typed(const Call& call, int index) {
  return static_cast<const T*>(call.operands[index]);
}
template <class T>
T* typed_result(const Call& call, int index) {
  return static_cast<T*>(call.results[index]);
}

template <class T, bool Plain>
void run_forward(const Call& call, int64_t begin, int64_t end) {
  const LayerNormArguments& arguments = arguments_of(call);
  const int64_t first = begin * arguments.unit_rows;
  const int64_t rows = std::min(end * arguments.unit_rows, arguments.rows) - first;
  const int64_t at = first * arguments.extent;
  auto run = [&](auto function, auto epsilon) {
    function(typed_result<T>(call, 0) + at, typed_result<T>(call, 1) + first,
             typed_result<T>(call, 2) + first, typed<T>(call, 0) + at, typed<T>(call, 1),
             typed<T>(call, 2), rows, arguments.extent, epsilon);
  };
  if constexpr (Plain) {
    run(&reference::layer_norm<T>, arguments.epsilon);
  } else {
    run(arguments.table->layer_norm, static_cast<float>(arguments.epsilon));
  }
}

template <class T>
void run_plain_backward(const Call& call, int64_t, int64_t) {
  const LayerNormArguments& arguments = arguments_of(call);
  reference::layer_norm_backward(typed_result<T>(call, 0), typed_result<T>(call, 1),
                                 typed_result<T>(call, 2), typed<T>(call, 0), typed<T>(call, 1),
                                 typed<T>(call, 2), typed<T>(call, 3), typed<T>(call, 4),
                                 arguments.rows, arguments.extent, arguments.epsilon);
}

// The workspace holds each unit's own gradients of scale and offset: [unit][2][extent].
void run_backward(const Call& call, int64_t begin, int64_t end) {
  const LayerNormArguments& arguments = arguments_of(call);
  const int64_t extent = arguments.extent;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t first = unit * arguments.unit_rows;
    const int64_t rows = std::min(arguments.unit_rows, arguments.rows - first);
    float* partial = static_cast<float*>(call.workspace) + unit * 2 * extent;
    std::fill(partial, partial + 2 * extent, 0.0f);
    arguments.table->layer_norm_backward(typed_result<float>(call, 0) + first * extent, partial,
                                         partial + extent, typed<float>(call, 0) + first * extent,
                                         typed<float>(call, 1), typed<float>(call, 2) + first,
                                         typed<float>(call, 3) + first,
                                         typed<float>(call, 4) + first * extent, rows, extent,
                                         static_cast<float>(arguments.epsilon));
  }
}

void merge_gradients(const Call& call, int64_t begin, int64_t end) {
  const LayerNormArguments& arguments = arguments_of(call);
  const int64_t extent = arguments.extent;
  const float* partial = static_cast<const float*>(call.workspace);
  const int64_t last = std::min(end * kColumnUnit, extent);
  for (int64_t c = begin * kColumnUnit; c < last; ++c) {
    double scale = 0;
    double offset = 0;
    for (int64_t unit = 0; unit < arguments.units; ++unit) {
      scale += static_cast<double>(partial[unit * 2 * extent + c]);
      offset += static_cast<double>(partial[(unit * 2 + 1) * extent + c]);
    }
    typed_result<float>(call, 1)[c] = static_cast<float>(scale);
    typed_result<float>(call, 2)[c] = static_cast<float>(offset);
  }
}

bool is_plain(const BindRequest& request) {
  return vector_kernels(request.isa, request.operands[0].dtype) == nullptr;
}

std::shared_ptr<LayerNormArguments> make_arguments(const BindRequest& request, int64_t least_rows) {
  const TensorInfo& x = request.operands[0];
  auto arguments = std::make_shared<LayerNormArguments>();
  arguments->table = kernel_tables_of(request.isa).norm;
  arguments->extent = x.shape.back();
  arguments->rows = elements_between(x.shape, 0, x.shape.size() - 1);
  NNC_CHECK(arguments->extent > 0 || arguments->rows == 0, "layer_norm: no statistics of nothing");
  arguments->unit_rows = std::max(least_rows, kUnit / std::max<int64_t>(1, arguments->extent));
  arguments->units = ceil_div(arguments->rows, arguments->unit_rows);
  arguments->epsilon = number_attribute(*request.attributes, "epsilon");
  return arguments;
}

BoundKernel make_bound(const BindRequest& request,
                       std::shared_ptr<const LayerNormArguments> arguments) {
  BoundKernel bound;
  bound.algorithm = is_plain(request) ? "reference" : "rows";
  bound.flops = 8 * as_double(request.operands[0].elements());
  bound.bytes = bytes_of(request);
  bound.arguments = std::move(arguments);
  return bound;
}

}  // namespace

BoundKernel bind_layer_norm(const BindRequest& request) {
  const Shape& x = request.operands[0].shape;
  NNC_CHECK(!x.empty(), "layer_norm: rows have one axis at least");
  const Shape rows(x.begin(), x.end() - 1);
  const Shape extent = {x.back()};
  check_shape(request.operands[1], extent, "layer_norm: the scale");
  check_shape(request.operands[2], extent, "layer_norm: the offset");
  check_shape(request.results[0], x, "layer_norm: the first result");
  check_shape(request.results[1], rows, "layer_norm: the mean");
  check_shape(request.results[2], rows, "layer_norm: the variance");
  auto arguments = make_arguments(request, 1);
  BoundKernel bound = make_bound(request, arguments);
  const auto run = is_plain(request)
                       ? reference_loop(request.operands[0].dtype,
                                        []<class T>() { return &run_forward<T, true>; })
                       : &run_forward<float, false>;
  bound.phases.push_back({run, arguments->units});
  return bound;
}

BoundKernel bind_layer_norm_backward(const BindRequest& request) {
  const Shape& x = request.operands[0].shape;
  NNC_CHECK(!x.empty(), "layer_norm_backward: rows have one axis at least");
  const Shape rows(x.begin(), x.end() - 1);
  const Shape extent = {x.back()};
  check_shape(request.operands[1], extent, "layer_norm_backward: the scale");
  check_shape(request.operands[2], rows, "layer_norm_backward: the mean");
  check_shape(request.operands[3], rows, "layer_norm_backward: the variance");
  check_shape(request.operands[4], x, "layer_norm_backward: the gradient");
  check_shape(request.results[0], x, "layer_norm_backward: the first result");
  check_shape(request.results[1], extent, "layer_norm_backward: the scale's gradient");
  check_shape(request.results[2], extent, "layer_norm_backward: the offset's gradient");
  auto arguments = make_arguments(request, kLeastRows);
  BoundKernel bound = make_bound(request, arguments);
  if (is_plain(request)) {
    bound.phases.push_back({reference_loop(request.operands[0].dtype,
                                           []<class T>() { return &run_plain_backward<T>; }),
                            1});
    return bound;
  }
  bound.workspace_bytes =
      line_bytes(arguments->units * 2 * arguments->extent * static_cast<int64_t>(sizeof(float)));
  bound.phases.push_back({&run_backward, arguments->units});
  bound.phases.push_back({&merge_gradients, ceil_div(arguments->extent, kColumnUnit)});
  return bound;
}

}  // namespace nnrt
