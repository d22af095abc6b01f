// Register tiles of depthwise convolutions: a few neighbouring pixels of one row, on vectors of
// channels.
#pragma once

#include "cpu/conv/conv.h"
#include "cpu/conv/vector/conv_window.h"
#include "cpu/gemm/vector/register_epilogue.h"

namespace nnrt::NNC_ISA {

struct DepthwiseTile {
  const float* source;    // under the first pixel
  int64_t source_stride;  // between pixels
  float* result;
  int64_t result_stride;
  const float* w;
  int64_t w_stride;  // between taps
  // Taps in rows and columns: which of w, and offsets into the source.
  const int64_t* taps;
  int64_t tap_columns;  // of all
  int64_t first_row, end_row, first_column, end_column;
  const int64_t* row_at;
  const int64_t* column_at;
  int64_t row_stride, column_stride;
  int64_t lanes;  // of the last vector
  bool stream;    // non-temporal stores
  // Of the source pixels under a run of pixels, from the first tap of the first: which lie inside.
  int64_t first_inside, end_inside;
  const VectorEpilogue* epilogue;
  int64_t channel;
  // Later reads are prefetched: this many lines with each vector of channels.
  const float* ahead;
  int64_t ahead_lines;
  // Lines of the result, so far below those of the tile, are asked for too; 0: none.
  int64_t result_ahead;
};

NNC_INLINE void prefetch_ahead(DepthwiseTile& tile, int64_t vectors) {
  for (int64_t i = 0; i < vectors * tile.ahead_lines; ++i, tile.ahead += kLine / 4)
    __builtin_prefetch(tile.ahead, 0, 2);
}

template <bool Whole, int Pixels, int Vectors>
NNC_INLINE void epilogue_pixels(const DepthwiseTile& tile, Float (&sum)[Pixels][Vectors]) {
  const auto to = [&](int p) __attribute__((always_inline)) {
    return tile.result + p * tile.result_stride;
  };
  if (tile.epilogue != nullptr) {
    tile.epilogue->store_tile<Whole>(sum, to, tile.channel, tile.lanes, tile.stream);
  } else {
    write_tile<Whole>(sum, to, tile.lanes, tile.stream);
  }
}

// Any taps. Whole: the last vector too is whole.
template <int Pixels, int Vectors, bool Whole>
NNC_INLINE void depthwise_tile(const DepthwiseTile& tile) {
  Float sum[Pixels][Vectors];
#pragma GCC unroll 8
  for (int p = 0; p < Pixels; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[p][v] = Float::zero();
  }
  for (int64_t i = tile.first_row; i < tile.end_row; ++i) {
    const float* row = tile.source + tile.row_at[i] * tile.row_stride;
    for (int64_t j = tile.first_column; j < tile.end_column; ++j) {
      const float* w = tile.w + tile.taps[i * tile.tap_columns + j] * tile.w_stride;
      const float* source = row + tile.column_at[j] * tile.column_stride;
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        const bool full = Whole || v + 1 < Vectors;
        const Float weight =
            full ? Float::load(w + v * kLanes) : Float::load_partial(w + v * kLanes, tile.lanes);
#pragma GCC unroll 8
        for (int p = 0; p < Pixels; ++p) {
          const float* from = source + p * tile.source_stride + v * kLanes;
          sum[p][v] = fma(full ? Float::load(from) : Float::load_partial(from, tile.lanes), weight,
                          sum[p][v]);
        }
      }
    }
  }
  epilogue_pixels<Whole>(tile, sum);
}

// Columns of taps side by side: each source pixel is read once for all the pixels it is under, and
// each sum still runs in ascending order of taps.
template <int Pixels, int Columns, int Stride, bool Whole>
NNC_INLINE void depthwise_run_tile(const DepthwiseTile& tile) {
  const auto load = [&](const float* from) __attribute__((always_inline)) {
    return Whole ? Float::load(from) : Float::load_partial(from, tile.lanes);
  };
  Float sum[Pixels][1];
#pragma GCC unroll 8
  for (int p = 0; p < Pixels; ++p) sum[p][0] = Float::zero();
  for (int64_t i = tile.first_row; i < tile.end_row; ++i) {
    const int64_t* const taps = tile.taps + i * tile.tap_columns;
    Float weight[Columns];
#pragma GCC unroll 8
    for (int j = 0; j < Columns; ++j) weight[j] = load(tile.w + taps[j] * tile.w_stride);
    const float* const row =
        tile.source + tile.row_at[i] * tile.row_stride + tile.column_at[0] * tile.column_stride;
#pragma GCC unroll 32
    for (int k = 0; k < (Pixels - 1) * Stride + Columns; ++k) {
      if (k < tile.first_inside || k >= tile.end_inside) continue;
      const Float source = load(row + k * tile.column_stride);
#pragma GCC unroll 8
      for (int j = 0; j < Columns; ++j) {
        const int p = (k - j) / Stride;
        if (k >= j && (k - j) % Stride == 0 && p < Pixels)
          sum[p][0] = fma(source, weight[j], sum[p][0]);
      }
    }
  }
  epilogue_pixels<Whole>(tile, sum);
}

// All channels of a run of pixels.
template <int Pixels, int Columns, int Stride>
void depthwise_run(DepthwiseTile tile, int64_t channels) {
  int64_t left = channels;
  for (; left >= kLanes; left -= kLanes) {
    prefetch_ahead(tile, 1);
    if (tile.result_ahead != 0) {
#pragma GCC unroll 8
      for (int p = 0; p < Pixels; ++p)
        __builtin_prefetch(tile.result + p * tile.result_stride + tile.result_ahead, 1, 2);
    }
    depthwise_run_tile<Pixels, Columns, Stride, true>(tile);
    tile.source += kLanes;
    tile.result += kLanes;
    tile.w += kLanes;
    tile.channel += kLanes;
  }
  if (left > 0) {
    tile.lanes = left;
    depthwise_run_tile<Pixels, Columns, Stride, false>(tile);
  }
}

// Pixels of a run. Eight sums keep both multiply-add units busy; with the weights of five columns
// they fit into 16 registers.
inline constexpr int kRunPixels = 8;

using DepthwiseRun = void (*)(DepthwiseTile tile, int64_t channels);
struct DepthwiseRuns {
  DepthwiseRun of[kRunPixels];
};
template <int Columns, int Stride, int... Pixels>
constexpr DepthwiseRuns make_depthwise_runs(std::integer_sequence<int, Pixels...>) {
  return {{&depthwise_run<Pixels + 1, Columns, Stride>...}};
}
template <int Columns, int Stride>
inline constexpr DepthwiseRuns kDepthwiseRuns =
    make_depthwise_runs<Columns, Stride>(std::make_integer_sequence<int, kRunPixels>());

// Those for a class' taps; nullptr where its pixels are taken by depthwise_pixels.
inline const DepthwiseRuns* depthwise_runs(const ResidueClass& pixels, int64_t stride) {
  for (int64_t j = 1; j < pixels.tap_columns; ++j) {
    if (pixels.tap_column_at[j] != pixels.tap_column_at[0] + j) return nullptr;
  }
  if (stride == 1 && pixels.tap_columns == 1) return &kDepthwiseRuns<1, 1>;
  if (stride == 1 && pixels.tap_columns == 2) return &kDepthwiseRuns<2, 1>;
  if (stride == 1 && pixels.tap_columns == 3) return &kDepthwiseRuns<3, 1>;
  if (stride == 1 && pixels.tap_columns == 5) return &kDepthwiseRuns<5, 1>;
  if (stride == 2 && pixels.tap_columns == 3) return &kDepthwiseRuns<3, 2>;
  if (stride == 2 && pixels.tap_columns == 5) return &kDepthwiseRuns<5, 2>;
  return nullptr;
}

// All channels of Pixels adjacent pixels.
template <int Pixels>
void depthwise_pixels(DepthwiseTile tile, int64_t channels) {
  int64_t c = 0;
  auto advance = [&](int64_t by) __attribute__((always_inline)) {
    tile.source += by;
    tile.result += by;
    tile.w += by;
    tile.channel += by;
    c += by;
  };
  while (c + 2 * kLanes <= channels) {
    prefetch_ahead(tile, 2);
    depthwise_tile<Pixels, 2, true>(tile);
    advance(2 * kLanes);
  }
  if (c + kLanes <= channels) {
    prefetch_ahead(tile, 1);
    depthwise_tile<Pixels, 1, true>(tile);
    advance(kLanes);
  }
  if (c < channels) {
    tile.lanes = channels - c;
    depthwise_tile<Pixels, 1, false>(tile);
  }
}

}  // namespace nnrt::NNC_ISA
