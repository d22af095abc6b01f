// The caches of the machine at hand.
#pragma once

#include <cstdint>

namespace nnrt {

// Bytes of L2 that a core has to itself; 1 MB where the machine does not say.
int64_t l2_bytes();

}  // namespace nnrt
