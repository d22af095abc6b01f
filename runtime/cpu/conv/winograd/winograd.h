// Winograd's algorithm for 3x3 convolutions. Of stride 1: F(4x4, 3x3) over the points 0, +-2/3,
// +-3/2 and infinity: tiles of 6x6 source pixels (4x4 result pixels) are transformed, multiplied at
// 36 positions, and transformed back: a quarter of the multiplications of the direct sum. With
// these points the rounding error is 1e-6 of the rms of the result (256 channels), where the direct
// kernels' is 2e-7 and that of the usual points 0, +-1, +-2 is 3e-6 (tests/cpp/test_winograd.cpp).
// Where less than 4 rows or columns of pixels are left at the edge, tiles have fewer positions;
// where weights weigh more than pixels all tiles are such ones, of 2x2 pixels: F(2x2, 3x3) over 0,
// +-2/3 and infinity, on 16 of the 36 positions.
// What is infinite or no number spreads over the pixels of its tiles. Of stride 2:
// cpu/conv/winograd/winograd_strided.h; larger, on few channels:
// cpu/conv/winograd/winograd_folded.h.
#pragma once

#include <cstdint>
#include <string>

#include "cpu/conv/conv.h"
#include "cpu/fused_reduction.h"
#include "cpu/gemm/gemm.h"
#include "cpu/kernel.h"
#include "cpu/row_streaming.h"

namespace nnrt {

enum class ConvDirection : uint8_t { forward, backward_data, backward_weight };

// Square tiles over a result of rows x columns pixels; tile (i, j) begins at pixel (size i, size
// j), and the source under it at (size i - pad_top, size j - pad_left), or 8 i and 8 j where the
// stride of that tensor is 2. What lies outside of an image is zero.
struct WinogradTiles {
  int64_t images = 0;
  int64_t source_height = 0, source_width = 0, source_channels = 0;
  int64_t result_height = 0, result_width = 0, result_channels = 0;
  int64_t pad_top = 0, pad_left = 0;
  int64_t rows = 0, columns = 0;  // tiles of an image
  int64_t count = 0;              // tiles of all images
  // The last row or column of tiles holds `edge` pixels, fewer than the others, and has fewer
  // positions for it (cpu/conv/winograd/vector/winograd_edge.h).
  int64_t edge = 0;
  bool edge_row = false, edge_column = false;
  int64_t side = 6;  // positions that a tile may have in one dimension
  int64_t size = 4;  // pixels of a whole tile in one dimension
  int64_t whole_side() const { return side - 4 + size; }  // positions that a whole one has
  // Of all tiles.
  int64_t positions() const {
    const int64_t spared = size - edge;
    return images * (whole_side() * rows - (edge_row ? spared : 0)) *
           (whole_side() * columns - (edge_column ? spared : 0));
  }
};

// How the forward kernel, which is the one of the data's gradient too, goes through its work. A
// unit is a block of tiles and a block of strips (of kPanel result channels).
struct WinogradCut {
  int64_t tile_block = 0;  // tiles that are transformed and multiplied together
  int64_t channel_block =
      0;  // source channels at a time: all of them, or few with the sums kept in between
  int64_t strip_block = 1;    // strips of a unit; 1 where there are several channel blocks
  bool weights_first = true;  // all weights are transformed in a phase of their own; else each unit
                              // transforms what it needs
  int64_t tile_size = 4;      // WinogradTiles::size, or 2
};

struct WinogradArguments {
  WinogradTiles tiles;
  WinogradCut cut;
  bool backward =
      false;  // the weights are read turned by 180 degrees, with their channels exchanged
  int64_t tile_blocks = 0, channel_blocks = 0;
  int64_t strip_count = 0, strip_blocks = 0;
  int64_t positions = 36;  // of the weights: those that whole tiles have
  bool epilogue = false;   // the epilogue runs in the unit: it has all channels of its pixels
  // Transformed tiles: [position][tile][channel]; weights: [position][channel][column]; products:
  // [position][tile][column].
  int64_t channel_stride = 0;  // floats of a row of transformed tiles
  int64_t tile_position = 0, weight_position = 0,
          product_position = 0;  // floats from position to position
  int64_t weight_strip = 0;      // floats of one strip's transformed weights in the workspace
  int64_t weight_units = 0;      // of the phase that transforms the weights
  int64_t weight_depth = 0;      // channels of one of its units
  int64_t tile_offset = 0, weight_offset = 0, product_offset = 0,
          zero_offset = 0;  // bytes into the scratch
};

// The gradient of the weights: a unit sums the products of some tiles for a block of source
// channels and one of result channels.
struct WinogradWeightCut {
  int64_t tile_block = 0;     // tiles that are transformed together: the depth of one product
  int64_t channel_block = 0;  // source channels
  int64_t column_block = 0;   // result channels: a multiple of the panel, or all
  int64_t splits = 1;         // parts of the tiles that are summed apart and added in order
};

struct WinogradWeightArguments {
  WinogradTiles tiles;  // of x and y
  WinogradWeightCut cut;
  int64_t channel_blocks = 0, column_blocks = 0;
  int64_t split_tiles = 0;  // tiles of a part: a multiple of tile_block
  int64_t channel_stride = 0, column_stride = 0;
  int64_t source_position = 0, gradient_position = 0, sum_position = 0;
  int64_t source_offset = 0, gradient_offset = 0, sum_offset = 0,
          zero_offset = 0;  // bytes into the scratch
};

// Of the result, what lies under tiles [begin, end) of `side` rows and columns; gives their number,
// at most kMostStretches.
inline constexpr int64_t kMostStretches = 2 * 8 + 1;
int64_t stretches_under(const WinogradTiles& tiles, int64_t begin, int64_t end, int64_t side,
                        Stretch* stretches);

struct WinogradTable {
  using Run = void (*)(const Call&, int64_t begin, int64_t end);
  int64_t panel, lanes;
  Run weights, multiply;
  Run weight, weight_combine;
  Run strided_weights, strided_multiply, strided_weight;  // cpu/conv/winograd/winograd_strided.h
  // cpu/conv/winograd/winograd_folded.h
  Run folded_weights, folded_multiply, folded_weight, folded_weight_combine;
  void (*folded_rows)(const Call&, const RowBand&);
};

// Three ways: 3x3 taps of stride 1; of stride 2, with channels in whole vectors; 7x7 or 8x8 of
// stride 2 on few channels.
enum class WinogradScheme : uint8_t { none, plain, strided, folded };
// Without dilation, in one group, with something to compute.
WinogradScheme winograd_scheme(const ConvShape& shape, ConvDirection direction, Isa isa);

// What one core is expected to take, in nanoseconds: a direct kernel, and Winograd's algorithm
// where it has a scheme. `prepared`: what is made of the weights alone is kept from run to run.
double direct_nanoseconds(const ConvShape& shape, ConvDirection direction, Isa isa, bool prepared);
double winograd_nanoseconds(const ConvShape& shape, ConvDirection direction, Isa isa,
                            bool prepared);

// The request is one that `conv_shape` has checked, of floats, for an instruction set with vectors.
// Without a cut, the best by the model.
BoundKernel bind_winograd(const BindRequest& request, const ConvShape& shape,
                          ConvDirection direction, const WinogradCut* cut = nullptr);
BoundKernel bind_winograd_weight(const BindRequest& request, const ConvShape& shape,
                                 const WinogradWeightCut* cut = nullptr);

}  // namespace nnrt
