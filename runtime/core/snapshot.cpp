#include "core/snapshot.h"

#include <algorithm>

#include "core/state_lock.h"

namespace nnrt {

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
  Layout layout;
  std::vector<size_t> places;
  for (size_t index : written) places.push_back(layout.add(executable.variable_bytes(index)));
  memory_ =
      executable.backend().allocate(layout, "the copies of the variables that training changes");
  for (size_t i = 0; i < written.size(); ++i) {
    const size_t bytes = executable.variable_bytes(written[i]);
    copies_.push_back({written[i], memory_->address() + places[i], bytes, true});
  }
  take();
  for (const Executable::Target& copy : copies_) {
    if (is_finite(copy.index, static_cast<const char*>(copy.data))) watched_.push_back(copy.index);
  }
}

bool Snapshot::is_finite(size_t index, const char* value) const {
  const VariableSpec& variable = executable_.plan().variables[index];
  const TensorInfo info = {variable.dtype, variable.shape};
  return executable_.backend().all_finite(info.dtype, value, static_cast<size_t>(info.elements()));
}

void Snapshot::take() {
  const StateLock::Reading reading(executable_.state());
  step_ = executable_.read_variables(copies_);
  version_ = executable_.version();
}

void Snapshot::restore() {
  std::vector<Executable::Source> sources;
  for (const Executable::Target& copy : copies_)
    sources.push_back({copy.index, copy.data, copy.bytes, true});
  version_ = executable_.set_variables(sources, &step_);
}

std::vector<size_t> Snapshot::not_finite() const {
  const StateLock::Reading reading(executable_.state());
  std::vector<size_t> found;
  for (size_t index : watched_) {
    if (!is_finite(index, executable_.variable(index))) found.push_back(index);
  }
  return found;
}

}  // namespace nnrt
