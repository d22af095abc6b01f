// Batch normalization: check, bind and the phases. Statistics: each unit of rows gives its own mean
// and squared deviations, which are merged in order; then one pass over the data, with the epilogue
// on what is still in cache.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/checks.h"
#include "cpu/families.h"
#include "cpu/norm.h"
#include "cpu/reduce.h"
#include "cpu/reference/norm.h"
#include "cpu/stream.h"
#include "cpu/tile.h"

namespace nnrt {
namespace {

constexpr int64_t kUnit = 16 * 1024;  // elements of a unit at least: 64 KB
constexpr int64_t kCrew = 16;         // threads that shall find even parts
constexpr int64_t kMostUnits = 512;   // units grow beyond this many, so that merging stays cheap
constexpr int64_t kLeastRows = 32;    // rows of a unit, for the same reason
constexpr int64_t kRows = 96;         // and where that leaves kLeastUnits units
constexpr int64_t kLeastUnits = 16;
constexpr int64_t kBlock = 4096;      // elements normalized before the epilogue takes them: 16 KB
constexpr int64_t kChannelUnit = 64;  // channels of a unit of merging
constexpr int64_t kCoefficients = 6;  // arrays of the workspace
constexpr int64_t kScratchArrays = 5;
constexpr int64_t kShiftRows = 8;  // rows whose mean is near enough to the unit's

struct BatchNormArguments {
  const NormTable* table = nullptr;
  int64_t rows = 0;
  int64_t channels = 0;
  int64_t period = 0;
  int64_t image_rows = 1;
  int64_t positions = 1;  // of the channels, in a row of an image
  int64_t unit_rows = 1;
  int64_t units = 0;
  int64_t parts = 0;  // of the sums: the units, where no other step takes them
  double epsilon = 0;
  bool masked = false;  // a gradient counts where least <= y <= most
  float least = 0, most = 0;
  bool stream = false;
  bool finish = false;        // the epilogue is applied while normalizing
  bool handed = false;        // the coefficients lie where result 0 would
  size_t scratch_offset = 0;  // behind the tile's
  size_t partial_offset = 0;  // in the workspace, behind the coefficients
};

const BatchNormArguments& arguments_of(const Call& call) {
  return *static_cast<const BatchNormArguments*>(call.arguments);
}

int64_t rows_of_unit(const BatchNormArguments& arguments, int64_t unit) {
  return std::min(arguments.unit_rows, arguments.rows - unit * arguments.unit_rows);
}

// Arrays in scratch, `period` long each.
float* scratch_array(const Call& call, int index) {
  const BatchNormArguments& arguments = arguments_of(call);
  return reinterpret_cast<float*>(static_cast<char*>(call.scratch) + arguments.scratch_offset) +
         index * arguments.period;
}
// Coefficients of the second pass, `period` long each.
float* coefficients(const Call& call, int index) {
  const BatchNormArguments& arguments = arguments_of(call);
  void* const base = arguments.handed ? call.results[0] : call.workspace;
  return static_cast<float*>(base) + index * arguments.period;
}
// Two numbers a channel of each part, and of how many rows they are.
int64_t partial_size(const BatchNormArguments& arguments) { return 2 * arguments.channels + 1; }

double* partials(const Call& call, int64_t part) {
  const BatchNormArguments& arguments = arguments_of(call);
  char* const own = static_cast<char*>(call.workspace) + arguments.partial_offset;
  void* const base = call.parts != nullptr ? call.parts : own;
  return static_cast<double*>(base) + part * partial_size(arguments);
}

Stretch stretch_of(const BatchNormArguments& arguments, int64_t unit) {
  return {unit * arguments.unit_rows * arguments.channels,
          rows_of_unit(arguments, unit) * arguments.channels};
}

int64_t rows_of(const BatchNormArguments& arguments, const Stretch* stretches, int64_t count) {
  int64_t elements = 0;
  for (int64_t i = 0; i < count; ++i) elements += stretches[i].count;
  return elements / arguments.channels;
}

// Calls body(first element, count) for blocks of the unit, each of whole periods but for the last.
template <class Body>
void over_blocks(const BatchNormArguments& arguments, int64_t unit, Body body) {
  const int64_t first = unit * arguments.unit_rows * arguments.channels;
  const int64_t count = rows_of_unit(arguments, unit) * arguments.channels;
  const int64_t step = std::max<int64_t>(1, kBlock / arguments.period) * arguments.period;
  for (int64_t done = 0; done < count; done += step)
    body(first + done, std::min(step, count - done));
}

// The total of each channel over a period.
void fold(const BatchNormArguments& arguments, const float* array, double* totals) {
  for (int64_t c = 0; c < arguments.channels; ++c) totals[c] = static_cast<double>(array[c]);
  for (int64_t at = arguments.channels; at < arguments.period; at += arguments.channels) {
    for (int64_t c = 0; c < arguments.channels; ++c)
      totals[c] += static_cast<double>(array[at + c]);
  }
}

// Repeats what channels [first, last) have over the period.
void spread(const BatchNormArguments& arguments, float* array, int64_t first, int64_t last) {
  for (int64_t at = arguments.channels; at < arguments.period; at += arguments.channels) {
    for (int64_t c = first; c < last; ++c) array[at + c] = array[c];
  }
}

// Sums of differences to a value near the mean lose nothing to cancellation.
void measure(const Call& call, int64_t part, const Stretch* stretches, int64_t count) {
  const BatchNormArguments& arguments = arguments_of(call);
  const int64_t channels = arguments.channels;
  const int64_t period = arguments.period;
  float* shift = scratch_array(call, 0);
  float* sums = scratch_array(call, 1);
  float* squares = scratch_array(call, 2);
  const float* x = static_cast<const float*>(call.operands[0]);
  const int64_t shift_rows = std::min(stretches[0].count / channels, kShiftRows);
  arguments.table->mean_of_rows(shift, x + stretches[0].first, shift_rows, channels);
  spread(arguments, shift, 0, channels);
  std::fill(sums, sums + period, 0.0f);
  std::fill(squares, squares + period, 0.0f);
  for (int64_t i = 0; i < count; ++i) {
    arguments.table->moments(sums, squares, x + stretches[i].first, shift, stretches[i].count,
                             period);
  }
  double* means = partials(call, part);
  double* deviations = means + channels;
  const double rows = static_cast<double>(rows_of(arguments, stretches, count));
  deviations[channels] = rows;
  fold(arguments, sums, means);
  fold(arguments, squares, deviations);
  const double share = 1 / rows;
  for (int64_t c = 0; c < channels; ++c) {
    const double mean = means[c] * share;
    deviations[c] = std::max(0.0, deviations[c] - means[c] * mean);
    means[c] = static_cast<double>(shift[c]) + mean;
  }
}

void measure_units(const Call& call, int64_t begin, int64_t end) {
  // Backward: what the producer of x wrote last is still in a cache.
  for (int64_t unit = end - 1; unit >= begin; --unit) {
    const Stretch stretch = stretch_of(arguments_of(call), unit);
    measure(call, unit, &stretch, 1);
  }
}

void merge_moments(const Call& call, int64_t begin, int64_t end) {
  const BatchNormArguments& arguments = arguments_of(call);
  const int64_t channels = arguments.channels;
  const float* scale = static_cast<const float*>(call.operands[1]);
  const float* offset = static_cast<const float*>(call.operands[2]);
  for (int64_t block = begin; block < end; ++block) {
    const int64_t first = block * kChannelUnit;
    const int64_t width = std::min(kChannelUnit, channels - first);
    double mean[kChannelUnit] = {};
    double deviations[kChannelUnit] = {};
    double rows = 0;
    for (int64_t i = 0; i < arguments.parts; ++i) {
      const double* part = partials(call, i);
      const double more = part[2 * channels];
      const double share = more / (rows + more);
      part += first;
      for (int64_t c = 0; c < width; ++c) {
        const double difference = part[c] - mean[c];
        mean[c] += difference * share;
        deviations[c] += part[channels + c] + difference * difference * (rows * share);
      }
      rows += more;
    }
    for (int64_t c = 0; c < width; ++c) {
      const int64_t channel = first + c;
      const double variance = deviations[c] / rows;
      static_cast<float*>(call.results[1])[channel] = static_cast<float>(mean[c]);
      static_cast<float*>(call.results[2])[channel] = static_cast<float>(variance);
      const double factor =
          static_cast<double>(scale[channel]) / std::sqrt(variance + arguments.epsilon);
      const float rounded = static_cast<float>(mean[c]);
      coefficients(call, 0)[channel] = rounded;
      coefficients(call, 1)[channel] = static_cast<float>(factor);
      // With what rounding took from the mean.
      const double rest = static_cast<double>(rounded) - mean[c];
      coefficients(call, 2)[channel] =
          static_cast<float>(static_cast<double>(offset[channel]) + rest * factor);
    }
    for (int k = 0; k < 3; ++k) spread(arguments, coefficients(call, k), first, first + width);
  }
}

// `count` elements from `first` on.
void normalize(const Call& call, const float* coefficients, int64_t first, int64_t count,
               bool stream) {
  const BatchNormArguments& arguments = arguments_of(call);
  const int64_t period = arguments.period;
  arguments.table->normalize(static_cast<float*>(call.results[0]) + first,
                             static_cast<const float*>(call.operands[0]) + first, coefficients,
                             coefficients + period, coefficients + 2 * period, count, period,
                             arguments.finish ? &call : nullptr, stream);
}

void normalize_units(const Call& call, int64_t begin, int64_t end) {
  const BatchNormArguments& arguments = arguments_of(call);
  for (int64_t unit = begin; unit < end; ++unit) {
    over_blocks(arguments, unit, [&](int64_t first, int64_t count) {
      normalize(call, coefficients(call, 0), first, count, arguments.stream);
      if (call.tile && !arguments.finish)
        run_tile(*call.tile, call, call.scratch, first, first + count);
    });
  }
}

// Operands of the gradient.
enum : uint8_t { kX, kScale, kOffset, kMean, kVariance, kGradient };

// What tells y of channels [first, last) again, the same in every phase.
void set_mask(const Call& call, int64_t first, int64_t last, float* factor, float* offset) {
  const BatchNormArguments& arguments = arguments_of(call);
  const float* scale = static_cast<const float*>(call.operands[kScale]);
  const float* variance = static_cast<const float*>(call.operands[kVariance]);
  const float epsilon = static_cast<float>(arguments.epsilon);
  for (int64_t c = first; c < last; ++c) factor[c] = scale[c] / std::sqrt(variance[c] + epsilon);
  std::copy(static_cast<const float*>(call.operands[kOffset]) + first,
            static_cast<const float*>(call.operands[kOffset]) + last, offset + first);
  spread(arguments, factor, first, last);
  spread(arguments, offset, first, last);
}

// What the gradient's sums need of each channel, in scratch.
void open_gradient_sums(const Call& call) {
  const BatchNormArguments& arguments = arguments_of(call);
  float* mean = scratch_array(call, 0);
  std::copy_n(static_cast<const float*>(call.operands[kMean]), arguments.channels, mean);
  spread(arguments, mean, 0, arguments.channels);
  if (!arguments.masked) return;
  set_mask(call, 0, arguments.channels, scratch_array(call, 3), scratch_array(call, 4));
}

void sum_gradient(const Call& call, int64_t part, const Stretch* stretches, int64_t count) {
  const BatchNormArguments& arguments = arguments_of(call);
  const int64_t channels = arguments.channels;
  const int64_t period = arguments.period;
  const float* x = static_cast<const float*>(call.operands[kX]);
  const float* dy = static_cast<const float*>(call.operands[kGradient]);
  const float* mean = scratch_array(call, 0);
  float* sums = scratch_array(call, 1);
  float* products = scratch_array(call, 2);
  const NormMask mask = {scratch_array(call, 3), scratch_array(call, 4), arguments.least,
                         arguments.most};
  std::fill(sums, sums + period, 0.0f);
  std::fill(products, products + period, 0.0f);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t first = stretches[i].first;
    arguments.table->gradient_sums(sums, products, x + first, dy + first, mean,
                                   arguments.masked ? &mask : nullptr, stretches[i].count, period);
  }
  double* totals = partials(call, part);
  fold(arguments, sums, totals);
  fold(arguments, products, totals + channels);
  totals[2 * channels] = static_cast<double>(rows_of(arguments, stretches, count));
}

void sum_gradients(const Call& call, int64_t begin, int64_t end) {
  open_gradient_sums(call);
  for (int64_t unit = end - 1; unit >= begin; --unit) {
    const Stretch stretch = stretch_of(arguments_of(call), unit);
    sum_gradient(call, unit, &stretch, 1);
  }
}

void merge_gradients(const Call& call, int64_t begin, int64_t end) {
  const BatchNormArguments& arguments = arguments_of(call);
  const int64_t channels = arguments.channels;
  auto operand = [&](int index, int64_t c) {
    return static_cast<double>(static_cast<const float*>(call.operands[index])[c]);
  };
  const double rows = static_cast<double>(arguments.rows);
  for (int64_t block = begin; block < end; ++block) {
    const int64_t first = block * kChannelUnit;
    const int64_t last = std::min(first + kChannelUnit, channels);
    double sums[kChannelUnit] = {};
    double products[kChannelUnit] = {};
    for (int64_t i = 0; i < arguments.parts; ++i) {
      const double* part = partials(call, i) + first;
      for (int64_t c = 0; c < last - first; ++c) {
        sums[c] += part[c];
        products[c] += part[channels + c];
      }
    }
    for (int64_t c = first; c < last; ++c) {
      const double sum = sums[c - first];
      const double product = products[c - first];
      const double deviation = 1 / std::sqrt(operand(kVariance, c) + arguments.epsilon);
      const double factor = operand(kScale, c) * deviation;
      static_cast<float*>(call.results[1])[c] = static_cast<float>(product * deviation);
      static_cast<float*>(call.results[2])[c] = static_cast<float>(sum);
      coefficients(call, 0)[c] = static_cast<const float*>(call.operands[kMean])[c];
      coefficients(call, 1)[c] = static_cast<float>(factor);
      coefficients(call, 2)[c] = static_cast<float>(-product * deviation * deviation / rows);
      coefficients(call, 3)[c] = static_cast<float>(sum / rows);
    }
    for (int k = 0; k < 4; ++k) spread(arguments, coefficients(call, k), first, last);
    if (arguments.masked) set_mask(call, first, last, coefficients(call, 4), coefficients(call, 5));
  }
}

// `count` elements from `first` on.
void apply_gradient(const Call& call, const float* coefficients, int64_t first, int64_t count,
                    bool stream) {
  const BatchNormArguments& arguments = arguments_of(call);
  const int64_t period = arguments.period;
  const NormMask mask = {coefficients + 4 * period, coefficients + 5 * period, arguments.least,
                         arguments.most};
  arguments.table->apply_gradient(static_cast<float*>(call.results[0]) + first,
                                  static_cast<const float*>(call.operands[kX]) + first,
                                  static_cast<const float*>(call.operands[kGradient]) + first,
                                  coefficients, coefficients + period, coefficients + 2 * period,
                                  coefficients + 3 * period, arguments.masked ? &mask : nullptr,
                                  count, period, stream);
}

void apply_gradients(const Call& call, int64_t begin, int64_t end) {
  const BatchNormArguments& arguments = arguments_of(call);
  for (int64_t unit = begin; unit < end; ++unit) {
    apply_gradient(call, coefficients(call, 0), unit * arguments.unit_rows * arguments.channels,
                   rows_of_unit(arguments, unit) * arguments.channels, arguments.stream);
  }
}

int64_t band_unit(const Call& call, const RowBand& band) {
  const BatchNormArguments& arguments = arguments_of(call);
  const int64_t image_rows = arguments.image_rows;
  return (band.image * image_rows + band.first) * arguments.positions / arguments.unit_rows;
}

// Of a chain: the band is one unit of the statistics. `source` goes where it belongs.
void store_rows(const Call& call, const RowBand& band, int source) {
  const BatchNormArguments& arguments = arguments_of(call);
  const int64_t unit = band_unit(call, band);
  const int64_t first = unit * arguments.unit_rows * arguments.channels;
  arguments.table->stream(static_cast<float*>(band.source) + first,
                          static_cast<const float*>(call.operands[source]) + first,
                          rows_of_unit(arguments, unit) * arguments.channels);
}

void measure_rows(const Call& call, const RowBand& band) {
  const int64_t unit = band_unit(call, band);
  measure_units(call, unit, unit + 1);
  store_rows(call, band, 0);
}

void sum_gradient_rows(const Call& call, const RowBand& band) {
  const int64_t unit = band_unit(call, band);
  sum_gradients(call, unit, unit + 1);
  store_rows(call, band, kGradient);
}

// A band's rows of result 0, from coefficients that were handed on.
template <void (*Apply)(const Call&, const float*, int64_t, int64_t, bool)>
void make_rows(const Call& call, const RowBand& band) {
  const BatchNormArguments& arguments = arguments_of(call);
  const int64_t row = arguments.positions * arguments.channels;
  Apply(call, static_cast<const float*>(band.handed),
        (band.image * arguments.image_rows + band.first) * row, (band.end - band.first) * row,
        false);
}

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
  const BatchNormArguments& arguments = arguments_of(call);
  for (int64_t c = begin; c < end; ++c) {
    reference::batch_norm(typed_result<T>(call, 0) + c, typed_result<T>(call, 1) + c,
                          typed_result<T>(call, 2) + c, typed<T>(call, 0) + c, typed<T>(call, 1)[c],
                          typed<T>(call, 2)[c], arguments.rows, arguments.channels,
                          arguments.epsilon);
  }
}
template <class T>
void plain_backward(const Call& call, int64_t begin, int64_t end) {
  const BatchNormArguments& arguments = arguments_of(call);
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

std::shared_ptr<BatchNormArguments> make_arguments(const BindRequest& request) {
  const TensorInfo& x = request.operands[0];
  auto arguments = std::make_shared<BatchNormArguments>();
  arguments->table = families_of(request.isa).norm;
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
  const int64_t crews = (ceil_div(arguments->rows, arguments->unit_rows) + kCrew / 2) / kCrew;
  if (crews > 0) arguments->unit_rows = ceil_div(arguments->rows, crews * kCrew);
  arguments->units = ceil_div(arguments->rows, arguments->unit_rows);
  arguments->parts = arguments->units;
  arguments->epsilon = number_attribute(*request.attributes, "epsilon");
  const Finish* finish = tile_finish(request.tile);
  arguments->finish = finish != nullptr && finish->rows[0] < 0;
  arguments->stream =
      streams(x.bytes(), arguments->channels) && (request.tile == nullptr || arguments->finish);
  arguments->scratch_offset = request.tile_scratch;
  arguments->partial_offset =
      line_bytes(kCoefficients * arguments->period * static_cast<int64_t>(sizeof(float)));
  return arguments;
}

// The number next to `from`, among those that are no denormals: these count as zero in a run.
float next(float from, float to) {
  const float found = std::nextafter(from, to);
  if (std::fpclassify(found) != FP_SUBNORMAL) return found;
  const bool away = std::signbit(found) == std::signbit(to);
  return away ? std::copysign(std::numeric_limits<float>::min(), to) : 0;
}

// A gradient counts where low < y < high: the floats next to them are the first and last that do.
void set_bounds(const AttributeMap& attributes, BatchNormArguments& arguments) {
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

size_t partial_bytes(const BatchNormArguments& arguments) {
  return line_bytes(arguments.parts * partial_size(arguments) *
                    static_cast<int64_t>(sizeof(double)));
}

size_t workspace_bytes(const BatchNormArguments& arguments) {
  return arguments.partial_offset + partial_bytes(arguments);
}

// The kernel's arguments, to be changed.
std::shared_ptr<BatchNormArguments> change_arguments(BoundKernel& kernel) {
  auto arguments = std::make_shared<BatchNormArguments>(
      *static_cast<const BatchNormArguments*>(kernel.arguments.get()));
  kernel.arguments = kernel.rows.arguments = kernel.sink.arguments = arguments;
  return arguments;
}

// For bands of so many rows of an image: each is a unit.
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

// Of images that are too large for the caches.
bool has_rows(const BindRequest& request) {
  const TensorInfo& x = request.operands[0];
  return x.rank() >= 3 && streams(x.bytes(), x.shape.back());
}

RowKernel row_kernel(const BindRequest& request, void (*run)(const Call&, const RowBand&),
                     const BoundKernel& bound) {
  const Shape& x = request.operands[0].shape;
  RowKernel rows;
  rows.run = run;
  rows.arguments = bound.arguments;
  rows.images = x[0];
  rows.rows = x[1];
  return rows;
}

// Statistics can be taken of rows as they are made.
void offer_sink(const BindRequest& request, size_t source, void (*run)(const Call&, const RowBand&),
                BoundKernel& bound) {
  if (!has_rows(request)) return;
  bound.sink = row_kernel(request, run, bound);
  bound.sink.source = source;
  bound.sink.source_rows = bound.sink.rows;
  bound.sink.scratch_bytes = bound.scratch_bytes;
  bound.sink.stores = true;
  bound.sink.cut = &cut_bands;
}

// By whoever makes the pixels too.
void offer_sums(size_t source, std::vector<size_t> reads, void (*open)(const Call&),
                void (*take)(const Call&, int64_t, const Stretch*, int64_t), BoundKernel& bound) {
  bound.sums = {open, take, source, std::move(reads), bound.scratch_bytes, &cut_sums};
}

// And rows of the result made for who takes them.
void offer_rows(const BindRequest& request, std::vector<size_t> reads,
                void (*run)(const Call&, const RowBand&), BoundKernel& bound) {
  if (!has_rows(request)) return;
  const auto& arguments = *static_cast<const BatchNormArguments*>(bound.arguments.get());
  bound.rows = row_kernel(request, run, bound);
  bound.rows.plain_result = true;
  bound.rows.handed_bytes = static_cast<size_t>(kCoefficients * arguments.period) * sizeof(float);
  bound.rows.reads = std::move(reads);
  bound.rows.hand = &hand_coefficients;
}

BoundKernel make_bound(const BindRequest& request,
                       std::shared_ptr<const BatchNormArguments> arguments, bool plain) {
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
  return request.isa == Isa::reference || request.operands[0].dtype == DType::f64;
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

std::vector<int> all_buffers(const StepSpec& step) {
  std::vector<int> all = step.operands;
  all.insert(all.end(), step.results.begin(), step.results.end());
  return all;
}

}  // namespace

void check_batch_norm(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 3, 3);
  expect_floats(step, buffers, all_buffers(step));
  expect_rank_at_least(step, buffers, step.operands[0], 1);
  expect_number(step, "epsilon");
}

BoundKernel bind_batch_norm(const BindRequest& request) {
  check_channels(request);
  check_epilogue(request, request.results[0].elements());
  const bool plain = is_plain(request);
  auto arguments = make_arguments(request);
  BoundKernel bound = make_bound(request, arguments, plain);
  if (plain) {
    const bool wide = request.operands[0].dtype == DType::f64;
    bound.phases.push_back(
        {wide ? &plain_forward<double> : &plain_forward<float>, arguments->channels});
    if (request.tile) bound.phases.push_back(tile_phase(*request.tile));
    return bound;
  }
  bound.phases.push_back({&measure_units, arguments->units});
  bound.phases.push_back({&merge_moments, ceil_div(arguments->channels, kChannelUnit)});
  bound.phases.push_back({&normalize_units, arguments->units});
  offer_sink(request, 0, &measure_rows, bound);
  offer_sums(0, {}, [](const Call&) {}, &measure, bound);
  if (request.tile == nullptr || arguments->finish)
    offer_rows(request, {0}, &make_rows<&normalize>, bound);
  return bound;
}

void check_batch_norm_backward(const StepSpec& step, const std::vector<BufferSpec>& buffers) {
  expect_counts(step, 6, 3);
  expect_floats(step, buffers, all_buffers(step));
  expect_rank_at_least(step, buffers, step.operands[0], 1);
  expect_number(step, "epsilon");
}

BoundKernel bind_batch_norm_backward(const BindRequest& request) {
  check_channels(request);
  const bool plain = is_plain(request);
  auto arguments = make_arguments(request);
  set_bounds(*request.attributes, *arguments);
  BoundKernel bound = make_bound(request, arguments, plain);
  if (plain) {
    const bool wide = request.operands[0].dtype == DType::f64;
    bound.phases.push_back(
        {wide ? &plain_backward<double> : &plain_backward<float>, arguments->channels});
    return bound;
  }
  bound.phases.push_back({&sum_gradients, arguments->units});
  bound.phases.push_back({&merge_gradients, ceil_div(arguments->channels, kChannelUnit)});
  bound.phases.push_back({&apply_gradients, arguments->units});
  bound.replaces = kGradient;
  offer_sink(request, kGradient, &sum_gradient_rows, bound);
  offer_sums(kGradient, {kX, kScale, kOffset, kMean, kVariance}, &open_gradient_sums, &sum_gradient,
             bound);
  offer_rows(request, {kX, kGradient}, &make_rows<&apply_gradient>, bound);
  return bound;
}

}  // namespace nnrt
