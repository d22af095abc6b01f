// A copy of the variables that a program changes, to go back to; and whether they are finite now.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

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
  // Whether a value of a variable, on the device, is.
  bool is_finite(size_t index, const char* value) const;

  Executable& executable_;
  std::vector<Executable::Target> copies_;
  std::vector<size_t> watched_;
  std::unique_ptr<DeviceMemory> memory_;
  uint64_t step_ = 0;
  uint64_t version_ = 0;
};

}  // namespace nnrt
