// Batch and layer normalization: the vector functions they are made of.
#pragma once

#include <cstdint>

#include "cpu/kernel.h"

namespace nnrt {

// Where a gradient counts: where least <= (x - mean) * factor + offset <= most.
struct NormMask {
  const float* factor;
  const float* offset;
  float least, most;
};

// Arrays that belong to columns are `period` long (cpu/reduce/reduce.h): element i of x goes with
// element i % period of them.
struct NormTable {
  // The mean of some rows of `channels`, one after the other.
  void (*mean_of_rows)(float* mean, const float* x, int64_t rows, int64_t channels);
  // sums += x - shift, squares += (x - shift)^2
  void (*moments)(float* sums, float* squares, const float* x, const float* shift, int64_t count,
                  int64_t period);
  // y = (x - mean) * factor + offset, and the call's RegisterEpilogue where `epilogue` is not null.
  // `stream`: non-temporal stores of y.
  void (*normalize)(float* y, const float* x, const float* mean, const float* factor,
                    const float* offset, int64_t count, int64_t period, const Call* epilogue,
                    bool stream);
  // sums += dy, products += dy * (x - mean), with the dy that count. `mask`: nullptr where all do.
  void (*gradient_sums)(float* sums, float* products, const float* x, const float* dy,
                        const float* mean, const NormMask* mask, int64_t count, int64_t period);
  // dx = ((dy - constant) + (x - mean) * slope) * factor
  void (*apply_gradient)(float* dx, const float* x, const float* dy, const float* mean,
                         const float* factor, const float* slope, const float* constant,
                         const NormMask* mask, int64_t count, int64_t period, bool stream);
  // to = from, non-temporal: whole vectors at aligned addresses.
  void (*stream)(float* to, const float* from, int64_t count);
  // Rows of `extent`.
  void (*layer_norm)(float* y, float* mean, float* variance, const float* x, const float* scale,
                     const float* offset, int64_t rows, int64_t extent, float epsilon);
  // Adds to dscale and doffset.
  void (*layer_norm_backward)(float* dx, float* dscale, float* doffset, const float* x,
                              const float* scale, const float* mean, const float* variance,
                              const float* dy, int64_t rows, int64_t extent, float epsilon);
};

}  // namespace nnrt
