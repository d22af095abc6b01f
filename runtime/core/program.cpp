#include "nnrt/program.h"

#include <algorithm>
#include <set>

namespace nnrt {
namespace {

bool contains(const std::vector<int>& list, int value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// Adds to a list each value once, in the order given.
class Once {
 public:
  explicit Once(std::vector<int>& list) : list_(list) {}
  void add(int value) {
    if (list_.size() < kFew ? contains(list_, value) : !is_new(value)) return;
    list_.push_back(value);
  }

 private:
  static constexpr size_t kFew = 32;  // are searched faster than a set

  bool is_new(int value) {
    if (seen_.empty()) seen_.insert(list_.begin(), list_.end());
    return seen_.insert(value).second;
  }

  std::vector<int>& list_;
  std::set<int> seen_;
};

}  // namespace

const char* name_of(TileRole role) {
  return role == TileRole::self ? "self" : role == TileRole::epilogue ? "epilogue" : "prologue";
}

StepAccess access_of(const StepSpec& step) {
  StepAccess access;
  Once reads(access.reads), writes(access.writes);
  for (int buffer : step.operands) reads.add(buffer);
  for (int buffer : step.results) writes.add(buffer);
  if (step.tile) {
    for (int buffer : step.tile->loads) {
      if (step.tile->role == TileRole::self || !contains(step.results, buffer)) reads.add(buffer);
    }
    for (int buffer : step.tile->stores) writes.add(buffer);
  }
  return access;
}

ProgramInfo analyze(const Plan& plan, const Program& program) {
  ProgramInfo info;
  info.roots.resize(program.buffers.size());
  for (size_t i = 0; i < program.buffers.size(); ++i) {
    const int alias = program.buffers[i].alias;  // always earlier
    info.roots[i] = alias < 0 ? static_cast<int>(i) : info.roots[static_cast<size_t>(alias)];
  }
  std::vector<bool> seen(plan.symbols.size(), false);
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    (program.inputs[i].role == "clock" ? info.clock_inputs : info.data_inputs)
        .push_back(static_cast<int>(i));
    const std::vector<Dim>& shape =
        program.buffers[static_cast<size_t>(program.inputs[i].buffer)].shape;
    for (size_t axis = 0; axis < shape.size(); ++axis) {
      const std::vector<DimOp>& code = shape[axis].code;
      if (code.size() != 1 || code[0].kind != DimOp::Kind::symbol) continue;
      const size_t symbol = static_cast<size_t>(code[0].value);
      if (seen[symbol]) continue;
      seen[symbol] = true;
      info.symbols.push_back(
          {static_cast<int>(i), static_cast<int>(axis), static_cast<int>(symbol)});
    }
  }
  Once written(info.written);
  for (const StepSpec& step : program.steps) {
    for (int buffer : access_of(step).writes) {
      const int root = info.roots[static_cast<size_t>(buffer)];
      const BufferSpec& spec = program.buffers[static_cast<size_t>(root)];
      if (spec.kind == BufferKind::variable) written.add(spec.variable);
    }
  }
  return info;
}

bool is_clock(const std::string& name) {
  return name == "step" || name == "steps" || name == "epoch" || name == "epoch_steps";
}

std::string describe(const StepSpec& step, size_t index) {
  std::string text = "step " + std::to_string(index) + " (" + step.kernel;
  if (!step.path.empty()) text += ", " + step.path;
  return text + ")";
}

}  // namespace nnrt
