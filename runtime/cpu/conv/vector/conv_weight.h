// The gradient of a convolution's weights on vectors: dw[(tap, channel)][o] = sum over pixels of
// x[pixel + tap][channel] dy[pixel][o]. A unit keeps a block of dw and takes the pixels of its part
// in order, a block at a time; the parts are added in order.
#pragma once

#include "cpu/conv/conv.h"
#include "cpu/conv/vector/conv_window.h"
#include "cpu/gemm/vector/micro_kernel.h"
#include "cpu/row_streaming.h"

namespace nnrt::NNC_ISA {

NNC_INLINE const ConvWeightArguments& conv_weight_arguments(const Call& call) {
  return *static_cast<const ConvWeightArguments*>(call.arguments);
}

NNC_INLINE int64_t weight_elements(const ConvShape& shape) {
  return shape.kernel_height * shape.kernel_width * shape.group_in() * shape.out_channels;
}

// Some images' rows of y.
struct PixelBlock {
  int64_t image, images;
  ClassRows rows;
};

NNC_INLINE PixelBlock pixel_block(const ConvWeightArguments& weight, int64_t index) {
  const ConvShape& shape = weight.shape;
  const int64_t image = index / weight.row_blocks * weight.block_images;
  const int64_t row = index % weight.row_blocks * weight.block_rows;
  return {image,
          smaller(weight.block_images, shape.images - image),
          {row, smaller(weight.block_rows, shape.out_height - row)}};
}

// The pixels of a block, and the windows of x under them.
struct WeightPixels {
  const float* x;
  const float* dy;
  int64_t count;
  ClassRows rows;
};

// Where image 0 of x begins, for a block of pixels: the rows under it are made where they have no
// memory.
inline const float* weight_source(const ConvWeightArguments& weight, const Call& call,
                                  const PixelBlock& block) {
  if (call.recomputed == nullptr) return static_cast<const float*>(call.operands[0]);
  const ConvShape& shape = weight.shape;
  const int64_t top = block.rows.first * shape.stride_height + weight.pixels.top;
  const int64_t first = larger(0, top);
  const int64_t end = smaller(shape.in_height, top + (block.rows.count - 1) * shape.stride_height +
                                                   weight.pixels.extra_rows);
  char* const memory = static_cast<char*>(call.scratch) + weight.recompute_offset;
  const int64_t before = (block.image * shape.in_height + first) * shape.in_width *
                         shape.in_channels * static_cast<int64_t>(sizeof(float));
  char* const origin =
      reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(memory) - static_cast<uintptr_t>(before));
  if (first < end) {
    for (int64_t i = 0; i < block.images; ++i)
      call.recomputed->make(block.image + i, first, end, origin);
  }
  return reinterpret_cast<const float*>(origin);
}

// And where it begins in memory, or what its rows are made from, to be asked for.
inline const float* prefetched_source(const Call& call) {
  return static_cast<const float*>(call.recomputed != nullptr ? call.recomputed->operand()
                                                              : call.operands[0]);
}

inline WeightPixels weight_pixels(const ConvWeightArguments& weight, const Call& call,
                                  const float* source, const PixelBlock& block,
                                  int64_t first_channel, int64_t channels, int64_t multiplier) {
  const ConvShape& shape = weight.shape;
  const ImageShape x = {shape.in_height, shape.in_width, shape.in_channels};
  float* scratch =
      reinterpret_cast<float*>(static_cast<char*>(call.scratch) + weight.window_offset);
  WeightPixels pixels;
  pixels.x =
      open_windows(weight.pixels, x, shape.stride_height, shape.stride_width, source, block.image,
                   block.images, block.rows, first_channel, channels, multiplier, scratch);
  pixels.dy =
      static_cast<const float*>(call.operands[1]) +
      (block.image * shape.out_height + block.rows.first) * shape.out_width * shape.out_channels;
  pixels.count = block.images * block.rows.count * shape.out_width;
  pixels.rows = block.rows;
  return pixels;
}

// Where the sum of a part goes.
NNC_INLINE float* weight_sum(const ConvWeightArguments& weight, const Call& call, int64_t part) {
  return weight.splits == 1
             ? static_cast<float*>(call.results[0])
             : static_cast<float*>(call.workspace) + part * weight_elements(weight.shape);
}

// Blocks [begin, end) of a part, and where its sum goes.
struct WeightPart {
  int64_t begin, end;
  float* dw;
};

NNC_INLINE WeightPart weight_part(const ConvWeightArguments& weight, const Call& call,
                                  int64_t split) {
  const int64_t blocks = weight.image_blocks * weight.row_blocks;
  const int64_t begin = split * weight.split_blocks;
  return {begin, smaller(blocks, begin + weight.split_blocks), weight_sum(weight, call, split)};
}

// Row of taps by row of taps, each with the rows of pixels under which it lies inside the image.
// Only for blocks of one image.
inline void weight_multiply_inside(const ConvWeightArguments& weight, GemmBlock block,
                                   const WeightPixels& pixels) {
  const ConvShape& shape = weight.shape;
  const int64_t tap_rows = block.rows / shape.kernel_height;
  const int64_t* const a_rows = block.a_rows;
  const int64_t* const c_rows = block.c_rows;
  for (int64_t tap_row = 0; tap_row < shape.kernel_height; ++tap_row) {
    const int64_t at = weight.pixels.tap_row_at[tap_row];
    int64_t first = pixels.rows.first;
    int64_t last = first + pixels.rows.count;
    while (first < last && first * shape.stride_height + at < 0) ++first;
    while (first < last && (last - 1) * shape.stride_height + at >= shape.in_height) --last;
    block.depth_begin = (first - pixels.rows.first) * shape.out_width;
    block.a_steps = weight.pixels.source_rows + block.depth_begin;
    block.depth = (last - first) * shape.out_width;
    block.a_rows = a_rows + tap_row * tap_rows;
    block.c_rows = c_rows + tap_row * tap_rows;
    block.rows = tap_rows;
    if (block.depth > 0 || !block.accumulate) multiply_copied(block);
  }
}

// A block of channels and of strips, of one group.
struct WeightBlock {
  int64_t strip, strips;
  int64_t first_channel, channels;  // of the group
  int64_t group;
};

inline int64_t weight_blocks(const ConvWeightArguments& weight) {
  return weight.strip_blocks * weight.channel_blocks * weight.shape.groups;
}

inline WeightBlock weight_block(const ConvWeightArguments& weight, int64_t index) {
  WeightBlock block;
  block.strip = index % weight.strip_blocks * weight.strip_block;
  block.strips = smaller(weight.strip_block, weight.group_strips - block.strip);
  index /= weight.strip_blocks;
  block.first_channel = index % weight.channel_blocks * weight.channel_block;
  block.channels = smaller(weight.channel_block, weight.shape.group_in() - block.first_channel);
  block.group = index / weight.channel_blocks;
  return block;
}

// What a block of dw reads of one block of pixels; dy is in the cache where `cached`.
inline PrefetchLines weight_ahead(const ConvWeightArguments& weight, const Call& call,
                                  const WeightBlock& block, const PixelBlock& next, bool cached) {
  const ConvShape& shape = weight.shape;
  const int64_t rows = next.rows.count;
  const int64_t pixels = next.images * rows * shape.out_width;
  const float* x = prefetched_source(call) + block.group * shape.group_in() + block.first_channel;
  const int64_t first = next.rows.first * shape.stride_height + weight.pixels.top;
  PrefetchLines::Rows source = {nullptr, nullptr, shape.in_channels, pixels, block.channels};
  int64_t source_row = first;
  if (weight.pixels.direct) {
    if (shape.stride_width > 1 || shape.stride_height > 1)
      source.offsets = weight.pixels.source_rows;
  } else {
    const int64_t last = smaller(
        shape.in_height, first + (rows - 1) * shape.stride_height + weight.pixels.extra_rows);
    source_row = larger(0, first);
    source.count = ((next.images - 1) * shape.in_height + last - source_row) * shape.in_width;
  }
  source.base =
      x + (next.image * shape.in_height + source_row) * shape.in_width * shape.in_channels;
  PrefetchLines ahead;
  add_ahead(ahead, source);
  if (!cached) {
    const int64_t column = weight.strips[block.strip].column;
    const GemmPanel& last = weight.strips[block.strip + block.strips - 1];
    const float* dy =
        static_cast<const float*>(call.operands[1]) +
        (next.image * shape.out_height + next.rows.first) * shape.out_width * shape.out_channels;
    add_ahead(ahead, {dy + block.group * shape.group_out() + column, nullptr, shape.out_channels,
                      pixels, last.column + last.width - column});
  }
  const int64_t taps = shape.kernel_height * shape.kernel_width;
  spread_ahead(ahead, ceil_div(taps * block.channels, kTileRows) * block.strips);
  return ahead;
}

// The product whose result is a block of dw, but for its pixels.
inline GemmBlock weight_product(const ConvWeightArguments& weight, const Call& call,
                                const WeightBlock& block, float* dw) {
  const ConvShape& shape = weight.shape;
  char* const scratch = static_cast<char*>(call.scratch);
  const bool full = block.channels == weight.channel_block;
  GemmBlock product;
  product.a_rows = full ? weight.rows : weight.last_rows;
  product.a_steps = weight.pixels.source_rows;
  product.c = dw + block.first_channel * shape.out_channels + block.group * shape.group_out();
  product.c_rows = full ? weight.result_rows : weight.last_result_rows;
  product.rows = shape.kernel_height * shape.kernel_width * block.channels;
  product.packed = reinterpret_cast<float*>(scratch + weight.pack_offset);
  if (weight.panels) product.panels = reinterpret_cast<float*>(scratch + weight.panel_offset);
  product.strips = weight.strips + block.strip;
  product.strip_count = block.strips;
  return product;
}

// Over some pixels.
inline void weight_multiply(const ConvWeightArguments& weight, const Call& call,
                            const WeightBlock& block, GemmBlock product, const float* source,
                            const PixelBlock& span) {
  const ConvShape& shape = weight.shape;
  const int64_t column = block.group * shape.group_out();
  const WeightPixels pixels =
      weight_pixels(weight, call, source, span,
                    block.group * shape.group_in() + block.first_channel, block.channels, 1);
  product.a = pixels.x;
  product.depth = pixels.count;
  product.plain = pixels.dy + column;
  if (weight.pack) {
    float* const packed =
        reinterpret_cast<float*>(static_cast<char*>(call.scratch) + weight.pack_offset);
    for (int64_t s = 0; s < product.strip_count; ++s) {
      const GemmPanel& to = product.strips[s];
      pack_strip<false>(pixels.dy + column + to.column, shape.out_channels, 1, pixels.count,
                        to.width, to.stride, packed + to.offset);
    }
  }
  if (weight.pixels.skip_outside) {
    weight_multiply_inside(weight, product, pixels);
  } else {
    multiply_copied(product);
  }
}

// Unit: a WeightBlock of one part.
inline void conv_weight(const Call& call, int64_t begin, int64_t end) {
  const ConvWeightArguments& weight = conv_weight_arguments(call);
  const int64_t blocks = weight_blocks(weight);
  for (int64_t index = begin; index < end; ++index) {
    const WeightBlock block = weight_block(weight, index % blocks);
    const WeightPart part = weight_part(weight, call, index / blocks);
    GemmBlock product = weight_product(weight, call, block, part.dw);
    for (int64_t b = part.begin; b < part.end; ++b) {
      PrefetchLines ahead;
      if (b + 1 < part.end) {
        ahead = weight_ahead(weight, call, block, pixel_block(weight, b + 1), false);
      } else if (index + 1 < end) {
        const WeightPart next = weight_part(weight, call, (index + 1) / blocks);
        if (next.begin < next.end)
          ahead = weight_ahead(weight, call, weight_block(weight, (index + 1) % blocks),
                               pixel_block(weight, next.begin), false);
      }
      product.ahead = &ahead;
      const PixelBlock span = pixel_block(weight, b);
      weight_multiply(weight, call, block, product, weight_source(weight, call, span), span);
      product.accumulate = true;
    }
    product.ahead = nullptr;
    if (part.begin >= part.end) multiply_copied(product);  // no pixel: zeros
  }
}

// Adds what the band's rows of dy give to its part (RowKernel::run).
inline void conv_weight_rows(const Call& call, const RowBand& band) {
  const ConvWeightArguments& weight = conv_weight_arguments(call);
  float* const dw = weight_sum(weight, call, band.part);
  const int64_t blocks = weight_blocks(weight);
  for (int64_t row = band.first; row < band.end; row += weight.block_rows) {
    const PixelBlock span = {band.image, 1, {row, smaller(weight.block_rows, band.end - row)}};
    const int64_t below = row + span.rows.count;
    const PixelBlock next = {
        band.image, 1, {below, smaller(weight.block_rows, weight.shape.out_height - below)}};
    const float* const source = weight_source(weight, call, span);
    for (int64_t index = 0; index < blocks; ++index) {
      const WeightBlock block = weight_block(weight, index);
      GemmBlock product = weight_product(weight, call, block, dw);
      product.accumulate = !band.begins || row > band.first;
      PrefetchLines ahead;
      if (next.rows.count > 0) ahead = weight_ahead(weight, call, block, next, band.cached);
      product.ahead = &ahead;
      weight_multiply(weight, call, block, product, source, span);
    }
  }
}

// Unit: kCombineBlock elements of dw.
inline void conv_weight_combine(const Call& call, int64_t begin, int64_t end) {
  const ConvWeightArguments& weight = conv_weight_arguments(call);
  const int64_t elements = weight_elements(weight.shape);
  combine_parts(call, weight.splits, elements, begin, end);
}

}  // namespace nnrt::NNC_ISA
