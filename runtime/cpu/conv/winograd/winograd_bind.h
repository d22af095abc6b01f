// What binding Winograd convolutions of stride 1 and 2 has in common.
#pragma once

#include "cpu/conv/winograd/winograd.h"

namespace nnrt {

// From one position to the next a line more than the matrix: the places of one pixel's channels at
// all positions lie in different cache sets.
inline constexpr int64_t kSkew = kLine / 4;

// Gives the places of arrays in the scratch, one after the other.
struct Scratch {
  size_t bytes;

  explicit Scratch(size_t tile_bytes) : bytes(line_bytes(static_cast<int64_t>(tile_bytes))) {}
  int64_t add(int64_t floats) {
    const int64_t offset = static_cast<int64_t>(bytes);
    bytes += line_bytes(floats * 4);
    return offset;
  }
};

void set_sizes(BoundKernel& bound, const BindRequest& request, const ConvShape& shape);

// Whether units of so many blocks of tiles, with all channels, may be parts of sums: they are few
// enough to add up and share themselves evenly among many threads, so that these need no cut of
// their own.
bool may_be_parts(int64_t tile_blocks);

// The sizes of source and result, which the gradient of the data exchanges, without tiles.
WinogradTiles image_sizes(const ConvShape& shape, ConvDirection direction);
// Tiles over height x width pixels; `images` and `size` are set.
void set_grid(WinogradTiles& tiles, int64_t height, int64_t width);

}  // namespace nnrt
