// From images to the transformed tiles of a convolution of stride 2 and back.
#pragma once

#include "cpu/conv/winograd/vector/winograd_tiles.h"
#include "cpu/conv/winograd/winograd_strided.h"

namespace nnrt::NNC_ISA {

// One phase of the source pixels under a tile of rows x columns pixels, whose first pixel lies at
// (top, left) of the image.
template <bool TwoRows, bool TwoColumns>
NNC_INLINE void transform_phase(const WinogradTiles& tiles, const float* image, int64_t top,
                                int64_t left, int64_t rows, int64_t columns, int64_t first,
                                int64_t channels, const float* zeros, float* to, int64_t position) {
  const PixelSquare square(rows + (TwoRows ? 1 : 0), columns + (TwoColumns ? 1 : 0), image,
                           tiles.source_height, tiles.source_width, tiles.source_channels,
                           top + (TwoRows ? 0 : 1), left + (TwoColumns ? 0 : 1), zeros, 2, 2);
  transform_pixels(kPhaseSourceSquares<TwoRows, TwoColumns>.at(rows, columns), square, first,
                   channels, to, position);
}

// The four phases of the source pixels under tiles [begin, end).
inline void transform_phases(const WinogradTiles& tiles, const float* source, int64_t begin,
                             int64_t end, int64_t first, int64_t channels, const float* zeros,
                             const TransformedTiles& out) {
  const int64_t image_floats = tiles.source_height * tiles.source_width * tiles.source_channels;
  over_tiles(tiles, begin, end,
             [&](const TileIndex& tile, int64_t place, int64_t rows, int64_t columns)
                 __attribute__((always_inline)) {
                   float* const to = out.to + place * out.row;
                   const float* const image = source + tile.image * image_floats;
                   const int64_t top = tile.row * 8 - tiles.pad_top;
                   const int64_t left = tile.column * 8 - tiles.pad_left;
                   const auto phase = [&](auto index) __attribute__((always_inline)) {
                     constexpr int kPhase = decltype(index)::value;
                     transform_phase<phase_has_two_rows(kPhase), phase_has_two_columns(kPhase)>(
                         tiles, image, top, left, rows, columns, first, channels, zeros,
                         to + kPhase * channels, out.position);
                   };
                   phase(std::integral_constant<int, 0>());
                   phase(std::integral_constant<int, 1>());
                   phase(std::integral_constant<int, 2>());
                   phase(std::integral_constant<int, 3>());
                 });
}

// For the gradient of the data: the pixels of dy, the source, under tiles [begin, end).
inline void transform_strided_gradient(const StridedArguments& strided, const float* source,
                                       int64_t begin, int64_t end, int64_t first, int64_t channels,
                                       const float* zeros, const TransformedTiles& out) {
  const WinogradTiles& tiles = strided.tiles;
  const int64_t image_floats = tiles.source_height * tiles.source_width * tiles.source_channels;
  over_tiles(tiles, begin, end,
             [&](const TileIndex& tile, int64_t place, int64_t rows, int64_t columns)
                 __attribute__((always_inline)) {
                   const int64_t top = tile.row * 4 - tiles.pad_top;
                   const int64_t left = tile.column * 4 - tiles.pad_left;
                   const PixelSquare square(
                       rows + 1, columns + 1, source + tile.image * image_floats,
                       tiles.source_height, tiles.source_width, tiles.source_channels,
                       strided.turn_rows ? top + rows - 1 : top,
                       strided.turn_columns ? left + columns - 1 : left, zeros,
                       strided.turn_rows ? -1 : 1, strided.turn_columns ? -1 : 1);
                   transform_pixels(kPhaseSourceSquares<true, true>.at(rows, columns), square,
                                    first, channels, out.to + place * out.row, out.position);
                 });
}

// Forward: products [position][place][column] of tiles [begin, end) to `columns` channels of the
// result from `first` on.
inline void transform_strided_result(const WinogradTiles& tiles, const float* products,
                                     int64_t position, int64_t begin, int64_t end, int64_t first,
                                     int64_t columns, float* result,
                                     const VectorEpilogue* epilogue) {
  transform_result(kPhaseResultSquares<true, true>, tiles, products, columns, position, begin, end,
                   first, columns, result, epilogue);
}

// The rows or columns of one phase in a tile of `pixels` of them that begins at pixel `tile` of the
// result: where the first lies, the way to the next, which of them are inside of `extent`.
struct PhaseLine {
  int64_t first, step;
  TileSpan inside;

  NNC_INLINE PhaseLine(int64_t tile, int64_t pixels, bool two, bool turn, int64_t extent)
      : first(tile + (two == turn ? 0 : 1)), step(turn ? -2 : 2), inside{0, pixels} {
    const int64_t outside = larger(0, pixels - (extent - first + 1) / 2);
    if (turn) {
      first += 2 * (pixels - 1);
      inside.begin = outside;
    } else {
      inside.end = pixels - outside;
    }
  }
};

// The gradient of the data: the same for the pixels of one phase.
inline void transform_phase_result(const StridedArguments& strided, int phase,
                                   const float* products, int64_t begin, int64_t end, int64_t first,
                                   int64_t columns, float* result, const VectorEpilogue* epilogue) {
  const bool two_rows = phase_has_two_rows(phase), two_columns = phase_has_two_columns(phase);
  const SquareTable<ResultFunction>& transforms =
      two_rows
          ? (two_columns ? kPhaseResultSquares<true, true> : kPhaseResultSquares<true, false>)
          : (two_columns ? kPhaseResultSquares<false, true> : kPhaseResultSquares<false, false>);
  const WinogradTiles& tiles = strided.tiles;
  const int64_t channels = tiles.result_channels;
  const int64_t row_stride = tiles.result_width * channels;
  over_tiles(
      tiles, begin, end,
      [&](const TileIndex& tile, int64_t place, int64_t high,
          int64_t wide) __attribute__((always_inline)) {
        const PhaseLine down(tile.row * 8, high, two_rows, strided.turn_rows, tiles.result_height);
        const PhaseLine across(tile.column * 8, wide, two_columns, strided.turn_columns,
                               tiles.result_width);
        const int64_t corner =
            (tile.image * tiles.result_height + down.first) * tiles.result_width + across.first;
        const ResultPixels pixels = {result + corner * channels + first,
                                     down.step * row_stride,
                                     across.step * channels,
                                     high,
                                     wide,
                                     down.inside,
                                     across.inside};
        transform_products(transforms.at(high, wide), products + place * columns,
                           strided.product_position, pixels, first, columns, epilogue);
      });
}

}  // namespace nnrt::NNC_ISA
