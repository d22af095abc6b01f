// Pooling, vectorized over channels. Few channels take narrower vectors, so that a pixel wastes few
// lanes.
#pragma once

#include "cpu/pool.h"
#include "cpu/vector.h"

namespace nnrt::NNC_ISA {

template <int N>
NNC_INLINE Vec<float, N> load_lanes(const float* from, int64_t count) {
  return count >= N ? Vec<float, N>::load(from) : Vec<float, N>::load_partial(from, count);
}
template <int N>
NNC_INLINE void store_lanes(Vec<float, N> value, float* to, int64_t count) {
  if (count >= N) {
    value.store(to);
  } else {
    value.store_partial(to, count);
  }
}

// The taps of one window that lie inside, from the first one's pixel on.
struct PoolWindow {
  int64_t rows;
  int64_t columns;
  int64_t row_step;     // floats from a tap to the one below
  int64_t column_step;  // and to the one beside it
  int64_t offset;       // of the first tap, in the image
};

NNC_INLINE PoolWindow window_at(const PoolArguments& a, int64_t row, int64_t column) {
  const int64_t first_row = a.rows.first_tap(row);
  const int64_t first_column = a.columns.first_tap(column);
  const int64_t y = a.rows.start(row) + first_row * a.rows.dilation;
  const int64_t x = a.columns.start(column) + first_column * a.columns.dilation;
  return {std::max<int64_t>(0, a.rows.end_tap(row) - first_row),
          std::max<int64_t>(0, a.columns.end_tap(column) - first_column),
          a.rows.dilation * a.input_row(), a.columns.dilation * a.channels,
          y * a.input_row() + x * a.channels};
}

// Calls body(tap's address) in row-major order. With Size > 0 the window is a whole Size x Size
// one, unrolled.
template <int Size, class Pointer, class Body>
NNC_INLINE void over_taps(const PoolWindow& window, Pointer* at, Body body) {
  if constexpr (Size > 0) {
#pragma GCC unroll 3
    for (int i = 0; i < Size; ++i) {
#pragma GCC unroll 3
      for (int j = 0; j < Size; ++j) body(at + i * window.row_step + j * window.column_step);
    }
  } else {
    for (int64_t i = 0; i < window.rows; ++i) {
      for (int64_t j = 0; j < window.columns; ++j)
        body(at + i * window.row_step + j * window.column_step);
    }
  }
}

template <class Body>
NNC_INLINE void with_size(const PoolWindow& window, Body body) {
  if (window.rows == 2 && window.columns == 2) {
    body(std::integral_constant<int, 2>());
  } else if (window.rows == 3 && window.columns == 3) {
    body(std::integral_constant<int, 3>());
  } else {
    body(std::integral_constant<int, 0>());
  }
}

template <int N>
void maximum_row(const PoolArguments& a, float* y, const float* image, int64_t row) {
  for (int64_t column = 0; column < a.columns.output; ++column, y += a.channels) {
    const PoolWindow window = window_at(a, row, column);
    const float* from = image + window.offset;
    with_size(window, [&](auto size) __attribute__((always_inline)) {
      for (int64_t c = 0; c < a.channels; c += N) {
        const int64_t lanes = a.channels - c;
        auto best = Vec<float, N>::broadcast(-std::numeric_limits<float>::infinity());
        over_taps<decltype(size)::value>(window, from + c,
                                         [&](const float* tap) __attribute__((always_inline)) {
                                           best = maximum(best, load_lanes<N>(tap, lanes));
                                         });
        store_lanes<N>(best, y + c, lanes);
      }
    });
  }
}

template <int N>
void average_row(const PoolArguments& a, float* y, const float* image, int64_t row) {
  for (int64_t column = 0; column < a.columns.output; ++column, y += a.channels) {
    const PoolWindow window = window_at(a, row, column);
    const auto factor = Vec<float, N>::broadcast(static_cast<float>(1 / a.divisor(row, column)));
    const float* from = image + window.offset;
    with_size(window, [&](auto size) __attribute__((always_inline)) {
      for (int64_t c = 0; c < a.channels; c += N) {
        const int64_t lanes = a.channels - c;
        auto total = Vec<float, N>::zero();
        over_taps<decltype(size)::value>(window, from + c,
                                         [&](const float* tap) __attribute__((always_inline)) {
                                           total += load_lanes<N>(tap, lanes);
                                         });
        store_lanes<N>(total * factor, y + c, lanes);
      }
    });
  }
}

// The first largest tap of each window takes the gradient; a NaN is the largest.
template <int N, bool Add>
void maximum_backward_row(const PoolArguments& a, float* dx_image, const float* image,
                          const float* dy, int64_t row, int64_t first, int64_t last) {
  using V = Vec<float, N>;
  for (int64_t column = 0; column < a.columns.output; ++column, dy += a.channels) {
    const PoolWindow window = window_at(a, row, column);
    with_size(window, [&](auto size) __attribute__((always_inline)) {
      constexpr int known = decltype(size)::value;
      for (int64_t c = first; c < last; c += N) {
        const int64_t lanes = last - c;
        const float* from = image + window.offset + c;
        V best = V::broadcast(-std::numeric_limits<float>::infinity());
        V winner = V::zero();
        V index = V::zero();
        over_taps<known>(window, from, [&](const float* tap) __attribute__((always_inline)) {
          const V value = load_lanes<N>(tap, lanes);
          // Greater, or the first NaN.
          const auto wins = (value > best) | ((value != value) & (best == best));
          best = choose(wins, value, best);
          winner = choose(wins, index, winner);
          index = index + 1.0f;
        });
        const V gradient = load_lanes<N>(dy + c, lanes);
        index = V::zero();
        over_taps<known>(window, dx_image + window.offset + c,
                         [&](float* tap) __attribute__((always_inline)) {
                           V value = choose(index == winner, gradient, V::zero());
                           if constexpr (Add) value += load_lanes<N>(tap, lanes);
                           store_lanes<N>(value, tap, lanes);
                           index = index + 1.0f;
                         });
      }
    });
  }
}

template <int N>
void maximum_backward(const PoolArguments& a, float* dx_image, const float* image,
                      const float* dy_row, int64_t row, int64_t first, int64_t last) {
  if (a.rows.overlaps() || a.columns.overlaps()) {
    maximum_backward_row<N, true>(a, dx_image, image, dy_row, row, first, last);
  } else {
    maximum_backward_row<N, false>(a, dx_image, image, dy_row, row, first, last);
  }
}

template <int N>
void average_backward_row(const PoolArguments& a, float* dx, const float* dy_image, int64_t row) {
  const int64_t first_row = a.rows.first_window(row);
  const int64_t end_row = a.rows.end_window(row);
  for (int64_t column = 0; column < a.columns.input; ++column, dx += a.channels) {
    const int64_t first_column = a.columns.first_window(column);
    const int64_t end_column = a.columns.end_window(column);
    for (int64_t c = 0; c < a.channels; c += N) {
      const int64_t lanes = a.channels - c;
      auto total = Vec<float, N>::zero();
      for (int64_t i = first_row; i < end_row; ++i) {
        for (int64_t j = first_column; j < end_column; ++j) {
          const auto factor = Vec<float, N>::broadcast(static_cast<float>(1 / a.divisor(i, j)));
          const float* from = dy_image + i * a.output_row() + j * a.channels + c;
          total = fma(load_lanes<N>(from, lanes), factor, total);
        }
      }
      store_lanes<N>(total, dx + c, lanes);
    }
  }
}

// The widest vector that the channels fill.
template <class Body>
NNC_INLINE void with_lanes(int64_t channels, Body body) {
  if (channels >= kLanes || channels == kLanes - 1) {
    body(std::integral_constant<int, kLanes>());
  } else if (kLanes > 8 && channels >= 7) {
    body(std::integral_constant<int, 8>());
  } else if (kLanes > 4 && channels >= 3) {
    body(std::integral_constant<int, 4>());
  } else {
    body(std::integral_constant<int, 1>());
  }
}

inline void pool_maximum(const PoolArguments& a, float* y_row, const float* image, int64_t row) {
  with_lanes(a.channels,
             [&](auto lanes) { maximum_row<decltype(lanes)::value>(a, y_row, image, row); });
}
inline void pool_average(const PoolArguments& a, float* y_row, const float* image, int64_t row) {
  with_lanes(a.channels,
             [&](auto lanes) { average_row<decltype(lanes)::value>(a, y_row, image, row); });
}
inline void pool_maximum_backward(const PoolArguments& a, float* dx_image, const float* image,
                                  const float* dy_row, int64_t row, int64_t first, int64_t last) {
  with_lanes(last - first, [&](auto lanes) {
    maximum_backward<decltype(lanes)::value>(a, dx_image, image, dy_row, row, first, last);
  });
}
inline void pool_average_backward(const PoolArguments& a, float* dx_row, const float* dy_image,
                                  int64_t row) {
  with_lanes(a.channels, [&](auto lanes) {
    average_backward_row<decltype(lanes)::value>(a, dx_row, dy_image, row);
  });
}

inline constexpr PoolTable pool_table = {&pool_maximum, &pool_average, &pool_maximum_backward,
                                         &pool_average_backward};

}  // namespace nnrt::NNC_ISA
