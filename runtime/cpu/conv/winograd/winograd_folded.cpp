// Binds Winograd convolutions on folded pixels.
#include "cpu/conv/winograd/winograd_folded.h"

#include <algorithm>
#include <memory>

#include "cpu/conv/winograd/winograd_bind.h"
#include "cpu/kernel_tables.h"
#include "cpu/row_streaming.h"
#include "cpu/store_policy.h"
#include "cpu/tile/tile.h"

namespace nnrt {
namespace {

constexpr int64_t kPositions = 36;
// Tiles of a block: two register tiles high; 12 tiles of 64 products at 36 positions are 110 KB.
constexpr int64_t kProductTiles = 12;
// As the depth of a product in the gradient of the weights.
constexpr int64_t kSumTiles = 20;
// Parts of the gradient of the weights: enough for 16 threads, each of some rows of tiles.
constexpr int64_t kParts = 32;
constexpr int64_t kPartRows = 4;

std::shared_ptr<FoldedArguments> make_arguments(const ConvShape& shape, const WinogradTable& table,
                                                int64_t tile_block) {
  auto folded = std::make_shared<FoldedArguments>();
  FoldedArguments& f = *folded;
  f.shape = shape;
  f.tiles = folded_tiles(shape);
  f.depth = 4 * shape.in_channels;
  f.pixel_stride = round_up(f.depth, table.lanes);
  f.tile_block = even_part(f.tiles.columns, tile_block);
  f.strip_count = ceil_div(shape.out_channels, table.panel);
  f.row_stride = (f.tiles.columns * kFoldedPixels + kFoldedTaps - 1) * f.pixel_stride;
  f.tile_position = f.tile_block * f.pixel_stride + kSkew;
  return folded;
}

}  // namespace

bool folded_applies(const ConvShape& shape, ConvDirection direction, int64_t lanes) {
  const auto fits = [](int64_t taps) {
    return taps == 2 * kFoldedTaps || taps + 1 == 2 * kFoldedTaps;
  };
  return direction != ConvDirection::backward_data && fits(shape.kernel_height) &&
         fits(shape.kernel_width) && shape.stride_height == 2 && shape.stride_width == 2 &&
         shape.in_channels <= 4 && shape.out_channels % lanes == 0;
}

WinogradTiles folded_tiles(const ConvShape& shape) {
  WinogradTiles tiles = image_sizes(shape, ConvDirection::forward);
  tiles.rows = ceil_div(shape.out_height, kFoldedPixels);
  tiles.columns = ceil_div(shape.out_width, kFoldedPixels);
  tiles.count = tiles.images * tiles.rows * tiles.columns;
  return tiles;
}

BoundKernel bind_folded(const BindRequest& request, const ConvShape& shape) {
  const WinogradTable& table = *kernel_tables_of(request.isa).winograd;
  const auto folded = make_arguments(shape, table, kProductTiles);
  FoldedArguments& f = *folded;
  f.product_position = f.tile_block * std::min(table.panel, shape.out_channels) + kSkew;
  const bool program = request.tile != nullptr && tile_epilogue(request.tile) == nullptr;
  f.stream = streams(request.results[0].bytes(), shape.out_channels) && !program;

  BoundKernel bound;
  set_sizes(bound, request, shape);
  Scratch scratch(request.tile_scratch);
  f.fold_offset = scratch.add(6 * f.row_stride);
  f.tile_offset = scratch.add(kPositions * f.tile_position);
  f.product_offset = scratch.add(kPositions * f.product_position);
  bound.scratch_bytes = scratch.bytes;
  const bool kept = is_fixed(request, 1);
  (kept ? bound.prepared_bytes : bound.workspace_bytes) =
      line_bytes(kPositions * f.depth * shape.out_channels * 4);
  (kept ? bound.prepare : bound.phases).push_back({table.folded_weights, f.strip_count * f.depth});
  if (kept) bound.layout = "winograd of folded pixels";
  bound.phases.push_back({table.folded_multiply, f.tiles.images * f.tiles.rows});
  bound.column_lanes = column_lanes_of(request, table.lanes);
  bound.algorithm = "winograd F(3,4)";
  bound.arguments = folded;
  if (program) {
    bound.phases.push_back(tile_phase(*request.tile));
    return bound;
  }
  bound.rows = std::make_shared<RowKernel>();
  RowKernel& rows = *bound.rows;
  rows.run = table.folded_rows;
  rows.arguments = folded;
  rows.images = shape.images;
  rows.rows = shape.out_height;
  // A few rows need whole tiles of the source.
  rows.source_rows = 0;
  rows.granule = kFoldedPixels;
  rows.scratch_bytes = scratch.bytes;
  rows.weight_bytes = static_cast<size_t>(kPositions * f.depth * shape.out_channels) * 4;
  rows.plain_result = true;
  return bound;
}

BoundKernel bind_folded_weight(const BindRequest& request, const ConvShape& shape) {
  const WinogradTable& table = *kernel_tables_of(request.isa).winograd;
  const auto folded = make_arguments(shape, table, kSumTiles);
  FoldedArguments& f = *folded;
  f.product_position = f.tile_block * shape.out_channels + kSkew;
  f.sum_position = f.depth * shape.out_channels + kSkew;
  const int64_t rows = f.tiles.images * f.tiles.rows;
  f.split_rows = ceil_div(rows, std::min(kParts, ceil_div(rows, kPartRows)));
  f.splits = ceil_div(rows, f.split_rows);

  BoundKernel bound;
  set_sizes(bound, request, shape);
  Scratch scratch(0);
  f.zero_offset = scratch.add(shape.out_channels);
  f.fold_offset = scratch.add(6 * f.row_stride);
  f.tile_offset = scratch.add(kPositions * f.tile_position);
  f.product_offset = scratch.add(kPositions * f.product_position);
  f.sum_offset = scratch.add(kPositions * f.sum_position);
  bound.scratch_bytes = scratch.bytes;
  bound.phases.push_back({table.folded_weight, f.splits});
  if (f.splits > 1) {
    const int64_t elements =
        shape.kernel_height * shape.kernel_width * shape.in_channels * shape.out_channels;
    bound.workspace_bytes = line_bytes(f.splits * elements * 4);
    bound.phases.push_back({table.folded_weight_combine, ceil_div(elements, kCombineBlock)});
  }
  bound.algorithm = "winograd F(4,3)";
  bound.arguments = folded;
  return bound;
}

}  // namespace nnrt
