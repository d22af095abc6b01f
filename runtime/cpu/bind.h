// What the `bind` functions of several kernels share.
#pragma once

#include <cstdint>

#include "core/kernels/checks.h"
#include "cpu/gemm/gemm.h"
#include "cpu/kernel.h"

namespace nnrt {

// For a prologue: one store, and a domain of `elements` elements. Throws Error.
void check_prologue(const BindRequest& request, int64_t elements);

// Of all operands and results.
inline double bytes_of(const BindRequest& request) {
  double total = 0;
  for (const TensorInfo& info : request.operands) total += static_cast<double>(info.bytes());
  for (const TensorInfo& info : request.results) total += static_cast<double>(info.bytes());
  return total;
}

inline double as_double(int64_t value) { return static_cast<double>(value); }

}  // namespace nnrt
