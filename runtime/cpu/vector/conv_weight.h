// The gradient of a convolution's weights on vectors: dw[(tap, channel)][o] = sum over pixels of
// x[pixel + tap][channel] dy[pixel][o]. A unit keeps a block of dw and takes the pixels of its part
// in order, a block at a time; the parts are added in order.
#pragma once

#include "cpu/conv.h"
#include "cpu/vector/conv_window.h"
#include "cpu/vector/product.h"

namespace nnrt::NNC_ISA {

NNC_INLINE const ConvWeightArguments& conv_weight_arguments(const Call& call) {
  return *static_cast<const ConvWeightArguments*>(call.arguments);
}

NNC_INLINE int64_t weight_elements(const ConvShape& shape) {
  return shape.kernel_height * shape.kernel_width * shape.group_in() * shape.out_channels;
}

// One block of pixels of y, and the windows of x under it.
struct WeightPixels {
  const float* x;
  const float* dy;
  int64_t count;
  ClassRows rows;
};

inline WeightPixels weight_pixels(const ConvWeightArguments& weight, const Call& call,
                                  int64_t block, int64_t first_channel, int64_t channels,
                                  int64_t multiplier) {
  const ConvShape& shape = weight.shape;
  const int64_t image = block / weight.row_blocks * weight.block_images;
  const int64_t images = smaller(weight.block_images, shape.images - image);
  const int64_t row = block % weight.row_blocks * weight.block_rows;
  const ClassRows rows = {row, smaller(weight.block_rows, shape.out_height - row)};
  const ImageShape x = {shape.in_height, shape.in_width, shape.in_channels};
  float* scratch =
      reinterpret_cast<float*>(static_cast<char*>(call.scratch) + weight.window_offset);
  WeightPixels pixels;
  pixels.x = open_windows(weight.pixels, x, shape.stride_height, shape.stride_width,
                          static_cast<const float*>(call.operands[0]), image, images, rows,
                          first_channel, channels, multiplier, scratch);
  pixels.dy = static_cast<const float*>(call.operands[1]) +
              (image * shape.out_height + row) * shape.out_width * shape.out_channels;
  pixels.count = images * rows.count * shape.out_width;
  pixels.rows = rows;
  return pixels;
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
  float* dw = weight.splits == 1
                  ? static_cast<float*>(call.results[0])
                  : static_cast<float*>(call.workspace) + split * weight_elements(weight.shape);
  return {begin, smaller(blocks, begin + weight.split_blocks), dw};
}

// Row of taps by row of taps, each with the rows of pixels under which it lies inside the image.
// Only for blocks of one image.
inline void weight_multiply_inside(const ConvWeightArguments& weight, ProductBlock block,
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

// A block of channels and of strips, of one group and one part.
struct WeightUnit {
  int64_t strip, strips;
  int64_t first_channel, channels;  // of the group
  int64_t group;
  WeightPart part;
};

inline WeightUnit weight_unit(const ConvWeightArguments& weight, const Call& call, int64_t index) {
  WeightUnit unit;
  unit.strip = index % weight.strip_blocks * weight.strip_block;
  unit.strips = smaller(weight.strip_block, weight.group_strips - unit.strip);
  index /= weight.strip_blocks;
  unit.first_channel = index % weight.channel_blocks * weight.channel_block;
  unit.channels = smaller(weight.channel_block, weight.shape.group_in() - unit.first_channel);
  index /= weight.channel_blocks;
  unit.group = index % weight.shape.groups;
  unit.part = weight_part(weight, call, index / weight.shape.groups);
  return unit;
}

// What a unit reads of one block of pixels.
inline LinesAhead weight_ahead(const ConvWeightArguments& weight, const Call& call,
                               const WeightUnit& unit, int64_t block) {
  const ConvShape& shape = weight.shape;
  const int64_t image = block / weight.row_blocks * weight.block_images;
  const int64_t images = smaller(weight.block_images, shape.images - image);
  const int64_t row = block % weight.row_blocks * weight.block_rows;
  const int64_t rows = smaller(weight.block_rows, shape.out_height - row);
  const int64_t pixels = images * rows * shape.out_width;
  const float* x = static_cast<const float*>(call.operands[0]) + unit.group * shape.group_in() +
                   unit.first_channel;
  const int64_t first = row * shape.stride_height + weight.pixels.top;
  LinesAhead::Rows source = {nullptr, nullptr, shape.in_channels, pixels, unit.channels};
  int64_t source_row = first;
  if (weight.pixels.direct) {
    if (shape.stride_width > 1 || shape.stride_height > 1)
      source.offsets = weight.pixels.source_rows;
  } else {
    const int64_t last = smaller(
        shape.in_height, first + (rows - 1) * shape.stride_height + weight.pixels.extra_rows);
    source_row = larger(0, first);
    source.count = ((images - 1) * shape.in_height + last - source_row) * shape.in_width;
  }
  source.base = x + (image * shape.in_height + source_row) * shape.in_width * shape.in_channels;
  const int64_t column = weight.strips[unit.strip].column;
  const ProductStrip& last = weight.strips[unit.strip + unit.strips - 1];
  const float* dy = static_cast<const float*>(call.operands[1]) +
                    (image * shape.out_height + row) * shape.out_width * shape.out_channels;
  LinesAhead ahead;
  add_ahead(ahead, source);
  add_ahead(ahead, {dy + unit.group * shape.group_out() + column, nullptr, shape.out_channels,
                    pixels, last.column + last.width - column});
  const int64_t taps = shape.kernel_height * shape.kernel_width;
  spread_ahead(ahead, ceil_div(taps * unit.channels, kTileRows) * unit.strips);
  return ahead;
}

// Unit: a WeightUnit.
inline void conv_weight(const Call& call, int64_t begin, int64_t end) {
  const ConvWeightArguments& weight = conv_weight_arguments(call);
  const ConvShape& shape = weight.shape;
  const int64_t taps = shape.kernel_height * shape.kernel_width;
  float* packed = reinterpret_cast<float*>(static_cast<char*>(call.scratch) + weight.pack_offset);
  for (int64_t index = begin; index < end; ++index) {
    const WeightUnit unit = weight_unit(weight, call, index);
    const WeightPart& part = unit.part;
    const bool full = unit.channels == weight.channel_block;
    const int64_t column = unit.group * shape.group_out();
    ProductBlock block;
    block.a_rows = full ? weight.rows : weight.last_rows;
    block.a_steps = weight.pixels.source_rows;
    block.c = part.dw + unit.first_channel * shape.out_channels + column;
    block.c_rows = full ? weight.result_rows : weight.last_result_rows;
    block.rows = taps * unit.channels;
    block.packed = packed;
    if (weight.panels)
      block.panels =
          reinterpret_cast<float*>(static_cast<char*>(call.scratch) + weight.panel_offset);
    block.strips = weight.strips + unit.strip;
    block.strip_count = unit.strips;
    for (int64_t b = part.begin; b < part.end; ++b) {
      LinesAhead ahead;
      if (b + 1 < part.end) {
        ahead = weight_ahead(weight, call, unit, b + 1);
      } else if (index + 1 < end) {
        const WeightUnit next = weight_unit(weight, call, index + 1);
        if (next.part.begin < next.part.end)
          ahead = weight_ahead(weight, call, next, next.part.begin);
      }
      block.ahead = &ahead;
      const WeightPixels pixels = weight_pixels(
          weight, call, b, unit.group * shape.group_in() + unit.first_channel, unit.channels, 1);
      block.a = pixels.x;
      block.depth = pixels.count;
      block.plain = pixels.dy + column;
      if (weight.pack) {
        for (int64_t s = 0; s < block.strip_count; ++s) {
          const ProductStrip& to = block.strips[s];
          pack_strip<false>(pixels.dy + column + to.column, shape.out_channels, 1, pixels.count,
                            to.width, to.stride, packed + to.offset);
        }
      }
      if (weight.pixels.skip_outside) {
        weight_multiply_inside(weight, block, pixels);
      } else {
        multiply_copied(block);
      }
      block.accumulate = true;
    }
    block.ahead = nullptr;
    if (part.begin >= part.end) multiply_copied(block);  // no pixel: zeros
  }
}

// Unit: kCombineBlock elements of dw.
inline void conv_weight_combine(const Call& call, int64_t begin, int64_t end) {
  const ConvWeightArguments& weight = conv_weight_arguments(call);
  const int64_t elements = weight_elements(weight.shape);
  combine_parts(call, weight.splits, elements, begin, end);
}

}  // namespace nnrt::NNC_ISA
