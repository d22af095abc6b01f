// Batch and layer normalization, one element at a time: the meaning. Sums run in double.
#pragma once

#include <cmath>
#include <cstdint>

namespace nnrt::reference {

struct Moments {
  double mean = 0;
  double variance = 0;
};

template <class T>
Moments moments_of(const T* x, int64_t count, int64_t stride) {
  Moments result;
  for (int64_t i = 0; i < count; ++i)
    result.mean += static_cast<double>(x[i * stride]) / static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) {
    const double d = static_cast<double>(x[i * stride]) - result.mean;
    result.variance += d * d / static_cast<double>(count);
  }
  return result;
}

// One channel: `count` elements, `stride` apart.
template <class T>
void batch_norm(T* y, T* mean, T* variance, const T* x, T scale, T offset, int64_t count,
                int64_t stride, double epsilon) {
  const Moments moments = moments_of(x, count, stride);
  *mean = static_cast<T>(moments.mean);
  *variance = static_cast<T>(moments.variance);
  const double factor = static_cast<double>(scale) / std::sqrt(moments.variance + epsilon);
  for (int64_t i = 0; i < count; ++i) {
    const double centered = static_cast<double>(x[i * stride]) - moments.mean;
    y[i * stride] = static_cast<T>(centered * factor + static_cast<double>(offset));
  }
}

// Where a gradient counts: the least and the largest y; nowhere for a NaN. Not `given`: everywhere.
struct Passing {
  double least = 0, most = 0;
  bool given = false;

  double operator()(double y, double gradient) const {
    return !given || (y >= least && y <= most) ? gradient : 0;
  }
};

template <class T>
void batch_norm_backward(T* dx, T* dscale, T* doffset, const T* x, T scale, T offset, T mean,
                         T variance, const T* dy, int64_t count, int64_t stride, double epsilon,
                         const Passing& passing) {
  const double factor = 1 / std::sqrt(static_cast<double>(variance) + epsilon);
  auto normal_at = [&](int64_t i) {
    return (static_cast<double>(x[i * stride]) - static_cast<double>(mean)) * factor;
  };
  auto gradient_at = [&](int64_t i) {
    const double y = normal_at(i) * static_cast<double>(scale) + static_cast<double>(offset);
    return passing(y, static_cast<double>(dy[i * stride]));
  };
  double sum = 0;
  double product = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double g = gradient_at(i);
    sum += g;
    product += g * normal_at(i);
  }
  *dscale = static_cast<T>(product);
  *doffset = static_cast<T>(sum);
  const double n = static_cast<double>(count);
  for (int64_t i = 0; i < count; ++i) {
    const double centered = gradient_at(i) - sum / n - normal_at(i) * product / n;
    dx[i * stride] = static_cast<T>(static_cast<double>(scale) * factor * centered);
  }
}

template <class T>
void layer_norm(T* y, T* mean, T* variance, const T* x, const T* scale, const T* offset,
                int64_t rows, int64_t extent, double epsilon) {
  for (int64_t row = 0; row < rows; ++row, x += extent, y += extent) {
    const Moments moments = moments_of(x, extent, 1);
    mean[row] = static_cast<T>(moments.mean);
    variance[row] = static_cast<T>(moments.variance);
    const double factor = 1 / std::sqrt(moments.variance + epsilon);
    for (int64_t i = 0; i < extent; ++i) {
      const double normal = (static_cast<double>(x[i]) - moments.mean) * factor;
      y[i] =
          static_cast<T>(normal * static_cast<double>(scale[i]) + static_cast<double>(offset[i]));
    }
  }
}

template <class T>
void layer_norm_backward(T* dx, T* dscale, T* doffset, const T* x, const T* scale, const T* mean,
                         const T* variance, const T* dy, int64_t rows, int64_t extent,
                         double epsilon) {
  auto normal_at = [&](int64_t row, int64_t i) {
    const double factor = 1 / std::sqrt(static_cast<double>(variance[row]) + epsilon);
    return (static_cast<double>(x[row * extent + i]) - static_cast<double>(mean[row])) * factor;
  };
  for (int64_t i = 0; i < extent; ++i) {
    double scale_total = 0;
    double offset_total = 0;
    for (int64_t row = 0; row < rows; ++row) {
      const double g = static_cast<double>(dy[row * extent + i]);
      scale_total += g * normal_at(row, i);
      offset_total += g;
    }
    dscale[i] = static_cast<T>(scale_total);
    doffset[i] = static_cast<T>(offset_total);
  }
  for (int64_t row = 0; row < rows; ++row) {
    double sum = 0;
    double product = 0;
    for (int64_t i = 0; i < extent; ++i) {
      const double g = static_cast<double>(dy[row * extent + i]) * static_cast<double>(scale[i]);
      sum += g / static_cast<double>(extent);
      product += g * normal_at(row, i) / static_cast<double>(extent);
    }
    const double factor = 1 / std::sqrt(static_cast<double>(variance[row]) + epsilon);
    for (int64_t i = 0; i < extent; ++i) {
      const double g = static_cast<double>(dy[row * extent + i]) * static_cast<double>(scale[i]);
      dx[row * extent + i] = static_cast<T>((g - sum - normal_at(row, i) * product) * factor);
    }
  }
}

}  // namespace nnrt::reference
