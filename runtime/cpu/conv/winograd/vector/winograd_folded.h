// Winograd convolution on folded pixels (cpu/conv/winograd/winograd_folded.h): forward and the
// gradient of the weights. The transformations are those of F(4, 3) in other places: both have the
// same points.
#pragma once

#include "cpu/conv/winograd/vector/winograd.h"
#include "cpu/conv/winograd/winograd_folded.h"
#include "cpu/row_streaming.h"

namespace nnrt::NNC_ISA {

NNC_INLINE const FoldedArguments& folded_arguments(const Call& call) {
  return *static_cast<const FoldedArguments*>(call.arguments);
}

// Two rows of `image` of Channels channels, from row y on, as `pixels` folded pixels from column
// -pad_left on: (row, column, channel) of four pixels side by side. Zero outside.
template <int Channels>
void fold_rows(const FoldedArguments& folded, const float* image, int64_t y, int64_t pixels,
               float* to) {
  constexpr int64_t pair = 2 * Channels;
  const ConvShape& s = folded.shape;
  for (int64_t half = 0; half < 2; ++half) {
    const int64_t row = y + half;
    if (row < 0 || row >= s.in_height) {
      for (int64_t v = 0; v < pixels; ++v)
        zero_floats(to + v * folded.pixel_stride + half * pair, pair);
      continue;
    }
    const float* from = image + row * s.in_width * Channels;
    for (int64_t v = 0; v < pixels; ++v) {
      const int64_t x = 2 * v - s.pad_left;
      float* place = to + v * folded.pixel_stride + half * pair;
      if (x >= 0 && x + 1 < s.in_width) {
        __builtin_memcpy(place, from + x * Channels, pair * sizeof(float));
        continue;
      }
      zero_floats(place, pair);
      for (int64_t i = 0; i < 2; ++i) {
        if (x + i < 0 || x + i >= s.in_width) continue;
        __builtin_memcpy(place + i * Channels, from + (x + i) * Channels, Channels * sizeof(float));
      }
    }
  }
}

// The folded rows under row `row` of the tiles of an image.
inline void fold_tile_row(const FoldedArguments& folded, const float* x, int64_t image, int64_t row,
                          float* to) {
  const ConvShape& s = folded.shape;
  const float* pixels = x + image * s.in_height * s.in_width * s.in_channels;
  const int64_t width = folded.row_stride / folded.pixel_stride;
  const auto fold = s.in_channels == 1   ? &fold_rows<1>
                    : s.in_channels == 2 ? &fold_rows<2>
                    : s.in_channels == 3 ? &fold_rows<3>
                                         : &fold_rows<4>;
  for (int64_t i = 0; i < kSide; ++i, to += folded.row_stride)
    fold(folded, pixels, 2 * (row * kFoldedPixels + i) - s.pad_top, width, to);
}

// Tiles [begin, end) of the row, to [position][tile][channel].
inline void transform_folded(const FoldedArguments& folded, const float* rows, int64_t begin,
                             int64_t end, float* to) {
  const int64_t stride = folded.pixel_stride;
  for (int64_t t = begin; t < end; ++t, to += stride) {
    for (int64_t c = 0; c < stride; c += kLanes) {
      const VectorSquare<const float> in(rows + t * kFoldedPixels * stride + c, folded.row_stride,
                                         stride);
      const VectorSquare<float> out(to + c, kSide * folded.tile_position, folded.tile_position);
      transform_square<SourceTransform>(
          [&](int i, int j) __attribute__((always_inline)) { return Float::load(in.at(i, j)); },
          [&](int i, int j, Float value)
              __attribute__((always_inline)) { value.store(out.at(i, j)); });
    }
  }
}

NNC_INLINE int64_t folded_strip_width(const FoldedArguments& folded, int64_t strip) {
  return smaller(kPanel, folded.tiles.result_channels - strip * kPanel);
}

// Unit: one channel of the folded pixels, of one strip. w: [taps][channels][columns].
inline void folded_weights(const Call& call, int64_t begin, int64_t end) {
  const FoldedArguments& folded = folded_arguments(call);
  const ConvShape& s = folded.shape;
  const int64_t columns = s.out_channels, tap_stride = s.in_channels * columns;
  const float* w = static_cast<const float*>(call.operands[1]);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t strip = unit / folded.depth, depth = unit % folded.depth;
    const int64_t width = folded_strip_width(folded, strip);
    const int64_t quarter = depth / s.in_channels;  // which of the four pixels
    const float* from = w + depth % s.in_channels * columns + strip * kPanel;
    float* to = packed_memory(call) + kPositions * folded.depth * strip * kPanel + depth * width;
    const int64_t position = folded.depth * width;
    for (int64_t n = 0; n < width; n += kLanes) {
      transform_square<GradientTransform>(
          [&](int i, int j) __attribute__((always_inline)) {
            const int64_t row = 2 * i + quarter / 2, column = 2 * j + quarter % 2;
            if (row >= s.kernel_height || column >= s.kernel_width) return Float::zero();
            return Float::load(from + (row * s.kernel_width + column) * tap_stride + n);
          },
          [&](int i, int j, Float value) __attribute__((always_inline)) {
            put<kSharedPast>(value, to + (i * kSide + j) * position + n);
          });
    }
  }
  stream_fence();
}

struct FoldedMemory {
  float* rows;
  float* tiles;
  float* products;
  float* sums;
  float* zeros;
};

// Cleared once: the lanes between a pixel's channels and its stride take part in transformations.
NNC_INLINE FoldedMemory folded_memory(const FoldedArguments& folded, const Call& call) {
  FoldedMemory memory = {
      floats_at(call.scratch, folded.fold_offset), floats_at(call.scratch, folded.tile_offset),
      floats_at(call.scratch, folded.product_offset), floats_at(call.scratch, folded.sum_offset),
      floats_at(call.scratch, folded.zero_offset)};
  zero_floats(memory.rows, kSide * folded.row_stride);
  return memory;
}

// The products of one tile to `columns` channels of its pixels, of which `rows` x `pixels` from
// row `first_row` on are stored.
inline void store_folded_tile(const FoldedArguments& folded, const float* from, float* to,
                              int64_t first_row, int64_t rows, int64_t pixels, int64_t channel,
                              int64_t columns, const VectorEpilogue* epilogue, bool stream) {
  const int64_t channels = folded.tiles.result_channels;
  for (int64_t c = 0; c < columns; c += kLanes) {
    const LoadColumns load = {{from + c, folded.product_position, kSide * folded.product_position}};
    const LineSquare<float> out(to + c, folded.tiles.result_width * channels, channels);
    const auto store = [&](int i, int j, float* place, Float value) __attribute__((always_inline)) {
      if (i < first_row || i >= rows || j >= pixels) return;
      if (epilogue != nullptr) {
        Float tile[1][1] = {{value}};
        epilogue->store_tile<true>(
            tile, [place](int) __attribute__((always_inline)) { return place; }, channel + c,
            kLanes, stream);
      } else if (stream) {
        value.stream(place);
      } else {
        value.store(place);
      }
    };
    transform_square<WeightGradientTransform>(load, StoreRows{out, store});
  }
}

// Rows [first, end) of an image's result, which lie in one row of tiles.
inline void multiply_folded(const FoldedArguments& folded, const Call& call,
                            const FoldedMemory& memory, int64_t image, int64_t first, int64_t end,
                            const VectorEpilogue* epilogue, bool stream) {
  const WinogradTiles& tiles = folded.tiles;
  const int64_t row = first / kFoldedPixels, top = row * kFoldedPixels;
  const float* const weights = packed_memory(call);
  float* const result = static_cast<float*>(call.results[0]) + (image * tiles.result_height + top) *
                                                                   tiles.result_width *
                                                                   tiles.result_channels;
  fold_tile_row(folded, static_cast<const float*>(call.operands[0]), image, row, memory.rows);
  PositionProduct product;
  product.a_row = folded.pixel_stride;
  product.a_step = 1;
  product.depth = folded.depth;
  product.accumulate = false;
  for (int64_t begin = 0; begin < tiles.columns; begin += folded.tile_block) {
    const int64_t until = smaller(tiles.columns, begin + folded.tile_block);
    transform_folded(folded, memory.rows, begin, until, memory.tiles);
    product.rows = until - begin;
    for (int64_t strip = 0; strip < folded.strip_count; ++strip) {
      const int64_t width = folded_strip_width(folded, strip);
      product.b_step = product.c_row = width;
      product.vectors = width / kLanes;
      const float* const of_strip = weights + kPositions * folded.depth * strip * kPanel;
      for (int p = 0; p < kPositions; ++p) {
        multiply_position(product, memory.tiles + p * folded.tile_position,
                          of_strip + p * folded.depth * width,
                          memory.products + p * folded.product_position);
      }
      for (int64_t t = begin; t < until; ++t) {
        const int64_t left = t * kFoldedPixels;
        store_folded_tile(folded, memory.products + (t - begin) * width,
                          result + left * tiles.result_channels + strip * kPanel, first - top,
                          end - top, tiles.result_width - left, strip * kPanel, width, epilogue,
                          stream);
      }
    }
  }
}

// Unit: a row of tiles.
inline void folded_multiply(const Call& call, int64_t begin, int64_t end) {
  const FoldedArguments& folded = folded_arguments(call);
  const WinogradTiles& tiles = folded.tiles;
  const CallEpilogue epilogue(call);
  if (begin == end) return;
  const FoldedMemory memory = folded_memory(folded, call);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t first = unit % tiles.rows * kFoldedPixels;
    multiply_folded(folded, call, memory, unit / tiles.rows, first,
                    smaller(tiles.result_height, first + kFoldedPixels), epilogue.get(),
                    folded.stream);
  }
  if (folded.stream) stream_fence();
}

// Some rows of an image's result (RowKernel::run). Tiles lie where they always do.
inline void folded_rows(const Call& call, const RowBand& band) {
  const FoldedArguments& folded = folded_arguments(call);
  const CallEpilogue epilogue(call);
  const FoldedMemory memory = folded_memory(folded, call);
  const bool stream = folded.stream && !band.kept;
  for (int64_t row = band.first; row < band.end;) {
    const int64_t end = smaller(band.end, (row / kFoldedPixels + 1) * kFoldedPixels);
    multiply_folded(folded, call, memory, band.image, row, end, epilogue.get(), stream);
    row = end;
  }
  if (stream) stream_fence();
}

// Sums [position][channel][column] back to dw: [taps][channels][columns].
inline void transform_folded_sums(const FoldedArguments& folded, const float* sums, float* dw) {
  const ConvShape& s = folded.shape;
  const int64_t columns = s.out_channels, tap_stride = s.in_channels * columns;
  for (int64_t depth = 0; depth < folded.depth; ++depth) {
    const int64_t quarter = depth / s.in_channels;
    float* to = dw + depth % s.in_channels * columns;
    for (int64_t n = 0; n < columns; n += kLanes) {
      const float* from = sums + depth * columns + n;
      transform_square<ResultTransform>(
          [&](int i, int j) __attribute__((always_inline)) {
            return Float::load(from + (i * kSide + j) * folded.sum_position);
          },
          [&](int i, int j, Float value) __attribute__((always_inline)) {
            const int64_t row = 2 * i + quarter / 2, column = 2 * j + quarter % 2;
            if (row < s.kernel_height && column < s.kernel_width)
              value.store(to + (row * s.kernel_width + column) * tap_stride + n);
          });
    }
  }
}

// Unit: a part of the rows of tiles.
inline void folded_weight(const Call& call, int64_t begin, int64_t end) {
  const FoldedArguments& folded = folded_arguments(call);
  const WinogradTiles& tiles = folded.tiles;
  const ConvShape& s = folded.shape;
  const int64_t columns = s.out_channels;
  const int64_t elements = s.kernel_height * s.kernel_width * s.in_channels * columns;
  const float* const x = static_cast<const float*>(call.operands[0]);
  const float* const dy = static_cast<const float*>(call.operands[1]);
  if (begin == end) return;
  const FoldedMemory memory = folded_memory(folded, call);
  zero_floats(memory.zeros, columns);
  PositionProduct product;
  product.a_row = 1;
  product.a_step = folded.pixel_stride;
  product.b_step = product.c_row = columns;
  product.rows = folded.depth;
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t first = unit * folded.split_rows;
    const int64_t last = smaller(tiles.images * tiles.rows, first + folded.split_rows);
    for (int64_t row = first; row < last; ++row) {
      const int64_t image = row / tiles.rows;
      fold_tile_row(folded, x, image, row % tiles.rows, memory.rows);
      const float* const gradient = dy + image * tiles.result_height * tiles.result_width * columns;
      for (int64_t start = 0; start < tiles.columns; start += folded.tile_block) {
        const int64_t until = smaller(tiles.columns, start + folded.tile_block);
        transform_folded(folded, memory.rows, start, until, memory.tiles);
        for (int64_t t = start; t < until; ++t) {
          const PixelSquare<kFoldedPixels, kFoldedPixels> square(
              gradient, tiles.result_height, tiles.result_width, columns,
              row % tiles.rows * kFoldedPixels, t * kFoldedPixels, memory.zeros);
          transform_pixels<WeightTransform, WeightTransform>(
              square, 0, columns, memory.products + (t - start) * columns, folded.product_position);
        }
        // The pixels of the next block, or of the next row's first.
        const int64_t after = row * tiles.columns + until;
        const int64_t ahead = smaller(last * tiles.columns, after + folded.tile_block);
        PrefetchPixels pixels(tiles, dy, tiles.result_height, tiles.result_width, columns, after,
                              ahead, kFoldedPixels);
        if (after < ahead) pixels.set_window(0, 0, 0, columns);
        product.depth = until - start;
        product.accumulate = row > first || start > 0;
        for (int p = 0; p < kPositions; ++p) {
          pixels.prefetch<0>(p);
          for (int64_t n = 0; n < columns; n += kPanel) {
            product.vectors = smaller(kPanel, columns - n) / kLanes;
            multiply_position(product, memory.tiles + p * folded.tile_position,
                              memory.products + p * folded.product_position + n,
                              memory.sums + p * folded.sum_position + n);
          }
        }
      }
    }
    float* dw = folded.splits == 1 ? static_cast<float*>(call.results[0])
                                   : static_cast<float*>(call.workspace) + unit * elements;
    transform_folded_sums(folded, memory.sums, dw);
  }
}

// Unit: kCombineBlock elements of dw.
inline void folded_weight_combine(const Call& call, int64_t begin, int64_t end) {
  const FoldedArguments& folded = folded_arguments(call);
  const ConvShape& s = folded.shape;
  const int64_t elements = s.kernel_height * s.kernel_width * s.in_channels * s.out_channels;
  combine_parts(call, folded.splits, elements, begin, end);
}

}  // namespace nnrt::NNC_ISA
