// Arrays in the safetensors format: length of the header, header in JSON, data.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "nnrt/types.h"

namespace nnrt {

struct StoredArray {
  TensorInfo info;
  std::string_view data;  // of the file; aligned to nothing
};

// The arrays by name, which cover the data without gaps and overlaps. Throws Error; `name` says
// what the text is: "weights.safetensors".
std::map<std::string, StoredArray> read_safetensors(std::string_view text, const std::string& name);

}  // namespace nnrt
