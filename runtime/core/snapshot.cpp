#include "core/snapshot.h"

#include <algorithm>
#include <cstring>

#include "core/planner.h"

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

size_t elements_of(const VariableSpec& variable) {
  return static_cast<size_t>(TensorInfo{variable.dtype, variable.shape}.elements());
}

}  // namespace

bool all_finite(DType type, const void* data, size_t elements) {
  if (type == DType::f32) return exponents_below<uint32_t>(data, elements, 0x7f800000u);
  if (type == DType::f64) return exponents_below<uint64_t>(data, elements, uint64_t{0x7ff} << 52);
  return true;
}

Snapshot::Snapshot(Executable& executable, size_t program) : executable_(executable) {
  const std::vector<VariableSpec>& variables = executable.plan().variables;
  std::vector<size_t> written(executable.programs()[program].info.written.begin(),
                              executable.programs()[program].info.written.end());
  // Named first in messages: parameters, then states, then the optimizer's slots.
  const auto rank = [&](size_t index) {
    return variables[index].kind == "parameter" ? 0 : variables[index].kind == "state" ? 1 : 2;
  };
  std::sort(written.begin(), written.end(),
            [&](size_t a, size_t b) { return std::pair(rank(a), a) < std::pair(rank(b), b); });
  size_t total = 0;
  for (size_t index : written) total += round_up(executable.variable_bytes(index), kAlignment);
  require_memory(total, "the copies of the variables that training changes");
  memory_ = Block(total);
  char* place = memory_.data();
  for (size_t index : written) {
    const size_t bytes = executable.variable_bytes(index);
    copies_.push_back({index, place, bytes});
    place += round_up(bytes, kAlignment);
  }
  take();
  for (const Executable::Target& copy : copies_) {
    const VariableSpec& variable = variables[copy.index];
    if (all_finite(variable.dtype, copy.data, elements_of(variable)))
      watched_.push_back(copy.index);
  }
}

void Snapshot::take() {
  const StateLock::Reading reading(executable_.state());
  step_ = executable_.read_variables(copies_);
  version_ = executable_.version();
}

void Snapshot::restore() {
  std::vector<Executable::Source> sources;
  for (const Executable::Target& copy : copies_)
    sources.push_back({copy.index, copy.data, copy.bytes});
  version_ = executable_.set_variables(sources, &step_);
}

std::vector<size_t> Snapshot::not_finite() const {
  const StateLock::Reading reading(executable_.state());
  std::vector<size_t> found;
  for (size_t index : watched_) {
    const VariableSpec& variable = executable_.plan().variables[index];
    if (!all_finite(variable.dtype, executable_.variable(index), elements_of(variable)))
      found.push_back(index);
  }
  return found;
}

}  // namespace nnrt
