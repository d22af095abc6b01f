// The caches of the machine at hand.
#pragma once

#include <cstdint>

namespace nnrt {

// Bytes of L2 that a core has to itself; 1 MB where the machine does not say.
int64_t l2_bytes();
// The same from now on, for tests; 0: what the machine has.
void set_l2_bytes(int64_t bytes);

}  // namespace nnrt
