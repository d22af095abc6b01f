// A device that binds and plans everything and runs nothing. It shows that the seam holds, and what
// a device has to bring along. Variables can be set and read. Outputs of a run are zeros.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/host_backend.h"

namespace nnrt {

class NullBackend : public HostBackend {
 public:
  std::string name() const override { return "null"; }
  std::string target() const override { return "none"; }
  double peak_flops() const override { return 0; }
  bool supports(const std::string&, const std::vector<DType>&) const override { return true; }
  bool all_finite(DType, const char*, size_t) override { return true; }
  std::unique_ptr<DataRows> open(const std::vector<DataColumn>& columns, size_t most,
                                 bool shuffled) override;
  std::unique_ptr<Context> make_context(Executable& executable) override;
};

}  // namespace nnrt
