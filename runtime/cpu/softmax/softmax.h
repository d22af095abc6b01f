// Softmax and its kin: functions over rows of `extent` numbers.
#pragma once

#include <cstdint>

namespace nnrt {

struct SoftmaxTable {
  void (*softmax)(float* y, const float* x, int64_t rows, int64_t extent);
  void (*log_softmax)(float* y, const float* x, int64_t rows, int64_t extent);
  void (*softmax_backward)(float* dx, const float* y, const float* dy, int64_t rows,
                           int64_t extent);
  void (*log_softmax_backward)(float* dx, const float* y, const float* dy, int64_t rows,
                               int64_t extent);
  // A label outside [0, extent) gives NaN.
  void (*cross_entropy)(float* loss, const float* logits, const int64_t* labels, int64_t rows,
                        int64_t extent, float smoothing);
  void (*cross_entropy_backward)(float* dlogits, const float* logits, const int64_t* labels,
                                 const float* dloss, int64_t rows, int64_t extent, float smoothing);
};

}  // namespace nnrt
