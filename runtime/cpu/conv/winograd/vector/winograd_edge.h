// Tiles at the lower and right edge that hold only 1, 2 or 3 rows or columns of pixels need no more
// than 3, 4 or 5 of the 6 points: infinity, 0, 2/3, then -2/3, then 3/2. The factors that the
// missing points leave behind are in the source's transformation, so that the weights' is the same
// for all tiles, and an edge takes part in the products of its points alone.
#pragma once

#include "cpu/conv/winograd/vector/winograd_transform.h"
#include "cpu/conv/winograd/winograd.h"

namespace nnrt::NNC_ISA {

// A tile among all tiles, which go image by image, row by row.
struct TileIndex {
  int64_t image, row, column;

  NNC_INLINE TileIndex(const WinogradTiles& tiles, int64_t index)
      : image(index / (tiles.rows * tiles.columns)),
        row(index / tiles.columns % tiles.rows),
        column(index % tiles.columns) {}
  NNC_INLINE void next(const WinogradTiles& tiles) {
    if (++column < tiles.columns) return;
    column = 0;
    if (++row < tiles.rows) return;
    row = 0;
    ++image;
  }
  NNC_INLINE bool low(const WinogradTiles& tiles) const {
    return tiles.edge_row && row + 1 == tiles.rows;
  }
  NNC_INLINE bool narrow(const WinogradTiles& tiles) const {
    return tiles.edge_column && column + 1 == tiles.columns;
  }
};

// The order in which the tiles of a block lie side by side: narrow ones, whole ones, low ones, and
// those that are both. So the tiles that have a position are neighbours, whichever position it is.
class TileOrder {
 public:
  NNC_INLINE TileOrder(const WinogradTiles& tiles, int64_t begin, int64_t end)
      : tiles_(tiles), end_(end - begin) {
    if (tiles.edge == 0) return;
    const Counts until(tiles, end), before(tiles, begin);
    both_ = end_ - (until.both - before.both);
    low_ = both_ - (until.low - before.low);
    whole_ = until.narrow - before.narrow;
    next_[1] = whole_;
    next_[2] = low_;
    next_[3] = both_;
  }
  // The place of a tile; they are asked for in the order of their index.
  NNC_INLINE int64_t take(const TileIndex& tile) {
    if (tiles_.edge == 0) return next_[0]++;
    const bool narrow = tile.narrow(tiles_);
    return next_[tile.low(tiles_) ? (narrow ? 3 : 2) : (narrow ? 0 : 1)]++;
  }
  // The places of the tiles that have the position of two points, which whole tiles have.
  struct Range {
    int64_t begin, end;
  };
  NNC_INLINE Range at(int row, int column) const {
    if (tiles_.edge == 0) return {0, end_};
    const bool of_low = !tiles_.edge_row || edge_has(row);
    const bool of_narrow = !tiles_.edge_column || edge_has(column);
    return {of_narrow ? 0 : whole_, !of_low ? low_ : of_narrow ? end_ : both_};
  }

 private:
  // Among tiles [0, until).
  struct Counts {
    int64_t narrow = 0, low = 0, both = 0;
    NNC_INLINE Counts(const WinogradTiles& tiles, int64_t until) {
      const int64_t columns = tiles.columns - (tiles.edge_column ? 1 : 0);
      const int64_t rows = tiles.rows - (tiles.edge_row ? 1 : 0);
      const TileIndex tile(tiles, until);
      if (tiles.edge_column) narrow = tile.image * rows + (tile.row < rows ? tile.row : rows);
      if (tiles.edge_row) {
        const int64_t begun = tile.row < rows ? 0 : tile.column;
        low = tile.image * columns + (begun < columns ? begun : columns);
      }
      if (tiles.edge_row && tiles.edge_column) both = tile.image;
    }
  };
  NNC_INLINE bool edge_has(int64_t point) const {
    return point <= tiles_.edge + tiles_.side - kSide || point == tiles_.side - 1;
  }

  const WinogradTiles& tiles_;
  int64_t whole_ = 0, low_ = 0, both_ = 0, end_;  // where they begin; all end
  int64_t next_[4] = {0, 0, 0, 0};
};

// The points of an edge of 1: 0, p and infinity.
struct OneGroups {
  static constexpr int groups = 3;
  static constexpr int count(int) { return 1; }
  static constexpr int row(int group, int) { return group == 2 ? kSide - 1 : group; }
  static constexpr bool gives(int row) { return row < 2 || row == kSide - 1; }
};
// Of 2, and of whole tiles of that size: 0, +-p and infinity.
struct TwoGroups {
  static constexpr int groups = 3;
  static constexpr int count(int group) { return group == 1 ? 2 : 1; }
  static constexpr int row(int group, int k) { return group == 2 ? kSide - 1 : group + k; }
  static constexpr bool gives(int row) { return row < 3 || row == kSide - 1; }
};
// Of 3: 0, +-p, q and infinity.
struct ThreeGroups {
  static constexpr int groups = 4;
  static constexpr int count(int group) { return group == 1 ? 2 : 1; }
  static constexpr int row(int group, int k) {
    return group == 3 ? kSide - 1 : group == 2 ? 3 : group + k;
  }
  static constexpr bool gives(int row) { return row < 4 || row == kSide - 1; }
};

// Source pixels, 3 to 3: 1 -q 0; 2p (p2 - q2) (0 1 0); 0 -p 1.
struct OneSource : OneGroups, InOrder {
  static constexpr int in = 3;
  static constexpr bool needs(int group, int i) { return i == group || i == 1; }
  template <int Group>
  NNC_INLINE static void apply(const Float* d, Float* to) {
    if constexpr (Group == 0) to[0] = add_times(-kQ, d[1], d[0]);
    if constexpr (Group == 1) to[0] = times(2 * kP * (kP2 - kQ2), d[1]);
    if constexpr (Group == 2) to[0] = add_times(-kP, d[1], d[2]);
  }
};

// 4 to 4: 1 0 -q2 0; (p2 - q2) (0 +-p 1 0); 0 -p2 0 1.
struct TwoSource : TwoGroups, InOrder {
  static constexpr int in = 4;
  static constexpr bool needs(int group, int i) {
    return group == 0 ? i % 2 == 0 : group == 1 ? i == 1 || i == 2 : i % 2 == 1;
  }
  template <int Group>
  NNC_INLINE static void apply(const Float* d, Float* to) {
    if constexpr (Group == 0) to[0] = add_times(-kQ2, d[2], d[0]);
    if constexpr (Group == 1)
      add_and_subtract(times(kP2 - kQ2, d[2]), times((kP2 - kQ2) * kP, d[1]), to);
    if constexpr (Group == 2) to[0] = add_times(-kP2, d[1], d[3]);
  }
};

// 5 to 5: 1 -p -q2 q 0; (q + p) (0 -1 p-q 1 0); (q - p) (0 1 -p-q 1 0); 2q (0 -p2 0 1 0);
// 0 p -p2 -q 1.
struct ThreeSource : ThreeGroups, InOrder {
  static constexpr int in = 5;
  static constexpr bool needs(int group, int i) {
    return group == 0 ? i < 4 : group == 2 ? i == 1 || i == 3 : i > 0 && (i < 4 || group == 3);
  }
  template <int Group>
  NNC_INLINE static void apply(const Float* d, Float* to) {
    if constexpr (Group == 0)
      to[0] = add_times(-kP, d[1], add_times(-kQ2, d[2], add_times(kQ, d[3], d[0])));
    if constexpr (Group == 1) {
      to[0] = times(kQ + kP, add_times(kP - kQ, d[2], d[3] - d[1]));
      to[1] = times(kQ - kP, add_times(-kP - kQ, d[2], d[3] + d[1]));
    }
    if constexpr (Group == 2) to[0] = times(2 * kQ, add_times(-kP2, d[1], d[3]));
    if constexpr (Group == 3)
      to[0] = add_times(kP, d[1], add_times(-kP2, d[2], add_times(-kQ, d[3], d[4])));
  }
};

// Gradients of result pixels, 1 to 3, 2 to 4 and 3 to 5.
struct OneGradient : OneGroups, InOrder {
  static constexpr int in = 1;
  static constexpr bool needs(int, int) { return true; }
  template <int Group>
  NNC_INLINE static void apply(const Float* g, Float* to) {
    to[0] = Group == 1 ? times(kScaleP, g[0]) : g[0];
  }
};
struct TwoGradient : TwoGroups, InOrder {
  static constexpr int in = 2;
  static constexpr bool needs(int group, int i) { return group == 1 || i == group / 2; }
  template <int Group>
  NNC_INLINE static void apply(const Float* g, Float* to) {
    if constexpr (Group == 0) to[0] = g[0];
    if constexpr (Group == 1) add_and_subtract(times(kScaleP, g[0]), times(kScaleP * kP, g[1]), to);
    if constexpr (Group == 2) to[0] = g[1];
  }
};
// As weights, but for -q.
struct ThreeGradient : ThreeGroups, InOrder {
  static constexpr int in = 3;
  static constexpr bool needs(int group, int i) { return WeightTransform::needs(group, i); }
  template <int Group>
  NNC_INLINE static void apply(const Float* g, Float* to) {
    if constexpr (Group == 2) {
      to[0] = add_times(kScaleQ * kQ2, g[2], add_times(kScaleQ * kQ, g[1], times(kScaleQ, g[0])));
    } else {
      WeightTransform::apply<Group>(g, to);
    }
  }
};

// Products to result pixels, 3 to 1: their sum.
struct OneResult {
  static constexpr int in = 3, groups = 1;
  static constexpr int at(int i) { return i < 2 ? i : kSide - 1; }
  static constexpr int count(int) { return 1; }
  static constexpr int row(int, int) { return 0; }
  static constexpr bool gives(int row) { return row < 1; }
  static constexpr bool needs(int, int) { return true; }
  template <int Group>
  NNC_INLINE static void apply(const Float* m, Float* to) {
    to[0] = m[0] + (m[1] + m[2]);
  }
};
// 4 to 2: 1 1 1 0; 0 p -p 1.
struct TwoResult {
  static constexpr int in = 4, groups = 1;
  static constexpr int at(int i) { return i < 3 ? i : kSide - 1; }
  static constexpr int count(int) { return 2; }
  static constexpr int row(int, int k) { return k; }
  static constexpr bool gives(int row) { return row < 2; }
  static constexpr bool needs(int, int) { return true; }
  template <int Group>
  NNC_INLINE static void apply(const Float* m, Float* to) {
    to[0] = m[0] + (m[1] + m[2]);
    to[1] = add_times(kP, m[1] - m[2], m[3]);
  }
};
// 5 to 3: 1 1 1 1 0; 0 p -p q 0; 0 p2 p2 q2 1.
struct ThreeResult {
  static constexpr int in = 5, groups = 2;
  static constexpr int at(int i) { return i < 4 ? i : kSide - 1; }
  static constexpr int count(int group) { return group == 0 ? 2 : 1; }
  static constexpr int row(int group, int k) { return group + 2 * k; }
  static constexpr bool gives(int row) { return row < 3; }
  static constexpr bool needs(int group, int i) { return group == 0 || (i > 0 && i < 4); }
  template <int Group>
  NNC_INLINE static void apply(const Float* m, Float* to) {
    if constexpr (Group == 0) {
      const Float even = m[1] + m[2];
      to[0] = m[0] + (even + m[3]);
      to[1] = add_times(kP2, even, add_times(kQ2, m[3], m[4]));
    } else {
      to[0] = add_times(kP, m[1] - m[2], times(kQ, m[3]));
    }
  }
};

template <class One, class Two, class Three, class Whole>
struct BySize {
  template <int Pixels>
  using of = std::conditional_t<
      Pixels == 1, One,
      std::conditional_t<Pixels == 2, Two, std::conditional_t<Pixels == 3, Three, Whole>>>;
};
using SourceBySize = BySize<OneSource, TwoSource, ThreeSource, SourceTransform>;
using GradientBySize = BySize<OneGradient, TwoGradient, ThreeGradient, GradientTransform>;
using ResultBySize = BySize<OneResult, TwoResult, ThreeResult, ResultTransform>;

// body(rows, columns): of the tile's pixels as its transformations take them, constants.
template <int Edge, int Whole = 4, class Body>
NNC_INLINE void with_edge(bool low, bool narrow, Body body) {
  constexpr std::integral_constant<int, Whole> whole;
  constexpr std::integral_constant<int, Edge> edge;
  if (low && narrow) {
    body(edge, edge);
  } else if (low) {
    body(edge, whole);
  } else {
    body(whole, edge);
  }
}
// `Small`: whole tiles may have a size of 2.
template <bool Small, class Body>
NNC_INLINE void with_tile_size(const WinogradTiles& tiles, const TileIndex& tile, Body body) {
  const bool low = tile.low(tiles), narrow = tile.narrow(tiles);
  if (Small && tiles.size == 2) {
    constexpr std::integral_constant<int, 2> whole;
    if (low || narrow) {
      with_edge<1, 2>(low, narrow, body);
    } else {
      body(whole, whole);
    }
  } else if (!low && !narrow) {
    constexpr std::integral_constant<int, 4> whole;
    body(whole, whole);
  } else if (tiles.edge == 1) {
    with_edge<1>(low, narrow, body);
  } else if (tiles.edge == 2) {
    with_edge<2>(low, narrow, body);
  } else {
    with_edge<3>(low, narrow, body);
  }
}

// body(tile, place in the block, rows, columns) for tiles [begin, end), the last two as above.
template <bool Small = false, class Body>
NNC_INLINE void over_tiles(const WinogradTiles& tiles, int64_t begin, int64_t end, Body body) {
  TileOrder order(tiles, begin, end);
  TileIndex tile(tiles, begin);
  for (int64_t t = begin; t < end; ++t, tile.next(tiles)) {
    const int64_t place = order.take(tile);
    with_tile_size<Small>(tiles, tile, [&](auto rows, auto columns) __attribute__((always_inline)) {
      body(tile, place, rows, columns);
    });
  }
}

}  // namespace nnrt::NNC_ISA
