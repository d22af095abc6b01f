// Elementary functions of every instruction set against double, over the whole range of float: at
// most 4 units in the last place.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cpu/engine/isa.h"
#include "cpu/kernel_tables.h"
#include "cpu/tile/tile_table.h"
#include "test.h"

namespace {

using nnrt::Isa;
using nnrt::UnaryOperator;

struct Function {
  const char* name;
  UnaryOperator code;
  std::function<double(double)> exact;
  double limit;  // largest error in units in the last place of the exact result
};

float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// The distance of neighbouring floats at the magnitude of `exact`, denormals included.
double unit_in_last_place(double exact) {
  double magnitude = std::fabs(exact);
  if (magnitude < 0x1p-126) return 0x1p-149;
  return std::ldexp(1.0, std::ilogb(magnitude) - 23);
}

double error_of(float found, double exact) {
  if (std::isnan(exact)) return std::isnan(found) ? 0 : 1e9;
  if (std::isnan(found)) return 1e9;
  float rounded = static_cast<float>(exact);
  if (std::isinf(rounded) || std::isinf(found)) {
    // At the edge of overflow one may already be infinite.
    if (rounded == found) return 0;
    return std::fabs(exact) > 3.4028e38 ? 1 : 1e9;
  }
  return std::fabs(found - exact) / unit_in_last_place(exact);
}

double worst_error(const nnrt::TileTable& table, const Function& function, float* worst_at) {
  constexpr size_t block = 4096;
  constexpr uint32_t step = 2003;  // a prime: about 2 million numbers, all exponents and signs
  std::vector<float> in(block), out(block);
  double worst = 0;
  auto run = [&](size_t count) {
    table.unary[static_cast<int>(function.code)](out.data(), in.data(), nullptr, nullptr, nullptr,
                                                 static_cast<int64_t>(count));
    for (size_t i = 0; i < count; ++i) {
      double error = error_of(out[i], function.exact(in[i]));
      if (error > worst) {
        worst = error;
        *worst_at = in[i];
      }
    }
  };
  size_t filled = 0;
  auto add = [&](float value) {
    in[filled++] = value;
    if (filled == block) {
      run(block);
      filled = 0;
    }
  };
  for (uint64_t bits = 0; bits <= 0xffffffffull; bits += step)
    add(from_bits(static_cast<uint32_t>(bits)));
  for (float x = -110.0f; x < 110.0f; x += 0.00037f) add(x);
  for (float x = -4.0f; x < 4.0f; x += 0.0000131f) add(x);
  for (uint32_t special :
       {0x00000000u, 0x80000000u, 0x7f800000u, 0xff800000u, 0x7fc00000u, 0x00000001u, 0x807fffffu,
        0x7f7fffffu, 0xff7fffffu, 0x3f800000u, 0xbf800000u, 0x4b000000u, 0xcb000001u, 0x3f000000u,
        0xbf000000u, 0x4affffffu, 0x3fc00000u, 0x40200000u}) {
    add(from_bits(special));
  }
  run(filled);  // a partial vector as well
  return worst;
}

}  // namespace

int main() {
  using U = UnaryOperator;
  const std::vector<Function> functions = {
      {"exp", U::exp, [](double x) { return std::exp(x); }, 4},
      {"log", U::log, [](double x) { return std::log(x); }, 4},
      {"log1p", U::log1p, [](double x) { return std::log1p(x); }, 4},
      {"expm1", U::expm1, [](double x) { return std::expm1(x); }, 4},
      {"tanh", U::tanh, [](double x) { return std::tanh(x); }, 4},
      {"sigmoid", U::sigmoid,
       [](double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); },
       4},
      {"erf", U::erf, [](double x) { return std::erf(x); }, 4},
      {"sin", U::sin, [](double x) { return std::sin(x); }, 4},
      {"cos", U::cos, [](double x) { return std::cos(x); }, 4},
      {"sqrt", U::sqrt, [](double x) { return std::sqrt(x); }, 0.5001},
      {"rsqrt", U::rsqrt, [](double x) { return 1 / std::sqrt(x); }, 2},
      {"reciprocal", U::reciprocal, [](double x) { return 1 / x; }, 0.5001},
      {"floor", U::floor, [](double x) { return std::floor(x); }, 0},
      {"ceil", U::ceil, [](double x) { return std::ceil(x); }, 0},
      {"round", U::round, [](double x) { return std::nearbyint(x); }, 0},
      {"neg", U::neg, [](double x) { return -x; }, 0},
      {"abs", U::abs, [](double x) { return std::fabs(x); }, 0},
      {"sign", U::sign, [](double x) { return x > 0   ? 1.0
                                              : x < 0 ? -1.0
                                                      : x; }, 0},
      {"is_finite", U::is_finite, [](double x) { return std::isfinite(x) ? 1.0 : 0.0; }, 0},
      {"logical_not", U::logical_not, [](double x) { return x == 0 ? 1.0 : 0.0; }, 0},
  };
  for (Isa isa : {Isa::reference, Isa::generic, Isa::avx2, Isa::avx512, Isa::neon}) {
    if (!nnrt::is_available(isa)) continue;
    const nnrt::TileTable& table = isa == Isa::reference
                                       ? *nnrt::scalar_tile_table_of(nnrt::DType::f32)
                                       : *nnrt::kernel_tables_of(isa).tile;
    for (const Function& function : functions) {
      float at = 0;
      double worst = worst_error(table, function, &at);
      if (!CHECK(worst <= function.limit)) {
        std::printf("  %s %s: %.2f ulp at %.9g\n", name_of(isa), function.name, worst,
                    static_cast<double>(at));
      } else if (isa != Isa::reference) {
        std::printf("%s %s: %.2f ulp\n", name_of(isa), function.name, worst);
      }
    }
  }
  return test::finish();
}
