// Pooling, vectorized over channels. Few channels take narrower vectors, so that a pixel wastes few
// lanes.
#pragma once

#include <cstring>

#include "cpu/isa/vector.h"
#include "cpu/pool/pool.h"

namespace nnrt::NNC_ISA {

// The taps of one window that lie inside, from the first one's pixel on.
struct PoolWindow {
  int64_t rows;
  int64_t columns;
  int64_t row_step;     // floats from a tap to the one below
  int64_t column_step;  // and to the one beside it
  int64_t offset;       // of the first tap, in the image
  int64_t number;       // of the first tap, row-major among all taps; 0 where none is inside
};

NNC_INLINE PoolWindow window_at(const PoolArguments& a, int64_t row, int64_t column) {
  const int64_t first_row = a.rows.first_tap(row);
  const int64_t first_column = a.columns.first_tap(column);
  const int64_t y = a.rows.start(row) + first_row * a.rows.dilation;
  const int64_t x = a.columns.start(column) + first_column * a.columns.dilation;
  const int64_t rows = std::max<int64_t>(0, a.rows.end_tap(row) - first_row);
  const int64_t columns = std::max<int64_t>(0, a.columns.end_tap(column) - first_column);
  return {rows,
          columns,
          a.rows.dilation * a.input_row(),
          a.columns.dilation * a.channels,
          y * a.input_row() + x * a.channels,
          rows > 0 && columns > 0 ? first_row * a.columns.kernel + first_column : 0};
}

// Calls body(tap's address, its number) in row-major order. With Size > 0 the window is a whole
// Size x Size one, unrolled; else a row has `row_taps` taps.
template <int Size, class Pointer, class Body>
NNC_INLINE void over_taps(const PoolWindow& window, int64_t row_taps, Pointer* at, Body body) {
  if constexpr (Size > 0) {
#pragma GCC unroll 3
    for (int i = 0; i < Size; ++i) {
#pragma GCC unroll 3
      for (int j = 0; j < Size; ++j)
        body(at + i * window.row_step + j * window.column_step, i * Size + j);
    }
  } else {
    for (int64_t i = 0; i < window.rows; ++i) {
      for (int64_t j = 0; j < window.columns; ++j) {
        body(at + i * window.row_step + j * window.column_step,
             static_cast<int>(window.number + i * row_taps + j));
      }
    }
  }
}

// Calls body(size, window, column) for every window of an output row, from left to right; `size` is
// a constant for the common windows that lie inside.
template <int Size, class Body>
NNC_INLINE void over_windows(const PoolArguments& a, int64_t row, Body body) {
  constexpr std::integral_constant<int, Size> known;
  constexpr std::integral_constant<int, 0> unknown;
  const bool row_inside = row >= a.rows.first_inside() && row < a.rows.end_inside();
  const int64_t first = row_inside ? a.columns.first_inside() : a.columns.output;
  const int64_t last = row_inside ? a.columns.end_inside() : a.columns.output;
  for (int64_t column = 0; column < first; ++column)
    body(unknown, window_at(a, row, column), column);
  if (first < last) {
    PoolWindow window = window_at(a, row, first);
    const int64_t step = a.columns.stride * a.channels;
    for (int64_t column = first; column < last; ++column, window.offset += step)
      body(known, window, column);
  }
  for (int64_t column = last; column < a.columns.output; ++column)
    body(unknown, window_at(a, row, column), column);
}

template <class Body>
NNC_INLINE void over_row_windows(const PoolArguments& a, int64_t row, Body body) {
  if (a.rows.kernel == 2 && a.columns.kernel == 2) {
    over_windows<2>(a, row, body);
  } else if (a.rows.kernel == 3 && a.columns.kernel == 3) {
    over_windows<3>(a, row, body);
  } else {
    over_windows<0>(a, row, body);
  }
}

// Calls body(channel, load, store) for vectors of channels [first, last); load and store know how
// many lanes are meant.
template <int N, class Body>
NNC_INLINE void over_channels(int64_t first, int64_t last, Body body) {
  using V = Vec<float, N>;
  int64_t c = first;
  for (; c + N <= last; c += N) {
    body(
        c, [](const float* p) __attribute__((always_inline)) { return V::load(p); },
        [](V v, float* p) __attribute__((always_inline)) { v.store(p); });
  }
  if (N > 1 && c < last) {
    const int64_t rest = last - c;
    body(
        c,
        [rest](const float* p) __attribute__((always_inline)) { return V::load_partial(p, rest); },
        [rest](V v, float* p) __attribute__((always_inline)) { v.store_partial(p, rest); });
  }
}

// Small whole numbers in memory of another type, `count` of N.
template <int N, class Index>
NNC_INLINE Vec<float, N> load_index(const Index* from, int64_t count) {
  if constexpr (N == 1) {
    return Vec<float, 1>::broadcast(static_cast<float>(*from));
  } else {
    typedef Index Packed __attribute__((vector_size(N * sizeof(Index))));
    Packed packed = {};
    count == N ? std::memcpy(&packed, from, sizeof(Packed))
               : std::memcpy(&packed, from, static_cast<size_t>(count) * sizeof(Index));
    using Whole = Vec<int32_t, N>;
    return convert<float>(Whole{__builtin_convertvector(packed, typename Whole::Native)});
  }
}
template <int N, class Index>
NNC_INLINE void store_index(Vec<float, N> numbers, Index* to, int64_t count) {
  if constexpr (N == 1) {
    *to = static_cast<Index>(numbers.v[0]);
  } else {
    typedef Index Packed __attribute__((vector_size(N * sizeof(Index))));
    const Packed packed = __builtin_convertvector(convert<int32_t>(numbers).v, Packed);
    count == N ? std::memcpy(to, &packed, sizeof(Packed))
               : std::memcpy(to, &packed, static_cast<size_t>(count) * sizeof(Index));
  }
}

// `index`: nothing, or where the numbers of the taps go. A NaN is the largest.
template <int N, class Index>
void maximum_row(const PoolArguments& a, float* y, Index* index, const float* image, int64_t row) {
  using V = Vec<float, N>;
  over_row_windows(
      a, row,
      [&](auto size, const PoolWindow& window, int64_t column) __attribute__((always_inline)) {
        constexpr int known = decltype(size)::value;
        const float* from = image + window.offset;
        float* to = y + column * a.channels;
        over_channels<N>(
            0, a.channels, [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
              V best = V::broadcast(-std::numeric_limits<float>::infinity());
              if constexpr (std::is_void_v<Index>) {
                over_taps<known>(window, a.columns.kernel, from + c,
                                 [&](const float* tap, int) __attribute__((always_inline)) {
                                   best = maximum(best, load(tap));
                                 });
                store(best, to + c);
              } else {
                V winner = V::broadcast(static_cast<float>(window.number));
                over_taps<known>(window, a.columns.kernel, from + c,
                                 [&](const float* tap, int number) __attribute__((always_inline)) {
                                   const V value = load(tap);
                                   // Greater, or the first NaN.
                                   const auto wins =
                                       (value > best) | ((value != value) & (best == best));
                                   best = choose(wins, value, best);
                                   const float place = static_cast<float>(number);
                                   winner = choose(wins, V::broadcast(place), winner);
                                 });
                store(best, to + c);
                const int64_t left = a.channels - c;
                store_index<N>(winner, index + column * a.channels + c, left < N ? left : N);
              }
            });
      });
}

template <int N>
void average_row(const PoolArguments& a, float* y, const float* image, int64_t row) {
  const float whole = static_cast<float>(1 / static_cast<double>(a.rows.kernel * a.columns.kernel));
  over_row_windows(
      a, row,
      [&](auto size, const PoolWindow& window, int64_t column) __attribute__((always_inline)) {
        const bool is_whole = decltype(size)::value > 0 || a.count_padding;
        const float divided = is_whole ? whole : static_cast<float>(1 / a.divisor(row, column));
        const auto factor = Vec<float, N>::broadcast(divided);
        const float* from = image + window.offset;
        float* to = y + column * a.channels;
        over_channels<N>(0, a.channels,
                         [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
                           auto total = Vec<float, N>::zero();
                           over_taps<decltype(size)::value>(
                               window, a.columns.kernel, from + c,
                               [&](const float* tap, int)
                                   __attribute__((always_inline)) { total += load(tap); });
                           store(total * factor, to + c);
                         });
      });
}

// The tap of each window that was the largest takes the gradient.
template <int N, bool Add, class Index>
void maximum_backward_row(const PoolArguments& a, float* dx_image, const Index* index,
                          const float* dy, int64_t row, int64_t first, int64_t last) {
  using V = Vec<float, N>;
  const bool stream = a.stream && (last - first) % N == 0;
  over_row_windows(
      a, row,
      [&](auto size, const PoolWindow& window, int64_t column) __attribute__((always_inline)) {
        const int64_t at = column * a.channels;
        over_channels<N>(
            first, last, [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
              const V gradient = load(dy + at + c);
              const V winner = load_index<N>(index + at + c, last - c < N ? last - c : N);
              over_taps<decltype(size)::value>(
                  window, a.columns.kernel, dx_image + window.offset + c,
                  [&](float* tap, int number) __attribute__((always_inline)) {
                    const V place = V::broadcast(static_cast<float>(number));
                    V value = choose(winner == place, gradient, V::zero());
                    if constexpr (Add) value += load(tap);
                    if (!Add && stream) {
                      value.stream(tap);
                    } else {
                      store(value, tap);
                    }
                  });
            });
      });
  if (stream) stream_fence();
}

template <int N, class Index>
void maximum_backward(const PoolArguments& a, float* dx_image, const Index* index_row,
                      const float* dy_row, int64_t row, int64_t first, int64_t last) {
  if (a.rows.overlaps() || a.columns.overlaps()) {
    maximum_backward_row<N, true>(a, dx_image, index_row, dy_row, row, first, last);
  } else {
    maximum_backward_row<N, false>(a, dx_image, index_row, dy_row, row, first, last);
  }
}

template <int N>
void average_backward_row(const PoolArguments& a, float* dx_image, const float* dy, int64_t row) {
  const float whole = static_cast<float>(1 / static_cast<double>(a.rows.kernel * a.columns.kernel));
  over_row_windows(
      a, row,
      [&](auto size, const PoolWindow& window, int64_t column) __attribute__((always_inline)) {
        const bool is_whole = decltype(size)::value > 0 || a.count_padding;
        const float divided = is_whole ? whole : static_cast<float>(1 / a.divisor(row, column));
        const auto factor = Vec<float, N>::broadcast(divided);
        const float* gradients = dy + column * a.channels;
        over_channels<N>(
            0, a.channels, [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
              const auto share = load(gradients + c) * factor;
              over_taps<decltype(size)::value>(
                  window, a.columns.kernel, dx_image + window.offset + c,
                  [&](float* tap, int) __attribute__((always_inline)) { store(share, tap); });
            });
      });
}

template <int N>
void average_backward_overlapping_row(const PoolArguments& a, float* dx, const float* dy_image,
                                      int64_t row) {
  const int64_t first_row = a.rows.first_window(row);
  const int64_t end_row = a.rows.end_window(row);
  for (int64_t column = 0; column < a.columns.input; ++column, dx += a.channels) {
    const int64_t first_column = a.columns.first_window(column);
    const int64_t end_column = a.columns.end_window(column);
    std::fill(dx, dx + a.channels, 0.0f);
    for (int64_t i = first_row; i < end_row; ++i) {
      for (int64_t j = first_column; j < end_column; ++j) {
        const auto factor = Vec<float, N>::broadcast(static_cast<float>(1 / a.divisor(i, j)));
        const float* from = dy_image + i * a.output_row() + j * a.channels;
        over_channels<N>(0, a.channels,
                         [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
                           store(fma(load(from + c), factor, load(dx + c)), dx + c);
                         });
      }
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
  with_lanes(a.channels, [&](auto lanes) {
    maximum_row<decltype(lanes)::value, void>(a, y_row, nullptr, image, row);
  });
}
inline void pool_maximum_index(const PoolArguments& a, float* y_row, void* index_row,
                               const float* image, int64_t row) {
  with_lanes(a.channels, [&](auto lanes) {
    constexpr int N = decltype(lanes)::value;
    if (a.wide_index) {
      maximum_row<N>(a, y_row, static_cast<int32_t*>(index_row), image, row);
    } else {
      maximum_row<N>(a, y_row, static_cast<uint8_t*>(index_row), image, row);
    }
  });
}
inline void pool_average(const PoolArguments& a, float* y_row, const float* image, int64_t row) {
  with_lanes(a.channels,
             [&](auto lanes) { average_row<decltype(lanes)::value>(a, y_row, image, row); });
}
inline void pool_maximum_backward(const PoolArguments& a, float* dx_image, const void* index_row,
                                  const float* dy_row, int64_t row, int64_t first, int64_t last) {
  with_lanes(last - first, [&](auto lanes) {
    constexpr int N = decltype(lanes)::value;
    if (a.wide_index) {
      const int32_t* index = static_cast<const int32_t*>(index_row);
      maximum_backward<N>(a, dx_image, index, dy_row, row, first, last);
    } else {
      const uint8_t* index = static_cast<const uint8_t*>(index_row);
      maximum_backward<N>(a, dx_image, index, dy_row, row, first, last);
    }
  });
}
inline void pool_average_backward(const PoolArguments& a, float* dx_image, const float* dy_row,
                                  int64_t row) {
  with_lanes(a.channels, [&](auto lanes) {
    average_backward_row<decltype(lanes)::value>(a, dx_image, dy_row, row);
  });
}
inline void pool_average_backward_overlapping(const PoolArguments& a, float* dx_row,
                                              const float* dy_image, int64_t row) {
  with_lanes(a.channels, [&](auto lanes) {
    average_backward_overlapping_row<decltype(lanes)::value>(a, dx_row, dy_image, row);
  });
}

inline constexpr PoolTable pool_table = {
    &pool_maximum,          &pool_average,          &pool_maximum_index,
    &pool_maximum_backward, &pool_average_backward, &pool_average_backward_overlapping};

}  // namespace nnrt::NNC_ISA
