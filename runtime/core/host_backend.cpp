#include "core/host_backend.h"

#include <cstring>

namespace nnrt {
namespace {

class HostMemory : public DeviceMemory {
 public:
  explicit HostMemory(const Layout& layout) : block_(layout) {}
  char* address() const override { return block_.data(); }

 private:
  Block block_;
};

}  // namespace

std::unique_ptr<DeviceMemory> HostBackend::allocate(const Layout& layout,
                                                    const std::string& purpose) {
  require_memory(layout.bytes, purpose);
  return std::make_unique<HostMemory>(layout);
}

void HostBackend::upload(char* to, const void* from, size_t bytes) {
  std::memmove(to, from, bytes);
}
void HostBackend::download(void* to, const char* from, size_t bytes) {
  std::memcpy(to, from, bytes);
}
void HostBackend::copy(char* to, const char* from, size_t bytes) { std::memmove(to, from, bytes); }

}  // namespace nnrt
