// bf16: what a number is rounded to, and that the loops of every instruction set load and store the
// same bits; that moved elements stay as they are is tested from Python.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "cpu/engine/cpu_backend.h"
#include "cpu/engine/denormals.h"
#include "cpu/engine/isa.h"
#include "cpu/kernel_tables.h"
#include "cpu/tile/tile_table.h"
#include "test.h"

namespace {

using nnrt::BFloat16;
using nnrt::DType;
using nnrt::Isa;

float from_bits(uint32_t bits) { return std::bit_cast<float>(bits); }
BFloat16 of_bits(uint32_t bits) {
  BFloat16 value;
  value.bits = static_cast<uint16_t>(bits);
  return value;
}
bool is_nan(BFloat16 value) { return (value.bits & 0x7fff) > 0x7f80; }

void every_value_comes_back() {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const BFloat16 value = of_bits(bits);
    const float wide = static_cast<float>(value);
    CHECK(std::isnan(wide) == is_nan(value));
    if (!is_nan(value)) CHECK(BFloat16(wide).bits == bits);
    if (is_nan(value)) CHECK(BFloat16(wide).bits == ((bits & 0x8000) | 0x7fc0));
  }
}

// The neighbours of a number, and which of them is nearer, in double.
void rounds_to_the_nearest() {
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    const float value = from_bits(static_cast<uint32_t>(random()));
    if (!std::isfinite(value)) continue;
    const uint32_t below = std::bit_cast<uint32_t>(value) >> 16;  // toward zero
    const double low = static_cast<double>(static_cast<float>(of_bits(below)));
    // The value beyond the largest counts as the next power of two.
    const double high = (below & 0x7fff) == 0x7f7f
                            ? std::copysign(0x1p128, static_cast<double>(value))
                            : static_cast<double>(static_cast<float>(of_bits(below + 1)));
    const double to_low = std::fabs(static_cast<double>(value) - low);
    const double to_high = std::fabs(high - static_cast<double>(value));
    const bool up = to_high < to_low || (to_high == to_low && (below & 1) != 0);
    CHECK(BFloat16(value).bits == below + (up ? 1 : 0));
  }
}

void known_values() {
  const struct {
    uint32_t wide;
    uint16_t narrow;
  } pairs[] = {
      {0x3f800000, 0x3f80},  // 1
      {0x3f808000, 0x3f80},  // halfway to the next: to the even one
      {0x3f818000, 0x3f82},  // halfway: to the even one, upward
      {0x3f808001, 0x3f81}, {0x80000000, 0x8000}, {0x00008000, 0x0000},  // half of the smallest
      {0x00018000, 0x0002},                                              // denormals stay denormals
      {0x007fffff, 0x0080},  // to the smallest normal number
      {0x7f7fffff, 0x7f80},  // beyond the largest: infinity
      {0x7f7f7fff, 0x7f7f}, {0xff800000, 0xff80}, {0x7f800001, 0x7fc0},
      {0xff800001, 0xffc0}, {0x7fffffff, 0x7fc0}, {0xffc12345, 0xffc0},
  };
  for (const auto& pair : pairs) CHECK(BFloat16(from_bits(pair.wide)).bits == pair.narrow);
}

std::vector<uint32_t> patterns() {
  std::vector<uint32_t> found;
  std::mt19937 random(2);
  for (int i = 0; i < 20000; ++i) found.push_back(static_cast<uint32_t>(random()));
  for (uint32_t high = 0; high < 0x10000; high += 0x7f) {
    for (uint32_t low : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
      found.push_back(high << 16 | low);
  }
  return found;
}

// Every instruction set, at the lengths and offsets that leave a rest, and with denormals flushed.
void all_instruction_sets_agree() {
  const nnrt::FlushDenormals flush;
  const std::vector<uint32_t> wide = patterns();
  const int type = static_cast<int>(DType::bf16);
  for (Isa isa : {Isa::reference, Isa::generic, Isa::avx2, Isa::avx512, Isa::neon}) {
    if (!nnrt::is_available(isa)) continue;
    const nnrt::TileTable& table = isa == Isa::reference ? *nnrt::scalar_tile_table_of(DType::f32)
                                                         : *nnrt::kernel_tables_of(isa).tile;
    for (size_t first : {0, 1, 3}) {
      for (size_t count : {size_t{0}, size_t{1}, size_t{7}, size_t{16}, size_t{33}, size_t{4099},
                           wide.size() - first}) {
        std::vector<uint16_t> narrow(count + 1, 0xabcd);
        table.store[type](narrow.data(), wide.data() + first, static_cast<int64_t>(count));
        std::vector<uint32_t> back(count + 1, 0xabcdabcd);
        table.load[type](back.data(), narrow.data(), static_cast<int64_t>(count));
        bool same = narrow[count] == 0xabcd && back[count] == 0xabcdabcd;
        for (size_t i = 0; i < count && same; ++i) {
          same = narrow[i] == BFloat16(from_bits(wide[first + i])).bits &&
                 back[i] == static_cast<uint32_t>(narrow[i]) << 16;
        }
        if (!CHECK(same)) std::printf("  %s: %zu from %zu\n", name_of(isa), count, first);
      }
    }
  }
}

void other_types_go_by_way_of_float() {
  const int type = static_cast<int>(DType::bf16);
  const nnrt::TileTable& doubles = *nnrt::scalar_tile_table_of(DType::f64);
  const double real[] = {1.0 + 0x1p-8, 1.0 + 3 * 0x1p-8, -2.5, 1e300, -0.0};
  BFloat16 narrow[5];
  doubles.store[type](narrow, real, 5);
  for (int i = 0; i < 5; ++i) CHECK(narrow[i].bits == BFloat16(static_cast<float>(real[i])).bits);
  double back[5];
  doubles.load[type](back, narrow, 5);
  for (int i = 0; i < 5; ++i) CHECK(back[i] == static_cast<double>(static_cast<float>(narrow[i])));
  const nnrt::TileTable& wholes = *nnrt::scalar_tile_table_of(DType::i64);
  const BFloat16 numbers[] = {BFloat16(-2.75f), BFloat16(300.0f), of_bits(0x7fc0), of_bits(0x7f80)};
  int64_t whole[4];
  wholes.load[type](whole, numbers, 4);
  CHECK(whole[0] == -2 && whole[1] == 300 && whole[2] == 0);
  CHECK(whole[3] == std::numeric_limits<int64_t>::max());
}

void finite_is_looked_at() {
  std::vector<uint16_t> values(9000, 0x7f7f);
  CHECK(nnrt::all_finite(DType::bf16, values.data(), values.size()));
  for (uint16_t bad : {0x7f80, 0xff80, 0x7fc0, 0x7f81}) {
    values[8999] = bad;
    CHECK(!nnrt::all_finite(DType::bf16, values.data(), values.size()));
  }
}

void safetensors_hold_it() {
  const std::string header = R"({"w":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}})";
  std::string text(8, '\0');
  text[0] = static_cast<char>(header.size());
  text += header;
  text += std::string("\x80\x3f\x00\xc0\x00\x00", 6);
  const auto arrays = nnrt::read_safetensors(text, "weights");
  const nnrt::StoredArray& found = arrays.at("w");
  CHECK(found.info.dtype == DType::bf16 && found.info.shape == nnrt::Shape{3});
  CHECK(found.info.bytes() == 6);
}

}  // namespace

int main() {
  every_value_comes_back();
  rounds_to_the_nearest();
  known_values();
  all_instruction_sets_agree();
  other_types_go_by_way_of_float();
  finite_is_looked_at();
  safetensors_hold_it();
  return test::finish();
}
