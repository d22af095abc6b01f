// Loops over a row: whole vectors, then the rest.
#pragma once

#include "cpu/isa/vector.h"

namespace nnrt::NNC_ISA {

// Applies `body` to whole vectors of [0, extent) and then to the rest: body(i, load, store), where
// load(p) and store(v, p) know how many lanes are meant.
template <class Body>
NNC_INLINE void over_row(int64_t extent, Body body) {
  int64_t i = 0;
  for (; i + kLanes <= extent; i += kLanes) {
    body(
        i, [](const float* p) __attribute__((always_inline)) { return Float::load(p); },
        [](Float v, float* p) __attribute__((always_inline)) { v.store(p); });
  }
  if (i < extent) {
    const int64_t rest = extent - i;
    body(
        i,
        [rest](const float* p)
            __attribute__((always_inline)) { return Float::load_partial(p, rest); },
        [rest](Float v, float* p) __attribute__((always_inline)) { v.store_partial(p, rest); });
  }
}

NNC_INLINE Float lane_numbers() {
  Float lane;
  for (int i = 0; i < kLanes; ++i) lane.v[i] = static_cast<float>(i);
  return lane;
}
NNC_INLINE Mask<float, kLanes> first_lanes(int64_t count) {
  return lane_numbers() < Float::broadcast(static_cast<float>(count));
}

// Four independent chains hide the latency.
NNC_INLINE Float sum_to_vector(const float* x, int64_t count) {
  Float total[4] = {Float::zero(), Float::zero(), Float::zero(), Float::zero()};
  int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) total[k] += Float::load(x + i + k * kLanes);
  }
  for (; i + kLanes <= count; i += kLanes) total[0] += Float::load(x + i);
  if (i < count) total[1] += Float::load_partial(x + i, count - i);
  return (total[0] + total[1]) + (total[2] + total[3]);
}

}  // namespace nnrt::NNC_ISA
