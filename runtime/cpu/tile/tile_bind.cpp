// Makes a BoundTile: classifies loads, fuses instructions, finds places for values.
#include <algorithm>
#include <numeric>

#include "cpu/kernel_tables.h"
#include "cpu/tile/tile_bound.h"
#include "cpu/tile/tile_code.h"
#include "nnrt/program.h"

namespace nnrt {
namespace {

class Binder {
 public:
  Binder(const TileProgram& program, const Shape& domain, const std::vector<TensorInfo>& loads,
         const std::vector<TensorInfo>& stores, const std::vector<int64_t>& symbols, Isa isa)
      : program_(program),
        load_infos_(loads),
        store_infos_(stores),
        code_(parse_tile(program)),
        tile_(std::make_shared<BoundTile>()) {
    NNC_CHECK(loads.size() == program.loads.size() && stores.size() == program.stores.size(),
              "tile program: wrong number of buffers");
    NNC_CHECK(domain.size() == program.domain.size(), "tile program: wrong rank of the domain");
    tile_->compute = program.compute;
    tile_->domain = domain;
    tile_->load_count = static_cast<int>(loads.size());
    tile_->store_count = static_cast<int>(stores.size());
    const KernelTables* vectors = vector_kernels(isa, program.compute);
    tile_->table = vectors ? vectors->tile : scalar_tile_table_of(program.compute);
    for (size_t i = 0; i < code_.size(); ++i) {
      if (code_[i].op != TileOp::dim) continue;
      code_[i].op = TileOp::constant;
      code_[i].number = static_cast<double>(evaluate(program.code[i].dim, symbols));
    }
    collapse(domain);
    check_stores(domain);
  }

  std::shared_ptr<BoundTile> bind() {
    find_varying();
    fuse_tile(code_, varies_, program_.compute);
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

  // Which values differ from element to element: the others are numbers.
  void find_varying() {
    for (const TileCode& instruction : code_) {
      bool varies = instruction.op == TileOp::uniform ||
                    (instruction.op == TileOp::load && !walks_[instruction.slot].one);
      for (int operand : instruction.operands) varies = varies || varies_[operand];
      varies_.push_back(varies);
    }
  }

  void mark_needed() {
    for (size_t i = code_.size(); i-- > 0;) {
      if (code_[i].op == TileOp::store) code_[i].needed = true;
      if (!code_[i].needed) continue;
      for (int operand : code_[i].operands) code_[operand].needed = true;
    }
  }

  // Chunks are as long as registers and patterns fit L1 beside the buffers' own lines.
  void choose_chunk() {
    constexpr int64_t kLongest =
        4096;  // bytes of one register: Zen 5, relu and adam over 1 MB: 4 KB is best by a few %
    tile_->chunk = kLongest / static_cast<int64_t>(size_of(tile_->compute));
    for (const TileCode& instruction : code_) {
      if (!instruction.needed || instruction.op != TileOp::load) continue;
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
    const TileCode& instruction = code_[index];
    switch (instruction.op) {
      case TileOp::store:
        break;
      case TileOp::constant:
        tile_->constants.push_back({index, instruction.number});
        break;
      case TileOp::load:
        emit_load(index, instruction.slot);
        break;
      case TileOp::uniform: {
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

  TileLoopFunction function_of(const TileCode& instruction, unsigned mask) const {
    const TileTable& table = *tile_->table;
    switch (instruction.op) {
      case TileOp::unary:
        return table.unary[instruction.code];
      case TileOp::binary:
        return table.binary[instruction.code][mask];
      case TileOp::select:
        return table.select[mask];
      case TileOp::multiply_add:
        return table.multiply_add[mask];
      case TileOp::negate_multiply_add:
        return table.negate_multiply_add[mask];
      case TileOp::add_maximum:
        return table.add_maximum[mask];
      default:
        return table.choose[instruction.code][mask];
    }
  }

  void emit_compute(int index) {
    const TileCode& instruction = code_[index];
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
    for (const TileCode& instruction : code_) {
      if (instruction.op != TileOp::store) continue;
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
      if (place == TilePlace::buffer && tile_->values[i].dtype == DType::f32)
        tile_->advancing.push_back(tile_->values[i].slot);
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
    std::vector<bool> is_free(tile_->values.size(), false);  // by value, each of one step at most
    for (size_t i = 0; i < tile_->steps.size(); ++i) is_free[tile_->steps[i].out] = free_from[i];
    for (TileStore& store : tile_->stores) {
      if (store_infos_[store.slot].dtype != tile_->compute || taken[store.value]) continue;
      if (!is_free[store.value]) continue;
      store.store = nullptr;
      taken[store.value] = true;
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
  std::vector<TileCode> code_;
  std::vector<Walk> walks_;   // of the loads
  std::vector<bool> varies_;  // by instruction
  std::vector<bool> direct_;  // by value: computed where it is stored
  std::shared_ptr<BoundTile> tile_;
};

}  // namespace

std::shared_ptr<const BoundTile> bind_tile(const TileProgram& program, const Shape& domain,
                                           const std::vector<TensorInfo>& loads,
                                           const std::vector<TensorInfo>& stores,
                                           const std::vector<int64_t>& symbols, Isa isa,
                                           int result) {
  check_tile_program(program);
  const std::shared_ptr<BoundTile> tile =
      Binder(program, domain, loads, stores, symbols, isa).bind();
  if (result >= 0) tile->epilogue = register_epilogue_of(program, domain, loads, result);
  return tile;
}

const RegisterEpilogue* tile_epilogue(const BoundTile* tile) {
  return tile != nullptr && tile->epilogue ? &*tile->epilogue : nullptr;
}

int64_t column_lanes_of(const BindRequest& request, int64_t lanes) {
  return request.tile == nullptr || tile_epilogue(request.tile) != nullptr ? lanes : 0;
}

size_t tile_scratch_bytes(const BoundTile& tile) { return tile.scratch_bytes; }
const std::vector<int>& tile_advancing(const BoundTile& tile) { return tile.advancing; }
int tile_load_count(const BoundTile& tile) { return tile.load_count; }
int64_t tile_elements(const BoundTile& tile) { return tile.elements; }
bool tile_stores_cover(const BoundTile& tile) { return tile.stores_cover; }
const Shape& tile_domain(const BoundTile& tile) { return tile.domain; }
DType tile_compute_type(const BoundTile& tile) { return tile.compute; }

}  // namespace nnrt
