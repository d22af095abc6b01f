// The strict reader of JSON.
#include "core/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "nnrt/types.h"

namespace nnrt::json {
namespace {

constexpr size_t kMaxShown = 80;  // bytes of a key

// The number of bytes of the UTF-8 character that begins at `at`; 0 where none does.
size_t character_bytes(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(at);
  if (first < 0x80) return 1;
  const size_t count = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + count > text.size()) return 0;
  for (size_t i = 1; i < count; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return 0;
  }
  // Refused: overlong forms, halves of surrogate pairs, and code points past the last one.
  const unsigned char second = byte(at + 1);
  if (first == 0xe0 && second < 0xa0) return 0;
  if (first == 0xed && second > 0x9f) return 0;
  if (first == 0xf0 && second < 0x90) return 0;
  if (first == 0xf4 && second > 0x8f) return 0;
  return count;
}

void append_utf8(std::string& text, uint32_t code) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xe0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xf0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

// A key in a message: its first whole characters.
std::string shown(std::string_view key) {
  if (key.size() <= kMaxShown) return std::string(key);
  size_t end = 0;
  while (end < kMaxShown) end += character_bytes(key, end);
  return std::string(key.substr(0, end)) + "…";
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

class Parser {
 public:
  Parser(std::string_view text, const std::string& name, Numbers numbers, Document& document)
      : text_(text), name_(name), numbers_(numbers), document_(document) {}

  void parse() {
    NNC_CHECK(text_.size() <= kMaxBytes, name_ + " cannot be read: it has " +
                                             std::to_string(text_.size()) + " bytes; at most " +
                                             std::to_string(kMaxBytes) + " are possible");
    document_.nodes_.reserve(text_.size() / 8 + 1);
    skip_spaces();
    value(0);
    skip_spaces();
    if (at_ != text_.size()) fail("nothing may follow the value");
  }

 private:
  [[noreturn]] void fail(const std::string& why) const { fail_at(at_, why); }

  [[noreturn]] void fail_at(size_t at, const std::string& why) const {
    throw Error(name_ + " cannot be read: byte " + std::to_string(at) + ": " +
                (at >= text_.size() ? "the text ends early" : why));
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_spaces() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return;
      ++at_;
    }
  }

  bool take(char c) {
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool take(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  // The number of a new node for a value that begins here.
  size_t add(Kind kind) {
    Node node;
    node.kind = kind;
    node.offset = static_cast<uint32_t>(at_);
    document_.nodes_.push_back(node);
    return document_.nodes_.size() - 1;
  }

  void value(int depth) {
    switch (peek()) {
      case '{':
        return object(depth);
      case '[':
        return list(depth);
      case '"':
        return string();
      default:
        break;
    }
    if (is_digit(peek()) || peek() == '-' || peek() == 'N' || peek() == 'I') return number();
    const size_t node = add(Kind::null);
    if (take("null")) return;
    document_.nodes_[node].kind = Kind::boolean;
    document_.nodes_[node].boolean = peek() == 't';
    if (!take("true") && !take("false")) fail("a value is expected");
  }

  void check_depth(int depth) const {
    if (depth >= kMaxDepth)
      fail("lists and objects are nested more than " + std::to_string(kMaxDepth) + " deep");
  }

  void close(size_t node, uint32_t count) {
    document_.nodes_[node].count = count;
    document_.nodes_[node].end = document_.nodes_.size();
  }

  void list(int depth) {
    check_depth(depth);
    const size_t node = add(Kind::list);
    uint32_t count = 0;
    ++at_;
    skip_spaces();
    if (take(']')) return close(node, count);
    do {
      skip_spaces();
      value(depth + 1);
      ++count;
      skip_spaces();
    } while (take(','));
    if (!take(']')) fail("`,` or `]` is expected");
    close(node, count);
  }

  void object(int depth) {
    check_depth(depth);
    const size_t node = add(Kind::object);
    uint32_t count = 0;
    ++at_;
    skip_spaces();
    if (take('}')) return close(node, count);
    do {
      skip_spaces();
      if (peek() != '"') fail("a key is expected");
      string();
      skip_spaces();
      if (!take(':')) fail("`:` is expected");
      skip_spaces();
      value(depth + 1);
      ++count;
      skip_spaces();
    } while (take(','));
    if (!take('}')) fail("`,` or `}` is expected");
    close(node, count);
    check_keys(node);
  }

  void check_keys(size_t node) {
    constexpr size_t kFew = 16;  // each is compared with each
    const Value object(&document_, node);
    keys_.clear();
    object.each_member([&](std::string_view key, const Value&) { keys_.push_back(key); });
    const bool sorted = keys_.size() > kFew;
    if (sorted) std::sort(keys_.begin(), keys_.end());
    for (size_t i = 1; i < keys_.size(); ++i) {
      for (size_t j = sorted ? i - 1 : 0; j < i; ++j) {
        if (keys_[i] == keys_[j])
          fail_at(object.offset(),
                  std::string("an object has the key `").append(shown(keys_[i])).append("` twice"));
      }
    }
  }

  void string() {
    const size_t node = add(Kind::string);
    const size_t begin = ++at_;
    std::string* decoded = nullptr;
    size_t copied = begin;  // what lies before is in `decoded`
    for (;;) {
      if (at_ >= text_.size()) fail("");
      const unsigned char c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') break;
      if (c < 0x20) fail("a control character stands in a text");
      if (c == '\\') {
        if (decoded == nullptr) decoded = &document_.decoded_.emplace_back();
        decoded->append(text_.substr(copied, at_ - copied));
        escape(*decoded);
        copied = at_;
        continue;
      }
      const size_t bytes = character_bytes(text_, at_);
      if (bytes == 0) fail("this is no UTF-8");
      at_ += bytes;
    }
    std::string_view found = text_.substr(begin, at_ - begin);
    if (decoded != nullptr) {
      decoded->append(text_.substr(copied, at_ - copied));
      found = *decoded;
    }
    ++at_;
    document_.nodes_[node].count = static_cast<uint32_t>(found.size());
    document_.nodes_[node].text = found.data();
  }

  void escape(std::string& decoded) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const size_t begin = at_++;
    if (take('u')) {
      uint32_t code = hexadecimal();
      if (code >= 0xd800 && code < 0xdc00 && take("\\u")) {
        const uint32_t low = hexadecimal();
        if (low < 0xdc00 || low > 0xdfff) fail_at(begin, "half a pair of surrogates");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      }
      if (code >= 0xd800 && code < 0xe000) fail_at(begin, "half a pair of surrogates");
      return append_utf8(decoded, code);
    }
    const size_t place = at_ < text_.size() ? kNames.find(text_[at_]) : std::string_view::npos;
    if (place == std::string_view::npos) fail("this is no escape");
    decoded += kMeanings[place];
    ++at_;
  }

  uint32_t hexadecimal() {
    uint32_t code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = peek();
      const bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      if (!is_digit(c) && !letter) fail("four hexadecimal digits are expected");
      code = code * 16 + static_cast<uint32_t>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return code;
  }

  void digits() {
    if (!is_digit(peek())) fail("a digit is expected");
    while (is_digit(peek())) ++at_;
  }

  void number() {
    const size_t node = add(Kind::number);
    const size_t begin = at_;
    const bool negative = take('-');
    if (special(node, negative)) return;
    if (!take('0')) digits();
    const bool whole = peek() != '.' && peek() != 'e' && peek() != 'E';
    if (take('.')) digits();
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      digits();
    }
    if (is_digit(peek())) fail_at(begin, "a number may not begin with 0 and another digit");
    const char* const first = text_.data() + begin;
    const char* const last = text_.data() + at_;
    Node& found = document_.nodes_[node];
    if (whole && std::from_chars(first, last, found.integer).ec == std::errc()) {
      found.kind = Kind::integer;
      return;
    }
    if (whole) found.kind = Kind::large;
    double result = 0;
    if (std::from_chars(first, last, result).ec != std::errc())
      fail_at(begin, "no double can hold this number");
    found.number = result;
  }

  // The words that Python's json writes for numbers that are not finite.
  bool special(size_t node, bool negative) {
    const size_t begin = at_;
    const bool nan = !negative && take("NaN");
    if (!nan && !take("Infinity")) return false;
    if (numbers_ == Numbers::finite) fail_at(begin, "only finite numbers are possible");
    const double infinity = std::numeric_limits<double>::infinity();
    document_.nodes_[node].number = nan        ? std::numeric_limits<double>::quiet_NaN()
                                    : negative ? -infinity
                                               : infinity;
    return true;
  }

  std::string_view text_;
  const std::string& name_;
  Numbers numbers_;
  Document& document_;
  size_t at_ = 0;
  std::vector<std::string_view> keys_;  // of the object at hand
};

Document::Document(std::string_view text, const std::string& name, Numbers numbers) {
  Parser(text, name, numbers, *this).parse();
}

std::optional<Value> Value::find(std::string_view key) const {
  Value name(document_, node_ + 1);
  for (size_t i = 0; i < size(); ++i) {
    const Value value = name.next();
    if (name.text() == key) return value;
    name = value.next();
  }
  return std::nullopt;
}

std::string Value::path() const {
  std::string result;
  Value at(document_, 0);
  while (at.node_ != node_) {
    std::optional<Value> inside;
    const auto holds = [&](const Value& value) {
      if (node_ < value.node_ || node_ >= value.next().node_) return false;
      inside = value;
      return true;
    };
    if (at.is(Kind::list)) {
      at.each_item([&](const Value& item, size_t index) {
        if (holds(item)) result.append("[").append(std::to_string(index)).append("]");
      });
    } else {
      at.each_member([&](std::string_view key, const Value& value) {
        if (!holds(value)) return;
        result.append(result.empty() ? "" : ".").append(shown(key));
      });
    }
    if (!inside) return result;
    at = *inside;
  }
  return result;
}

}  // namespace nnrt::json
