// A program at actual sizes: the value of every dimension, and what must hold of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nnrt/plan.h"
#include "nnrt/program.h"
#include "nnrt/types.h"

namespace nnrt {

// Each throws Error where a dimension is negative, overflows, or does not fit another.
Shape evaluate_shape(const std::vector<Dim>& dims, const std::vector<int64_t>& symbols);
std::vector<TensorInfo> evaluate_buffers(const Program& program,
                                         const std::vector<int64_t>& symbols);
// The same attributes, each dimension a constant.
AttributeMap evaluate_attributes(const AttributeMap& attributes,
                                 const std::vector<int64_t>& symbols);

// Element types and shapes of buffers by their numbers.
std::vector<TensorInfo> infos_of(const std::vector<int>& indices,
                                 const std::vector<TensorInfo>& buffers);

// The iteration space of a step's tile program. Throws Error where a load does not broadcast to it,
// or a store or the first result is another shape.
Shape tile_domain(const StepSpec& step, const std::vector<TensorInfo>& buffers,
                  const std::vector<int64_t>& symbols);

// Whether nothing is left to do: all that the step writes has no elements. Throws Error where a
// window that is larger than the image is the reason: a mean of nothing is NaN.
bool is_empty(const StepSpec& step, size_t index, const std::vector<TensorInfo>& buffers);

// Throws Error where a step changes memory while it reads it, and not element by element.
void check_hazards(const StepSpec& step, size_t index, const std::vector<int>& roots,
                   const std::vector<TensorInfo>& buffers, const std::vector<int64_t>& symbols);
// Whether the step may write `written` over `read` element by element: a tile program that reads
// all of it, in order, before it stores.
bool in_place_safe(const StepSpec& step, const std::vector<int>& roots, int read_root,
                   int write_root, const std::vector<TensorInfo>& buffers, const Shape& domain);

// The line of the text that a step comes from, as a message begins with it.
std::string place_of(const StepSpec& step);

}  // namespace nnrt
