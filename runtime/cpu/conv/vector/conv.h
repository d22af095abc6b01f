// Convolution and the gradient of its data on vectors: the weights are packed once, then each unit
// takes a block of the result through all classes of pixels, tap by tap and channel by channel in
// ascending order, and applies the epilogue to it.
#pragma once

#include "cpu/conv/conv.h"
#include "cpu/conv/vector/conv_block.h"
#include "cpu/conv/vector/conv_depthwise.h"
#include "cpu/conv/vector/conv_narrow.h"
#include "cpu/conv/vector/conv_weight.h"
#include "cpu/conv/vector/depthwise_weight.h"
#include "cpu/gemm/vector/micro_kernel.h"
#include "cpu/row_streaming.h"

namespace nnrt::NNC_ISA {

// Unit: one tap of one strip of one class. `Shared`: for all threads.
template <bool Shared>
void conv_pack(const Call& call, int64_t begin, int64_t end) {
  const ConvArguments& conv = conv_arguments(call);
  const ConvShape& shape = conv.shape;
  const float* w = static_cast<const float*>(call.operands[1]);
  float* packed = packed_memory(call);
  for (int64_t unit = begin; unit < end; ++unit) {
    const ResidueClass* pixels = conv.classes;
    while (unit - pixels->pack_begin >= conv.strip_count * pixels->tap_count) ++pixels;
    const int64_t index = unit - pixels->pack_begin;
    const GemmPanel& strip = pixels->strips[index / pixels->tap_count];
    const int64_t tap = index % pixels->tap_count;
    const int64_t first = pixels->taps[tap] * shape.group_in();
    const int64_t depth = conv.backward ? shape.group_out() : shape.group_in();
    float* to = packed + strip.offset + tap * depth * strip.stride;
    if (conv.backward) {
      const int64_t channel = strip.column % shape.group_in();
      pack_strip<Shared>(w + (first + channel) * shape.out_channels + strip.a_shift, 1,
                         shape.out_channels, depth, strip.width, strip.stride, to);
    } else {
      pack_strip<Shared>(w + first * shape.out_channels + strip.column, shape.out_channels, 1,
                         depth, strip.width, strip.stride, to);
    }
  }
  if (Shared && kSharedPast) stream_fence();
}

// Steps [begin, end) of the class' depth for the block's rows, pass by pass.
inline void conv_multiply_depth(const ResidueClass& pixels, GemmBlock block, int64_t begin,
                                int64_t end, const VectorEpilogue* epilogue) {
  const int64_t pass = end > begin ? even_part(end - begin, kDepthBlock) : 0;
  block.stream = block.stream && pass == end - begin;  // else it is read again
  block.depth_begin = begin;
  do {
    block.a_steps = pixels.steps + block.depth_begin;
    block.depth = smaller(pass, end - block.depth_begin);
    multiply_block(block, block.depth_begin + block.depth < end ? nullptr : epilogue);
    block.accumulate = true;
    block.depth_begin += block.depth;
  } while (block.depth_begin < end);
}

inline void conv_multiply_class(const ConvArguments& conv, const ResidueClass& pixels,
                                const Call& call, const ConvBlock& unit,
                                const VectorEpilogue* epilogue, StoreMode writing) {
  const ClassRows rows = class_rows(pixels, conv.step_height, unit.first_row, unit.end_row);
  if (rows.count == 0 || pixels.columns == 0) return;
  float* scratch = reinterpret_cast<float*>(static_cast<char*>(call.scratch) + conv.window_offset);
  GemmBlock block;
  block.a = static_cast<const float*>(call.operands[0]);
  if (pixels.depth > 0) {
    block.a = open_windows(pixels, conv.source, conv.stride_height, conv.stride_width, block.a,
                           unit.image, unit.images, rows, 0, conv.source.channels, 1, scratch);
  }
  block.a_rows = pixels.source_rows;
  block.c = class_result(conv, pixels, call, unit.image, rows.first);
  block.c_rows = pixels.result_rows;
  block.rows = unit.images * rows.count * pixels.columns;
  block.packed = packed_memory(call);
  block.plain = static_cast<const float*>(call.operands[1]);
  block.strips = pixels.strips + unit.strip;
  block.strip_count = unit.strips;
  block.stream = writing == StoreMode::non_temporal;
  block.prefetch = writing == StoreMode::prefetched;
  if (!pixels.skip_outside) {
    conv_multiply_depth(pixels, block, 0, pixels.depth, epilogue);
    return;
  }
  // Neighbouring rows with the same rows of taps inside the image go together.
  const int64_t tap_row_depth = pixels.depth / pixels.tap_rows;
  for (int64_t j = 0; j < rows.count;) {
    const TapRows taps =
        inside_tap_rows(pixels, conv.stride_height, conv.source.height, rows.first + j);
    int64_t next = j + 1;
    for (; next < rows.count; ++next) {
      const TapRows other =
          inside_tap_rows(pixels, conv.stride_height, conv.source.height, rows.first + next);
      if (other.begin != taps.begin || other.end != taps.end) break;
    }
    block.a_rows = pixels.source_rows + j * pixels.columns;
    block.c_rows = pixels.result_rows + j * pixels.columns;
    block.rows = (next - j) * pixels.columns;
    conv_multiply_depth(pixels, block, taps.begin * tap_row_depth, taps.end * tap_row_depth,
                        epilogue);
    j = next;
  }
}

// Unit: a block of images or rows, and a block of strips.
inline void conv_multiply(const Call& call, int64_t begin, int64_t end) {
  const ConvArguments& conv = conv_arguments(call);
  const CallEpilogue epilogue(call);
  for (int64_t index = begin; index < end; ++index) {
    const ConvBlock unit = conv_block(conv, index);
    for (int64_t c = 0; c < conv.class_count; ++c)
      conv_multiply_class(conv, conv.classes[c], call, unit, epilogue.get(), conv.writing);
    if (epilogue.get() != nullptr) continue;
    const GemmPanel& first = conv.classes[0].strips[unit.strip];
    const GemmPanel& last = conv.classes[0].strips[unit.strip + unit.strips - 1];
    conv_epilogue(conv, call, unit, first.column, last.column + last.width - first.column);
  }
  if (conv.writing == StoreMode::non_temporal) stream_fence();
}

// Some rows of an image's result, all channels (RowKernel::run).
inline void conv_rows(const Call& call, const RowBand& band) {
  const ConvArguments& conv = conv_arguments(call);
  const CallEpilogue epilogue(call);
  const StoreMode writing = band.kept ? StoreMode::cached : conv.writing;
  for (int64_t row = band.first; row < band.end; row += conv.block_rows) {
    const ConvBlock unit = {band.image,      1, row, smaller(band.end, row + conv.block_rows), 0,
                            conv.strip_count};
    for (int64_t c = 0; c < conv.class_count; ++c) {
      if (conv.depthwise) {
        depthwise_class(conv, conv.classes[c], call, unit, epilogue.get(), writing, band.cached);
      } else {
        conv_multiply_class(conv, conv.classes[c], call, unit, epilogue.get(), writing);
      }
    }
    if (epilogue.get() == nullptr) conv_epilogue(conv, call, unit, 0, conv.result.channels);
  }
  if (writing == StoreMode::non_temporal) stream_fence();
}

// All of a small convolution in one unit: no barrier between packing and multiplying.
inline void conv_whole(const Call& call, int64_t begin, int64_t end) {
  if (begin == end) return;
  const ConvArguments& conv = conv_arguments(call);
  if (call.prepared == nullptr) conv_pack<false>(call, 0, conv.pack_units);
  conv_multiply(call, 0, conv.image_blocks * conv.row_blocks * conv.strip_blocks);
}

inline constexpr ConvTable conv_table = {kPanel,
                                         kLanes,
                                         &conv_pack<true>,
                                         &conv_multiply,
                                         &conv_whole,
                                         &conv_depthwise,
                                         &conv_narrow_pack,
                                         &conv_narrow,
                                         &conv_rows,
                                         &conv_weight,
                                         &conv_weight_combine,
                                         &conv_weight_depthwise,
                                         &conv_weight_rows,
                                         &conv_weight_depthwise_rows,
                                         &weight_in_place};

}  // namespace nnrt::NNC_ISA
