#include "nnrt/executable.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/executor.h"

namespace nnrt {

Executable::Executable(Plan plan, const Options& options, KernelLookup lookup)
    : plan_(std::move(plan)), options_(options), lookup_(lookup), timed_(options.debug >= 2) {
  check_plan(plan_, lookup_);
  for (const auto& [name, program] : plan_.programs)
    programs_.push_back(
        {name, &program, analyze(plan_, program), std::make_unique<PreparedStore>()});
  Layout layout;
  for (const VariableSpec& variable : plan_.variables) {
    variable_numbers_.emplace(variable.name, variable_offsets_.size());
    const size_t bytes = checked_bytes({variable.dtype, variable.shape}, variable.name);
    variable_offsets_.push_back(layout.add(bytes));
  }
  require_memory(layout.bytes, "the variables of this net");
  variables_ = Block(layout);
}

Executable::~Executable() = default;

size_t Executable::program_index(const std::string& name) const {
  std::string known;
  for (size_t i = 0; i < programs_.size(); ++i) {
    if (programs_[i].name == name) return i;
    known += (i ? ", " : "") + programs_[i].name;
  }
  throw Error("this model has no program `" + name + "` (it has " + known + ")");
}

size_t Executable::variable_index(const std::string& name) const {
  const auto found = variable_numbers_.find(name);
  NNC_CHECK(found != variable_numbers_.end(), "this model has no variable `" + name + "`");
  return found->second;
}

size_t Executable::variable_bytes(size_t index) const {
  const VariableSpec& variable = plan_.variables[index];
  return checked_bytes({variable.dtype, variable.shape}, variable.name);
}

uint64_t Executable::set_variables(const std::vector<Source>& values, const uint64_t* step) {
  for (const Source& value : values) {
    NNC_CHECK(value.bytes == variable_bytes(value.index),
              "the value of `" + plan_.variables[value.index].name + "` has a wrong size");
  }
  const StateLock::Changing changing(state_);
  const std::unique_lock<std::shared_mutex> lock(mutex_);
  for (const Source& value : values) {
    if (value.bytes > 0) std::memmove(variable(value.index), value.data, value.bytes);
  }
  if (step != nullptr) set_step(*step);
  return variables_changed();
}

uint64_t Executable::read_variables(const std::vector<Target>& values) {
  const StateLock::Reading reading(state_);
  for (const Target& value : values) {
    if (value.bytes > 0) std::memcpy(value.data, variable(value.index), value.bytes);
  }
  return step();
}

// The locks of a child process are new: those that it has from its parent may count threads that
// are not there.
void Executable::before_fork(void* self) {
  Executable& executable = *static_cast<Executable*>(self);
  executable.mutex_.lock_shared();  // waits for the end of a step
  executable.pool_mutex_.lock();
  for (const Entry& entry : executable.programs_) entry.prepared->lock();
}

void Executable::after_fork(void* self, bool child) {
  Executable& executable = *static_cast<Executable*>(self);
  for (const Entry& entry : executable.programs_) entry.prepared->unlock();
  executable.pool_mutex_.unlock();
  if (!child) {
    executable.mutex_.unlock_shared();
    return;
  }
  executable.state_.renew();
  new (&executable.mutex_) std::shared_mutex;
  new (&executable.pool_grew_) std::condition_variable;
  executable.calls_ = 0;
  executable.training_.store(false);
}

Executable::Lease::Lease(Executable& executable, Use use) : executable_(executable), use_(use) {
  {
    std::unique_lock<std::mutex> lock(executable_.pool_mutex_);
    if (use_ == Use::call) {
      const int most = std::max(2, executable_.options_.cores);
      executable_.pool_grew_.wait(lock, [&] { return executable_.calls_ < most; });
    }
    if (executable_.pool_.empty()) {
      executor_ = std::make_unique<Executor>(executable_);
    } else {
      executor_ = std::move(executable_.pool_.back());
      executable_.pool_.pop_back();
    }
    if (use_ == Use::call) ++executable_.calls_;
  }
}

Executable::Lease::~Lease() {
  const std::lock_guard<std::mutex> lock(executable_.pool_mutex_);
  executable_.pool_.push_back(std::move(executor_));
  if (use_ == Use::call) {
    --executable_.calls_;
    executable_.pool_grew_.notify_one();
  }
}

}  // namespace nnrt
