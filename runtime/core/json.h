// A strict reader of JSON (RFC 8259) for files that are not trusted. Keys are unique, text is
// UTF-8, whole numbers of 64 bits are exact, and depth and size are bounded. Everything else is an
// Error with the byte where it was found.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nnrt::json {

inline constexpr int kMaxDepth = 64;
inline constexpr size_t kMaxBytes = size_t{1} << 28;

// `large`: a whole number that 64 bits cannot hold, as the nearest double.
enum class Kind : uint8_t { null, boolean, integer, large, number, string, list, object };

// Whether NaN, Infinity and -Infinity are numbers, as Python's json writes them, or mistakes.
enum class Numbers : uint8_t { finite, any };

// A value and all that it holds lie in a row: a list is followed by its items, an object by its
// keys, each before its value.
struct Node {
  Kind kind = Kind::null;
  uint32_t offset = 0;  // the first byte in the text
  uint32_t count = 0;   // items, members, or bytes of a string
  union {
    int64_t integer;
    double number;
    bool boolean;
    const char* text;
    size_t end;  // of a list or an object: the node behind all that it holds
  };
  Node() : integer(0) {}
};

class Document;

// A value of a document, which must outlive it.
class Value {
 public:
  Value(const Document* document, size_t node) : document_(document), node_(node) {}

  Kind kind() const { return node().kind; }
  bool is(Kind kind) const { return node().kind == kind; }
  size_t offset() const { return node().offset; }
  bool boolean() const { return node().boolean; }
  int64_t integer() const { return node().integer; }
  // The value of an integer or of another number.
  double number() const {
    return is(Kind::integer) ? static_cast<double>(node().integer) : node().number;
  }
  std::string_view text() const { return {node().text, node().count}; }

  // Items of a list, or members of an object.
  size_t size() const { return node().count; }
  // Calls `take(item, index)` for each item of a list.
  template <class Take>
  void each_item(Take&& take) const {
    Value item(document_, node_ + 1);
    for (size_t i = 0; i < size(); ++i, item = item.next()) take(item, i);
  }
  // Calls `take(key, value)` for each member of an object.
  template <class Take>
  void each_member(Take&& take) const {
    Value key(document_, node_ + 1);
    for (size_t i = 0; i < size(); ++i) {
      const Value value = key.next();
      take(key.text(), value);
      key = value.next();
    }
  }
  // An object's value for this key.
  std::optional<Value> find(std::string_view key) const;

  // The way to it: "programs.predict.steps[3].kernel"; empty for the whole document.
  std::string path() const;

 private:
  const Node& node() const;
  // The value that follows all of this one.
  Value next() const {
    const bool holds = is(Kind::list) || is(Kind::object);
    return {document_, holds ? node().end : node_ + 1};
  }

  const Document* document_;
  size_t node_;
};

class Document {
 public:
  // Reads all of `text`, which must outlive the document. Throws Error; `name` says what the text
  // is: "plan.json".
  Document(std::string_view text, const std::string& name, Numbers numbers);
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  Value root() const { return {this, 0}; }

 private:
  friend class Value;
  friend class Parser;

  std::vector<Node> nodes_;
  std::deque<std::string> decoded_;  // texts with escapes
};

inline const Node& Value::node() const { return document_->nodes_[node_]; }

}  // namespace nnrt::json
