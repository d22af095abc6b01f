// Winograd's algorithm for the first layer of many networks: 7x7 or 8x8 taps of stride 2 on up to 4
// channels. Four neighbouring pixels are folded into one of four times the channels, on which the
// convolution has 4x4 taps and stride 1; that is taken as F(3x3, 4x4) over the six points of
// cpu/conv/winograd/winograd.h. Of 3 channels it has 48 products for each result where the direct
// sum of 7x7 taps has 147.
#pragma once

#include "cpu/conv/winograd/winograd.h"

namespace nnrt {

inline constexpr int64_t kFoldedTaps = 4, kFoldedPixels = 3;  // of a tile, in one dimension

// Forward a unit is a row of tiles of one image, in the gradient of the weights a part of all rows
// of tiles, and some strips of result channels.
struct FoldedArguments {
  ConvShape shape;
  WinogradTiles tiles;
  int64_t depth = 0;         // channels of a folded pixel
  int64_t pixel_stride = 0;  // floats of one in memory
  int64_t tile_block = 0;    // tiles of a row that are transformed together
  int64_t strip_count = 0;
  bool stream = false;  // non-temporal stores of the result
  // Folded rows: [row][column][channel]; tiles: [position][tile][channel]; products and gradients:
  // [position][tile][column]; weights: [strip][position][channel][column]; sums:
  // [position][channel][column].
  int64_t row_stride = 0, tile_position = 0, product_position = 0, sum_position = 0;
  int64_t splits = 1, split_rows = 0;  // of the gradient of the weights: rows of tiles of a part
  int64_t fold_offset = 0, tile_offset = 0, product_offset = 0, sum_offset = 0,
          zero_offset = 0;  // bytes into the scratch
};

// 7x7 or 8x8, stride 2, no dilation, one group, few channels to whole vectors of them, not the
// gradient of the data.
bool folded_applies(const ConvShape& shape, ConvDirection direction, int64_t lanes);

WinogradTiles folded_tiles(const ConvShape& shape);
BoundKernel bind_folded(const BindRequest& request, const ConvShape& shape);
BoundKernel bind_folded_weight(const BindRequest& request, const ConvShape& shape);

}  // namespace nnrt
