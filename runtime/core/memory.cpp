#include "nnrt/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <utility>

#include "nnrt/types.h"

namespace nnrt {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
// Below this a block is a few plain pages: a huge page each would waste more than it gains.
constexpr size_t kHugeFrom = size_t{1} << 20;
// What must stay free for everything else in the process.
constexpr size_t kReserve = size_t{64} << 20;
// The size limit of a guarded block.
constexpr size_t kMostGuarded = size_t{256} << 20;

size_t read_number(const char* path) {
  size_t value = 0;
  std::ifstream file(path);
  return file >> value ? value : std::numeric_limits<size_t>::max();
}

size_t memory_of_machine() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  size_t kilobytes = 0;
  std::string unit;
  while (file >> key >> kilobytes && std::getline(file, unit)) {
    if (key == "MemAvailable:") return kilobytes * 1024;
  }
  return std::numeric_limits<size_t>::max();
}

size_t memory_of_cgroup(const char* limit_path, const char* used_path) {
  const size_t limit = read_number(limit_path);
  const size_t used = read_number(used_path);
  if (limit == std::numeric_limits<size_t>::max() || used == std::numeric_limits<size_t>::max()) {
    return std::numeric_limits<size_t>::max();
  }
  return limit > used ? limit - used : 0;
}

std::string gigabytes(size_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f GiB", static_cast<double>(bytes) / (size_t{1} << 30));
  return text;
}

}  // namespace

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

Block::Block(size_t bytes) {
  if (bytes == 0) return;
  const bool huge = bytes >= kHugeFrom;
  const size_t unit = huge ? kHugePage : kPage;
  NNC_CHECK(bytes < (guarded() ? kMostGuarded : std::numeric_limits<size_t>::max() / 2),
            "a block of memory is too large");
  bytes_ = round_up(bytes, unit);
  const size_t mapped = bytes_ + (huge ? kHugePage : 0);
  void* raw = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  NNC_CHECK(raw != MAP_FAILED, "out of memory: " + gigabytes(bytes) + " could not be had");
  data_ = static_cast<char*>(raw);
  if (!huge) return;
  // Keep the aligned part of the mapping and give the rest back.
  const uintptr_t address = reinterpret_cast<uintptr_t>(data_);
  const size_t front = round_up(address, kHugePage) - address;
  if (front > 0) munmap(data_, front);
  data_ += front;
  const size_t back = mapped - front - bytes_;
  if (back > 0) munmap(data_ + bytes_, back);
#if defined(MADV_HUGEPAGE)
  madvise(data_, bytes_, MADV_HUGEPAGE);
#endif
}

Block::Block(const Layout& layout) : Block(layout.bytes) {
  for (size_t guard : layout.guards) {
    NNC_CHECK(mprotect(data_ + guard, kPage, PROT_NONE) == 0, "a page could not be guarded");
  }
}

Block::~Block() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

Block::Block(Block&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Block& Block::operator=(Block&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

size_t available_memory() {
  return std::min({memory_of_machine(),
                   memory_of_cgroup("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
                   memory_of_cgroup("/sys/fs/cgroup/memory/memory.limit_in_bytes",
                                    "/sys/fs/cgroup/memory/memory.usage_in_bytes")});
}

void require_memory(size_t bytes, const std::string& purpose) {
  if (bytes < kReserve) return;
  const size_t available = available_memory();
  NNC_CHECK(bytes <= available && available - bytes >= std::min(kReserve, available / 16),
            purpose + " need " + gigabytes(bytes) + " of memory, and " + gigabytes(available) +
                " are free: use a smaller batch");
}

}  // namespace nnrt
