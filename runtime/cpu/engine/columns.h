// Columns in place: a kernel stores columns of its result directly into the result of a concat or
// slice that would copy them.
#pragma once

#include <vector>

#include "cpu/engine/binding.h"

namespace nnrt {

// Moves copies of later steps into the steps of `part` whose kernels support it. `plain[b]`: buffer
// b is a temporary without an alias; `reads`: the number of steps and outputs that read each
// buffer; `roots` as in ProgramInfo. A copy that is moved completely has no phase left. Returns the
// buffers that need no memory.
std::vector<int> store_columns(BoundPart& part, const std::vector<bool>& plain,
                               const std::vector<int>& reads, const std::vector<int>& roots,
                               const std::vector<TensorInfo>& buffers);

}  // namespace nnrt
