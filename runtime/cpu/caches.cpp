#include "cpu/caches.h"

#include <unistd.h>

#include <atomic>

#include "nnrt/memory.h"

namespace nnrt {

namespace {
constexpr int64_t kUsual = int64_t{1} << 20;
std::atomic<int64_t> chosen{0};  // 0: what the machine has
}  // namespace

int64_t l2_bytes() {
  static const int64_t found = [] {
    if (guarded()) return kUsual;
#if defined(_SC_LEVEL2_CACHE_SIZE)
    const long bytes = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return bytes > 0 ? static_cast<int64_t>(bytes) : kUsual;
#else
    return kUsual;
#endif
  }();
  const int64_t bytes = chosen.load(std::memory_order_relaxed);
  return bytes > 0 ? bytes : found;
}

void set_l2_bytes(int64_t bytes) { chosen.store(bytes, std::memory_order_relaxed); }

}  // namespace nnrt
