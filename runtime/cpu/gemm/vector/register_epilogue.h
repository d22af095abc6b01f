// Applies a RegisterEpilogue (cpu/gemm/register_epilogue.h) to vectors of a result between
// registers and memory.
#pragma once

#include "cpu/column_store.h"
#include "cpu/gemm/gemm.h"
#include "cpu/gemm/register_epilogue.h"
#include "cpu/isa/vector.h"
#include "cpu/isa/vector_math.h"
#include "cpu/tile/tile.h"

namespace nnrt::NNC_ISA {

// A register tile as it is: row r goes to to(r), the last of its vectors has `last` lanes.
// `stream`: non-temporal, if all are whole.
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

// Pixels [begin, end) of a tile that are stored.
struct TileSpan {
  int64_t begin, end;
  NNC_INLINE bool has(int64_t i) const { return i >= begin && i < end; }
};

// A RegisterEpilogue with the memory of a call. Elements count from the result's first.
struct VectorEpilogue {
  const float* result;  // where the result begins
  const float* rows[2] = {nullptr, nullptr};
  const float* add = nullptr;
  const float* mask = nullptr;
  RegisterEpilogue epilogue;
  const Call& call;
  double inverse_channels = 0;

  NNC_INLINE VectorEpilogue(const RegisterEpilogue& from, const Call& of)
      : result(static_cast<const float*>(of.results[0])), epilogue(from), call(of) {
    const auto load = [&of](int slot) {
      return slot < 0 ? nullptr : static_cast<const float*>(of.tile_loads[slot]);
    };
    for (int i = 0; i < 2; ++i) rows[i] = load(from.rows[i]);
    if (call.column_count > 0) inverse_channels = 1.0 / static_cast<double>(call.result_columns);
    add = load(from.add);
    mask = load(from.mask);
  }

  // Whether columns go elsewhere, and whether the result has memory of its own.
  NNC_INLINE bool spreads() const { return call.column_count > 0; }
  NNC_INLINE bool stores_result() const { return call.stores_result; }

  // Prefetches its operands beside `count` rows of results, of `width` floats, row r at
  // to + offset(r), before they are computed. Locality: 3 into L1, 2 into L2.
  template <int Locality, class Offset>
  NNC_INLINE void prefetch(const float* to, Offset offset, int64_t count, int64_t width) const {
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
        if (epilogue.mask_above)
          value = choose(bound > Float::broadcast(epilogue.mask_low), value, Float::zero());
        if (epilogue.mask_below)
          value = choose(bound < Float::broadcast(epilogue.mask_high), value, Float::zero());
        return value;
      });
    }
    // Of a NaN and a bound, which is none, the second stays.
    if (epilogue.clamp_low) {
      const Float low = Float::broadcast(epilogue.low);
      each([low](Float value, int, int)
               __attribute__((always_inline)) { return maximum_or_second(low, value); });
    }
    if (epilogue.clamp_high) {
      const Float high = Float::broadcast(epilogue.high);
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

  // Stores `width` columns from `channel` on of the rows that belong at result + places[r] where
  // Call::columns says.
  __attribute__((noinline)) void store_columns(const float* from, int64_t row_stride,
                                               const int64_t* places, int64_t rows, int64_t channel,
                                               int64_t width) const {
    for (int64_t i = 0; i < call.column_count; ++i) {
      const ColumnStore& store = call.columns[i];
      const int64_t begin = channel > store.begin ? channel : store.begin;
      const int64_t end = smaller(channel + width, store.end);
      float* const target = static_cast<float*>(call.column_targets[i]) + store.at - store.begin;
      for (int64_t r = 0; r < rows && begin < end; ++r) {
        float* const to = target + pixel_of(places[r] - channel) * store.row;
        const float* const row = from + r * row_stride - channel;
        for (int64_t c = begin; c < end; c += kLanes)
          put_vector(Float::load(row + c), to + c, smaller(kLanes, end - c), store.stream);
      }
    }
  }
  // Of an element of channel 0, also of one outside.
  NNC_INLINE int64_t pixel_of(int64_t element) const {
    return static_cast<int64_t>(
        __builtin_floor(static_cast<double>(element) * inverse_channels + 0.5));
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
    if (spreads()) [[unlikely]] {
      alignas(kLine) float rows[Rows * Vectors * kLanes];
      int64_t places[Rows];
#pragma GCC unroll 8
      for (int r = 0; r < Rows; ++r) {
        places[r] = to(r) - result;
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) tile[r][v].store(rows + (r * Vectors + v) * kLanes);
      }
      store_columns(rows, Vectors * kLanes, places, Rows, channel,
                    (Vectors - 1) * kLanes + (Whole ? kLanes : last));
      if (!call.stores_result) return;
    }
    write_tile<Whole>(tile, to, last, stream);
  }

  // One vector of `lanes`, where nothing is stored elsewhere.
  template <bool Whole>
  NNC_INLINE void store(Float value, float* to, int64_t channel, int64_t lanes) const {
    const auto read = [lanes](const float* from) __attribute__((always_inline)) {
      return Whole ? Float::load(from) : Float::load_partial(from, lanes);
    };
    const Float finished = apply(value, to, channel, read);
    Whole ? finished.store(to) : finished.store_partial(to, lanes);
  }
  // A square of pixels, those of `down` and `across`, `lanes` channels from `channel` on, where
  // something is; pixel (i, j) belongs at to + i * row_stride + j * pixel_stride.
  __attribute__((noinline)) void spread_square(const Float (&square)[4][4], TileSpan down,
                                               TileSpan across, float* to, int64_t row_stride,
                                               int64_t pixel_stride, int64_t channel,
                                               int64_t lanes) const {
    const int64_t first = pixel_of(to - result - channel);
    const int64_t row_pixels = pixel_of(row_stride), step = pixel_of(pixel_stride);
    const auto read = [lanes](const float* from) __attribute__((always_inline)) {
      return lanes == kLanes ? Float::load(from) : Float::load_partial(from, lanes);
    };
    for (int64_t i = down.begin; i < down.end; ++i) {
      for (int64_t j = across.begin; j < across.end; ++j) {
        float* const place = to + i * row_stride + j * pixel_stride;
        const Float value = apply(square[i][j], place, channel, read);
        for (int64_t k = 0; k < call.column_count; ++k) {
          const ColumnStore& store = call.columns[k];
          if (channel < store.begin || channel >= store.end) continue;
          float* const target = static_cast<float*>(call.column_targets[k]) +
                                (first + i * row_pixels + j * step) * store.row + store.at +
                                channel - store.begin;
          put_vector(value, target, lanes, store.stream);
        }
        if (call.stores_result) put_vector(value, place, lanes, false);
      }
    }
  }
  NNC_INLINE static void put_vector(Float value, float* to, int64_t lanes, bool stream) {
    if (lanes < kLanes) {
      value.store_partial(to, lanes);
    } else if (stream) {
      value.stream(to);
    } else {
      value.store(to);
    }
  }
};

// The VectorEpilogue of a call, where its tile program is one or columns of its result go
// elsewhere.
class CallEpilogue {
 public:
  NNC_INLINE explicit CallEpilogue(const Call& call)
      : found_(tile_epilogue(call.tile) != nullptr || call.column_count > 0),
        epilogue_(
            tile_epilogue(call.tile) != nullptr ? *tile_epilogue(call.tile) : RegisterEpilogue{},
            call) {}
  NNC_INLINE const VectorEpilogue* get() const { return found_ ? &epilogue_ : nullptr; }

 private:
  const bool found_;
  VectorEpilogue epilogue_;
};

}  // namespace nnrt::NNC_ISA
