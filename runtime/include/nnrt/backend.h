// A device: its memory, and programs bound on it. The seam between devices lies here, at the
// program. What a device does inside (kernels, fusions, threads, streams) is its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "nnrt/memory.h"
#include "nnrt/options.h"
#include "nnrt/program.h"
#include "nnrt/run_state.h"
#include "nnrt/types.h"

namespace nnrt {

// Memory of a device, zeroed, freed with its owner.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  virtual ~DeviceMemory() = default;
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // An address of the device. Only a backend may read or write there.
  virtual char* address() const = 0;
};

// Data on the host from which a loop takes its batches.
struct DataColumn {
  size_t input = 0;  // of the program
  const char* data = nullptr;
  size_t row_bytes = 0;
};

// Such data as a device keeps it ready. The host's memory stays valid as long as this lives.
class DataRows {
 public:
  DataRows() = default;
  virtual ~DataRows() = default;
  DataRows(const DataRows&) = delete;
  DataRows& operator=(const DataRows&) = delete;
};

// The rows of one run.
struct Batch {
  DataRows* data = nullptr;
  const int64_t* rows = nullptr;  // their numbers; null: consecutive ones from `first`
  int64_t first = 0;
  int64_t count = 0;
};

// One run. Inputs and outputs are dense memory of the host, one for each of the program; outputs
// are 64-byte aligned.
struct RunRequest {
  RunRequest(const void* const* inputs, void* const* outputs, const RunState& state = {},
             const Batch* batch = nullptr)
      : inputs(inputs), outputs(outputs), state(state), batch(batch) {}

  const void* const* inputs;  // where `batch` has the input's rows, not looked at
  void* const* outputs;
  RunState state;
  const Batch* batch;
  bool timed = false;  // take the time of each step
};

// One step of a bound program, for people.
struct StepReport {
  std::string path;
  std::string source;
  std::string kernel;
  std::string algorithm;
  std::string shape;  // of the first result
  double flops = 0;
  double bytes = 0;
  double seconds = 0;  // mean over the timed runs; 0 where none was timed
  std::string note;
};

// A bound program, for people.
struct ProgramReport {
  size_t arena_bytes = 0;        // temporaries and workspaces
  size_t lower_bound_bytes = 0;  // no memory plan needs less than this
  size_t scratch_bytes = 0;      // a thread
  size_t prepared_bytes = 0;     // what is computed from variables and kept
  int threads = 1;
  int64_t barriers = 0;
  int64_t timed_runs = 0;
  std::vector<StepReport> steps;
};

// A program at actual sizes, ready to run. Used by one thread at a time.
class BoundProgram {
 public:
  BoundProgram() = default;
  virtual ~BoundProgram() = default;
  BoundProgram(const BoundProgram&) = delete;
  BoundProgram& operator=(const BoundProgram&) = delete;

  // Element type and actual shape of each buffer of the program.
  virtual const std::vector<TensorInfo>& buffers() const = 0;
  // Computes what depends on variables alone, where they have another version than the last time.
  // No other run of the executable may be in progress, unless it is_prepared.
  virtual bool is_prepared(uint64_t version) const = 0;
  virtual void prepare(uint64_t version) = 0;
  // The outputs hold the results when it returns.
  virtual void run(const RunRequest& request) = 0;
  // The first index that lay outside in the last run, of the first step that has one.
  virtual std::optional<IndexError> take_fault() = 0;
  virtual ProgramReport report() const = 0;
  virtual void reset_times() = 0;
};

// What one caller needs to run programs, one at a time: memory between steps, threads or a stream.
class Context {
 public:
  Context() = default;
  virtual ~Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  // `symbols`: a value for each symbol of the plan. Throws Error where actual shapes do not fit
  // each other, and where there is not enough memory.
  virtual std::unique_ptr<BoundProgram> bind(size_t program,
                                             const std::vector<int64_t>& symbols) = 0;
};

class Executable;

// A device as one executable uses it.
class Backend {
 public:
  Backend() = default;
  virtual ~Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  virtual std::string name() const = 0;  // as in Options::device
  // The instruction set or the architecture that kernels are made for.
  virtual std::string target() const = 0;
  // What the device computes at most with one thread, in FLOP/s, measured now; 0: unknown.
  virtual double peak_flops() const = 0;

  // The rule of a kernel; null where no device has such a kernel.
  virtual const KernelRule* rule(const std::string& kernel) const { return find_rule(kernel); }
  // Whether the device has this kernel for operands and results of these types.
  virtual bool supports(const std::string& kernel, const std::vector<DType>& types) const = 0;

  // Throws Error where the device has not that much memory; `purpose` as in require_memory.
  virtual std::unique_ptr<DeviceMemory> allocate(const Layout& layout,
                                                 const std::string& purpose) = 0;
  virtual void upload(char* to, const void* from, size_t bytes) = 0;
  virtual void download(void* to, const char* from, size_t bytes) = 0;
  virtual void copy(char* to, const char* from, size_t bytes) = 0;  // both on the device
  // Whether an array on the device holds no infinity and no NaN. Always true of integers.
  virtual bool all_finite(DType type, const char* data, size_t elements) = 0;

  // Throws Error as `allocate` does. `most`: rows of a batch; `shuffled`: batches name their rows.
  virtual std::unique_ptr<DataRows> open(const std::vector<DataColumn>& columns, size_t most,
                                         bool shuffled) = 0;

  // `executable` is the one that owns this backend.
  virtual std::unique_ptr<Context> make_context(Executable& executable) = 0;

  // Around a fork() of the process, between two runs.
  virtual void before_fork() {}
  virtual void after_fork() {}
};

// The device that `options.device` names; "auto": the fastest one of the machine. Throws Error
// where the machine or this build has no such device (runtime/devices.cpp).
std::unique_ptr<Backend> make_backend(const Options& options);
// The names that this build knows, without "auto".
std::vector<std::string> device_names();

}  // namespace nnrt
