// An executable: a checked plan with the memory of its variables on a device, shared by all
// threads. Each thread that runs it does so in a context of its own, an executor (core/executor.h),
// lent from a pool.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <vector>

#include "nnrt/backend.h"
#include "nnrt/options.h"
#include "nnrt/plan.h"
#include "nnrt/program.h"

namespace nnrt {

class Executor;
class StateLock;

class Executable {
 public:
  // Throws Error unless the plan passes check_plan, the device supports its kernels and its
  // variables fit in memory. Variables start as zeros.
  explicit Executable(Plan plan, const Options& options = options_from_environment());
  Executable(Plan plan, const Options& options, std::unique_ptr<Backend> backend);
  ~Executable();
  Executable(const Executable&) = delete;
  Executable& operator=(const Executable&) = delete;

  struct Entry {
    std::string name;
    const Program* program;
    ProgramInfo info;
  };

  const Plan& plan() const;
  const Options& options() const;
  Backend& backend() const;
  const std::vector<Entry>& programs() const;
  size_t program_index(const std::string& name) const;  // throws Error
  bool has_program(const std::string& name) const;

  size_t variable_index(const std::string& name) const;  // throws Error
  size_t variable_bytes(size_t index) const;
  // Its address on the device.
  char* variable(size_t index) const;

  // One variable's memory outside of the executable: `bytes` must be variable_bytes.
  template <class Pointer>
  struct Value {
    size_t index;
    Pointer data;
    size_t bytes;
    bool on_device = false;  // `data` is an address of the device, not of the host
  };
  using Source = Value<const void*>;
  using Target = Value<void*>;
  // Copies all in at once, and sets `step` where one is given. Waits for running calls. Gives the
  // new version.
  uint64_t set_variables(const std::vector<Source>& values, const uint64_t* step = nullptr);
  void set_variable(size_t index, const void* data, size_t bytes) {
    set_variables({{index, data, bytes}});
  }
  // Copies all out: one state, that between two steps. Gives its `step`.
  uint64_t read_variables(const std::vector<Target>& values);

  // Keeps the variables as they are for longer than a call, such as a pass over a data set
  // (core/state_lock.h). Taken before `mutex`.
  StateLock& state();
  // Readers run side by side; a program that updates variables runs alone.
  std::shared_mutex& mutex() const;
  uint64_t version() const;
  uint64_t variables_changed();
  // Steps of training that the variables have behind them: what a run's `RunState::step` was,
  // and 1.
  uint64_t step() const;
  void set_step(uint64_t step);

  // Whether runs take the time of each step, which costs a barrier after every phase.
  bool timed() const;
  void set_timed(bool timed);

  // True for one trainer at a time.
  bool begin_training();
  void end_training();

  // An executor for this caller alone, returned to the pool when the lease ends. There are as many
  // for calls at a time as there are cores: more would only take memory, so further ones wait. A
  // loop over a data set, which lasts, does not count.
  class Lease {
   public:
    enum class Use { call, loop };
    explicit Lease(Executable& executable, Use use = Use::call);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Executor* operator->() const { return executor_.get(); }
    Executor& operator*() const { return *executor_; }

   private:
    Executable& executable_;
    Use use_;
    std::unique_ptr<Executor> executor_;
  };

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace nnrt
