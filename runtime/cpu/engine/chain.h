// Chains, or row streaming: steps on images take turns on a band of rows, so that what one step
// computes for the next stays in the cache and is not materialized (fused-layer evaluation: Alwani
// et al., 2016). An expansion, its depthwise convolution and the projection after it are a chain.
// So are a gradient of batch norm and both gradients of the convolution before it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "cpu/engine/binding.h"
#include "cpu/row_streaming.h"

namespace nnrt {

// Results between the steps of chains. `unused` need no memory. `handed` hold another content, of
// this many bytes (RowKernel::handed_bytes).
struct ChainBuffers {
  std::vector<int> unused;
  std::vector<std::pair<int, size_t>> handed;
};

// Joins the steps of `part` that gain by it. A model of memory, caches and rows that two threads
// both compute decides. `readers[b]`: the number of steps that read buffer b, 0 if b is not a
// temporary; `roots` as in ProgramInfo. A step that joins a later one loses the phase that consumes
// or computes rows; the last step of the chain does its work.
ChainBuffers join_chains(BoundPart& part, const std::vector<int>& readers,
                         const std::vector<int>& roots, const std::vector<TensorInfo>& buffers,
                         int threads);

}  // namespace nnrt
