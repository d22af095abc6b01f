// The zip around a compiled model, read strictly: stored members, one after another from the first
// byte to the table, each name once and each checked against its checksum. nnrt/archive.py reads
// the same.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace nnrt {

// The members of a zip by name, as views of its bytes. Throws Error.
std::map<std::string, std::string_view> read_zip(std::string_view file);

}  // namespace nnrt
