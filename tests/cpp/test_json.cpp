// The strict reader of JSON: what it takes, what it refuses and where, and damaged texts.
#include <cmath>
#include <random>

#include "cases.h"
#include "core/json.h"
#include "nnrt/types.h"

using namespace nnrt;
using json::Document;
using json::Kind;
using json::Numbers;

namespace {

// A value in short form: what the reader understood.
std::string told(const json::Value& value) {
  std::string result;
  switch (value.kind()) {
    case Kind::null:
      return "null";
    case Kind::boolean:
      return value.boolean() ? "true" : "false";
    case Kind::integer:
      return std::to_string(value.integer());
    case Kind::large:
      return "large";
    case Kind::number:
      return "number";
    case Kind::string:
      return result.append("'").append(value.text()).append("'");
    case Kind::list:
      result = "[";
      value.each_item([&](const json::Value& item, size_t i) {
        result.append(i > 0 ? " " : "").append(told(item));
      });
      return result.append("]");
    case Kind::object:
      result = "{";
      value.each_member([&](std::string_view key, const json::Value& member) {
        result.append(result.size() > 1 ? " " : "").append(key).append("=").append(told(member));
      });
      return result.append("}");
  }
  return "";
}

std::string read(const std::string& text, Numbers numbers = Numbers::finite) {
  const Document document(text, "x.json", numbers);
  return told(document.root());
}

double number(const std::string& text, Numbers numbers = Numbers::finite) {
  const Document document(text, "x.json", numbers);
  return document.root().number();
}

void takes_every_kind_of_value() {
  CHECK(read(" [ null , true,false, 0,-0, 12 ,-7 ,1.5, \"a\", [] ,{} ] \n") ==
        "[null true false 0 0 12 -7 number 'a' [] {}]");
  CHECK(read("{\"a\": {\"b\": [1, {\"c\": 2}]},\t\"\": 3}") == "{a={b=[1 {c=2}]} =3}");
  CHECK(read("7") == "7");
  CHECK(read("\"x\"") == "'x'");
}

void keeps_whole_numbers_exact() {
  CHECK(read("9223372036854775807") == "9223372036854775807");
  CHECK(read("-9223372036854775808") == "-9223372036854775808");
  CHECK(read("9007199254740993") == "9007199254740993");  // no double is equal to it
  CHECK(read("9223372036854775808") == "large");
  CHECK(number("9223372036854775808") == 9223372036854775808.0);
  CHECK(number("-36893488147419103232") == -36893488147419103232.0);
}

void reads_numbers_to_the_nearest_double() {
  CHECK(number("0.1") == 0.1);
  CHECK(number("2.2250738585072011e-308") == 2.2250738585072011e-308);
  CHECK(number("5e-324") == 5e-324);
  CHECK(number("1.7976931348623157E+308") == 1.7976931348623157e308);
  CHECK(std::signbit(number("-0.0")));
  CHECK(number("1e2") == 100);
  CHECK(read("1e2") == "number");
}

void refuses_what_is_no_number() {
  for (const char* text :
       {"+1",  ".5", "-",     "1.",     "1.e3",   "1e",  "1e+", "--1", "0x1", "01",
        "-01", "00", "1e999", "-1e999", "1e-999", "1_0", "Nan", "nan", "inf", "Inf"}) {
    CHECK_ERROR(read(text, Numbers::any), "x.json cannot be read: byte ");
  }
  CHECK_ERROR(read("[1, 012]"), "byte 4: a number may not begin with 0");
  CHECK_ERROR(read("1e999"), "byte 0: no double can hold this number");
}

void takes_infinite_numbers_only_where_asked() {
  for (const char* text : {"NaN", "Infinity", "-Infinity"})
    CHECK_ERROR(read(text), "only finite numbers are possible");
  CHECK(std::isnan(number("NaN", Numbers::any)));
  CHECK(number("Infinity", Numbers::any) == INFINITY);
  CHECK(number("-Infinity", Numbers::any) == -INFINITY);
  CHECK_ERROR(read("-NaN", Numbers::any), "a digit is expected");
  CHECK_ERROR(read("Infinity1", Numbers::any), "nothing may follow");
}

void decodes_texts() {
  CHECK(read("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"") == "'\"\\/\b\f\n\r\t'");
  CHECK(read("\"a\\u00e9\\u20AC\\ud83d\\ude00z\"") == "'a\u00e9\u20ac\U0001f600z'");
  CHECK(read("\"\u00e9\u20ac\U0001f600\"") == "'\u00e9\u20ac\U0001f600'");
  CHECK(read("\"a\\u0000b\"") == std::string("'a\0b'", 5));
  CHECK(read("{\"\\u006b\": 1}") == "{k=1}");
}

void refuses_what_is_no_text() {
  CHECK_ERROR(read("[\"a\nb\"]"), "byte 3: a control character");
  CHECK_ERROR(read("\"a"), "byte 2: the text ends early");
  CHECK_ERROR(read("\"\\x\""), "byte 2: this is no escape");
  CHECK_ERROR(read("\"\\u12g4\""), "byte 5: four hexadecimal digits");
  for (const char* half : {"\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\ud800\"", "\"\\ud800x\""})
    CHECK_ERROR(read(half), "byte 1: half a pair");
  // A lone tail, an early end, longer forms than needed, halves of pairs, beyond the last one.
  for (const char* bytes : {"\x80", "\xc3", "\xc3(", "\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80",
                            "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xe2\x82"}) {
    CHECK_ERROR(read(std::string("\"").append(bytes).append("\"")), "byte 1: this is no UTF-8");
  }
}

void refuses_what_has_another_form() {
  const std::pair<const char*, const char*> cases[] = {
      {"", "byte 0: the text ends early"},
      {"  ", "byte 2: the text ends early"},
      {"[1,]", "byte 3: a value is expected"},
      {"[1 2]", "byte 3: `,` or `]` is expected"},
      {"[1", "byte 2: the text ends early"},
      {"{\"a\" 1}", "byte 5: `:` is expected"},
      {"{\"a\": 1,}", "byte 8: a key is expected"},
      {"{a: 1}", "byte 1: a key is expected"},
      {"{\"a\": 1 \"b\": 2}", "byte 8: `,` or `}` is expected"},
      {"1 2", "byte 2: nothing may follow the value"},
      {"tru", "byte 0: a value is expected"},
      {"nul", "byte 0: a value is expected"},
      {"'a'", "byte 0: a value is expected"},
      {"// no\n1", "byte 0: a value is expected"},
      {"\xef\xbb\xbf{}", "byte 0: a value is expected"},
      {"\f1", "byte 0: a value is expected"},
  };
  for (const auto& [text, part] : cases) CHECK_ERROR(read(text), part);
  CHECK_ERROR(read(std::string("1\0", 2)), "byte 1: nothing may follow");
}

void refuses_a_key_twice() {
  CHECK_ERROR(read("{\"a\": 1, \"b\": {\"c\": 1, \"\\u0063\": 2}}"),
              "byte 14: an object has the key");
  std::string many = "{\"key7\": 0";
  for (int i = 8; i < 100; ++i) many += ", \"key" + std::to_string(i) + "\": 0";
  CHECK(read(many + "}").size() > 100);
  CHECK_ERROR(read(many + ", \"key50\": 1}"), "the key `key50` twice");
}

void limits_depth() {
  const auto deep = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(read(deep(json::kMaxDepth)).size() == 2 * json::kMaxDepth);
  CHECK_ERROR(read(deep(json::kMaxDepth + 1)),
              "byte 64: lists and objects are nested more than 64");
  CHECK_ERROR(read(std::string(1'000'000, '[')), "nested more than 64 deep");
  std::string objects;
  for (int i = 0; i < 1000; ++i) objects += "{\"a\":";
  CHECK_ERROR(read(objects), "nested more than 64 deep");
}

void limits_size() {
  CHECK_ERROR(read(std::string(json::kMaxBytes + 1, ' ')), "268435457 bytes; at most 268435456");
}

void tells_the_way_to_a_value() {
  const Document document("{\"a\": [1, {\"b\": [2, 3]}], \"c\": 4}", "x.json", Numbers::finite);
  const json::Value root = document.root();
  CHECK(root.path() == "");
  CHECK(root.find("c")->path() == "c");
  CHECK(root.find("c")->offset() == 31);
  CHECK(!root.find("d"));
  std::string path;
  root.find("a")->each_item([&](const json::Value& item, size_t) {
    if (item.is(Kind::object))
      item.find("b")->each_item([&](const json::Value& inner, size_t) { path = inner.path(); });
  });
  CHECK(path == "a[1].b[1]");
  // A path stays short, and text.
  std::string key;
  for (int i = 0; i < 1000; ++i) key += "\u20ac";
  const std::string text = "{\"" + key + "\": 1}";
  const Document long_key(text, "x.json", Numbers::finite);
  CHECK(long_key.root().find(key)->path() == key.substr(0, 81) + "\u2026");
}

// Damaged texts end in an error of the reader or are read; those that are, give their values.
void survives_damage() {
  const std::string sound =
      "{\"a\": [1, -2.5e3, \"t\\u00e9\\n\", null, true, {\"b\": [], \"c\": {}}], \"d\": "
      "9223372036854775808, \"e\\ud83d\\ude00\": [[1, 2], [3, Infinity]], \"\u20ac\": false}";
  const std::string pieces = "{}[]\",:\\u-+.eE0123456789 \n\x80\xc3\xff\x01truefalsnN";
  std::mt19937 choose(1);
  const auto below = [&](size_t count) { return choose() % count; };
  int taken = 0, refused = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = sound;
    for (size_t changes = 1 + below(3); changes-- > 0;) {
      const size_t at = below(text.size());
      const char piece = pieces[below(pieces.size())];
      switch (below(4)) {
        case 0:
          text[at] = piece;
          break;
        case 1:
          text.insert(at, 1, piece);
          break;
        case 2:
          text.erase(at, 1 + below(4));
          break;
        default:
          text.insert(at, text.substr(below(text.size()), below(20)));
      }
    }
    // A copy of exact size, so that a sanitizer sees a read beyond its end.
    const std::vector<char> bytes(text.begin(), text.end());
    try {
      const Document document({bytes.data(), bytes.size()}, "x.json", Numbers::any);
      CHECK(!told(document.root()).empty());
      ++taken;
    } catch (const Error& error) {
      CHECK(test::contains(error.what(), "x.json cannot be read: byte "));
      ++refused;
    }
  }
  CHECK(taken > 10'000);
  CHECK(refused > 50'000);
}

}  // namespace

int main() {
  return test::run_tests(
      {{"takes every kind of value", takes_every_kind_of_value},
       {"keeps whole numbers exact", keeps_whole_numbers_exact},
       {"reads numbers to the nearest double", reads_numbers_to_the_nearest_double},
       {"refuses what is no number", refuses_what_is_no_number},
       {"takes infinite numbers only where asked", takes_infinite_numbers_only_where_asked},
       {"decodes texts", decodes_texts},
       {"refuses what is no text", refuses_what_is_no_text},
       {"refuses what has another form", refuses_what_has_another_form},
       {"refuses a key twice", refuses_a_key_twice},
       {"limits depth", limits_depth},
       {"limits size", limits_size},
       {"tells the way to a value", tells_the_way_to_a_value},
       {"survives damage", survives_damage}});
}
