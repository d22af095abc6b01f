// Winograd's algorithm for 3x3 convolutions of stride 2. Every second row of the source meets two
// rows of the taps, every other one the third; and so the columns: four phases, which are
// convolutions of 2x2, 2x1, 1x2 and 1x1 taps and of stride 1. Each is taken as F(4x4, 2x2): 81
// products where the direct sum has 144.
//   Forward, a tile of 4x4 pixels of y is the sum of four transformed squares of x, and at each
// position the phases that have it are one product, as deep as their channels together.
//   The gradient of the data has one transformed square of dy for 4x4 pixels of each phase of dx.
//   The gradient of the weights multiplies the first by a transformed square of dy.
// Channels are whole vectors.
#pragma once

#include "cpu/conv/winograd/winograd.h"

namespace nnrt {

// A unit is a block of tiles and a block of strips. Forward a strip is so many result channels,
// in the gradient of the data those of one phase. Where there are several blocks of source
// channels, the products of all strips of the unit are kept between them.
struct StridedArguments {
  WinogradTiles tiles;
  WinogradCut cut;
  bool backward = false;
  // Of the gradient of the data, with an even padding: the phases of two taps have the even rows
  // (columns), those of one tap the odd ones, and tiles are turned over, so that the phases of one
  // tap need no point at infinity. With an odd padding it is the other way round.
  bool turn_rows = false, turn_columns = false;
  int64_t tile_blocks = 0, channel_blocks = 0;
  int64_t phase_strips = 0, strip_count = 0, strip_blocks = 0;
  // Transformed tiles: [position][tile][phase][channel]; products: [strip][position][tile][column].
  // Weights: [strip][channel block][position][phase][channel][column], of what is there.
  int64_t tile_position = 0, product_position = 0, product_strip = 0;
  int64_t weight_units = 0, weight_depth = 0;  // of the phase that transforms the weights
  int64_t tile_offset = 0, product_offset = 0, zero_offset = 0;  // bytes into the scratch
};

// Pairs of a position and a phase that has it: 16 positions have all four phases, 8 two, one has
// one.
inline constexpr int64_t kStridedSlices = 81;

// What `winograd_tiles` and `bind_winograd` give where the stride is 2.
WinogradTiles strided_tiles(const ConvShape& shape, ConvDirection direction);
BoundKernel bind_strided(const BindRequest& request, const ConvShape& shape,
                         ConvDirection direction, const WinogradCut* cut);

}  // namespace nnrt
