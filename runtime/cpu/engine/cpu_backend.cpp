#include "cpu/engine/cpu_backend.h"

#include <algorithm>

#include "cpu/engine/cpu_program.h"
#include "cpu/kernel_tables.h"

namespace nnrt {
namespace {

constexpr size_t kChunk = 4096;  // elements between two looks at what was found

// A float is infinite or NaN where all bits of its exponent are set.
template <class Bits>
bool exponents_below(const void* data, size_t elements, Bits exponent) {
  const Bits* words = static_cast<const Bits*>(data);
  for (size_t begin = 0; begin < elements; begin += kChunk) {
    const size_t end = std::min(begin + kChunk, elements);
    Bits found = 0;
    for (size_t i = begin; i < end; ++i) found |= Bits{(words[i] & exponent) == exponent};
    if (found != 0) return false;
  }
  return true;
}

}  // namespace

bool all_finite(DType type, const void* data, size_t elements) {
  if (type == DType::f32) return exponents_below<uint32_t>(data, elements, 0x7f800000u);
  if (type == DType::f64) return exponents_below<uint64_t>(data, elements, uint64_t{0x7ff} << 52);
  if (type == DType::bf16) return exponents_below<uint16_t>(data, elements, 0x7f80u);
  return true;
}

CpuBackend::CpuBackend(const Options& options, KernelLookup lookup, RuleLookup rules)
    : isa_(options.isa.empty() ? best_isa() : isa_from(options.isa)),
      lookup_(lookup),
      rules_(std::move(rules)) {}

double CpuBackend::peak_flops() const { return measure_peak(isa_); }

bool CpuBackend::supports(const std::string& kernel, const std::vector<DType>&) const {
  return lookup_(kernel) != nullptr;
}

bool CpuBackend::all_finite(DType type, const char* data, size_t elements) {
  return nnrt::all_finite(type, data, elements);
}

std::unique_ptr<DataRows> CpuBackend::open(const std::vector<DataColumn>& columns, size_t most,
                                           bool shuffled) {
  return std::make_unique<CpuRows>(columns, most, shuffled);
}

std::unique_ptr<Context> CpuBackend::make_context(Executable& executable) {
  return std::make_unique<CpuContext>(executable, *this);
}

PreparedStore& CpuBackend::prepared(size_t program) {
  const std::lock_guard<std::mutex> lock(mutex_);
  return prepared_[program];
}

void CpuBackend::before_fork() {
  mutex_.lock();
  for (auto& [program, store] : prepared_) store.lock();
}

void CpuBackend::after_fork() {
  for (auto& [program, store] : prepared_) store.unlock();
  mutex_.unlock();
}

std::unique_ptr<BoundProgram> CpuContext::bind(size_t program,
                                               const std::vector<int64_t>& symbols) {
  const Executable::Entry& entry = executable_.programs()[program];
  const Options& options = executable_.options();
  BindOptions bind_options;
  bind_options.isa = backend_.isa();
  bind_options.threads = options.threads;
  bind_options.verify = options.verify;
  bind_options.fusions = options.fusions;
  bind_options.strict = executable_.plan().strict;
  bind_options.lookup = backend_.lookup();
  bind_options.store = &backend_.prepared(program);
  std::unique_ptr<Binding> binding =
      bind_program(*entry.program, entry.info, symbols, bind_options);
  arena_.reserve(binding->layout);
  return std::make_unique<CpuProgram>(*this, *entry.program, std::move(binding));
}

}  // namespace nnrt
