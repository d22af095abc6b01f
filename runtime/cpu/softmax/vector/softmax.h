// Softmax and its kin over rows, each of which stays in L1 between its passes.
#pragma once

#include "cpu/isa/row.h"
#include "cpu/isa/vector.h"
#include "cpu/isa/vector_math.h"
#include "cpu/reduce/vector/reduce.h"
#include "cpu/softmax/softmax.h"
#include "cpu/softmax/vector/softmax_narrow.h"

namespace nnrt::NNC_ISA {

NNC_INLINE float row_maximum(const float* x, int64_t extent) {
  return lanes_of<MaximumOf>(reduce_to_vector<MaximumOf>(x, extent));
}

// sum of e^(x - largest); with `y`, the terms go there.
template <bool Keep>
NNC_INLINE float exponential_sum(float* y, const float* x, int64_t extent, float largest) {
  const Float shift = Float::broadcast(largest);
  Float total = Float::zero();
  int64_t i = 0;
  for (; i + kLanes <= extent; i += kLanes) {
    Float term = exp(Float::load(x + i) - shift);
    if constexpr (Keep) term.store(y + i);
    total += term;
  }
  if (i < extent) {
    const int64_t rest = extent - i;
    Float term =
        choose(first_lanes(rest), exp(Float::load_partial(x + i, rest) - shift), Float::zero());
    if constexpr (Keep) term.store_partial(y + i, rest);
    total += term;
  }
  return reduce_add(total);
}

inline void softmax_rows(float* y, const float* x, int64_t rows, int64_t extent) {
  if (is_narrow(extent)) return narrow_softmax(y, x, rows, extent);
  for (int64_t row = 0; row < rows; ++row, x += extent, y += extent) {
    const float largest = row_maximum(x, extent);
    const Float factor = Float::broadcast(1.0f / exponential_sum<true>(y, x, extent, largest));
    over_row(extent, [&](int64_t i, auto load, auto store)
                         __attribute__((always_inline)) { store(load(y + i) * factor, y + i); });
  }
}

// log of a positive number, by the same polynomial as everywhere.
NNC_INLINE float log_of(float value) { return log(Float::broadcast(value))[0]; }

inline void log_softmax_rows(float* y, const float* x, int64_t rows, int64_t extent) {
  if (is_narrow(extent)) return narrow_log_softmax(y, x, rows, extent);
  for (int64_t row = 0; row < rows; ++row, x += extent, y += extent) {
    const float largest = row_maximum(x, extent);
    const Float log_total =
        Float::broadcast(log_of(exponential_sum<false>(nullptr, x, extent, largest)));
    const Float shift = Float::broadcast(largest);
    over_row(extent, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
      store((load(x + i) - shift) - log_total, y + i);
    });
  }
}

inline void softmax_backward_rows(float* dx, const float* y, const float* dy, int64_t rows,
                                  int64_t extent) {
  if (is_narrow(extent)) return narrow_softmax_backward(dx, y, dy, rows, extent);
  for (int64_t row = 0; row < rows; ++row, y += extent, dy += extent, dx += extent) {
    Float total = Float::zero();
    over_row(extent, [&](int64_t i, auto load, auto) __attribute__((always_inline)) {
      total = fma(load(y + i), load(dy + i), total);
    });
    const Float sum = Float::broadcast(reduce_add(total));
    over_row(extent, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
      store(load(y + i) * (load(dy + i) - sum), dx + i);
    });
  }
}

inline void log_softmax_backward_rows(float* dx, const float* y, const float* dy, int64_t rows,
                                      int64_t extent) {
  if (is_narrow(extent)) return narrow_log_softmax_backward(dx, y, dy, rows, extent);
  for (int64_t row = 0; row < rows; ++row, y += extent, dy += extent, dx += extent) {
    const Float sum = Float::broadcast(reduce_whole<SumOf>(dy, extent));
    over_row(extent, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
      store(fma(-exp(load(y + i)), sum, load(dy + i)), dx + i);
    });
  }
}

inline void cross_entropy_rows(float* loss, const float* logits, const int64_t* labels,
                               int64_t rows, int64_t extent, float smoothing) {
  if (is_narrow(extent)) return narrow_cross_entropy(loss, logits, labels, rows, extent, smoothing);
  for (int64_t row = 0; row < rows; ++row, logits += extent) {
    const int64_t label = labels[row];
    if (label < 0 || label >= extent) {
      loss[row] = std::numeric_limits<float>::quiet_NaN();
      continue;
    }
    const float largest = row_maximum(logits, extent);
    const float log_total = log_of(exponential_sum<false>(nullptr, logits, extent, largest));
    // Differences to the largest first: they are exact where it matters.
    float value = log_total - (1.0f - smoothing) * (logits[label] - largest);
    if (smoothing != 0.0f) {
      Float total = Float::zero();
      const Float shift = Float::broadcast(largest);
      int64_t i = 0;
      for (; i + kLanes <= extent; i += kLanes) total += Float::load(logits + i) - shift;
      if (i < extent) {
        const int64_t rest = extent - i;
        total +=
            choose(first_lanes(rest), Float::load_partial(logits + i, rest) - shift, Float::zero());
      }
      value -= smoothing * (reduce_add(total) / static_cast<float>(extent));
    }
    loss[row] = value;
  }
}

inline void cross_entropy_backward_rows(float* dlogits, const float* logits, const int64_t* labels,
                                        const float* dloss, int64_t rows, int64_t extent,
                                        float smoothing) {
  if (is_narrow(extent))
    return narrow_cross_entropy_backward(dlogits, logits, labels, dloss, rows, extent, smoothing);
  for (int64_t row = 0; row < rows; ++row, logits += extent, dlogits += extent) {
    const int64_t label = labels[row];
    const bool inside = label >= 0 && label < extent;
    const float scale = inside ? dloss[row] : std::numeric_limits<float>::quiet_NaN();
    const float largest = row_maximum(logits, extent);
    const float total = exponential_sum<true>(dlogits, logits, extent, largest);
    const Float factor = Float::broadcast(scale / total);
    const Float everywhere = Float::broadcast(-scale * (smoothing / static_cast<float>(extent)));
    over_row(extent, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
      store(fma(load(dlogits + i), factor, everywhere), dlogits + i);
    });
    if (inside) dlogits[label] -= scale * (1.0f - smoothing);
  }
}

inline constexpr SoftmaxTable softmax_table = {
    &softmax_rows,          &log_softmax_rows,
    &softmax_backward_rows, &log_softmax_backward_rows,
    &cross_entropy_rows,    &cross_entropy_backward_rows};

}  // namespace nnrt::NNC_ISA
