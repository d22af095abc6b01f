// The block product on vectors: the register tile, its dispatch over rows and columns, and the
// packing of B. Invariant: the sum over depth of every element runs in ascending order, whatever
// tile it falls into.
#pragma once

#include "cpu/product.h"
#include "cpu/vector.h"

namespace nnrt::NNC_ISA {

#if defined(__aarch64__) || NNC_VECTOR_BYTES >= 64
inline constexpr int kPanelVectors = 4;  // 32 registers: 6 x 4 accumulators
#else
inline constexpr int kPanelVectors = 2;  // 16 registers: 6 x 2 accumulators
#endif
inline constexpr int64_t kPanel = kPanelVectors * kLanes;

struct TileOperands {
  const float* a;
  const int64_t* a_rows;
  const int64_t* a_steps;
  const float* b;
  int64_t b_stride;
  float* c;
  const int64_t* c_rows;
  int64_t depth;
  int64_t width;
  bool accumulate;
};

template <int Rows, int Vectors>
void multiply_tile(const TileOperands& tile) {
  Float sum[Rows][Vectors];
  const float* row[Rows];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    row[r] = tile.a + tile.a_rows[r];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sum[r][v] = Float::zero();
  }
  const float* b = tile.b;
  const int64_t b_stride = tile.b_stride;
  const int64_t* step = tile.a_steps;
  const int64_t* const end = step + tile.depth;
#pragma GCC unroll 4
  for (; step != end; ++step) {
    const int64_t k = *step;
    Float column[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) column[v] = Float::load(b + v * kLanes);
    b += b_stride;
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const Float a = Float::broadcast(row[r][k]);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] = fma(a, column[v], sum[r][v]);
    }
  }
  const int64_t last = tile.width - (Vectors - 1) * kLanes;
  const bool whole = last == kLanes;
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
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    float* c = tile.c + tile.c_rows[r];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      float* to = c + v * kLanes;
      if (whole || v + 1 < Vectors) {
        sum[r][v].store(to);
      } else {
        sum[r][v].store_partial(to, last);
      }
    }
  }
}

using TileFunction = void (*)(const TileOperands&);
template <int... Vectors>
struct ProductTiles {
  TileFunction of[kTileRows][sizeof...(Vectors)] = {
      {&multiply_tile<1, Vectors + 1>...}, {&multiply_tile<2, Vectors + 1>...},
      {&multiply_tile<3, Vectors + 1>...}, {&multiply_tile<4, Vectors + 1>...},
      {&multiply_tile<5, Vectors + 1>...}, {&multiply_tile<6, Vectors + 1>...}};
};
template <int... Vectors>
constexpr ProductTiles<Vectors...> make_product_tiles(std::integer_sequence<int, Vectors...>) {
  return {};
}
inline constexpr auto kTiles = make_product_tiles(std::make_integer_sequence<int, kPanelVectors>());

// Strip by strip, so that one strip of B stays in the cache while all rows pass over it.
inline void multiply_block(const ProductBlock& block) {
  const int64_t tiles = ceil_div(block.rows, kTileRows);
  if (tiles == 0) return;
  // Tiles of nearly equal height: a lone last row would run at a third of the speed.
  const int64_t low = block.rows / tiles;
  const int64_t tall = block.rows % tiles;
  for (int64_t s = 0; s < block.strip_count; ++s) {
    const ProductStrip& strip = block.strips[s];
    const int64_t vectors = ceil_div(strip.width, kLanes);
    TileOperands tile;
    tile.a = block.a + strip.a_shift;
    tile.a_steps = block.a_steps;
    tile.b = (strip.packed ? block.packed : block.plain) + strip.offset +
             block.depth_begin * strip.stride;
    tile.b_stride = strip.stride;
    tile.c = block.c + strip.column;
    tile.depth = block.depth;
    tile.width = strip.width;
    tile.accumulate = block.accumulate;
    int64_t row = 0;
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t height = low + (t < tall ? 1 : 0);
      tile.a_rows = block.a_rows + row;
      tile.c_rows = block.c_rows + row;
      kTiles.of[height - 1][vectors - 1](tile);
      row += height;
    }
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

// to[k * padded + n] = from[n * stride + k] for k < depth, n < width; zero for the other n <
// padded.
inline void pack_transposed(const float* from, int64_t stride, int64_t depth, int64_t width,
                            int64_t padded, float* to) {
  for (int64_t k = 0; k < depth; k += kLanes) {
    const int64_t count = depth - k < kLanes ? depth - k : kLanes;
    for (int64_t n = 0; n < padded; n += kLanes) {
      Float rows[kLanes];
      if (count == kLanes && n + kLanes <= width) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) rows[i] = Float::load(from + (n + i) * stride + k);
      } else {
        for (int i = 0; i < kLanes; ++i) {
          rows[i] = n + i < width ? Float::load_partial(from + (n + i) * stride + k, count)
                                  : Float::zero();
        }
      }
      transpose_vectors(rows);
      float* target = to + k * padded + n;
      if (count == kLanes) {
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) rows[i].store(target + i * padded);
      } else {
        for (int64_t i = 0; i < count; ++i) rows[i].store(target + i * padded);
      }
    }
  }
}

// to[k * padded + n] = from[k * row_stride + n * column_stride] for n < width, zero for the other n
// < padded. One stride is 1.
inline void pack_strip(const float* from, int64_t row_stride, int64_t column_stride, int64_t depth,
                       int64_t width, int64_t padded, float* to) {
  if (column_stride != 1) {
    pack_transposed(from, column_stride, depth, width, padded, to);
    return;
  }
  for (int64_t k = 0; k < depth; ++k) {
    const float* source = from + k * row_stride;
    float* target = to + k * padded;
    int64_t n = 0;
    for (; n + kLanes <= width; n += kLanes) Float::load(source + n).store(target + n);
    if (n < padded) Float::load_partial(source + n, width - n).store(target + n);
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

}  // namespace nnrt::NNC_ISA
