#include "core/layout.h"

#include <limits>

#include "core/arena.h"
#include "nnrt/types.h"

namespace nnrt {

size_t Layout::add(size_t item, size_t unit) {
  constexpr size_t kMost = std::numeric_limits<size_t>::max() / 4;
  NNC_CHECK(item < kMost && bytes < kMost - item, "sizes are too large");
  const size_t owned = round_up(item, unit);
  if (guarded()) {
    const size_t end = round_up(bytes + owned, kPage);
    guards.push_back(end);
    bytes = end + kPage;
    return end - owned;
  }
  const size_t offset = round_up(bytes, unit);
  bytes = offset + owned;
  return offset;
}

}  // namespace nnrt
