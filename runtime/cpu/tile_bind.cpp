// Makes a BoundTile: classifies loads, fuses instructions, finds places for values.
#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <string_view>

#include "cpu/families.h"
#include "cpu/tile_bound.h"

namespace nnrt {
namespace {

constexpr std::string_view kUnaryNames[] = {
#define NNC_UNARY(name, expression) #name,
#include "nnrt/elementwise.def"
};
constexpr std::string_view kBinaryNames[] = {
#define NNC_BINARY(name, expression) #name,
#include "nnrt/elementwise.def"
};
constexpr std::string_view kTernaryNames[] = {
#define NNC_TERNARY(name, expression) #name,
#include "nnrt/elementwise.def"
};

template <size_t Count>
int find_name(const std::string_view (&names)[Count], const std::string& name) {
  for (size_t i = 0; i < Count; ++i) {
    if (names[i] == name) return static_cast<int>(i);
  }
  return -1;
}

enum class Op : uint8_t {
  load,
  constant,
  dim,
  uniform,
  store,
  unary,
  binary,
  select,
  multiply_add,
  negate_multiply_add,
  add_maximum,
  choose
};

struct Instruction {
  Op op = Op::load;
  int code = 0;               // of a unary, binary or choose
  std::vector<int> operands;  // values
  int slot = -1;
  double number = 0;
  uint32_t stream = 0;
  int uses = 0;
  bool needed = false;
};

constexpr size_t kMaxInstructions = 4096;
constexpr size_t kMaxSlots = 4096;

// What is known of instruction `index` without shapes; throws where it is not well formed.
Instruction parse_instruction(const TileProgram& program, size_t index) {
  const TileInstruction& in = program.code[index];
  const std::string where =
      "tile program, instruction " + std::to_string(index) + " (" + in.op + ")";
  Instruction result;
  auto take = [&](size_t count) {
    NNC_CHECK(in.arguments.size() == count,
              where + " takes " + std::to_string(count) + " arguments");
  };
  auto registers = [&](size_t first) {
    for (size_t i = first; i < in.arguments.size(); ++i) {
      int argument = in.arguments[i];
      NNC_CHECK(argument >= 0 && static_cast<size_t>(argument) < index,
                where + " reads a register not yet defined");
      NNC_CHECK(program.code[argument].op != "store", where + " reads the register of a store");
      result.operands.push_back(argument);
    }
  };
  auto slot_of = [&](const std::vector<int>& slots) {
    int slot = in.arguments[0];
    NNC_CHECK(slot >= 0 && static_cast<size_t>(slot) < slots.size(),
              where + " names a slot that does not exist");
    result.slot = slot;
  };
  if (in.op == "load") {
    take(1);
    slot_of(program.loads);
    result.op = Op::load;
  } else if (in.op == "store") {
    take(2);
    slot_of(program.stores);
    registers(1);
    result.op = Op::store;
  } else if (in.op == "const") {
    take(0);
    result.op = Op::constant;
    result.number = in.number;
  } else if (in.op == "dim") {
    take(0);
    result.op = Op::dim;
  } else if (in.op == "uniform") {
    take(0);
    NNC_CHECK(in.stream >= 0 && in.stream <= int64_t{0xffffffff}, where + ": a stream has 32 bits");
    result.op = Op::uniform;
    result.stream = static_cast<uint32_t>(in.stream);
  } else if (int code = find_name(kUnaryNames, in.op); code >= 0) {
    take(1);
    registers(0);
    result.op = Op::unary;
    result.code = code;
  } else if (int binary = find_name(kBinaryNames, in.op); binary >= 0) {
    take(2);
    registers(0);
    result.op = Op::binary;
    result.code = binary;
  } else if (find_name(kTernaryNames, in.op) >= 0) {
    take(3);
    registers(0);
    result.op = Op::select;
  } else {
    throw Error(where + " is no operator");
  }
  return result;
}

std::vector<Instruction> parse(const TileProgram& program) {
  NNC_CHECK(program.compute == DType::f32 || program.compute == DType::f64 ||
                program.compute == DType::i64,
            "tile program: registers are f32, f64 or i64");
  NNC_CHECK(program.code.size() <= kMaxInstructions, "tile program: too many instructions");
  NNC_CHECK(program.loads.size() <= kMaxSlots && program.stores.size() <= kMaxSlots,
            "tile program: too many slots");
  NNC_CHECK(program.domain.size() <= static_cast<size_t>(kMaxRank),
            "tile program: the domain has too many dimensions");
  std::vector<Instruction> code;
  for (size_t i = 0; i < program.code.size(); ++i) code.push_back(parse_instruction(program, i));
  std::vector<bool> stored(program.stores.size(), false);
  for (const Instruction& instruction : code) {
    if (instruction.op != Op::store) continue;
    NNC_CHECK(!stored[instruction.slot], "tile program: a slot is stored twice");
    stored[instruction.slot] = true;
  }
  NNC_CHECK(
      !stored.empty() && std::all_of(stored.begin(), stored.end(), [](bool is) { return is; }),
      "tile program: a store slot is never stored");
  return code;
}

bool is_binary(const Instruction& instruction, BinaryOperator code) {
  return instruction.op == Op::binary && instruction.code == static_cast<int>(code);
}
bool is_square(const Instruction& instruction) {
  return instruction.op == Op::unary && instruction.code == static_cast<int>(UnaryOperator::square);
}

int comparison_of(const Instruction& instruction) {
  constexpr std::pair<BinaryOperator, Comparison> all[] = {
      {BinaryOperator::equal, Comparison::equal},
      {BinaryOperator::not_equal, Comparison::not_equal},
      {BinaryOperator::less, Comparison::less},
      {BinaryOperator::less_equal, Comparison::less_equal},
      {BinaryOperator::greater, Comparison::greater},
      {BinaryOperator::greater_equal, Comparison::greater_equal}};
  for (auto [binary, comparison] : all) {
    if (is_binary(instruction, binary)) return static_cast<int>(comparison);
  }
  return -1;
}

// Mirrors a comparison: a < b is b > a.
int mirrored(int comparison) {
  constexpr Comparison mirror[] = {Comparison::equal,   Comparison::not_equal,
                                   Comparison::greater, Comparison::greater_equal,
                                   Comparison::less,    Comparison::less_equal};
  return static_cast<int>(mirror[comparison]);
}

class Binder {
 public:
  Binder(const TileProgram& program, const Shape& domain, const std::vector<TensorInfo>& loads,
         const std::vector<TensorInfo>& stores, const std::vector<int64_t>& symbols, Isa isa)
      : program_(program),
        load_infos_(loads),
        store_infos_(stores),
        code_(parse(program)),
        tile_(std::make_shared<BoundTile>()) {
    NNC_CHECK(loads.size() == program.loads.size() && stores.size() == program.stores.size(),
              "tile program: wrong number of buffers");
    NNC_CHECK(domain.size() == program.domain.size(), "tile program: wrong rank of the domain");
    tile_->compute = program.compute;
    tile_->domain = domain;
    tile_->store_count = static_cast<int>(stores.size());
    tile_->table = program.compute == DType::f64   ? &scalar_tile_table<double>()
                   : program.compute == DType::i64 ? &scalar_tile_table<int64_t>()
                   : isa == Isa::reference         ? &scalar_tile_table<float>()
                                                   : families_of(isa).tile;
    for (size_t i = 0; i < code_.size(); ++i) {
      if (code_[i].op != Op::dim) continue;
      code_[i].op = Op::constant;
      code_[i].number = static_cast<double>(evaluate(program.code[i].dim, symbols));
    }
    collapse(domain);
    check_stores(domain);
  }

  std::shared_ptr<const BoundTile> bind() {
    find_varying();
    fuse();
    mark_needed();
    tile_->values.resize(code_.size());
    choose_chunk();
    for (size_t i = 0; i < code_.size(); ++i) {
      if (code_[i].needed) emit(static_cast<int>(i));
    }
    emit_stores();
    place_values();
    return tile_;
  }

 private:
  // How a load's elements follow the domain.
  struct Walk {
    std::vector<int64_t> strides;  // of the collapsed domain
    bool one = false;              // a single element
    bool full = false;             // as the domain
    int64_t period = 0;            // repeats after so many elements, which lie side by side
  };

  void collapse(const Shape& domain) {
    std::vector<std::vector<int64_t>> strides;
    for (size_t slot = 0; slot < load_infos_.size(); ++slot)
      strides.push_back(broadcast_strides(domain, slot));
    std::vector<int64_t>& dims = tile_->dims;
    std::vector<std::vector<int64_t>> kept(strides.size());
    for (size_t d = 0; d < domain.size(); ++d) {
      tile_->elements *= domain[d];
      if (domain[d] == 1) continue;
      bool joins = !dims.empty();
      for (size_t s = 0; s < strides.size() && joins; ++s)
        joins = kept[s].back() == strides[s][d] * domain[d];
      if (joins) {
        dims.back() *= domain[d];
        for (size_t s = 0; s < strides.size(); ++s) kept[s].back() = strides[s][d];
      } else {
        dims.push_back(domain[d]);
        for (size_t s = 0; s < strides.size(); ++s) kept[s].push_back(strides[s][d]);
      }
    }
    for (std::vector<int64_t>& walk : kept) walks_.push_back(classify(std::move(walk)));
  }

  std::vector<int64_t> broadcast_strides(const Shape& domain, size_t slot) const {
    const Shape& shape = load_infos_[slot].shape;
    const std::string where = "tile program: the shape of load " + std::to_string(slot) +
                              " does not broadcast to the domain";
    NNC_CHECK(shape.size() <= domain.size(), where);
    std::vector<int64_t> strides(domain.size(), 0);
    int64_t stride = 1;
    for (size_t k = 1; k <= shape.size(); ++k) {
      int64_t dim = shape[shape.size() - k];
      int64_t target = domain[domain.size() - k];
      NNC_CHECK(dim == target || dim == 1, where);
      if (dim != 1) strides[domain.size() - k] = stride;
      stride *= dim;
    }
    return strides;
  }

  Walk classify(std::vector<int64_t> strides) const {
    Walk walk;
    const std::vector<int64_t>& dims = tile_->dims;
    int64_t dense = 1;
    size_t d = dims.size();
    while (d > 0 && strides[d - 1] == dense) dense *= dims[--d];
    bool outer_zero = std::all_of(strides.begin(), strides.begin() + static_cast<std::ptrdiff_t>(d),
                                  [](int64_t stride) { return stride == 0; });
    walk.full = d == 0;
    walk.one = !walk.full && d == dims.size() && outer_zero;
    if (!walk.full && !walk.one && outer_zero) walk.period = dense;
    walk.strides = std::move(strides);
    return walk;
  }

  void check_stores(const Shape& domain) {
    int64_t elements = 1;
    for (int64_t dim : domain) elements *= dim;
    for (const TensorInfo& store : store_infos_) {
      if (store.elements() != elements) tile_->stores_cover = false;
    }
  }

  // a * b + c, c - a * b, maximum(a + b, c) and select(a < b, c, d) become one instruction each. An
  // instruction that is used twice stays; one of numbers alone stays too, it costs nothing.
  void fuse() {
    for (Instruction& instruction : code_) {
      for (int operand : instruction.operands) ++code_[operand].uses;
    }
    for (Instruction& instruction : code_) {
      if (is_binary(instruction, BinaryOperator::add)) fuse_product(instruction, Op::multiply_add);
      if (is_binary(instruction, BinaryOperator::sub))
        fuse_product(instruction, Op::negate_multiply_add);
      if (is_binary(instruction, BinaryOperator::maximum)) fuse_sum(instruction);
      if (instruction.op == Op::select) fuse_comparison(instruction);
    }
  }

  // Which values differ from element to element: the others are numbers.
  void find_varying() {
    for (const Instruction& instruction : code_) {
      bool varies = instruction.op == Op::uniform ||
                    (instruction.op == Op::load && !walks_[instruction.slot].one);
      for (int operand : instruction.operands) varies = varies || varies_[operand];
      varies_.push_back(varies);
    }
  }

  void fuse_product(Instruction& sum, Op fused) {
    if (program_.compute == DType::i64) return;
    for (int side : {1, 0}) {
      const Instruction& product = code_[sum.operands[side]];
      if (fused == Op::negate_multiply_add && side == 0) return;
      bool square = is_square(product);
      if (!(square || is_binary(product, BinaryOperator::mul)) || product.uses != 1) continue;
      if (!varies_[sum.operands[side]]) continue;
      sum.operands = {product.operands[0], product.operands[square ? 0 : 1],
                      sum.operands[1 - side]};
      sum.op = fused;
      return;
    }
  }

  void fuse_sum(Instruction& maximum) {
    const Instruction& sum = code_[maximum.operands[0]];
    if (!is_binary(sum, BinaryOperator::add) || sum.uses != 1 || !varies_[maximum.operands[0]])
      return;
    maximum.operands = {sum.operands[0], sum.operands[1], maximum.operands[1]};
    maximum.op = Op::add_maximum;
  }

  void fuse_comparison(Instruction& select) {
    const Instruction& condition = code_[select.operands[0]];
    int comparison = comparison_of(condition);
    if (comparison < 0 || condition.uses != 1 || !varies_[select.operands[0]]) return;
    int a = condition.operands[0];
    int b = condition.operands[1];
    if (!varies_[a]) {
      std::swap(a, b);
      comparison = mirrored(comparison);
    }
    select.operands = {a, b, select.operands[1], select.operands[2]};
    select.op = Op::choose;
    select.code = comparison;
  }

  void mark_needed() {
    for (size_t i = code_.size(); i-- > 0;) {
      if (code_[i].op == Op::store) code_[i].needed = true;
      if (!code_[i].needed) continue;
      for (int operand : code_[i].operands) code_[operand].needed = true;
    }
  }

  // Chunks are as long as registers and patterns fit L1 beside the buffers' own lines.
  void choose_chunk() {
    constexpr int64_t kLongest =
        4096;  // bytes of one register: Zen 5, relu and adam over 1 MB: 4 KB is best by a few %
    tile_->chunk = kLongest / static_cast<int64_t>(size_of(tile_->compute));
    for (const Instruction& instruction : code_) {
      if (!instruction.needed || instruction.op != Op::load) continue;
      int64_t period = walks_[instruction.slot].period;
      if (period == 0 || period > tile_->chunk) continue;
      // Whole periods, and whole vectors where both fit.
      int64_t unit = std::lcm<int64_t>(period, 16);
      if (unit > tile_->chunk) unit = period;
      tile_->chunk = tile_->chunk / unit * unit;
      break;
    }
  }

  void emit(int index) {
    const Instruction& instruction = code_[index];
    switch (instruction.op) {
      case Op::store:
        break;
      case Op::constant:
        tile_->constants.push_back({index, instruction.number});
        break;
      case Op::load:
        emit_load(index, instruction.slot);
        break;
      case Op::uniform: {
        TileStep step;
        step.kind = TileStep::Kind::uniform;
        step.out = index;
        step.stream = instruction.stream;
        tile_->values[index].place = TilePlace::cache;
        tile_->steps.push_back(step);
        break;
      }
      default:
        emit_compute(index);
    }
  }

  void emit_load(int index, int slot) {
    const Walk& walk = walks_[slot];
    const DType dtype = load_infos_[slot].dtype;
    const bool same = dtype == tile_->compute;
    TileValue& value = tile_->values[index];
    value.slot = slot;
    value.dtype = dtype;
    if (walk.one) {
      tile_->number_loads.push_back({index, slot, tile_->table->load[static_cast<int>(dtype)]});
      return;
    }
    if (same && walk.full) {
      value.place = TilePlace::buffer;
      return;
    }
    if (same && walk.period > 0) {
      value.place = walk.period <= tile_->chunk ? TilePlace::pattern : TilePlace::long_pattern;
      value.period = walk.period;
      return;
    }
    value.place = TilePlace::cache;
    TileStep step;
    step.kind =
        walk.full || walk.period >= 64 ? TileStep::Kind::convert : TileStep::Kind::broadcast;
    step.load = tile_->table->load[static_cast<int>(dtype)];
    step.out = index;
    step.slot = slot;
    step.period = walk.period;
    step.item = size_of(dtype);
    step.strides = walk.strides;
    tile_->steps.push_back(std::move(step));
  }

  TileLoopFunction function_of(const Instruction& instruction, unsigned mask) const {
    const TileTable& table = *tile_->table;
    switch (instruction.op) {
      case Op::unary:
        return table.unary[instruction.code];
      case Op::binary:
        return table.binary[instruction.code][mask];
      case Op::select:
        return table.select[mask];
      case Op::multiply_add:
        return table.multiply_add[mask];
      case Op::negate_multiply_add:
        return table.negate_multiply_add[mask];
      case Op::add_maximum:
        return table.add_maximum[mask];
      default:
        return table.choose[instruction.code][mask];
    }
  }

  void emit_compute(int index) {
    const Instruction& instruction = code_[index];
    TileStep step;
    step.out = index;
    unsigned mask = 0;
    bool number = true;
    step.operand_count = static_cast<int>(instruction.operands.size());
    for (size_t i = 0; i < instruction.operands.size(); ++i) {
      step.operands[i] = instruction.operands[i];
      if (!varies_[instruction.operands[i]]) {
        mask |= 1u << i;
      } else {
        number = false;
      }
    }
    step.function = function_of(instruction, number ? 0 : mask);
    if (number) {
      tile_->number_steps.push_back(step);
    } else {
      tile_->values[index].place = TilePlace::cache;
      tile_->steps.push_back(step);
    }
  }

  // A number or a load becomes a register of its own, so that it can be stored.
  int in_register(int value, bool repeat) {
    int copy = static_cast<int>(tile_->values.size());
    tile_->values.emplace_back().place = TilePlace::cache;
    TileStep step;
    step.function = repeat ? tile_->table->splat : tile_->table->copy;
    step.out = copy;
    step.operands[0] = value;
    step.operand_count = 1;
    tile_->steps.push_back(step);
    return copy;
  }

  void emit_stores() {
    for (const Instruction& instruction : code_) {
      if (instruction.op != Op::store) continue;
      int value = instruction.operands[0];
      if (!varies_[value]) {
        value = in_register(value, true);
      } else if (tile_->values[value].place != TilePlace::cache) {
        // A copy, before any store may overwrite the buffer.
        value = in_register(value, false);
      }
      if (instruction.slot == 0) tile_->result = value;
      if (!tile_->stores_cover) continue;
      const DType dtype = store_infos_[instruction.slot].dtype;
      tile_->stores.push_back(
          {value, instruction.slot, tile_->table->store[static_cast<int>(dtype)], size_of(dtype)});
    }
    for (size_t i = 0; i < tile_->values.size(); ++i) {
      TilePlace place = tile_->values[i].place;
      if (place == TilePlace::buffer || place == TilePlace::pattern ||
          place == TilePlace::long_pattern) {
        tile_->moving.push_back(static_cast<int>(i));
      }
    }
  }

  // A value is computed right where it is stored, unless a buffer of the domain's shape is read by
  // a later step: the two may be the same memory.
  void store_directly() {
    bool reads_buffer = false;
    std::vector<bool> free_from(tile_->steps.size(), false);
    for (size_t i = tile_->steps.size(); i-- > 0;) {
      free_from[i] = !reads_buffer;
      const TileStep& step = tile_->steps[i];
      if (step.kind == TileStep::Kind::convert) reads_buffer = reads_buffer || step.period == 0;
      if (step.kind != TileStep::Kind::compute) continue;
      for (int k = 0; k < step.operand_count; ++k) {
        reads_buffer = reads_buffer || tile_->values[step.operands[k]].place == TilePlace::buffer;
      }
    }
    std::vector<bool> taken(tile_->values.size(), false);
    for (TileStore& store : tile_->stores) {
      if (store_infos_[store.slot].dtype != tile_->compute || taken[store.value]) continue;
      for (size_t i = 0; i < tile_->steps.size(); ++i) {
        if (tile_->steps[i].out == store.value && free_from[i]) {
          store.store = nullptr;
          taken[store.value] = true;
        }
      }
    }
    direct_ = std::move(taken);
  }

  // Registers by liveness; then the layout of scratch.
  void place_values() {
    store_directly();
    const size_t count = tile_->values.size();
    std::vector<size_t> last_use(count, 0);
    for (size_t i = 0; i < tile_->steps.size(); ++i) {
      const TileStep& step = tile_->steps[i];
      for (int k = 0; k < step.operand_count; ++k) last_use[step.operands[k]] = i;
    }
    for (const TileStore& store : tile_->stores) last_use[store.value] = tile_->steps.size();
    if (tile_->result >= 0) last_use[tile_->result] = tile_->steps.size();
    std::vector<int> register_of(count, -1);
    std::vector<int> free_registers;
    int registers = 0;
    for (size_t i = 0; i < tile_->steps.size(); ++i) {
      const TileStep& step = tile_->steps[i];
      for (int k = 0; k < step.operand_count; ++k) {
        int operand = step.operands[k];
        bool seen = std::find(step.operands, step.operands + k, operand) != step.operands + k;
        if (!seen && register_of[operand] >= 0 && last_use[operand] == i) {
          free_registers.push_back(register_of[operand]);
        }
      }
      if (direct_[step.out]) continue;
      if (free_registers.empty()) free_registers.push_back(registers++);
      register_of[step.out] = free_registers.back();
      free_registers.pop_back();
    }
    lay_out(register_of, registers);
  }

  void lay_out(const std::vector<int>& register_of, int registers) {
    constexpr int64_t kBudget = 24 * 1024;  // half of the smallest L1 in use
    const int64_t item = static_cast<int64_t>(size_of(tile_->compute));
    int64_t patterns =
        std::count_if(tile_->values.begin(), tile_->values.end(),
                      [](const TileValue& value) { return value.place == TilePlace::pattern; });
    int64_t longest = 0;
    for (const TileValue& value : tile_->values) {
      if (value.place == TilePlace::pattern) longest = std::max(longest, value.period);
    }
    while (tile_->chunk % 2 == 0 && tile_->chunk / 2 >= std::max<int64_t>(longest, 128) &&
           (registers + patterns) * tile_->chunk * item > kBudget) {
      tile_->chunk /= 2;
    }
    auto aligned = [](int64_t bytes) { return (bytes + 63) / 64 * 64; };
    int64_t offset = aligned(static_cast<int64_t>(tile_->values.size() * sizeof(char*)));
    const int64_t numbers = offset;
    offset += aligned(static_cast<int64_t>(tile_->values.size()) * 8);
    const int64_t cache = offset;
    const int64_t register_bytes = aligned(tile_->chunk * item);
    offset += registers * register_bytes;
    for (size_t i = 0; i < tile_->values.size(); ++i) {
      TileValue& value = tile_->values[i];
      value.offset = numbers + static_cast<int64_t>(i) * 8;
      if (register_of[i] >= 0) value.offset = cache + register_of[i] * register_bytes;
      if (value.place == TilePlace::pattern) {
        value.offset = offset;
        offset += aligned((tile_->chunk + value.period) * item);
      }
    }
    tile_->scratch_bytes = static_cast<size_t>(offset);
    choose_unit();
  }

  // Work units of about 10 us: cheap programs take longer ranges.
  void choose_unit() {
    int64_t cost = 1;
    for (const TileStep& step : tile_->steps) {
      const bool slow = step.kind != TileStep::Kind::compute || step.operand_count == 1;
      cost += slow ? 4 : 1;
    }
    int64_t chunks = std::max<int64_t>(1, 128 * 1024 / cost / tile_->chunk);
    tile_->unit = chunks * tile_->chunk;
  }

  const TileProgram& program_;
  const std::vector<TensorInfo>& load_infos_;
  const std::vector<TensorInfo>& store_infos_;
  std::vector<Instruction> code_;
  std::vector<Walk> walks_;   // of the loads
  std::vector<bool> varies_;  // by instruction
  std::vector<bool> direct_;  // by value: computed where it is stored
  std::shared_ptr<BoundTile> tile_;
};

}  // namespace

std::shared_ptr<const BoundTile> bind_tile(const TileProgram& program, const Shape& domain,
                                           const std::vector<TensorInfo>& loads,
                                           const std::vector<TensorInfo>& stores,
                                           const std::vector<int64_t>& symbols, Isa isa) {
  return Binder(program, domain, loads, stores, symbols, isa).bind();
}

void check_tile_program(const TileProgram& program) { parse(program); }

size_t tile_scratch_bytes(const BoundTile& tile) { return tile.scratch_bytes; }
int64_t tile_elements(const BoundTile& tile) { return tile.elements; }
bool tile_stores_cover(const BoundTile& tile) { return tile.stores_cover; }
const Shape& tile_domain(const BoundTile& tile) { return tile.domain; }
DType tile_compute_type(const BoundTile& tile) { return tile.compute; }

}  // namespace nnrt
