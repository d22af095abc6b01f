// Softmax and its kin over many rows of a few numbers (the classes of every pixel, of every
// sample): as many rows at a time as a vector has lanes, one number of each in a vector.
#pragma once

#include <limits>

#include "cpu/isa/vector.h"
#include "cpu/isa/vector_math.h"

namespace nnrt::NNC_ISA {

// Rows no longer than a vector.
NNC_INLINE bool is_narrow(int64_t extent) { return extent <= kLanes; }

// kLanes rows turned: vector c holds number c of each.
class TurnedRows {
 public:
  // Rows [0, rows) at x; the lanes beyond repeat the first, and are not used.
  NNC_INLINE TurnedRows(const float* x, int64_t rows, int64_t extent) : extent_(extent) {
    if (rows == kLanes) {
      for (int64_t c = 0; c < extent; ++c) {
        for (int lane = 0; lane < kLanes; ++lane) at_[c][lane] = x[lane * extent + c];
      }
      return;
    }
    for (int64_t c = 0; c < extent; ++c) {
      for (int lane = 0; lane < kLanes; ++lane)
        at_[c][lane] = x[(lane < rows ? lane : 0) * extent + c];
    }
  }
  NNC_INLINE Float get(int64_t c) const { return Float::load(at_[c]); }
  NNC_INLINE void set(int64_t c, Float value) { value.store(at_[c]); }
  NNC_INLINE float& number(int64_t c, int64_t row) { return at_[c][row]; }

  NNC_INLINE Float largest() const {
    Float result = get(0);
    for (int64_t c = 1; c < extent_; ++c) result = maximum(result, get(c));
    return result;
  }
  // Puts e^(x - largest) in their place and gives their sum.
  NNC_INLINE Float exponentials(Float largest) {
    Float total = Float::zero();
    for (int64_t c = 0; c < extent_; ++c) {
      const Float term = exp(get(c) - largest);
      set(c, term);
      total += term;
    }
    return total;
  }
  NNC_INLINE void store(float* y, int64_t rows) const {
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t c = 0; c < extent_; ++c) y[row * extent_ + c] = at_[c][row];
    }
  }

 private:
  alignas(64) float at_[kLanes][kLanes];
  int64_t extent_;
};

// body(first row, how many) for blocks of up to kLanes rows.
template <class Body>
NNC_INLINE void over_row_blocks(int64_t rows, Body body) {
  for (int64_t row = 0; row < rows; row += kLanes)
    body(row, rows - row < kLanes ? rows - row : int64_t{kLanes});
}

inline void narrow_softmax(float* y, const float* x, int64_t rows, int64_t extent) {
  over_row_blocks(rows, [&](int64_t row, int64_t count) __attribute__((always_inline)) {
    TurnedRows block(x + row * extent, count, extent);
    const Float factor = Float::broadcast(1.0f) / block.exponentials(block.largest());
    for (int64_t c = 0; c < extent; ++c) block.set(c, block.get(c) * factor);
    block.store(y + row * extent, count);
  });
}

inline void narrow_log_softmax(float* y, const float* x, int64_t rows, int64_t extent) {
  over_row_blocks(rows, [&](int64_t row, int64_t count) __attribute__((always_inline)) {
    const TurnedRows block(x + row * extent, count, extent);
    TurnedRows result = block;
    const Float shift = block.largest();
    const Float log_total = log(result.exponentials(shift));
    for (int64_t c = 0; c < extent; ++c) result.set(c, (block.get(c) - shift) - log_total);
    result.store(y + row * extent, count);
  });
}

inline void narrow_softmax_backward(float* dx, const float* y, const float* dy, int64_t rows,
                                    int64_t extent) {
  over_row_blocks(rows, [&](int64_t row, int64_t count) __attribute__((always_inline)) {
    const TurnedRows value(y + row * extent, count, extent);
    TurnedRows gradient(dy + row * extent, count, extent);
    Float sum = Float::zero();
    for (int64_t c = 0; c < extent; ++c) sum = fma(value.get(c), gradient.get(c), sum);
    for (int64_t c = 0; c < extent; ++c) gradient.set(c, value.get(c) * (gradient.get(c) - sum));
    gradient.store(dx + row * extent, count);
  });
}

inline void narrow_log_softmax_backward(float* dx, const float* y, const float* dy, int64_t rows,
                                        int64_t extent) {
  over_row_blocks(rows, [&](int64_t row, int64_t count) __attribute__((always_inline)) {
    const TurnedRows value(y + row * extent, count, extent);
    TurnedRows gradient(dy + row * extent, count, extent);
    Float sum = Float::zero();
    for (int64_t c = 0; c < extent; ++c) sum += gradient.get(c);
    for (int64_t c = 0; c < extent; ++c)
      gradient.set(c, fma(-exp(value.get(c)), sum, gradient.get(c)));
    gradient.store(dx + row * extent, count);
  });
}

NNC_INLINE bool is_label(int64_t label, int64_t extent) { return label >= 0 && label < extent; }

inline void narrow_cross_entropy(float* loss, const float* logits, const int64_t* labels,
                                 int64_t rows, int64_t extent, float smoothing) {
  over_row_blocks(rows, [&](int64_t row, int64_t count) __attribute__((always_inline)) {
    TurnedRows block(logits + row * extent, count, extent);
    alignas(64) float chosen[kLanes] = {};
    for (int64_t i = 0; i < count; ++i) {
      chosen[i] = is_label(labels[row + i], extent) ? block.number(labels[row + i], i)
                                                    : std::numeric_limits<float>::quiet_NaN();
    }
    const Float largest = block.largest();
    Float differences = Float::zero();
    if (smoothing != 0.0f) {
      for (int64_t c = 0; c < extent; ++c) differences += block.get(c) - largest;
    }
    // Differences to the largest first: they are exact where it matters.
    Float value = log(block.exponentials(largest)) -
                  Float::broadcast(1.0f - smoothing) * (Float::load(chosen) - largest);
    if (smoothing != 0.0f) {
      const Float mean = differences / Float::broadcast(static_cast<float>(extent));
      value = value - Float::broadcast(smoothing) * mean;
    }
    value.store_partial(loss + row, count);
  });
}

inline void narrow_cross_entropy_backward(float* dlogits, const float* logits,
                                          const int64_t* labels, const float* dloss, int64_t rows,
                                          int64_t extent, float smoothing) {
  over_row_blocks(rows, [&](int64_t row, int64_t count) __attribute__((always_inline)) {
    TurnedRows block(logits + row * extent, count, extent);
    alignas(64) float scales[kLanes] = {};
    for (int64_t i = 0; i < count; ++i) {
      scales[i] = is_label(labels[row + i], extent) ? dloss[row + i]
                                                    : std::numeric_limits<float>::quiet_NaN();
    }
    const Float scale = Float::load(scales);
    const Float factor = scale / block.exponentials(block.largest());
    const Float everywhere = -scale * Float::broadcast(smoothing / static_cast<float>(extent));
    for (int64_t c = 0; c < extent; ++c) block.set(c, fma(block.get(c), factor, everywhere));
    for (int64_t i = 0; i < count; ++i) {
      if (is_label(labels[row + i], extent))
        block.number(labels[row + i], i) -= scales[i] * (1.0f - smoothing);
    }
    block.store(dlogits + row * extent, count);
  });
}

}  // namespace nnrt::NNC_ISA
