// Copies between boxes: what transpose, concat, slice, pad and resize have in common. A box is
// walked with one stride per dimension on each side; elements are only moved, so their type does
// not matter, only their size.
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/column_store.h"
#include "cpu/kernel.h"

namespace nnrt {

// All strides and offsets in elements; dimensions outermost first, in the order of the target.
struct Box {
  std::vector<int64_t> dims;
  std::vector<int64_t> to_strides;
  std::vector<int64_t> from_strides;
  int64_t to_offset = 0;
  int64_t from_offset = 0;
};

// Row-major strides of a shape.
std::vector<int64_t> dense_strides(const Shape& shape);

// Appends phases that copy boxes[i] from operand i to result 0 (`boxes` do not overlap there),
// after filling the whole result with the bytes of `fill` where `fills`. Sets arguments, bytes and
// algorithm.
BoundKernel bind_boxes(const BindRequest& request, std::vector<Box> boxes, bool fills = false,
                       uint64_t fill = 0);

// Operand i of f32 is copied whole along all axes but the last, of which moves[i] says the columns:
// they may be left to whoever makes it.
void offer_moves(const BindRequest& request, std::vector<ColumnStore> moves, BoundKernel& bound);

// The bytes of a number as an element of the type, for `fill`.
uint64_t element_bits(DType type, double value);

}  // namespace nnrt
