// What the bindings of the convolution kernels share.
#pragma once

#include "cpu/conv/conv.h"

namespace nnrt {

// Windows of a unit: up to this they stay in L2 (1 MB, Zen 5) beside a strip of the weights and the
// block of the result.
inline constexpr int64_t kWindowBytes = 384 * 1024;

// Up to so many threads the same units serve all; for more they are made for their number.
inline constexpr int kFewThreads = 4;

// Parts of nearly equal size, each at least 1 and at most `limit`.
int64_t even_block(int64_t total, int64_t limit);

// Sets direct, pixel_stride and row_stride of a class whose pixels and taps are known.
void set_window(ResidueClass& pixels, const ImageShape& source, int64_t window_channels,
                int64_t stride_height, int64_t stride_width, bool may_read_in_place);

// Source rows under `rows` rows of pixels.
int64_t window_rows(const ResidueClass& pixels, int64_t rows, int64_t stride_height);

}  // namespace nnrt
