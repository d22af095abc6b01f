// The multiply-add peak, to which kernels are compared.
#pragma once

#include "cpu/isa/vector.h"
#include "cpu/kernel_tables.h"

namespace nnrt::NNC_ISA {

// Twelve chains hide the latency of a multiply-add. Gives the operations done.
inline double multiply_adds(int64_t rounds) {
  constexpr int kChains = 12;
  Float sum[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) sum[i] = Float::broadcast(static_cast<float>(i));
  const Float factor = Float::broadcast(0.5f), term = Float::broadcast(0.25f);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < kChains; ++k) sum[k] = fma(sum[k], factor, term);
  }
#pragma GCC unroll 12
  for (int k = 1; k < kChains; ++k) sum[0] += sum[k];
  // Keeps the sums from being left out.
  const float total = reduce_add(sum[0]);
  __asm__ volatile("" : : "m"(total));
  return 2.0 * kChains * kLanes * static_cast<double>(rounds);
}

}  // namespace nnrt::NNC_ISA
