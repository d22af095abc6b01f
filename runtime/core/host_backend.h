// A backend whose memory is the host's: memory and copies, for devices to derive from.
#pragma once

#include <memory>
#include <string>

#include "nnrt/backend.h"

namespace nnrt {

class HostBackend : public Backend {
 public:
  std::unique_ptr<DeviceMemory> allocate(const Layout& layout, const std::string& purpose) override;
  void upload(char* to, const void* from, size_t bytes) override;
  void download(void* to, const char* from, size_t bytes) override;
  void copy(char* to, const char* from, size_t bytes) override;
};

}  // namespace nnrt
