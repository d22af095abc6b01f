// An executor: one thread's context for running an executable. It holds the bound programs, at most
// kMaxBound for each program. After the first run at a size, a run allocates nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nnrt/backend.h"
#include "nnrt/executable.h"

namespace nnrt {

struct ShapeView {
  const int64_t* dims = nullptr;
  size_t rank = 0;
};

class Executor {
 public:
  explicit Executor(Executable& executable);

  // The program at these shapes, one for each of its inputs (clocks included); bound where it is
  // not yet. Valid until the next call of `bind`.
  BoundProgram& bind(size_t program, const ShapeView* shapes, size_t count);
  // The same from the values of the plan's symbols.
  BoundProgram& bind_symbols(size_t program, const std::vector<int64_t>& symbols);

  // Waits for runs that change the variables, or for all where this one does.
  void run(size_t program, BoundProgram& bound, const RunRequest& request);

  // What an output of the bound program holds.
  const TensorInfo& output_info(size_t program, const BoundProgram& bound, size_t output) const;

  Executable& executable() { return executable_; }

 private:
  static constexpr size_t kMaxBound = 16;

  struct Entry {
    std::vector<int64_t> symbols;
    uint64_t last_use = 0;
    std::unique_ptr<BoundProgram> bound;
  };

  BoundProgram* find(size_t program);
  BoundProgram& add(size_t program, std::unique_ptr<BoundProgram> bound);
  void check_shapes(size_t program, const BoundProgram& bound, const ShapeView* shapes) const;

  Executable& executable_;
  std::unique_ptr<Context> context_;
  std::vector<std::vector<Entry>> entries_;  // by program
  std::vector<int64_t> symbols_;             // of the call at hand
  uint64_t uses_ = 0;
};

}  // namespace nnrt
