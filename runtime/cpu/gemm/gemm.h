// The block product that matrix products and convolutions share, as plain data: C[rows][columns]
// (+)= A[rows][depth] B[depth][columns], where A's rows and depth, and C's rows, are given as
// tables of offsets. A matrix, its transpose, the pixels under a convolution's window and their
// gradient are all just other tables, so one register tile (vector/product.h) serves them all.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nnrt {

// Some adjacent columns of B and C, at most as many as a register tile is wide.
struct GemmPanel {
  int64_t column = 0;   // first column in C
  int64_t a_shift = 0;  // added to every offset into A (the channels of a group)
  int64_t offset = 0;   // of the first element, in the packed copy of B or in B itself
  int64_t stride = 0;   // floats from one row of B to the next
  int64_t width = 0;    // columns
  bool packed = true;   // in the packed copy, padded to whole vectors; else read where it lies:
                        // width is whole vectors
};

// Memory that is asked for into L2 while a block is multiplied, some lines with each tile: rows of
// a fixed number of floats, at offsets from a table or a stride apart.
inline constexpr int64_t kMostPrefetched = 4;
struct PrefetchLines {
  struct Rows {
    const float* base = nullptr;
    const int64_t* offsets = nullptr;
    int64_t stride = 0, count = 0, floats = 0;
  };
  Rows rows[kMostPrefetched];
  int64_t parts = 0;     // of `rows` in use
  int64_t per_tile = 0;  // lines
  int64_t part = 0, row = 0, at = 0;
};

struct GemmBlock {
  const float* a = nullptr;
  const int64_t* a_rows =
      nullptr;  // A's element (r, k) is a[strip.a_shift + a_rows[r] + a_steps[k]]
  const int64_t* a_steps = nullptr;
  float* c = nullptr;
  const int64_t* c_rows = nullptr;  // C's element (r, n) is c[c_rows[r] + strip.column + n]
  int64_t rows = 0;
  const float* packed = nullptr;  // base of packed strips
  const float* plain = nullptr;   // base of strips read in place
  const GemmPanel* strips = nullptr;
  int64_t strip_count = 0;
  int64_t depth_begin = 0;  // rows of B to skip; a_steps is already past them
  int64_t depth = 0;
  bool accumulate = false;  // add to C, else overwrite it
  bool stream = false;      // non-temporal stores of C, if strips are whole vectors
  bool prefetch = false;    // ask for C's lines before (cpu/store_policy.h)
  // A's copy, tile by tile, step after step, where it is read from there (a_shift must be 0). For
  // an A whose rows lie side by side and its steps far apart.
  float* panels = nullptr;
  PrefetchLines* ahead = nullptr;
};

// Rows of the register tile. With the four vectors of AVX-512 that makes 24 accumulators, 4 of B
// and 1 of A of 32 registers, with the two of AVX2 12 + 2 + 1 of 16. Zen 5, data in L1: 240 to 245
// of 257 GF/s at any depth from 25.
inline constexpr int64_t kTileRows = 6;

// Depth of one pass over a strip of B. 256 x 64 floats are 64 KB: they stay in L2 (1 MB) beside the
// rows of A, and the tile of C is read and written once in 256 steps. Zen 5, matmul 1024: 128 to
// 384 are within 2 %.
inline constexpr int64_t kDepthBlock = 256;

// Parts of equal size (but for the last), each at most `limit`.
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
constexpr int64_t even_part(int64_t total, int64_t limit) {
  int64_t parts = ceil_div(total, limit);
  return parts > 0 ? ceil_div(total, parts) : 0;
}

// Columns cut into `count` strips of whole vectors, nearly equal in width (the last vector may not
// be full): where strip i begins. A strip of one vector beside full ones would run slower and give
// its unit less to do than the others have.
constexpr int64_t strip_begin(int64_t columns, int64_t lanes, int64_t count, int64_t i) {
  const int64_t begin = ceil_div(columns, lanes) * i / count * lanes;
  return begin < columns ? begin : columns;
}

// Rows of A that are copied at a time: 96 x 256 floats are 96 KB, in L2 beside a strip of B.
inline constexpr int64_t kPanelRows = 96;
// Whether the copy pays for an A with so many rows side by side, whose steps are `step` floats
// apart, under tiles of `tile` columns of which B has `columns`. A tile of
// 64 columns has time to fetch a line of A at each step, unless all of them fall into one set of
// L1. Zen 4: matmul 512 with A transposed 94 % of the peak without the copy and 88 % with it on
// AVX-512, 72 % and 88 % on AVX2; 1024, in one set, 83 % and 87 % on AVX-512; 7x7x3 to 64, 21 rows
// side by side, on AVX2 83 % and 76 %.
constexpr bool panels_pay(int64_t tile, int64_t adjacent, int64_t columns, int64_t step) {
  return adjacent >= 24 && columns >= 24 && (tile < 64 || step % 1024 == 0);
}
// A line lies between panels: those of 256 steps would share cache sets otherwise.
constexpr int64_t kPanelGap = 16;
constexpr int64_t panel_floats(int64_t rows, int64_t depth) {
  return rows * depth + ceil_div(rows, kTileRows) * kPanelGap;
}

// Rows at a distance of a multiple of this many bytes share few sets of L1, so that the rows of two
// tiles do not fit: there is no prefetch.
inline constexpr int64_t kAliasBytes = 2048;
constexpr bool aliases(int64_t floats) { return floats * 4 % kAliasBytes == 0; }

// Elements that one unit of a combining phase adds up: 16 KB of result, so that even small results
// make several units.
inline constexpr int64_t kCombineBlock = 4096;

// Every array in a scratch or workspace begins on a cache line.
inline constexpr int64_t kLine = 64;
constexpr size_t line_bytes(int64_t bytes) { return static_cast<size_t>(round_up(bytes, kLine)); }

}  // namespace nnrt
