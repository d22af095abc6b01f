// The kernels of the CPU, in the order of kernels.def.
#include "cpu/kernel.h"

namespace nnrt {

#define NNC_KERNEL(name, tile) BoundKernel bind_##name(const BindRequest& request);
#include "nnrt/kernels.def"

BindKernel find_kernel(const std::string& name) {
#define NNC_KERNEL(kernel, tile) \
  if (name == #kernel) return &bind_##kernel;
#include "nnrt/kernels.def"
  return nullptr;
}

}  // namespace nnrt
