// The plan: the one interface between the compiler (Python) and the runtime (C++). Plain data.
// Nothing here is trusted: `check_plan` (core/check.cpp) verifies a plan completely before it is
// used.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "nnrt/types.h"

namespace nnrt {

inline constexpr int kPlanVersion = 3;

// An exact dimension: an integer, or an expression over the plan's symbols in postfix form.
struct DimOp {
  enum class Kind : uint8_t { constant, symbol, add, subtract, multiply, floor_divide, maximum };
  Kind kind = Kind::constant;
  int64_t value = 0;  // the constant, or the symbol's index
};
struct Dim {
  std::vector<DimOp> code;
  std::string text;  // as written, for messages
};
// Parses the text form ("N*26*26", "((H+1)//2)*3", "max(H-1,0)"); throws Error.
Dim parse_dim(const std::string& text, const std::vector<std::string>& symbols);
int64_t evaluate(
    const Dim& dim,
    const std::vector<int64_t>& symbols);  // throws Error on overflow or division by zero

enum class BufferKind : uint8_t { input, variable, constant, temporary, prepared, output };

struct BufferSpec {
  DType dtype = DType::f32;
  std::vector<Dim> shape;
  BufferKind kind = BufferKind::temporary;
  int variable = -1;  // for `variable` and `constant`: index into Plan::variables
  int alias = -1;     // a view (same elements, other shape) of this earlier buffer
};

// Attribute values: integers, floats, strings, lists of dimensions (integers are constant
// dimensions), lists of floats.
using AttributeValue =
    std::variant<int64_t, double, std::string, std::vector<Dim>, std::vector<double>>;
using AttributeMap = std::map<std::string, AttributeValue>;

// One instruction of a tile program in SSA form; instruction i defines register i.
// "load" (buffer slot), "const" (number), "dim" (a dimension as a number), "uniform" (random
// stream), "store" (slot, register), else an operation of elementwise.def on earlier registers.
struct TileInstruction {
  std::string op;
  std::vector<int> arguments;  // registers; for load and store the slot comes first
  double number = 0;           // const
  Dim dim;                     // dim
  int64_t stream = 0;          // uniform
};

// What a tile program is to the kernel of its step: all of its work, an epilogue on its first
// result, or a prologue that gives the one value which the kernel consumes.
enum class TileRole : uint8_t { self, epilogue, prologue };
const char* name_of(TileRole role);

struct TileProgram {
  TileRole role = TileRole::self;
  DType compute = DType::f32;  // f32, f64 or i64: the type of every register
  std::vector<Dim>
      domain;  // the iteration space; loads broadcast to it (NumPy rules), stores cover it
  std::vector<int> loads;   // buffers
  std::vector<int> stores;  // buffers
  std::vector<TileInstruction> code;
};

struct StepSpec {
  std::string kernel;  // a name of kernels.def
  std::vector<int> operands;
  std::vector<int> results;
  AttributeMap attributes;
  std::optional<TileProgram> tile;
  std::string path;    // features.conv_2
  std::string source;  // lenet.nn:7
};

struct NamedBuffer {
  std::string name;
  int buffer = -1;
  std::string role;  // inputs: "data" or "clock"
  // Inputs that are used as indices: values must lie in [0, limit); -1 where free.
  int64_t limit = -1;
};

struct Program {
  std::vector<BufferSpec> buffers;
  std::vector<StepSpec>
      prepare;  // run again only when variables changed: depends on variables and constants alone
  std::vector<StepSpec> steps;
  std::vector<NamedBuffer> inputs;
  std::vector<NamedBuffer> outputs;
};

struct VariableSpec {
  std::string name;
  DType dtype = DType::f32;
  Shape shape;
  std::string kind;  // parameter, state, slot, constant
  // For a slot that is a master: the parameter, stored narrow, whose value it keeps in full.
  std::string master_of;
};

struct Plan {
  int version = kPlanVersion;
  std::vector<std::string> symbols;
  std::vector<VariableSpec> variables;
  std::map<std::string, Program> programs;  // "predict", "evaluate", "train"
  bool strict = false;                      // precision = "strict": see BindRequest
};

}  // namespace nnrt
