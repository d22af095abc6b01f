// A model of what convolutions cost on one core, fitted to measurements, and the search for the cut
// of Winograd's algorithm that costs least by it. It knows shapes and the instruction set only.
#include "cpu/winograd_model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "cpu/families.h"

namespace nnrt {
namespace {

// Measured on Zen 5 (EPYC, 1 MB of L2 a core, 245 GF/s with AVX-512), huge pages, float32, in
// nanoseconds and bytes.
struct Speed {
  double product;   // GF/s of the products at the positions, data in L2
  double direct;    // GF/s of the direct kernels, many channels
  double source;    // ns to transform a vector of a source tile that is in L2
  double result;    // of products to a tile of the result
  double weights;   // of weights
  double gradient;  // of the result's gradient
};

Speed speed_of(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return {235, 230, 60, 40, 60, 50};
    case Isa::avx2:
      return {118, 115, 45, 30, 40, 35};
    default:
      return {22, 22, 60, 45, 50, 50};
  }
}

constexpr double kCache = 900e3;         // bytes of L2 that a unit may count on
constexpr double kFarCache = 16e6;       // bytes that come back from L3
constexpr double kFarBytes = 60;         // bytes a ns from L3, beside products
constexpr double kMemoryBytes = 20;      // from memory
constexpr double kCallNanoseconds = 15;  // of one tile of a product

// Share of the full speed of products whose register tiles are `rows` high, for heights 1 to 6.
double tile_share(int64_t rows) {
  constexpr double share[] = {0.35, 0.62, 0.82, 0.93, 0.97, 1.0};
  const int64_t tiles = ceil_div(rows, kTileRows);
  const int64_t low = rows / tiles, tall = rows % tiles;
  double time = 0;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t height = low + (t < tall ? 1 : 0);
    time += static_cast<double>(height) / share[height - 1];
  }
  return static_cast<double>(rows) / time;
}

double bytes_per_ns(double bytes) { return bytes > kFarCache ? kMemoryBytes : kFarBytes; }

// Threads share the units in ranges: the longest of eight.
double imbalance(int64_t units) {
  constexpr int64_t kThreads = 8;
  return static_cast<double>(ceil_div(units, kThreads) * kThreads) / static_cast<double>(units);
}

struct Sizes {
  double tiles, depth, columns;  // columns in whole vectors
  double depth_vectors, column_vectors;
  int64_t strips;
};

Sizes sizes_of(const WinogradTiles& tiles, const WinogradTable& table) {
  Sizes sizes;
  sizes.tiles = static_cast<double>(tiles.count);
  sizes.depth = static_cast<double>(tiles.source_channels);
  sizes.depth_vectors = static_cast<double>(ceil_div(tiles.source_channels, table.lanes));
  sizes.column_vectors = static_cast<double>(ceil_div(tiles.result_channels, table.lanes));
  sizes.columns = sizes.column_vectors * static_cast<double>(table.lanes);
  sizes.strips = ceil_div(tiles.result_channels, table.panel);
  return sizes;
}

double cost_of(const WinogradTiles& tiles, const WinogradCut& cut, const WinogradTable& table,
               const Speed& speed) {
  const Sizes s = sizes_of(tiles, table);
  const int64_t tile_blocks = ceil_div(tiles.count, cut.tile_block);
  const int64_t channel_blocks = ceil_div(tiles.source_channels, cut.channel_block);
  const int64_t strip_blocks = ceil_div(s.strips, cut.strip_block);
  const double block = static_cast<double>(std::min(cut.tile_block, tiles.count));
  const double channels = static_cast<double>(cut.channel_block);
  const double panel = std::min(static_cast<double>(table.panel), s.columns);

  double time = 72 * s.tiles * s.depth * s.columns /
                (speed.product * tile_share(std::min(cut.tile_block, tiles.count)));
  const double passes = static_cast<double>(channel_blocks > 1 ? s.strips : strip_blocks);
  time += s.tiles * s.depth_vectors * speed.source * passes;
  time += s.tiles * s.column_vectors * speed.result;
  // Sums that are kept between blocks of channels are read and written again.
  time += 36 * s.tiles * s.columns * 8 * static_cast<double>(channel_blocks - 1) / (4 * kFarBytes);
  const double weight_vectors = s.depth * s.column_vectors;
  const double weight_bytes = 144 * s.depth * s.columns;
  double scratch = 144 * (block * channels + block * panel);
  if (cut.weights_first) {
    time += weight_vectors * speed.weights + weight_bytes / bytes_per_ns(weight_bytes);
    if (weight_bytes > kCache)
      time += static_cast<double>(tile_blocks) * weight_bytes / (2 * bytes_per_ns(weight_bytes));
  } else {
    time += weight_vectors * speed.weights * static_cast<double>(tile_blocks);
    scratch += 144 * channels * panel;
  }
  // What does not stay in L2 is written and read through L3, for each strip.
  if (scratch > kCache) {
    time += 144 * s.tiles * (s.depth + s.columns) * static_cast<double>(s.strips) / kFarBytes;
  }
  return time * imbalance(tile_blocks * strip_blocks);
}

}  // namespace

WinogradChoice best_cut(const WinogradTiles& tiles, Isa isa) {
  const WinogradTable& table = *families_of(isa).winograd;
  const Speed speed = speed_of(isa);
  const int64_t depth = tiles.source_channels;
  const int64_t strips = ceil_div(tiles.result_channels, table.panel);
  WinogradChoice best;
  auto consider = [&](const WinogradCut& cut) {
    const double cost = cost_of(tiles, cut, table, speed);
    if (best.nanoseconds == 0 || cost < best.nanoseconds) best = {cut, cost};
  };
  for (int64_t tile_block : {4, 6, 8, 10, 12, 14, 16, 18, 21, 24, 28, 32, 36, 42, 48, 64, 96}) {
    tile_block = std::min(tile_block, tiles.count);
    for (int64_t strip_block = strips; strip_block >= 1; strip_block /= 2) {
      consider({tile_block, depth, strip_block, true});
    }
    for (int64_t channel_block : {16, 32, 64})
      consider({tile_block, std::min(channel_block, depth), 1, false});
  }
  return best;
}

WinogradWeightChoice best_weight_cut(const WinogradTiles& tiles, Isa isa) {
  const WinogradTable& table = *families_of(isa).winograd;
  const Speed speed = speed_of(isa);
  const Sizes s = sizes_of(tiles, table);
  WinogradWeightChoice best;
  // Blocks of 64 x 64 channels: the sums of all positions are 590 KB, in L2 beside 16 tiles of both
  // operands.
  const int64_t channel_block = even_part(tiles.source_channels, 64);
  const int64_t column_block = std::min<int64_t>(tiles.result_channels, 64);
  const int64_t channel_blocks = ceil_div(tiles.source_channels, channel_block);
  const int64_t column_blocks = ceil_div(tiles.result_channels, column_block);
  const double product = 72 * s.tiles * s.depth * s.columns / speed.product;
  const double transforms =
      s.tiles * (s.depth_vectors * speed.source * static_cast<double>(column_blocks) +
                 s.column_vectors * speed.gradient * static_cast<double>(channel_blocks));
  for (int64_t tile_block : {8, 12, 16, 24, 32}) {
    for (int64_t splits : {1, 2, 4, 8, 16, 32}) {
      if (splits > 1 && tiles.count < splits * tile_block) continue;
      WinogradWeightCut cut{std::min(tile_block, tiles.count), channel_block, column_block, splits};
      const double passes = std::ceil(s.tiles / static_cast<double>(cut.tile_block));
      double time = product + transforms;
      time += passes * 36 * s.depth * s.columns * 8 / (4 * kFarBytes);
      time += static_cast<double>(splits) * s.depth * s.column_vectors * (speed.result + 9);
      const double block = static_cast<double>(cut.tile_block);
      const double scratch = 144 * (static_cast<double>(channel_block * column_block) +
                                    block * static_cast<double>(channel_block + column_block));
      if (scratch > kCache) time += passes * 36 * s.depth * s.columns * 8 / kFarBytes;
      time *= imbalance(channel_blocks * column_blocks * splits);
      if (best.nanoseconds == 0 || time < best.nanoseconds) best = {cut, time};
    }
  }
  return best;
}

ConvPrediction predict_conv(const ConvShape& shape, ConvDirection direction, Isa isa) {
  const Speed speed = speed_of(isa);
  ConvPrediction prediction;
  prediction.direct = shape.flops() / speed.direct;
  prediction.winograd = HUGE_VAL;
  if (!winograd_applies(shape)) return prediction;
  const WinogradTiles tiles = winograd_tiles(shape, direction);
  prediction.winograd = direction == ConvDirection::backward_weight
                            ? best_weight_cut(tiles, isa).nanoseconds
                            : best_cut(tiles, isa).nanoseconds;
  return prediction;
}

std::string text_of(const ConvPrediction& prediction) {
  char text[96];
  std::snprintf(text, sizeof(text), "predicted: direct %.1f us, winograd %.1f us",
                prediction.direct / 1e3, prediction.winograd / 1e3);
  return text;
}

}  // namespace nnrt
