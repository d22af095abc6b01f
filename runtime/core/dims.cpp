// Dimensions: the text form to postfix code, and its exact evaluation.
#include <algorithm>
#include <array>
#include <limits>

#include "nnrt/plan.h"

namespace nnrt {
namespace {

constexpr int kMaxDepth = 64;
constexpr size_t kMaxText = 4096;
constexpr size_t kMaxSymbols = 1024;  // each name is looked for among them

// Recursive descent over: total = term {+|- term}; term = factor {*|// factor};
// factor = number | name | -factor | (total) | max(total,total).
class DimParser {
 public:
  DimParser(const std::string& text, const std::vector<std::string>& symbols)
      : text_(text), symbols_(symbols) {
    NNC_CHECK(text.size() <= kMaxText,
              "a dimension of " + std::to_string(text.size()) + " characters is too long");
  }

  Dim parse() {
    total(0);
    skip_spaces();
    if (at_ != text_.size()) fail();
    dim_.text = text_;
    return std::move(dim_);
  }

 private:
  [[noreturn]] void fail() const { throw Error("no dimension: `" + text_ + "`"); }

  void skip_spaces() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }

  bool take(const char* token) {
    skip_spaces();
    const size_t length = std::char_traits<char>::length(token);
    if (text_.compare(at_, length, token) != 0) return false;
    at_ += length;
    return true;
  }

  void emit(DimOp::Kind kind, int64_t value = 0) { dim_.code.push_back({kind, value}); }

  void total(int depth) {
    NNC_CHECK(depth < kMaxDepth, "a dimension is nested too deeply: `" + text_.substr(0, 80) + "`");
    term(depth);
    for (;;) {
      if (take("+")) {
        term(depth);
        emit(DimOp::Kind::add);
      } else if (take("-")) {
        term(depth);
        emit(DimOp::Kind::subtract);
      } else {
        return;
      }
    }
  }

  void term(int depth) {
    factor(depth);
    for (;;) {
      if (take("//")) {
        factor(depth);
        emit(DimOp::Kind::floor_divide);
      } else if (take("*")) {
        factor(depth);
        emit(DimOp::Kind::multiply);
      } else {
        return;
      }
    }
  }

  void factor(int depth) {
    NNC_CHECK(depth < kMaxDepth, "a dimension is nested too deeply: `" + text_.substr(0, 80) + "`");
    if (take("-")) {
      emit(DimOp::Kind::constant, 0);
      factor(depth + 1);
      emit(DimOp::Kind::subtract);
    } else if (take("(")) {
      total(depth + 1);
      if (!take(")")) fail();
    } else {
      skip_spaces();
      if (at_ < text_.size() && is_digit(text_[at_])) {
        number();
      } else {
        name(depth);
      }
    }
  }

  void number() {
    int64_t value = 0;
    for (; at_ < text_.size() && is_digit(text_[at_]); ++at_) {
      if (__builtin_mul_overflow(value, int64_t{10}, &value) ||
          __builtin_add_overflow(value, static_cast<int64_t>(text_[at_] - '0'), &value)) {
        fail();
      }
    }
    emit(DimOp::Kind::constant, value);
  }

  void name(int depth) {
    const size_t start = at_;
    while (at_ < text_.size() && (is_letter(text_[at_]) || (at_ > start && is_digit(text_[at_]))))
      ++at_;
    if (at_ == start) fail();
    const std::string word = text_.substr(start, at_ - start);
    if (word == "max" && take("(")) {
      total(depth + 1);
      if (!take(",")) fail();
      total(depth + 1);
      if (!take(")")) fail();
      emit(DimOp::Kind::maximum);
      return;
    }
    const auto found = std::find(symbols_.begin(), symbols_.end(), word);
    NNC_CHECK(found != symbols_.end(),
              "unknown symbol `" + word + "` in the dimension `" + text_ + "`");
    emit(DimOp::Kind::symbol, found - symbols_.begin());
  }

  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  }

  const std::string& text_;
  const std::vector<std::string>& symbols_;
  size_t at_ = 0;
  Dim dim_;
};

int64_t floor_divide(int64_t left, int64_t right, const Dim& dim) {
  NNC_CHECK(right != 0, "division by zero in the dimension `" + dim.text + "`");
  NNC_CHECK(!(left == std::numeric_limits<int64_t>::min() && right == -1),
            "the dimension `" + dim.text + "` is too large");
  const int64_t quotient = left / right;
  return (left % right != 0 && (left < 0) != (right < 0)) ? quotient - 1 : quotient;
}

int64_t apply(DimOp::Kind kind, int64_t left, int64_t right, const Dim& dim) {
  int64_t value = 0;
  bool overflow = false;
  switch (kind) {
    case DimOp::Kind::add:
      overflow = __builtin_add_overflow(left, right, &value);
      break;
    case DimOp::Kind::subtract:
      overflow = __builtin_sub_overflow(left, right, &value);
      break;
    case DimOp::Kind::multiply:
      overflow = __builtin_mul_overflow(left, right, &value);
      break;
    case DimOp::Kind::floor_divide:
      value = floor_divide(left, right, dim);
      break;
    case DimOp::Kind::maximum:
      value = std::max(left, right);
      break;
    case DimOp::Kind::constant:
    case DimOp::Kind::symbol:
      throw Error("malformed dimension `" + dim.text + "`");
  }
  NNC_CHECK(!overflow, "the dimension `" + dim.text + "` is too large");
  return value;
}

}  // namespace

Dim parse_dim(const std::string& text, const std::vector<std::string>& symbols) {
  NNC_CHECK(symbols.size() <= kMaxSymbols, "there are " + std::to_string(symbols.size()) +
                                               " symbols; at most " + std::to_string(kMaxSymbols) +
                                               " are possible");
  return DimParser(text, symbols).parse();
}

int64_t evaluate(const Dim& dim, const std::vector<int64_t>& symbols) {
  // Each level of nesting leaves at most two values waiting.
  std::array<int64_t, 4 * kMaxDepth> stack;
  size_t height = 0;
  for (const DimOp& op : dim.code) {
    if (op.kind == DimOp::Kind::constant || op.kind == DimOp::Kind::symbol) {
      NNC_CHECK(height < stack.size(), "the dimension `" + dim.text + "` is nested too deeply");
      if (op.kind == DimOp::Kind::symbol) {
        NNC_CHECK(op.value >= 0 && static_cast<size_t>(op.value) < symbols.size(),
                  "the dimension `" + dim.text + "` names an unknown symbol");
        stack[height++] = symbols[static_cast<size_t>(op.value)];
      } else {
        stack[height++] = op.value;
      }
      continue;
    }
    NNC_CHECK(height >= 2, "malformed dimension `" + dim.text + "`");
    --height;
    stack[height - 1] = apply(op.kind, stack[height - 1], stack[height], dim);
  }
  NNC_CHECK(height == 1, "malformed dimension `" + dim.text + "`");
  return stack[0];
}

}  // namespace nnrt
