// Binds conv2d and conv2d_backward_data: classes of pixels, tables of offsets, strips and blocks,
// from shapes alone.
#include "cpu/conv/conv.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <string>

#include "core/kernels/attributes.h"
#include "cpu/bind.h"
#include "cpu/conv/algorithm.h"
#include "cpu/conv/conv_bind.h"
#include "cpu/conv/reference/conv.h"
#include "cpu/conv/winograd/winograd.h"
#include "cpu/kernel_tables.h"
#include "cpu/row_streaming.h"
#include "cpu/tile/tile.h"

namespace nnrt {

int64_t even_block(int64_t total, int64_t limit) {
  return std::max<int64_t>(1, even_part(total, std::max<int64_t>(1, limit)));
}

void set_window(ResidueClass& pixels, const ImageShape& source, int64_t window_channels,
                int64_t stride_height, int64_t stride_width, bool may_read_in_place) {
  const int64_t last_row = (pixels.rows - 1) * stride_height + pixels.top + pixels.extra_rows;
  const int64_t last_column =
      (pixels.columns - 1) * stride_width + pixels.left + pixels.extra_columns;
  pixels.direct = may_read_in_place && pixels.top >= 0 && pixels.left >= 0 &&
                  last_row <= source.height && last_column <= source.width;
  if (pixels.direct) {
    pixels.pixel_stride = source.channels;
    pixels.row_stride = source.width * source.channels;
  } else {
    pixels.pixel_stride = window_channels;
    pixels.row_stride =
        ((pixels.columns - 1) * stride_width + pixels.extra_columns) * window_channels;
  }
}

int64_t window_rows(const ResidueClass& pixels, int64_t rows, int64_t stride_height) {
  return rows > 0 ? (rows - 1) * stride_height + pixels.extra_rows : 0;
}

namespace {

// Pixels of a block: the result of 256 pixels with 64 to 256 channels is 64 to 256 KB and stays in
// L2 (1 MB, Zen 5) until the epilogue; 43 tiles share each strip of the weights.
constexpr int64_t kBlockPixels = 256;
// The wanted number of units: 16 threads end at nearly the same time. kUnitFlops is the least work
// of a unit (4 us of AVX-512). A quarter of it makes training steps of a few small images twice as
// long.
constexpr int64_t kUnits = 32;
constexpr double kUnitFlops = 1e6;
// With fewer pixels than this, a unit spends more time on the weights than on the pixels. Smaller
// units are still better than threads without work.
constexpr int64_t kLeastPixels = 48;
constexpr int64_t kFewPixels = 16, kFewUnits = 4;
// Below this work, packing and multiplying are one unit: 2 us of one AVX-512 core, about the cost
// of waking a second thread.
constexpr double kWholeFlops = 5e5;
// Fetching the weights of a strip takes as long as kFetchTiles tiles of its products, and starting
// a unit as long as kUnitTiles.
constexpr double kFetchTiles = 1, kUnitTiles = 1;

// Up to this many pixels (twice as many for tiles of 64 columns) the weights are read in place. Zen
// 5, 3x3: C512@7 N1 1.1 against 1.7 ms, C256@14 N1 1.04 against 1.08 ms; C256@14 N16 18.9 against
// 17.2 ms. Zen 4: 1x1 C2048@7 N8 to 512 3.7 against 3.9 ms, C256@14 to 1024 4.0 against 3.8.
constexpr int64_t kPlainPixels = 256;
// Weights of larger kernels are also read in place if their rows are at most this many strips long:
// Zen 4, 3x3 of stride 2, C128@28 to 256 N16 8.5 against 8.7 ms, C256@28 N8 8.4 against 8.8, 5x5
// C64@28 to 192 N4 8.5 against 8.8.
constexpr int64_t kPlainStrips = 8;

// Rows of pixels at an image's edge are computed apart, without the taps in the padding, if the
// weights of a unit fit into half of L2.
constexpr int64_t kSkipBytes = 512 * 1024;

struct BoundConv : ConvArguments {
  std::vector<ResidueClass> class_list;
  std::deque<std::vector<int64_t>> tables;
  std::deque<std::vector<GemmPanel>> strip_lists;
  // Sizes of the blocks for few threads: they decide how pixels at the edge are summed.
  int64_t edge_images = 1, edge_strips = 1;

  const int64_t* keep(std::vector<int64_t> table) {
    tables.push_back(std::move(table));
    return tables.back().data();
  }
};

// The taps of one class along one axis: their numbers, and their distances from the pixel.
struct AxisTap {
  int64_t tap, at;
};

std::vector<AxisTap> forward_taps(int64_t kernel, int64_t dilation, int64_t padding) {
  std::vector<AxisTap> taps;
  for (int64_t k = 0; k < kernel; ++k) taps.push_back({k, k * dilation - padding});
  return taps;
}

// dx at `residue` + j * stride gets from dy at j + (residue + padding - k * dilation) / stride, if
// that divides.
std::vector<AxisTap> backward_taps(int64_t kernel, int64_t dilation, int64_t padding,
                                   int64_t stride, int64_t residue) {
  std::vector<AxisTap> taps;
  for (int64_t k = kernel - 1; k >= 0; --k) {
    const int64_t distance = residue + padding - k * dilation;
    if (distance % stride == 0) taps.push_back({k, distance / stride});
  }
  return taps;
}

ResidueClass make_class(BoundConv& conv, const std::vector<AxisTap>& rows,
                        const std::vector<AxisTap>& columns) {
  ResidueClass pixels;
  if (rows.empty() || columns.empty()) return pixels;
  auto [top, bottom] =
      std::minmax_element(rows.begin(), rows.end(), [](auto& a, auto& b) { return a.at < b.at; });
  auto [left, right] = std::minmax_element(columns.begin(), columns.end(),
                                           [](auto& a, auto& b) { return a.at < b.at; });
  pixels.top = top->at;
  pixels.left = left->at;
  pixels.extra_rows = bottom->at - top->at + 1;
  pixels.extra_columns = right->at - left->at + 1;
  std::vector<int64_t> taps;
  for (const AxisTap& row : rows) {
    for (const AxisTap& column : columns)
      taps.push_back(row.tap * conv.shape.kernel_width + column.tap);
  }
  std::vector<int64_t> tap_row_at;
  for (const AxisTap& row : rows) tap_row_at.push_back(row.at);
  pixels.tap_rows = static_cast<int64_t>(rows.size());
  pixels.tap_row_at = conv.keep(std::move(tap_row_at));
  std::vector<int64_t> tap_column_at;
  for (const AxisTap& column : columns) tap_column_at.push_back(column.at);
  pixels.tap_columns = static_cast<int64_t>(columns.size());
  pixels.tap_column_at = conv.keep(std::move(tap_column_at));
  pixels.tap_count = static_cast<int64_t>(taps.size());
  pixels.taps = conv.keep(std::move(taps));
  return pixels;
}

// Offsets of the taps, and of every tap and channel, once the window's strides are known.
void set_steps(BoundConv& conv, ResidueClass& pixels, const std::vector<AxisTap>& rows,
               const std::vector<AxisTap>& columns, int64_t channels) {
  std::vector<int64_t> tap_steps, steps;
  if (pixels.tap_count > 0) {
    for (const AxisTap& row : rows) {
      for (const AxisTap& column : columns) {
        tap_steps.push_back((row.at - pixels.top) * pixels.row_stride +
                            (column.at - pixels.left) * pixels.pixel_stride);
        for (int64_t c = 0; c < channels; ++c) steps.push_back(tap_steps.back() + c);
      }
    }
  }
  pixels.depth = static_cast<int64_t>(steps.size());
  pixels.tap_steps = conv.keep(std::move(tap_steps));
  pixels.steps = conv.keep(std::move(steps));
}

// For a kernel that leaves out the taps outside of the image.
void read_in_place(ResidueClass& pixels, const ImageShape& source) {
  pixels.direct = true;
  pixels.pixel_stride = source.channels;
  pixels.row_stride = source.width * source.channels;
}

void make_classes(BoundConv& conv) {
  const ConvShape& s = conv.shape;
  const int64_t channels = conv.source.channels / s.groups;
  for (int64_t y = 0; y < conv.step_height; ++y) {
    for (int64_t x = 0; x < conv.step_width; ++x) {
      const auto rows = conv.backward ? backward_taps(s.kernel_height, s.dilation_height, s.pad_top,
                                                      s.stride_height, y)
                                      : forward_taps(s.kernel_height, s.dilation_height, s.pad_top);
      const auto columns =
          conv.backward
              ? backward_taps(s.kernel_width, s.dilation_width, s.pad_left, s.stride_width, x)
              : forward_taps(s.kernel_width, s.dilation_width, s.pad_left);
      ResidueClass pixels = make_class(conv, rows, columns);
      pixels.first_row = y;
      pixels.first_column = x;
      pixels.rows = ceil_div(conv.result.height - y, conv.step_height);
      pixels.columns = ceil_div(conv.result.width - x, conv.step_width);
      set_window(pixels, conv.source, conv.source.channels * conv.multiplier, conv.stride_height,
                 conv.stride_width, conv.multiplier == 1);
      if (conv.in_place) read_in_place(pixels, conv.source);
      set_steps(conv, pixels, rows, columns, conv.depthwise ? 1 : channels);
      conv.class_list.push_back(pixels);
    }
  }
  conv.classes = conv.class_list.data();
  conv.class_count = static_cast<int64_t>(conv.class_list.size());
}

// Strips of every class: the same columns, other places in the packed weights. Returns the packed
// floats.
int64_t cut_strips(BoundConv& conv, const ConvTable& table, bool kept) {
  const int64_t columns = conv.result.channels / conv.shape.groups;
  const int64_t channels = conv.source.channels / conv.shape.groups;
  // Weights no wider than a strip are their own packed copy; for a few pixels a copy does not pay,
  // unless it is kept.
  const int64_t pixels = conv.images * conv.result.height * conv.result.width;
  const bool few = pixels <= (table.panel >= 64 ? 2 : 1) * kPlainPixels;
  const bool short_rows = conv.classes->tap_count > 1 && columns <= kPlainStrips * table.panel;
  const bool plain = !conv.backward && conv.shape.groups == 1 && columns % table.lanes == 0 &&
                     (columns <= table.panel || (!kept && (few || short_rows)));
  int64_t packed = 0;
  for (ResidueClass& part : conv.class_list) {
    std::vector<GemmPanel> strips;
    for (int64_t group = 0; group < conv.shape.groups; ++group) {
      const int64_t count = ceil_div(columns, table.panel);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t column = strip_begin(columns, table.lanes, count, i);
        GemmPanel strip;
        strip.column = group * columns + column;
        strip.a_shift = group * channels;
        strip.width = strip_begin(columns, table.lanes, count, i + 1) - column;
        strip.packed = !plain;
        strip.stride = plain ? columns : round_up(strip.width, table.lanes);
        strip.offset = plain ? column : packed;
        if (!plain) packed += strip.stride * part.depth;
        strips.push_back(strip);
      }
    }
    conv.strip_count = static_cast<int64_t>(strips.size());
    conv.strip_lists.push_back(std::move(strips));
    part.strips = conv.strip_lists.back().data();
    part.pack_begin = conv.pack_units;
    if (!plain) conv.pack_units += conv.strip_count * part.tap_count;
  }
  return packed;
}

// The weights of every class as [result channel][tap][padded source channels]. Returns the packed
// floats.
int64_t place_narrow_weights(BoundConv& conv, const ConvTable& table) {
  const int64_t tap_floats = conv.result.channels * round_up(conv.source.channels, table.lanes);
  for (ResidueClass& pixels : conv.class_list) {
    pixels.pack_begin = conv.pack_units;
    pixels.narrow_offset = conv.pack_units * tap_floats;
    conv.pack_units += pixels.tap_count;
  }
  return conv.pack_units * tap_floats;
}

// Bytes of the largest class' windows under a block.
int64_t window_bytes(const BoundConv& conv) {
  int64_t most = 0;
  for (const ResidueClass& pixels : conv.class_list) {
    if (pixels.direct || pixels.tap_count == 0) continue;
    const int64_t rows =
        window_rows(pixels, ceil_div(conv.block_rows, conv.step_height), conv.stride_height);
    most = std::max(most, conv.block_images * rows * pixels.row_stride * 4);
  }
  return most;
}

// Makes blocks smaller if this many threads then end sooner. A unit takes the time of its tiles,
// and fetches the weights of each of its strips meanwhile.
void share_blocks(BoundConv& conv, int64_t threads) {
  const int64_t height = conv.result.height, width = conv.result.width;
  const int64_t images = conv.block_images, rows = conv.block_rows, strips = conv.strip_block;
  double best = 0;
  for (int64_t i = images; i >= 1; i = i > 1 ? even_block(conv.images, i - 1) : 0) {
    for (int64_t r = rows; r >= 1; r = r > 1 ? even_block(height, r - 1) : 0) {
      if (i > 1 && r < rows) break;  // whole images, or rows of one
      for (int64_t s = strips; s >= 1; s = s > 1 ? even_block(conv.strip_count, s - 1) : 0) {
        const int64_t units =
            ceil_div(conv.images, i) * ceil_div(height, r) * ceil_div(conv.strip_count, s);
        const double unit = static_cast<double>(s * ceil_div(i * r * width, kTileRows)) +
                            kFetchTiles * static_cast<double>(s) + kUnitTiles;
        const double time = static_cast<double>(ceil_div(units, threads)) * unit;
        if (best > 0 && time >= best) continue;
        best = time;
        conv.block_images = i;
        conv.block_rows = r;
        conv.strip_block = s;
      }
    }
  }
  conv.row_blocks = ceil_div(height, conv.block_rows);
}

void cut_blocks(BoundConv& conv, int64_t threads) {
  const int64_t height = conv.result.height, width = std::max<int64_t>(1, conv.result.width);
  const int64_t pixels = kBlockPixels * conv.step_height * conv.step_width;
  conv.block_rows = even_block(height, pixels / width);
  if (conv.block_rows >= height && height > 0) {
    conv.block_images = even_block(conv.images, pixels / (height * width));
  }
  while (window_bytes(conv) > kWindowBytes &&
         (conv.block_images > 1 || conv.block_rows > conv.step_height)) {
    if (conv.block_images > 1) {
      conv.block_images = even_block(conv.images, conv.block_images / 2);
    } else {
      conv.block_rows = even_block(height, conv.block_rows / 2);
    }
  }
  conv.strip_block = std::max<int64_t>(1, conv.strip_count);
  const double flops = conv.shape.flops();
  auto units = [&] {
    return ceil_div(conv.images, conv.block_images) * ceil_div(height, conv.block_rows) *
           ceil_div(conv.strip_count, conv.strip_block);
  };
  while (units() < kUnits && flops > kUnitFlops * static_cast<double>(units())) {
    const int64_t block = conv.block_images * conv.block_rows * width;
    const int64_t least = units() < kFewUnits ? kFewPixels : kLeastPixels;
    if (conv.strip_block > 1 && (block <= 4 * kLeastPixels || conv.strip_block >= 8)) {
      conv.strip_block = even_block(conv.strip_count, conv.strip_block / 2);
    } else if (conv.block_images > 1 && block >= 2 * least) {
      conv.block_images = even_block(conv.images, conv.block_images / 2);
    } else if (conv.block_rows > 1 && block >= 2 * least) {
      conv.block_rows = even_block(height, conv.block_rows / 2);
    } else {
      break;
    }
  }
  conv.row_blocks = ceil_div(height, conv.block_rows);
  // An even number of a few blocks: a middle one cannot be shared.
  if (conv.row_blocks % 2 == 1 && conv.row_blocks > 1 && conv.row_blocks < height &&
      units() < kUnits) {
    ++conv.row_blocks;
    conv.block_rows = ceil_div(height, conv.row_blocks);
  }
  conv.edge_images = conv.block_images;
  conv.edge_strips = conv.strip_block;
  if (threads > kFewThreads) share_blocks(conv, threads);
  conv.image_blocks = ceil_div(conv.images, conv.block_images);
  conv.strip_blocks = ceil_div(conv.strip_count, conv.strip_block);
}

void fill_tables(BoundConv& conv, const ConvTable& table) {
  for (ResidueClass& pixels : conv.class_list) {
    const int64_t rows = std::min(pixels.rows, ceil_div(conv.block_rows, conv.step_height));
    const ImageShape& source = conv.source;
    pixels.image_stride = pixels.direct
                              ? source.height * source.width * source.channels
                              : window_rows(pixels, rows, conv.stride_height) * pixels.row_stride;
    std::vector<int64_t> source_rows, result_rows;
    for (int64_t image = 0; image < conv.block_images; ++image) {
      for (int64_t j = 0; j < rows; ++j) {
        for (int64_t i = 0; i < pixels.columns; ++i) {
          source_rows.push_back(image * pixels.image_stride +
                                j * conv.stride_height * pixels.row_stride +
                                i * conv.stride_width * pixels.pixel_stride);
          result_rows.push_back(
              ((image * conv.result.height + j * conv.step_height) * conv.result.width +
               i * conv.step_width) *
              conv.result.channels);
        }
      }
    }
    // More passes over the strips' weights, which must then come from L2.
    const int64_t weight_bytes = pixels.depth * conv.edge_strips * table.panel * 4;
    pixels.skip_outside = !pixels.direct && conv.edge_images == 1 && pixels.tap_rows > 1 &&
                          weight_bytes <= kSkipBytes;
    pixels.source_rows = conv.keep(std::move(source_rows));
    pixels.result_rows = conv.keep(std::move(result_rows));
  }
}

const char* algorithm_name(const BoundConv& conv, const ConvTable& table) {
  const ConvShape& s = conv.shape;
  if (s.kernel_height == 1 && s.kernel_width == 1) return "conv pointwise";
  if (table.panel == 64) return "conv direct 6x64";
  return table.panel == 16 ? "conv direct 6x16" : "conv direct 6x8";
}

// Sizes and directions, from the shape.
void set_images(BoundConv& conv) {
  const ConvShape& s = conv.shape;
  conv.depthwise = s.groups > 1 && s.group_in() == 1 && (!conv.backward || s.group_out() == 1);
  conv.source = {s.in_height, s.in_width, s.in_channels};
  conv.result = {s.out_height, s.out_width, s.out_channels};
  conv.stride_height = s.stride_height;
  conv.stride_width = s.stride_width;
  if (conv.backward) {
    std::swap(conv.source, conv.result);
    std::swap(conv.stride_height, conv.step_height);
    std::swap(conv.stride_width, conv.step_width);
    // A class beyond the image would have no pixels.
    conv.step_height = std::min(conv.step_height, conv.result.height);
    conv.step_width = std::min(conv.step_width, conv.result.width);
  }
  if (conv.depthwise && !conv.backward) conv.multiplier = s.group_out();
}

void offer_rows(const BindRequest& request, const std::shared_ptr<BoundConv>& conv,
                const ConvTable& table, BoundKernel& bound) {
  int64_t top = 0, end = 1;
  for (const ResidueClass& pixels : conv->class_list) {
    top = std::min(top, pixels.top);
    end = std::max(end, pixels.top + pixels.extra_rows);
  }
  bound.rows = std::make_shared<RowKernel>();
  RowKernel& rows = *bound.rows;
  rows.run = table.rows;
  rows.arguments = std::shared_ptr<const void>(conv, static_cast<const ConvArguments*>(conv.get()));
  rows.images = conv->images;
  rows.rows = conv->result.height;
  rows.source_rows = conv->source.height;
  rows.step = conv->step_height;
  rows.stride = conv->stride_height;
  rows.top = top;
  rows.extent = end - top;
  rows.scratch_bytes = static_cast<size_t>(conv->window_offset) + line_bytes(window_bytes(*conv));
  rows.weight_bytes = request.operands[1].bytes();
  rows.plain_result = request.tile == nullptr || tile_epilogue(request.tile) != nullptr;
}

void bind_vector(const BindRequest& request, const std::shared_ptr<BoundConv>& owner,
                 BoundKernel& bound) {
  BoundConv& conv = *owner;
  const ConvTable& table = *kernel_tables_of(request.isa).conv;
  const ConvShape& s = conv.shape;
  set_images(conv);
  const bool depthwise = conv.depthwise;
  conv.in_place = depthwise && conv.multiplier == 1;
  // The columns of each group begin and end on whole lines.
  const int64_t columns = depthwise ? conv.result.channels : conv.result.channels / s.groups;
  const bool may_pass = request.tile == nullptr || tile_epilogue(request.tile) != nullptr;
  conv.writing = store_mode_of(request.results[0].bytes(), columns, may_pass, depthwise);
  make_classes(conv);
  const bool narrow = s.groups == 1 && conv.result.channels <= kNarrowChannels &&
                      conv.source.channels >= table.lanes;
  conv.strip_count = 1;
  const bool whole = !depthwise && !narrow && bound.flops <= kWholeFlops;
  const bool kept = is_fixed(request, 1);
  size_t packed_bytes = 0;
  if (narrow) packed_bytes = line_bytes(place_narrow_weights(conv, table) * 4);
  if (!narrow && !depthwise) packed_bytes = line_bytes(cut_strips(conv, table, kept) * 4);
  (kept ? bound.prepared_bytes : bound.workspace_bytes) = packed_bytes;
  cut_blocks(conv, request.threads);
  fill_tables(conv, table);
  conv.window_offset = static_cast<int64_t>(line_bytes(static_cast<int64_t>(request.tile_scratch)));
  bound.scratch_bytes = static_cast<size_t>(conv.window_offset) + line_bytes(window_bytes(conv));
  const int64_t units = conv.image_blocks * conv.row_blocks * conv.strip_blocks;
  bound.copied = static_cast<double>(units) * static_cast<double>(window_bytes(conv) / 4);
  std::vector<Phase>& packing = kept ? bound.prepare : bound.phases;
  bound.layout = narrow ? "narrow" : "strips";
  if (depthwise) {
    bound.algorithm = "conv depthwise";
    bound.phases = {{table.depthwise, units}};
  } else if (narrow) {
    bound.algorithm = "conv narrow";
    packing.push_back({table.narrow_pack, conv.pack_units});
    bound.phases.push_back({table.narrow, units});
  } else {
    bound.algorithm = algorithm_name(conv, table);
    if (conv.pack_units > 0 && (kept || !whole)) packing.push_back({table.pack, conv.pack_units});
    bound.phases.push_back(whole ? Phase{table.whole, 1} : Phase{table.multiply, units});
  }
  if (!narrow) bound.column_lanes = column_lanes_of(request, table.lanes);
  bound.sums_in_result = !depthwise && std::any_of(conv.class_list.begin(), conv.class_list.end(),
                                                   [](const ResidueClass& pixels) {
                                                     return pixels.depth > kDepthBlock;
                                                   });
  // A single unit that packs for itself has no rows to give before that.
  if (!narrow && (kept || !whole) && conv.images > 0) offer_rows(request, owner, table, bound);
}

// A binding with the fields that every algorithm needs.
std::shared_ptr<BoundConv> make_conv(const ConvProblem& problem) {
  auto conv = std::make_shared<BoundConv>();
  conv->shape = problem.shape;
  conv->images = problem.shape.images;
  conv->backward = problem.direction == ConvDirection::backward_data;
  return conv;
}

BoundKernel make_bound(const ConvProblem& problem, const std::shared_ptr<BoundConv>& conv) {
  const BindRequest& request = problem.request;
  BoundKernel bound;
  bound.flops = problem.shape.flops();
  bound.bytes = bytes_of(request);
  bound.arguments =
      std::shared_ptr<const void>(conv, static_cast<const ConvArguments*>(conv.get()));
  return bound;
}

BoundKernel bind_nothing(const ConvProblem& problem) {
  BoundKernel bound = make_bound(problem, make_conv(problem));
  bound.algorithm = "nothing";
  return bound;
}

BoundKernel bind_direct(const ConvProblem& problem) {
  const std::shared_ptr<BoundConv> conv = make_conv(problem);
  BoundKernel bound = make_bound(problem, conv);
  bind_vector(problem.request, conv, bound);
  return bound;
}

BoundKernel bind_reference(const ConvProblem& problem) {
  BoundKernel bound = make_bound(problem, make_conv(problem));
  const bool backward = problem.direction == ConvDirection::backward_data;
  bound.algorithm = "reference";
  bound.scratch_bytes = problem.request.tile_scratch;
  const auto run = reference_loop(problem.request.operands[0].dtype, [backward]<class T>() {
    return backward ? &reference::conv2d_backward_data<T> : &reference::conv2d<T>;
  });
  const ConvShape& shape = problem.shape;
  bound.phases = {{run, shape.images * (backward ? shape.in_height : shape.out_height)}};
  return bound;
}

BoundKernel bind_conv(const BindRequest& request, ConvDirection direction) {
  NNC_CHECK(request.operands.size() == 2 && request.results.size() == 1,
            "convolution takes two operands and gives one result");
  const bool backward = direction == ConvDirection::backward_data;
  const TensorInfo& x = backward ? request.results[0] : request.operands[0];
  const TensorInfo& y = backward ? request.operands[0] : request.results[0];
  const ConvProblem problem = {request, conv_shape(request, x, request.operands[1], y, !backward),
                               direction};
  if (backward) check_classes(problem.shape);
  check_epilogue(request, request.results[0].elements());
  return bind_fastest(
      problem,
      {{"nothing", [](const ConvProblem& p) { return p.empty(); }, nullptr, &bind_nothing},
       {"reference", [](const ConvProblem& p) { return !p.empty() && !p.vectors(); }, nullptr,
        &bind_reference},
       {"direct", [](const ConvProblem& p) { return !p.empty() && p.vectors(); }, &predict_direct,
        &bind_direct},
       {"winograd", [](const ConvProblem& p) { return !p.empty() && winograd_applies(p); },
        &predict_winograd,
        [](const ConvProblem& p) { return bind_winograd(p.request, p.shape, p.direction); }}});
}

}  // namespace

BoundKernel bind_conv2d(const BindRequest& request) {
  return bind_conv(request, ConvDirection::forward);
}
BoundKernel bind_conv2d_backward_data(const BindRequest& request) {
  return bind_conv(request, ConvDirection::backward_data);
}

}  // namespace nnrt
