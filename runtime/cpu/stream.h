// Which results are written past the caches: those that would be gone from them before anyone reads
// them. It also saves reading what is overwritten.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nnrt {

inline constexpr size_t kStreamBytes = 16 * 1024 * 1024;
inline constexpr int64_t kStreamChannels = 16;  // lines are written whole

constexpr bool streams(size_t bytes, int64_t channels) {
  return bytes >= kStreamBytes && channels % kStreamChannels == 0;
}

}  // namespace nnrt
