// An executable: a checked plan with the memory of its variables, shared by all threads. Each
// thread that runs it does so in a context of its own, an executor (core/executor.h), lent from a
// pool.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <vector>

#include "core/arena.h"
#include "core/forks.h"
#include "core/options.h"
#include "core/prepared.h"
#include "core/program.h"
#include "core/state_lock.h"
#include "nnrt/plan.h"

namespace nnrt {

class Executor;

class Executable {
 public:
  // Throws Error unless the plan passes check_plan and its variables fit in memory. Variables start
  // as zeros.
  explicit Executable(Plan plan, const Options& options = options_from_environment(),
                      KernelLookup lookup = &find_kernel);
  ~Executable();
  Executable(const Executable&) = delete;
  Executable& operator=(const Executable&) = delete;

  struct Entry {
    std::string name;
    const Program* program;
    ProgramInfo info;
    std::unique_ptr<PreparedStore> prepared;
  };

  const Plan& plan() const { return plan_; }
  const Options& options() const { return options_; }
  KernelLookup lookup() const { return lookup_; }
  const std::vector<Entry>& programs() const { return programs_; }
  size_t program_index(const std::string& name) const;  // throws Error
  bool has_program(const std::string& name) const { return plan_.programs.count(name) != 0; }

  size_t variable_index(const std::string& name) const;  // throws Error
  char* variable(size_t index) const { return variables_.data() + variable_offsets_[index]; }
  size_t variable_bytes(size_t index) const;

  // One variable's memory outside: `bytes` must be variable_bytes.
  template <class Pointer>
  struct Value {
    size_t index;
    Pointer data;
    size_t bytes;
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

  // Keeps the variables as they are for longer than a call, such as a pass over a data set. Taken
  // before `mutex`.
  StateLock& state() { return state_; }
  // Readers run side by side; a program that updates variables runs alone.
  std::shared_mutex& mutex() const { return mutex_; }
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  uint64_t variables_changed() { return version_.fetch_add(1, std::memory_order_acq_rel) + 1; }
  // Steps of training that the variables have behind them: what a run's `RunState::step` was,
  // and 1.
  uint64_t step() const { return step_.load(std::memory_order_relaxed); }
  void set_step(uint64_t step) { step_.store(step, std::memory_order_relaxed); }

  // Whether runs take the time of each step, which costs a barrier after every phase.
  bool timed() const { return timed_.load(std::memory_order_relaxed); }
  void set_timed(bool timed) { timed_.store(timed); }

  // True for one trainer at a time.
  bool begin_training() { return !training_.exchange(true); }
  void end_training() { training_.store(false); }

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
  // A child process begins between two steps, with an engine that nothing else uses.
  static void before_fork(void* self);
  static void after_fork(void* self, bool child);

  Plan plan_;
  Options options_;
  KernelLookup lookup_;
  std::vector<Entry> programs_;
  std::vector<size_t> variable_offsets_;
  std::map<std::string, size_t> variable_numbers_;  // by name
  Block variables_;
  StateLock state_;
  mutable std::shared_mutex mutex_;
  std::atomic<uint64_t> version_{1};
  std::atomic<uint64_t> step_{0};
  std::atomic<bool> training_{false};
  std::atomic<bool> timed_;
  std::mutex pool_mutex_;
  std::condition_variable pool_grew_;
  std::vector<std::unique_ptr<Executor>> pool_;
  int calls_ = 0;  // that have an executor
  ForkHook fork_hook_{this, &before_fork, &after_fork};
};

}  // namespace nnrt
