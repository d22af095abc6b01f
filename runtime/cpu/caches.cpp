#include "cpu/caches.h"

#include <unistd.h>

namespace nnrt {

int64_t l2_bytes() {
  static const int64_t bytes = [] {
    constexpr int64_t kUsual = int64_t{1} << 20;
#if defined(_SC_LEVEL2_CACHE_SIZE)
    const long found = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return found > 0 ? static_cast<int64_t>(found) : kUsual;
#else
    return kUsual;
#endif
  }();
  return bytes;
}

}  // namespace nnrt
