// Sums that the step which computes the pixels takes for a later step, while the pixels are in the
// cache (cpu/engine/fused_reductions.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cpu/kernel.h"

namespace nnrt {

// Consecutive elements of a tensor.
struct Stretch {
  int64_t first = 0, count = 0;
};

// Sums over the pixels of an operand. The step that computes the operand may take them in place of
// the first phase, while the pixels are in the cache (cpu/engine/fused_reductions.h).
struct PixelReduction {
  // Runs before a thread's first part. What it leaves in `Call::scratch` stays for all its parts.
  void (*open)(const Call& call) = nullptr;
  // Takes part `part`, whole pixels.
  void (*take)(const Call& call, int64_t part, const Stretch* stretches, int64_t count) = nullptr;
  size_t source = 0;          // the operand's number
  std::vector<size_t> reads;  // other operands that are read, the first at the same places
  size_t scratch_bytes = 0;
  // Tells the kernel how many parts lie in Call::parts; returns the bytes that they need.
  size_t (*cut)(BoundKernel& kernel, int64_t parts) = nullptr;
};

// Another step's sums, for the step that computes what is summed.
struct FusedReduction {
  const Call* call = nullptr;
  PixelReduction sums;
  size_t scratch_offset = 0;  // after the producer's own scratch

  Call own_call(const Call& maker) const {
    Call own = *call;
    own.scratch = static_cast<char*>(maker.scratch) + scratch_offset;
    return own;
  }
  void open(const Call& maker) const { sums.open(own_call(maker)); }
  void take(const Call& maker, int64_t part, const Stretch* stretches, int64_t count) const {
    sums.take(own_call(maker), part, stretches, count);
  }
  // The other operand that is read at the same places; null if there is none.
  const void* beside() const {
    return sums.reads.empty() ? nullptr : call->operands[sums.reads.front()];
  }
};

}  // namespace nnrt
