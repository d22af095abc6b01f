// Binds Winograd convolutions: layouts and units from a division.
#include "cpu/conv/winograd/winograd.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "cpu/conv/winograd/winograd_bind.h"
#include "cpu/conv/winograd/winograd_folded.h"
#include "cpu/conv/winograd/winograd_model.h"
#include "cpu/conv/winograd/winograd_strided.h"
#include "cpu/fused_reduction.h"
#include "cpu/kernel_tables.h"
#include "cpu/tile/tile.h"

namespace nnrt {
namespace {

// Depths of one unit that transforms weights: 32 x 64 columns are 2048 weights of 9 taps, about 10
// us.
constexpr int64_t kWeightDepth = 32;
constexpr int64_t kMostParts = 1024;  // parts of the sums
constexpr int64_t kGroup = 16;        // threads with nearly even parts

}  // namespace

void set_sizes(BoundKernel& bound, const BindRequest& request, const ConvShape& shape) {
  bound.flops = shape.flops();
  for (const TensorInfo& info : request.operands) bound.bytes += static_cast<double>(info.bytes());
  for (const TensorInfo& info : request.results) bound.bytes += static_cast<double>(info.bytes());
}

bool may_be_parts(int64_t tile_blocks) {
  const int64_t idle = round_up(tile_blocks, kGroup) - tile_blocks;
  return tile_blocks <= kMostParts && 10 * idle <= tile_blocks;
}

WinogradScheme winograd_scheme(const ConvShape& shape, ConvDirection direction, Isa isa) {
  const bool plain = shape.dilation_height == 1 && shape.dilation_width == 1 && shape.groups == 1;
  const bool something = shape.images > 0 && shape.in_height > 0 && shape.in_width > 0 &&
                         shape.in_channels > 0 && shape.out_height > 0 && shape.out_width > 0 &&
                         shape.out_channels > 0;
  if (!plain || !something) return WinogradScheme::none;
  const int64_t lanes = kernel_tables_of(isa).winograd->lanes;
  if (folded_applies(shape, direction, lanes)) return WinogradScheme::folded;
  if (shape.kernel_height != 3 || shape.kernel_width != 3) return WinogradScheme::none;
  if (shape.stride_height == 1 && shape.stride_width == 1) return WinogradScheme::plain;
  const bool vectors = shape.in_channels % lanes == 0 && shape.out_channels % lanes == 0;
  return vectors && shape.stride_height == 2 && shape.stride_width == 2 ? WinogradScheme::strided
                                                                        : WinogradScheme::none;
}

WinogradTiles image_sizes(const ConvShape& shape, ConvDirection direction) {
  WinogradTiles tiles;
  tiles.images = shape.images;
  tiles.source_height = shape.in_height;
  tiles.source_width = shape.in_width;
  tiles.source_channels = shape.in_channels;
  tiles.result_height = shape.out_height;
  tiles.result_width = shape.out_width;
  tiles.result_channels = shape.out_channels;
  tiles.pad_top = shape.pad_top;
  tiles.pad_left = shape.pad_left;
  if (direction == ConvDirection::backward_data) {
    std::swap(tiles.source_height, tiles.result_height);
    std::swap(tiles.source_width, tiles.result_width);
    std::swap(tiles.source_channels, tiles.result_channels);
  }
  return tiles;
}

void set_grid(WinogradTiles& tiles, int64_t height, int64_t width) {
  tiles.rows = ceil_div(height, tiles.size);
  tiles.columns = ceil_div(width, tiles.size);
  tiles.count = tiles.images * tiles.rows * tiles.columns;
  const int64_t down = height % tiles.size, across = width % tiles.size;
  tiles.edge_row = down > 0;
  tiles.edge_column = across > 0 && (!tiles.edge_row || across == down);
  tiles.edge = tiles.edge_row ? down : tiles.edge_column ? across : 0;
}

WinogradTiles winograd_tiles(const ConvShape& shape, ConvDirection direction) {
  if (shape.stride_height == 2) return strided_tiles(shape, direction);
  WinogradTiles tiles = image_sizes(shape, direction);
  if (direction == ConvDirection::backward_data) {
    tiles.pad_top = 2 - shape.pad_top;
    tiles.pad_left = 2 - shape.pad_left;
  }
  set_grid(tiles, tiles.result_height, tiles.result_width);
  return tiles;
}

int64_t stretches_under(const WinogradTiles& tiles, int64_t begin, int64_t end, int64_t side,
                        Stretch* stretches) {
  const int64_t channels = tiles.result_channels;
  int64_t found = 0;
  for (int64_t tile = begin; tile < end;) {
    const int64_t column = tile % tiles.columns, row = tile / tiles.columns % tiles.rows;
    const int64_t image = tile / (tiles.columns * tiles.rows);
    const int64_t count = std::min(tiles.columns - column, end - tile);
    const int64_t left = column * side;
    const int64_t right = std::min(tiles.result_width, (column + count) * side);
    for (int64_t y = row * side; y < std::min(tiles.result_height, (row + 1) * side); ++y) {
      const int64_t pixel = (image * tiles.result_height + y) * tiles.result_width + left;
      const Stretch next = {pixel * channels, (right - left) * channels};
      if (found > 0 && stretches[found - 1].first + stretches[found - 1].count == next.first) {
        stretches[found - 1].count += next.count;
      } else {
        stretches[found++] = next;
      }
    }
    tile += count;
  }
  return found;
}

void set_size(WinogradTiles& tiles, int64_t size) {
  tiles.size = size;
  set_grid(tiles, tiles.result_height, tiles.result_width);
}

BoundKernel bind_winograd(const BindRequest& request, const ConvShape& shape,
                          ConvDirection direction, const WinogradCut* cut) {
  const WinogradScheme scheme = winograd_scheme(shape, direction, request.isa);
  if (scheme == WinogradScheme::folded) return bind_folded(request, shape);
  if (scheme == WinogradScheme::strided) return bind_strided(request, shape, direction, cut);
  const WinogradTable& table = *kernel_tables_of(request.isa).winograd;
  auto winograd = std::make_shared<WinogradArguments>();
  WinogradArguments& w = *winograd;
  w.tiles = winograd_tiles(shape, direction);
  const int64_t strips = ceil_div(w.tiles.result_channels, table.panel);
  const auto cut_for = [&](int threads) {
    return best_cut(w.tiles, request.isa, is_fixed(request, 1), threads).cut;
  };
  w.cut = cut != nullptr ? *cut : cut_for(kFewThreads);
  set_size(w.tiles, w.cut.tile_size);
  const bool parts = !is_fixed(request, 1) && w.cut.strip_block >= strips &&
                     may_be_parts(ceil_div(w.tiles.count, w.cut.tile_block));
  if (cut == nullptr && !parts && request.threads > kFewThreads) w.cut = cut_for(request.threads);
  w.positions = w.tiles.whole_side() * w.tiles.whole_side();
  w.backward = direction == ConvDirection::backward_data;
  const int64_t depth = w.tiles.source_channels;
  const int64_t panel = std::min(table.panel, round_up(w.tiles.result_channels, table.lanes));
  w.tile_blocks = ceil_div(w.tiles.count, w.cut.tile_block);
  w.channel_blocks = ceil_div(depth, w.cut.channel_block);
  w.strip_count = strips;
  w.strip_blocks = ceil_div(w.strip_count, w.cut.strip_block);
  const bool program = request.tile != nullptr && tile_epilogue(request.tile) == nullptr;
  w.epilogue = program && w.strip_blocks == 1;
  w.channel_stride = round_up(w.cut.channel_block, table.lanes);
  w.tile_position = w.cut.tile_block * w.channel_stride + kSkew;
  w.product_position = w.cut.tile_block * panel + kSkew;
  w.weight_position = (w.cut.weights_first ? depth : w.cut.channel_block) * panel + kSkew;
  w.weight_strip = w.positions * w.weight_position;
  w.weight_depth = kWeightDepth;
  w.weight_units = w.strip_count * ceil_div(depth, kWeightDepth);

  BoundKernel bound;
  set_sizes(bound, request, shape);
  Scratch scratch(request.tile_scratch);
  w.zero_offset = scratch.add(round_up(depth, table.lanes));
  w.tile_offset = scratch.add(36 * w.tile_position);
  w.product_offset = scratch.add(36 * w.product_position);
  const size_t weight_bytes = line_bytes(w.strip_count * w.weight_strip * 4);
  if (w.cut.weights_first && is_fixed(request, 1)) {
    bound.prepared_bytes = weight_bytes;
    bound.layout = "winograd of " + std::to_string(w.tiles.size);
    bound.prepare.push_back({table.weights, w.weight_units});
  } else if (w.cut.weights_first) {
    bound.workspace_bytes = weight_bytes;
    bound.phases.push_back({table.weights, w.weight_units});
  } else {
    w.weight_offset = scratch.add(w.positions * w.weight_position);
  }
  bound.scratch_bytes = scratch.bytes;
  bound.phases.push_back({table.multiply, w.tile_blocks * w.strip_blocks});
  if (program && !w.epilogue) bound.phases.push_back(tile_phase(*request.tile));
  bound.column_lanes = column_lanes_of(request, table.lanes);
  if (parts) bound.sum_parts = w.tile_blocks;
  const bool whole = w.tiles.size == 4;
  bound.algorithm = w.cut.weights_first ? (whole ? "winograd F(4,3)" : "winograd F(2,3)")
                    : whole             ? "winograd F(4,3) streamed"
                                        : "winograd F(2,3) streamed";
  bound.arguments = winograd;
  return bound;
}

BoundKernel bind_winograd_weight(const BindRequest& request, const ConvShape& shape,
                                 const WinogradWeightCut* cut) {
  const WinogradScheme scheme = winograd_scheme(shape, ConvDirection::backward_weight, request.isa);
  if (scheme == WinogradScheme::folded) return bind_folded_weight(request, shape);
  const WinogradTable& table = *kernel_tables_of(request.isa).winograd;
  auto winograd = std::make_shared<WinogradWeightArguments>();
  WinogradWeightArguments& w = *winograd;
  w.tiles = winograd_tiles(shape, ConvDirection::backward_weight);
  w.cut = cut != nullptr ? *cut : best_weight_cut(w.tiles, request.isa, request.threads).cut;
  w.channel_blocks = ceil_div(w.tiles.source_channels, w.cut.channel_block);
  w.column_blocks = ceil_div(w.tiles.result_channels, w.cut.column_block);
  w.split_tiles = round_up(ceil_div(w.tiles.count, w.cut.splits), w.cut.tile_block);
  w.cut.splits = ceil_div(w.tiles.count, w.split_tiles);
  const bool strided = scheme == WinogradScheme::strided;
  const int64_t positions = w.tiles.side * w.tiles.side;
  w.channel_stride = (strided ? 4 : 1) * round_up(w.cut.channel_block, table.lanes);
  w.column_stride = round_up(w.cut.column_block, table.lanes);
  w.source_position = w.cut.tile_block * w.channel_stride + kSkew;
  w.gradient_position = w.cut.tile_block * w.column_stride + kSkew;
  w.sum_position = w.cut.channel_block * w.column_stride + kSkew;

  BoundKernel bound;
  set_sizes(bound, request, shape);
  Scratch scratch(0);
  w.zero_offset = scratch.add(
      round_up(std::max(w.tiles.source_channels, w.tiles.result_channels), table.lanes));
  w.source_offset = scratch.add(positions * w.source_position);
  w.gradient_offset = scratch.add(positions * w.gradient_position);
  w.sum_offset = scratch.add((strided ? kStridedSlices : positions) * w.sum_position);
  bound.scratch_bytes = scratch.bytes;
  bound.phases.push_back({strided ? table.strided_weight : table.weight,
                          w.channel_blocks * w.column_blocks * w.cut.splits});
  if (w.cut.splits > 1) {
    const int64_t elements = 9 * w.tiles.source_channels * w.tiles.result_channels;
    bound.workspace_bytes = line_bytes(w.cut.splits * elements * 4);
    bound.phases.push_back({table.weight_combine, ceil_div(elements, kCombineBlock)});
  }
  bound.algorithm = strided ? "winograd F(2,4)" : "winograd F(3,4)";
  bound.arguments = winograd;
  return bound;
}

}  // namespace nnrt
