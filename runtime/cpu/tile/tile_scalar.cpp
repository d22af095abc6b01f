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
  if constexpr (!is_integer<From> && is_integer<To>) {
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
#define NNC_DTYPE(type, name, Storage, kind, stored)                     \
  table.load[static_cast<int>(DType::type)] = &convert_loop<T, Storage>; \
  table.store[static_cast<int>(DType::type)] = &convert_loop<Storage, T>;
#include "nnrt/dtypes.def"
  table.uniform = &uniform<T>;
  return table;
}

template <class T>
constexpr TileTable kTable = complete_table<T>();

}  // namespace
}  // namespace scalar

const TileTable* scalar_tile_table_of(DType compute) {
  if (compute == DType::f64) return &scalar::kTable<double>;
  return compute == DType::i64 ? &scalar::kTable<int64_t> : &scalar::kTable<float>;
}

}  // namespace nnrt
