// The transformations of Winograd's F(4x4, 3x3) on vectors of channels; p = 2/3 and q = 3/2 are the
// points beside 0 and infinity. In two dimensions every one is applied to the columns, then to the
// rows.
#pragma once

#include "cpu/vector.h"

namespace nnrt::NNC_ISA {

inline constexpr int kSide = 6;  // of a transformed tile
inline constexpr int kPositions = kSide * kSide;
inline constexpr float kP = 2.0f / 3, kP2 = 4.0f / 9, kP3 = 8.0f / 27;
inline constexpr float kQ = 3.0f / 2, kQ2 = 9.0f / 4, kQ3 = 27.0f / 8;

NNC_INLINE Float times(float a, Float b) { return Float::broadcast(a) * b; }
NNC_INLINE Float add_times(float a, Float b, Float c) { return fma(Float::broadcast(a), b, c); }

// Source pixels, 6 to 6: the rows are
//   1  0  -97/36  0  1  0;   0  -+q  -q2  +-p  1  0;   0  -+p  -p2  +-q  1  0;   0  1  0  -97/36
//   0  1.
struct SourceTransform {
  static constexpr int in = 6, out = kSide;
  NNC_INLINE static void apply(const Float* d, Float* to) {
    constexpr float middle = -97.0f / 36;
    const Float even_p = add_times(-kQ2, d[2], d[4]);
    const Float odd_p = times(kP, add_times(-kQ2, d[1], d[3]));
    const Float even_q = add_times(-kP2, d[2], d[4]);
    const Float odd_q = times(kQ, add_times(-kP2, d[1], d[3]));
    to[0] = add_times(middle, d[2], d[0] + d[4]);
    to[1] = even_p + odd_p;
    to[2] = even_p - odd_p;
    to[3] = even_q + odd_q;
    to[4] = even_q - odd_q;
    to[5] = add_times(middle, d[3], d[1] + d[5]);
  }
};

// The divisors of the interpolation: 1 over the product of a point's distances from the others.
inline constexpr float kScaleP = -81.0f / 130, kScaleQ = 8.0f / 65;

// Weights, 3 to 6: 1 0 0; scale (1 +-p p2); scale (1 +-q q2); 0 0 1.
struct WeightTransform {
  static constexpr int in = 3, out = kSide;
  NNC_INLINE static void apply(const Float* g, Float* to) {
    const Float even_p = add_times(kScaleP * kP2, g[2], times(kScaleP, g[0]));
    const Float odd_p = times(kScaleP * kP, g[1]);
    const Float even_q = add_times(kScaleQ * kQ2, g[2], times(kScaleQ, g[0]));
    const Float odd_q = times(kScaleQ * kQ, g[1]);
    to[0] = g[0];
    to[1] = even_p + odd_p;
    to[2] = even_p - odd_p;
    to[3] = even_q + odd_q;
    to[4] = even_q - odd_q;
    to[5] = g[2];
  }
};

// Products to result pixels, 6 to 4: 1 1 1 1 1 0; 0 p -p q -q 0; 0 p2 p2 q2 q2 0; 0 p3 -p3 q3
// -q3 1.
struct ResultTransform {
  static constexpr int in = kSide, out = 4;
  NNC_INLINE static void apply(const Float* m, Float* to) {
    const Float even_p = m[1] + m[2], odd_p = m[1] - m[2];
    const Float even_q = m[3] + m[4], odd_q = m[3] - m[4];
    to[0] = m[0] + (even_p + even_q);
    to[1] = add_times(kP, odd_p, times(kQ, odd_q));
    to[2] = add_times(kP2, even_p, times(kQ2, even_q));
    to[3] = add_times(kP3, odd_p, add_times(kQ3, odd_q, m[5]));
  }
};

// Gradients of result pixels, 4 to 6: what the weights are in the forward pass, with one more power
// of the points.
struct GradientTransform {
  static constexpr int in = 4, out = kSide;
  NNC_INLINE static void apply(const Float* g, Float* to) {
    const Float even_p = add_times(kScaleP * kP2, g[2], times(kScaleP, g[0]));
    const Float odd_p = add_times(kScaleP * kP3, g[3], times(kScaleP * kP, g[1]));
    const Float even_q = add_times(kScaleQ * kQ2, g[2], times(kScaleQ, g[0]));
    const Float odd_q = add_times(kScaleQ * kQ3, g[3], times(kScaleQ * kQ, g[1]));
    to[0] = g[0];
    to[1] = even_p + odd_p;
    to[2] = even_p - odd_p;
    to[3] = even_q + odd_q;
    to[4] = even_q - odd_q;
    to[5] = g[3];
  }
};

// Products to the gradient of the weights, 6 to 3: the first rows of the result's, infinity in the
// last.
struct WeightGradientTransform {
  static constexpr int in = kSide, out = 3;
  NNC_INLINE static void apply(const Float* m, Float* to) {
    const Float even_p = m[1] + m[2], odd_p = m[1] - m[2];
    const Float even_q = m[3] + m[4], odd_q = m[3] - m[4];
    to[0] = m[0] + (even_p + even_q);
    to[1] = add_times(kP, odd_p, times(kQ, odd_q));
    to[2] = add_times(kP2, even_p, add_times(kQ2, even_q, m[5]));
  }
};

// Transforms a square of vectors: `load(row, column)` gives it, `store(row, column, value)` takes
// the result.
template <class Transform, class Load, class Store>
NNC_INLINE void transform_square(Load load, Store store) {
  constexpr int in = Transform::in, out = Transform::out;
  Float half[out][in];
#pragma GCC unroll 6
  for (int j = 0; j < in; ++j) {
    Float column[in], transformed[out];
#pragma GCC unroll 6
    for (int i = 0; i < in; ++i) column[i] = load(i, j);
    Transform::apply(column, transformed);
#pragma GCC unroll 6
    for (int i = 0; i < out; ++i) half[i][j] = transformed[i];
  }
#pragma GCC unroll 6
  for (int i = 0; i < out; ++i) {
    Float transformed[out];
    Transform::apply(half[i], transformed);
#pragma GCC unroll 6
    for (int j = 0; j < out; ++j) store(i, j, transformed[j]);
  }
}

// Lane j of row i and of row i + Distance, where row i keeps its blocks of Distance lanes that have
// an even number and gets the even ones of the other row in the place of the odd ones; with Part =
// Distance, the same of the odd ones for row i + Distance.
template <int Distance, int Part, int... Lane>
NNC_INLINE Float exchange(Float a, Float b, std::integer_sequence<int, Lane...>) {
  return {__builtin_shufflevector(
      a.v, b.v, ((Lane & Distance) == 0 ? Lane + Part : kLanes + Lane - Distance + Part)...)};
}

// A square of vectors on its side: lane j of row i becomes lane i of row j.
template <int Distance = 1>
NNC_INLINE void transpose_square(Float* rows) {
  if constexpr (Distance < kLanes) {
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) {
      if ((i & Distance) != 0) continue;
      constexpr auto lanes = std::make_integer_sequence<int, kLanes>();
      const Float low = exchange<Distance, 0>(rows[i], rows[i + Distance], lanes);
      rows[i + Distance] = exchange<Distance, Distance>(rows[i], rows[i + Distance], lanes);
      rows[i] = low;
    }
    transpose_square<2 * Distance>(rows);
  }
}

}  // namespace nnrt::NNC_ISA
