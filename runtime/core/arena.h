// Memory of the engine: blocks that are aligned, on huge pages where large, and touched once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/layout.h"

namespace nnrt {

inline constexpr size_t kPage = 4096;

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

// One block that only grows; in guarded memory, one of exactly the layout last asked for.
// `generation` changes when it moved.
class Arena {
 public:
  void reserve(const Layout& layout);  // throws Error when there is not that much memory
  char* data() const { return block_.data(); }
  size_t bytes() const { return block_.bytes(); }
  uint64_t generation() const { return generation_; }

 private:
  Block block_;
  Layout layout_;
  uint64_t generation_ = 0;
};

// Bytes that can still be had here: free memory, or less where a cgroup limits it.
size_t available_memory();

// Throws Error where `bytes` are not available; `purpose`: "the activations of this batch".
void require_memory(size_t bytes, const std::string& purpose);

}  // namespace nnrt
