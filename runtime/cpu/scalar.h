// The meaning of elementwise.def for one float, double or int64_t. Integer arithmetic wraps;
// division by an integer zero gives 0.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

namespace nnrt::scalar {

template <class T>
inline constexpr bool is_integer = std::is_integral_v<T>;

// Integers go through double where only real numbers make sense; out of range saturates, NaN is 0.
template <class To>
inline To saturate(double value) {
  if constexpr (!is_integer<To>) {
    return static_cast<To>(value);
  } else {
    constexpr double low = static_cast<double>(std::numeric_limits<To>::min());
    constexpr double high = static_cast<double>(std::numeric_limits<To>::max());
    if (!(value == value)) return 0;
    if (value <= low) return std::numeric_limits<To>::min();
    if (value >= high) return std::numeric_limits<To>::max();
    return static_cast<To>(value);
  }
}
template <class T, class Function>
inline T through_real(T a, Function function) {
  if constexpr (is_integer<T>) {
    return saturate<T>(function(static_cast<double>(a)));
  } else {
    return function(a);
  }
}

template <class T>
inline T wrap(T a, T b, uint64_t (*operation)(uint64_t, uint64_t)) {
  return static_cast<T>(operation(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
}
template <class T>
inline T plus(T a, T b) {
  if constexpr (is_integer<T>) return wrap<T>(a, b, [](uint64_t x, uint64_t y) { return x + y; });
  return a + b;
}
template <class T>
inline T minus(T a, T b) {
  if constexpr (is_integer<T>) return wrap<T>(a, b, [](uint64_t x, uint64_t y) { return x - y; });
  return a - b;
}
template <class T>
inline T multiply(T a, T b) {
  if constexpr (is_integer<T>) return wrap<T>(a, b, [](uint64_t x, uint64_t y) { return x * y; });
  return a * b;
}
template <class T>
inline T negate(T a) {
  if constexpr (is_integer<T>) return minus(T(0), a);
  return -a;
}
template <class T>
inline T absolute(T a) {
  if constexpr (is_integer<T>) return a < 0 ? negate(a) : a;
  return std::abs(a);
}

template <class T>
inline T floor_divide(T a, T b);
template <class T>
inline T floor_modulo(T a, T b) {
  if constexpr (is_integer<T>) {
    if (b == 0 || b == -1) return 0;
    T rest = a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  } else {
    T rest = std::fmod(a, b);
    if (rest == 0) return std::copysign(T(0), b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
  }
}
template <class T>
inline T floor_divide(T a, T b) {
  if constexpr (is_integer<T>) {
    if (b == 0) return 0;
    if (b == -1) return negate(a);
    return a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0);
  } else {
    if (b == 0) return a / b;
    // The nearest integer to an exact multiple of b.
    T quotient = (a - floor_modulo(a, b)) / b;
    T result = std::floor(quotient);
    return quotient - result > T(0.5) ? result + 1 : result;
  }
}
template <class T>
inline T divide(T a, T b) {
  if constexpr (is_integer<T>) return floor_divide(a, b);
  return a / b;
}
template <class T>
inline T reciprocal(T a) {
  return divide(T(1), a);
}
// Zero where the processor counts a denormal as zero, as it does while the engine runs. The C
// library reads its bits: what it makes of them is then neither the answer of the denormal nor that
// of zero.
template <class T>
inline T flushed(T a) {
  if constexpr (is_integer<T>) return a;
  return a == 0 ? std::copysign(T(0), a) : a;
}
template <class T>
inline T power(T a, T b) {
  if constexpr (is_integer<T>)
    return saturate<T>(std::pow(static_cast<double>(a), static_cast<double>(b)));
  return std::pow(flushed(a), b);
}

template <class T>
inline T exp(T a) {
  return through_real(a, [](auto x) { return std::exp(x); });
}
template <class T>
inline T log(T a) {
  return through_real(a, [](auto x) { return std::log(flushed(x)); });
}
template <class T>
inline T log1p(T a) {
  return through_real(a, [](auto x) { return std::log1p(x); });
}
template <class T>
inline T expm1(T a) {
  return through_real(a, [](auto x) { return std::expm1(x); });
}
template <class T>
inline T sqrt(T a) {
  return through_real(a, [](auto x) { return std::sqrt(x); });
}
template <class T>
inline T rsqrt(T a) {
  return through_real(a, [](auto x) { return 1 / std::sqrt(x); });
}
template <class T>
inline T tanh(T a) {
  return through_real(a, [](auto x) { return std::tanh(x); });
}
template <class T>
inline T sigmoid(T a) {
  return through_real(a, [](auto x) {
    auto e = std::exp(-std::abs(x));
    return x < 0 ? e / (1 + e) : 1 / (1 + e);
  });
}
template <class T>
inline T erf(T a) {
  return through_real(a, [](auto x) { return std::erf(x); });
}
template <class T>
inline T sin(T a) {
  return through_real(a, [](auto x) { return std::sin(x); });
}
template <class T>
inline T cos(T a) {
  return through_real(a, [](auto x) { return std::cos(x); });
}
template <class T>
inline T floor(T a) {
  if constexpr (is_integer<T>) return a;
  return std::floor(a);
}
template <class T>
inline T ceil(T a) {
  if constexpr (is_integer<T>) return a;
  return std::ceil(a);
}
template <class T>
inline T round_even(T a) {
  if constexpr (is_integer<T>) return a;
  return std::nearbyint(a);
}
template <class T>
inline T sign(T a) {
  return a > 0 ? T(1) : a < 0 ? T(-1) : a;
}
template <class T>
inline bool is_zero(T a) {
  return a == 0;
}
template <class T>
inline bool is_true(T a) {
  return a != 0;
}
template <class T>
inline bool is_finite(T a) {
  if constexpr (is_integer<T>) return true;
  return std::isfinite(a);
}
// NumPy's: a NaN on either side gives NaN.
template <class T>
inline T maximum(T a, T b) {
  return a != a || a > b ? a : b;
}
template <class T>
inline T minimum(T a, T b) {
  return a != a || a < b ? a : b;
}
template <class T>
inline T choose(bool condition, T a, T b) {
  return condition ? a : b;
}

}  // namespace nnrt::scalar
