// How elements are stored where C++ has no type of its own: bf16 and truth values. `static_cast`
// converts between them and numbers.
#pragma once

#include <bit>
#include <cstdint>

namespace nnrt {

// The upper half of a float: its sign, its exponent and seven bits of its fraction.
struct BFloat16 {
  uint16_t bits = 0;

  constexpr BFloat16() = default;
  // Rounds to the nearest, ties to even; a NaN becomes the quiet NaN of its sign. Integer
  // operations alone, so all instruction sets give the same bits, also where they flush denormals.
  __attribute__((always_inline)) explicit constexpr BFloat16(float value) {
    const uint32_t whole = std::bit_cast<uint32_t>(value);
    const uint32_t nearest = (whole + 0x7fffu + (whole >> 16 & 1u)) >> 16;
    const uint32_t quiet_nan = (whole >> 16 & 0x8000u) | 0x7fc0u;
    const bool is_nan = static_cast<int32_t>(whole & 0x7fffffffu) > 0x7f800000;
    bits = static_cast<uint16_t>(is_nan ? quiet_nan : nearest);
  }
  __attribute__((always_inline)) constexpr operator float() const {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
};

// A byte that is zero or not; stored as 0 or 1.
struct Truth {
  uint8_t byte = 0;

  constexpr Truth() = default;
  explicit constexpr Truth(bool value) : byte(value ? 1 : 0) {}
  constexpr operator bool() const { return byte != 0; }
};

}  // namespace nnrt
