// An executor: one thread's context for running an executable. It holds the arena and the bindings,
// at most kMaxBindings for each program. After the first run at a size, a run allocates nothing.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/arena.h"
#include "core/barrier.h"
#include "core/binding.h"
#include "nnrt/executable.h"

namespace nnrt {

struct ShapeView {
  const int64_t* dims = nullptr;
  size_t rank = 0;
};

// Work to be done by the run's threads before the program's steps (the trainer gathers its batch
// there).
struct Prologue {
  void (*run)(const void* arguments, int64_t begin, int64_t end) = nullptr;
  const void* arguments = nullptr;
  int64_t units = 0;
};

class Executor {
 public:
  explicit Executor(Executable& executable);

  // The binding for these shapes, one for each input of the program (clocks included); made where
  // there is none. Valid until the next call of `bind`.
  Binding& bind(size_t program, const ShapeView* shapes, size_t count);
  // The same from the values of the plan's symbols.
  Binding& bind_symbols(size_t program, const std::vector<int64_t>& symbols);

  // `inputs` and `outputs`: dense memory for each input and output of the program, outputs 64-byte
  // aligned.
  void run(size_t program, Binding& binding, const void* const* inputs, void* const* outputs,
           const RunState& state, const Prologue& prologue = {});

  // The first index that lay outside in the last run, of the first step that has one.
  static std::optional<IndexError> take_fault(Binding& binding);

  // What an output of this binding holds.
  const TensorInfo& output_info(size_t program, const Binding& binding, size_t output) const;

  size_t arena_bytes() const { return arena_.bytes(); }
  Executable& executable() { return executable_; }

 private:
  static constexpr size_t kMaxBindings = 16;

  Binding* find(size_t program);
  Binding& add(size_t program, std::unique_ptr<Binding> binding);
  void check_shapes(size_t program, const Binding& binding, const ShapeView* shapes) const;
  void resolve(Binding& binding);
  void resolve_part(Binding& binding, BoundPart& part);
  void patch(Binding& binding, const void* const* inputs, void* const* outputs);
  void prepare(Binding& binding);
  void run_locked(Binding& binding, void* const* outputs, const Prologue& prologue);
  template <class Body>
  void run_side_by_side(Binding& binding, Body body);
  // Thread `number` of `workers` of a run does these of the binding's shares.
  struct Worker {
    int number;
    int workers;
    int first;  // share
    int last;
  };
  void* scratch_of(const Binding& binding, const BoundStep& step, int share) const;
  void work_phase(const Binding& binding, const BoundStep& step, const Phase& phase,
                  const Worker& worker) const;
  void work(Binding& binding, const Prologue& prologue, const Worker& worker);
  void work_prepare(Binding& binding, const Worker& worker);
  void work_phases(Binding& binding, const BoundPart& part, const Worker& worker, bool waiting);
  void work_timed(Binding& binding, const Worker& worker);

  Executable& executable_;
  Arena arena_;
  Barrier barrier_;
  RunState state_;
  std::vector<std::vector<std::unique_ptr<Binding>>> bindings_;
  std::vector<int64_t> symbols_;  // of the call at hand
  uint64_t uses_ = 0;
};

}  // namespace nnrt
