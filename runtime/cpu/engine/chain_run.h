// The arguments of a chain's phase (cpu/engine/chain.h).
#pragma once

#include <cstdint>
#include <vector>

#include "cpu/kernel.h"
#include "cpu/row_streaming.h"

namespace nnrt {

inline constexpr size_t kMostOperands = 8;  // of a step in a chain

// A kernel that works on the rows it is given.
struct ChainKernel {
  const Call* call = nullptr;
  RowKernel rows;
  size_t operands = 0;  // their number
};

// A kernel that consumes rows of the part before it and computes rows for the next, and the sums
// that consume these rows too (each unit is a part of the sums). If there are sums, row r / step of
// a part is among the rows that row r of the next part, with that RowKernel::step, depends on.
struct ChainPart {
  ChainKernel kernel;
  std::vector<ChainKernel> sums;
  size_t row_bytes = 0;
  // Rows in the scratch at a time, and their offset; unused in the last part.
  int64_t capacity = 0;
  size_t offset = 0;
};

// Units: `unit_rows` rows of the last part's result, band by band.
struct ChainArguments {
  std::vector<ChainPart> parts;
  int64_t band_rows = 1, unit_rows = 1;
  bool sums = false;  // some part has any

  int64_t rows() const { return parts.back().kernel.rows.rows; }
  int64_t image_units() const { return (rows() + unit_rows - 1) / unit_rows; }
};

void run_chain(const Call& call, int64_t begin, int64_t end);

}  // namespace nnrt
