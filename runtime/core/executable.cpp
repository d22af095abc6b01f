#include "nnrt/executable.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>

#include "core/executor.h"
#include "core/forks.h"
#include "core/state_lock.h"

namespace nnrt {

struct Executable::Parts {
  Plan plan;
  Options options;
  std::unique_ptr<Backend> backend;
  std::vector<Entry> programs;
  std::vector<size_t> variable_offsets;
  std::map<std::string, size_t> variable_numbers;  // by name
  std::unique_ptr<DeviceMemory> variables;
  StateLock state;
  std::shared_mutex mutex;
  std::atomic<uint64_t> version{1};
  std::atomic<uint64_t> step{0};
  std::atomic<bool> training{false};
  std::atomic<bool> timed{false};
  std::mutex pool_mutex;
  std::condition_variable pool_grew;
  std::vector<std::unique_ptr<Executor>> pool;
  int calls = 0;  // that have an executor
  ForkHook fork_hook{this, &before_fork, &after_fork};

  void check_support() const;
  void place_variables();

  // A child process begins between two steps, with an engine that nothing else uses.
  static void before_fork(void* self);
  static void after_fork(void* self, bool child);
};

namespace {

// Element types of what a step reads and writes.
std::vector<DType> types_of(const Program& program, const StepSpec& step) {
  std::vector<DType> types;
  for (const std::vector<int>* list : {&step.operands, &step.results}) {
    for (int buffer : *list) types.push_back(program.buffers[static_cast<size_t>(buffer)].dtype);
  }
  return types;
}

}  // namespace

void Executable::Parts::check_support() const {
  for (const Entry& entry : programs) {
    for (const std::vector<StepSpec>* steps : {&entry.program->prepare, &entry.program->steps}) {
      for (size_t i = 0; i < steps->size(); ++i) {
        const StepSpec& step = (*steps)[i];
        NNC_CHECK(backend->supports(step.kernel, types_of(*entry.program, step)),
                  "program `" + entry.name + "`, " + describe(step, i) + ": the device `" +
                      backend->name() + "` does not support this kernel for these element types");
      }
    }
  }
}

void Executable::Parts::place_variables() {
  Layout layout;
  for (const VariableSpec& variable : plan.variables) {
    variable_numbers.emplace(variable.name, variable_offsets.size());
    const size_t bytes = checked_bytes({variable.dtype, variable.shape}, variable.name);
    variable_offsets.push_back(layout.add(bytes));
  }
  variables = backend->allocate(layout, "the variables of this net");
}

Executable::Executable(Plan plan, const Options& options)
    : Executable(std::move(plan), options, make_backend(options)) {}

Executable::Executable(Plan plan, const Options& options, std::unique_ptr<Backend> backend)
    : parts_(std::make_unique<Parts>()) {
  Parts& parts = *parts_;
  parts.plan = std::move(plan);
  parts.options = options;
  parts.backend = std::move(backend);
  parts.timed = options.debug >= 2;
  check_plan(parts.plan,
             [&parts](const std::string& kernel) { return parts.backend->rule(kernel); });
  for (const auto& [name, program] : parts.plan.programs)
    parts.programs.push_back({name, &program, analyze(parts.plan, program)});
  parts.check_support();
  parts.place_variables();
}

Executable::~Executable() = default;

const Plan& Executable::plan() const { return parts_->plan; }
const Options& Executable::options() const { return parts_->options; }
Backend& Executable::backend() const { return *parts_->backend; }
const std::vector<Executable::Entry>& Executable::programs() const { return parts_->programs; }
StateLock& Executable::state() { return parts_->state; }
std::shared_mutex& Executable::mutex() const { return parts_->mutex; }

bool Executable::has_program(const std::string& name) const {
  return parts_->plan.programs.count(name) != 0;
}

size_t Executable::program_index(const std::string& name) const {
  std::string known;
  for (size_t i = 0; i < programs().size(); ++i) {
    if (programs()[i].name == name) return i;
    known += (i ? ", " : "") + programs()[i].name;
  }
  throw Error("this model has no program `" + name + "` (it has " + known + ")");
}

size_t Executable::variable_index(const std::string& name) const {
  const auto found = parts_->variable_numbers.find(name);
  NNC_CHECK(found != parts_->variable_numbers.end(), "this model has no variable `" + name + "`");
  return found->second;
}

size_t Executable::variable_bytes(size_t index) const {
  const VariableSpec& variable = plan().variables[index];
  return checked_bytes({variable.dtype, variable.shape}, variable.name);
}

char* Executable::variable(size_t index) const {
  return parts_->variables->address() + parts_->variable_offsets[index];
}

uint64_t Executable::set_variables(const std::vector<Source>& values, const uint64_t* step) {
  for (const Source& value : values) {
    NNC_CHECK(value.bytes == variable_bytes(value.index),
              "the value of `" + plan().variables[value.index].name + "` has a wrong size");
  }
  const StateLock::Changing changing(state());
  const std::unique_lock<std::shared_mutex> lock(mutex());
  for (const Source& value : values) {
    if (value.bytes == 0) continue;
    if (value.on_device) {
      backend().copy(variable(value.index), static_cast<const char*>(value.data), value.bytes);
    } else {
      backend().upload(variable(value.index), value.data, value.bytes);
    }
  }
  if (step != nullptr) set_step(*step);
  return variables_changed();
}

uint64_t Executable::read_variables(const std::vector<Target>& values) {
  const StateLock::Reading reading(state());
  for (const Target& value : values) {
    if (value.bytes == 0) continue;
    if (value.on_device) {
      backend().copy(static_cast<char*>(value.data), variable(value.index), value.bytes);
    } else {
      backend().download(value.data, variable(value.index), value.bytes);
    }
  }
  return step();
}

uint64_t Executable::version() const { return parts_->version.load(std::memory_order_acquire); }
uint64_t Executable::variables_changed() {
  return parts_->version.fetch_add(1, std::memory_order_acq_rel) + 1;
}
uint64_t Executable::step() const { return parts_->step.load(std::memory_order_relaxed); }
void Executable::set_step(uint64_t step) { parts_->step.store(step, std::memory_order_relaxed); }
bool Executable::timed() const { return parts_->timed.load(std::memory_order_relaxed); }
void Executable::set_timed(bool timed) { parts_->timed.store(timed); }
bool Executable::begin_training() { return !parts_->training.exchange(true); }
void Executable::end_training() { parts_->training.store(false); }

// The locks of a child process are new: those that it has from its parent may count threads that
// are not there.
void Executable::Parts::before_fork(void* self) {
  Parts& parts = *static_cast<Parts*>(self);
  parts.mutex.lock_shared();  // waits for the end of a step
  parts.pool_mutex.lock();
  if (parts.backend) parts.backend->before_fork();
}

void Executable::Parts::after_fork(void* self, bool child) {
  Parts& parts = *static_cast<Parts*>(self);
  if (parts.backend) parts.backend->after_fork();
  parts.pool_mutex.unlock();
  if (!child) {
    parts.mutex.unlock_shared();
    return;
  }
  parts.state.renew();
  new (&parts.mutex) std::shared_mutex;
  new (&parts.pool_grew) std::condition_variable;
  parts.calls = 0;
  parts.training.store(false);
}

Executable::Lease::Lease(Executable& executable, Use use) : executable_(executable), use_(use) {
  Parts& parts = *executable_.parts_;
  std::unique_lock<std::mutex> lock(parts.pool_mutex);
  if (use_ == Use::call) {
    const int most = std::max(2, parts.options.cores);
    parts.pool_grew.wait(lock, [&] { return parts.calls < most; });
  }
  if (parts.pool.empty()) {
    executor_ = std::make_unique<Executor>(executable_);
  } else {
    executor_ = std::move(parts.pool.back());
    parts.pool.pop_back();
  }
  if (use_ == Use::call) ++parts.calls;
}

Executable::Lease::~Lease() {
  Parts& parts = *executable_.parts_;
  const std::lock_guard<std::mutex> lock(parts.pool_mutex);
  parts.pool.push_back(std::move(executor_));
  if (use_ == Use::call) {
    --parts.calls;
    parts.pool_grew.notify_one();
  }
}

}  // namespace nnrt
