// What follows from a program alone, before any size is known: who reads and writes what, and where
// symbols come from.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "nnrt/plan.h"

namespace nnrt {

// What every device takes for a step of a kernel.
struct KernelRule {
  const char* name;
  // The tile program that the kernel accepts; `self` is required, the others may be left out.
  std::optional<TileRole> tile;
  // Throws Error if operand counts, element types, ranks or attributes are not what the kernel
  // accepts (shapes may be symbolic).
  void (*check)(const StepSpec& step, const std::vector<BufferSpec>& buffers);
};
// Null if there is no such kernel. The table is core/kernels/rules.cpp, made from kernels.def.
const KernelRule* find_rule(const std::string& kernel);
using RuleLookup = std::function<const KernelRule*(const std::string& kernel)>;

// Buffers that a step reads before it writes them, and those it writes; each once.
struct StepAccess {
  std::vector<int> reads;
  std::vector<int> writes;
};
// An epilogue's load of the step's own result is no read: it sees what the kernel just made.
StepAccess access_of(const StepSpec& step);

// Dimension `axis` of input number `input` is the bare symbol `symbol`.
struct SymbolSource {
  int input;
  int axis;
  int symbol;
};

struct ProgramInfo {
  std::vector<int> roots;  // per buffer: the buffer whose memory it is (itself, or through aliases)
  std::vector<SymbolSource> symbols;  // one for each symbol the program uses
  std::vector<int> data_inputs;       // indices into Program::inputs
  std::vector<int> clock_inputs;
  std::vector<int> written;  // variables that a run changes, each once
  bool writes_variables() const { return !written.empty(); }
};
// The program's indices must be valid.
ProgramInfo analyze(const Plan& plan, const Program& program);

// The clocks of training: steps done, steps in all, epochs done (with a fraction), steps an epoch.
bool is_clock(const std::string& name);

// "program `train`, step 3 (conv2d, features.conv_2)", for messages.
std::string describe(const StepSpec& step, size_t index);

// Throws Error unless the plan can be bound and run without reading or writing where it must not.
// Everything that does not depend on actual sizes is checked here; the rest in bind.
void check_plan(const Plan& plan, const RuleLookup& lookup = &find_rule);

// Opcodes, arities, register order and slots of a tile program (core/check_tile.cpp).
void check_tile_program(const TileProgram& tile);

}  // namespace nnrt
