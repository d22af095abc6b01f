#include "cpu/gemm/register_epilogue.h"

namespace nnrt {
namespace {

// Follows the one value that begins as the result and ends in the store. A register holds that
// value, an operand of it, or nothing known.
class Reader {
 public:
  Reader(const TileProgram& program, const Shape& domain, const std::vector<TensorInfo>& loads,
         int result)
      : program_(program), domain_(domain), loads_(loads), result_(result) {}

  std::optional<RegisterEpilogue> read() {
    if (program_.compute != DType::f32 || domain_.empty() || program_.stores.size() != 1 ||
        program_.stores[0] != result_)
      return std::nullopt;
    for (const TileInstruction& instruction : program_.code) {
      if (stored_ || !take(instruction)) return std::nullopt;
      ++at_;
    }
    if (!stored_) return std::nullopt;
    return epilogue_;
  }

 private:
  enum class Kind : uint8_t { number, row, full, full_and_row, above, below, value, store };
  struct Register {
    Kind kind;
    int slot = -1;
    float number = 0;
    int row = -1;  // full_and_row
  };
  // The stages, in their order.
  enum Stage : uint8_t { adding, masking, clamping };

  bool enter(Stage stage) {
    if (stage < stage_) return false;
    stage_ = stage;
    return true;
  }
  bool is_value(int index) const { return index == value_; }
  const Register& at(int index) const { return registers_[static_cast<size_t>(index)]; }
  bool is(int index, Kind kind) const { return at(index).kind == kind; }
  bool is_zero(int index) const { return is(index, Kind::number) && at(index).number == 0; }

  bool define(Register made) {
    registers_.push_back(made);
    return true;
  }
  bool define_value() {
    value_ = at_;
    return define({Kind::value});
  }

  bool take(const TileInstruction& instruction) {
    const std::vector<int>& a = instruction.arguments;
    const std::string& op = instruction.op;
    if (op == "const") return define({Kind::number, -1, static_cast<float>(instruction.number)});
    if (op == "load") return load(a[0]);
    if (op == "store") {
      stored_ = is_value(a[1]);
      return stored_ && define({Kind::store});
    }
    if (op == "add") return add(a[0], a[1]);
    if (op == "greater" || op == "less") return compare(a[0], a[1], op == "greater");
    if (op == "select") return select(a[0], a[1], a[2]);
    if (op == "maximum" || op == "minimum") return clamp(a[0], a[1], op == "maximum");
    return false;
  }

  bool load(int slot) {
    const TensorInfo& info = loads_[static_cast<size_t>(slot)];
    if (info.dtype != DType::f32) return false;
    if (program_.loads[static_cast<size_t>(slot)] == result_) return value_ < 0 && define_value();
    if (info.shape == domain_) return define({Kind::full, slot});
    const bool row =
        info.elements() == domain_.back() && info.rank() > 0 && info.shape.back() == domain_.back();
    return row && define({Kind::row, slot});
  }

  bool add(int a, int b) {
    if (!is_value(a)) std::swap(a, b);
    if (!is_value(a)) {
      if (is(a, Kind::row)) std::swap(a, b);
      return is(a, Kind::full) && is(b, Kind::row) &&
             define({Kind::full_and_row, at(a).slot, 0, at(b).slot});
    }
    if (is_value(b) || !enter(adding)) return false;
    const Register other = at(b);
    if (other.kind == Kind::row) return add_row(other.slot) && define_value();
    const bool with_row = other.kind == Kind::full_and_row;
    if ((other.kind != Kind::full && !with_row) || epilogue_.add >= 0) return false;
    epilogue_.add = other.slot;
    return (!with_row || add_row(other.row)) && define_value();
  }

  bool add_row(int slot) {
    int* const place = epilogue_.rows[0] < 0 ? &epilogue_.rows[0] : &epilogue_.rows[1];
    if (*place >= 0) return false;
    *place = slot;
    return true;
  }

  bool compare(int a, int b, bool above) {
    if (is(a, Kind::number)) {
      std::swap(a, b);
      above = !above;
    }
    if (!is(a, Kind::full) || !is(b, Kind::number)) return false;
    return define({above ? Kind::above : Kind::below, at(a).slot, at(b).number});
  }

  bool select(int condition, int a, int b) {
    const Register& bound = at(condition);
    if (!is_value(a) || !is_zero(b) || !enter(masking)) return false;
    if (epilogue_.mask >= 0 && epilogue_.mask != bound.slot) return false;
    if (bound.kind == Kind::above && !epilogue_.mask_above) {
      epilogue_.mask_above = true;
      epilogue_.mask_low = bound.number;
    } else if (bound.kind == Kind::below && !epilogue_.mask_below) {
      epilogue_.mask_below = true;
      epilogue_.mask_high = bound.number;
    } else {
      return false;
    }
    epilogue_.mask = bound.slot;
    return define_value();
  }

  // First the lower, then the upper bound; the order does not matter if low <= high.
  bool clamp(int a, int b, bool lower) {
    if (!is_value(a)) std::swap(a, b);
    if (!is_value(a) || !is(b, Kind::number) || !enter(clamping)) return false;
    const float bound = at(b).number;
    if (lower && !epilogue_.clamp_low && (!epilogue_.clamp_high || bound <= epilogue_.high)) {
      epilogue_.clamp_low = true;
      epilogue_.low = bound;
    } else if (!lower && !epilogue_.clamp_high) {
      epilogue_.clamp_high = true;
      epilogue_.high = bound;
    } else {
      return false;
    }
    return define_value();
  }

  const TileProgram& program_;
  const Shape& domain_;
  const std::vector<TensorInfo>& loads_;
  const int result_;
  RegisterEpilogue epilogue_;
  std::vector<Register> registers_;
  int at_ = 0;      // the current instruction
  int value_ = -1;  // its register
  Stage stage_ = adding;
  bool stored_ = false;
};

}  // namespace

std::optional<RegisterEpilogue> register_epilogue_of(const TileProgram& program,
                                                     const Shape& domain,
                                                     const std::vector<TensorInfo>& loads,
                                                     int result) {
  return Reader(program, domain, loads, result).read();
}

}  // namespace nnrt
