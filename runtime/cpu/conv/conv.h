// Convolutions as block products whose A is never written out: rows are output pixels (for the
// weights' gradient: taps and channels), steps are taps and channels (there: pixels), and both are
// tables of offsets into a window of the image.
#pragma once

#include <vector>

#include "cpu/gemm/gemm.h"
#include "cpu/kernel.h"
#include "cpu/row_streaming.h"
#include "cpu/store_policy.h"

namespace nnrt {

// The sizes of a convolution, the same for its forward and both backward kernels. x: [images,
// in_height, in_width, in_channels], y: [images, out_height, out_width, out_channels], w:
// [kernel_height, kernel_width, in_channels / groups, out_channels].
struct ConvShape {
  int64_t images = 0, in_height = 0, in_width = 0, in_channels = 0;
  int64_t out_height = 0, out_width = 0, out_channels = 0;
  int64_t kernel_height = 0, kernel_width = 0;
  int64_t stride_height = 1, stride_width = 1;
  int64_t pad_top = 0, pad_left = 0;
  int64_t dilation_height = 1, dilation_width = 1;
  int64_t groups = 1;

  int64_t group_in() const { return in_channels / groups; }
  int64_t group_out() const { return out_channels / groups; }
  double flops() const;
};

// Reads the attributes and checks that x, w and y fit each other. `exact`: y's extents must be
// those of the convolution of x; a transposed convolution may have more of x than y covers, but no
// window that does not begin in x and its padding.
ConvShape conv_shape(const BindRequest& request, const TensorInfo& x, const TensorInfo& w,
                     const TensorInfo& y, bool exact);
// Throws Error where the gradient of the data would need too many classes of pixels.
void check_classes(const ConvShape& shape);

// Up to so many result channels, vectors run along the source channels instead (where there are a
// vector's worth of them).
inline constexpr int64_t kNarrowChannels = 4;

// One image tensor, NHWC.
struct ImageShape {
  int64_t height = 0, width = 0, channels = 0;
};

// Pixels of the result that use the same taps: all of them in the forward pass, one residue class
// modulo the stride in the gradient of the data. Pixel (j, i) of the class reads source pixels (j *
// stride + tap row, i * stride + tap column) and writes result pixel (first_row + j * step,
// first_column + i * step).
struct ResidueClass {
  int64_t first_row = 0, first_column = 0;
  int64_t rows = 0, columns = 0;              // pixels of the class
  int64_t top = 0, left = 0;                  // the least tap row and column
  int64_t extra_rows = 1, extra_columns = 1;  // extent of the taps
  bool direct = false;                        // no window leaves the image: read the image itself
  int64_t pixel_stride = 0, row_stride = 0;   // floats, in the window
  int64_t image_stride = 0;                   // floats between the windows of two images
  int64_t depth = 0;                          // taps x channels of a group
  int64_t tap_count = 0;
  int64_t tap_rows = 0;                 // taps come row by row, in ascending order of `tap_row_at`
  const int64_t* tap_row_at = nullptr;  // source row of each row of taps, from the pixel's
  int64_t tap_columns = 0;
  const int64_t* tap_column_at = nullptr;  // and source column of each column of taps
  bool skip_outside = false;               // leave out rows of taps that lie in the padding
  const int64_t* taps = nullptr;           // which taps of w, in order
  const int64_t* tap_steps = nullptr;      // offset of each tap in the window
  const int64_t* steps = nullptr;          // offset of each (tap, channel)
  const int64_t* source_rows = nullptr;    // of each pixel of a block: offset in the window
  const int64_t* result_rows =
      nullptr;  // and in the result, from the block's first pixel of the class
  const GemmPanel* strips = nullptr;
  int64_t pack_begin = 0;     // first unit of the packing phase
  int64_t narrow_offset = 0;  // floats: the weights packed for few result channels
};

// A convolution-like product from `source` to `result`; forward or gradient of the data.
struct ConvArguments {
  ConvShape shape;
  ImageShape source, result;
  int64_t images = 0;
  int64_t stride_height = 1, stride_width = 1;  // in the source, from pixel to pixel of a class
  int64_t step_height = 1, step_width = 1;      // in the result
  bool backward = false;                        // w is read with its channels exchanged
  const ResidueClass* classes = nullptr;
  int64_t class_count = 0;
  // Units: a block of images or of rows of one image, times a group of strips.
  int64_t block_images = 1, block_rows = 0, image_blocks = 0, row_blocks = 0;
  int64_t strip_count = 0, strip_block = 0, strip_blocks = 0;
  int64_t pack_units = 0;
  int64_t window_offset = 0;              // bytes into the scratch, behind the tile's
  int64_t multiplier = 1;                 // depthwise: results per source channel
  StoreMode writing = StoreMode::cached;  // of the result
  bool depthwise = false;
  bool in_place = false;  // depthwise: reads the image itself, without taps outside of it
};

struct ConvTable;

// The gradient of the weights: rows are (tap, channel), steps are pixels.
struct ConvWeightArguments {
  const ConvTable* table = nullptr;
  ConvShape shape;
  ResidueClass pixels;  // window and pixel tables; steps are the pixels of a block
  int64_t block_images = 1, block_rows = 0, image_blocks = 0, row_blocks = 0;
  int64_t channel_block = 0, channel_blocks = 0;
  int64_t strip_block = 0, strip_blocks = 0;  // strips of one group
  int64_t group_strips = 0;
  int64_t splits = 1, split_blocks = 0;  // pixel blocks of one part; parts are added in order
  const int64_t* rows = nullptr;         // (tap, channel) in the window, for a full channel block
  const int64_t* result_rows = nullptr;  // and in dw
  const int64_t* last_rows = nullptr;    // the same for the last, smaller channel block
  const int64_t* last_result_rows = nullptr;
  const GemmPanel* strips = nullptr;  // of one group
  bool pack = false;                  // dy's strips into the scratch
  bool panels = false;                // and x, tile by tile
  bool in_place = false;  // depthwise: x is read where it lies, without taps outside of it
  // Bytes into the scratch.
  int64_t window_offset = 0, pack_offset = 0, panel_offset = 0, recompute_offset = 0;
};

struct ConvTable {
  using Run = void (*)(const Call&, int64_t begin, int64_t end);
  int64_t panel, lanes;
  Run pack, multiply, whole, depthwise, narrow_pack, narrow;
  void (*rows)(const Call&, const RowBand&);
  Run weight, weight_combine, weight_depthwise;
  void (*weight_rows)(const Call&, const RowBand&);
  void (*weight_depthwise_rows)(const Call&, const RowBand&);
  // Whether weight_depthwise reads x where it lies.
  bool (*weight_in_place)(const ConvShape& shape);
};

}  // namespace nnrt
