// The phases of batch normalization. For the statistics, each part of the rows gives its own mean
// and squared deviations, which are merged in order. One pass over the data follows, and the
// epilogue runs on elements that are still in cache.
#include <algorithm>
#include <cmath>

#include "cpu/fused_reduction.h"
#include "cpu/norm/batch_norm.h"
#include "cpu/reduce/reduce.h"
#include "cpu/row_streaming.h"
#include "cpu/tile/tile.h"

namespace nnrt::batch_norm {

namespace {

constexpr int64_t kBlock = 4096;   // elements normalized before the epilogue runs on them: 16 KB
constexpr int64_t kShiftRows = 8;  // rows whose mean is near enough to the unit's

int64_t rows_of_unit(const Arguments& arguments, int64_t unit) {
  return std::min(arguments.unit_rows, arguments.rows - unit * arguments.unit_rows);
}

// Arrays in scratch, `period` long each.
float* scratch_array(const Call& call, int index) {
  const Arguments& arguments = arguments_of(call);
  return reinterpret_cast<float*>(static_cast<char*>(call.scratch) + arguments.scratch_offset) +
         index * arguments.period;
}
// Coefficients of the second pass, `period` long each.
float* coefficients(const Call& call, int index) {
  const Arguments& arguments = arguments_of(call);
  void* const base = arguments.handed ? call.results[0] : call.workspace;
  return static_cast<float*>(base) + index * arguments.period;
}
double* partials(const Call& call, int64_t part) {
  const Arguments& arguments = arguments_of(call);
  char* const own = static_cast<char*>(call.workspace) + arguments.partial_offset;
  void* const base = call.parts != nullptr ? call.parts : own;
  return static_cast<double*>(base) + part * partial_size(arguments);
}

Stretch stretch_of(const Arguments& arguments, int64_t unit) {
  return {unit * arguments.unit_rows * arguments.channels,
          rows_of_unit(arguments, unit) * arguments.channels};
}

int64_t rows_of(const Arguments& arguments, const Stretch* stretches, int64_t count) {
  int64_t elements = 0;
  for (int64_t i = 0; i < count; ++i) elements += stretches[i].count;
  return elements / arguments.channels;
}

// Calls body(first element, count) for blocks of the unit, each of whole periods but for the last.
template <class Body>
void over_blocks(const Arguments& arguments, int64_t unit, Body body) {
  const int64_t first = unit * arguments.unit_rows * arguments.channels;
  const int64_t count = rows_of_unit(arguments, unit) * arguments.channels;
  const int64_t step = std::max<int64_t>(1, kBlock / arguments.period) * arguments.period;
  for (int64_t done = 0; done < count; done += step)
    body(first + done, std::min(step, count - done));
}

// The total of each channel over a period.
void fold(const Arguments& arguments, const float* array, double* totals) {
  for (int64_t c = 0; c < arguments.channels; ++c) totals[c] = static_cast<double>(array[c]);
  for (int64_t at = arguments.channels; at < arguments.period; at += arguments.channels) {
    for (int64_t c = 0; c < arguments.channels; ++c)
      totals[c] += static_cast<double>(array[at + c]);
  }
}

// Repeats the values of channels [first, last) over the period.
void spread(const Arguments& arguments, float* array, int64_t first, int64_t last) {
  for (int64_t at = arguments.channels; at < arguments.period; at += arguments.channels) {
    for (int64_t c = first; c < last; ++c) array[at + c] = array[c];
  }
}

}  // namespace

// Sums of differences to a value near the mean lose nothing to cancellation.
void measure(const Call& call, int64_t part, const Stretch* stretches, int64_t count) {
  const Arguments& arguments = arguments_of(call);
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
  // From the last unit to the first: the producer of x wrote the last units last, so they are still
  // in a cache.
  for (int64_t unit = end - 1; unit >= begin; --unit) {
    const Stretch stretch = stretch_of(arguments_of(call), unit);
    measure(call, unit, &stretch, 1);
  }
}

void merge_moments(const Call& call, int64_t begin, int64_t end) {
  const Arguments& arguments = arguments_of(call);
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
      // Includes the part that rounding removed from the mean.
      const double rest = static_cast<double>(rounded) - mean[c];
      coefficients(call, 2)[channel] =
          static_cast<float>(static_cast<double>(offset[channel]) + rest * factor);
    }
    for (int k = 0; k < 3; ++k) spread(arguments, coefficients(call, k), first, first + width);
  }
}

namespace {

// `count` elements from `first` on.
void normalize(const Call& call, const float* coefficients, int64_t first, int64_t count,
               bool stream) {
  const Arguments& arguments = arguments_of(call);
  const int64_t period = arguments.period;
  arguments.table->normalize(static_cast<float*>(call.results[0]) + first,
                             static_cast<const float*>(call.operands[0]) + first, coefficients,
                             coefficients + period, coefficients + 2 * period, count, period,
                             arguments.epilogue ? &call : nullptr, stream);
}

}  // namespace

void normalize_units(const Call& call, int64_t begin, int64_t end) {
  const Arguments& arguments = arguments_of(call);
  for (int64_t unit = begin; unit < end; ++unit) {
    over_blocks(arguments, unit, [&](int64_t first, int64_t count) {
      normalize(call, coefficients(call, 0), first, count, arguments.stream);
      if (call.tile && !arguments.epilogue)
        run_tile(*call.tile, call, call.scratch, first, first + count);
    });
  }
}

namespace {

// Coefficients that give y of channels [first, last) again, the same in every phase.
void set_mask(const Call& call, int64_t first, int64_t last, float* factor, float* offset) {
  const Arguments& arguments = arguments_of(call);
  const float* scale = static_cast<const float*>(call.operands[kScale]);
  const float* variance = static_cast<const float*>(call.operands[kVariance]);
  const float epsilon = static_cast<float>(arguments.epsilon);
  for (int64_t c = first; c < last; ++c) factor[c] = scale[c] / std::sqrt(variance[c] + epsilon);
  std::copy(static_cast<const float*>(call.operands[kOffset]) + first,
            static_cast<const float*>(call.operands[kOffset]) + last, offset + first);
  spread(arguments, factor, first, last);
  spread(arguments, offset, first, last);
}

}  // namespace

// Values of each channel that the gradient's sums need, in scratch.
void open_gradient_sums(const Call& call) {
  const Arguments& arguments = arguments_of(call);
  float* mean = scratch_array(call, 0);
  std::copy_n(static_cast<const float*>(call.operands[kMean]), arguments.channels, mean);
  spread(arguments, mean, 0, arguments.channels);
  if (!arguments.masked) return;
  set_mask(call, 0, arguments.channels, scratch_array(call, 3), scratch_array(call, 4));
}

void sum_gradient(const Call& call, int64_t part, const Stretch* stretches, int64_t count) {
  const Arguments& arguments = arguments_of(call);
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
  const Arguments& arguments = arguments_of(call);
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

namespace {

// `count` elements from `first` on.
void apply_gradient(const Call& call, const float* coefficients, int64_t first, int64_t count,
                    bool stream) {
  const Arguments& arguments = arguments_of(call);
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

}  // namespace

void apply_gradients(const Call& call, int64_t begin, int64_t end) {
  const Arguments& arguments = arguments_of(call);
  for (int64_t unit = begin; unit < end; ++unit) {
    apply_gradient(call, coefficients(call, 0), unit * arguments.unit_rows * arguments.channels,
                   rows_of_unit(arguments, unit) * arguments.channels, arguments.stream);
  }
}

namespace {

int64_t band_unit(const Call& call, const RowBand& band) {
  const Arguments& arguments = arguments_of(call);
  const int64_t image_rows = arguments.image_rows;
  return (band.image * image_rows + band.first) * arguments.positions / arguments.unit_rows;
}

// In a chain, the band is one unit of the statistics, and `source` is stored.
void store_rows(const Call& call, const RowBand& band, int source) {
  const Arguments& arguments = arguments_of(call);
  const int64_t unit = band_unit(call, band);
  const int64_t first = unit * arguments.unit_rows * arguments.channels;
  arguments.table->stream(static_cast<float*>(band.source) + first,
                          static_cast<const float*>(call.operands[source]) + first,
                          rows_of_unit(arguments, unit) * arguments.channels);
}

}  // namespace

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

namespace {

// A band's rows of result 0, from coefficients that another phase has handed on.
template <void (*Apply)(const Call&, const float*, int64_t, int64_t, bool)>
void make_rows(const Call& call, const RowBand& band) {
  const Arguments& arguments = arguments_of(call);
  const int64_t row = arguments.positions * arguments.channels;
  Apply(call, static_cast<const float*>(band.handed),
        (band.image * arguments.image_rows + band.first) * row, (band.end - band.first) * row,
        false);
}

}  // namespace

void normalized_rows(const Call& call, const RowBand& band) { make_rows<&normalize>(call, band); }
void gradient_rows(const Call& call, const RowBand& band) {
  make_rows<&apply_gradient>(call, band);
}

}  // namespace nnrt::batch_norm
