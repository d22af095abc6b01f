// The strict reader of safetensors.
#include "core/safetensors.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "core/json.h"

namespace nnrt {
namespace {

using json::Kind;
using json::Value;

constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxHeader = 100'000'000;  // as in safetensors itself

class Reader {
 public:
  Reader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  std::map<std::string, StoredArray> read() {
    const size_t length = header_length();
    const json::Document header(text_.substr(kLengthBytes, length), name_, json::Numbers::finite);
    data_ = text_.substr(kLengthBytes + length);
    require(header.root().is(Kind::object), "its header is no object");
    std::map<std::string, StoredArray> arrays;
    header.root().each_member([&](std::string_view name, const Value& value) {
      if (name == "__metadata__") return;
      arrays.emplace(name, array(value, std::string("`").append(name).append("`")));
    });
    check_cover();
    return arrays;
  }

 private:
  void require(bool condition, const std::string& why) const {
    NNC_CHECK(condition, name_ + " cannot be read: " + why);
  }

  size_t header_length() const {
    require(text_.size() >= kLengthBytes, "it ends early");
    uint64_t length = 0;
    for (size_t i = kLengthBytes; i-- > 0;)
      length = length << 8 | static_cast<unsigned char>(text_[i]);
    require(length <= std::min(text_.size() - kLengthBytes, kMaxHeader),
            "its header is longer than the file, or too long");
    return length;
  }

  std::vector<int64_t> sizes(const Value& entry, const char* key, const std::string& what) const {
    const std::optional<Value> list = entry.find(key);
    std::vector<int64_t> found;
    bool sound = list && list->is(Kind::list);
    if (sound) {
      list->each_item([&](const Value& item, size_t) {
        sound = sound && item.is(Kind::integer) && item.integer() >= 0;
        if (sound) found.push_back(item.integer());
      });
    }
    require(sound, what + " needs a list of sizes as `" + key + "`");
    return found;
  }

  StoredArray array(const Value& entry, const std::string& what) {
    require(entry.is(Kind::object), what + " is no object");
    const std::optional<Value> kind = entry.find("dtype");
    const auto* const stored =
        std::find_if(std::begin(kDTypes), std::end(kDTypes), [&](const DTypeInfo& candidate) {
          return kind && kind->is(Kind::string) && kind->text() == candidate.stored;
        });
    require(stored != std::end(kDTypes), what + " has no known `dtype`");
    StoredArray result;
    result.info = {static_cast<DType>(stored - std::begin(kDTypes)), sizes(entry, "shape", what)};
    const std::vector<int64_t> offsets = sizes(entry, "data_offsets", what);
    require(offsets.size() == 2 && offsets[0] <= offsets[1] &&
                static_cast<uint64_t>(offsets[1]) <= data_.size(),
            "the `data_offsets` of " + what + " lie outside");
    const auto begin = static_cast<size_t>(offsets[0]), end = static_cast<size_t>(offsets[1]);
    require(end - begin == checked_bytes(result.info, what),
            what + " has another number of bytes than its shape");
    places_.emplace_back(begin, end);
    result.data = data_.substr(begin, end - begin);
    return result;
  }

  void check_cover() {
    std::sort(places_.begin(), places_.end());
    size_t at = 0;
    for (const auto& [begin, end] : places_) {
      require(begin == at, "arrays overlap, or something lies between them");
      at = end;
    }
    require(at == data_.size(), "something lies behind the arrays");
  }

  std::string_view text_;
  const std::string& name_;
  std::string_view data_;
  std::vector<std::pair<size_t, size_t>> places_;
};

}  // namespace

std::map<std::string, StoredArray> read_safetensors(std::string_view text,
                                                    const std::string& name) {
  return Reader(text, name).read();
}

}  // namespace nnrt
