// Elementary functions on Vec<float, N>, and the names elementwise.def uses. Inside the namespace
// of the instruction set, like vector.h. Largest error, measured against double over the whole
// range of float by tests/cpp/test_vector_math.cpp: 4 units in the last place, denormal results
// included. NaN in gives NaN out; overflow gives infinity.
#pragma once

#include "cpu/isa/vector.h"
#include "cpu/scalar.h"

namespace nnrt::NNC_ISA {

template <int N>
using FloatN = Vec<float, N>;
template <int N>
using IntN = Vec<int32_t, N>;
template <int N>
using MaskN = Mask<float, N>;

template <int N>
NNC_INLINE FloatN<N> splat(float value) {
  return FloatN<N>::broadcast(value);
}

// Horner's scheme, highest power first.
template <int N, class... Rest>
NNC_INLINE FloatN<N> polynomial(FloatN<N> x, float highest, Rest... rest) {
  FloatN<N> result = splat<N>(highest);
  ((result = fma(result, x, splat<N>(rest))), ...);
  return result;
}

template <int N>
NNC_INLINE IntN<N> bits_of(FloatN<N> a) {
  return reinterpret<int32_t>(a);
}
template <int N>
NNC_INLINE FloatN<N> float_of(IntN<N> a) {
  return reinterpret<float>(a);
}
template <int N>
NNC_INLINE IntN<N> as_integer(MaskN<N> a) {
  return {(typename IntN<N>::Native)a.v};
}
template <int N>
NNC_INLINE FloatN<N> truth(MaskN<N> a) {
  return choose(a, splat<N>(1.0f), splat<N>(0.0f));
}
template <int N>
NNC_INLINE FloatN<N> absolute(FloatN<N> a) {
  return float_of<N>({bits_of(a).v & 0x7fffffff});
}
// The magnitude of a with the sign of b.
template <int N>
NNC_INLINE FloatN<N> copy_sign(FloatN<N> a, FloatN<N> b) {
  return float_of<N>({(bits_of(a).v & 0x7fffffff) | (bits_of(b).v & int32_t(0x80000000))});
}

// 2^n for -126 <= n <= 127.
template <int N>
NNC_INLINE FloatN<N> power_of_two(IntN<N> n) {
  return float_of<N>({(n.v + 127) << 23});
}

// x = n ln 2 + r with |r| <= ln(2) / 2, for |x| < 200.
template <int N>
struct ExpReduction {
  IntN<N> n;
  FloatN<N> r;
};
template <int N>
NNC_INLINE ExpReduction<N> reduce_exp(FloatN<N> x) {
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the significand.
  const FloatN<N> magic = splat<N>(12582912.0f);
  FloatN<N> shifted = fma(x, splat<N>(1.44269504f), magic);
  FloatN<N> n = shifted - magic;
  FloatN<N> r = fma(n, splat<N>(-0.693145752f), x);  // ln 2 to 15 bits, so the product is exact
  r = fma(n, splat<N>(-1.42860677e-6f), r);
  return {{bits_of(shifted).v - bits_of(magic).v}, r};
}
// e^r - 1 - r = r^2 p(r) for |r| <= ln(2) / 2.
template <int N>
NNC_INLINE FloatN<N> exp_tail(FloatN<N> r) {
  return polynomial<N>(r, 0.0013952970039f, 0.0083703212440f, 0.0416661687195f, 0.1666650623083f,
                       0.5f);
}

template <int N>
NNC_INLINE FloatN<N> exp(FloatN<N> x) {
  FloatN<N> clamped = choose(x < splat<N>(-105.0f), splat<N>(-105.0f), x);
  clamped = choose(clamped > splat<N>(90.0f), splat<N>(90.0f), clamped);
  auto [n, r] = reduce_exp(clamped);
  FloatN<N> y = fma(r * r, exp_tail(r), r) + 1.0f;
  // Two factors, so that results beyond 2^127 and below 2^-126 round as they should.
  IntN<N> half = {n.v >> 1};
  return y * power_of_two(half) * power_of_two(IntN<N>{n.v - half.v});
}

template <int N>
NNC_INLINE FloatN<N> expm1(FloatN<N> x) {
  FloatN<N> clamped = choose(x < splat<N>(-30.0f), splat<N>(-30.0f), x);
  clamped = choose(clamped > splat<N>(88.8f), splat<N>(88.8f), clamped);
  auto [n, r] = reduce_exp(clamped);
  FloatN<N> y = fma(r * r, exp_tail(r), r);
  // e^x - 1 = 2 (h y + (h - 1/2)) with h = 2^(n-1), which does not overflow before the result does.
  FloatN<N> h = power_of_two(IntN<N>{n.v - 1});
  FloatN<N> result = fma(h, y, h - 0.5f);
  result = result + result;
  return choose(absolute(x) < splat<N>(1e-12f), x, result);
}

// x = m 2^e with sqrt(1/2) <= m < sqrt(2), for x > 0.
template <int N>
NNC_INLINE FloatN<N> log(FloatN<N> x) {
  MaskN<N> denormal = x < splat<N>(1.17549435e-38f);
  FloatN<N> scaled = choose(denormal, x * 33554432.0f, x);  // 2^25
  IntN<N> bits = {bits_of(scaled).v & 0x7fffffff};          // a negative x has no logarithm anyway
  // Subtracting the bits of sqrt(1/2) makes the exponent field the wanted e, whatever half of the
  // octave x is in.
  IntN<N> exponent = {(bits.v - 0x3f3504f3) >> 23};
  FloatN<N> m = float_of<N>({bits.v - (exponent.v << 23)});
  FloatN<N> e = convert<float>(exponent) - choose(denormal, splat<N>(25.0f), splat<N>(0.0f));
  FloatN<N> f = m - 1.0f;
  FloatN<N> p =
      polynomial<N>(f, 0.0674660131f, -0.1167564094f, 0.1188817471f, -0.1240559146f, 0.1421955079f,
                    -0.1666799635f, 0.2000211924f, -0.2500000894f, 0.3333331347f);
  FloatN<N> f2 = f * f;
  // log(1 + f) = f - f^2 / 2 + f^3 p(f), and e ln 2 in two parts, smallest first.
  FloatN<N> result = fma(e, splat<N>(1.42860677e-6f), f2 * f * p);
  result = fma(f2, splat<N>(-0.5f), result) + f;
  result = fma(e, splat<N>(0.693145752f), result);
  const float infinity = std::numeric_limits<float>::infinity();
  result = choose(x < splat<N>(infinity), result, x);  // infinity and NaN stay
  result = choose(x == splat<N>(0.0f), splat<N>(-infinity), result);
  return choose(x < splat<N>(0.0f), splat<N>(std::numeric_limits<float>::quiet_NaN()), result);
}

template <int N>
NNC_INLINE FloatN<N> log1p(FloatN<N> x) {
  FloatN<N> u = x + 1.0f;
  // What rounding 1 + x lost, to first order.
  FloatN<N> correction = (x - (u - 1.0f)) / u;
  FloatN<N> result = log(u) + correction;
  MaskN<N> plain = (u == splat<N>(0.0f)) | (u > splat<N>(3.0e38f));
  result = choose(plain, log(u), result);
  return choose(x == splat<N>(0.0f), x, result);
}

template <int N>
NNC_INLINE FloatN<N> tanh(FloatN<N> x) {
  // With t = e^(-2|x|) - 1: tanh |x| = -t / (t + 2).
  FloatN<N> t = expm1(absolute(x) * -2.0f);
  return copy_sign(-t / (t + 2.0f), x);
}

template <int N>
NNC_INLINE FloatN<N> sigmoid(FloatN<N> x) {
  // e <= 1 on both sides, so small results keep their precision.
  FloatN<N> e = exp(-absolute(x));
  FloatN<N> one = splat<N>(1.0f);
  return choose(x < splat<N>(0.0f), e, one) / (one + choose(x == x, e, x));
}

template <int N>
NNC_INLINE FloatN<N> erf(FloatN<N> x) {
  FloatN<N> t = absolute(x);
  FloatN<N> s = x * x;
  FloatN<N> small =
      polynomial<N>(s, 8.345225069e-5f, -8.137437399e-4f, 5.200634245e-3f, -2.685927040e-2f,
                    1.128369421e-1f, -3.761263490e-1f, 1.283791661e-1f);
  small = fma(small, x, x);
  // erf t = 1 - e^q(t)
  FloatN<N> bounded = choose(t > splat<N>(4.0f), splat<N>(4.0f), t);
  FloatN<N> q = polynomial<N>(bounded, -2.0828629e-5f, 4.3139368e-4f, -4.1562556e-3f, 2.5080618e-2f,
                              -1.08220384e-1f, -6.33400857e-1f, -1.129488349f, 1.69205276e-4f);
  FloatN<N> large = copy_sign(splat<N>(1.0f) - exp(q), x);
  FloatN<N> result = choose(t < splat<N>(0.92f), small, large);
  return choose(x == x, result, x);
}

// sin(x + quarter * pi / 2). The reduction runs in double: the lanes of one register, converted,
// fill two.
template <int N>
NNC_INLINE FloatN<N> sine(FloatN<N> x, int32_t quarter) {
  typedef double Wide __attribute__((vector_size(sizeof(double) * N)));
  Wide wide = __builtin_convertvector(x.v, Wide);
  // 1.5 * 2^52: as in reduce_exp. n pi / 2 is exact to 2^-50 for |n| < 2^20.
  Wide shifted = wide * 0.63661977236758134308 + 6755399441055744.0;
  Wide n = shifted - 6755399441055744.0;
  Wide reduced = (wide - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11;
  FloatN<N> r = {__builtin_convertvector(reduced, typename FloatN<N>::Native)};
  IntN<N> q = {__builtin_convertvector(n, typename IntN<N>::Native) + quarter};
  FloatN<N> s = r * r;
  FloatN<N> sin_r =
      fma(r * s, polynomial<N>(s, -1.951083832e-4f, 8.332131431e-3f, -1.666665375e-1f), r);
  FloatN<N> cos_r = fma(s * s, polynomial<N>(s, 2.442567893e-5f, -1.388725126e-3f, 4.166664556e-2f),
                        fma(s, splat<N>(-0.5f), splat<N>(1.0f)));
  MaskN<N> odd = {(q.v & 1) != 0};
  IntN<N> sign = {(q.v & 2) << 30};
  FloatN<N> result = choose(odd, cos_r, sin_r);
  result = float_of<N>({bits_of(result).v ^ sign.v});
  // Far out, where the reduction has no digits left, lane by lane; infinity and NaN give NaN there.
  constexpr float limit = 1e6f;
  for (int lane = 0; lane < N; ++lane) {
    if (!(std::fabs(x.v[lane]) < limit)) {
      double value = x.v[lane];
      result.v[lane] = static_cast<float>(quarter ? std::cos(value) : std::sin(value));
    }
  }
  return result;
}
template <int N>
NNC_INLINE FloatN<N> sin(FloatN<N> x) {
  return choose(x == splat<N>(0.0f), x, sine(x, 0));
}
template <int N>
NNC_INLINE FloatN<N> cos(FloatN<N> x) {
  return sine(x, 1);
}

template <int N>
NNC_INLINE FloatN<N> sqrt(FloatN<N> a) {
#if defined(__x86_64__) && NNC_VECTOR_BYTES >= 64
  if constexpr (N == 16) return {_mm512_maskz_sqrt_ps(__mmask16(-1), a.v)};
#endif
#if defined(__x86_64__) && NNC_VECTOR_BYTES >= 32
  if constexpr (N == 8) return {_mm256_sqrt_ps(a.v)};
#endif
#if defined(__x86_64__)
  if constexpr (N == 4) return {_mm_sqrt_ps(a.v)};
#endif
  FloatN<N> result;
  for (int lane = 0; lane < N; ++lane) result.v[lane] = __builtin_sqrtf(a.v[lane]);
  return result;
}
template <int N>
NNC_INLINE FloatN<N> rsqrt(FloatN<N> a) {
  return splat<N>(1.0f) / sqrt(a);
}

// Beyond 2^23 every float is an integer, and so are infinity and NaN for these purposes.
template <int N>
NNC_INLINE FloatN<N> keep_large(FloatN<N> a, FloatN<N> rounded) {
  return choose(absolute(a) < splat<N>(8388608.0f), copy_sign(rounded, a), a);
}
template <int N>
NNC_INLINE FloatN<N> truncate(FloatN<N> a) {
  FloatN<N> bounded = choose(absolute(a) < splat<N>(8388608.0f), a, splat<N>(0.0f));
  return convert<float>(convert<int32_t>(bounded));
}
template <int N>
NNC_INLINE FloatN<N> floor(FloatN<N> a) {
  FloatN<N> t = truncate(a);
  return keep_large(a, t - truth(t > a));
}
template <int N>
NNC_INLINE FloatN<N> ceil(FloatN<N> a) {
  FloatN<N> t = truncate(a);
  return keep_large(a, t + truth(t < a));
}
template <int N>
NNC_INLINE FloatN<N> round_even(FloatN<N> a) {
  const FloatN<N> magic = splat<N>(8388608.0f);
  return keep_large(a, (absolute(a) + magic) - magic);
}

template <int N>
NNC_INLINE FloatN<N> negate(FloatN<N> a) {
  return -a;
}
template <int N>
NNC_INLINE FloatN<N> reciprocal(FloatN<N> a) {
  return splat<N>(1.0f) / a;
}
template <int N>
NNC_INLINE FloatN<N> sign(FloatN<N> a) {
  FloatN<N> zero = splat<N>(0.0f);
  FloatN<N> one = splat<N>(1.0f);
  return choose(a > zero, one, choose(a < zero, -one, a));
}
template <int N>
NNC_INLINE MaskN<N> is_zero(FloatN<N> a) {
  return a == splat<N>(0.0f);
}
template <int N>
NNC_INLINE MaskN<N> is_true(FloatN<N> a) {
  return a != splat<N>(0.0f);
}
template <int N>
NNC_INLINE MaskN<N> is_finite(FloatN<N> a) {
  return absolute(a) < splat<N>(std::numeric_limits<float>::infinity());
}
template <int N>
NNC_INLINE FloatN<N> plus(FloatN<N> a, FloatN<N> b) {
  return a + b;
}
template <int N>
NNC_INLINE FloatN<N> minus(FloatN<N> a, FloatN<N> b) {
  return a - b;
}
template <int N>
NNC_INLINE FloatN<N> multiply(FloatN<N> a, FloatN<N> b) {
  return a * b;
}
template <int N>
NNC_INLINE FloatN<N> divide(FloatN<N> a, FloatN<N> b) {
  return a / b;
}

// Lane by lane, by the C library: exact remainders and powers are not worth a vector algorithm.
template <int N, class Function>
NNC_INLINE FloatN<N> by_lane(FloatN<N> a, FloatN<N> b, Function function) {
  FloatN<N> result;
  for (int lane = 0; lane < N; ++lane)
    result.v[lane] = function(float(a.v[lane]), float(b.v[lane]));
  return result;
}
template <int N>
NNC_INLINE FloatN<N> power(FloatN<N> a, FloatN<N> b) {
  return by_lane(a, b, [](float x, float y) { return scalar::power(x, y); });
}
template <int N>
NNC_INLINE FloatN<N> floor_modulo(FloatN<N> a, FloatN<N> b) {
  return by_lane(a, b, [](float x, float y) { return scalar::floor_modulo(x, y); });
}
template <int N>
NNC_INLINE FloatN<N> floor_divide(FloatN<N> a, FloatN<N> b) {
  return by_lane(a, b, [](float x, float y) { return scalar::floor_divide(x, y); });
}

}  // namespace nnrt::NNC_ISA
