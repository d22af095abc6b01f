#include "cpu/caches.h"

#include <unistd.h>

#include <atomic>

#include "core/layout.h"

namespace nnrt {

namespace {
constexpr int64_t kUsual = int64_t{1} << 20;
std::atomic<int64_t> guarded_bytes{kUsual};
}  // namespace

int64_t l2_bytes() {
  if constexpr (kGuarded) return guarded_bytes.load();
  static const int64_t bytes = [] {
#if defined(_SC_LEVEL2_CACHE_SIZE)
    const long found = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return found > 0 ? static_cast<int64_t>(found) : kUsual;
#else
    return kUsual;
#endif
  }();
  return bytes;
}

void set_l2_bytes(int64_t bytes) { guarded_bytes.store(bytes); }

}  // namespace nnrt
