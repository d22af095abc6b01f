// Chains: neighbouring steps on images that take turns, some rows each, so that what one makes for
// the next stays in the cache and never has memory of its own. An expansion, its depthwise
// convolution and the projection after it are one (fused-layer evaluation: Alwani et al., 2016).
#pragma once

#include <cstdint>
#include <vector>

#include "core/binding.h"

namespace nnrt {

// Joins the steps of `part` that gain from it by a model of memory, caches and the rows that
// threads make twice where they meet. `lone[b]`: buffer b is a temporary that only one step reads;
// `roots` as in ProgramInfo. A step that joined the next one has no last phase and touches nothing;
// the last of its chain does it all. Gives the buffers between them that need no memory any more.
std::vector<int> join_chains(BoundPart& part, const std::vector<bool>& lone,
                             const std::vector<int>& roots, const std::vector<TensorInfo>& buffers,
                             int threads);

}  // namespace nnrt
