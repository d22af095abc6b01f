// Binds conv2d_backward_weight: blocks of the weights, parts of the pixels, tables of offsets, from
// shapes alone.
#include <algorithm>
#include <limits>
#include <memory>
#include <string>

#include "cpu/bind.h"
#include "cpu/conv/algorithm.h"
#include "cpu/conv/conv.h"
#include "cpu/conv/conv_bind.h"
#include "cpu/conv/reference/conv.h"
#include "cpu/conv/winograd/winograd.h"
#include "cpu/kernel_tables.h"
#include "cpu/row_streaming.h"

namespace nnrt {
namespace {

// Pixels of a block, the depth of one pass over dw: the accumulators are read and written once in
// 256 steps, and 256 pixels of a strip of dy (64 KB) stay in L2 (1 MB, Zen 5) beside the window of
// x.
constexpr int64_t kBlockPixels = 256;
// Rows of a unit's block of dw: with 64 channels of a 3x3 kernel 576 x 64 floats are 144 KB.
constexpr int64_t kRows = 576;
// A unit's block of dw stays in L2.
constexpr int64_t kResultBytes = 320 * 1024;
// The wanted number of units, for 16 threads: blocks of dw, times parts of at least kPartPixels
// pixels, whose partial sums together stay below kPartialBytes.
constexpr int64_t kUnits = 32;
constexpr int64_t kPartPixels = 512;
constexpr int64_t kPartialBytes = 32 * 1024 * 1024;
// With tiles narrower than 64 columns, dy is copied into contiguous strips if enough rows use the
// copy. Zen 4, 1x1 256 to 1024 at 14x14: on AVX2 60 % of the peak in place and 79 % with a copy, on
// AVX-512 86 and 83 %.
constexpr int64_t kPackRows = 128;
// Rows of taps are computed apart, without the pixels that lie in the padding, if each makes 4
// tiles.
constexpr int64_t kSkipRows = 4 * kTileRows;
// A unit's block of dw has at least 8 tiles of rows.
constexpr int64_t kLeastRows = 8 * kTileRows;
// The model's times, in multiply-adds of a vector: to copy a vector of dy; to copy an element of x,
// or to read it in place; to copy a vector of x into the window; to add to a vector of dw; to write
// a vector of partial sums and read it again.
constexpr double kCopyTime = 3, kRowTime = 0.6, kWindowTime = 0.2, kResultTime = 3,
                 kCombineTime = 8;
// Channels of a unit of the depthwise kernel, if there are too few pixels for half of kUnits: long
// runs of memory are read fastest, and only units of all channels can recompute x.
constexpr int64_t kDepthwiseChannels = 64;

// If x is read in place, this block and the next one, which is prefetched meanwhile, stay in L2.
constexpr int64_t kPrefetchBytes = 192 * 1024;

struct BoundConvWeight : ConvWeightArguments {
  std::vector<int64_t> tap_steps, tap_row_at, pixel_rows;
  std::vector<int64_t> row_table, result_table, last_row_table, last_result_table;
  std::vector<GemmPanel> strip_list;
};

void set_pixels(BoundConvWeight& weight, bool depthwise) {
  const ConvShape& s = weight.shape;
  ResidueClass& pixels = weight.pixels;
  pixels.rows = s.out_height;
  pixels.columns = s.out_width;
  pixels.top = -s.pad_top;
  pixels.left = -s.pad_left;
  pixels.extra_rows = (s.kernel_height - 1) * s.dilation_height + 1;
  pixels.extra_columns = (s.kernel_width - 1) * s.dilation_width + 1;
  const int64_t multiplier = depthwise ? s.group_out() : 1;
  set_window(pixels, {s.in_height, s.in_width, s.in_channels}, weight.channel_block * multiplier,
             s.stride_height, s.stride_width, multiplier == 1);
  for (int64_t y = 0; y < s.kernel_height; ++y) {
    for (int64_t x = 0; x < s.kernel_width; ++x) {
      weight.tap_steps.push_back(y * s.dilation_height * pixels.row_stride +
                                 x * s.dilation_width * pixels.pixel_stride);
    }
  }
  for (int64_t y = 0; y < s.kernel_height; ++y)
    weight.tap_row_at.push_back(y * s.dilation_height - s.pad_top);
  pixels.tap_row_at = weight.tap_row_at.data();
  pixels.tap_rows = s.kernel_height;
  pixels.tap_steps = weight.tap_steps.data();
  pixels.tap_count = static_cast<int64_t>(weight.tap_steps.size());
}

int64_t window_bytes(const BoundConvWeight& weight) {
  if (weight.in_place || weight.pixels.direct || weight.image_blocks == 0) return 0;
  return weight.block_images *
         window_rows(weight.pixels, weight.block_rows, weight.shape.stride_height) *
         weight.pixels.row_stride * 4;
}

void cut_pixels(BoundConvWeight& weight) {
  const ConvShape& s = weight.shape;
  const int64_t width = std::max<int64_t>(1, s.out_width);
  const int64_t pixels = s.images * s.out_height * s.out_width;
  weight.image_blocks = pixels;
  weight.block_rows = even_block(s.out_height, kBlockPixels / width);
  if (weight.block_rows >= s.out_height && s.out_height > 0) {
    weight.block_images = even_block(s.images, kBlockPixels / (s.out_height * width));
  }
  // Bytes of x under a block, and how many there may be.
  const auto bytes = [&] {
    return weight.in_place ? weight.block_images * weight.block_rows * s.stride_height *
                                 s.in_width * s.in_channels * 4
                           : window_bytes(weight);
  };
  const int64_t most = weight.in_place ? kPrefetchBytes : kWindowBytes;
  while (bytes() > most && (weight.block_images > 1 || weight.block_rows > 1)) {
    if (weight.block_images > 1) {
      weight.block_images = even_block(s.images, weight.block_images / 2);
    } else {
      weight.block_rows = even_block(s.out_height, weight.block_rows / 2);
    }
  }
  weight.image_blocks = pixels > 0 ? ceil_div(s.images, weight.block_images) : 0;
  weight.row_blocks = std::max<int64_t>(1, ceil_div(s.out_height, weight.block_rows));
}

// Divides the blocks of pixels into at most `parts` parts.
void set_parts(BoundConvWeight& weight, int64_t parts) {
  const int64_t blocks = weight.image_blocks * weight.row_blocks;
  weight.split_blocks = std::max<int64_t>(1, ceil_div(blocks, parts));
  weight.splits = std::max<int64_t>(1, ceil_div(blocks, weight.split_blocks));
}

int64_t most_parts(const BoundConvWeight& weight, int64_t result_floats) {
  const ConvShape& s = weight.shape;
  return std::max<int64_t>(
      1, std::min({s.images * s.out_height * s.out_width / kPartPixels,
                   kPartialBytes / (result_floats * 4), weight.image_blocks * weight.row_blocks}));
}

// The time that `threads` threads take, in multiply-adds of a vector, when each part has `units`
// units and a block of pixels takes one of them `block`.
double time_of(const BoundConvWeight& weight, int64_t units, double block, double result,
               int64_t threads) {
  const int64_t blocks = weight.image_blocks * weight.row_blocks;
  // Blocks of all units before the n-th.
  const auto before = [&](int64_t n) {
    const int64_t split = n / units;
    const int64_t size = std::min(weight.split_blocks, blocks - split * weight.split_blocks);
    return split * weight.split_blocks * units + n % units * std::max<int64_t>(0, size);
  };
  const int64_t all = units * weight.splits;
  int64_t most = 0;
  for (int64_t t = 0; t < threads; ++t)
    most = std::max(most, before(all * (t + 1) / threads) - before(all * t / threads));
  const double combine = weight.splits > 1 ? result * static_cast<double>(weight.splits + 1) : 0;
  return static_cast<double>(most) * block + combine / static_cast<double>(threads);
}

void fill_tables(BoundConvWeight& weight) {
  const ConvShape& s = weight.shape;
  ResidueClass& pixels = weight.pixels;
  pixels.image_stride =
      pixels.direct ? s.in_height * s.in_width * s.in_channels
                    : window_rows(pixels, weight.block_rows, s.stride_height) * pixels.row_stride;
  for (int64_t image = 0; image < (weight.image_blocks > 0 ? weight.block_images : 0); ++image) {
    for (int64_t j = 0; j < weight.block_rows; ++j) {
      for (int64_t i = 0; i < s.out_width; ++i) {
        weight.pixel_rows.push_back(image * pixels.image_stride +
                                    j * s.stride_height * pixels.row_stride +
                                    i * s.stride_width * pixels.pixel_stride);
      }
    }
  }
  pixels.source_rows = weight.pixel_rows.data();
  pixels.skip_outside = !pixels.direct && weight.block_images == 1 && pixels.tap_rows > 1 &&
                        s.kernel_width * weight.channel_block >= kSkipRows;
  auto fill = [&](int64_t channels, std::vector<int64_t>& rows, std::vector<int64_t>& results) {
    for (int64_t tap = 0; tap < pixels.tap_count; ++tap) {
      for (int64_t c = 0; c < channels; ++c) {
        rows.push_back(weight.tap_steps[static_cast<size_t>(tap)] + c);
        results.push_back((tap * s.group_in() + c) * s.out_channels);
      }
    }
  };
  fill(weight.channel_block, weight.row_table, weight.result_table);
  fill(s.group_in() - (weight.channel_blocks - 1) * weight.channel_block, weight.last_row_table,
       weight.last_result_table);
  weight.rows = weight.row_table.data();
  weight.result_rows = weight.result_table.data();
  weight.last_rows = weight.last_row_table.data();
  weight.last_result_rows = weight.last_result_table.data();
}

void cut_strips(BoundConvWeight& weight, const ConvTable& table, int64_t strip_block) {
  const ConvShape& s = weight.shape;
  const int64_t columns = s.group_out();
  const int64_t rows = weight.pixels.tap_count * weight.channel_block;
  const int64_t block_pixels = weight.block_images * weight.block_rows * s.out_width;
  const bool narrow = table.panel < 64;
  weight.pack =
      columns % table.lanes != 0 || (narrow && columns > table.panel && rows >= kPackRows);
  weight.group_strips = ceil_div(columns, table.panel);
  weight.strip_block = strip_block;
  weight.strip_blocks = ceil_div(weight.group_strips, weight.strip_block);
  for (int64_t i = 0; i < weight.group_strips; ++i) {
    GemmPanel strip;
    strip.column = i * table.panel;
    strip.width = std::min(table.panel, columns - strip.column);
    strip.packed = weight.pack;
    strip.stride = weight.pack ? round_up(strip.width, table.lanes) : s.out_channels;
    strip.offset = weight.pack ? i % weight.strip_block * table.panel * block_pixels : strip.column;
    weight.strip_list.push_back(strip);
  }
  weight.strips = weight.strip_list.data();
}

void bind_depthwise(BoundConvWeight& weight, const ConvTable& table, BoundKernel& bound) {
  const ConvShape& s = weight.shape;
  const int64_t parts = s.images * s.out_height * s.out_width / kPartPixels;
  weight.channel_block = s.in_channels;
  if (parts < kUnits / 2)
    weight.channel_block =
        even_block(s.in_channels, std::max<int64_t>(1, kDepthwiseChannels / s.group_out()));
  weight.channel_blocks = ceil_div(s.in_channels, weight.channel_block);
  weight.in_place = table.weight_in_place(s);
  set_pixels(weight, true);
  cut_pixels(weight);
  const int64_t result = weight.pixels.tap_count * s.out_channels;
  set_parts(weight,
            std::clamp<int64_t>(kUnits / weight.channel_blocks, 1, most_parts(weight, result)));
  fill_tables(weight);
  bound.algorithm = "conv weight depthwise";
  bound.scratch_bytes = line_bytes(window_bytes(weight));
  bound.phases = {{table.weight_depthwise, weight.channel_blocks * weight.splits}};
}

// Divides dw and the pixels so that 2 and 16 threads take least time by a model: each block of
// pixels costs a unit its multiply-adds, the copies of its rows of x and dy and the reads from
// memory, and the block of dw is read and written.
void cut_product(BoundConvWeight& weight, const ConvTable& table) {
  const ConvShape& s = weight.shape;
  const int64_t taps = s.kernel_height * s.kernel_width;
  const int64_t result = taps * s.group_in() * s.out_channels;
  const int64_t columns = ceil_div(s.group_out(), table.panel);
  const int64_t most_rows = std::max<int64_t>(1, kRows / taps);
  struct Choice {
    double time = std::numeric_limits<double>::infinity();
    int64_t channels = 1, strips = 1, parts = 1;
  } best;
  int64_t last_channels = 0;
  const int64_t fewest = std::max<int64_t>(1, ceil_div(s.group_in(), most_rows));
  for (int64_t count = fewest; count <= std::max(fewest, kUnits); ++count) {
    BoundConvWeight trial;
    trial.shape = s;
    trial.channel_block = even_block(s.group_in(), ceil_div(s.group_in(), count));
    if (trial.channel_block == last_channels) continue;
    last_channels = trial.channel_block;
    trial.channel_blocks = ceil_div(s.group_in(), trial.channel_block);
    const int64_t rows = taps * trial.channel_block;
    if (count > fewest && rows < kLeastRows) break;
    set_pixels(trial, false);
    cut_pixels(trial);
    const double pixels = static_cast<double>(trial.block_images * trial.block_rows * s.out_width);
    const int64_t most_strips = even_block(columns, kResultBytes / (rows * table.panel * 4));
    for (int64_t strips = most_strips; strips >= 1;
         strips = strips > 1 ? even_block(columns, strips - 1) : 0) {
      const double width =
          static_cast<double>(ceil_div(std::min(strips * table.panel, s.group_out()), table.lanes));
      const double height = static_cast<double>(rows);
      const double block =
          pixels *
              (height * width + kCopyTime * width + kRowTime * height +
               kWindowTime * (trial.pixels.direct ? 0 : static_cast<double>(trial.channel_block))) +
          kResultTime * height * width;
      const int64_t units =
          std::max<int64_t>(1, s.groups * trial.channel_blocks * ceil_div(columns, strips));
      const int64_t most = std::min(most_parts(trial, result), ceil_div(kUnits, units));
      for (int64_t parts = 1; parts <= most; ++parts) {
        set_parts(trial, parts);
        const double combine = kCombineTime * static_cast<double>(result / table.lanes);
        const double time = 8 * time_of(trial, units, block, combine, 16) +
                            time_of(trial, units, block, combine, 2);
        if (time < best.time) best = {time, trial.channel_block, strips, parts};
      }
    }
  }
  weight.channel_block = best.channels;
  weight.channel_blocks = ceil_div(s.group_in(), weight.channel_block);
  set_pixels(weight, false);
  cut_pixels(weight);
  cut_strips(weight, table, best.strips);
  set_parts(weight, best.parts);
}

void bind_product(BoundConvWeight& weight, const ConvTable& table, BoundKernel& bound) {
  const ConvShape& s = weight.shape;
  cut_product(weight, table);
  const int64_t blocks = s.groups * weight.channel_blocks * weight.strip_blocks;
  fill_tables(weight);
  weight.pack_offset = static_cast<int64_t>(line_bytes(window_bytes(weight)));
  const int64_t pixels = weight.block_images * weight.block_rows * s.out_width;
  bound.scratch_bytes = static_cast<size_t>(weight.pack_offset);
  if (weight.pack) bound.scratch_bytes += line_bytes(weight.strip_block * table.panel * pixels * 4);
  weight.panel_offset = static_cast<int64_t>(bound.scratch_bytes);
  const int64_t row = s.dilation_width == 1 ? s.kernel_width : 1;
  weight.panels = panels_pay(table.panel, row * weight.channel_block,
                             std::min(s.group_out(), weight.strip_block * table.panel),
                             s.stride_width * weight.pixels.pixel_stride);
  if (weight.panels) bound.scratch_bytes += line_bytes(panel_floats(kPanelRows, pixels) * 4);
  bound.algorithm = table.panel == 64   ? "conv weight 6x64"
                    : table.panel == 16 ? "conv weight 6x16"
                                        : "conv weight 6x8";
  bound.phases = {{table.weight, blocks * weight.splits}};
}

// Memory of the parts' sums, and the phase that adds them up.
void set_sums(const ConvWeightArguments& weight, BoundKernel& bound) {
  const ConvShape& s = weight.shape;
  const int64_t elements = s.kernel_height * s.kernel_width * s.group_in() * s.out_channels;
  bound.phases.resize(1);
  bound.workspace_bytes = 0;
  if (weight.splits == 1) return;
  bound.workspace_bytes = line_bytes(weight.splits * elements * 4);
  bound.phases.push_back({weight.table->weight_combine, ceil_div(elements, kCombineBlock)});
}

struct CutConvWeight : ConvWeightArguments {
  std::shared_ptr<const void> tables;  // keeps what these point to
};

void cut_parts(BoundKernel& kernel, int64_t parts) {
  auto cut = std::make_shared<CutConvWeight>();
  static_cast<ConvWeightArguments&>(*cut) =
      *static_cast<const ConvWeightArguments*>(kernel.arguments.get());
  cut->tables = kernel.arguments;
  cut->splits = parts;
  set_sums(*cut, kernel);
  kernel.arguments =
      std::shared_ptr<const void>(cut, static_cast<const ConvWeightArguments*>(cut.get()));
  if (kernel.sink) kernel.sink->arguments = kernel.arguments;
}

// The rows of x under a block of pixels can be recomputed for it, if no other block needs them too.
void offer_recompute(BoundConvWeight& weight, BoundKernel& bound) {
  const ConvShape& s = weight.shape;
  const int64_t blocks = weight.channel_blocks * std::max<int64_t>(1, weight.strip_blocks);
  if (blocks > 1 || (s.groups > 1 && !weight.in_place)) return;
  weight.recompute_offset = static_cast<int64_t>(bound.scratch_bytes);
  const int64_t rows = window_rows(weight.pixels, weight.block_rows, s.stride_height);
  bound.recomputes = 0;
  const int64_t all_rows = (weight.block_images - 1) * s.in_height + rows;
  bound.recompute_bytes = line_bytes(all_rows * s.in_width * s.in_channels * 4);
}

// The kernel can take rows of dy as soon as they are computed.
void offer_sink(const ConvWeightArguments& weight, BoundKernel& bound) {
  const bool depthwise = weight.shape.groups > 1 && weight.shape.group_in() == 1;
  if (depthwise && !weight.in_place) return;
  bound.sink = std::make_shared<RowKernel>();
  RowKernel& sink = *bound.sink;
  sink.run = depthwise ? weight.table->weight_depthwise_rows : weight.table->weight_rows;
  sink.arguments = bound.arguments;
  sink.source = 1;
  sink.images = weight.shape.images;
  sink.rows = sink.source_rows = weight.shape.out_height;
  sink.scratch_bytes = bound.scratch_bytes;
  sink.cut = &cut_parts;
}

// A binding with the fields that every algorithm needs.
BoundKernel make_bound(const ConvProblem& problem, std::shared_ptr<BoundConvWeight>& weight) {
  weight = std::make_shared<BoundConvWeight>();
  weight->shape = problem.shape;
  BoundKernel bound;
  bound.flops = problem.shape.flops();
  bound.bytes = bytes_of(problem.request);
  bound.arguments =
      std::shared_ptr<const void>(weight, static_cast<const ConvWeightArguments*>(weight.get()));
  return bound;
}

BoundKernel bind_direct(const ConvProblem& problem) {
  std::shared_ptr<BoundConvWeight> weight;
  BoundKernel bound = make_bound(problem, weight);
  const ConvShape& s = problem.shape;
  const ConvTable& table = *kernel_tables_of(problem.request.isa).conv;
  weight->table = &table;
  if (s.groups > 1 && s.group_in() == 1) {
    bind_depthwise(*weight, table, bound);
  } else {
    bind_product(*weight, table, bound);
  }
  set_sums(*weight, bound);
  bound.copied = static_cast<double>(bound.phases.front().units / weight->splits) *
                 static_cast<double>(weight->image_blocks * weight->row_blocks) *
                 static_cast<double>(window_bytes(*weight) / 4);
  if (s.images > 0 && s.out_height > 0) {
    offer_recompute(*weight, bound);
    offer_sink(*weight, bound);
  }
  return bound;
}

BoundKernel bind_reference(const ConvProblem& problem) {
  std::shared_ptr<BoundConvWeight> weight;
  BoundKernel bound = make_bound(problem, weight);
  const ConvShape& s = problem.shape;
  bound.algorithm = "reference";
  bound.phases = {{reference_loop(problem.request.operands[0].dtype,
                                  []<class T>() { return &reference::conv2d_backward_weight<T>; }),
                   s.kernel_height * s.kernel_width * s.group_in()}};
  return bound;
}

}  // namespace

BoundKernel bind_conv2d_backward_weight(const BindRequest& request) {
  NNC_CHECK(request.operands.size() == 2 && request.results.size() == 1,
            "convolution takes two operands and gives one result");
  const ConvProblem problem = {
      request,
      conv_shape(request, request.operands[0], request.results[0], request.operands[1], true),
      ConvDirection::backward_weight};
  return bind_fastest(
      problem,
      {{"reference", [](const ConvProblem& p) { return !p.vectors(); }, nullptr, &bind_reference},
       {"direct", [](const ConvProblem& p) { return p.vectors(); }, &predict_direct, &bind_direct},
       {"winograd", &winograd_applies, &predict_winograd,
        [](const ConvProblem& p) { return bind_winograd_weight(p.request, p.shape); }}});
}

}  // namespace nnrt
