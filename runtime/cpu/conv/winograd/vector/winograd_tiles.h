// From images to transformed tiles and back: which pixels lie under a tile, the source with zeros
// around it, the result cut off at its edge.
#pragma once

#include "cpu/conv/vector/conv_window.h"
#include "cpu/conv/winograd/vector/winograd_edge.h"

namespace nnrt::NNC_ISA {

// Asks for the pixels of some tiles ahead of their use, some rows of pixels at each position: what
// lies in the cache when the transformation comes costs a third of what memory does, and a few at a
// time go unnoticed beside the products (Zen 5, 64 channels of 56x56: 12.8 MB a tensor).
class PrefetchPixels {
 public:
  // A tile spans `span` rows and columns of the image, of which every `step`th is asked for.
  NNC_INLINE PrefetchPixels(const WinogradTiles& tiles, const float* images, int64_t height,
                            int64_t width, int64_t stride, int64_t begin, int64_t end,
                            int64_t span = 4, int64_t step = 1)
      : tiles_(tiles),
        tile_(tiles, begin),
        images_(images),
        height_(height),
        width_(width),
        stride_(stride),
        count_(end - begin),
        span_(span),
        step_(step) {}
  // Rows from `top` and columns from `left` of the corner of each tile, clipped to the image, of
  // channels [first, first + channels).
  NNC_INLINE void set_window(int64_t top, int64_t left, int64_t first, int64_t channels) {
    top_ = top;
    left_ = left;
    first_ = first;
    channels_ = channels;
    total_ = span_ / step_ * count_;
  }
  // The rows whose turn it is at position p of so many.
  template <int Write>
  NNC_INLINE void prefetch(int64_t p, int64_t positions = kPositions) {
    const int64_t until = total_ * (p + 1) / positions;
    for (; done_ < until; ++done_) {
      prefetch_row<Write>(row_);
      row_ += step_;
      if (row_ < span_) continue;
      row_ = 0;
      tile_.next(tiles_);
    }
  }

 private:
  template <int Write>
  NNC_INLINE void prefetch_row(int64_t row) const {
    const int64_t y = tile_.row * span_ + top_ + row, x = tile_.column * span_ + left_;
    if (y < 0 || y >= height_) return;
    const int64_t left = x < 0 ? x + round_up(-x, step_) : x;
    const int64_t pixels = smaller(width_, x + span_) - left;
    const float* run = images_ + ((tile_.image * height_ + y) * width_ + left) * stride_ + first_;
    if (channels_ == stride_ && step_ == 1) {
      for (int64_t c = 0; c < pixels * channels_; c += kLine / 4) {
        __builtin_prefetch(run + c, Write, 2);
      }
      return;
    }
    for (int64_t i = 0; i < pixels; i += step_, run += step_ * stride_) {
      for (int64_t c = 0; c < channels_; c += kLine / 4) __builtin_prefetch(run + c, Write, 2);
    }
  }

  const WinogradTiles& tiles_;
  TileIndex tile_;
  const float* images_;
  int64_t height_, width_, stride_, count_, span_, step_;
  int64_t top_ = 0, left_ = 0, first_ = 0, channels_ = 0;
  int64_t total_ = 0, done_ = 0, row_ = 0;
};

// Rows x Columns pixels of an image from (top, left) on, in steps that may go back, some of which
// may lie outside.
template <int Rows, int Columns>
struct PixelSquare {
  const float* pixels[Rows][Columns];  // outside: `zeros`
  const float* origin;
  int64_t row_stride, pixel_stride;
  bool inside;  // entirely

  NNC_INLINE static bool covers(int64_t extent, int64_t first, int64_t last) {
    return first >= 0 && last >= 0 && first < extent && last < extent;
  }
  NNC_INLINE PixelSquare(const float* image, int64_t height, int64_t width, int64_t channels,
                         int64_t top, int64_t left, const float* zeros, int64_t row_step = 1,
                         int64_t column_step = 1)
      : origin(image + (top * width + left) * channels),
        row_stride(row_step * width * channels),
        pixel_stride(column_step * channels),
        inside(covers(height, top, top + (Rows - 1) * row_step) &&
               covers(width, left, left + (Columns - 1) * column_step)) {
    if (inside) return;
    for (int i = 0; i < Rows; ++i) {
      const int64_t y = top + i * row_step;
      const bool row_inside = y >= 0 && y < height;
      for (int j = 0; j < Columns; ++j) {
        const int64_t x = left + j * column_step;
        const bool pixel_inside = row_inside && x >= 0 && x < width;
        pixels[i][j] = pixel_inside ? origin + i * row_stride + j * pixel_stride : zeros;
      }
    }
  }
};

// Transforms channels [first, first + channels) of a square; position p of channel first + c goes
// to to[p * position + c]. The last vector is filled up with zeros; `Whole`: they all are full.
template <class Down, class Across, int Side = kSide, bool Whole = false, int Rows, int Columns>
NNC_INLINE void transform_pixels(const PixelSquare<Rows, Columns>& square, int64_t first,
                                 int64_t channels, float* to, int64_t position) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    const VectorSquare<float> out(to + c, Side * position, position);
    auto store = [&](int i, int j, Float value)
                     __attribute__((always_inline)) { value.store(out.at(i, j)); };
    const int64_t lanes = channels - c;
    if (square.inside) {
      const VectorSquare<const float> in(square.origin + first + c, square.row_stride,
                                         square.pixel_stride);
      if (Whole || lanes >= kLanes) {
        transform_square<Down, Across>(
            [&](int i, int j) __attribute__((always_inline)) { return Float::load(in.at(i, j)); },
            store);
      } else {
        transform_square<Down, Across>(
            [&](int i, int j)
                __attribute__((always_inline)) { return Float::load_partial(in.at(i, j), lanes); },
            store);
      }
    } else {
      auto pixel = [&](int i, int j)
                       __attribute__((always_inline)) { return square.pixels[i][j] + first + c; };
      if (Whole || lanes >= kLanes) {
        transform_square<Down, Across>(
            [&](int i, int j) __attribute__((always_inline)) { return Float::load(pixel(i, j)); },
            store);
      } else {
        transform_square<Down, Across>(
            [&](int i, int j)
                __attribute__((always_inline)) { return Float::load_partial(pixel(i, j), lanes); },
            store);
      }
    }
  }
}

// Blocks of transformed tiles, [position][place][channel].
struct TransformedTiles {
  float* to;
  int64_t row, position;  // floats
};

// The source pixels under tiles [begin, end): two rows and columns more than a tile has. `zeros`:
// as many as the source has channels, in whole vectors.
inline void transform_source(const WinogradTiles& tiles, const float* source, int64_t begin,
                             int64_t end, int64_t first, int64_t channels, const float* zeros,
                             const TransformedTiles& out) {
  const int64_t image_floats = tiles.source_height * tiles.source_width * tiles.source_channels;
  const auto body = [&](const TileIndex& tile, int64_t place, auto rows,
                        auto columns) __attribute__((always_inline)) {
    constexpr int kRows = decltype(rows)::value, kColumns = decltype(columns)::value;
    const PixelSquare<kRows + 2, kColumns + 2> square(
        source + tile.image * image_floats, tiles.source_height, tiles.source_width,
        tiles.source_channels, tile.row * tiles.size - tiles.pad_top,
        tile.column * tiles.size - tiles.pad_left, zeros);
    transform_pixels<SourceBySize::of<kRows>, SourceBySize::of<kColumns>>(
        square, first, channels, out.to + place * out.row, out.position);
  };
  over_tiles<true>(tiles, begin, end, body);
}

// The pixels of the result's gradient in tiles [begin, end), by the transformations of Of.
template <template <int> class Of, int Side, bool Whole>
void transform_gradient(const WinogradTiles& tiles, const float* gradient, int64_t begin,
                        int64_t end, int64_t first, int64_t channels, const float* zeros,
                        const TransformedTiles& out) {
  const int64_t image_floats = tiles.result_height * tiles.result_width * tiles.result_channels;
  const auto body = [&](const TileIndex& tile, int64_t place, auto rows,
                        auto columns) __attribute__((always_inline)) {
    constexpr int kRows = decltype(rows)::value, kColumns = decltype(columns)::value;
    const PixelSquare<kRows, kColumns> square(
        gradient + tile.image * image_floats, tiles.result_height, tiles.result_width,
        tiles.result_channels, tile.row * 4, tile.column * 4, zeros);
    transform_pixels<Of<kRows>, Of<kColumns>, Side, Whole>(square, first, channels,
                                                           out.to + place * out.row, out.position);
  };
  over_tiles(tiles, begin, end, body);
}

// How many rows a transformation gives.
template <class Transform>
constexpr int64_t rows_of() {
  int64_t rows = 0;
  for (int row = 0; row < kSide; ++row) rows += Transform::gives(row) ? 1 : 0;
  return rows;
}

// The products of one tile, `from` + p * position, to `columns` channels of its pixels at `to`.
template <class Down, class Across>
NNC_INLINE void transform_products(const float* from, int64_t position, float* to,
                                   int64_t row_stride, int64_t channels, int64_t rows,
                                   int64_t pixels, int64_t first, int64_t columns,
                                   const VectorEpilogue* epilogue) {
  for (int64_t c = 0; c < columns; c += kLanes) {
    const LoadColumns load = {{from + c, position, kSide * position}};
    const LineSquare<float> out(to + c, row_stride, channels);
    const int64_t lanes = smaller(kLanes, columns - c);
    if (epilogue != nullptr && epilogue->spreads()) {
      Float tile[4][4];
      transform_square<Down, Across>(load,
                                     [&](int i, int j, Float value)
                                         __attribute__((always_inline)) { tile[i][j] = value; });
      epilogue->spread_square(tile, {0, rows}, {0, pixels}, to + c, row_stride, channels, first + c,
                              lanes);
    } else if (epilogue != nullptr) {
      transform_square<Down, Across>(
          load, StoreRows{out, [&](int i, int j, float* place, Float value)
                                   __attribute__((always_inline)) {
                                     if (i >= rows || j >= pixels) return;
                                     if (lanes == kLanes) {
                                       epilogue->store<true>(value, place, first + c, lanes);
                                     } else {
                                       epilogue->store<false>(value, place, first + c, lanes);
                                     }
                                   }});
    } else if (rows == rows_of<Down>() && pixels == rows_of<Across>() && lanes == kLanes) {
      transform_square<Down, Across>(
          load, StoreRows{out, [](int, int, float* place, Float value)
                                   __attribute__((always_inline)) { value.store(place); }});
    } else {
      transform_square<Down, Across>(load,
                                     StoreRows{out, [&](int i, int j, float* place, Float value)
                                                        __attribute__((always_inline)) {
                                                          if (i < rows && j < pixels)
                                                            value.store_partial(place, lanes);
                                                        }});
    }
  }
}

// Products [position][place][column] of tiles [begin, end) to `columns` channels of the result from
// `first` on.
inline void transform_result(const WinogradTiles& tiles, const float* products, int64_t row,
                             int64_t position, int64_t begin, int64_t end, int64_t first,
                             int64_t columns, float* result, const VectorEpilogue* epilogue) {
  const int64_t channels = tiles.result_channels;
  const int64_t row_stride = tiles.result_width * channels;
  const auto body = [&](const TileIndex& tile, int64_t place, auto high,
                        auto wide) __attribute__((always_inline)) {
    const float* const from = products + place * row;
    const int64_t top = tile.row * tiles.size, left = tile.column * tiles.size;
    const int64_t rows = smaller(tiles.size, tiles.result_height - top);
    const int64_t pixels = smaller(tiles.size, tiles.result_width - left);
    float* const to =
        result + ((tile.image * tiles.result_height + top) * tiles.result_width + left) * channels +
        first;
    transform_products<ResultBySize::of<decltype(high)::value>,
                       ResultBySize::of<decltype(wide)::value>>(
        from, position, to, row_stride, channels, rows, pixels, first, columns, epilogue);
  };
  over_tiles<true>(tiles, begin, end, body);
}

}  // namespace nnrt::NNC_ISA
