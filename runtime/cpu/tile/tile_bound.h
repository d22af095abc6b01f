// A tile program bound to actual sizes: what cpu/tile/tile_bind.cpp makes and cpu/tile/tile_run.cpp
// runs.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cpu/tile/tile.h"
#include "cpu/tile/tile_table.h"

namespace nnrt {

// Where a value's elements are found while a chunk of the domain runs.
enum class TilePlace : uint8_t {
  number,       // one number, computed once a run
  cache,        // a register: a chunk of scratch
  buffer,       // in the buffer itself: advances with the domain
  pattern,      // the buffer repeats: expanded in scratch to a chunk and one period
  long_pattern  // the buffer repeats, each period longer than a chunk: read in place, chunks end at
                // a period's end
};

struct TileValue {
  TilePlace place = TilePlace::number;
  int slot = -1;             // of a load
  int64_t offset = 0;        // in scratch: number, cache, pattern
  int64_t period = 0;        // patterns
  DType dtype = DType::f32;  // of the buffer
};

struct TileStep {
  enum class Kind : uint8_t { compute, uniform, convert, broadcast } kind = Kind::compute;
  TileLoopFunction function = nullptr;
  ConvertFunction load = nullptr;  // convert, broadcast: from the buffer's type
  int out = -1;                    // values
  int operands[4] = {0, 0, 0, 0};
  int operand_count = 0;
  uint32_t stream = 0;  // uniform
  int slot = -1;        // convert, broadcast
  int64_t period = 0;   // convert: the buffer repeats after so many elements (0: it does not)
  size_t item = 0;      // bytes of an element in the buffer
  std::vector<int64_t> strides;  // broadcast: of the collapsed domain, innermost last, in elements
};

struct TileStore {
  int value = -1;
  int slot = -1;
  ConvertFunction store = nullptr;  // null: the value was computed in place
  size_t item = 0;
};

struct TileConstant {
  int value = -1;
  double number = 0;
};

struct TileNumberLoad {
  int value = -1;
  int slot = -1;
  ConvertFunction load = nullptr;
};

struct BoundTile {
  DType compute = DType::f32;
  const TileTable* table = nullptr;
  int64_t elements = 1;
  int64_t chunk = 0;  // elements that pass through the registers at a time
  int64_t unit = 0;   // elements of a work unit, where the program is the kernel
  int load_count = 0;
  int store_count = 0;
  bool stores_cover = true;
  std::optional<RegisterEpilogue> epilogue;
  Shape domain;
  std::vector<int64_t> dims;  // the collapsed domain, outermost first
  std::vector<TileValue> values;
  std::vector<TileConstant> constants;
  std::vector<TileNumberLoad> number_loads;
  std::vector<TileStep> number_steps;  // on single numbers, once a run
  std::vector<int>
      moving;  // values in buffers and patterns: their pointers change from chunk to chunk
  std::vector<int> advancing;  // slots of loads of f32 with the domain's shape
  std::vector<TileStep> steps;
  std::vector<TileStore> stores;
  int result = -1;           // the value of store slot 0
  size_t scratch_bytes = 0;  // begins with a table of pointers, one per value
};

}  // namespace nnrt
