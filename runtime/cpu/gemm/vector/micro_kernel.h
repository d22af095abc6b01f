// The block product on vectors: the register tile, its dispatch over rows and columns, and the
// packing of B. Invariant: the sum over depth of every element runs in ascending order, whatever
// tile it falls into.
#pragma once

#include "cpu/gemm/gemm.h"
#include "cpu/gemm/vector/register_epilogue.h"
#include "cpu/isa/vector.h"

namespace nnrt::NNC_ISA {

#if defined(__aarch64__) || NNC_VECTOR_BYTES >= 64
inline constexpr int kPanelVectors = 4;  // 32 registers: 6 x 4 accumulators
#else
inline constexpr int kPanelVectors = 2;  // 16 registers: 6 x 2 accumulators
#endif
inline constexpr int64_t kPanel = kPanelVectors * kLanes;

struct TileOperands {
  const float* a;
  const int64_t* a_rows;  // unused where A is a panel: its element (r, k) is a[k * rows + r]
  const int64_t* a_steps;
  const float* b;
  int64_t b_stride;
  float* c;
  const int64_t* c_rows;
  int64_t depth;
  int64_t width;
  bool accumulate;
  bool stream;                     // non-temporal stores of C
  const VectorEpilogue* epilogue;  // applied to C, where this is all of the sum; nullptr: nothing
  int64_t column;                  // of c in C, for it
  const int64_t* next_rows;        // rows of A to prefetch: the next tile's, or these
};

// A last vector of columns that is filled to its half at most: half the time where a whole one is
// made in two passes, the same elsewhere. Zen 4, 1x1 at 28x28: 144 to 24 channels 71 % of the peak
// with whole vectors and 83 % with a half, 96 to 40 channels 80 and 94 %.
inline constexpr bool kHalves = kLanes == 16;
using HalfFloat = Vec<float, kLanes / 2>;

template <int... Lane>
NNC_INLINE HalfFloat low_half(Float a, std::integer_sequence<int, Lane...>) {
  return {__builtin_shufflevector(a.v, a.v, Lane...)};
}
NNC_INLINE HalfFloat low_half(Float a) {
  return low_half(a, std::make_integer_sequence<int, kLanes / 2>());
}
template <int... Lane>
NNC_INLINE Float whole_of(HalfFloat a, std::integer_sequence<int, Lane...>) {
  return {__builtin_shufflevector(a.v, a.v, Lane...)};
}

// The sums of a register tile; with Half the last of its vectors is a half.
template <int Rows, int Vectors, bool Half>
struct TileSums {
  static constexpr int kWhole = Vectors - (Half ? 1 : 0);
  Float whole[Rows][kWhole > 0 ? kWhole : 1];
  HalfFloat half[Rows];

  // Vector v of all rows.
  NNC_INLINE void set(int v, Float value) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      if (v < kWhole) {
        whole[r][v] = value;
      } else {
        half[r] = low_half(value);
      }
    }
  }
  // += one step: A's element r is `a(r)`, B's row lies at b.
  template <class A>
  NNC_INLINE void add(A a, const float* b) {
    Float column[kWhole > 0 ? kWhole : 1];
    HalfFloat rest;
#pragma GCC unroll 8
    for (int v = 0; v < kWhole; ++v) column[v] = Float::load(b + v * kLanes);
    if constexpr (Half) rest = HalfFloat::load(b + kWhole * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const Float value = Float::broadcast(a(r));
#pragma GCC unroll 8
      for (int v = 0; v < kWhole; ++v) whole[r][v] = fma(value, column[v], whole[r][v]);
      if constexpr (Half) half[r] = fma(low_half(value), rest, half[r]);
    }
  }
  NNC_INLINE void copy_to(Float (&tile)[Rows][Vectors]) const {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < kWhole; ++v) tile[r][v] = whole[r][v];
      if constexpr (Half)
        tile[r][kWhole] = whole_of(half[r], std::make_integer_sequence<int, kLanes>());
    }
  }
};

// A's rows and steps from tables. A line of floats at a time: meanwhile the same steps of the next
// tile's rows are on their way.
template <int Rows, class Sums>
NNC_INLINE void multiply_rows(Sums& sums, const TileOperands& tile) {
  const float* row[Rows];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) row[r] = tile.a + tile.a_rows[r];
  const float* b = tile.b;
  const int64_t* step = tile.a_steps;
  const int64_t* const end = step + tile.depth;
  while (step != end) {
    const int64_t* part = end;
    if (end - step >= kLine / 4) {
      part = step + kLine / 4;
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) __builtin_prefetch(tile.a + tile.next_rows[r] + *step, 0, 3);
    }
#pragma GCC unroll 4
    for (; step != part; ++step) {
      const int64_t k = *step;
      sums.add([&](int r) __attribute__((always_inline)) { return row[r][k]; }, b);
      b += tile.b_stride;
    }
  }
}

template <int Rows, class Sums>
NNC_INLINE void multiply_panel(Sums& sums, const TileOperands& tile) {
  const float* a = tile.a;
  const float* b = tile.b;
#pragma GCC unroll 4
  for (int64_t k = 0; k < tile.depth; ++k) {
    sums.add([&](int r) __attribute__((always_inline)) { return a[r]; }, b);
    a += Rows;
    b += tile.b_stride;
  }
}

template <bool Panel, bool Half, int Rows, int Vectors>
void multiply_tile(const TileOperands& tile) {
  TileSums<Rows, Vectors, Half> sums;
  const int64_t last = tile.width - (Vectors - 1) * kLanes;
  const bool whole = last == kLanes;
  // A row that is added to all of C (a bias) comes first: that costs nothing.
  const float* const first =
      tile.epilogue != nullptr && !tile.accumulate ? tile.epilogue->rows[0] : nullptr;
#pragma GCC unroll 8
  for (int v = 0; v < Vectors; ++v) {
    Float value = Float::zero();
    if (first != nullptr) {
      const float* from = first + tile.column + v * kLanes;
      value = whole || v + 1 < Vectors ? Float::load(from) : Float::load_partial(from, last);
    }
    sums.set(v, value);
  }
  if constexpr (Panel) {
    multiply_panel<Rows>(sums, tile);
  } else {
    multiply_rows<Rows>(sums, tile);
  }
  Float sum[Rows][Vectors];
  sums.copy_to(sum);
  if (tile.accumulate) {
    // All loads, then all stores: none has to wait for a store it might overlap.
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const float* c = tile.c + tile.c_rows[r];
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) {
        const float* from = c + v * kLanes;
        sum[r][v] += whole || v + 1 < Vectors ? Float::load(from) : Float::load_partial(from, last);
      }
    }
  }
  const auto to = [&](int r) __attribute__((always_inline)) { return tile.c + tile.c_rows[r]; };
  if (tile.epilogue == nullptr) {
    whole ? write_tile<true>(sum, to, last, tile.stream) : write_tile<false>(sum, to, last, false);
  } else if (whole) {
    tile.epilogue->store_tile<true>(sum, to, tile.column, last, tile.stream, first != nullptr);
  } else {
    tile.epilogue->store_tile<false>(sum, to, tile.column, last, false, first != nullptr);
  }
}

using TileFunction = void (*)(const TileOperands&);
template <bool Panel, bool Half>
struct ProductTiles {
  TileFunction of[kTileRows][kPanelVectors];
};
template <bool Panel, bool Half, int Row, int... Vectors>
constexpr void set_product_tiles(ProductTiles<Panel, Half>& tiles,
                                 std::integer_sequence<int, Vectors...>) {
  ((tiles.of[Row][Vectors] = &multiply_tile<Panel, Half, Row + 1, Vectors + 1>), ...);
}
template <bool Panel, bool Half, int... Row>
constexpr ProductTiles<Panel, Half> make_product_tiles(std::integer_sequence<int, Row...>) {
  ProductTiles<Panel, Half> tiles = {};
  (set_product_tiles<Panel, Half, Row>(tiles, std::make_integer_sequence<int, kPanelVectors>()),
   ...);
  return tiles;
}
template <bool Panel, bool Half>
inline constexpr auto kTiles =
    make_product_tiles<Panel, Half>(std::make_integer_sequence<int, kTileRows>());

// The tiles for strips of `width` columns.
template <bool Panel>
NNC_INLINE const TileFunction (&tiles_of(int64_t width)) [kTileRows][kPanelVectors] {
  if constexpr (kHalves) {
    if ((width - 1) % kLanes < kLanes / 2) return kTiles<Panel, true>.of;
  }
  return kTiles<Panel, false>.of;
}

// Rows cut into tiles of nearly equal height: a lone last row would run at a third of the speed.
struct TileRows {
  int64_t tiles, low, tall;  // the first `tall` tiles have a row more

  NNC_INLINE explicit TileRows(int64_t rows)
      : tiles(ceil_div(rows, kTileRows)),
        low(tiles > 0 ? rows / tiles : 0),
        tall(tiles > 0 ? rows % tiles : 0) {}
  NNC_INLINE int64_t height(int64_t tile) const { return low + (tile < tall ? 1 : 0); }
};

// Panels of `count` tiles of Rows rows that lie side by side: panel[k * Rows + r] = A's element
// (r, k). Step by step, so that each line of A is read once.
template <int Rows>
void copy_adjacent(const float* a, const int64_t* steps, int64_t depth, int64_t count,
                   float* panels) {
  for (int64_t k = 0; k < depth; ++k) {
    const float* from = a + steps[k];
    float* to = panels + k * Rows;
    for (int64_t t = 0; t < count; ++t, from += Rows, to += Rows * depth + kPanelGap)
      __builtin_memcpy(to, from, Rows * sizeof(float));
  }
}
using CopyAdjacent = void (*)(const float*, const int64_t*, int64_t, int64_t, float*);
inline constexpr CopyAdjacent kCopyAdjacent[kTileRows] = {&copy_adjacent<1>, &copy_adjacent<2>,
                                                          &copy_adjacent<3>, &copy_adjacent<4>,
                                                          &copy_adjacent<5>, &copy_adjacent<6>};

// A of the whole block into its panels, one for each tile.
inline void copy_panels(const GemmBlock& block) {
  const TileRows cut(block.rows);
  int64_t row = 0;
  for (int64_t t = 0; t < cut.tiles;) {
    const int64_t height = cut.height(t);
    const int64_t* rows = block.a_rows + row;
    float* panel = block.panels + row * block.depth + t * kPanelGap;
    int64_t adjacent = 1;
    while (row + adjacent < block.rows && rows[adjacent] == rows[0] + adjacent) ++adjacent;
    int64_t count = 0;
    while (t + count < cut.tiles && cut.height(t + count) == height &&
           (count + 1) * height <= adjacent)
      ++count;
    if (count > 0) {
      kCopyAdjacent[height - 1](block.a + rows[0], block.a_steps, block.depth, count, panel);
    } else {
      count = 1;
      for (int64_t k = 0; k < block.depth; ++k) {
        for (int64_t r = 0; r < height; ++r)
          panel[k * height + r] = block.a[rows[r] + block.a_steps[k]];
      }
    }
    t += count;
    row += count * height;
  }
}

// So many lines a tile are asked for at most: more take longer than waiting for them. Zen 4,
// gradient of 3x3 weights, 128 x 28x28, 1 to 32 channels (231 lines): 86 % of the peak without,
// 60 % with.
inline constexpr int64_t kPrefetchLines = 128;

NNC_INLINE void add_ahead(PrefetchLines& ahead, PrefetchLines::Rows rows) {
  if (rows.offsets == nullptr && rows.stride == rows.floats) {
    rows.floats *= rows.count;
    rows.count = 1;
  }
  ahead.rows[ahead.parts++] = rows;
}

// Spreads the lines over the tiles.
NNC_INLINE void spread_ahead(PrefetchLines& ahead, int64_t tiles) {
  int64_t lines = 0;
  for (int64_t part = 0; part < ahead.parts; ++part)
    lines += ahead.rows[part].count * ceil_div(ahead.rows[part].floats, kLine / 4);
  ahead.per_tile = ceil_div(lines, tiles);
  if (ahead.per_tile > kPrefetchLines) ahead.parts = 0;
}

inline void prefetch_ahead(PrefetchLines& ahead) {
  for (int64_t line = 0; line < ahead.per_tile && ahead.part < ahead.parts; ++line) {
    const PrefetchLines::Rows& rows = ahead.rows[ahead.part];
    const int64_t offset =
        rows.offsets != nullptr ? rows.offsets[ahead.row] : ahead.row * rows.stride;
    __builtin_prefetch(rows.base + offset + ahead.at, 0, 2);
    ahead.at += kLine / 4;
    if (ahead.at < rows.floats) continue;
    ahead.at = 0;
    if (++ahead.row < rows.count) continue;
    ahead.row = 0;
    ++ahead.part;
  }
}

// Strip by strip, so that one strip of B stays in the cache while all rows pass over it.
inline void multiply_block(const GemmBlock& block, const VectorEpilogue* epilogue = nullptr) {
  const TileRows cut(block.rows);
  // Rows on lines of their own, which do not push each other out of the cache.
  const int64_t apart = block.rows > 1 ? block.a_rows[1] - block.a_rows[0] : 0;
  const bool ahead = apart >= kLine / 4 && !aliases(apart);
  for (int64_t s = 0; s < block.strip_count; ++s) {
    const GemmPanel& strip = block.strips[s];
    const int64_t vectors = ceil_div(strip.width, kLanes);
    const auto& tiles = tiles_of<false>(strip.width);
    const auto& panel_tiles = tiles_of<true>(strip.width);
    TileOperands tile;
    tile.a = block.a + strip.a_shift;
    tile.a_rows = nullptr;
    tile.a_steps = block.a_steps;
    tile.b = (strip.packed ? block.packed : block.plain) + strip.offset +
             block.depth_begin * strip.stride;
    tile.b_stride = strip.stride;
    tile.c = block.c + strip.column;
    tile.depth = block.depth;
    tile.width = strip.width;
    tile.accumulate = block.accumulate;
    tile.stream = block.stream;
    tile.epilogue = epilogue;
    tile.column = strip.column;
    for (int64_t t = 0, row = 0; t < cut.tiles; ++t) {
      const int64_t height = cut.height(t);
      tile.c_rows = block.c_rows + row;
      if (block.prefetch && !block.accumulate) {
        for (int64_t r = 0; r < height; ++r) {
          for (int64_t at = 0; at < strip.width; at += kLine / 4)
            __builtin_prefetch(tile.c + tile.c_rows[r] + at, 1, 3);
        }
      }
      if (epilogue != nullptr) {
        epilogue->prefetch<3>(
            tile.c, [&](int64_t r) { return tile.c_rows[r]; }, height, strip.width);
      }
      if (block.panels != nullptr) {
        tile.a = block.panels + row * block.depth + t * kPanelGap;
        panel_tiles[height - 1][vectors - 1](tile);
      } else {
        tile.a_rows = block.a_rows + row;
        // As many rows as this tile has: where the next one has a row less, from this one's last
        // on.
        const int64_t left = block.rows - row - height;
        tile.next_rows = tile.a_rows + (!ahead ? 0 : left < height ? left : height);
        tiles[height - 1][vectors - 1](tile);
      }
      if (block.ahead != nullptr) prefetch_ahead(*block.ahead);
      row += height;
    }
  }
}

// The same with as many rows at a time as panels have room for, copied first.
inline void multiply_copied(const GemmBlock& block) {
  if (block.panels == nullptr) {
    multiply_block(block);
    return;
  }
  const int64_t part_rows = round_up(even_part(block.rows, kPanelRows), kTileRows);
  GemmBlock part = block;
  for (int64_t row = 0; row < block.rows; row += part_rows) {
    part.a_rows = block.a_rows + row;
    part.c_rows = block.c_rows + row;
    part.rows = block.rows - row < part_rows ? block.rows - row : part_rows;
    copy_panels(part);
    multiply_block(part);
  }
}

// Lanes of a and b in turn: of their first halves, of their second halves.
template <int... Lane>
NNC_INLINE Float zip_low(Float a, Float b, std::integer_sequence<int, Lane...>) {
  return {__builtin_shufflevector(a.v, b.v, (Lane / 2 + Lane % 2 * kLanes)...)};
}
template <int... Lane>
NNC_INLINE Float zip_high(Float a, Float b, std::integer_sequence<int, Lane...>) {
  return {__builtin_shufflevector(a.v, b.v, (kLanes / 2 + Lane / 2 + Lane % 2 * kLanes)...)};
}

// Transposes kLanes vectors: each pass interleaves vector i with vector i + kLanes / 2, and
// log2(kLanes) passes exchange lane and vector numbers bit by bit.
NNC_INLINE void transpose_vectors(Float (&rows)[kLanes]) {
  constexpr auto lanes = std::make_integer_sequence<int, kLanes>();
#pragma GCC unroll 4
  for (int pass = 1; pass < kLanes; pass *= 2) {
    Float next[kLanes];
#pragma GCC unroll 16
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = zip_low(rows[i], rows[i + kLanes / 2], lanes);
      next[2 * i + 1] = zip_high(rows[i], rows[i + kLanes / 2], lanes);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
}

// The lanes of `low`, then those of `high`. Of shuffles GCC makes permutations by table here.
template <int N>
NNC_INLINE Vec<float, 2 * N> join(Vec<float, N> low, Vec<float, N> high) {
#if defined(__x86_64__) && NNC_VECTOR_BYTES >= 64
  if constexpr (N == 8) return {_mm512_insertf32x8(_mm512_castps256_ps512(low.v), high.v, 1)};
#endif
#if defined(__x86_64__) && NNC_VECTOR_BYTES >= 32
  if constexpr (N == 4) return {_mm256_insertf128_ps(_mm256_castps128_ps256(low.v), high.v, 1)};
#endif
  Vec<float, 2 * N> both;
  std::memcpy(&both.v, &low.v, sizeof low.v);
  std::memcpy(reinterpret_cast<char*>(&both.v) + sizeof low.v, &high.v, sizeof high.v);
  return both;
}
// The vector whose quads (of 4 lanes) lie at `from` and each `apart` floats behind the last.
template <int Lanes>
NNC_INLINE Vec<float, Lanes> load_quads(const float* from, int64_t apart) {
  if constexpr (Lanes == 4) {
    return Vec<float, 4>::load(from);
  } else {
    return join(load_quads<Lanes / 2>(from, apart),
                load_quads<Lanes / 2>(from + Lanes / 8 * apart, apart));
  }
}
// In every quad of a and b: `Run` lanes of a and of b in turn, from lane `First` on.
template <int First, int Run, int... Lane>
NNC_INLINE Float zip_quads(Float a, Float b, std::integer_sequence<int, Lane...>) {
  return {__builtin_shufflevector(a.v, b.v,
                                  (Lane / 4 * 4 + First + Lane % 4 / (2 * Run) * Run + Lane % Run +
                                   Lane / Run % 2 * kLanes)...)};
}
// Four columns of kLanes rows that lie `stride` floats apart, as four vectors.
NNC_INLINE void load_columns(const float* from, int64_t stride, Float* columns) {
  constexpr auto lanes = std::make_integer_sequence<int, kLanes>();
  Float row[4];
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) row[r] = load_quads<kLanes>(from + r * stride, 4 * stride);
  const Float low01 = zip_quads<0, 1>(row[0], row[1], lanes);
  const Float high01 = zip_quads<2, 1>(row[0], row[1], lanes);
  const Float low23 = zip_quads<0, 1>(row[2], row[3], lanes);
  const Float high23 = zip_quads<2, 1>(row[2], row[3], lanes);
  columns[0] = zip_quads<0, 2>(low01, low23, lanes);
  columns[1] = zip_quads<2, 2>(low01, low23, lanes);
  columns[2] = zip_quads<0, 2>(high01, high23, lanes);
  columns[3] = zip_quads<2, 2>(high01, high23, lanes);
}

// Panels that one thread writes in each run for all threads are written with non-temporal stores: a
// line in another core's cache would have to be taken from it first. Zen 4, Winograd's weights of
// 256 to 256 channels at 14x14: 5 % of the time instead of 28. Only if a vector is a whole line: on
// AVX2 products that read narrow strips from memory lost 12 % (128 x 512 x 784).
inline constexpr bool kSharedPast = kLanes * 4 == kLine;
template <bool Past>
NNC_INLINE void put(Float value, float* to) {
  if constexpr (Past) {
    value.stream(to);
  } else {
    value.store(to);
  }
}

// to[k * padded + n] = from[n * stride + k] for k < depth, n < width; zero for the other n <
// padded. Zen 4, AVX-512, 256 x 64: 1.7 us by columns and 2.6 by whole rows; where rows push each
// other out of L1, 6.0 and 3.6.
template <bool Shared>
void pack_transposed(const float* from, int64_t stride, int64_t depth, int64_t width,
                     int64_t padded, float* to) {
  constexpr bool kPast = Shared && kSharedPast;
  const bool by_columns = !aliases(stride);
  for (int64_t k = 0; k < depth; k += kLanes) {
    const int64_t count = depth - k < kLanes ? depth - k : kLanes;
    for (int64_t n = 0; n < padded; n += kLanes) {
      const float* source = from + n * stride + k;
      float* target = to + k * padded + n;
      const bool whole = count == kLanes && n + kLanes <= width;
      if (whole && by_columns) {
#pragma GCC unroll 4
        for (int i = 0; i < kLanes; i += 4) {
          Float columns[4];
          load_columns(source + i, stride, columns);
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j) put<kPast>(columns[j], target + (i + j) * padded);
        }
      } else if (whole) {
        Float rows[kLanes];
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) rows[i] = Float::load(source + i * stride);
        transpose_vectors(rows);
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) put<kPast>(rows[i], target + i * padded);
      } else {
        Float rows[kLanes];
        for (int i = 0; i < kLanes; ++i) {
          rows[i] = n + i < width ? Float::load_partial(source + i * stride, count) : Float::zero();
        }
        transpose_vectors(rows);
        for (int64_t i = 0; i < count; ++i) put<kPast>(rows[i], target + i * padded);
      }
    }
  }
}

// to[k * padded + n] = from[k * row_stride + n * column_stride] for n < width, zero for the other n
// < padded. One stride is 1.
template <bool Shared>
void pack_strip(const float* from, int64_t row_stride, int64_t column_stride, int64_t depth,
                int64_t width, int64_t padded, float* to) {
  if (column_stride != 1) {
    pack_transposed<Shared>(from, column_stride, depth, width, padded, to);
    return;
  }
  for (int64_t k = 0; k < depth; ++k) {
    const float* source = from + k * row_stride;
    float* target = to + k * padded;
    int64_t n = 0;
    for (; n + kLanes <= width; n += kLanes)
      put<Shared && kSharedPast>(Float::load(source + n), target + n);
    if (n < padded)
      put<Shared && kSharedPast>(Float::load_partial(source + n, width - n), target + n);
  }
}

// Adds `count` arrays of `elements` floats, in order, over [begin, end) of the result.
inline void add_partials(const float* partials, int64_t count, int64_t elements, float* result,
                         int64_t begin, int64_t end) {
  int64_t i = begin;
  for (; i < end; i += kLanes) {
    const int64_t left = end - i;
    Float sum = Float::zero();
    if (left >= kLanes) {
      for (int64_t p = 0; p < count; ++p) sum += Float::load(partials + p * elements + i);
      sum.store(result + i);
    } else {
      for (int64_t p = 0; p < count; ++p)
        sum += Float::load_partial(partials + p * elements + i, left);
      sum.store_partial(result + i, left);
    }
  }
}

// Blocks [begin, end), of kCombineBlock elements, of a gradient of weights whose `count` parts lie
// in the workspace.
inline void combine_parts(const Call& call, int64_t count, int64_t elements, int64_t begin,
                          int64_t end) {
  const int64_t last = end * kCombineBlock;
  add_partials(static_cast<const float*>(call.workspace), count, elements,
               static_cast<float*>(call.results[0]), begin * kCombineBlock,
               last < elements ? last : elements);
}

}  // namespace nnrt::NNC_ISA
