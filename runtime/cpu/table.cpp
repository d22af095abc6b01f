// The table of kernels, in the order of kernels.def.
#include <cstring>

#include "nnrt/kernel.h"

namespace nnrt {

#define NNC_KERNEL(name, tile)                                                     \
  void check_##name(const StepSpec& step, const std::vector<BufferSpec>& buffers); \
  BoundKernel bind_##name(const BindRequest& request);
#include "nnrt/kernels.def"

namespace {

constexpr KernelSpec kKernels[] = {
#define NNC_KERNEL(name, tile) {#name, KernelSpec::Tile::tile, &check_##name, &bind_##name},
#include "nnrt/kernels.def"
};

}  // namespace

const KernelSpec* find_kernel(const std::string& name) {
  for (const KernelSpec& kernel : kKernels) {
    if (name == kernel.name) return &kernel;
  }
  return nullptr;
}

}  // namespace nnrt
