// What changes from run to run beside inputs and variables.
#pragma once

#include <cstdint>

namespace nnrt {

struct RunState {
  uint64_t seed = 0;
  uint64_t step = 0;
};

}  // namespace nnrt
