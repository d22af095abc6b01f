// The product at one position of Winograd's algorithm: C[rows][columns] (+)= A[rows][depth]
// B[depth][columns], all of it in the cache, A with any strides. The tile is that of
// vector/product.h; here rows and steps are regular, so nothing is looked up.
#pragma once

#include "cpu/gemm/vector/micro_kernel.h"

namespace nnrt::NNC_ISA {

struct PositionProduct {
  int64_t a_row, a_step;  // A's element (r, k) is a[r * a_row + k * a_step]
  int64_t b_step;         // floats from row to row of B
  int64_t c_row;
  int64_t rows, depth;
  int64_t vectors;  // of a row of C, at most kPanelVectors
  bool accumulate;
  const float* next = nullptr;  // the B of the product that comes after, where memory is far
};

// What a tile asks for of the next B: from `at` on, `step` bytes further with each of its own.
struct PrefetchedWeights {
  const char* at;
  int64_t step;
};

template <int Lines, int Rows, int Vectors>
void multiply_position_tile(const PositionProduct& product, const float* a, const float* b,
                            float* c, PrefetchedWeights asked) {
  Float sum[Rows][Vectors];
  const float* row[Rows];
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
    row[r] = a + r * product.a_row;
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) sum[r][v] = Float::zero();
  }
  const int64_t a_step = product.a_step, b_step = product.b_step;
  int64_t at = 0;
#pragma GCC unroll 2
  for (int64_t k = 0; k < product.depth; ++k) {
    Float column[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      column[v] = Float::load(b + v * kLanes);
    }
    b += b_step;
#pragma GCC unroll 4
    for (int line = 0; line < Lines; ++line) __builtin_prefetch(asked.at + line * kLine, 0, 2);
    if constexpr (Lines > 0) asked.at += asked.step;
#pragma GCC unroll 12
    for (int r = 0; r < Rows; ++r) {
      const Float value = Float::broadcast(row[r][at]);
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v] = fma(value, column[v], sum[r][v]);
    }
    at += a_step;
  }
#pragma GCC unroll 12
  for (int r = 0; r < Rows; ++r) {
    float* to = c + r * product.c_row;
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      (product.accumulate ? Float::load(to + v * kLanes) + sum[r][v] : sum[r][v])
          .store(to + v * kLanes);
    }
  }
}

// A lone vector of columns needs more rows for as many sums as hide the latency of an addition.
inline constexpr int kNarrowRows = 2 * static_cast<int>(kTileRows);
constexpr int64_t position_rows(int64_t vectors) { return vectors == 1 ? kNarrowRows : kTileRows; }

using PositionTile = void (*)(const PositionProduct&, const float* a, const float* b, float* c,
                              PrefetchedWeights asked);
struct PositionTiles {
  PositionTile of[kPanelVectors][kNarrowRows];
};
template <int Lines, int Vectors, int... Row>
constexpr void set_position_tiles(PositionTiles& tiles, std::integer_sequence<int, Row...>) {
  ((tiles.of[Vectors - 1][Row] = &multiply_position_tile<Lines, Row + 1, Vectors>), ...);
}
template <int Lines, int... Vector>
constexpr PositionTiles make_position_tiles(std::integer_sequence<int, Vector...>) {
  PositionTiles tiles = {};
  (set_position_tiles<Lines, Vector + 1>(
       tiles, std::make_integer_sequence<int, position_rows(Vector + 1)>()),
   ...);
  return tiles;
}
template <int Lines>
inline constexpr PositionTiles kPositionTiles =
    make_position_tiles<Lines>(std::make_integer_sequence<int, kPanelVectors>());

inline const PositionTile* position_tiles(int64_t vectors, int64_t lines) {
  const PositionTiles& tiles = lines == 0   ? kPositionTiles<0>
                               : lines == 1 ? kPositionTiles<1>
                                            : kPositionTiles<2>;
  return tiles.of[vectors - 1];
}

// Where each of B's lines serves so few tiles, fetching it takes longer than its products: all of
// them ask for the next B then, evenly, at most two lines a step. Zen 4, 7x7 of 512 channels, 4
// images: 1.57 and 1.45 ms, on AVX2 2.20 and 1.61.
inline constexpr int64_t kPrefetchTiles = 12;
// Weights of a unit from so many floats on are fetched anew by each.
inline constexpr int64_t kFarWeights = 128 * 1024;

// Tiles of nearly equal height, as in multiply_block.
inline void multiply_position(const PositionProduct& product, const float* a, const float* b,
                              float* c) {
  const int64_t tiles = ceil_div(product.rows, position_rows(product.vectors));
  if (tiles == 0) return;
  const int64_t low = product.rows / tiles;
  const int64_t tall = product.rows % tiles;
  PrefetchedWeights asked = {nullptr, 0};
  int64_t lines = 0;
  if (product.next != nullptr && tiles <= kPrefetchTiles) {
    asked.at = reinterpret_cast<const char*>(product.next);
    asked.step = product.b_step * 4 / tiles;
    lines = ceil_div(asked.step, kLine);
  }
  const PositionTile* of = position_tiles(product.vectors, lines);
  int64_t row = 0;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t height = low + (t < tall ? 1 : 0);
    of[height - 1](product, a + row * product.a_row, b, c + row * product.c_row, asked);
    asked.at += asked.step * product.depth;
    row += height;
  }
}

}  // namespace nnrt::NNC_ISA
