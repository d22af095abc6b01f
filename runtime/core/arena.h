// Memory of the engine: blocks that are aligned, on huge pages where large, and touched once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace nnrt {

// A zeroed block. Movable, freed with its owner.
class Block {
 public:
  Block() = default;
  explicit Block(size_t bytes);  // throws Error when the memory is not there
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

// One block that only grows. `generation` changes when it moved.
class Arena {
 public:
  void reserve(size_t bytes);  // throws Error when there is not that much memory
  char* data() const { return block_.data(); }
  size_t bytes() const { return block_.bytes(); }
  uint64_t generation() const { return generation_; }

 private:
  Block block_;
  uint64_t generation_ = 0;
};

// Bytes that can still be had here: free memory, or less where a cgroup limits it.
size_t available_memory();

// Throws Error where `bytes` are not available; `purpose`: "the activations of this batch".
void require_memory(size_t bytes, const std::string& purpose);

}  // namespace nnrt
