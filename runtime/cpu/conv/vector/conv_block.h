// What the convolution kernels share: the block of the result that a unit computes, where a class
// of its pixels lies, and its epilogue.
#pragma once

#include "cpu/conv/conv.h"
#include "cpu/conv/vector/conv_window.h"
#include "cpu/tile/tile.h"

namespace nnrt::NNC_ISA {

NNC_INLINE const ConvArguments& conv_arguments(const Call& call) {
  return *static_cast<const ConvArguments*>(call.arguments);
}

// The block of the result that a unit computes.
struct ConvBlock {
  int64_t image, images;
  int64_t first_row, end_row;
  int64_t strip, strips;
};

NNC_INLINE ConvBlock conv_block(const ConvArguments& conv, int64_t unit) {
  const int64_t blocks = conv.image_blocks * conv.row_blocks;
  const int64_t strip = unit / blocks * conv.strip_block;
  const int64_t index = unit % blocks;
  // Nearly equal blocks: a small last one would leave its thread waiting.
  const int64_t images = index / conv.row_blocks, rows = index % conv.row_blocks;
  const int64_t image = conv.images * images / conv.image_blocks;
  const int64_t row = conv.result.height * rows / conv.row_blocks;
  return {image, conv.images * (images + 1) / conv.image_blocks - image,
          row,   conv.result.height * (rows + 1) / conv.row_blocks,
          strip, smaller(conv.strip_block, conv.strip_count - strip)};
}

NNC_INLINE float* class_result(const ConvArguments& conv, const ResidueClass& pixels,
                               const Call& call, int64_t image, int64_t row) {
  const int64_t y = pixels.first_row + row * conv.step_height;
  return static_cast<float*>(call.results[0]) +
         ((image * conv.result.height + y) * conv.result.width + pixels.first_column) *
             conv.result.channels;
}

// The epilogue over columns [column, column + columns) of the block's pixels, in runs as long as
// they come.
inline void conv_epilogue(const ConvArguments& conv, const Call& call, const ConvBlock& unit,
                          int64_t column, int64_t columns) {
  if (call.tile == nullptr) return;
  const int64_t channels = conv.result.channels;
  const int64_t first = (unit.image * conv.result.height + unit.first_row) * conv.result.width;
  const int64_t last =
      ((unit.image + unit.images - 1) * conv.result.height + unit.end_row) * conv.result.width;
  if (columns == channels) {
    run_tile(*call.tile, call, call.scratch, first * channels, last * channels);
    return;
  }
  for (int64_t pixel = first; pixel < last; ++pixel) {
    run_tile(*call.tile, call, call.scratch, pixel * channels + column,
             pixel * channels + column + columns);
  }
}

}  // namespace nnrt::NNC_ISA
