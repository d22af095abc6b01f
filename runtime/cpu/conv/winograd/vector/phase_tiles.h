// From images to the transformed tiles of a convolution of stride 2 and back.
#pragma once

#include "cpu/conv/winograd/vector/phase_transform.h"
#include "cpu/conv/winograd/vector/winograd_tiles.h"
#include "cpu/conv/winograd/winograd_strided.h"

namespace nnrt::NNC_ISA {

template <int Phase, int Rows, int Columns>
NNC_INLINE void transform_phase(const WinogradTiles& tiles, const float* image, int64_t top,
                                int64_t left, int64_t first, int64_t channels, const float* zeros,
                                float* to, int64_t position) {
  constexpr bool two_rows = phase_has_two_rows(Phase), two_columns = phase_has_two_columns(Phase);
  const PixelSquare<Rows + (two_rows ? 1 : 0), Columns + (two_columns ? 1 : 0)> square(
      image, tiles.source_height, tiles.source_width, tiles.source_channels,
      top + (two_rows ? 0 : 1), left + (two_columns ? 0 : 1), zeros, 2, 2);
  transform_pixels<PhaseSource<Rows, two_rows>, PhaseSource<Columns, two_columns>, kPhaseSide,
                   true>(square, first, channels, to + Phase * channels, position);
}

// The four phases of the source pixels under tiles [begin, end).
inline void transform_phases(const WinogradTiles& tiles, const float* source, int64_t begin,
                             int64_t end, int64_t first, int64_t channels, const float* zeros,
                             const TransformedTiles& out) {
  const int64_t image_floats = tiles.source_height * tiles.source_width * tiles.source_channels;
  const auto body = [&](const TileIndex& tile, int64_t place, auto high,
                        auto wide) __attribute__((always_inline)) {
    constexpr int kRows = decltype(high)::value, kColumns = decltype(wide)::value;
    float* const to = out.to + place * out.row;
    const float* const image = source + tile.image * image_floats;
    const int64_t top = tile.row * 8 - tiles.pad_top, left = tile.column * 8 - tiles.pad_left;
    transform_phase<0, kRows, kColumns>(tiles, image, top, left, first, channels, zeros, to,
                                        out.position);
    transform_phase<1, kRows, kColumns>(tiles, image, top, left, first, channels, zeros, to,
                                        out.position);
    transform_phase<2, kRows, kColumns>(tiles, image, top, left, first, channels, zeros, to,
                                        out.position);
    transform_phase<3, kRows, kColumns>(tiles, image, top, left, first, channels, zeros, to,
                                        out.position);
  };
  over_tiles(tiles, begin, end, body);
}

// For the gradient of the data: the pixels of dy, the source, under tiles [begin, end).
inline void transform_strided_gradient(const StridedArguments& strided, const float* source,
                                       int64_t begin, int64_t end, int64_t first, int64_t channels,
                                       const float* zeros, const TransformedTiles& out) {
  const WinogradTiles& tiles = strided.tiles;
  const int64_t image_floats = tiles.source_height * tiles.source_width * tiles.source_channels;
  const auto body = [&](const TileIndex& tile, int64_t place, auto high,
                        auto wide) __attribute__((always_inline)) {
    constexpr int kRows = decltype(high)::value, kColumns = decltype(wide)::value;
    float* const to = out.to + place * out.row;
    const int64_t top = tile.row * 4 - tiles.pad_top, left = tile.column * 4 - tiles.pad_left;
    const PixelSquare<kRows + 1, kColumns + 1> square(
        source + tile.image * image_floats, tiles.source_height, tiles.source_width,
        tiles.source_channels, strided.turn_rows ? top + kRows - 1 : top,
        strided.turn_columns ? left + kColumns - 1 : left, zeros, strided.turn_rows ? -1 : 1,
        strided.turn_columns ? -1 : 1);
    transform_pixels<PhaseSource<kRows, true>, PhaseSource<kColumns, true>, kPhaseSide, true>(
        square, first, channels, to, out.position);
  };
  over_tiles(tiles, begin, end, body);
}

// The products of one tile, `from` + p * position, to `columns` channels of its pixels: pixel
// (0, 0) lies at `to`.
template <class Down, class Across>
NNC_INLINE void transform_tile_products(const float* from, int64_t position, float* to,
                                        int64_t row_stride, int64_t pixel_stride, TileSpan rows,
                                        TileSpan pixels, int64_t first, int64_t columns,
                                        const VectorEpilogue* epilogue) {
  for (int64_t c = 0; c < columns; c += kLanes) {
    const LoadColumns load = {{from + c, position, kPhaseSide * position}};
    if (epilogue == nullptr) {
      const LineSquare<float> out(to + c, row_stride, pixel_stride);
      transform_square<Down, Across>(load,
                                     StoreRows{out, [&](int i, int j, float* place, Float value)
                                                        __attribute__((always_inline)) {
                                                          if (rows.has(i) && pixels.has(j))
                                                            value.store(place);
                                                        }});
      continue;
    }
    // One epilogue for all pixels: there are too many of these functions to have it at each.
    Float tile[4][4];
    transform_square<Down, Across>(load,
                                   [&](int i, int j, Float value)
                                       __attribute__((always_inline)) { tile[i][j] = value; });
    const TileSpan down = {rows.begin, smaller(rows.end, Down::pixels)};
    const TileSpan across = {pixels.begin, smaller(pixels.end, Across::pixels)};
    if (epilogue->spreads()) {
      epilogue->spread_square(tile, down, across, to + c, row_stride, pixel_stride, first + c,
                              kLanes);
      continue;
    }
    for (int64_t i = down.begin; i < down.end; ++i) {
      for (int64_t j = across.begin; j < across.end; ++j) {
        epilogue->store<true>(tile[i][j], to + c + i * row_stride + j * pixel_stride, first + c,
                              kLanes);
      }
    }
  }
}

// Forward: products [position][place][column] of tiles [begin, end) to `columns` channels of the
// result from `first` on.
inline void transform_strided_result(const WinogradTiles& tiles, const float* products,
                                     int64_t position, int64_t begin, int64_t end, int64_t first,
                                     int64_t columns, float* result,
                                     const VectorEpilogue* epilogue) {
  const int64_t channels = tiles.result_channels;
  const int64_t row_stride = tiles.result_width * channels;
  const auto body = [&](const TileIndex& tile, int64_t place, auto high,
                        auto wide) __attribute__((always_inline)) {
    constexpr int kRows = decltype(high)::value, kColumns = decltype(wide)::value;
    const float* const from = products + place * columns;
    const int64_t top = tile.row * 4, left = tile.column * 4;
    const TileSpan rows = {0, tiles.result_height - top}, pixels = {0, tiles.result_width - left};
    float* const to =
        result + ((tile.image * tiles.result_height + top) * tiles.result_width + left) * channels +
        first;
    transform_tile_products<PhaseResult<kRows, true>, PhaseResult<kColumns, true>>(
        from, position, to, row_stride, channels, rows, pixels, first, columns, epilogue);
  };
  over_tiles(tiles, begin, end, body);
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
template <int Phase>
void transform_one_phase(const StridedArguments& strided, const float* products, int64_t begin,
                         int64_t end, int64_t first, int64_t columns, float* result,
                         const VectorEpilogue* epilogue) {
  constexpr bool two_rows = phase_has_two_rows(Phase), two_columns = phase_has_two_columns(Phase);
  const WinogradTiles& tiles = strided.tiles;
  const int64_t channels = tiles.result_channels;
  const int64_t row_stride = tiles.result_width * channels;
  const auto body = [&](const TileIndex& tile, int64_t place, auto high,
                        auto wide) __attribute__((always_inline)) {
    constexpr int kRows = decltype(high)::value, kColumns = decltype(wide)::value;
    const float* const from = products + place * columns;
    const PhaseLine down(tile.row * 8, kRows, two_rows, strided.turn_rows, tiles.result_height);
    const PhaseLine across(tile.column * 8, kColumns, two_columns, strided.turn_columns,
                           tiles.result_width);
    const int64_t pixel =
        (tile.image * tiles.result_height + down.first) * tiles.result_width + across.first;
    transform_tile_products<PhaseResult<kRows, two_rows>, PhaseResult<kColumns, two_columns>>(
        from, strided.product_position, result + pixel * channels + first, down.step * row_stride,
        across.step * channels, down.inside, across.inside, first, columns, epilogue);
  };
  over_tiles(tiles, begin, end, body);
}

inline void transform_phase_result(const StridedArguments& strided, int phase,
                                   const float* products, int64_t begin, int64_t end, int64_t first,
                                   int64_t columns, float* result, const VectorEpilogue* epilogue) {
  using Transform = void (*)(const StridedArguments&, const float*, int64_t, int64_t, int64_t,
                             int64_t, float*, const VectorEpilogue*);
  constexpr Transform transforms[kPhases] = {&transform_one_phase<0>, &transform_one_phase<1>,
                                             &transform_one_phase<2>, &transform_one_phase<3>};
  transforms[phase](strided, products, begin, end, first, columns, result, epilogue);
}

}  // namespace nnrt::NNC_ISA
