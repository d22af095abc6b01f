// The strict reader of zips.
#include "core/zip.h"

#include <array>
#include <cstdint>
#include <cstring>

#include "nnrt/types.h"

namespace nnrt {
namespace {

constexpr uint64_t kMaxMembers = 4096;
constexpr uint64_t kMaxTable = uint64_t{1} << 21;  // bytes

constexpr size_t kLocalSize = 30;
constexpr size_t kEntrySize = 46;
constexpr size_t kEndSize = 22;
constexpr size_t kLocatorSize = 20;
constexpr size_t kEnd64Size = 56;
constexpr uint32_t kInExtra =
    0xffffffff;  // the value stands in the entry's extra field, of 64 bits
constexpr uint64_t kUtf8 = 0x800;

[[noreturn]] void damaged(const std::string& why) {
  throw Error("the compiled model is damaged: " + why);
}

[[noreturn]] void wrong_table() { damaged("its table of parts is wrong"); }

// A little-endian number of some bytes.
uint64_t number_at(std::string_view text, uint64_t at, size_t bytes) {
  if (at > text.size() || text.size() - at < bytes) damaged("it ends early");
  uint64_t value = 0;
  for (size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(text[at + i]);
  return value;
}

std::string_view part_of(std::string_view text, uint64_t at, uint64_t bytes) {
  if (at > text.size() || text.size() - at < bytes) damaged("it ends early");
  return text.substr(at, bytes);
}

struct Table {
  uint64_t count, start, bytes;
};

struct Entry {
  std::string name;
  uint64_t header;  // where the member begins
  std::string_view content;
  uint32_t checksum;
};

// By the end of the file.
Table find_table(std::string_view file) {
  const char* const missing = "its end is missing";
  if (file.size() < kEndSize) damaged("it ends early");
  uint64_t place = file.size() - kEndSize;
  const auto end = [&](uint64_t at, size_t bytes) { return number_at(file, place + at, bytes); };
  if (part_of(file, place, 4) != std::string_view("PK\x05\x06", 4)) damaged(missing);
  Table table = {end(10, 2), end(16, 4), end(12, 4)};
  if (end(4, 2) != 0 || end(6, 2) != 0 || end(8, 2) != table.count || end(20, 2) != 0)
    damaged(missing);
  // Large files have their numbers in a second record.
  if (place >= kLocatorSize + kEnd64Size &&
      part_of(file, place - kLocatorSize, 4) == std::string_view("PK\x06\x07", 4)) {
    const uint64_t named = number_at(file, place - kLocatorSize + 8, 8);
    place -= kLocatorSize + kEnd64Size;
    if (part_of(file, place, 4) != std::string_view("PK\x06\x06", 4) || named != place ||
        end(24, 8) != end(32, 8)) {
      damaged(missing);
    }
    table = {end(32, 8), end(48, 8), end(40, 8)};
  }
  if (table.start > place || table.bytes != place - table.start) wrong_table();
  return table;
}

// Sizes and offset of an entry, with those that need 64 bits taken from its extra field.
void widen(std::string_view extra, std::array<uint64_t, 3>& values) {
  size_t count = 0;
  for (uint64_t value : values) count += value == kInExtra;
  if (count == 0) return;
  if (extra.size() < 4 + 8 * count || number_at(extra, 0, 2) != 1 ||
      number_at(extra, 2, 2) != 8 * count) {
    wrong_table();
  }
  uint64_t at = 4;
  for (uint64_t& value : values) {
    if (value != kInExtra) continue;
    value = number_at(extra, at, 8);
    at += 8;
  }
}

// The entry of the table at `at`, which moves behind it.
Entry read_entry(std::string_view file, std::string_view table, uint64_t& at) {
  if (at > table.size() || table.size() - at < kEntrySize) wrong_table();
  const auto field = [&](uint64_t place, size_t bytes) {
    return number_at(table, at + place, bytes);
  };
  const uint64_t flags = field(8, 2), name_bytes = field(28, 2), extra_bytes = field(30, 2);
  const bool stored = (flags & ~kUtf8) == 0 && field(10, 2) == 0;
  if (table.substr(at, 4) != std::string_view("PK\x01\x02", 4) || !stored || field(32, 2) != 0 ||
      field(34, 2) != 0) {
    wrong_table();
  }
  const uint64_t extra_at = at + kEntrySize + name_bytes;
  if (extra_at + extra_bytes > table.size()) wrong_table();
  std::array<uint64_t, 3> sizes = {field(24, 4), field(20, 4), field(42, 4)};
  widen(table.substr(extra_at, extra_bytes), sizes);
  const auto [size, packed, header] = sizes;
  const std::string_view name = table.substr(at + kEntrySize, name_bytes);
  const auto local = [&](uint64_t place, size_t bytes) {
    return number_at(part_of(file, header, kLocalSize), place, bytes);
  };
  if (size != packed || part_of(file, header, 4) != std::string_view("PK\x03\x04", 4) ||
      local(6, 2) != flags || local(8, 2) != 0 || local(26, 2) != name_bytes ||
      part_of(file, header + kLocalSize, name_bytes) != name) {
    wrong_table();
  }
  const uint64_t start = header + kLocalSize + name_bytes + local(28, 2);
  const uint32_t checksum = static_cast<uint32_t>(field(16, 4));
  at = extra_at + extra_bytes;
  return {std::string(name), header, part_of(file, start, size), checksum};
}

// Tables for eight bytes at a time: entry [k][b] is the checksum of b and k zeros.
using Checksums = std::array<std::array<uint32_t, 256>, 8>;

constexpr Checksums make_checksums() {
  Checksums tables = {};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320 : 0);
    tables[0][byte] = value;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

// CRC-32, as zips have it.
uint32_t checksum_of(std::string_view text) {
  static constexpr Checksums kTables = make_checksums();
  uint32_t value = ~uint32_t{0};
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint32_t next = 0;
    for (size_t k = 0; k < 8; ++k) {
      const uint32_t state = k < 4 ? value >> (8 * k) : 0;
      next ^= kTables[7 - k][(state ^ static_cast<unsigned char>(text[i + k])) & 0xff];
    }
    value = next;
  }
  for (; i < text.size(); ++i)
    value = (value >> 8) ^ kTables[0][(value ^ static_cast<unsigned char>(text[i])) & 0xff];
  return ~value;
}

}  // namespace

std::map<std::string, std::string_view> read_zip(std::string_view file) {
  const Table table = find_table(file);
  if (table.count > kMaxMembers || table.bytes > kMaxTable)
    damaged("its table lists " + std::to_string(table.count) + " parts, and at most " +
            std::to_string(kMaxMembers) + " are read");
  const std::string_view entries = part_of(file, table.start, table.bytes);
  std::map<std::string, std::string_view> members;
  uint64_t at = 0;
  uint64_t end = 0;
  for (uint64_t i = 0; i < table.count; ++i) {
    const Entry entry = read_entry(file, entries, at);
    const std::string quoted = std::string("`").append(entry.name).append("`");
    if (!members.emplace(entry.name, entry.content).second)
      damaged("two of its parts are named " + quoted);
    const uint64_t last =
        static_cast<uint64_t>(entry.content.data() - file.data()) + entry.content.size();
    if (entry.header != end || last > table.start)
      damaged("its parts overlap, or something lies between them");
    if (checksum_of(entry.content) != entry.checksum)
      damaged(quoted + " does not match its checksum");
    end = last;
  }
  if (at != entries.size() || end != table.start) wrong_table();
  return members;
}

}  // namespace nnrt
