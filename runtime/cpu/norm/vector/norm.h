// Normalization over columns (batch) and rows (layer).
#pragma once

#include "cpu/gemm/vector/register_epilogue.h"
#include "cpu/isa/row.h"
#include "cpu/isa/vector.h"
#include "cpu/norm/norm.h"

namespace nnrt::NNC_ISA {

inline void mean_of_rows(float* mean, const float* x, int64_t rows, int64_t channels) {
  const Float share = Float::broadcast(1.0f / static_cast<float>(rows));
  over_row(channels, [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
    Float total = Float::zero();
    for (int64_t row = 0; row < rows; ++row) total += load(x + row * channels + c);
    store(total * share, mean + c);
  });
}

inline void column_moments(float* sums, float* squares, const float* x, const float* shift,
                           int64_t count, int64_t period) {
  for (; count >= 4 * period; count -= 4 * period, x += 4 * period) {
    over_row(period, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
      const Float base = load(shift + i);
      Float sum = Float::zero();
      Float square = Float::zero();
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) {
        prefetch_stream(x + r * period + i);
        Float d = load(x + r * period + i) - base;
        sum += d;
        square = fma(d, d, square);
      }
      store(load(sums + i) + sum, sums + i);
      store(load(squares + i) + square, squares + i);
    });
  }
  for (; count > 0; count -= period, x += period) {
    over_row(std::min(count, period),
             [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
               const Float d = load(x + i) - load(shift + i);
               store(load(sums + i) + d, sums + i);
               store(fma(d, d, load(squares + i)), squares + i);
             });
  }
}

// Calls body(i, load, put) for the vectors of `count` elements, period after period; put(value, to)
// stores, with non-temporal stores if `stream` is true.
template <class Body>
NNC_INLINE void over_periods(int64_t count, int64_t period, bool stream, Body body) {
  for (int64_t first = 0; first < count; first += period) {
    const int64_t length = std::min(count - first, period);
    if (stream) {
      for (int64_t i = 0; i < length; i += kLanes) {
        body(
            first, i,
            [](const float* from) __attribute__((always_inline)) { return Float::load(from); },
            [](Float value, float* to) __attribute__((always_inline)) { value.stream(to); });
      }
    } else {
      over_row(length, [&](int64_t i, auto load, auto store)
                           __attribute__((always_inline)) { body(first, i, load, store); });
    }
  }
  if (stream) stream_fence();
}

inline void column_normalize(float* y, const float* x, const float* mean, const float* factor,
                             const float* offset, int64_t count, int64_t period,
                             const Call* epilogue, bool stream) {
  auto normalize = [&](int64_t first, int64_t i, auto load) __attribute__((always_inline)) {
    prefetch_stream(x + first + i);
    return fma(load(x + first + i) - load(mean + i), load(factor + i), load(offset + i));
  };
  if (epilogue == nullptr) {
    over_periods(count, period, stream,
                 [&](int64_t first, int64_t i, auto load, auto put) __attribute__((always_inline)) {
                   put(normalize(first, i, load), y + first + i);
                 });
    return;
  }
  const CallEpilogue found(*epilogue);
  const VectorEpilogue& in_registers = *found.get();
  over_periods(count, period, stream,
               [&](int64_t first, int64_t i, auto load, auto put) __attribute__((always_inline)) {
                 float* const to = y + first + i;
                 put(in_registers.apply(normalize(first, i, load), to, 0, load), to);
               });
}

// What counts of a gradient, from the centered x; `load` reads at a column.
template <bool Masked, class Load>
NNC_INLINE Float passing(Float gradient, Float centered, const NormMask& mask, int64_t i,
                         Load load) {
  if constexpr (!Masked) return gradient;
  const Float y = fma(centered, load(mask.factor + i), load(mask.offset + i));
  const auto passes = (y >= Float::broadcast(mask.least)) & (y <= Float::broadcast(mask.most));
  return choose(passes, gradient, Float::zero());
}

template <bool Masked>
void gradient_sums(float* sums, float* products, const float* x, const float* dy, const float* mean,
                   const NormMask& mask, int64_t count, int64_t period) {
  for (; count >= 4 * period; count -= 4 * period, x += 4 * period, dy += 4 * period) {
    over_row(period, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
      const Float base = load(mean + i);
      Float sum = Float::zero();
      Float product = Float::zero();
#pragma GCC unroll 4
      for (int r = 0; r < 4; ++r) {
        prefetch_stream(x + r * period + i);
        prefetch_stream(dy + r * period + i);
        const Float centered = load(x + r * period + i) - base;
        const Float g = passing<Masked>(load(dy + r * period + i), centered, mask, i, load);
        sum += g;
        product = fma(g, centered, product);
      }
      store(load(sums + i) + sum, sums + i);
      store(load(products + i) + product, products + i);
    });
  }
  for (; count > 0; count -= period, x += period, dy += period) {
    over_row(std::min(count, period),
             [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
               const Float centered = load(x + i) - load(mean + i);
               const Float g = passing<Masked>(load(dy + i), centered, mask, i, load);
               store(load(sums + i) + g, sums + i);
               store(fma(g, centered, load(products + i)), products + i);
             });
  }
}

inline void column_gradient_sums(float* sums, float* products, const float* x, const float* dy,
                                 const float* mean, const NormMask* mask, int64_t count,
                                 int64_t period) {
  if (mask != nullptr) {
    gradient_sums<true>(sums, products, x, dy, mean, *mask, count, period);
  } else {
    gradient_sums<false>(sums, products, x, dy, mean, {}, count, period);
  }
}

template <bool Masked>
void apply_gradient(float* dx, const float* x, const float* dy, const float* mean,
                    const float* factor, const float* slope, const float* constant,
                    const NormMask& mask, int64_t count, int64_t period, bool stream) {
  over_periods(count, period, stream,
               [&](int64_t first, int64_t i, auto load, auto put) __attribute__((always_inline)) {
                 prefetch_stream(x + first + i);
                 prefetch_stream(dy + first + i);
                 const Float centered = load(x + first + i) - load(mean + i);
                 const Float g = passing<Masked>(load(dy + first + i), centered, mask, i, load);
                 put(fma(centered, load(slope + i), g - load(constant + i)) * load(factor + i),
                     dx + first + i);
               });
}

inline void column_apply_gradient(float* dx, const float* x, const float* dy, const float* mean,
                                  const float* factor, const float* slope, const float* constant,
                                  const NormMask* mask, int64_t count, int64_t period,
                                  bool stream) {
  if (mask != nullptr) {
    apply_gradient<true>(dx, x, dy, mean, factor, slope, constant, *mask, count, period, stream);
  } else {
    apply_gradient<false>(dx, x, dy, mean, factor, slope, constant, {}, count, period, stream);
  }
}

inline void layer_norm_rows(float* y, float* mean, float* variance, const float* x,
                            const float* scale, const float* offset, int64_t rows, int64_t extent,
                            float epsilon) {
  const float inverse = 1.0f / static_cast<float>(extent);
  for (int64_t row = 0; row < rows; ++row, x += extent, y += extent) {
    const float center = reduce_add(sum_to_vector(x, extent)) * inverse;
    const Float base = Float::broadcast(center);
    Float squares = Float::zero();
    // What rounding left in the mean, to be taken out of the variance.
    Float rest = Float::zero();
    int64_t i = 0;
    for (; i + kLanes <= extent; i += kLanes) {
      const Float d = Float::load(x + i) - base;
      rest += d;
      squares = fma(d, d, squares);
    }
    if (i < extent) {
      const int64_t lanes = extent - i;
      const Float d =
          choose(first_lanes(lanes), Float::load_partial(x + i, lanes) - base, Float::zero());
      rest += d;
      squares = fma(d, d, squares);
    }
    const float left = reduce_add(rest) * inverse;
    const float spread = reduce_add(squares) * inverse - left * left;
    mean[row] = center + left;
    variance[row] = spread;
    const Float exact = Float::broadcast(left);
    const Float factor = Float::broadcast(1.0f / __builtin_sqrtf(spread + epsilon));
    over_row(extent, [&](int64_t k, auto load, auto store) __attribute__((always_inline)) {
      store(fma(((load(x + k) - base) - exact) * factor, load(scale + k), load(offset + k)), y + k);
    });
  }
}

// With n = (x - mean) / deviation and g = dy * scale: dx = (g - mean(g) - n mean(g n)) / deviation.
inline void layer_norm_backward_rows(float* dx, float* dscale, float* doffset, const float* x,
                                     const float* scale, const float* mean, const float* variance,
                                     const float* dy, int64_t rows, int64_t extent, float epsilon) {
  const float inverse = 1.0f / static_cast<float>(extent);
  for (int64_t row = 0; row < rows; ++row, x += extent, dy += extent, dx += extent) {
    const Float base = Float::broadcast(mean[row]);
    const float deviation = 1.0f / __builtin_sqrtf(variance[row] + epsilon);
    const Float factor = Float::broadcast(deviation);
    Float sum = Float::zero();
    Float product = Float::zero();
    over_row(extent, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
      const Float normal = (load(x + i) - base) * factor;
      const Float g = load(dy + i);
      store(fma(g, normal, load(dscale + i)), dscale + i);
      store(load(doffset + i) + g, doffset + i);
      const Float scaled = g * load(scale + i);
      sum += scaled;
      product = fma(scaled, normal, product);
    });
    const Float mean_gradient = Float::broadcast(reduce_add(sum) * inverse);
    const Float mean_product = Float::broadcast(reduce_add(product) * inverse);
    over_row(extent, [&](int64_t i, auto load, auto store) __attribute__((always_inline)) {
      const Float normal = (load(x + i) - base) * factor;
      const Float scaled = fma(load(dy + i), load(scale + i), -mean_gradient);
      store(fma(-normal, mean_product, scaled) * factor, dx + i);
    });
  }
}

inline void stream_floats(float* to, const float* from, int64_t count) {
  for (int64_t i = 0; i < count; i += kLanes) Float::load(from + i).stream(to + i);
  stream_fence();
}

inline constexpr NormTable norm_table = {
    &mean_of_rows,          &column_moments, &column_normalize, &column_gradient_sums,
    &column_apply_gradient, &stream_floats,  &layer_norm_rows,  &layer_norm_backward_rows};

}  // namespace nnrt::NNC_ISA
