// Tile programs as code to be bound: parsed, and with neighbouring operations made one.
#pragma once

#include <cstdint>
#include <vector>

#include "nnrt/plan.h"

namespace nnrt {

enum class TileOp : uint8_t {
  load,
  constant,
  dim,
  uniform,
  store,
  unary,
  binary,
  select,
  multiply_add,
  negate_multiply_add,
  add_maximum,
  choose
};

// Instruction i defines value i.
struct TileCode {
  TileOp op = TileOp::load;
  int code = 0;               // of a unary, binary or choose
  std::vector<int> operands;  // values
  int slot = -1;
  double number = 0;
  uint32_t stream = 0;
  int uses = 0;
  bool needed = false;
};

// The program has passed check_tile_program.
std::vector<TileCode> parse_tile(const TileProgram& program);

// a * b + c, c - a * b, maximum(a + b, c) and select(a < b, c, d) become one instruction each.
// `varies`: which values differ from element to element; what follows from numbers alone is left as
// it is, it costs nothing.
void fuse_tile(std::vector<TileCode>& code, const std::vector<bool>& varies, DType compute);

}  // namespace nnrt
