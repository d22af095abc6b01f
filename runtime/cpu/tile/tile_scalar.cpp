// Tile loops one element at a time: the reference for float, and the only ones for double and
// int64_t.
#include <utility>

#include "cpu/scalar.h"
#include "cpu/tile/tile_table.h"
#include "nnrt/philox.h"

namespace nnrt {
namespace scalar {
namespace {

template <class T>
T fma(T a, T b, T c) {
  return plus(multiply(a, b), c);
}
template <class T>
T truth(T value) {
  return value;
}

template <class T>
struct Loop {
  template <class Operation, unsigned Mask, int Arity>
  static void run(void* out, const void* a, const void* b, const void* c, const void* d,
                  int64_t count) {
    auto at = [](const void* operand, int index, int64_t i) {
      return static_cast<const T*>(operand)[(Mask >> index & 1) ? 0 : i];
    };
    T* to = static_cast<T*>(out);
    for (int64_t i = 0; i < count; ++i) {
      if constexpr (Arity == 1) to[i] = Operation::apply(at(a, 0, i));
      if constexpr (Arity == 2) to[i] = Operation::apply(at(a, 0, i), at(b, 1, i));
      if constexpr (Arity == 3) to[i] = Operation::apply(at(a, 0, i), at(b, 1, i), at(c, 2, i));
      if constexpr (Arity == 4) {
        to[i] = Operation::apply(at(a, 0, i), at(b, 1, i), at(c, 2, i), at(d, 3, i));
      }
    }
  }
};

#include "cpu/tile/tile_operations.inc"

template <class To, class From>
To converted(From value) {
  if constexpr (std::is_floating_point_v<From> && is_integer<To>) {
    return saturate<To>(static_cast<double>(value));
  } else {
    return static_cast<To>(value);
  }
}
template <class To, class From>
void convert_loop(void* out, const void* in, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    static_cast<To*>(out)[i] = converted<To>(static_cast<const From*>(in)[i]);
  }
}
// A bool is a byte that is zero or not.
template <class T>
void load_bool(void* out, const void* in, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    static_cast<T*>(out)[i] = static_cast<const uint8_t*>(in)[i] != 0;
}
template <class T>
void store_bool(void* out, const void* in, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    static_cast<uint8_t*>(out)[i] = static_cast<const T*>(in)[i] != 0;
}

template <class T>
void uniform(void* out, uint64_t seed, uint64_t step, uint32_t stream, int64_t first,
             int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    uint64_t element = static_cast<uint64_t>(first + i);
    PhiloxWords words = philox_block(seed, step, stream, element / 4);
    static_cast<T*>(out)[i] = static_cast<T>(philox_uniform(words[element % 4]));
  }
}

template <class T>
constexpr TileTable complete_table() {
  TileTable table = make_tile_table<Loop<T>>();
  auto set = [&table]<class Buffer>(DType type, Buffer) {
    table.load[static_cast<int>(type)] = &convert_loop<T, Buffer>;
    table.store[static_cast<int>(type)] = &convert_loop<Buffer, T>;
  };
  set(DType::f32, float{});
  set(DType::f64, double{});
  set(DType::i32, int32_t{});
  set(DType::i64, int64_t{});
  set(DType::u8, uint8_t{});
  table.load[static_cast<int>(DType::boolean)] = &load_bool<T>;
  table.store[static_cast<int>(DType::boolean)] = &store_bool<T>;
  table.uniform = &uniform<T>;
  return table;
}

}  // namespace
}  // namespace scalar

template <class T>
const TileTable& scalar_tile_table() {
  static constexpr TileTable table = scalar::complete_table<T>();
  return table;
}
template const TileTable& scalar_tile_table<float>();
template const TileTable& scalar_tile_table<double>();
template const TileTable& scalar_tile_table<int64_t>();

}  // namespace nnrt
