// The loops of one instruction set that tile programs are made of: one per operator and kind of
// operands.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nnrt/types.h"

namespace nnrt {

enum class UnaryOperator : int {
#define NNC_UNARY(name, expression) name,
#include "nnrt/elementwise.def"
  count
};
enum class BinaryOperator : int {
#define NNC_BINARY(name, expression) name,
#include "nnrt/elementwise.def"
  count
};

// The comparisons that fuse with a select, in the order of TileTable::choose.
enum class Comparison : int { equal, not_equal, less, less_equal, greater, greater_equal, count };

// `count` elements of `out` from up to four operands; an operand is `count` elements or, where the
// loop's mask says so, one number. `out` may be one of the operands.
using TileLoopFunction = void (*)(void* out, const void* a, const void* b, const void* c,
                                  const void* d, int64_t count);
using ConvertFunction = void (*)(void* out, const void* in, int64_t count);

// In an index "mask", bit i says that operand i is one number.
struct TileTable {
  TileLoopFunction unary[static_cast<int>(UnaryOperator::count)];
  TileLoopFunction binary[static_cast<int>(BinaryOperator::count)][4];
  TileLoopFunction select[8];
  TileLoopFunction multiply_add[8];         // a * b + c
  TileLoopFunction negate_multiply_add[8];  // c - a * b
  TileLoopFunction add_maximum[8];          // maximum(a + b, c)
  TileLoopFunction choose[static_cast<int>(Comparison::count)]
                         [16];  // select(a compared with b, c, d); a is never one number
  TileLoopFunction copy;
  TileLoopFunction splat;
  ConvertFunction load[kDTypeCount];   // from a buffer's type
  ConvertFunction store[kDTypeCount];  // to a buffer's type
  // Elements first, first + 1, ... of a random stream.
  void (*uniform)(void* out, uint64_t seed, uint64_t step, uint32_t stream, int64_t first,
                  int64_t count);
};

// Plain loops for programs that compute in f32, f64 or i64.
const TileTable* scalar_tile_table_of(DType compute);

}  // namespace nnrt
