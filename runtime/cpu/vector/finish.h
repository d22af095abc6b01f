// Applies a Finish (cpu/finish.h) to vectors of a result on their way from registers to memory.
#pragma once

#include "cpu/finish.h"
#include "cpu/product.h"
#include "cpu/tile.h"
#include "cpu/vector.h"
#include "cpu/vector_math.h"

namespace nnrt::NNC_ISA {

// A register tile as it is: row r goes to to(r), the last of its vectors has `last` lanes.
// `stream`: past the caches, if all are whole.
template <bool Whole, int Rows, int Vectors, class To>
NNC_INLINE void write_tile(const Float (&tile)[Rows][Vectors], To to, int64_t last, bool stream) {
  if (Whole && stream) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) tile[r][v].stream(to(r) + v * kLanes);
    }
    return;
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    float* const row = to(r);
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      if (Whole || v + 1 < Vectors) {
        tile[r][v].store(row + v * kLanes);
      } else {
        tile[r][v].store_partial(row + v * kLanes, last);
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

  // Asks for what it reads beside `count` rows of results, of `width` floats, row r at
  // to + offset(r), before they are computed. Locality: 3 into L1, 2 into L2.
  template <int Locality, class Offset>
  NNC_INLINE void ask(const float* to, Offset offset, int64_t count, int64_t width) const {
    for (const float* from : {add, mask}) {
      if (from == nullptr) continue;
      for (int64_t r = 0; r < count; ++r) {
        const float* row = from + (to - result) + offset(r);
        for (int64_t at = 0; at < width; at += kLine / 4) __builtin_prefetch(row + at, 0, Locality);
      }
    }
  }

  // What goes to memory of a register tile, stage by stage, so that each is asked for once: row r
  // goes to to(r), `channel` on the last axis; read(p, v) loads as much as vector v has lanes.
  // `begun`: the first of `rows` is in it.
  template <int Rows, int Vectors, class To, class Read>
  NNC_INLINE void apply(Float (&tile)[Rows][Vectors], To to, int64_t channel, Read read,
                        bool begun = false) const {
    const auto each = [&](auto change) __attribute__((always_inline)) {
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) {
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) tile[r][v] = change(tile[r][v], r, v);
      }
    };
    for (int i = begun ? 1 : 0; i < 2; ++i) {
      const float* row = rows[i];
      if (row == nullptr) continue;
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) {
        const Float added = read(row + channel, v);
#pragma GCC unroll 8
        for (int r = 0; r < Rows; ++r) tile[r][v] += added;
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
    // Of a NaN and a bound, which is none, the second stays.
    if (finish.clamp_low) {
      const Float low = Float::broadcast(finish.low);
      each([low](Float value, int, int)
               __attribute__((always_inline)) { return maximum_or_second(low, value); });
    }
    if (finish.clamp_high) {
      const Float high = Float::broadcast(finish.high);
      each([high](Float value, int, int)
               __attribute__((always_inline)) { return minimum_or_second(high, value); });
    }
  }

  // The same for one vector; read(p) loads as many lanes as it has.
  template <class Read>
  NNC_INLINE Float apply(Float value, float* to, int64_t channel, Read read) const {
    Float tile[1][1] = {{value}};
    apply(
        tile, [to](int) __attribute__((always_inline)) { return to; }, channel,
        [read](const float* from, int) __attribute__((always_inline)) { return read(from); });
    return tile[0][0];
  }

  // Applies it and stores; the last of the tile's vectors has `last` lanes.
  template <bool Whole, int Rows, int Vectors, class To>
  NNC_INLINE void store_tile(Float (&tile)[Rows][Vectors], To to, int64_t channel, int64_t last,
                             bool stream, bool begun = false) const {
    const auto read = [last](const float* from, int v) __attribute__((always_inline)) {
      return Whole || v + 1 < Vectors ? Float::load(from + v * kLanes)
                                      : Float::load_partial(from + v * kLanes, last);
    };
    apply(tile, to, channel, read, begun);
    write_tile<Whole>(tile, to, last, stream);
  }

  template <bool Whole>
  NNC_INLINE void store(Float value, float* to, int64_t channel, int64_t lanes) const {
    Float tile[1][1] = {{value}};
    store_tile<Whole>(
        tile, [to](int) __attribute__((always_inline)) { return to; }, channel, lanes, false);
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
