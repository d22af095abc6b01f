// A copy of the variables that a program changes, to go back to; and whether they are finite now.
#pragma once

#include <cstdint>
#include <vector>

#include "core/arena.h"
#include "nnrt/executable.h"

namespace nnrt {

class Snapshot {
 public:
  // Takes the first copy. Values that are not finite in it are intended (a mask of -inf) and are no
  // fault later.
  Snapshot(Executable& executable, size_t program);

  void take();
  void restore();
  // The variables that were finite in the first copy and are not finite now, parameters first.
  std::vector<size_t> not_finite() const;

  // Of the copy, and those that a restored state has.
  uint64_t step() const { return step_; }
  uint64_t version() const { return version_; }

 private:
  Executable& executable_;
  std::vector<Executable::Target> copies_;
  std::vector<size_t> watched_;
  Block memory_;
  uint64_t step_ = 0;
  uint64_t version_ = 0;
};

// Whether a dense array holds no infinity and no NaN. Always true of integers.
bool all_finite(DType type, const void* data, size_t elements);

}  // namespace nnrt
