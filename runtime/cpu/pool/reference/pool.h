// Pooling, one element at a time: the meaning. Padding never wins a maximum; an average divides by
// the taps inside the image, or by all.
#pragma once

#include <cstdint>
#include <limits>

#include "cpu/pool/pool.h"

namespace nnrt::reference {

// Calls body(offset in the image of one channel's tap, its number) for the taps of a window that
// lie inside, row-major. Those in the padding, however many, take no time.
template <class Body>
void over_window(const PoolArguments& a, int64_t row, int64_t column, Body body) {
  for (int64_t i = a.rows.first_tap(row); i < a.rows.end_tap(row); ++i) {
    for (int64_t j = a.columns.first_tap(column); j < a.columns.end_tap(column); ++j) {
      const int64_t y = a.rows.start(row) + i * a.rows.dilation;
      const int64_t x = a.columns.start(column) + j * a.columns.dilation;
      body((y * a.columns.input + x) * a.channels, i * a.columns.kernel + j);
    }
  }
}

// Calls body(offset of the output element, row, column, offset of its image and channel in the
// input).
template <class Body>
void over_outputs(const PoolArguments& a, Body body) {
  for (int64_t n = 0; n < a.images; ++n) {
    for (int64_t row = 0; row < a.rows.output; ++row) {
      for (int64_t column = 0; column < a.columns.output; ++column) {
        for (int64_t c = 0; c < a.channels; ++c) {
          const int64_t at =
              ((n * a.rows.output + row) * a.columns.output + column) * a.channels + c;
          body(at, row, column, n * a.input_image() + c);
        }
      }
    }
  }
}

// `index`: nullptr, or where the numbers of the maxima's taps go.
template <class T, class Index>
void max_pool(const PoolArguments& a, T* y, Index* index, const T* x) {
  over_outputs(a, [&](int64_t at, int64_t row, int64_t column, int64_t base) {
    T best = -std::numeric_limits<T>::infinity();
    int64_t winner = -1;
    over_window(a, row, column, [&](int64_t tap, int64_t number) {
      const T value = x[base + tap];
      if (winner < 0) winner = number;
      if (!(best == best) || !(value > best || value != value)) return;
      best = value;
      winner = number;
    });
    y[at] = best;
    if (index != nullptr) index[at] = static_cast<Index>(std::max<int64_t>(0, winner));
  });
}

template <class T, class Index>
void max_pool_backward(const PoolArguments& a, T* dx, const Index* index, const T* dy) {
  std::fill(dx, dx + a.images * a.input_image(), T(0));
  over_outputs(a, [&](int64_t at, int64_t row, int64_t column, int64_t base) {
    over_window(a, row, column, [&](int64_t tap, int64_t number) {
      if (number == static_cast<int64_t>(index[at])) dx[base + tap] += dy[at];
    });
  });
}

template <class T>
void avg_pool(const PoolArguments& a, T* y, const T* x) {
  over_outputs(a, [&](int64_t at, int64_t row, int64_t column, int64_t base) {
    double total = 0;
    over_window(a, row, column,
                [&](int64_t tap, int64_t) { total += static_cast<double>(x[base + tap]); });
    y[at] = static_cast<T>(total / a.divisor(row, column));
  });
}

template <class T>
void avg_pool_backward(const PoolArguments& a, T* dx, const T* dy) {
  std::fill(dx, dx + a.images * a.input_image(), T(0));
  over_outputs(a, [&](int64_t at, int64_t row, int64_t column, int64_t base) {
    const T share = static_cast<T>(static_cast<double>(dy[at]) / a.divisor(row, column));
    over_window(a, row, column, [&](int64_t tap, int64_t) { dx[base + tap] += share; });
  });
}

}  // namespace nnrt::reference
