// Reductions over contiguous numbers and over columns.
#pragma once

#include "cpu/isa/row.h"
#include "cpu/isa/vector.h"
#include "cpu/reduce/reduce.h"

namespace nnrt::NNC_ISA {

struct SumOf {
  static constexpr float start = 0.0f;
  template <class V>
  NNC_INLINE static V apply(V a, V b) {
    return a + b;
  }
};
struct MaximumOf {
  static constexpr float start = -std::numeric_limits<float>::infinity();
  template <class V>
  NNC_INLINE static V apply(V a, V b) {
    return maximum(a, b);
  }
};
struct MinimumOf {
  static constexpr float start = std::numeric_limits<float>::infinity();
  template <class V>
  NNC_INLINE static V apply(V a, V b) {
    return minimum(a, b);
  }
};

// The rest of a row; lanes beyond it do not count.
template <class Operation>
NNC_INLINE Float load_rest(const float* x, int64_t count) {
  Float value = Float::load_partial(x, count);
  if constexpr (Operation::start == 0.0f) return value;
  return choose(first_lanes(count), value, Float::broadcast(Operation::start));
}

// Four independent chains hide the latency.
template <class Operation>
NNC_INLINE Float reduce_to_vector(const float* x, int64_t count) {
  Float total[4];
  for (Float& part : total) part = Float::broadcast(Operation::start);
  int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      prefetch_stream(x + i + k * kLanes);
      total[k] = Operation::apply(total[k], Float::load(x + i + k * kLanes));
    }
  }
  for (; i + kLanes <= count; i += kLanes)
    total[0] = Operation::apply(total[0], Float::load(x + i));
  if (i < count) total[1] = Operation::apply(total[1], load_rest<Operation>(x + i, count - i));
  return Operation::apply(Operation::apply(total[0], total[1]),
                          Operation::apply(total[2], total[3]));
}

template <class Operation>
NNC_INLINE float lanes_of(Float total) {
  return reduce_lanes(
      total, [](auto a, auto b) __attribute__((always_inline)) { return Operation::apply(a, b); });
}

template <class Operation>
float reduce_whole(const float* x, int64_t count) {
  return lanes_of<Operation>(reduce_to_vector<Operation>(x, count));
}

template <class Operation>
void reduce_columns(float* totals, const float* x, int64_t count, int64_t period) {
  while (count >= 4 * period) {
    const float* row[4] = {x, x + period, x + 2 * period, x + 3 * period};
    int64_t i = 0;
    for (; i + kLanes <= period; i += kLanes) {
      for (const float* from : row) prefetch_stream(from + i);
      Float low = Operation::apply(Float::load(row[0] + i), Float::load(row[1] + i));
      Float high = Operation::apply(Float::load(row[2] + i), Float::load(row[3] + i));
      Operation::apply(Float::load(totals + i), Operation::apply(low, high)).store(totals + i);
    }
    if (int64_t rest = period - i; rest > 0) {
      Float low = Operation::apply(Float::load_partial(row[0] + i, rest),
                                   Float::load_partial(row[1] + i, rest));
      Float high = Operation::apply(Float::load_partial(row[2] + i, rest),
                                    Float::load_partial(row[3] + i, rest));
      Operation::apply(Float::load_partial(totals + i, rest), Operation::apply(low, high))
          .store_partial(totals + i, rest);
    }
    x += 4 * period;
    count -= 4 * period;
  }
  while (count > 0) {
    const int64_t part = std::min(count, period);
    int64_t i = 0;
    for (; i + kLanes <= part; i += kLanes) {
      Operation::apply(Float::load(totals + i), Float::load(x + i)).store(totals + i);
    }
    if (int64_t rest = part - i; rest > 0) {
      Operation::apply(Float::load_partial(totals + i, rest), Float::load_partial(x + i, rest))
          .store_partial(totals + i, rest);
    }
    x += part;
    count -= part;
  }
}

inline constexpr ReduceTable reduce_table = {
    {&reduce_whole<SumOf>, &reduce_whole<MaximumOf>, &reduce_whole<MinimumOf>},
    {&reduce_columns<SumOf>, &reduce_columns<MaximumOf>, &reduce_columns<MinimumOf>}};

}  // namespace nnrt::NNC_ISA
