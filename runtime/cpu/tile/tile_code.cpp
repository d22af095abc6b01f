#include "cpu/tile/tile_code.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "cpu/tile/tile_table.h"

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
template <size_t Count>
int find_name(const std::string_view (&names)[Count], const std::string& name) {
  for (size_t i = 0; i < Count; ++i) {
    if (names[i] == name) return static_cast<int>(i);
  }
  return -1;
}

TileCode parse_instruction(const TileInstruction& in) {
  TileCode result;
  const auto operands_from = [&](size_t first) {
    result.operands.assign(in.arguments.begin() + static_cast<std::ptrdiff_t>(first),
                           in.arguments.end());
  };
  if (in.op == "load" || in.op == "store") {
    result.op = in.op == "load" ? TileOp::load : TileOp::store;
    result.slot = in.arguments[0];
    operands_from(1);
    return result;
  }
  if (in.op == "const") {
    result.op = TileOp::constant;
    result.number = in.number;
    return result;
  }
  if (in.op == "dim") {
    result.op = TileOp::dim;
    return result;
  }
  if (in.op == "uniform") {
    result.op = TileOp::uniform;
    result.stream = static_cast<uint32_t>(in.stream);
    return result;
  }
  operands_from(0);
  if (int code = find_name(kUnaryNames, in.op); code >= 0) {
    result.op = TileOp::unary;
    result.code = code;
  } else if (int binary = find_name(kBinaryNames, in.op); binary >= 0) {
    result.op = TileOp::binary;
    result.code = binary;
  } else {
    result.op = TileOp::select;
  }
  return result;
}

bool is_binary(const TileCode& instruction, BinaryOperator code) {
  return instruction.op == TileOp::binary && instruction.code == static_cast<int>(code);
}
bool is_square(const TileCode& instruction) {
  return instruction.op == TileOp::unary &&
         instruction.code == static_cast<int>(UnaryOperator::square);
}

int comparison_of(const TileCode& instruction) {
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

class Fuser {
 public:
  Fuser(std::vector<TileCode>& code, const std::vector<bool>& varies, DType compute)
      : code_(code), varies_(varies), compute_(compute) {}

  void fuse() {
    for (TileCode& instruction : code_) {
      for (int operand : instruction.operands) ++code_[operand].uses;
    }
    for (TileCode& instruction : code_) {
      if (is_binary(instruction, BinaryOperator::add))
        fuse_product(instruction, TileOp::multiply_add);
      if (is_binary(instruction, BinaryOperator::sub))
        fuse_product(instruction, TileOp::negate_multiply_add);
      if (is_binary(instruction, BinaryOperator::maximum)) fuse_sum(instruction);
      if (instruction.op == TileOp::select) fuse_comparison(instruction);
    }
  }

 private:
  void fuse_product(TileCode& sum, TileOp fused) {
    if (compute_ == DType::i64) return;
    for (int side : {1, 0}) {
      const TileCode& product = code_[sum.operands[side]];
      if (fused == TileOp::negate_multiply_add && side == 0) return;
      bool square = is_square(product);
      if (!(square || is_binary(product, BinaryOperator::mul)) || product.uses != 1) continue;
      if (!varies_[sum.operands[side]]) continue;
      sum.operands = {product.operands[0], product.operands[square ? 0 : 1],
                      sum.operands[1 - side]};
      sum.op = fused;
      return;
    }
  }

  void fuse_sum(TileCode& maximum) {
    const TileCode& sum = code_[maximum.operands[0]];
    if (!is_binary(sum, BinaryOperator::add) || sum.uses != 1 || !varies_[maximum.operands[0]])
      return;
    maximum.operands = {sum.operands[0], sum.operands[1], maximum.operands[1]};
    maximum.op = TileOp::add_maximum;
  }

  void fuse_comparison(TileCode& select) {
    const TileCode& condition = code_[select.operands[0]];
    int comparison = comparison_of(condition);
    if (comparison < 0 || condition.uses != 1 || !varies_[select.operands[0]]) return;
    int a = condition.operands[0];
    int b = condition.operands[1];
    if (!varies_[a]) {
      std::swap(a, b);
      comparison = mirrored(comparison);
    }
    select.operands = {a, b, select.operands[1], select.operands[2]};
    select.op = TileOp::choose;
    select.code = comparison;
  }

  std::vector<TileCode>& code_;
  const std::vector<bool>& varies_;
  DType compute_;
};

}  // namespace

std::vector<TileCode> parse_tile(const TileProgram& program) {
  std::vector<TileCode> code;
  code.reserve(program.code.size());
  for (const TileInstruction& instruction : program.code)
    code.push_back(parse_instruction(instruction));
  return code;
}

void fuse_tile(std::vector<TileCode>& code, const std::vector<bool>& varies, DType compute) {
  Fuser(code, varies, compute).fuse();
}

}  // namespace nnrt
