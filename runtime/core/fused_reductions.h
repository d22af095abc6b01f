// Sums over a tensor, such as batch norm's statistics, taken by the step that makes it: each unit
// that has completed some pixels gives them to the sums while they lie in its cache. The partial
// sums wait in the arena for the step that merges them.
#pragma once

#include <cstddef>
#include <vector>

#include "core/binding.h"

namespace nnrt {

// By number of the steps; `BoundStep::parts` of both has the bytes.
struct FusedSums {
  size_t maker = 0, merger = 0;
};

// Where a kernel of `part` heeds a taker (BoundKernel::sum_parts), a later step has sums to take of
// its result, and that pays by a model of caches and memory, which knows no number of threads.
// Steps that joined a chain, or end one, do without.
// `roots` as in ProgramInfo.
std::vector<FusedSums> take_sums(BoundPart& part, const std::vector<int>& roots,
                                 const std::vector<TensorInfo>& buffers);

}  // namespace nnrt
