// The memory of a context: what lies between the steps of a run.
#pragma once

#include <cstddef>
#include <cstdint>

#include "nnrt/memory.h"

namespace nnrt {

// One block that only grows, its pages touched once; in guarded memory, one of exactly the layout
// last asked for. `generation` changes when it moved.
class Arena {
 public:
  void reserve(const Layout& layout);  // throws Error when there is not that much memory
  char* data() const { return block_.data(); }
  size_t bytes() const { return block_.bytes(); }
  uint64_t generation() const { return generation_; }

 private:
  Block block_;
  Layout layout_;
  uint64_t generation_ = 0;
};

}  // namespace nnrt
