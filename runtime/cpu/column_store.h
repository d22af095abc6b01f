// Columns that a step stores directly where a later step would copy them (cpu/engine/columns.h).
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/kernel.h"

namespace nnrt {

// Columns [begin, end) of the last axis of a tensor and where they go: column c of row r to
// [r * row + at + c - begin] of another.
struct ColumnStore {
  int64_t begin = 0, end = 0;
  int64_t row = 0, at = 0;
  bool stream = false;  // with non-temporal stores
};

// The work of a kernel that only copies columns of its operands to result 0.
struct ColumnCopies {
  std::vector<ColumnStore> moves;  // of each operand
  // Removes the marked operands from the kernel's work.
  void (*leave)(BoundKernel& kernel, const std::vector<bool>& operands) = nullptr;
};

}  // namespace nnrt
