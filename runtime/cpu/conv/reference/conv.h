// Convolution and its gradients by their definition.
#pragma once

#include "cpu/conv/conv.h"
#include "cpu/tile/tile.h"

namespace nnrt::reference {

// Unit: one row of y.
template <class T>
void conv2d(const Call& call, int64_t begin, int64_t end) {
  const ConvShape& s = static_cast<const ConvArguments*>(call.arguments)->shape;
  const T* x = static_cast<const T*>(call.operands[0]);
  const T* w = static_cast<const T*>(call.operands[1]);
  T* y = static_cast<T*>(call.results[0]);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / s.out_height, oy = unit % s.out_height;
    for (int64_t ox = 0; ox < s.out_width; ++ox) {
      for (int64_t o = 0; o < s.out_channels; ++o) {
        const int64_t first = o / s.group_out() * s.group_in();
        T sum = 0;
        for (int64_t ky = 0; ky < s.kernel_height; ++ky) {
          const int64_t iy = oy * s.stride_height - s.pad_top + ky * s.dilation_height;
          if (iy < 0 || iy >= s.in_height) continue;
          for (int64_t kx = 0; kx < s.kernel_width; ++kx) {
            const int64_t ix = ox * s.stride_width - s.pad_left + kx * s.dilation_width;
            if (ix < 0 || ix >= s.in_width) continue;
            const T* pixel =
                x + ((image * s.in_height + iy) * s.in_width + ix) * s.in_channels + first;
            const T* tap = w + (ky * s.kernel_width + kx) * s.group_in() * s.out_channels + o;
            for (int64_t c = 0; c < s.group_in(); ++c) sum += pixel[c] * tap[c * s.out_channels];
          }
        }
        y[(unit * s.out_width + ox) * s.out_channels + o] = sum;
      }
    }
    const int64_t row = s.out_width * s.out_channels;
    if (call.tile != nullptr)
      run_tile(*call.tile, call, call.scratch, unit * row, (unit + 1) * row);
  }
}

// Unit: one row of dx.
template <class T>
void conv2d_backward_data(const Call& call, int64_t begin, int64_t end) {
  const ConvShape& s = static_cast<const ConvArguments*>(call.arguments)->shape;
  const T* dy = static_cast<const T*>(call.operands[0]);
  const T* w = static_cast<const T*>(call.operands[1]);
  T* dx = static_cast<T*>(call.results[0]);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t image = unit / s.in_height, iy = unit % s.in_height;
    for (int64_t ix = 0; ix < s.in_width; ++ix) {
      for (int64_t c = 0; c < s.in_channels; ++c) {
        const int64_t first = c / s.group_in() * s.group_out();
        T sum = 0;
        for (int64_t ky = 0; ky < s.kernel_height; ++ky) {
          const int64_t y = iy + s.pad_top - ky * s.dilation_height;
          if (y < 0 || y % s.stride_height != 0 || y / s.stride_height >= s.out_height) continue;
          for (int64_t kx = 0; kx < s.kernel_width; ++kx) {
            const int64_t x = ix + s.pad_left - kx * s.dilation_width;
            if (x < 0 || x % s.stride_width != 0 || x / s.stride_width >= s.out_width) continue;
            const int64_t pixel =
                (image * s.out_height + y / s.stride_height) * s.out_width + x / s.stride_width;
            const int64_t tap = (ky * s.kernel_width + kx) * s.group_in() + c % s.group_in();
            const T* gradient = dy + pixel * s.out_channels + first;
            const T* weight = w + tap * s.out_channels + first;
            for (int64_t o = 0; o < s.group_out(); ++o) sum += gradient[o] * weight[o];
          }
        }
        dx[(unit * s.in_width + ix) * s.in_channels + c] = sum;
      }
    }
    const int64_t row = s.in_width * s.in_channels;
    if (call.tile != nullptr)
      run_tile(*call.tile, call, call.scratch, unit * row, (unit + 1) * row);
  }
}

// Unit: one tap and channel of dw.
template <class T>
void conv2d_backward_weight(const Call& call, int64_t begin, int64_t end) {
  const ConvShape& s = static_cast<const ConvWeightArguments*>(call.arguments)->shape;
  const T* x = static_cast<const T*>(call.operands[0]);
  const T* dy = static_cast<const T*>(call.operands[1]);
  T* dw = static_cast<T*>(call.results[0]);
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t c = unit % s.group_in();
    const int64_t ky = unit / s.group_in() / s.kernel_width,
                  kx = unit / s.group_in() % s.kernel_width;
    T* row = dw + unit * s.out_channels;
    for (int64_t o = 0; o < s.out_channels; ++o) row[o] = 0;
    for (int64_t line = 0; line < s.images * s.out_height; ++line) {
      const int64_t image = line / s.out_height, oy = line % s.out_height;
      const int64_t iy = oy * s.stride_height - s.pad_top + ky * s.dilation_height;
      if (iy < 0 || iy >= s.in_height) continue;
      for (int64_t ox = 0; ox < s.out_width; ++ox) {
        const int64_t ix = ox * s.stride_width - s.pad_left + kx * s.dilation_width;
        if (ix < 0 || ix >= s.in_width) continue;
        const T* pixel = x + ((image * s.in_height + iy) * s.in_width + ix) * s.in_channels;
        const T* gradient = dy + (line * s.out_width + ox) * s.out_channels;
        for (int64_t o = 0; o < s.out_channels; ++o) {
          row[o] += pixel[o / s.group_out() * s.group_in() + c] * gradient[o];
        }
      }
    }
  }
}

}  // namespace nnrt::reference
