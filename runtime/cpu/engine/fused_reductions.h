// Fused reductions: the step that computes a tensor also takes sums over it, such as batch norm's
// statistics. A unit that has completed some pixels adds them to the sums while they are in its
// cache. The partial sums stay in the arena for the step that merges them.
#pragma once

#include <cstddef>
#include <vector>

#include "cpu/engine/binding.h"
#include "cpu/fused_reduction.h"

namespace nnrt {

// The steps by number; `BoundStep::parts` of both has the bytes.
struct FusedSums {
  size_t maker = 0, merger = 0;
};

// Fuses the sums of later steps into the steps of `part` whose kernels support it
// (BoundKernel::sum_parts). A model of caches and memory decides; it does not depend on the number
// of threads. Steps in a chain are left out. `roots` as in ProgramInfo.
std::vector<FusedSums> take_sums(BoundPart& part, const std::vector<int>& roots,
                                 const std::vector<TensorInfo>& buffers);

}  // namespace nnrt
