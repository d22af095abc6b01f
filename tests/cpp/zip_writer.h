// Writes zips of stored members, for tests of files that are whole but wrong.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace nnrt::test {

using Parts = std::vector<std::pair<std::string, std::string>>;

inline std::string little(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) {
    text += static_cast<char>(value);
    value >>= 8;
  }
  return text;
}

inline uint32_t crc32(const std::string& text) {
  uint32_t value = ~uint32_t{0};
  for (char c : text) {
    value ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xedb88320 : 0);
  }
  return ~value;
}

inline std::string zip_of(const Parts& parts) {
  std::string file, table;
  for (const auto& [name, content] : parts) {
    const std::string sizes = little(crc32(content), 4) + little(content.size(), 4) +
                              little(content.size(), 4) + little(name.size(), 2);
    const std::string about = little(20, 2) + little(0, 8) + sizes + little(0, 2);
    table += std::string("PK\x01\x02") + little(20, 2) + about + little(0, 10) +
             little(file.size(), 4) + name;
    file += std::string("PK\x03\x04") + about + name + content;
  }
  const std::string counts = little(0, 4) + little(parts.size(), 2) + little(parts.size(), 2);
  return file + table + "PK\x05\x06" + counts + little(table.size(), 4) + little(file.size(), 4) +
         little(0, 2);
}

}  // namespace nnrt::test
