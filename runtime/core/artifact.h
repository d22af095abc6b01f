// Compiled models (`.nnc`) without Python.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "core/safetensors.h"
#include "nnrt/executable.h"
#include "nnrt/plan.h"

namespace nnrt {

// The parts of a compiled model that run.
struct Artifact {
  Plan plan;
  uint64_t step = 0;  // steps of training that the weights have behind them
  std::map<std::string, StoredArray> weights;  // views of the file's bytes
};

// From the bytes of a file. Throws Error where anything in them is damaged.
Artifact parse_artifact(std::string_view file);

// The executable of a compiled model, with its weights and step. Throws Error.
std::unique_ptr<Executable> load_executable(const Artifact& artifact,
                                            const Options& options = options_from_environment());
// The same from a regular file; the text of an error begins with its path.
std::unique_ptr<Executable> load_executable(const std::string& path,
                                            const Options& options = options_from_environment());

}  // namespace nnrt
