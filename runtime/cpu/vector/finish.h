// Applies a Finish (cpu/finish.h) to vectors of a result on their way from registers to memory.
#pragma once

#include "cpu/finish.h"
#include "cpu/tile.h"
#include "cpu/vector.h"
#include "cpu/vector_math.h"

namespace nnrt::NNC_ISA {

// A register tile as it is: row r goes to to(r), the last of its vectors has `last` lanes.
// `stream`: past the caches, if all are whole.
template <bool Whole, int Rows, int Vectors, class To>
NNC_INLINE void write_tile(Float (&sum)[Rows][Vectors], To to, int64_t last, bool stream) {
  if (Whole && stream) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[r][v].stream(to(r) + v * kLanes);
    }
    return;
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    float* const row = to(r);
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      if (Whole || v + 1 < Vectors) {
        sum[r][v].store(row + v * kLanes);
      } else {
        sum[r][v].store_partial(row + v * kLanes, last);
      }
    }
  }
}

// A Finish with the memory of a call. Elements are counted from the result's first.
struct Finisher {
  const float* result;  // where the result begins
  const float* rows[2] = {nullptr, nullptr};
  const float* add = nullptr;
  const float* mask = nullptr;
  Finish finish;

  NNC_INLINE Finisher(const Finish& from, const Call& call)
      : result(static_cast<const float*>(call.results[0])), finish(from) {
    const auto load = [&call](int slot) {
      return slot < 0 ? nullptr : static_cast<const float*>(call.tile_loads[slot]);
    };
    for (int i = 0; i < 2; ++i) rows[i] = load(from.rows[i]);
    add = load(from.add);
    mask = load(from.mask);
  }

  // What goes to `to`, `channel` on the last axis; `read(p)` loads as many lanes as are stored.
  template <class Read>
  NNC_INLINE Float apply(Float value, const float* to, int64_t channel, Read read) const {
    const int64_t at = to - result;
    if (rows[0] != nullptr) value = value + read(rows[0] + channel);
    if (rows[1] != nullptr) value = value + read(rows[1] + channel);
    if (add != nullptr) value = value + read(add + at);
    if (mask != nullptr) {
      const Float bound = read(mask + at);
      if (finish.mask_above)
        value = choose(bound > Float::broadcast(finish.mask_low), value, Float::zero());
      if (finish.mask_below)
        value = choose(bound < Float::broadcast(finish.mask_high), value, Float::zero());
    }
    if (finish.clamp_low) value = maximum(value, Float::broadcast(finish.low));
    if (finish.clamp_high) value = minimum(value, Float::broadcast(finish.high));
    return value;
  }

  // The same for a register tile, stage by stage, so that each is asked for once: row r goes to
  // to(r), from `channel` on; the last of its vectors has `last` lanes.
  template <bool Whole, int Rows, int Vectors, class To>
  NNC_INLINE void store_tile(Float (&sum)[Rows][Vectors], To to, int64_t channel, int64_t last,
                             bool stream) const {
    const auto read = [last](const float* from, int v) __attribute__((always_inline)) {
      return Whole || v + 1 < Vectors ? Float::load(from + v * kLanes)
                                      : Float::load_partial(from + v * kLanes, last);
    };
    const auto each = [&](auto change) __attribute__((always_inline)) {
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) {
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) sum[r][v] = change(sum[r][v], r, v);
      }
    };
    for (const float* row : rows) {
      if (row == nullptr) continue;
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) {
        const Float added = read(row + channel, v);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) sum[r][v] += added;
      }
    }
    if (add != nullptr) {
      each([&](Float value, int r, int v)
               __attribute__((always_inline)) { return value + read(add + (to(r) - result), v); });
    }
    if (mask != nullptr) {
      each([&](Float value, int r, int v) __attribute__((always_inline)) {
        const Float bound = read(mask + (to(r) - result), v);
        if (finish.mask_above)
          value = choose(bound > Float::broadcast(finish.mask_low), value, Float::zero());
        if (finish.mask_below)
          value = choose(bound < Float::broadcast(finish.mask_high), value, Float::zero());
        return value;
      });
    }
    if (finish.clamp_low) {
      const Float low = Float::broadcast(finish.low);
      each([low](Float value, int, int)
               __attribute__((always_inline)) { return maximum(value, low); });
    }
    if (finish.clamp_high) {
      const Float high = Float::broadcast(finish.high);
      each([high](Float value, int, int)
               __attribute__((always_inline)) { return minimum(value, high); });
    }
    write_tile<Whole>(sum, to, last, stream);
  }

  NNC_INLINE void store(Float value, float* to, int64_t channel) const {
    apply(value, to, channel, [](const float* from) __attribute__((always_inline)) {
      return Float::load(from);
    }).store(to);
  }
  NNC_INLINE void store_partial(Float value, float* to, int64_t channel, int64_t lanes) const {
    apply(value, to, channel, [lanes](const float* from) __attribute__((always_inline)) {
      return Float::load_partial(from, lanes);
    }).store_partial(to, lanes);
  }
};

// The Finisher of a call, where its tile program is one.
class CallFinish {
 public:
  NNC_INLINE explicit CallFinish(const Call& call)
      : found_(tile_finish(call.tile)), finisher_(found_ != nullptr ? *found_ : Finish{}, call) {}
  NNC_INLINE const Finisher* get() const { return found_ != nullptr ? &finisher_ : nullptr; }

 private:
  const Finish* found_;
  Finisher finisher_;
};

}  // namespace nnrt::NNC_ISA
