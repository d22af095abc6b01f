// From images to transformed tiles and back: which pixels lie under a tile, the source with zeros
// around it, the result cut off at its edge.
#pragma once

#include "cpu/conv/vector/conv_window.h"
#include "cpu/conv/winograd/vector/winograd_square.h"

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

// Pixels of an image from (top, left) on, in steps that may go back, some of which may lie outside.
struct PixelSquare {
  const float* pixels[kPositions];  // row by row, those outside are `zeros`; not set where `inside`
  const float* origin;
  int64_t rows, columns;
  int64_t row_stride, pixel_stride;
  bool inside;  // entirely

  NNC_INLINE static bool covers(int64_t extent, int64_t first, int64_t last) {
    return first >= 0 && last >= 0 && first < extent && last < extent;
  }
  NNC_INLINE PixelSquare(int64_t row_count, int64_t column_count, const float* image,
                         int64_t height, int64_t width, int64_t channels, int64_t top, int64_t left,
                         const float* zeros, int64_t row_step = 1, int64_t column_step = 1)
      : origin(image + (top * width + left) * channels),
        rows(row_count),
        columns(column_count),
        row_stride(row_step * width * channels),
        pixel_stride(column_step * channels),
        inside(covers(height, top, top + (rows - 1) * row_step) &&
               covers(width, left, left + (columns - 1) * column_step)) {
    if (inside) return;
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t y = top + i * row_step;
      const bool row_inside = y >= 0 && y < height;
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t x = left + j * column_step;
        const bool pixel_inside = row_inside && x >= 0 && x < width;
        pixels[i * columns + j] = pixel_inside ? origin + i * row_stride + j * pixel_stride : zeros;
      }
    }
  }
};

// Transforms channels [first, first + channels) of a square; position p of channel first + c goes
// to to[p * position + c]. The last vector is filled up with zeros.
inline void transform_pixels(SourceFunction transform, const PixelSquare& square, int64_t first,
                             int64_t channels, float* to, int64_t position) {
  const int64_t direct = square.inside ? channels / kLanes * kLanes : 0;
  if (direct > 0) {
    transform(square.origin + first, square.row_stride, square.pixel_stride, to, position, direct);
  }
  for (int64_t c = direct; c < channels; c += kLanes) {
    alignas(kLine) float copy[kPositions * kLanes];
    const int64_t lanes = channels - c;
    float* next = copy;
    for (int64_t i = 0; i < square.rows; ++i) {
      for (int64_t j = 0; j < square.columns; ++j, next += kLanes) {
        const float* const pixel =
            (square.inside ? square.origin + i * square.row_stride + j * square.pixel_stride
                           : square.pixels[i * square.columns + j]) +
            first + c;
        (lanes >= kLanes ? Float::load(pixel) : Float::load_partial(pixel, lanes)).store(next);
      }
    }
    transform(copy, square.columns * kLanes, kLanes, to + c, position, kLanes);
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
  over_tiles(tiles, begin, end,
             [&](const TileIndex& tile, int64_t place, int64_t rows, int64_t columns)
                 __attribute__((always_inline)) {
                   const PixelSquare square(rows + 2, columns + 2,
                                            source + tile.image * image_floats, tiles.source_height,
                                            tiles.source_width, tiles.source_channels,
                                            tile.row * tiles.size - tiles.pad_top,
                                            tile.column * tiles.size - tiles.pad_left, zeros);
                   transform_pixels(kSourceSquares.at(rows, columns), square, first, channels,
                                    out.to + place * out.row, out.position);
                 });
}

// The pixels of the result's gradient in tiles [begin, end).
inline void transform_gradient(const SquareTable<SourceFunction>& transforms,
                               const WinogradTiles& tiles, const float* gradient, int64_t begin,
                               int64_t end, int64_t first, int64_t channels, const float* zeros,
                               const TransformedTiles& out) {
  const int64_t image_floats = tiles.result_height * tiles.result_width * tiles.result_channels;
  over_tiles(tiles, begin, end,
             [&](const TileIndex& tile, int64_t place, int64_t rows, int64_t columns)
                 __attribute__((always_inline)) {
                   const PixelSquare square(rows, columns, gradient + tile.image * image_floats,
                                            tiles.result_height, tiles.result_width,
                                            tiles.result_channels, tile.row * 4, tile.column * 4,
                                            zeros);
                   transform_pixels(transforms.at(rows, columns), square, first, channels,
                                    out.to + place * out.row, out.position);
                 });
}

// Pixels of the result under a tile: pixel (i, j) of those of `down` and `across` lies at
// to + i * row_stride + j * pixel_stride. A tile of its transformation has rows x columns.
struct ResultPixels {
  float* to;
  int64_t row_stride, pixel_stride;
  int64_t rows, columns;
  TileSpan down, across;

  NNC_INLINE bool whole() const {
    return down.begin == 0 && down.end == rows && across.begin == 0 && across.end == columns;
  }
};

// The products of one tile, `from` + p * position, to channels [first, first + channels), at most
// kPanel, of its pixels.
inline void transform_products(ResultFunction transform, const float* from, int64_t position,
                               const ResultPixels& pixels, int64_t first, int64_t channels,
                               const VectorEpilogue* epilogue) {
  const int64_t direct = epilogue == nullptr && pixels.whole() ? channels / kLanes * kLanes : 0;
  if (direct > 0)
    transform(from, position, pixels.to, pixels.row_stride, pixels.pixel_stride, direct);
  if (direct == channels) return;
  alignas(kLine) float square[4 * 4 * kPanel];
  transform(from + direct, position, square, 4 * kPanel, kPanel,
            round_up(channels - direct, kLanes));
  for (int64_t c = direct; c < channels; c += kLanes) {
    store_square(square + c - direct, kPanel, pixels.down, pixels.across, pixels.to + c,
                 pixels.row_stride, pixels.pixel_stride, first + c, smaller(kLanes, channels - c),
                 epilogue);
  }
}

// Products [position][place][column] of tiles [begin, end) to `columns` channels of the result from
// `first` on.
inline void transform_result(const SquareTable<ResultFunction>& transforms,
                             const WinogradTiles& tiles, const float* products, int64_t row,
                             int64_t position, int64_t begin, int64_t end, int64_t first,
                             int64_t columns, float* result, const VectorEpilogue* epilogue) {
  const int64_t channels = tiles.result_channels;
  const int64_t row_stride = tiles.result_width * channels;
  over_tiles(tiles, begin, end,
             [&](const TileIndex& tile, int64_t place, int64_t high, int64_t wide)
                 __attribute__((always_inline)) {
                   const int64_t top = tile.row * tiles.size, left = tile.column * tiles.size;
                   const int64_t corner =
                       (tile.image * tiles.result_height + top) * tiles.result_width + left;
                   const ResultPixels pixels = {result + corner * channels + first,
                                                row_stride,
                                                channels,
                                                high,
                                                wide,
                                                {0, smaller(high, tiles.result_height - top)},
                                                {0, smaller(wide, tiles.result_width - left)}};
                   transform_products(transforms.at(high, wide), products + place * row, position,
                                      pixels, first, columns, epilogue);
                 });
}

}  // namespace nnrt::NNC_ISA
