// From images to transformed tiles and back: which pixels lie under a tile, the source with zeros
// around it, the result cut off at its edge.
#pragma once

#include "cpu/vector/conv_window.h"
#include "cpu/vector/winograd_transform.h"
#include "cpu/winograd.h"

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
};

// Asks for the pixels of some tiles ahead of their use, some rows of pixels at each position: what
// lies in the cache when the transformation comes costs a third of what memory does, and a few at a
// time go unnoticed beside the products (Zen 5, 64 channels of 56x56: 12.8 MB a tensor).
class PixelsAhead {
 public:
  NNC_INLINE PixelsAhead(const WinogradTiles& tiles, const float* images, int64_t height,
                         int64_t width, int64_t stride, int64_t begin, int64_t end)
      : tiles_(tiles),
        tile_(tiles, begin),
        images_(images),
        height_(height),
        width_(width),
        stride_(stride),
        count_(end - begin) {}
  // Four rows from `top` and columns from `left` of the corner of each tile, clipped to the image,
  // of channels [first, first + channels).
  NNC_INLINE void set_window(int64_t top, int64_t left, int64_t first, int64_t channels) {
    top_ = top;
    left_ = left;
    first_ = first;
    channels_ = channels;
    total_ = 4 * count_;
  }
  // The rows whose turn it is at position p.
  template <int Write>
  NNC_INLINE void ask(int p) {
    const int64_t until = total_ * (p + 1) / kPositions;
    for (; done_ < until; ++done_) {
      ask_row<Write>(done_ % 4);
      if (done_ % 4 == 3) tile_.next(tiles_);
    }
  }

 private:
  template <int Write>
  NNC_INLINE void ask_row(int64_t row) const {
    const int64_t y = tile_.row * 4 + top_ + row, x = tile_.column * 4 + left_;
    if (y < 0 || y >= height_) return;
    const int64_t left = larger(0, x), pixels = smaller(width_, x + 4) - left;
    const float* run = images_ + ((tile_.image * height_ + y) * width_ + left) * stride_ + first_;
    if (channels_ == stride_) {
      for (int64_t c = 0; c < pixels * channels_; c += kLine / 4) {
        __builtin_prefetch(run + c, Write, 2);
      }
      return;
    }
    for (int64_t i = 0; i < pixels; ++i, run += stride_) {
      for (int64_t c = 0; c < channels_; c += kLine / 4) __builtin_prefetch(run + c, Write, 2);
    }
  }

  const WinogradTiles& tiles_;
  TileIndex tile_;
  const float* images_;
  int64_t height_, width_, stride_, count_;
  int64_t top_ = 0, left_ = 0, first_ = 0, channels_ = 0;
  int64_t total_ = 0, done_ = 0;
};

// Side x Side pixels of an image from (top, left) on, some of which may lie outside.
template <int Side>
struct PixelSquare {
  const float* pixels[Side][Side];  // outside: `zeros`
  const float* origin;
  int64_t row_stride, pixel_stride;
  bool inside;  // entirely

  NNC_INLINE PixelSquare(const float* image, int64_t height, int64_t width, int64_t channels,
                         int64_t top, int64_t left, const float* zeros)
      : origin(image + (top * width + left) * channels),
        row_stride(width * channels),
        pixel_stride(channels),
        inside(top >= 0 && left >= 0 && top + Side <= height && left + Side <= width) {
    if (inside) return;
    for (int i = 0; i < Side; ++i) {
      const bool row_inside = top + i >= 0 && top + i < height;
      for (int j = 0; j < Side; ++j) {
        const bool pixel_inside = row_inside && left + j >= 0 && left + j < width;
        pixels[i][j] = pixel_inside ? origin + i * row_stride + j * pixel_stride : zeros;
      }
    }
  }
};

// Transforms channels [first, first + channels) of a square; position p of channel first + c goes
// to to[p * position + c]. The last vector is filled up with zeros.
template <class Transform, int Side>
NNC_INLINE void transform_pixels(const PixelSquare<Side>& square, int64_t first, int64_t channels,
                                 float* to, int64_t position) {
  for (int64_t c = 0; c < channels; c += kLanes) {
    const VectorSquare<float> out(to + c, kSide * position, position);
    auto store = [&](int i, int j, Float value)
                     __attribute__((always_inline)) { value.store(out.at(i, j)); };
    const int64_t lanes = channels - c;
    if (square.inside) {
      const VectorSquare<const float> in(square.origin + first + c, square.row_stride,
                                         square.pixel_stride);
      if (lanes >= kLanes) {
        transform_square<Transform>(
            [&](int i, int j) __attribute__((always_inline)) { return Float::load(in.at(i, j)); },
            store);
      } else {
        transform_square<Transform>(
            [&](int i, int j)
                __attribute__((always_inline)) { return Float::load_partial(in.at(i, j), lanes); },
            store);
      }
    } else {
      auto pixel = [&](int i, int j)
                       __attribute__((always_inline)) { return square.pixels[i][j] + first + c; };
      if (lanes >= kLanes) {
        transform_square<Transform>(
            [&](int i, int j) __attribute__((always_inline)) { return Float::load(pixel(i, j)); },
            store);
      } else {
        transform_square<Transform>(
            [&](int i, int j)
                __attribute__((always_inline)) { return Float::load_partial(pixel(i, j), lanes); },
            store);
      }
    }
  }
}

// Blocks of transformed tiles, [position][tile][channel].
struct TransformedTiles {
  float* to;
  int64_t row, position;  // floats
};

// The 6x6 source pixels under tiles [begin, end). `zeros`: as many as the source has channels, in
// whole vectors.
inline void transform_source(const WinogradTiles& tiles, const float* source, int64_t begin,
                             int64_t end, int64_t first, int64_t channels, const float* zeros,
                             const TransformedTiles& out) {
  const int64_t image_floats = tiles.source_height * tiles.source_width * tiles.source_channels;
  TileIndex tile(tiles, begin);
  for (int64_t t = 0; t < end - begin; ++t, tile.next(tiles)) {
    const PixelSquare<6> square(source + tile.image * image_floats, tiles.source_height,
                                tiles.source_width, tiles.source_channels,
                                tile.row * 4 - tiles.pad_top, tile.column * 4 - tiles.pad_left,
                                zeros);
    transform_pixels<SourceTransform>(square, first, channels, out.to + t * out.row, out.position);
  }
}

// The 4x4 pixels of the result's gradient in tiles [begin, end).
inline void transform_gradient(const WinogradTiles& tiles, const float* gradient, int64_t begin,
                               int64_t end, int64_t first, int64_t channels, const float* zeros,
                               const TransformedTiles& out) {
  const int64_t image_floats = tiles.result_height * tiles.result_width * tiles.result_channels;
  TileIndex tile(tiles, begin);
  for (int64_t t = 0; t < end - begin; ++t, tile.next(tiles)) {
    const PixelSquare<4> square(gradient + tile.image * image_floats, tiles.result_height,
                                tiles.result_width, tiles.result_channels, tile.row * 4,
                                tile.column * 4, zeros);
    transform_pixels<GradientTransform>(square, first, channels, out.to + t * out.row,
                                        out.position);
  }
}

// Products [position][tile][column] of tiles [begin, end) to `columns` channels of the result from
// `first` on.
inline void transform_result(const WinogradTiles& tiles, const float* products, int64_t row,
                             int64_t position, int64_t begin, int64_t end, int64_t first,
                             int64_t columns, float* result, const Finisher* finish) {
  const int64_t channels = tiles.result_channels;
  const int64_t row_stride = tiles.result_width * channels;
  TileIndex tile(tiles, begin);
  for (int64_t t = 0; t < end - begin; ++t, tile.next(tiles)) {
    const int64_t rows = smaller(4, tiles.result_height - tile.row * 4);
    const int64_t pixels = smaller(4, tiles.result_width - tile.column * 4);
    float* to =
        result +
        ((tile.image * tiles.result_height + tile.row * 4) * tiles.result_width + tile.column * 4) *
            channels +
        first;
    const float* from = products + t * row;
    for (int64_t c = 0; c < columns; c += kLanes) {
      const VectorSquare<const float> in(from + c, kSide * position, position);
      const VectorSquare<float> out(to + c, row_stride, channels);
      auto load = [&](int i, int j)
                      __attribute__((always_inline)) { return Float::load(in.at(i, j)); };
      const int64_t lanes = smaller(kLanes, columns - c);
      if (finish != nullptr) {
        transform_square<ResultTransform>(
            load, [&](int i, int j, Float value) __attribute__((always_inline)) {
              if (i >= rows || j >= pixels) return;
              if (lanes == kLanes) {
                finish->store<true>(value, out.at(i, j), first + c, lanes);
              } else {
                finish->store<false>(value, out.at(i, j), first + c, lanes);
              }
            });
      } else if (rows == 4 && pixels == 4 && lanes == kLanes) {
        transform_square<ResultTransform>(load, [&](int i, int j, Float value) __attribute__((
                                                    always_inline)) { value.store(out.at(i, j)); });
      } else {
        transform_square<ResultTransform>(
            load, [&](int i, int j, Float value) __attribute__((always_inline)) {
              if (i < rows && j < pixels) value.store_partial(out.at(i, j), lanes);
            });
      }
    }
  }
}

}  // namespace nnrt::NNC_ISA
