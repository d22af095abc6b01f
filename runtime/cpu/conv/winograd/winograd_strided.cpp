// Binds Winograd convolutions of stride 2, forward and the gradient of the data.
#include "cpu/conv/winograd/winograd_strided.h"

#include <algorithm>
#include <memory>

#include "cpu/conv/winograd/winograd_bind.h"
#include "cpu/conv/winograd/winograd_model.h"
#include "cpu/kernel_tables.h"
#include "cpu/tile/tile.h"

namespace nnrt {
namespace {

// Depths of one unit that transforms weights: 32 x 64 columns, about 15 us.
constexpr int64_t kWeightDepth = 32;

}  // namespace

WinogradTiles strided_tiles(const ConvShape& shape, ConvDirection direction) {
  WinogradTiles tiles = image_sizes(shape, direction);
  tiles.side = 5;
  if (direction != ConvDirection::backward_data) {
    set_grid(tiles, tiles.result_height, tiles.result_width);
    return tiles;
  }
  // Tap 1 leads from dy's pixel k to pixel 2 k + 1 - padding. The first two of dx have k = padding
  // / 2: with an odd padding taps 1 and 2 lead there, with an even one taps 0 and 1.
  tiles.pad_top = -(shape.pad_top / 2);
  tiles.pad_left = -(shape.pad_left / 2);
  set_grid(tiles, ceil_div(shape.in_height, 2), ceil_div(shape.in_width, 2));
  return tiles;
}

BoundKernel bind_strided(const BindRequest& request, const ConvShape& shape,
                         ConvDirection direction, const WinogradCut* cut) {
  const WinogradTable& table = *kernel_tables_of(request.isa).winograd;
  auto strided = std::make_shared<StridedArguments>();
  StridedArguments& s = *strided;
  s.tiles = strided_tiles(shape, direction);
  s.backward = direction == ConvDirection::backward_data;
  s.turn_rows = s.backward && shape.pad_top % 2 == 0;
  s.turn_columns = s.backward && shape.pad_left % 2 == 0;
  const auto cut_for = [&](int threads) {
    return best_strided_cut(s.tiles, s.backward, request.isa, is_fixed(request, 1), threads).cut;
  };
  const int64_t depth = s.tiles.source_channels, columns = s.tiles.result_channels;
  s.phase_strips = ceil_div(columns, table.panel);
  s.strip_count = (s.backward ? 4 : 1) * s.phase_strips;
  s.cut = cut != nullptr ? *cut : cut_for(kFewThreads);
  const bool parts = !is_fixed(request, 1) && s.cut.strip_block >= s.strip_count &&
                     may_be_parts(ceil_div(s.tiles.count, s.cut.tile_block));
  if (cut == nullptr && !parts && request.threads > kFewThreads) s.cut = cut_for(request.threads);
  s.cut.channel_block = round_up(s.cut.channel_block, table.lanes);
  s.cut.strip_block = std::min(s.cut.strip_block, s.strip_count);
  s.tile_blocks = ceil_div(s.tiles.count, s.cut.tile_block);
  s.channel_blocks = ceil_div(depth, s.cut.channel_block);
  s.strip_blocks = ceil_div(s.strip_count, s.cut.strip_block);
  const int64_t positions = s.tiles.side * s.tiles.side;
  s.tile_position = s.cut.tile_block * (s.backward ? 1 : 4) * s.cut.channel_block + kSkew;
  s.product_position = s.cut.tile_block * std::min(table.panel, columns) + kSkew;
  s.product_strip = s.channel_blocks > 1 ? positions * s.product_position : 0;
  s.weight_depth = kWeightDepth;
  s.weight_units = s.strip_count * ceil_div(depth, kWeightDepth);

  BoundKernel bound;
  set_sizes(bound, request, shape);
  Scratch scratch(request.tile_scratch);
  s.zero_offset = scratch.add(depth);
  s.tile_offset = scratch.add(positions * s.tile_position);
  s.product_offset =
      scratch.add(positions * s.product_position * (s.channel_blocks > 1 ? s.cut.strip_block : 1));
  const bool kept = is_fixed(request, 1);
  (kept ? bound.prepared_bytes : bound.workspace_bytes) =
      line_bytes(kStridedSlices * depth * columns * 4);
  (kept ? bound.prepare : bound.phases).push_back({table.strided_weights, s.weight_units});
  if (kept) bound.layout = "winograd of stride 2";
  bound.scratch_bytes = scratch.bytes;
  bound.phases.push_back({table.strided_multiply, s.tile_blocks * s.strip_blocks});
  const bool program = request.tile != nullptr && tile_epilogue(request.tile) == nullptr;
  if (program) bound.phases.push_back(tile_phase(*request.tile));
  if (parts && !program) bound.sum_parts = s.tile_blocks;
  bound.column_lanes = column_lanes_of(request, table.lanes);
  bound.algorithm = "winograd F(4,2)";
  bound.arguments = strided;
  return bound;
}

}  // namespace nnrt
