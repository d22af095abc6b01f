// The check of one tile program: every instruction known, registers in order, slots in range, every
// store done once.
#include <map>

#include "nnrt/program.h"

namespace nnrt {
namespace {

constexpr size_t kMaxInstructions = 4096;
constexpr size_t kMaxSlots = 4096;

const std::map<std::string, size_t>& arities() {
  static const std::map<std::string, size_t> table = {
#define NNC_UNARY(name, ...) {#name, 1},
#define NNC_BINARY(name, ...) {#name, 2},
#define NNC_TERNARY(name, ...) {#name, 3},
#include "nnrt/elementwise.def"
  };
  return table;
}

class TileChecker {
 public:
  explicit TileChecker(const TileProgram& tile) : tile_(tile), stored_(tile.stores.size(), false) {}

  void check() {
    NNC_CHECK(
        tile_.compute == DType::f32 || tile_.compute == DType::f64 || tile_.compute == DType::i64,
        "a tile program computes in f32, f64 or i64");
    NNC_CHECK(tile_.domain.size() <= static_cast<size_t>(kMaxRank),
              "the tile program's domain has more than 8 dimensions");
    NNC_CHECK(tile_.code.size() <= kMaxInstructions, "the tile program is too long");
    NNC_CHECK(tile_.loads.size() <= kMaxSlots && tile_.stores.size() <= kMaxSlots,
              "the tile program has too many slots");
    for (size_t i = 0; i < tile_.code.size(); ++i) check_instruction(i);
    for (size_t slot = 0; slot < stored_.size(); ++slot) {
      NNC_CHECK(stored_[slot], "the tile program never stores to slot " + std::to_string(slot));
    }
    NNC_CHECK(!stored_.empty(), "the tile program stores nothing");
  }

 private:
  void check_instruction(size_t index) {
    const TileInstruction& instruction = tile_.code[index];
    const std::string where = "instruction " + std::to_string(index) + " (" + instruction.op + ")";
    const std::vector<int>& arguments = instruction.arguments;
    if (instruction.op == "load") {
      NNC_CHECK(arguments.size() == 1, where + " takes one slot");
      check_slot(arguments[0], tile_.loads.size(), where);
    } else if (instruction.op == "store") {
      NNC_CHECK(arguments.size() == 2, where + " takes a slot and a register");
      check_slot(arguments[0], tile_.stores.size(), where);
      check_register(arguments[1], index, where);
      NNC_CHECK(!stored_[static_cast<size_t>(arguments[0])], where + " repeats a slot");
      stored_[static_cast<size_t>(arguments[0])] = true;
    } else if (instruction.op == "const" || instruction.op == "dim" ||
               instruction.op == "uniform") {
      NNC_CHECK(arguments.empty(), where + " takes no register");
      NNC_CHECK(instruction.op != "dim" || !instruction.dim.code.empty(),
                where + " has no dimension");
      NNC_CHECK(instruction.stream >= 0 && instruction.stream <= UINT32_MAX,
                where + ": the stream is no 32-bit number");
    } else {
      const auto found = arities().find(instruction.op);
      NNC_CHECK(found != arities().end(), where + " is no elementwise operation");
      NNC_CHECK(arguments.size() == found->second,
                where + " takes " + std::to_string(found->second) + " registers");
      for (int argument : arguments) check_register(argument, index, where);
    }
  }

  void check_slot(int slot, size_t count, const std::string& where) const {
    NNC_CHECK(slot >= 0 && static_cast<size_t>(slot) < count,
              where + " names slot " + std::to_string(slot) + " of " + std::to_string(count));
  }

  void check_register(int reg, size_t index, const std::string& where) const {
    NNC_CHECK(reg >= 0 && static_cast<size_t>(reg) < index,
              where + " uses a register that is not defined before it");
    NNC_CHECK(tile_.code[static_cast<size_t>(reg)].op != "store",
              where + " uses the register of a store");
  }

  const TileProgram& tile_;
  std::vector<bool> stored_;
};

}  // namespace

void check_tile_program(const TileProgram& tile) { TileChecker(tile).check(); }

}  // namespace nnrt
