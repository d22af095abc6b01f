// The transformations of Winograd's F(4, 2) over the points +-p, +-q and infinity, for the phases
// of a convolution of stride 2 (cpu/conv/winograd/winograd_strided.h). In one dimension a phase has
// two taps, and then all five points, or one, and then the finite four. Edges of less than 4 pixels
// have fewer points: p, then -p, then q; the factors that missing points leave behind are in the
// source's transformation, so that the weights' is the same for all tiles.
#pragma once

#include "cpu/conv/winograd/vector/winograd_transform.h"

namespace nnrt::NNC_ISA {

inline constexpr int kPhaseSide = 5;  // of a transformed tile
inline constexpr int kPhasePositions = kPhaseSide * kPhaseSide;
inline constexpr int kPhases = 4;

// The phases of two dimensions, in an order in which those that have a position are neighbours.
constexpr bool phase_has_two_rows(int phase) { return phase < 2; }
constexpr bool phase_has_two_columns(int phase) { return phase == 1 || phase == 2; }
struct PhaseRange {
  int first, count;
};
constexpr PhaseRange phases_at(int p) {
  const bool row = p / kPhaseSide == kPhaseSide - 1, column = p % kPhaseSide == kPhaseSide - 1;
  if (row) return column ? PhaseRange{1, 1} : PhaseRange{0, 2};
  return column ? PhaseRange{1, 2} : PhaseRange{0, kPhases};
}
constexpr bool phase_has(int phase, int p) {
  const PhaseRange range = phases_at(p);
  return phase >= range.first && phase < range.first + range.count;
}
// Pairs of a position before p and a phase; with p = kPhasePositions all of them.
constexpr int slices_before(int p) {
  int count = 0;
  for (int before = 0; before < p; ++before) count += phases_at(before).count;
  return count;
}
constexpr int slice_of(int phase, int p) { return slices_before(p) + phase - phases_at(p).first; }
// Positions of one phase before p.
constexpr int phase_positions(int phase, int p = kPhasePositions) {
  int count = 0;
  for (int before = 0; before < p; ++before) count += phase_has(phase, before) ? 1 : 0;
  return count;
}
inline constexpr int kSlices = slices_before(kPhasePositions);

// 1 over the product of a point's distances from the other finite points; -p and -q have the
// negative.
inline constexpr float kPhaseScaleP = -27.0f / 65, kPhaseScaleQ = 12.0f / 65;

// The groups of rows of an edge of `Pixels` (4: a whole tile): +-p, +-q, or q alone, and infinity.
template <int Pixels, bool Two>
struct PhaseGroups : InOrder {
  static constexpr int finite = (Pixels + 1) / 2;
  static constexpr int groups = finite + (Two ? 1 : 0);
  static constexpr int count(int group) { return group < Pixels / 2 ? 2 : 1; }
  static constexpr int row(int group, int k) {
    return group == finite ? kPhaseSide - 1 : 2 * group + k;
  }
  static constexpr bool gives(int row) { return row < Pixels || (Two && row == kPhaseSide - 1); }
};

// Source pixels of a phase. The rows of a whole tile are
//   -+p q2, -q2, +-p, 1;  -+q p2, -p2, +-q, 1;  1 0 -97/36 0 1;
// of an edge of 3 (q + p)(-1 p-q 1), (q - p)(1 -p-q 1), 2q (-p2 0 1), (p -p2 -q 1); of 2
// (p2 - q2)(+-p 1), (-p2 0 1); of 1 2p (p2 - q2), (-p 1).
template <int Pixels, bool Two>
struct PhaseSource : PhaseGroups<Pixels, Two> {
  static constexpr int in = Pixels + (Two ? 1 : 0);
  static constexpr bool needs(int group, int i) {
    const bool infinity = group == (Pixels + 1) / 2;
    if (Pixels == 4) return infinity ? i % 2 == 0 : i < 4;
    if (Pixels == 3) return infinity || (group == 0 ? i < 3 : i % 2 == 0 && i < 3);
    if (Pixels == 2) return infinity ? i % 2 == 0 : i < 2;
    return infinity || i == 0;
  }
  template <int Group>
  NNC_INLINE static void apply(const Float* d, Float* to) {
    constexpr bool infinity = Group == (Pixels + 1) / 2;
    if constexpr (Pixels == 4) {
      if constexpr (infinity) {
        to[0] = add_times(-97.0f / 36, d[2], d[0] + d[4]);
      } else {
        constexpr float point = Group == 0 ? kP : kQ, other = Group == 0 ? kQ2 : kP2;
        const Float even = add_times(-other, d[1], d[3]), odd = add_times(-other, d[0], d[2]);
        to[0] = add_times(point, odd, even);
        to[1] = add_times(-point, odd, even);
      }
    } else if constexpr (Pixels == 3) {
      if constexpr (infinity) {
        to[0] = add_times(kP, d[0], add_times(-kP2, d[1], add_times(-kQ, d[2], d[3])));
      } else if constexpr (Group == 0) {
        to[0] = times(kQ + kP, add_times(kP - kQ, d[1], d[2] - d[0]));
        to[1] = times(kQ - kP, add_times(-kP - kQ, d[1], d[2] + d[0]));
      } else {
        to[0] = times(2 * kQ, add_times(-kP2, d[0], d[2]));
      }
    } else if constexpr (Pixels == 2) {
      if constexpr (infinity) {
        to[0] = add_times(-kP2, d[0], d[2]);
      } else {
        add_and_subtract(times(kP2 - kQ2, d[1]), times((kP2 - kQ2) * kP, d[0]), to);
      }
    } else {
      to[0] = infinity ? add_times(-kP, d[0], d[1]) : times(2 * kP * (kP2 - kQ2), d[0]);
    }
  }
};

// Taps: scale (+-1 p), scale (+-1 q), (0 1).
template <bool Two>
struct PhaseWeights : PhaseGroups<4, Two> {
  static constexpr int in = Two ? 2 : 1;
  static constexpr bool needs(int group, int i) { return group < 2 || i == 1; }
  template <int Group>
  NNC_INLINE static void apply(const Float* g, Float* to) {
    if constexpr (Group == 2) {
      to[0] = g[1];
    } else {
      constexpr float point = Group == 0 ? kP : kQ;
      constexpr float scale = Group == 0 ? kPhaseScaleP : kPhaseScaleQ;
      const Float odd = times(scale, g[0]);
      if constexpr (Two) {
        add_and_subtract(times(scale * point, g[1]), odd, to);
      } else {
        to[0] = odd;
        to[1] = -odd;
      }
    }
  }
};

// Gradients of result pixels: what the taps of two are, with as many powers of the points as there
// are pixels.
template <int Pixels>
struct PhaseGradient : PhaseGroups<Pixels, true> {
  static constexpr int in = Pixels;
  static constexpr bool needs(int group, int i) {
    return group < (Pixels + 1) / 2 || i + 1 == Pixels;
  }
  template <int Group>
  NNC_INLINE static void apply(const Float* g, Float* to) {
    if constexpr (Group == (Pixels + 1) / 2) {
      to[0] = g[Pixels - 1];
    } else {
      constexpr float point = Group == 0 ? kP : kQ, square = Group == 0 ? kP2 : kQ2;
      constexpr float scale = Group == 0 ? kPhaseScaleP : kPhaseScaleQ;
      Float odd = times(scale, g[0]);
      if constexpr (Pixels > 2) odd = add_times(scale * square, g[2], odd);
      Float even = Float::zero();
      if constexpr (Pixels > 1) even = times(scale * point, g[1]);
      if constexpr (Pixels > 3) even = add_times(scale * point * square, g[3], even);
      if constexpr (2 * Group + 1 < Pixels) {
        add_and_subtract(even, odd, to);
      } else {
        to[0] = even + odd;
      }
    }
  }
};

// Products of the finite points and of infinity, where a phase has it.
template <int Pixels, bool Two>
struct PhaseProducts {
  static constexpr int in = Pixels + (Two ? 1 : 0);
  static constexpr int at(int i) { return i < Pixels ? i : kPhaseSide - 1; }
  // The sum of the products, and with the points as factors, their squares, their cubes.
  template <int Power>
  NNC_INLINE static Float sum(const Float* m) {
    constexpr bool even = Power % 2 == 0;
    constexpr float p = Power == 0 ? 1 : Power == 1 ? kP : Power == 2 ? kP2 : kP3;
    constexpr float q = Power == 0 ? 1 : Power == 1 ? kQ : Power == 2 ? kQ2 : kQ3;
    Float of_p = m[0];
    if constexpr (Pixels > 1) of_p = even ? m[0] + m[1] : m[0] - m[1];
    if constexpr (Power > 0) of_p = times(p, of_p);
    if constexpr (Pixels < 3) return of_p;
    Float of_q = m[2];
    if constexpr (Pixels > 3) of_q = even ? m[2] + m[3] : m[2] - m[3];
    if constexpr (Power == 0) return of_p + of_q;
    return add_times(q, of_q, of_p);
  }
};

// To result pixels: row k is the sum with the points' k-th power; infinity is in the last.
template <int Pixels, bool Two>
struct PhaseResult : PhaseProducts<Pixels, Two> {
  static constexpr int64_t pixels = Pixels;
  static constexpr int groups = Pixels > 1 ? 2 : 1;
  static constexpr int count(int group) { return (Pixels + 1 - group) / 2; }
  static constexpr int row(int group, int k) { return group + 2 * k; }
  static constexpr bool gives(int row) { return row < Pixels; }
  static constexpr bool needs(int group, int i) { return i < Pixels || (Pixels - 1) % 2 == group; }
  template <int Group>
  NNC_INLINE static void apply(const Float* m, Float* to) {
    to[0] = PhaseResult::template sum<Group>(m);
    if constexpr (PhaseResult::count(Group) == 2) to[1] = PhaseResult::template sum<Group + 2>(m);
    constexpr int last = PhaseResult::count(Group) - 1;
    if constexpr (Two && Group + 2 * last == Pixels - 1) to[last] += m[Pixels];
  }
};

// To the gradients of one or two taps.
template <bool Two>
struct PhaseWeightGradient : PhaseProducts<4, Two> {
  static constexpr int groups = 1;
  static constexpr int count(int) { return Two ? 2 : 1; }
  static constexpr int row(int, int k) { return k; }
  static constexpr bool gives(int row) { return row < (Two ? 2 : 1); }
  static constexpr bool needs(int, int) { return true; }
  template <int Group>
  NNC_INLINE static void apply(const Float* m, Float* to) {
    to[0] = PhaseWeightGradient::template sum<0>(m);
    if constexpr (Two) to[1] = PhaseWeightGradient::template sum<1>(m) + m[4];
  }
};

}  // namespace nnrt::NNC_ISA
