// Reductions, one element at a time: the meaning.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "cpu/reduce/reduce.h"
#include "cpu/scalar.h"

namespace nnrt::reference {

// A tensor as dims with their strides in the input; kept and reduced dims are walked separately.
struct Walk {
  int rank = 0;
  int64_t dims[8] = {};
  int64_t strides[8] = {};

  int64_t count() const {
    int64_t total = 1;
    for (int d = 0; d < rank; ++d) total *= dims[d];
    return total;
  }
  int64_t offset(int64_t index) const {
    int64_t result = 0;
    for (int d = rank - 1; d >= 0; --d) {
      result += index % dims[d] * strides[d];
      index /= dims[d];
    }
    return result;
  }
};

template <class T>
T start_of(Reduction reduction) {
  if (reduction == Reduction::sum) return T(0);
  const T infinity = std::numeric_limits<T>::infinity();
  return reduction == Reduction::maximum ? -infinity : infinity;
}

template <class T>
T combine(Reduction reduction, T a, T b) {
  if (reduction == Reduction::sum) return a + b;
  return reduction == Reduction::maximum ? scalar::maximum(a, b) : scalar::minimum(a, b);
}

// Sums run in double.
template <class T>
T reduce_one(Reduction reduction, const T* x, const Walk& reduced, double factor) {
  double total = start_of<double>(reduction);
  const int64_t count = reduced.count();
  for (int64_t i = 0; i < count; ++i) {
    total = combine<double>(reduction, total, static_cast<double>(x[reduced.offset(i)]));
  }
  return static_cast<T>(total * factor);
}

// The index of the first of the largest; a NaN is larger than all.
template <class T>
int64_t argmax_one(const T* x, int64_t count, int64_t stride) {
  int64_t best = 0;
  for (int64_t i = 1; i < count; ++i) {
    const T largest = x[best * stride];
    const T value = x[i * stride];
    if (largest == largest && (value > largest || value != value)) best = i;
  }
  return best;
}

}  // namespace nnrt::reference
