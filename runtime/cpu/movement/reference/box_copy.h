// A copy between boxes, one element at a time: the meaning.
#pragma once

#include <cstdint>

#include "cpu/movement/box_copy.h"

namespace nnrt::reference {

template <class Element>
void copy_box(const Box& box, Element* to, const Element* from) {
  int64_t count = 1;
  for (int64_t dim : box.dims) count *= dim;
  for (int64_t index = 0; index < count; ++index) {
    int64_t rest = index;
    int64_t target = box.to_offset;
    int64_t source = box.from_offset;
    for (size_t d = box.dims.size(); d-- > 0;) {
      target += rest % box.dims[d] * box.to_strides[d];
      source += rest % box.dims[d] * box.from_strides[d];
      rest /= box.dims[d];
    }
    to[target] = from[source];
  }
}

}  // namespace nnrt::reference
