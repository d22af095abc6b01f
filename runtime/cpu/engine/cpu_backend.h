// The CPU as a backend: its programs, its contexts, its memory.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/host_backend.h"
#include "cpu/engine/arena.h"
#include "cpu/engine/barrier.h"
#include "cpu/engine/binding.h"
#include "cpu/engine/isa.h"
#include "cpu/engine/prepared.h"
#include "cpu/kernel.h"
#include "nnrt/backend.h"
#include "nnrt/executable.h"

namespace nnrt {

class CpuBackend : public HostBackend {
 public:
  // Throws Error where the processor has not the instruction set of the options. `lookup` and
  // `rules` give the kernels.
  explicit CpuBackend(const Options& options, KernelLookup lookup = &find_kernel,
                      RuleLookup rules = &find_rule);

  std::string name() const override { return "cpu"; }
  std::string target() const override { return name_of(isa_); }
  double peak_flops() const override;
  const KernelRule* rule(const std::string& kernel) const override { return rules_(kernel); }
  bool supports(const std::string& kernel, const std::vector<DType>& types) const override;

  bool all_finite(DType type, const char* data, size_t elements) override;
  std::unique_ptr<DataRows> open(const std::vector<DataColumn>& columns, size_t most,
                                 bool shuffled) override;
  std::unique_ptr<Context> make_context(Executable& executable) override;
  void before_fork() override;
  void after_fork() override;

  Isa isa() const { return isa_; }
  KernelLookup lookup() const { return lookup_; }
  // What all contexts share of a program.
  PreparedStore& prepared(size_t program);

 private:
  Isa isa_;
  KernelLookup lookup_;
  RuleLookup rules_;
  std::mutex mutex_;
  std::map<size_t, PreparedStore> prepared_;  // by program
};

// The memory of one caller's runs.
class CpuContext : public Context {
 public:
  CpuContext(Executable& executable, CpuBackend& backend)
      : executable_(executable), backend_(backend) {}

  std::unique_ptr<BoundProgram> bind(size_t program, const std::vector<int64_t>& symbols) override;

  Executable& executable() { return executable_; }
  Arena& arena() { return arena_; }
  Barrier& barrier() { return barrier_; }

 private:
  Executable& executable_;
  CpuBackend& backend_;
  Arena arena_;
  Barrier barrier_;
};

// Whether a dense array holds no infinity and no NaN. Always true of integers.
bool all_finite(DType type, const void* data, size_t elements);

}  // namespace nnrt
