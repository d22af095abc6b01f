// Toy kernels and plans: enough to test everything of the engine that is not a kernel.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cpu/engine/cpu_program.h"
#include "cpu/kernel.h"
#include "cpu/tile/tile.h"
#include "nnrt/executable.h"
#include "nnrt/options.h"
#include "nnrt/plan.h"
#include "nnrt/program.h"

namespace nnrt::test {

inline constexpr int64_t kBlock = 64;  // elements of a unit

inline int64_t blocks_of(int64_t elements) { return (elements + kBlock - 1) / kBlock; }

struct ToyArguments {
  int64_t elements = 0;
  float factor = 1;
};

inline void toy_check(const StepSpec&, const std::vector<BufferSpec>&) {}

// toy_scale: y = x * factor.
inline void toy_scale_run(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const ToyArguments*>(call.arguments);
  const float* x = static_cast<const float*>(call.operands[0]);
  float* y = static_cast<float*>(call.results[0]);
  const int64_t last = std::min(end * kBlock, arguments.elements);
  for (int64_t i = begin * kBlock; i < last; ++i) y[i] = x[i] * arguments.factor;
}

inline BoundKernel toy_scale_bind(const BindRequest& request) {
  NNC_CHECK(request.operands[0].shape == request.results[0].shape, "toy_scale: shapes differ");
  auto arguments = std::make_shared<ToyArguments>();
  arguments->elements = request.results[0].elements();
  const auto found = request.attributes->find("factor");
  if (found != request.attributes->end()) {
    if (const auto* dims = std::get_if<std::vector<Dim>>(&found->second)) {
      arguments->factor = static_cast<float>(evaluate(dims->front(), {}));
    } else {
      arguments->factor = static_cast<float>(std::get<double>(found->second));
    }
  }
  BoundKernel kernel;
  kernel.phases = {{&toy_scale_run, blocks_of(arguments->elements)}};
  kernel.arguments = arguments;
  kernel.algorithm = "toy";
  return kernel;
}

// toy_sum: the sum of all elements, in two phases with partial sums in the workspace.
inline void toy_sum_blocks(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const ToyArguments*>(call.arguments);
  const float* x = static_cast<const float*>(call.operands[0]);
  float* partial = static_cast<float*>(call.workspace);
  float* scratch = static_cast<float*>(call.scratch);
  for (int64_t block = begin; block < end; ++block) {
    scratch[0] = 0;
    for (int64_t i = block * kBlock; i < std::min((block + 1) * kBlock, arguments.elements); ++i)
      scratch[0] += x[i];
    partial[block] = scratch[0];
  }
}

inline void toy_sum_total(const Call& call, int64_t, int64_t) {
  const auto& arguments = *static_cast<const ToyArguments*>(call.arguments);
  const float* partial = static_cast<const float*>(call.workspace);
  float total = 0;
  for (int64_t block = 0; block < blocks_of(arguments.elements); ++block) total += partial[block];
  *static_cast<float*>(call.results[0]) = total;
}

inline BoundKernel toy_sum_bind(const BindRequest& request) {
  auto arguments = std::make_shared<ToyArguments>();
  arguments->elements = request.operands[0].elements();
  BoundKernel kernel;
  kernel.phases = {{&toy_sum_blocks, blocks_of(arguments->elements)}, {&toy_sum_total, 1}};
  kernel.arguments = arguments;
  kernel.workspace_bytes = sizeof(float) * static_cast<size_t>(blocks_of(arguments->elements));
  kernel.scratch_bytes = sizeof(float);
  kernel.flops = 1e9;  // makes the engine use all its threads
  return kernel;
}

// tile: the real interpreter.
inline BoundKernel toy_tile_bind(const BindRequest& request) {
  BoundKernel kernel;
  kernel.phases = {tile_phase(*request.tile)};
  kernel.scratch_bytes = request.tile_scratch;
  return kernel;
}

inline BindKernel find_toy(const std::string& name) {
  if (name == "toy_scale") return &toy_scale_bind;
  if (name == "toy_sum") return &toy_sum_bind;
  return name == "tile" ? &toy_tile_bind : nullptr;
}

inline const KernelRule* toy_rule(const std::string& name) {
  static const KernelRule rules[] = {
      {"toy_scale", std::nullopt, &toy_check},
      {"toy_sum", std::nullopt, &toy_check},
      {"tile", TileRole::self, &toy_check},
  };
  for (const KernelRule& rule : rules) {
    if (name == rule.name) return &rule;
  }
  return nullptr;
}

// On the CPU, with kernels of a test.
struct ToyExecutable : Executable {
  ToyExecutable(Plan plan, const Options& options, KernelLookup lookup = &find_toy,
                const RuleLookup& rules = &toy_rule)
      : Executable(std::move(plan), options, std::make_unique<CpuBackend>(options, lookup, rules)) {
  }
};

inline const Binding& binding_of(const BoundProgram& bound) {
  return static_cast<const CpuProgram&>(bound).binding();
}

inline Options toy_options(int threads = 1) {
  Options options;
  options.threads = threads;
  options.isa = "generic";
  options.verify = true;
  return options;
}

// Writes a plan with symbols N and K one buffer and step at a time.
class PlanWriter {
 public:
  PlanWriter() { plan_.symbols = {"N", "K"}; }

  Program& program() { return plan_.programs["main"]; }
  Plan& plan() { return plan_; }

  std::vector<Dim> dims(const std::vector<std::string>& shape) const {
    std::vector<Dim> result;
    for (const std::string& text : shape) result.push_back(parse_dim(text, plan_.symbols));
    return result;
  }

  int buffer(BufferKind kind, const std::vector<std::string>& shape, DType dtype = DType::f32) {
    program().buffers.push_back({dtype, dims(shape), kind, -1, -1});
    return static_cast<int>(program().buffers.size()) - 1;
  }
  int input(const std::string& name, const std::vector<std::string>& shape,
            DType dtype = DType::f32) {
    const int index = buffer(BufferKind::input, shape, dtype);
    program().inputs.push_back({name, index, "data", -1});
    return index;
  }
  int clock(const std::string& name) {
    const int index = buffer(BufferKind::input, {});
    program().inputs.push_back({name, index, "clock", -1});
    return index;
  }
  int variable(const std::string& name, const Shape& shape, const std::string& kind = "parameter") {
    plan_.variables.push_back({name, DType::f32, shape, kind, ""});
    std::vector<std::string> text;
    for (int64_t dim : shape) text.push_back(std::to_string(dim));
    const int index =
        buffer(kind == "constant" ? BufferKind::constant : BufferKind::variable, text);
    program().buffers.back().variable = static_cast<int>(plan_.variables.size()) - 1;
    return index;
  }
  int temporary(const std::vector<std::string>& shape) {
    return buffer(BufferKind::temporary, shape);
  }
  int alias(int base, const std::vector<std::string>& shape) {
    const int index = buffer(BufferKind::temporary, shape);
    program().buffers.back().alias = base;
    return index;
  }
  int output(const std::string& name, const std::vector<std::string>& shape) {
    const int index = buffer(BufferKind::output, shape);
    program().outputs.push_back({name, index, "", -1});
    return index;
  }

  StepSpec& step(const std::string& kernel, std::vector<int> operands, std::vector<int> results,
                 bool prepare = false) {
    std::vector<StepSpec>& list = prepare ? program().prepare : program().steps;
    list.push_back({});
    list.back().kernel = kernel;
    list.back().operands = std::move(operands);
    list.back().results = std::move(results);
    list.back().path = "toy";
    return list.back();
  }
  StepSpec& scale(int from, int to, double factor) {
    StepSpec& added = step("toy_scale", {from}, {to});
    added.attributes["factor"] = factor;
    return added;
  }
  // result = a `op` b.
  StepSpec& binary(const std::string& op, int a, int b, int result,
                   const std::vector<std::string>& domain) {
    StepSpec& added = step("tile", {a, b}, {result});
    added.tile = binary_tile(op, a, b, result, domain);
    return added;
  }
  TileProgram binary_tile(const std::string& op, int a, int b, int result,
                          const std::vector<std::string>& domain) const {
    TileProgram tile;
    tile.domain = dims(domain);
    tile.loads = {a, b};
    tile.stores = {result};
    tile.code = {instruction("load", {0}), instruction("load", {1}), instruction(op, {0, 1}),
                 instruction("store", {0, 2})};
    return tile;
  }
  // result = result `op` b, as an epilogue.
  TileProgram epilogue(const std::string& op, int result, int b,
                       const std::vector<std::string>& domain) const {
    TileProgram tile = binary_tile(op, result, b, result, domain);
    tile.role = TileRole::epilogue;
    return tile;
  }
  static TileInstruction instruction(const std::string& op, std::vector<int> arguments) {
    TileInstruction result;
    result.op = op;
    result.arguments = std::move(arguments);
    return result;
  }

 private:
  Plan plan_;
};

}  // namespace nnrt::test
