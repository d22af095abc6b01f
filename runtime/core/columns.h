// Columns written in place: where concat or slice would copy columns of what a kernel has made, the
// kernel stores them where they belong, on their way from the registers.
#pragma once

#include <vector>

#include "core/binding.h"

namespace nnrt {

// Gives the steps of `part` whose kernels can do so the work of later copies. `plain[b]`: buffer b
// is a temporary under no other name; `reads`: how many steps and outputs read each; `roots` as in
// ProgramInfo. A copy of which nothing is left has no phase. Gives the buffers that need no memory
// any more.
std::vector<int> store_columns(BoundPart& part, const std::vector<bool>& plain,
                               const std::vector<int>& reads, const std::vector<int>& roots,
                               const std::vector<TensorInfo>& buffers);

}  // namespace nnrt
