// A model of the time of 3x3 convolutions on one core, fitted to measurements, and the search for
// the division of Winograd's algorithm that takes least time by it. It knows shapes, the
// instruction set and the size of L2. The number of threads decides which sums make a unit, never
// what is summed nor which algorithm is used.
#include "cpu/conv/winograd/winograd_model.h"

#include <algorithm>
#include <cmath>

#include "cpu/caches.h"
#include "cpu/conv/winograd/winograd_folded.h"
#include "cpu/conv/winograd/winograd_strided.h"
#include "cpu/kernel_tables.h"

namespace nnrt {
namespace {

// All numbers: Zen 5 (EPYC, 48 KB of L1, 1 MB of L2 a core, 32 MB of L3), float32, huge pages, one
// thread, the least of many runs of bench/kernels. Clocks are of 3.83 GHz, at which AVX-512 reaches
// 245 GF/s. Numbers marked Zen 4 were fitted to runs of two threads there (32 KB of L1, else the
// same): 177 convolutions, each in all divisions that the model finds nearly as good, after 64 MB
// of other memory.
constexpr double kClock = 3.83;         // clocks in a nanosecond
constexpr double kFarCache = 16e6;      // tensors up to these bytes stay in L3
constexpr double kStreamBytes = 350;    // bytes a ns from L3, in order and beside products
constexpr double kFarBytes = 200;       // the same, if they are written too
constexpr double kMemoryBytes = 20;     // from memory, beside others
constexpr double kKeptBytes = 30;       // from memory, in order, by all threads together
constexpr double kOrderedBytes = 120;   // from memory, in order and beside products (Zen 4)
constexpr double kScatteredBytes = 60;  // from L3 without prefetch
constexpr double kTileClocks = 40;      // for each register tile, beside its steps
// The clocks of each strip at each position, for any number of tiles: the call, and weights from
// L2. Zen 4, 14x14 N128, 32 to 64 channels: 1.49 ms in blocks of 12 tiles and 1.53 in blocks of 6,
// on AVX2 1.82 and 1.98. A single convolution would need a larger number, but in a whole network
// large blocks evict prefetched data: 32x32 of 16 channels N128, gradient of the data, takes 1.55
// ms in blocks of 36 and 1.78 in blocks of 96.
constexpr double kPositionClocks = 15;
constexpr double kBarrier = 1000;       // ns from one phase to the next
constexpr double kWholePositions = 36;  // positions of the tiles of Speed
// Work of this many nanoseconds is worth kManyThreads threads.
constexpr double kSharedTime = 400e3;
constexpr int kManyThreads = 8;      // 16 cost ResNet-20 3 % of a training step of 2 threads
constexpr int64_t kLeastBlock = 32;  // source channels of a block in the gradient of the weights
// Transformed weights of stride 2 take 9 times the memory of the weights.
constexpr int64_t kMostWeightBytes = 64 * 1024 * 1024;

// Bytes of L2 for a unit.
double cache_bytes() { return 0.86 * static_cast<double>(l2_bytes()); }
// With stride 2, a unit does not use all of its memory at a time (Zen 4).
double strided_cache_bytes() { return 1.4 * static_cast<double>(l2_bytes()); }

// Clocks for a vector of channels of one tile, with the caches as in a unit.
struct Speed {
  double source = 200, result = 110, gradient = 160, weights = 150;
  double sums = 150;      // of the weights' gradient: once a block, from L3
  double operations = 1;  // a multiply-add, in halves of a clock
  double stream = 1;      // share of the in-order reads of wide strips
};

Speed speed_of(Isa isa) {
  switch (isa) {
    case Isa::avx512:
      return {};
    case Isa::avx2:
      return {180, 80, 90, 110, 175, 1, 0.25};  // Zen 4, except `result` and `weights`
    default:
      return {170, 100, 140, 120, 110, 1.6, 0.125};
  }
}

// Clocks of a product of `rows` x `depth` x `columns` at one position.
double product_clocks(const WinogradTable& table, const Speed& speed, int64_t rows, int64_t depth,
                      int64_t columns) {
  double clocks = 0;
  for (int64_t n = 0; n < columns; n += table.panel) {
    const int64_t vectors = ceil_div(std::min(table.panel, columns - n), table.lanes);
    const int64_t tall = vectors == 1 ? 2 * kTileRows : kTileRows;
    const int64_t tiles = ceil_div(rows, tall);
    const double height = static_cast<double>(rows) / static_cast<double>(tiles);
    const double loads = (height + static_cast<double>(vectors)) / 2;
    const double sums = speed.operations * height * static_cast<double>(vectors) / 2;
    // A sum is ready for its next addition after four clocks.
    const double step = std::max({4.0, loads, sums});
    clocks += kPositionClocks +
              static_cast<double>(tiles) * (static_cast<double>(depth) * step + kTileClocks);
  }
  return clocks;
}

double read_ns(double bytes, double far_bytes) {
  return bytes / (bytes > kFarCache ? kMemoryBytes : far_bytes);
}

// Kept weights come from memory in order; half of that time is hidden by the products. Zen 4, 7x7
// of 512 channels: 8 images 2.9 ms, 4 1.6 to 1.9.
double kept_ns(double bytes, double products) {
  return std::max(0.0, bytes / kKeptBytes - products / 2);
}

// Each thread has a range of units: the ratio of the longest range to an even part. For little work
// only two threads count.
double imbalance(int64_t units, double nanoseconds, int threads) {
  const int64_t few = nanoseconds < 100e3 ? 2 : kFewThreads;
  const int64_t threads_used = threads > kFewThreads ? threads : few;
  return static_cast<double>(round_up(units, threads_used)) / static_cast<double>(units);
}

struct Sizes {
  double tiles, positions, depth, columns;  // columns in whole vectors
  double depth_vectors, column_vectors;
  double pixel_ns;  // to read the source and write the result
  int64_t strips;
};

Sizes sizes_of(const WinogradTiles& tiles, const WinogradTable& table) {
  Sizes sizes;
  sizes.tiles = static_cast<double>(tiles.count);
  sizes.positions = static_cast<double>(tiles.positions());
  sizes.depth = static_cast<double>(tiles.source_channels);
  sizes.depth_vectors = static_cast<double>(ceil_div(tiles.source_channels, table.lanes));
  sizes.column_vectors = static_cast<double>(ceil_div(tiles.result_channels, table.lanes));
  sizes.columns = sizes.column_vectors * static_cast<double>(table.lanes);
  const double pixel_bytes =
      4.0 * static_cast<double>(tiles.images) *
      static_cast<double>(tiles.source_height * tiles.source_width * tiles.source_channels +
                          2 * tiles.result_height * tiles.result_width * tiles.result_channels);
  sizes.pixel_ns = pixel_bytes > cache_bytes() ? pixel_bytes / kScatteredBytes : 0;
  sizes.strips = ceil_div(tiles.result_channels, table.panel);
  return sizes;
}

double cost_of(const WinogradTiles& tiles, const WinogradCut& cut, const WinogradTable& table,
               const Speed& speed, bool prepared, int threads) {
  const Sizes s = sizes_of(tiles, table);
  const int64_t tile_blocks = ceil_div(tiles.count, cut.tile_block);
  const int64_t channel_blocks = ceil_div(tiles.source_channels, cut.channel_block);
  const int64_t strip_blocks = ceil_div(s.strips, cut.strip_block);
  const double block = static_cast<double>(cut.tile_block);
  const double channels = static_cast<double>(cut.channel_block);
  const double panel = std::min(static_cast<double>(table.panel), s.columns);
  const double blocks = static_cast<double>(tile_blocks);

  double clocks =
      s.positions / block *
      product_clocks(table, speed, cut.tile_block, cut.channel_block, tiles.result_channels) *
      s.depth / channels;
  const double passes = static_cast<double>(channel_blocks > 1 ? s.strips : strip_blocks);
  const double side = static_cast<double>(tiles.whole_side());
  const double positions = side * side, part = positions / kWholePositions;
  clocks += s.tiles * s.depth_vectors * speed.source * part * passes;
  clocks += s.tiles * s.column_vectors * speed.result * part;
  const double weight_clocks = s.depth * s.column_vectors * speed.weights * part;
  double time = s.pixel_ns;
  const double weight_bytes = 4 * positions * s.depth * s.columns;
  double scratch = 4 * positions * block * (channels + panel);
  if (cut.weights_first) {
    if (!prepared) {
      clocks += weight_clocks;
      time += read_ns(weight_bytes, kScatteredBytes);
    }
    if (weight_bytes > cache_bytes())
      time += (prepared ? blocks - 1 : blocks) * read_ns(weight_bytes, kStreamBytes);
    if (prepared) time += kept_ns(weight_bytes, clocks / kClock);
  } else {
    clocks += weight_clocks * blocks;
    time += blocks * read_ns(36 * s.depth * s.columns, kFarBytes);
    scratch += 4 * positions * channels * panel;
  }
  // Sums between blocks of channels are read and written again.
  time += 8 * positions * s.tiles * s.columns * static_cast<double>(channel_blocks - 1) / kFarBytes;
  // Data that does not fit into L2, beside pixels and weights, comes through L3 for each strip.
  const double pixels = static_cast<double>(tiles.size * tiles.size);
  double working = scratch + 6 * pixels * block * (channels + s.columns);
  if (cut.weights_first && weight_bytes < cache_bytes()) working += weight_bytes;
  const double outside = std::clamp(working / cache_bytes() - 1, 0.0, 1.0);
  time += outside * 4 * positions * s.tiles * (s.depth + s.columns) *
          static_cast<double>(s.strips) / kScatteredBytes;
  time += clocks / kClock;
  const bool waits = cut.weights_first && !prepared;
  return time * imbalance(tile_blocks * strip_blocks, time, threads) + (waits ? kBarrier : 0);
}

// With stride 2, a tile has 16 positions of all four phases, 8 of two and one of one. In the
// forward pass they are the depth of the products; in the gradient of the data each phase has
// products of its own, in that of the weights rows of its own.
struct PhasePositions {
  int64_t positions, phases;
};
constexpr PhasePositions kPhasePositions[] = {{16, 4}, {8, 2}, {1, 1}};

double strided_cost_of(const WinogradTiles& tiles, const WinogradCut& cut, bool backward,
                       const WinogradTable& table, const Speed& speed, bool prepared, int threads) {
  const Sizes s = sizes_of(tiles, table);
  const int64_t tile_blocks = ceil_div(tiles.count, cut.tile_block);
  const int64_t channel_blocks = ceil_div(tiles.source_channels, cut.channel_block);
  const int64_t strips = (backward ? 4 : 1) * s.strips;
  const int64_t strip_blocks = ceil_div(strips, cut.strip_block);
  const double block = static_cast<double>(cut.tile_block);
  const double channels = static_cast<double>(cut.channel_block);
  const double panel = std::min(static_cast<double>(table.panel), s.columns);
  const double blocks = static_cast<double>(tile_blocks);

  double clocks = 0;
  for (const PhasePositions& at : kPhasePositions) {
    const int64_t depth = (backward ? 1 : at.phases) * cut.channel_block;
    clocks += static_cast<double>(at.positions * (backward ? at.phases : 1)) *
              product_clocks(table, speed, cut.tile_block, depth, tiles.result_channels);
  }
  clocks *= s.positions / 25 / block * s.depth / channels;
  clocks += s.tiles * s.depth_vectors * speed.source * (backward ? 1 : 3) *
            static_cast<double>(strip_blocks);
  clocks += s.tiles * s.column_vectors * speed.result * (backward ? 2 : 0.8);
  double time = s.pixel_ns;
  const double weight_bytes = 4.0 * kStridedSlices * s.depth * s.columns;
  if (!prepared) {
    clocks += s.depth * s.column_vectors * speed.weights * 2.3;
    // Half lines are not stored non-temporally (kSharedPast): the processor reads them before it
    // writes them.
    time += weight_bytes * (table.lanes < 16 ? 3 : 1) / kScatteredBytes;
  }
  // Strips follow each other in memory, so the hardware reads ahead.
  if (weight_bytes > strided_cache_bytes()) {
    const double ordered = weight_bytes > kFarCache ? kOrderedBytes : kStreamBytes;
    time += (prepared ? blocks - 1 : blocks) * weight_bytes / (ordered * speed.stream);
  }
  if (prepared) time += kept_ns(weight_bytes, clocks / kClock);
  const double kept_strips = channel_blocks > 1 ? static_cast<double>(cut.strip_block) : 1;
  const double scratch =
      4 * block * ((backward ? 25 : kStridedSlices) * channels + 25 * panel * kept_strips);
  double working =
      scratch +
      4 * block * (backward ? 16 * channels + 64 * s.columns : 64 * channels + 16 * s.columns);
  if (weight_bytes < strided_cache_bytes()) working += weight_bytes;
  const double outside = std::clamp(working / strided_cache_bytes() - 1, 0.0, 1.0);
  const double passes = s.depth / channels * static_cast<double>(strips);
  time += outside * scratch / block * s.tiles * passes / kScatteredBytes;
  // Sums between blocks of channels are read and written again.
  time += 200 * s.tiles * s.columns * (backward ? 3.24 : 1) *
          static_cast<double>(channel_blocks - 1) / (2 * kFarBytes);
  time += clocks / kClock;
  return time * imbalance(tile_blocks * strip_blocks, time, threads) + (prepared ? 0 : kBarrier);
}

double weight_cost_of(const WinogradTiles& tiles, const WinogradWeightCut& cut,
                      const WinogradTable& table, const Speed& speed, int threads) {
  const Sizes s = sizes_of(tiles, table);
  const int64_t channel_blocks = ceil_div(tiles.source_channels, cut.channel_block);
  const int64_t column_blocks = ceil_div(tiles.result_channels, cut.column_block);
  const double block = static_cast<double>(cut.tile_block);
  const double passes = s.tiles / block;
  const bool strided = tiles.side == 5;
  const double positions = static_cast<double>(tiles.side * tiles.side);
  const double slices = strided ? static_cast<double>(kStridedSlices) : positions;
  double tile_clocks = 0;  // of a block's products
  if (strided) {
    for (const PhasePositions& at : kPhasePositions) {
      tile_clocks += static_cast<double>(at.positions) *
                     product_clocks(table, speed, at.phases * cut.channel_block, cut.tile_block,
                                    tiles.result_channels);
    }
  } else {
    tile_clocks = positions * product_clocks(table, speed, cut.channel_block, cut.tile_block,
                                             tiles.result_channels);
  }
  double clocks = s.positions / positions / block * s.depth /
                  static_cast<double>(cut.channel_block) * tile_clocks;
  clocks += s.tiles * s.depth_vectors * speed.source * (strided ? 2.5 : 1) *
            static_cast<double>(column_blocks);
  clocks += s.tiles * s.column_vectors * speed.gradient * (strided ? 0.7 : 1) *
            static_cast<double>(channel_blocks);
  clocks +=
      static_cast<double>(cut.splits) * s.depth * s.column_vectors * speed.sums * (slices / 36);
  double time = s.pixel_ns;
  const double sum_bytes = 8 * slices * s.depth * s.columns;
  const double scratch = 4 * (slices * static_cast<double>(cut.channel_block) *
                                  (static_cast<double>(cut.column_block) + block) +
                              positions * block * static_cast<double>(cut.column_block));
  time += passes * sum_bytes / (scratch > cache_bytes() ? kFarBytes : 2 * kFarBytes);
  if (cut.splits > 1) {
    time += static_cast<double>(cut.splits) * 72 * s.depth * s.columns / kScatteredBytes;
  }
  time += clocks / kClock;
  return time * imbalance(channel_blocks * column_blocks * cut.splits, time, threads) +
         (cut.splits > 1 ? kBarrier : 0);
}

// The time on folded pixels, in blocks of 12 tiles.
double folded_nanoseconds(const ConvShape& shape, ConvDirection direction, Isa isa) {
  const WinogradTable& table = *kernel_tables_of(isa).winograd;
  const Speed speed = speed_of(isa);
  const double tiles = static_cast<double>(folded_tiles(shape).count);
  const int64_t depth = 4 * shape.in_channels;
  const double depth_vectors = static_cast<double>(ceil_div(depth, table.lanes));
  const double column_vectors = static_cast<double>(ceil_div(shape.out_channels, table.lanes));
  const bool weight = direction == ConvDirection::backward_weight;
  const double product = weight ? product_clocks(table, speed, depth, 12, shape.out_channels)
                                : product_clocks(table, speed, 12, depth, shape.out_channels);
  // Four adjacent pixels cost half a transformation more.
  const double clocks = 36 * product / 12 + depth_vectors * speed.source * 1.5 +
                        column_vectors * (weight ? speed.gradient : speed.result);
  const double weights =
      weight ? 0 : 4 * static_cast<double>(depth) * column_vectors * speed.weights / 9;
  return (tiles * clocks + weights) / kClock + (weight ? 0 : kBarrier);
}

constexpr int64_t kTileBlocks[] = {4, 6, 8, 12, 18, 24, 36, 48, 64, 96};
constexpr int64_t kMostTiles = 96, kMostStridedTiles = 48;

// Considers divisions of the same sums into as many units as threads, or a few times as many, of at
// most `most` tiles.
template <class Consider>
void for_each_shared(WinogradCut cut, int64_t tiles, int64_t strips, int64_t most, int threads,
                     Consider consider) {
  if (cut.weights_first) cut.strip_block = strips;  // else it is 1
  for (; cut.strip_block >= 1; cut.strip_block /= 2) {
    const int64_t strip_blocks = ceil_div(strips, cut.strip_block);
    for (int64_t turns = 1; turns <= 64; ++turns) {
      const int64_t parts = std::max<int64_t>(1, turns * threads / strip_blocks);
      cut.tile_block = std::min(ceil_div(tiles, parts), most);
      consider(cut, threads);
      if (cut.tile_block <= kTileRows) break;
    }
  }
}

}  // namespace

WinogradChoice best_cut(WinogradTiles tiles, Isa isa, bool prepared, int threads) {
  const WinogradTable& table = *kernel_tables_of(isa).winograd;
  const Speed speed = speed_of(isa);
  const int64_t depth = tiles.source_channels;
  const int64_t strips = ceil_div(tiles.result_channels, table.panel);
  WinogradChoice best;
  const auto consider = [&](const WinogradCut& cut, int threads_used) {
    const double cost = cost_of(tiles, cut, table, speed, prepared, threads_used);
    if (best.nanoseconds == 0 || cost < best.nanoseconds) best = {cut, cost};
  };
  // Small tiles read less than half of the weights, and are half as good otherwise.
  const bool heavy =
      kWholePositions * 4 * static_cast<double>(depth * tiles.result_channels) > cache_bytes();
  for (int64_t size : {4, 2}) {
    if (size < 4 && !heavy) break;
    set_size(tiles, size);
    for (int64_t tile_block : kTileBlocks) {
      tile_block = even_part(tiles.count, tile_block);
      for (int64_t strip_block = strips; strip_block >= 1; strip_block /= 2) {
        consider({tile_block, depth, strip_block, true, size}, kFewThreads);
      }
      if (prepared) continue;
      for (int64_t channel_block : {16, 32, 64}) {
        consider({tile_block, std::min(channel_block, depth), 1, false, size}, kFewThreads);
      }
    }
  }
  if (threads <= kFewThreads) return best;
  const WinogradCut cut = best.cut;
  set_size(tiles, cut.tile_size);
  best.nanoseconds = 0;
  for_each_shared(cut, tiles.count, strips, kMostTiles, threads, consider);
  return best;
}

WinogradChoice best_strided_cut(const WinogradTiles& tiles, bool backward, Isa isa, bool prepared,
                                int threads) {
  const WinogradTable& table = *kernel_tables_of(isa).winograd;
  const Speed speed = speed_of(isa);
  const int64_t depth = tiles.source_channels;
  const int64_t strips = (backward ? 4 : 1) * ceil_div(tiles.result_channels, table.panel);
  WinogradChoice best;
  const auto consider = [&](const WinogradCut& cut, int threads_used) {
    const double cost = strided_cost_of(tiles, cut, backward, table, speed, prepared, threads_used);
    if (best.nanoseconds == 0 || cost < best.nanoseconds) best = {cut, cost};
  };
  for (int64_t tile_block : kTileBlocks) {
    if (tile_block > kMostStridedTiles) break;
    tile_block = even_part(tiles.count, tile_block);
    for (int64_t strip_block = strips; strip_block >= 1; strip_block /= 2) {
      for (int64_t channel_block : {int64_t{16}, int64_t{32}, int64_t{64}, depth})
        consider({tile_block, std::min(channel_block, depth), strip_block, true}, kFewThreads);
    }
  }
  if (threads <= kFewThreads) return best;
  const WinogradCut cut = best.cut;
  best.nanoseconds = 0;
  for_each_shared(cut, tiles.count, strips, kMostStridedTiles, threads, consider);
  return best;
}

WinogradWeightChoice best_weight_cut(const WinogradTiles& tiles, Isa isa, int threads) {
  const WinogradTable& table = *kernel_tables_of(isa).winograd;
  const Speed speed = speed_of(isa);
  WinogradWeightChoice best;
  double least_shared = 0;
  const bool strided = tiles.side == 5;
  const auto consider = [&](WinogradWeightCut cut, int64_t channels, int64_t columns,
                            int threads_used) {
    cut.channel_block = strided ? std::min(channels, tiles.source_channels)
                                : even_part(tiles.source_channels, channels);
    cut.column_block = std::min(tiles.result_channels, std::max<int64_t>(table.panel, columns));
    const double cost = weight_cost_of(tiles, cut, table, speed, threads_used);
    // Parts of the tiles are the same for any number of threads: enough for many threads, which use
    // smaller blocks.
    const int64_t most = ceil_div(tiles.source_channels, kLeastBlock) *
                         ceil_div(tiles.result_channels, table.panel) * cut.splits;
    const double shared = cost * (cost > kSharedTime ? imbalance(most, cost, kManyThreads) : 1.0);
    if (best.nanoseconds == 0 || cost < best.nanoseconds) best.nanoseconds = cost;
    if (least_shared > 0 && shared >= least_shared) return;
    least_shared = shared;
    best.cut = cut;
  };
  // With stride 2 there are whole vectors and four phases.
  const int64_t least = strided ? 16 : kLeastBlock, most = strided ? 64 : 128;
  for (int64_t side = least; side <= most; side *= 2) {
    for (int64_t tile_block : {12, 16, 24, 32}) {
      tile_block = std::min(tile_block, tiles.count);
      for (int64_t splits : {1, 2, 4, 8, 16, 32}) {
        if (splits == 1 || tiles.count >= splits * tile_block)
          consider({tile_block, 0, 0, splits}, side, side, kFewThreads);
      }
    }
  }
  if (threads <= kFewThreads) return best;
  const WinogradWeightCut cut = best.cut;
  least_shared = 0;
  for (int64_t channels = least; channels <= most; channels *= 2) {
    for (int64_t columns = least; columns <= most; columns *= 2)
      consider(cut, channels, columns, threads);
  }
  return best;
}

// The direct kernels' time: a step of six rows takes some clocks for each vector and for the row,
// and a least number of clocks.
double direct_nanoseconds(const ConvShape& shape, ConvDirection direction, Isa isa, bool prepared) {
  const WinogradTable& table = *kernel_tables_of(isa).winograd;
  const bool backward = direction == ConvDirection::backward_data;
  // With a stride, the data's gradient has fewer taps at each of its pixels, and as many products
  // in all.
  const bool dense = backward && shape.stride_height == 1;
  const double pixels =
      static_cast<double>(shape.images * (dense ? shape.in_height * shape.in_width
                                                : shape.out_height * shape.out_width));
  const int64_t columns = backward ? shape.in_channels : shape.out_channels;
  const int64_t channels = backward ? shape.out_channels : shape.in_channels;
  const double taps = static_cast<double>(shape.kernel_height * shape.kernel_width);
  const double depth = taps * static_cast<double>(channels);
  double clocks = 0;
  for (int64_t n = 0; n < columns; n += table.panel) {
    const int64_t vectors = ceil_div(std::min(table.panel, columns - n), table.lanes);
    const double step = std::max(4.8, 3.1 * static_cast<double>(vectors) + 0.9);
    clocks += pixels / kTileRows * (depth * step * speed_of(isa).operations + kTileClocks);
  }
  if (direction == ConvDirection::backward_weight) clocks *= 1.08;
  // Weights wider than a strip are packed; the gradient of the data transposes them.
  const double weights = taps * static_cast<double>(shape.in_channels * shape.out_channels);
  // Kept weights come from memory: those of other layers have evicted them since the last run.
  if (prepared) return clocks / kClock + 4 * weights / kKeptBytes;
  if (direction == ConvDirection::forward && columns > table.panel) clocks += 0.6 * weights;
  if (backward) clocks += (4 * weights > cache_bytes() ? 2.0 : 0.7) * weights;
  return clocks / kClock;
}

double winograd_nanoseconds(const ConvShape& shape, ConvDirection direction, Isa isa,
                            bool prepared) {
  const WinogradScheme scheme = winograd_scheme(shape, direction, isa);
  // The gain is not worth more memory than this.
  const int64_t strided_bytes = 4 * kStridedSlices * shape.in_channels * shape.out_channels;
  if (scheme == WinogradScheme::strided && direction != ConvDirection::backward_weight &&
      strided_bytes > kMostWeightBytes)
    return HUGE_VAL;
  if (scheme == WinogradScheme::folded) return folded_nanoseconds(shape, direction, isa);
  const WinogradTiles tiles = winograd_tiles(shape, direction);
  const bool backward = direction == ConvDirection::backward_data;
  return direction == ConvDirection::backward_weight
             ? best_weight_cut(tiles, isa, kFewThreads).nanoseconds
         : scheme == WinogradScheme::strided
             ? best_strided_cut(tiles, backward, isa, prepared, kFewThreads).nanoseconds
             : best_cut(tiles, isa, prepared, kFewThreads).nanoseconds;
}

}  // namespace nnrt
