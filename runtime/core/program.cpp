#include "core/program.h"

#include <algorithm>

namespace nnrt {
namespace {

bool contains(const std::vector<int>& list, int value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

void add_once(std::vector<int>& list, int value) {
  if (!contains(list, value)) list.push_back(value);
}

}  // namespace

StepAccess access_of(const StepSpec& step) {
  StepAccess access;
  for (int buffer : step.operands) add_once(access.reads, buffer);
  for (int buffer : step.results) add_once(access.writes, buffer);
  if (step.tile) {
    for (int buffer : step.tile->loads) {
      if (step.kernel == "tile" || !contains(step.results, buffer)) add_once(access.reads, buffer);
    }
    for (int buffer : step.tile->stores) add_once(access.writes, buffer);
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
  for (const StepSpec& step : program.steps) {
    for (int buffer : access_of(step).writes) {
      const int root = info.roots[static_cast<size_t>(buffer)];
      if (program.buffers[static_cast<size_t>(root)].kind == BufferKind::variable)
        info.writes_variables = true;
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
