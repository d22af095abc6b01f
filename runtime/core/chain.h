// Chains: steps on images that take turns, some rows each, so that what one makes for the next
// stays in the cache and never has memory of its own (fused-layer evaluation: Alwani et al., 2016).
// An expansion, its depthwise convolution and the projection after it are one; so are a gradient of
// batch norm and both gradients of the convolution before it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/binding.h"

namespace nnrt {

// Results that lie between the steps of chains: those that need no memory any more, and those that
// hold so many bytes of something else (RowKernel::handed_bytes).
struct ChainBuffers {
  std::vector<int> unused;
  std::vector<std::pair<int, size_t>> handed;
};

// Joins the steps of `part` that gain from it by a model of memory, caches and the rows that
// threads make twice where they meet. `readers[b]`: how many steps read buffer b, 0 where it is no
// temporary; `roots` as in ProgramInfo. A step that joined a later one lacks the phase that takes
// or makes rows and touches nothing; the last of its chain does it all.
ChainBuffers join_chains(BoundPart& part, const std::vector<int>& readers,
                         const std::vector<int>& roots, const std::vector<TensorInfo>& buffers,
                         int threads);

}  // namespace nnrt
