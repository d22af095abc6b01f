// Batch normalization: binding, and the plain loops.
#include "cpu/norm/batch_norm.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/bind.h"
#include "cpu/fused_reduction.h"
#include "cpu/kernel_tables.h"
#include "cpu/norm/reference/norm.h"
#include "cpu/reduce/reduce.h"
#include "cpu/row_streaming.h"
#include "cpu/store_policy.h"
#include "cpu/tile/tile.h"

namespace nnrt {
namespace batch_norm {
namespace {

constexpr int64_t kUnit = 16 * 1024;  // least elements of a unit: 64 KB
constexpr int64_t kGroup = 16;        // threads with even parts
constexpr int64_t kMostUnits = 512;   // units grow beyond this many, so that merging stays cheap
constexpr int64_t kLeastRows = 32;    // least rows of a unit, for the same reason
constexpr int64_t kRows = 96;         // the same if kLeastUnits units remain
constexpr int64_t kLeastUnits = 16;

template <class T>
const T* typed(const Call& call, int index) {
  return static_cast<const T*>(call.operands[index]);
}
template <class T>
T* typed_result(const Call& call, int index) {
  return static_cast<T*>(call.results[index]);
}

// Units are channels.
template <class T>
void plain_forward(const Call& call, int64_t begin, int64_t end) {
  const Arguments& arguments = arguments_of(call);
  for (int64_t c = begin; c < end; ++c) {
    reference::batch_norm(typed_result<T>(call, 0) + c, typed_result<T>(call, 1) + c,
                          typed_result<T>(call, 2) + c, typed<T>(call, 0) + c, typed<T>(call, 1)[c],
                          typed<T>(call, 2)[c], arguments.rows, arguments.channels,
                          arguments.epsilon);
  }
}
template <class T>
void plain_backward(const Call& call, int64_t begin, int64_t end) {
  const Arguments& arguments = arguments_of(call);
  for (int64_t c = begin; c < end; ++c) {
    const reference::Passing passing = {static_cast<double>(arguments.least),
                                        static_cast<double>(arguments.most), arguments.masked};
    reference::batch_norm_backward(
        typed_result<T>(call, 0) + c, typed_result<T>(call, 1) + c, typed_result<T>(call, 2) + c,
        typed<T>(call, kX) + c, typed<T>(call, kScale)[c], typed<T>(call, kOffset)[c],
        typed<T>(call, kMean)[c], typed<T>(call, kVariance)[c], typed<T>(call, kGradient) + c,
        arguments.rows, arguments.channels, arguments.epsilon, passing);
  }
}

std::shared_ptr<Arguments> make_arguments(const BindRequest& request) {
  const TensorInfo& x = request.operands[0];
  auto arguments = std::make_shared<Arguments>();
  arguments->table = kernel_tables_of(request.isa).norm;
  arguments->channels = x.shape.back();
  arguments->rows = elements_between(x.shape, 0, x.shape.size() - 1);
  NNC_CHECK(arguments->rows > 0 && arguments->channels > 0, "batch_norm: no statistics of nothing");
  arguments->period = period_of(arguments->channels);
  if (x.rank() >= 3) {
    arguments->image_rows = x.shape[1];
    arguments->positions = elements_between(x.shape, 2, x.shape.size() - 1);
  }
  const int64_t unit = std::max(kUnit, x.elements() / kMostUnits);
  arguments->unit_rows = std::max(
      {kLeastRows, std::min(kRows, arguments->rows / kLeastUnits), unit / arguments->channels});
  const int64_t groups = (ceil_div(arguments->rows, arguments->unit_rows) + kGroup / 2) / kGroup;
  if (groups > 0) arguments->unit_rows = ceil_div(arguments->rows, groups * kGroup);
  arguments->units = ceil_div(arguments->rows, arguments->unit_rows);
  arguments->parts = arguments->units;
  arguments->epsilon = number_attribute(*request.attributes, "epsilon");
  const RegisterEpilogue* epilogue = tile_epilogue(request.tile);
  arguments->epilogue = epilogue != nullptr && epilogue->rows[0] < 0;
  arguments->stream =
      streams(x.bytes(), arguments->channels) && (request.tile == nullptr || arguments->epilogue);
  arguments->scratch_offset = request.tile_scratch;
  arguments->partial_offset =
      line_bytes(kCoefficients * arguments->period * static_cast<int64_t>(sizeof(float)));
  return arguments;
}

// The next number after `from` towards `to` that is no denormal: denormals count as zero in a run.
float next(float from, float to) {
  const float found = std::nextafter(from, to);
  if (std::fpclassify(found) != FP_SUBNORMAL) return found;
  const bool away = std::signbit(found) == std::signbit(to);
  return away ? std::copysign(std::numeric_limits<float>::min(), to) : 0;
}

// A gradient counts if low < y < high: the first and last float that do are next to the bounds.
void set_bounds(const AttributeMap& attributes, Arguments& arguments) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  arguments.least = -infinity;
  arguments.most = infinity;
  arguments.masked = attributes.count("low") + attributes.count("high") > 0;
  if (attributes.count("low") != 0) {
    arguments.least = next(static_cast<float>(number_attribute(attributes, "low")), infinity);
  }
  if (attributes.count("high") != 0) {
    arguments.most = next(static_cast<float>(number_attribute(attributes, "high")), -infinity);
  }
}

size_t partial_bytes(const Arguments& arguments) {
  return line_bytes(arguments.parts * partial_size(arguments) *
                    static_cast<int64_t>(sizeof(double)));
}

size_t workspace_bytes(const Arguments& arguments) {
  return arguments.partial_offset + partial_bytes(arguments);
}

// A copy of the kernel's arguments, to change.
std::shared_ptr<Arguments> change_arguments(BoundKernel& kernel) {
  auto arguments =
      std::make_shared<Arguments>(*static_cast<const Arguments*>(kernel.arguments.get()));
  kernel.arguments = arguments;
  for (RowKernel* rows : {kernel.rows.get(), kernel.sink.get()}) {
    if (rows != nullptr) rows->arguments = arguments;
  }
  return arguments;
}

// For bands of `band_rows` rows of an image; each band is a unit.
void cut_bands(BoundKernel& kernel, int64_t band_rows) {
  const auto arguments = change_arguments(kernel);
  arguments->unit_rows = band_rows * arguments->positions;
  arguments->units = arguments->parts = ceil_div(arguments->rows, arguments->unit_rows);
  kernel.workspace_bytes = workspace_bytes(*arguments);
  kernel.phases.front().units = kernel.phases.back().units = arguments->units;
}

size_t cut_sums(BoundKernel& kernel, int64_t parts) {
  const auto arguments = change_arguments(kernel);
  arguments->parts = parts;
  kernel.workspace_bytes = arguments->partial_offset;
  return partial_bytes(*arguments);
}

void hand_coefficients(BoundKernel& kernel) { change_arguments(kernel)->handed = true; }

// Whether the images are too large for the caches.
bool has_rows(const BindRequest& request) {
  const TensorInfo& x = request.operands[0];
  return x.rank() >= 3 && streams(x.bytes(), x.shape.back());
}

std::shared_ptr<RowKernel> row_kernel(const BindRequest& request,
                                      void (*run)(const Call&, const RowBand&),
                                      const BoundKernel& bound) {
  const Shape& x = request.operands[0].shape;
  auto rows = std::make_shared<RowKernel>();
  rows->run = run;
  rows->arguments = bound.arguments;
  rows->images = x[0];
  rows->rows = x[1];
  return rows;
}

// The kernel can take its statistics from rows as soon as they are computed.
void offer_sink(const BindRequest& request, size_t source, void (*run)(const Call&, const RowBand&),
                BoundKernel& bound) {
  if (!has_rows(request)) return;
  bound.sink = row_kernel(request, run, bound);
  bound.sink->source = source;
  bound.sink->source_rows = bound.sink->rows;
  bound.sink->scratch_bytes = bound.scratch_bytes;
  bound.sink->stores = true;
  bound.sink->cut = &cut_bands;
}

// Statistics may be fused into the producer of the pixels.
void offer_sums(size_t source, std::vector<size_t> reads, void (*open)(const Call&),
                void (*take)(const Call&, int64_t, const Stretch*, int64_t), BoundKernel& bound) {
  bound.sums = std::make_shared<PixelReduction>(
      PixelReduction{open, take, source, std::move(reads), bound.scratch_bytes, &cut_sums});
}

// The kernel can compute rows of the result for a reader.
void offer_rows(const BindRequest& request, std::vector<size_t> reads,
                void (*run)(const Call&, const RowBand&), BoundKernel& bound) {
  if (!has_rows(request)) return;
  const auto& arguments = *static_cast<const Arguments*>(bound.arguments.get());
  bound.rows = row_kernel(request, run, bound);
  bound.rows->plain_result = true;
  bound.rows->handed_bytes = static_cast<size_t>(kCoefficients * arguments.period) * sizeof(float);
  bound.rows->reads = std::move(reads);
  bound.rows->hand = &hand_coefficients;
}

BoundKernel make_bound(const BindRequest& request, std::shared_ptr<const Arguments> arguments,
                       bool plain) {
  BoundKernel bound;
  bound.scratch_bytes = request.tile_scratch;
  if (!plain) {
    bound.scratch_bytes +=
        line_bytes(kScratchArrays * arguments->period * static_cast<int64_t>(sizeof(float)));
    bound.workspace_bytes = workspace_bytes(*arguments);
  }
  bound.algorithm = plain ? "reference" : "columns";
  bound.flops = 8 * as_double(request.operands[0].elements());
  bound.bytes = bytes_of(request);
  bound.arguments = std::move(arguments);
  return bound;
}

bool is_plain(const BindRequest& request) {
  return vector_kernels(request.isa, request.operands[0].dtype) == nullptr;
}

void check_channels(const BindRequest& request) {
  NNC_CHECK(request.operands[0].rank() > 0, "batch_norm: the last axis holds the channels");
  const Shape& x = request.operands[0].shape;
  const Shape channels = {x.back()};
  for (size_t i = 1; i < request.operands.size(); ++i) {
    check_shape(request.operands[i], i == kGradient ? x : channels, "batch_norm: an operand");
  }
  check_shape(request.results[0], x, "batch_norm: the first result");
  check_shape(request.results[1], channels, "batch_norm: the second result");
  check_shape(request.results[2], channels, "batch_norm: the third result");
}

BoundKernel bind_forward(const BindRequest& request) {
  check_channels(request);
  check_epilogue(request, request.results[0].elements());
  const bool plain = is_plain(request);
  auto arguments = make_arguments(request);
  BoundKernel bound = make_bound(request, arguments, plain);
  if (plain) {
    bound.phases.push_back(
        {reference_loop(request.operands[0].dtype, []<class T>() { return &plain_forward<T>; }),
         arguments->channels});
    if (request.tile) bound.phases.push_back(tile_phase(*request.tile));
    return bound;
  }
  bound.phases.push_back({&measure_units, arguments->units});
  bound.phases.push_back({&merge_moments, ceil_div(arguments->channels, kChannelUnit)});
  bound.phases.push_back({&normalize_units, arguments->units});
  offer_sink(request, 0, &measure_rows, bound);
  offer_sums(0, {}, [](const Call&) {}, &measure, bound);
  if (request.tile == nullptr || arguments->epilogue)
    offer_rows(request, {0}, &normalized_rows, bound);
  return bound;
}

BoundKernel bind_backward(const BindRequest& request) {
  check_channels(request);
  const bool plain = is_plain(request);
  auto arguments = make_arguments(request);
  set_bounds(*request.attributes, *arguments);
  BoundKernel bound = make_bound(request, arguments, plain);
  if (plain) {
    bound.phases.push_back(
        {reference_loop(request.operands[0].dtype, []<class T>() { return &plain_backward<T>; }),
         arguments->channels});
    return bound;
  }
  bound.phases.push_back({&sum_gradients, arguments->units});
  bound.phases.push_back({&merge_gradients, ceil_div(arguments->channels, kChannelUnit)});
  bound.phases.push_back({&apply_gradients, arguments->units});
  bound.replaces = kGradient;
  offer_sink(request, kGradient, &sum_gradient_rows, bound);
  offer_sums(kGradient, {kX, kScale, kOffset, kMean, kVariance}, &open_gradient_sums, &sum_gradient,
             bound);
  offer_rows(request, {kX, kGradient}, &gradient_rows, bound);
  return bound;
}

}  // namespace
}  // namespace batch_norm

BoundKernel bind_batch_norm(const BindRequest& request) {
  return batch_norm::bind_forward(request);
}

BoundKernel bind_batch_norm_backward(const BindRequest& request) {
  return batch_norm::bind_backward(request);
}

}  // namespace nnrt
