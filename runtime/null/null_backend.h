// A device that binds and plans everything and runs nothing. It shows that the seam holds, and what
// a device has to bring along. Outputs of a run are zeros.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nnrt/backend.h"

namespace nnrt {

class NullBackend : public Backend {
 public:
  std::string name() const override { return "null"; }
  std::string target() const override { return "none"; }
  double peak_flops() const override { return 0; }
  bool supports(const std::string&, const std::vector<DType>&) const override { return true; }
  // Variables are kept, so that they can be set and read.
  std::unique_ptr<DeviceMemory> allocate(const Layout& layout, const std::string& purpose) override;
  void upload(char* to, const void* from, size_t bytes) override;
  void download(void* to, const char* from, size_t bytes) override;
  void copy(char* to, const char* from, size_t bytes) override;
  bool all_finite(DType, const char*, size_t) override { return true; }
  std::unique_ptr<DataRows> open(const std::vector<DataColumn>& columns, size_t most,
                                 bool shuffled) override;
  std::unique_ptr<Context> make_context(Executable& executable) override;
};

}  // namespace nnrt
