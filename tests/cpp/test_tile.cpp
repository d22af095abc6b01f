// Tile programs: random ones against an element-by-element evaluation, in place, split anywhere, on
// every instruction set.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "cpu/engine/isa.h"
#include "cpu/scalar.h"
#include "cpu/tile/tile.h"
#include "kernel_runner.h"
#include "nnrt/philox.h"
#include "test.h"

namespace {

using nnrt::DType;
using nnrt::Shape;
using nnrt::TensorInfo;
using nnrt::TileProgram;

struct Buffer {
  TensorInfo info;
  std::vector<double> values;  // exact in the buffer's type
  std::vector<char> bytes() const {
    std::vector<char> result(info.bytes() + 64);
    for (size_t i = 0; i < values.size(); ++i) put(result.data(), i, values[i]);
    return result;
  }
  void put(char* to, size_t i, double value) const {
    switch (info.dtype) {
      case DType::f32:
        reinterpret_cast<float*>(to)[i] = static_cast<float>(value);
        break;
      case DType::f64:
        reinterpret_cast<double*>(to)[i] = value;
        break;
      case DType::i32:
        reinterpret_cast<int32_t*>(to)[i] = static_cast<int32_t>(value);
        break;
      case DType::i64:
        reinterpret_cast<int64_t*>(to)[i] = static_cast<int64_t>(value);
        break;
      default:
        reinterpret_cast<uint8_t*>(to)[i] = static_cast<uint8_t>(value);
    }
  }
};

double get(const char* from, DType type, size_t i) {
  switch (type) {
    case DType::f32:
      return static_cast<double>(reinterpret_cast<const float*>(from)[i]);
    case DType::f64:
      return reinterpret_cast<const double*>(from)[i];
    case DType::i32:
      return reinterpret_cast<const int32_t*>(from)[i];
    case DType::i64:
      return static_cast<double>(reinterpret_cast<const int64_t*>(from)[i]);
    default:
      return reinterpret_cast<const uint8_t*>(from)[i];
  }
}

struct Case {
  TileProgram program;
  Shape domain;
  std::vector<Buffer> loads;
  std::vector<TensorInfo> stores;
  int64_t elements() const { return TensorInfo{DType::u8, domain}.elements(); }
};

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  int below(int limit) { return static_cast<int>(random_() % static_cast<uint32_t>(limit)); }

  Case make(DType compute) {
    Case result;
    result.program.compute = compute;
    int rank = below(5);
    const int extents[] = {1, 2, 3, 5, 7, 8, 10, 16, 33, 100, 1500};
    int64_t total = 1;
    for (int d = 0; d < rank; ++d) {
      int64_t dim = extents[below(11)];
      if (total * dim > 6000) dim = 1 + below(3);
      total *= dim;
      result.domain.push_back(dim);
    }
    for (int64_t dim : result.domain) result.program.domain.push_back(test::constant_dim(dim));
    int loads = 1 + below(4);
    for (int i = 0; i < loads; ++i) add_load(result);
    int length = 1 + below(14);
    for (int i = 0; i < length; ++i) add_operation(result);
    int stores = 1 + below(2);
    for (int i = 0; i < stores; ++i) {
      result.program.stores.push_back(100 + i);
      DType type = compute == DType::f32 && below(4) == 0 ? DType::boolean : compute;
      result.stores.push_back({type, result.domain});
      add(result, "store", {i, last_value(result, i)});
    }
    return result;
  }

 private:
  int add(Case& result, const std::string& op, std::vector<int> arguments, double number = 0) {
    nnrt::TileInstruction instruction;
    instruction.op = op;
    instruction.arguments = std::move(arguments);
    instruction.number = number;
    if (op == "dim") instruction.dim = test::constant_dim(3);
    if (op == "uniform") instruction.stream = 5;
    result.program.code.push_back(instruction);
    return static_cast<int>(result.program.code.size()) - 1;
  }

  int last_value(const Case& result, int back) {
    int index = static_cast<int>(result.program.code.size()) - 1 - back * below(3);
    while (result.program.code[index].op == "store") --index;
    return index;
  }

  void add_load(Case& result) {
    Shape shape;
    int keep = below(3) == 0 ? below(static_cast<int>(result.domain.size()) + 1)
                             : static_cast<int>(result.domain.size());
    bool full = below(3) == 0;
    for (size_t d = result.domain.size() - static_cast<size_t>(keep); d < result.domain.size();
         ++d) {
      shape.push_back(!full && below(3) == 0 ? 1 : result.domain[d]);
    }
    const DType real[] = {DType::f32, DType::f32, DType::f32, DType::f64,
                          DType::i32, DType::i64, DType::u8,  DType::boolean};
    const DType whole[] = {DType::i64, DType::i64, DType::i32, DType::u8, DType::boolean};
    Buffer buffer;
    DType type = result.program.compute == DType::i64   ? whole[below(5)]
                 : result.program.compute == DType::f64 ? (below(2) != 0 ? DType::f64 : DType::i32)
                                                        : real[below(8)];
    buffer.info = {type, shape};
    for (int64_t i = 0; i < buffer.info.elements(); ++i) {
      double value = type == DType::boolean ? below(2)
                     : type == DType::u8    ? below(256)
                                            : below(2001) - 1000;
      if (is_float(type)) value = static_cast<double>(static_cast<float>(value / 256));
      buffer.values.push_back(value);
    }
    result.program.loads.push_back(static_cast<int>(result.loads.size()));
    result.loads.push_back(buffer);
    add(result, "load", {static_cast<int>(result.loads.size()) - 1});
  }

  void add_operation(Case& result) {
    auto any = [&] { return below(static_cast<int>(result.program.code.size())); };
    const char* real_unary[] = {"neg",   "abs",  "square",      "tanh", "sigmoid",
                                "floor", "sign", "logical_not", "erf",  "round"};
    const char* whole_unary[] = {"neg", "abs", "square", "sign", "logical_not"};
    const char* binary[] = {"add",        "sub",     "mul",           "maximum",
                            "minimum",    "equal",   "not_equal",     "less",
                            "less_equal", "greater", "greater_equal", "logical_and",
                            "logical_or", "add",     "sub",           "mul"};
    switch (below(6)) {
      case 0:
        if (below(2) == 0) {
          add(result, "const", {}, below(9) - 4);
        } else {
          add(result, below(2) != 0 || result.program.compute == DType::i64 ? "dim" : "uniform",
              {});
        }
        break;
      case 1:
        add(result,
            result.program.compute == DType::i64 ? whole_unary[below(5)] : real_unary[below(10)],
            {any()});
        break;
      case 2:
        add(result, "select", {any(), any(), any()});
        break;
      default:
        add(result, binary[below(16)], {any(), any()});
    }
  }

  std::mt19937 random_;
};

// The meaning of elementwise.def.
template <class T>
T evaluate_one(const std::string& op, T a, T b, T c) {
  using namespace nnrt::scalar;
  auto truth = [](bool value) { return value ? T(1) : T(0); };
#define NNC_UNARY(name, expression) \
  if (op == #name) return expression;
#define NNC_BINARY(name, expression) \
  if (op == #name) return expression;
#define NNC_TERNARY(name, expression) \
  if (op == #name) return expression;
#include "nnrt/elementwise.def"
  return T(0);
}

// Every store of the program for one element, with registers of type T.
template <class T>
std::vector<double> evaluate(const Case& test, int64_t element, const nnrt::RunState& state) {
  std::vector<T> registers;
  std::vector<double> stored(test.stores.size());
  for (const nnrt::TileInstruction& instruction : test.program.code) {
    auto argument = [&](size_t i) { return registers[instruction.arguments[i]]; };
    T value = 0;
    if (instruction.op == "load") {
      const Buffer& buffer = test.loads[instruction.arguments[0]];
      int64_t rest = element, stride = 1, position = 0;
      for (size_t k = 1; k <= test.domain.size(); ++k) {
        int64_t index = rest % test.domain[test.domain.size() - k];
        rest /= test.domain[test.domain.size() - k];
        if (k > buffer.info.shape.size()) break;
        int64_t dim = buffer.info.shape[buffer.info.shape.size() - k];
        if (dim != 1) position += index * stride;
        stride *= dim;
      }
      value = static_cast<T>(buffer.values[position]);
    } else if (instruction.op == "const") {
      value = static_cast<T>(instruction.number);
    } else if (instruction.op == "dim") {
      value = 3;
    } else if (instruction.op == "uniform") {
      uint64_t index = static_cast<uint64_t>(element);
      value = static_cast<T>(nnrt::philox_uniform(
          nnrt::philox_block(state.seed, state.step, static_cast<uint32_t>(instruction.stream),
                             index / 4)[index % 4]));
    } else if (instruction.op == "store") {
      stored[instruction.arguments[0]] = static_cast<double>(argument(1));
    } else {
      size_t count = instruction.arguments.size();
      value = evaluate_one(instruction.op, argument(0), count > 1 ? argument(1) : T(0),
                           count > 2 ? argument(2) : T(0));
    }
    registers.push_back(value);
  }
  return stored;
}

bool has_fragile_step(const TileProgram& program) {
  // Rounding in float may move a value over one of these steps.
  for (const auto& instruction : program.code) {
    for (const char* op :
         {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "floor", "round",
          "sign", "logical_not", "logical_and", "logical_or", "select"}) {
      if (instruction.op == op) return true;
    }
  }
  return false;
}

struct Output {
  std::vector<std::vector<char>> stores;
};

Output run_case(const Case& test, nnrt::Isa isa, const std::vector<int64_t>& cuts, bool in_place,
                const nnrt::RunState& state) {
  std::vector<TensorInfo> infos;
  std::vector<std::vector<char>> memory;
  std::vector<void*> loads, stores;
  for (const Buffer& buffer : test.loads) {
    infos.push_back(buffer.info);
    memory.push_back(buffer.bytes());
  }
  for (auto& bytes : memory) loads.push_back(bytes.data());
  Output output;
  std::vector<bool> used(test.loads.size(), false);
  std::vector<size_t> shared(test.stores.size(), SIZE_MAX);
  for (const TensorInfo& store : test.stores)
    output.stores.emplace_back(store.bytes() + 64, char(0x5a));
  for (size_t s = 0; s < test.stores.size(); ++s) {
    stores.push_back(output.stores[s].data());
    for (size_t l = 0; in_place && l < test.loads.size(); ++l) {
      if (used[l] || test.loads[l].info.shape != test.stores[s].shape ||
          test.loads[l].info.dtype != test.stores[s].dtype) {
        continue;
      }
      used[l] = true;
      stores[s] = loads[l];
      shared[s] = l;
      break;
    }
  }
  auto tile = nnrt::bind_tile(test.program, test.domain, infos, test.stores, {}, isa);
  test::Memory scratch(nnrt::tile_scratch_bytes(*tile));
  nnrt::Call call;
  call.tile_loads = loads.data();
  call.tile_stores = stores.data();
  call.state = &state;
  for (size_t i = 0; i + 1 < cuts.size(); ++i)
    nnrt::run_tile(*tile, call, scratch.get(), cuts[i], cuts[i + 1]);
  for (size_t s = 0; s < test.stores.size(); ++s) {
    if (shared[s] != SIZE_MAX)
      std::memcpy(output.stores[s].data(), stores[s], test.stores[s].bytes());
  }
  return output;
}

bool close(double found, double expected, double tolerance) {
  if (std::isnan(expected)) return std::isnan(found);
  return found == expected || std::fabs(found - expected) <= tolerance * (1 + std::fabs(expected));
}

void test_case(uint32_t seed, DType compute) {
  Generator generator(seed);
  Case test = generator.make(compute);
  nnrt::RunState state{seed * 77ull, seed};
  bool fragile = has_fragile_step(test.program);
  int64_t elements = test.elements();
  for (nnrt::Isa isa : test::available_isas()) {
    Output whole = run_case(test, isa, {0, elements}, false, state);
    // Plain loops give the very same bits; vectors round products and sums once and have their own
    // elementary functions.
    bool exact = isa == nnrt::Isa::reference || compute != DType::f32;
    int64_t wrong = 0;
    for (int64_t i = 0; i < elements; ++i) {
      std::vector<double> expected = compute == DType::f32   ? evaluate<float>(test, i, state)
                                     : compute == DType::f64 ? evaluate<double>(test, i, state)
                                                             : evaluate<int64_t>(test, i, state);
      for (size_t s = 0; s < test.stores.size(); ++s) {
        double found = get(whole.stores[s].data(), test.stores[s].dtype, static_cast<size_t>(i));
        double value = test.stores[s].dtype == DType::boolean ? (expected[s] != 0) : expected[s];
        if (!close(found, value, exact ? 0 : 2e-5)) ++wrong;
      }
    }
    // A few elements at a step may fall on the other side of it.
    bool good = CHECK(wrong <= (fragile && !exact ? elements / 50 + 2 : 0));
    bool same = true;
    std::vector<int64_t> cuts = {0};
    while (cuts.back() < elements)
      cuts.push_back(std::min(elements, cuts.back() + 1 + generator.below(1200)));
    Output pieces = run_case(test, isa, cuts, false, state);
    Output in_place = run_case(test, isa, cuts, true, state);
    for (size_t s = 0; s < test.stores.size(); ++s) {
      same = same && whole.stores[s] == pieces.stores[s];
      same = same && std::memcmp(whole.stores[s].data(), in_place.stores[s].data(),
                                 test.stores[s].bytes()) == 0;
    }
    good = CHECK(same) && good;
    if (!good)
      std::printf("  seed %u, %s, %s, wrong %ld of %ld\n", seed, name_of(isa), name_of(compute),
                  static_cast<long>(wrong), static_cast<long>(elements));
  }
}

void test_errors() {
  auto bad = [](const std::function<void(TileProgram&)>& change) {
    TileProgram program = test::epilogue_program({4, 8}, false, false);
    change(program);
    TensorInfo full{DType::f32, {4, 8}};
    CHECK_THROWS(
        nnrt::bind_tile(program, {4, 8}, {full, {DType::f32, {8}}}, {full}, {}, nnrt::Isa::generic),
        nnrt::Error);
  };
  bad([](TileProgram& program) { program.code[2].arguments[0] = 2; });
  bad([](TileProgram& program) { program.code[2].arguments[0] = -1; });
  bad([](TileProgram& program) { program.code[2].arguments.pop_back(); });
  bad([](TileProgram& program) { program.code[0].arguments[0] = 2; });
  bad([](TileProgram& program) { program.code[7].arguments[0] = 1; });
  bad([](TileProgram& program) { program.code[2].op = "system"; });
  bad([](TileProgram& program) { program.code.pop_back(); });
  bad([](TileProgram& program) { program.loads.push_back(3); });
  bad([](TileProgram& program) { program.compute = DType::u8; });
  TileProgram program = test::epilogue_program({4, 8}, false, false);
  TensorInfo full{DType::f32, {4, 8}};
  CHECK_THROWS(
      nnrt::bind_tile(program, {4, 8}, {full, {DType::f32, {7}}}, {full}, {}, nnrt::Isa::generic),
      nnrt::Error);
}

}  // namespace

int main() {
  for (uint32_t seed = 0; seed < 400; ++seed) test_case(seed, DType::f32);
  for (uint32_t seed = 0; seed < 60; ++seed) test_case(seed, DType::f64);
  for (uint32_t seed = 0; seed < 60; ++seed) test_case(seed, DType::i64);
  test_errors();
  return test::finish();
}
