// Philox4x32-10: counter-based random numbers. The same key and counter give the same words on
// every machine and with any number of threads, so a mask can be computed again in the backward
// pass.
#pragma once

#include <array>
#include <cstdint>

namespace nnrt {

using PhiloxWords = std::array<uint32_t, 4>;

inline constexpr uint32_t kPhiloxMultiplier0 = 0xD2511F53u;
inline constexpr uint32_t kPhiloxMultiplier1 = 0xCD9E8D57u;
inline constexpr uint32_t kPhiloxWeyl0 = 0x9E3779B9u;
inline constexpr uint32_t kPhiloxWeyl1 = 0xBB67AE85u;
inline constexpr int kPhiloxRounds = 10;

constexpr PhiloxWords philox4x32(PhiloxWords counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const uint64_t product0 = uint64_t{kPhiloxMultiplier0} * counter[0];
    const uint64_t product1 = uint64_t{kPhiloxMultiplier1} * counter[2];
    counter = {
        static_cast<uint32_t>(product1 >> 32) ^ counter[1] ^ key0, static_cast<uint32_t>(product1),
        static_cast<uint32_t>(product0 >> 32) ^ counter[3] ^ key1, static_cast<uint32_t>(product0)};
    key0 += kPhiloxWeyl0;
    key1 += kPhiloxWeyl1;
  }
  return counter;
}

// The four words that elements 4 * block .. 4 * block + 3 of a stream take at a step.
constexpr PhiloxWords philox_block(uint64_t seed, uint64_t step, uint32_t stream, uint64_t block) {
  return philox4x32({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                     static_cast<uint32_t>(step), stream},
                    static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
}

// In [0, 1), a multiple of 2^-24: exact in float, so f32 and f64 see the same value.
constexpr float philox_uniform(uint32_t word) { return static_cast<float>(word >> 8) * 0x1.0p-24f; }

}  // namespace nnrt
