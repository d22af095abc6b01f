#include "cpu/engine/arena.h"

#include "nnrt/types.h"

namespace nnrt {

void Arena::reserve(const Layout& layout) {
  if (guarded() ? layout == layout_ : layout.bytes <= block_.bytes()) return;
  block_ = Block();  // the old one first: both at once may be too much
  ++generation_;
  require_memory(layout.bytes, "the activations of this batch");
  block_ = Block(layout);
  layout_ = layout;
  ++generation_;
  if (guarded()) return;
  // Page faults happen here and never again.
  char* const data = block_.data();
  const int64_t pages = static_cast<int64_t>(block_.bytes() / kPage);
  for (int64_t page = 0; page < pages; ++page) {
    *static_cast<volatile char*>(data + static_cast<size_t>(page) * kPage) = 0;
  }
}

}  // namespace nnrt
