// Softmax and its kin, one element at a time: the meaning. Sums run in double.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "cpu/scalar.h"

namespace nnrt::reference {

template <class T>
double largest_of(const T* x, int64_t extent) {
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < extent; ++i)
    largest = scalar::maximum(largest, static_cast<double>(x[i]));
  return largest;
}

// log sum e^x
template <class T>
double log_sum(const T* x, int64_t extent, double largest) {
  double total = 0;
  for (int64_t i = 0; i < extent; ++i) total += std::exp(static_cast<double>(x[i]) - largest);
  return largest + std::log(total);
}

template <class T>
void softmax(T* y, const T* x, int64_t rows, int64_t extent) {
  for (int64_t row = 0; row < rows; ++row, x += extent, y += extent) {
    const double largest = largest_of(x, extent);
    const double log_total = log_sum(x, extent, largest) - largest;
    for (int64_t i = 0; i < extent; ++i) {
      y[i] = static_cast<T>(std::exp(static_cast<double>(x[i]) - largest - log_total));
    }
  }
}

template <class T>
void log_softmax(T* y, const T* x, int64_t rows, int64_t extent) {
  for (int64_t row = 0; row < rows; ++row, x += extent, y += extent) {
    const double largest = largest_of(x, extent);
    const double log_total = log_sum(x, extent, largest) - largest;
    for (int64_t i = 0; i < extent; ++i)
      y[i] = static_cast<T>(static_cast<double>(x[i]) - largest - log_total);
  }
}

template <class T>
void softmax_backward(T* dx, const T* y, const T* dy, int64_t rows, int64_t extent) {
  for (int64_t row = 0; row < rows; ++row, y += extent, dy += extent, dx += extent) {
    double total = 0;
    for (int64_t i = 0; i < extent; ++i)
      total += static_cast<double>(y[i]) * static_cast<double>(dy[i]);
    for (int64_t i = 0; i < extent; ++i) {
      dx[i] = static_cast<T>(static_cast<double>(y[i]) * (static_cast<double>(dy[i]) - total));
    }
  }
}

template <class T>
void log_softmax_backward(T* dx, const T* y, const T* dy, int64_t rows, int64_t extent) {
  for (int64_t row = 0; row < rows; ++row, y += extent, dy += extent, dx += extent) {
    double total = 0;
    for (int64_t i = 0; i < extent; ++i) total += static_cast<double>(dy[i]);
    for (int64_t i = 0; i < extent; ++i) {
      dx[i] =
          static_cast<T>(static_cast<double>(dy[i]) - std::exp(static_cast<double>(y[i])) * total);
    }
  }
}

// -sum t log p, where t is 1 - smoothing at the label plus smoothing / extent everywhere.
template <class T>
void cross_entropy(T* loss, const T* logits, const int64_t* labels, int64_t rows, int64_t extent,
                   double smoothing) {
  for (int64_t row = 0; row < rows; ++row, logits += extent) {
    const int64_t label = labels[row];
    if (label < 0 || label >= extent) {
      loss[row] = std::numeric_limits<T>::quiet_NaN();
      continue;
    }
    const double log_total = log_sum(logits, extent, largest_of(logits, extent));
    double mean = 0;
    for (int64_t i = 0; i < extent; ++i)
      mean += static_cast<double>(logits[i]) / static_cast<double>(extent);
    double value = log_total - (1 - smoothing) * static_cast<double>(logits[label]);
    if (smoothing != 0) value -= smoothing * mean;
    loss[row] = static_cast<T>(value);
  }
}

template <class T>
void cross_entropy_backward(T* dlogits, const T* logits, const int64_t* labels, const T* dloss,
                            int64_t rows, int64_t extent, double smoothing) {
  for (int64_t row = 0; row < rows; ++row, logits += extent, dlogits += extent) {
    const int64_t label = labels[row];
    const bool inside = label >= 0 && label < extent;
    const double scale =
        inside ? static_cast<double>(dloss[row]) : std::numeric_limits<double>::quiet_NaN();
    const double log_total = log_sum(logits, extent, largest_of(logits, extent));
    for (int64_t i = 0; i < extent; ++i) {
      const double target =
          (i == label ? 1 - smoothing : 0.0) + smoothing / static_cast<double>(extent);
      dlogits[i] =
          static_cast<T>((std::exp(static_cast<double>(logits[i]) - log_total) - target) * scale);
    }
  }
}

}  // namespace nnrt::reference
