// The loops of tile programs over float, a vector at a time.
#pragma once

#include <algorithm>

#include "cpu/isa/vector.h"
#include "cpu/isa/vector_math.h"
#include "cpu/tile/tile_table.h"
#include "nnrt/philox.h"

namespace nnrt::NNC_ISA {

// An operand of a loop: a sequence, or one number in every lane.
template <bool Number>
struct TileOperand {
  const float* from;
  Float number;

  NNC_INLINE explicit TileOperand(const void* operand) : from(static_cast<const float*>(operand)) {
    if constexpr (Number) number = Float::broadcast(*from);
  }
  NNC_INLINE Float at(int64_t i) const {
    if constexpr (Number) return number;
    return Float::load(from + i);
  }
  NNC_INLINE Float rest(int64_t i, int64_t count) const {
    if constexpr (Number) return number;
    return Float::load_partial(from + i, count);
  }
};

struct TileLoop {
  template <class Operation, unsigned Mask, int Arity>
  static void run(void* out, const void* a, const void* b, const void* c, const void* d,
                  int64_t count) {
    TileOperand<(Mask & 1) != 0> first(a);
    float* to = static_cast<float*>(out);
    int64_t i = 0;
    if constexpr (Arity == 1) {
      for (; i + kLanes <= count; i += kLanes) Operation::apply(first.at(i)).store(to + i);
      if (i < count) Operation::apply(first.rest(i, count - i)).store_partial(to + i, count - i);
    } else {
      TileOperand<(Mask & 2) != 0> second(b);
      if constexpr (Arity == 2) {
        for (; i + kLanes <= count; i += kLanes)
          Operation::apply(first.at(i), second.at(i)).store(to + i);
        int64_t rest = count - i;
        if (rest > 0)
          Operation::apply(first.rest(i, rest), second.rest(i, rest)).store_partial(to + i, rest);
      } else {
        TileOperand<(Mask & 4) != 0> third(c);
        if constexpr (Arity == 3) {
          for (; i + kLanes <= count; i += kLanes) {
            Operation::apply(first.at(i), second.at(i), third.at(i)).store(to + i);
          }
          int64_t rest = count - i;
          if (rest > 0) {
            Operation::apply(first.rest(i, rest), second.rest(i, rest), third.rest(i, rest))
                .store_partial(to + i, rest);
          }
        } else {
          TileOperand<(Mask & 8) != 0> fourth(d);
          for (; i + kLanes <= count; i += kLanes) {
            Operation::apply(first.at(i), second.at(i), third.at(i), fourth.at(i)).store(to + i);
          }
          int64_t rest = count - i;
          if (rest > 0) {
            Operation::apply(first.rest(i, rest), second.rest(i, rest), third.rest(i, rest),
                             fourth.rest(i, rest))
                .store_partial(to + i, rest);
          }
        }
      }
    }
  }
};

#include "cpu/tile/tile_operations.inc"

// Plain loops that the compiler turns into vector conversions.
template <class To, class From>
void tile_convert(void* __restrict out, const void* __restrict in, int64_t count) {
  To* to = static_cast<To*>(out);
  const From* from = static_cast<const From*>(in);
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<To>(from[i]);
}
// To an integer: toward zero, saturated, NaN to 0.
template <class To>
void tile_store_integer(void* __restrict out, const void* __restrict in, int64_t count) {
  To* to = static_cast<To*>(out);
  const float* from = static_cast<const float*>(in);
  // Powers of two, exact in float; `high` is one more than the largest value.
  constexpr float low = static_cast<float>(std::numeric_limits<To>::min());
  constexpr float high = static_cast<float>(std::numeric_limits<To>::max() / 2 + 1) * 2.0f;
  for (int64_t i = 0; i < count; ++i) {
    float value = from[i];
    bool inside = value > low && value < high;
    To whole = static_cast<To>(inside ? value : 0.0f);
    To outside = value >= high  ? std::numeric_limits<To>::max()
                 : value <= low ? std::numeric_limits<To>::min()
                                : To(0);
    to[i] = inside ? whole : outside;
  }
}

template <class To>
constexpr ConvertFunction tile_store() {
  if constexpr (std::is_integral_v<To>) return &tile_store_integer<To>;
  return &tile_convert<To, float>;
}

// Philox on one counter a lane.
typedef uint32_t Words __attribute__((vector_size(NNC_VECTOR_BYTES)));
typedef uint64_t LongWords __attribute__((vector_size(NNC_VECTOR_BYTES)));

// Products of the low halves of the 64-bit lanes.
NNC_INLINE LongWords multiply_low_halves(LongWords a, uint32_t b) {
#if defined(__x86_64__) && NNC_VECTOR_BYTES == 64
  return (LongWords)_mm512_maskz_mul_epu32(__mmask8(-1), (__m512i)a, _mm512_set1_epi64(b));
#elif defined(__x86_64__) && NNC_VECTOR_BYTES == 32
  return (LongWords)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#elif defined(__x86_64__)
  return (LongWords)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x(b));
#else
  return (a & 0xffffffffull) * static_cast<uint64_t>(b);
#endif
}
struct Product {
  Words low;
  Words high;
};
NNC_INLINE Product multiply_words(Words a, uint32_t b) {
  LongWords even = multiply_low_halves((LongWords)a, b);
  LongWords odd = multiply_low_halves((LongWords)a >> 32, b);
  const LongWords low_half = LongWords{} + 0xffffffffull;
  return {(Words)((even & low_half) | (odd << 32)), (Words)((even >> 32) | (odd & ~low_half))};
}

template <int... Lane>
NNC_INLINE Float interleave_low(Float a, Float b, std::integer_sequence<int, Lane...>) {
  return {__builtin_shufflevector(a.v, b.v, (Lane % 2 == 0 ? Lane / 2 : kLanes + Lane / 2)...)};
}
template <int... Lane>
NNC_INLINE Float interleave_high(Float a, Float b, std::integer_sequence<int, Lane...>) {
  return {__builtin_shufflevector(
      a.v, b.v, (kLanes / 2 + (Lane % 2 == 0 ? Lane / 2 : kLanes + Lane / 2))...)};
}

NNC_INLINE Float uniform_from(Words words) {
  return convert<float>(Vec<int32_t, kLanes>{(typename Vec<int32_t, kLanes>::Native)(words >> 8)}) *
         0x1.0p-24f;
}

inline void tile_uniform(void* out, uint64_t seed, uint64_t step, uint32_t stream, int64_t first,
                         int64_t count) {
  float* to = static_cast<float*>(out);
  int64_t i = 0;
  auto one_by_one = [&](int64_t end) {
    for (; i < end; ++i) {
      uint64_t element = static_cast<uint64_t>(first + i);
      to[i] = philox_uniform(philox_block(seed, step, stream, element / 4)[element % 4]);
    }
  };
  one_by_one(std::min<int64_t>(count, (4 - first % 4) % 4));
  Words lane = {};
  for (int k = 0; k < kLanes; ++k) lane[k] = static_cast<uint32_t>(k);
  constexpr auto all = std::make_integer_sequence<int, kLanes>();
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    uint64_t block = static_cast<uint64_t>(first + i) / 4;
    Words w0 = lane + static_cast<uint32_t>(block);
    Words zero = {};
    // A carry into the high word, where the low one wrapped.
    Words w1 = (zero + static_cast<uint32_t>(block >> 32)) + ((Words)(w0 < lane) & 1u);
    Words w2 = zero + static_cast<uint32_t>(step);
    Words w3 = zero + stream;
    uint32_t key0 = static_cast<uint32_t>(seed);
    uint32_t key1 = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < kPhiloxRounds; ++round) {
      Product product0 = multiply_words(w0, kPhiloxMultiplier0);
      Product product1 = multiply_words(w2, kPhiloxMultiplier1);
      w0 = product1.high ^ w1 ^ key0;
      w1 = product1.low;
      w2 = product0.high ^ w3 ^ key1;
      w3 = product0.low;
      key0 += kPhiloxWeyl0;
      key1 += kPhiloxWeyl1;
    }
    Float u0 = uniform_from(w0), u1 = uniform_from(w1), u2 = uniform_from(w2),
          u3 = uniform_from(w3);
    Float even_low = interleave_low(u0, u2, all), odd_low = interleave_low(u1, u3, all);
    Float even_high = interleave_high(u0, u2, all), odd_high = interleave_high(u1, u3, all);
    interleave_low(even_low, odd_low, all).store(to + i);
    interleave_high(even_low, odd_low, all).store(to + i + kLanes);
    interleave_low(even_high, odd_high, all).store(to + i + 2 * kLanes);
    interleave_high(even_high, odd_high, all).store(to + i + 3 * kLanes);
  }
  one_by_one(count);
}

constexpr TileTable make_vector_tile_table() {
  TileTable table = make_tile_table<TileLoop>();
#define NNC_DTYPE(type, name, Storage, kind, stored)                         \
  table.load[static_cast<int>(DType::type)] = &tile_convert<float, Storage>; \
  table.store[static_cast<int>(DType::type)] = tile_store<Storage>();
#include "nnrt/dtypes.def"
  table.uniform = &tile_uniform;
  return table;
}

inline constexpr TileTable tile_table = make_vector_tile_table();

}  // namespace nnrt::NNC_ISA
