// Memory of the host: blocks that are aligned, on huge pages where large; the layout of items in a
// block, one after another; guarded memory.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace nnrt {

inline constexpr size_t kAlignment = 64;
inline constexpr size_t kPage = 4096;

template <class Number>
constexpr Number round_up(Number number, Number unit) {
  return (number + unit - 1) / unit * unit;
}

// Guarded memory (NNC_GUARD=1) finds kernels that read or write outside of their own memory, for
// tests/fuzz:
//   - each variable, item of the arena, workspace, scratch, prepared weight and output ends at a
//     page that may not be touched. An item owns memory up to the next multiple of kAlignment, and
//     not a byte more; an input ends at its last element.
//   - No memory is used again, but for results in place of operands, which the plan decides.
//   - L2 counts as large as a test says (cpu/caches.h): a small one makes several bands of small
//     images.
//   - A block that is too large for a test is an Error.
// Nothing else differs: the same checks, bindings and kernels run. The variable is read once.
bool guarded();

struct Layout {
  size_t bytes = 0;            // of the block
  std::vector<size_t> guards;  // offsets of pages that nothing may touch; none unless guarded

  // The offset of one more item. Throws Error where the block becomes too large. Items are aligned
  // to `unit`, and own what is there up to the next one.
  size_t add(size_t item, size_t unit = kAlignment);

  bool operator==(const Layout&) const = default;
};

// A zeroed block. Movable, freed with its owner.
class Block {
 public:
  Block() = default;
  // Throws Error when the memory is not there.
  explicit Block(size_t bytes);
  explicit Block(const Layout& layout);
  ~Block();
  Block(Block&& other) noexcept;
  Block& operator=(Block&& other) noexcept;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  char* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  char* data_ = nullptr;
  size_t bytes_ = 0;
};

// Bytes that can still be had here: free memory, or less where a cgroup limits it.
size_t available_memory();

// Throws Error where `bytes` are not available; `purpose`: "the activations of this batch".
void require_memory(size_t bytes, const std::string& purpose);

}  // namespace nnrt
