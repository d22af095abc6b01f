// The transformations of Winograd's F(4x4, 3x3) on vectors of channels; p = 2/3 and q = 3/2 are the
// points beside 0 and infinity. In two dimensions every one is applied to the columns, then to the
// rows.
#pragma once

#include "cpu/isa/vector.h"

namespace nnrt::NNC_ISA {

inline constexpr int kSide = 6;  // of a transformed tile
inline constexpr int kPositions = kSide * kSide;
inline constexpr float kP = 2.0f / 3, kP2 = 4.0f / 9, kP3 = 8.0f / 27;
inline constexpr float kQ = 3.0f / 2, kQ2 = 9.0f / 4, kQ3 = 27.0f / 8;

NNC_INLINE Float times(float a, Float b) { return Float::broadcast(a) * b; }
NNC_INLINE Float add_times(float a, Float b, Float c) { return fma(Float::broadcast(a), b, c); }

// A transformation of one dimension gives its rows in groups, which share even and odd parts: in
// two dimensions the rows of a group, over all columns, stay in registers. Group g gives rows
// row(g, 0) and, where count(g) is 2, row(g, 1); gives(row) tells whether there is such a row,
// needs(g, i) whether operand i takes part, at(i) where it lies.

NNC_INLINE void add_and_subtract(Float even, Float odd, Float* to) {
  to[0] = even + odd;
  to[1] = even - odd;
}

struct InOrder {
  static constexpr int at(int i) { return i; }
};

// The groups of rows that belong to the points 0, +-p, +-q and infinity.
struct PointGroups : InOrder {
  static constexpr int groups = 4;
  static constexpr bool gives(int) { return true; }
  static constexpr int count(int group) { return group == 0 || group == 3 ? 1 : 2; }
  static constexpr int row(int group, int k) { return group == 0 ? 0 : 2 * group - 1 + k; }
};

// Source pixels, 6 to 6: the rows are
//   1 0 -97/36 0 1 0;  0 -+q -q2 +-p 1 0;  0 -+p -p2 +-q 1 0;  0 1 0 -97/36 0 1.
struct SourceTransform : PointGroups {
  static constexpr int in = 6;
  static constexpr bool needs(int group, int i) {
    return group == 0 ? i % 2 == 0 && i < 5 : group == 3 ? i % 2 == 1 : i > 0 && i < 5;
  }
  template <int Group>
  NNC_INLINE static void apply(const Float* d, Float* to) {
    constexpr float middle = -97.0f / 36;
    if constexpr (Group == 0) to[0] = add_times(middle, d[2], d[0] + d[4]);
    if constexpr (Group == 1) {
      add_and_subtract(add_times(-kQ2, d[2], d[4]), times(kP, add_times(-kQ2, d[1], d[3])), to);
    }
    if constexpr (Group == 2) {
      add_and_subtract(add_times(-kP2, d[2], d[4]), times(kQ, add_times(-kP2, d[1], d[3])), to);
    }
    if constexpr (Group == 3) to[0] = add_times(middle, d[3], d[1] + d[5]);
  }
};

// The divisors of the interpolation: 1 over the product of a point's distances from the others.
inline constexpr float kScaleP = -81.0f / 130, kScaleQ = 8.0f / 65;

// Weights, 3 to 6: 1 0 0; scale (1 +-p p2); scale (1 +-q q2); 0 0 1.
struct WeightTransform : PointGroups {
  static constexpr int in = 3;
  static constexpr bool needs(int group, int i) {
    return group == 0 ? i == 0 : group == 3 ? i == 2 : true;
  }
  template <int Group>
  NNC_INLINE static void apply(const Float* g, Float* to) {
    if constexpr (Group == 0) to[0] = g[0];
    if constexpr (Group == 1) {
      add_and_subtract(add_times(kScaleP * kP2, g[2], times(kScaleP, g[0])),
                       times(kScaleP * kP, g[1]), to);
    }
    if constexpr (Group == 2) {
      add_and_subtract(add_times(kScaleQ * kQ2, g[2], times(kScaleQ, g[0])),
                       times(kScaleQ * kQ, g[1]), to);
    }
    if constexpr (Group == 3) to[0] = g[2];
  }
};

// The same for tiles of 2 pixels, 3 to 4: 0, +-p and infinity, one after the other.
struct SmallWeightTransform : InOrder {
  static constexpr int in = 3, groups = 3;
  static constexpr bool gives(int row) { return row < 4; }
  static constexpr int count(int group) { return group == 1 ? 2 : 1; }
  static constexpr int row(int group, int k) { return group == 2 ? 3 : group + k; }
  static constexpr bool needs(int group, int i) {
    return group == 0 ? i == 0 : group == 2 ? i == 2 : true;
  }
  template <int Group>
  NNC_INLINE static void apply(const Float* g, Float* to) {
    WeightTransform::apply<Group == 2 ? 3 : Group>(g, to);
  }
};

// Gradients of result pixels, 4 to 6: what the weights are in the forward pass, with one more power
// of the points.
struct GradientTransform : PointGroups {
  static constexpr int in = 4;
  static constexpr bool needs(int group, int i) {
    return group == 0 ? i == 0 : group == 3 ? i == 3 : true;
  }
  template <int Group>
  NNC_INLINE static void apply(const Float* g, Float* to) {
    if constexpr (Group == 0) to[0] = g[0];
    if constexpr (Group == 1) {
      add_and_subtract(add_times(kScaleP * kP2, g[2], times(kScaleP, g[0])),
                       add_times(kScaleP * kP3, g[3], times(kScaleP * kP, g[1])), to);
    }
    if constexpr (Group == 2) {
      add_and_subtract(add_times(kScaleQ * kQ2, g[2], times(kScaleQ, g[0])),
                       add_times(kScaleQ * kQ3, g[3], times(kScaleQ * kQ, g[1])), to);
    }
    if constexpr (Group == 3) to[0] = g[3];
  }
};

// Products to result pixels, 6 to 4: 1 1 1 1 1 0; 0 p -p q -q 0; 0 p2 p2 q2 q2 0; 0 p3 -p3 q3
// -q3 1.
struct ResultTransform : InOrder {
  static constexpr int in = kSide, groups = 2;
  static constexpr bool gives(int row) { return row < 4; }
  static constexpr int count(int) { return 2; }
  static constexpr int row(int group, int k) { return group + 2 * k; }
  static constexpr bool needs(int group, int i) { return group == 0 ? i < 5 : i > 0; }
  template <int Group>
  NNC_INLINE static void apply(const Float* m, Float* to) {
    if constexpr (Group == 0) {
      const Float even_p = m[1] + m[2], even_q = m[3] + m[4];
      to[0] = m[0] + (even_p + even_q);
      to[1] = add_times(kP2, even_p, times(kQ2, even_q));
    } else {
      const Float odd_p = m[1] - m[2], odd_q = m[3] - m[4];
      to[0] = add_times(kP, odd_p, times(kQ, odd_q));
      to[1] = add_times(kP3, odd_p, add_times(kQ3, odd_q, m[5]));
    }
  }
};

// Products to the gradient of the weights, 6 to 3: the first rows of the result's, infinity in the
// last.
struct WeightGradientTransform : InOrder {
  static constexpr int in = kSide, groups = 2;
  static constexpr bool gives(int row) { return row < 3; }
  static constexpr int count(int group) { return group == 0 ? 2 : 1; }
  static constexpr int row(int group, int k) { return group + 2 * k; }
  static constexpr bool needs(int group, int i) { return group == 0 || (i > 0 && i < 5); }
  template <int Group>
  NNC_INLINE static void apply(const Float* m, Float* to) {
    if constexpr (Group == 0) {
      const Float even_p = m[1] + m[2], even_q = m[3] + m[4];
      to[0] = m[0] + (even_p + even_q);
      to[1] = add_times(kP2, even_p, add_times(kQ2, even_q, m[5]));
    } else {
      to[0] = add_times(kP, m[1] - m[2], times(kQ, m[3] - m[4]));
    }
  }
};

template <class Transform, int Group = 0>
NNC_INLINE void transform_line(const Float* from, Float* to) {
  if constexpr (Group < Transform::groups) {
    Float part[2];
    Transform::template apply<Group>(from, part);
    to[Transform::row(Group, 0)] = part[0];
    if constexpr (Transform::count(Group) == 2) to[Transform::row(Group, 1)] = part[1];
    transform_line<Transform, Group + 1>(from, to);
  }
}

// A square of vectors in memory. Where it lies is worked out anew for each square: kept from square
// to square, the 36 addresses would fill the stack and be loaded one by one.
template <class Number>
struct VectorSquare {
  Number* corner;
  int64_t row_stride, column_stride;

  NNC_INLINE VectorSquare(Number* first, int64_t row, int64_t column)
      : corner(first), row_stride(row), column_stride(column) {
    __asm__("" : "+r"(row_stride), "+r"(column_stride));
  }
  NNC_INLINE Number* at(int i, int j) const { return corner + i * row_stride + j * column_stride; }
};

// A row or a column of up to 6 vectors in memory: an address is a register and one of three
// distances, as an instruction adds them up. For the way back from products, where a VectorSquare's
// addresses are stored and loaded one by one: Zen 4, 6x6 to 4x4 vectors on AVX2 130 and 82 clocks,
// on AVX-512 the same. The way there loses 5 % on AVX-512.
template <class Number>
struct VectorLine {
  Number* first;
  int64_t step, three_steps, five_steps;

  // Where a line begins is worked out anew each time.
  NNC_INLINE VectorLine(Number* begin, int64_t step_size, int64_t three, int64_t five)
      : first(begin), step(step_size), three_steps(three), five_steps(five) {
    __asm__ volatile("" : "+r"(first));
  }
  NNC_INLINE Number* at(int i) const {
    return first + (i == 5 ? five_steps : i == 3 ? three_steps : i * step);
  }
};

// The lines of a square: `step` is that along a line.
template <class Number>
struct LineSquare {
  Number* corner;
  int64_t line_stride, step, three_steps, five_steps;

  NNC_INLINE LineSquare(Number* first, int64_t from_line_to_line, int64_t along)
      : corner(first),
        line_stride(from_line_to_line),
        step(along),
        three_steps(3 * along),
        five_steps(5 * along) {
    __asm__("" : "+r"(step), "+r"(three_steps), "+r"(five_steps));
  }
  NNC_INLINE VectorLine<Number> line(int i) const {
    return {corner + i * line_stride, step, three_steps, five_steps};
  }
};

// Of transform_square: vectors in columns.
struct LoadColumns {
  LineSquare<const float> in;
  NNC_INLINE auto column(int j) const {
    return [line = in.line(j)](int i)
               __attribute__((always_inline)) { return Float::load(line.at(i)); };
  }
};
// And in rows: `store(row, column, place, value)` takes the results.
template <class Store>
struct StoreRows {
  LineSquare<float> out;
  Store store;
  NNC_INLINE auto row(int i) const {
    return [line = out.line(i), this, i](int j, Float value)
               __attribute__((always_inline)) { store(i, j, line.at(j), value); };
  }
};
template <class Store>
StoreRows(LineSquare<float>, Store) -> StoreRows<Store>;

template <class Load>
NNC_INLINE auto column_of(const Load& load, int j) {
  if constexpr (requires { load.column(j); }) {
    return load.column(j);
  } else {
    return [&load, j](int i) __attribute__((always_inline)) { return load(i, j); };
  }
}
template <class Store>
NNC_INLINE auto row_of(const Store& store, int i) {
  if constexpr (requires { store.row(i); }) {
    return store.row(i);
  } else {
    return [&store, i](int j, Float value)
               __attribute__((always_inline)) { return store(i, j, value); };
  }
}

// Transforms a square of vectors, its columns by Down and its rows by Across: `load(row, column)`
// gives it, `store(row, column, value)` takes the result, or they are one of those above. Vectors
// are loaded again for each group: that is cheaper than to keep all columns.
template <class Down, class Across = Down, int Group = 0, class Load, class Store>
NNC_INLINE void transform_square(Load load, Store store) {
  if constexpr (Group < Down::groups) {
    constexpr int count = Down::count(Group);
    Float half[2][Across::in];
#pragma GCC unroll 6
    for (int j = 0; j < Across::in; ++j) {
      Float column[Down::in], part[2];
      const auto load_at = column_of(load, Across::at(j));
#pragma GCC unroll 6
      for (int i = 0; i < Down::in; ++i) {
        if (Down::needs(Group, i)) column[i] = load_at(Down::at(i));
      }
      Down::template apply<Group>(column, part);
#pragma GCC unroll 2
      for (int k = 0; k < count; ++k) half[k][j] = part[k];
    }
#pragma GCC unroll 2
    for (int k = 0; k < count; ++k) {
      Float line[kSide];
      transform_line<Across>(half[k], line);
      const auto store_at = row_of(store, Down::row(Group, k));
#pragma GCC unroll 6
      for (int j = 0; j < kSide; ++j) {
        if (Across::gives(j)) store_at(j, line[j]);
      }
    }
    transform_square<Down, Across, Group + 1>(load, store);
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
