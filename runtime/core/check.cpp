// The complete check of a plan. Nothing of a plan is used before it passed here.
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "nnrt/program.h"

namespace nnrt {
namespace {

// Beyond what networks have, so that checking and binding a plan never take long: training
// ResNet-152 takes 3000 steps.
constexpr size_t kMaxOperands = 4096;
constexpr size_t kMaxSteps = 1 << 18;

bool is_name(const std::string& text) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

class ProgramChecker {
 public:
  ProgramChecker(const Plan& plan, const Program& program, const RuleLookup& lookup)
      : plan_(plan), program_(program), lookup_(lookup), used_(plan.symbols.size(), false) {}

  void check() {
    const size_t steps = program_.prepare.size() + program_.steps.size();
    NNC_CHECK(steps <= kMaxSteps, "there are " + std::to_string(steps) + " steps; at most " +
                                      std::to_string(kMaxSteps) + " are possible");
    check_buffers();
    check_inputs();
    check_outputs();
    for (const StepSpec& step : program_.prepare) check_indices(step, "prepare ");
    for (const StepSpec& step : program_.steps) check_indices(step, "");
    info_ = analyze(plan_, program_);
    check_symbols();
    check_order();
  }

 private:
  const BufferSpec& buffer(int index) const { return program_.buffers[static_cast<size_t>(index)]; }

  void check_index(int index, const std::string& what) const {
    NNC_CHECK(index >= 0 && static_cast<size_t>(index) < program_.buffers.size(),
              what + " names buffer " + std::to_string(index) + ", but there are " +
                  std::to_string(program_.buffers.size()));
  }

  void use(const Dim& dim) {
    NNC_CHECK(!dim.code.empty(), "an empty dimension");
    for (const DimOp& op : dim.code) {
      if (op.kind != DimOp::Kind::symbol) continue;
      NNC_CHECK(op.value >= 0 && static_cast<size_t>(op.value) < used_.size(),
                "the dimension `" + dim.text + "` names an unknown symbol");
      used_[static_cast<size_t>(op.value)] = true;
    }
  }

  void check_buffers() {
    std::set<int> variables;
    for (size_t i = 0; i < program_.buffers.size(); ++i) {
      const BufferSpec& spec = program_.buffers[i];
      const std::string where = "buffer " + std::to_string(i);
      NNC_CHECK(spec.shape.size() <= static_cast<size_t>(kMaxRank),
                where + " has " + std::to_string(spec.shape.size()) +
                    " dimensions; at most 8 are possible");
      for (const Dim& dim : spec.shape) use(dim);
      if (spec.alias >= 0) {
        NNC_CHECK(static_cast<size_t>(spec.alias) < i,
                  where + " is a view of a buffer that does not come before it");
        NNC_CHECK(buffer(spec.alias).dtype == spec.dtype,
                  where + " is a view of another element type");
        NNC_CHECK(spec.variable < 0, where + " is a view and names a variable");
        continue;
      }
      NNC_CHECK(spec.alias == -1, where + " has the alias " + std::to_string(spec.alias));
      const bool stored = spec.kind == BufferKind::variable || spec.kind == BufferKind::constant;
      NNC_CHECK(stored == (spec.variable >= 0),
                where + (stored ? " names no variable" : " may not name a variable"));
      if (stored) check_variable(spec, where, variables);
    }
  }

  void check_variable(const BufferSpec& spec, const std::string& where,
                      std::set<int>& variables) const {
    NNC_CHECK(static_cast<size_t>(spec.variable) < plan_.variables.size(),
              where + " names an unknown variable");
    NNC_CHECK(variables.insert(spec.variable).second,
              where + " names a variable that another buffer already names");
    const VariableSpec& variable = plan_.variables[static_cast<size_t>(spec.variable)];
    NNC_CHECK(spec.kind == BufferKind::constant || variable.kind != "constant",
              where + " may change the constant `" + variable.name + "`");
    bool same = spec.dtype == variable.dtype && spec.shape.size() == variable.shape.size();
    for (size_t axis = 0; same && axis < variable.shape.size(); ++axis) {
      const std::vector<DimOp>& code = spec.shape[axis].code;
      same = code.size() == 1 && code[0].kind == DimOp::Kind::constant &&
             code[0].value == variable.shape[axis];
    }
    NNC_CHECK(same, where + " and its variable `" + variable.name + "` differ in type or shape");
  }

  void check_inputs() const {
    std::set<std::string> names;
    std::set<int> buffers;
    for (const NamedBuffer& input : program_.inputs) {
      const std::string where = "input `" + input.name + "`";
      NNC_CHECK(!input.name.empty() && names.insert(input.name).second,
                where + " is named twice or has no name");
      check_index(input.buffer, where);
      NNC_CHECK(buffers.insert(input.buffer).second,
                where + " shares its buffer with another input");
      const BufferSpec& spec = buffer(input.buffer);
      NNC_CHECK(spec.kind == BufferKind::input && spec.alias < 0,
                where + " is no buffer of kind `input`");
      NNC_CHECK(input.role == "data" || input.role == "clock",
                where + " has the unknown role `" + input.role + "`");
      if (input.role == "clock") {
        NNC_CHECK(is_clock(input.name), where + ": clocks are step, steps, epoch and epoch_steps");
        NNC_CHECK(is_float(spec.dtype) && spec.shape.empty(),
                  where + ": a clock is a scalar float");
      }
      NNC_CHECK(input.limit >= -1, where + " has a negative limit");
      NNC_CHECK(input.limit < 0 || info_of(spec.dtype).kind == DTypeKind::integer,
                where + " has a limit but is no integer");
    }
    for (size_t i = 0; i < program_.buffers.size(); ++i) {
      const BufferSpec& spec = program_.buffers[i];
      NNC_CHECK(spec.kind != BufferKind::input || spec.alias >= 0 ||
                    buffers.count(static_cast<int>(i)) != 0,
                "buffer " + std::to_string(i) + " is of kind `input` but no input names it");
    }
  }

  void check_outputs() const {
    std::set<std::string> names;
    for (const NamedBuffer& output : program_.outputs) {
      NNC_CHECK(!output.name.empty() && names.insert(output.name).second,
                "output `" + output.name + "` is named twice or has no name");
      check_index(output.buffer, "output `" + output.name + "`");
    }
  }

  void check_indices(const StepSpec& step, const std::string& part) {
    const std::string where = part + describe(step, static_cast<size_t>(&step - first_of(part)));
    NNC_CHECK(step.operands.size() <= kMaxOperands && step.results.size() <= kMaxOperands,
              where + " has too many operands or results");
    NNC_CHECK(!step.results.empty() || (step.tile && !step.tile->stores.empty()),
              where + " has no result");
    for (int index : step.operands) check_index(index, where);
    for (int index : step.results) check_index(index, where);
    for (const auto& [name, value] : step.attributes) {
      if (const auto* dims = std::get_if<std::vector<Dim>>(&value)) {
        for (const Dim& dim : *dims) use(dim);
      }
    }
    const KernelRule* kernel = lookup_(step.kernel);
    NNC_CHECK(kernel != nullptr, where + ": there is no kernel `" + step.kernel + "`");
    try {
      check_tile_use(step, kernel->tile);
      kernel->check(step, program_.buffers);
    } catch (const Error& error) {
      throw Error(where + ": " + error.what());
    }
  }

  const StepSpec* first_of(const std::string& part) const {
    return part.empty() ? program_.steps.data() : program_.prepare.data();
  }

  void check_tile_use(const StepSpec& step, std::optional<TileRole> accepted) {
    if (accepted == TileRole::self) NNC_CHECK(step.tile, "a tile program is missing");
    if (!step.tile) return;
    NNC_CHECK(accepted, "this kernel takes no tile program");
    const TileProgram& tile = *step.tile;
    NNC_CHECK(tile.role == *accepted,
              std::string("this kernel takes a tile program of the role `") + name_of(*accepted) +
                  "`, found `" + name_of(tile.role) + "`");
    for (const Dim& dim : tile.domain) use(dim);
    for (const TileInstruction& instruction : tile.code) {
      if (instruction.op == "dim") use(instruction.dim);
    }
    for (int index : tile.loads) check_index(index, "the tile program");
    for (int index : tile.stores) check_index(index, "the tile program");
    if (tile.role == TileRole::self) {
      NNC_CHECK(step.operands == tile.loads && step.results == tile.stores,
                "operands and results differ from the loads and stores of the tile program");
    } else if (tile.role == TileRole::prologue) {
      NNC_CHECK(step.operands == tile.loads, "operands differ from the loads of the tile program");
      NNC_CHECK(step.results.size() == 1 && tile.stores == step.results,
                "a prologue stores the one value that is reduced");
    } else {
      NNC_CHECK(!step.results.empty(), "an epilogue needs a result");
    }
    check_tile_program(tile);
  }

  void check_symbols() const {
    std::vector<bool> bound(used_.size(), false);
    for (const SymbolSource& source : info_.symbols)
      bound[static_cast<size_t>(source.symbol)] = true;
    for (size_t i = 0; i < used_.size(); ++i) {
      NNC_CHECK(!used_[i] || bound[i],
                "no input has the symbol `" + plan_.symbols[i] + "` as a dimension");
    }
  }

  // Every buffer is written exactly once, before it is read; inputs and constants never.
  void check_order() {
    enum class State : uint8_t { empty, ready, spent };
    std::vector<State> state(program_.buffers.size(), State::empty);
    for (size_t i = 0; i < program_.buffers.size(); ++i) {
      const BufferSpec& spec = program_.buffers[i];
      const bool given = spec.kind == BufferKind::input || spec.kind == BufferKind::variable ||
                         spec.kind == BufferKind::constant;
      if (spec.alias < 0 && given) state[i] = State::ready;
    }
    const auto run = [&](const std::vector<StepSpec>& steps, bool preparing) {
      for (size_t i = 0; i < steps.size(); ++i) {
        const std::string where = (preparing ? "prepare " : "") + describe(steps[i], i);
        const StepAccess access = access_of(steps[i]);
        for (int index : access.reads) {
          const int root = info_.roots[static_cast<size_t>(index)];
          NNC_CHECK(state[static_cast<size_t>(root)] == State::ready,
                    where + " reads buffer " + std::to_string(index) + " before it is written");
          NNC_CHECK(!preparing || buffer(root).kind != BufferKind::input,
                    where + " depends on an input, but preparation depends on variables alone");
        }
        check_distinct(steps[i], where);
        for (int index : access.writes) {
          const int root = info_.roots[static_cast<size_t>(index)];
          check_write(where, index, buffer(root).kind, preparing);
          if (buffer(root).kind == BufferKind::variable) continue;
          NNC_CHECK(
              state[static_cast<size_t>(root)] == State::empty,
              where + " writes buffer " + std::to_string(index) + ", which is already written");
          state[static_cast<size_t>(root)] = State::ready;
        }
      }
    };
    run(program_.prepare, true);
    for (size_t i = 0; i < state.size(); ++i) {
      if (program_.buffers[i].kind == BufferKind::temporary && state[i] == State::ready)
        state[i] = State::spent;
    }
    run(program_.steps, false);
    for (const NamedBuffer& output : program_.outputs) {
      const int root = info_.roots[static_cast<size_t>(output.buffer)];
      NNC_CHECK(state[static_cast<size_t>(root)] == State::ready,
                "output `" + output.name + "` is never written");
    }
  }

  // A step may not write the same memory through two results.
  void check_distinct(const StepSpec& step, const std::string& where) const {
    std::set<int> roots;
    const StepAccess access = access_of(step);
    for (int index : access.writes) {
      NNC_CHECK(roots.insert(info_.roots[static_cast<size_t>(index)]).second,
                where + " writes buffer " + std::to_string(index) + " twice");
    }
    std::vector<int> results = step.results;
    std::sort(results.begin(), results.end());
    NNC_CHECK(std::adjacent_find(results.begin(), results.end()) == results.end(),
              where + " repeats a result");
  }

  static void check_write(const std::string& where, int index, BufferKind kind, bool preparing) {
    const std::string what = where + " writes buffer " + std::to_string(index);
    NNC_CHECK(kind != BufferKind::input, what + ", an input");
    NNC_CHECK(kind != BufferKind::constant, what + ", a constant");
    if (preparing) {
      NNC_CHECK(kind == BufferKind::prepared || kind == BufferKind::temporary,
                what + ", but preparation may write only prepared and temporary buffers");
    } else {
      NNC_CHECK(kind != BufferKind::prepared, what + ", which only preparation may write");
    }
  }

  const Plan& plan_;
  const Program& program_;
  const RuleLookup& lookup_;
  std::vector<bool> used_;
  ProgramInfo info_;
};

using Variables = std::map<std::string, const VariableSpec*>;

// A master has the shape of its parameter, and a type that computes.
void check_master(const Variables& variables, const VariableSpec& master) {
  if (master.master_of.empty()) return;
  const auto found = variables.find(master.master_of);
  const VariableSpec* parameter = found != variables.end() ? found->second : nullptr;
  NNC_CHECK(parameter != nullptr && parameter->kind == "parameter" && master.kind == "slot" &&
                info_of(parameter->dtype).kind == DTypeKind::narrow && is_float(master.dtype) &&
                parameter->shape == master.shape,
            "variable `" + master.name + "` cannot be the master of `" + master.master_of + "`");
}

void check_variables(const Plan& plan) {
  Variables variables;
  for (const VariableSpec& variable : plan.variables) {
    const std::string where = "variable `" + variable.name + "`";
    NNC_CHECK(!variable.name.empty() && variables.emplace(variable.name, &variable).second,
              where + " is named twice or has no name");
    NNC_CHECK(variable.kind == "parameter" || variable.kind == "state" || variable.kind == "slot" ||
                  variable.kind == "constant",
              where + " is of the unknown kind `" + variable.kind + "`");
    NNC_CHECK(variable.shape.size() <= static_cast<size_t>(kMaxRank),
              where + " has more than 8 dimensions");
    checked_bytes({variable.dtype, variable.shape}, where);
  }
  for (const VariableSpec& variable : plan.variables) check_master(variables, variable);
}

}  // namespace

void check_plan(const Plan& plan, const RuleLookup& lookup) {
  NNC_CHECK(plan.version == kPlanVersion, "this plan has version " + std::to_string(plan.version) +
                                              "; this runtime reads version " +
                                              std::to_string(kPlanVersion) +
                                              ": compile the .nn file again");
  std::set<std::string> symbols;
  for (const std::string& symbol : plan.symbols) {
    NNC_CHECK(is_name(symbol) && symbols.insert(symbol).second,
              "the symbol `" + symbol + "` is no name or named twice");
  }
  check_variables(plan);
  NNC_CHECK(!plan.programs.empty(), "a plan without programs");
  for (const auto& [name, program] : plan.programs) {
    try {
      ProgramChecker(plan, program, lookup).check();
    } catch (const Error& error) {
      throw Error("program `" + name + "`: " + error.what());
    }
  }
}

}  // namespace nnrt
