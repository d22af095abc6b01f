// Copies between boxes: runs if both sides are contiguous, square blocks if rows become columns,
// else strided loops.
#include "cpu/movement/box_copy.h"

#include <algorithm>
#include <cstring>

#include "cpu/bind.h"
#include "cpu/column_store.h"
#include "cpu/kernel_tables.h"
#include "cpu/movement/reference/box_copy.h"
#include "cpu/scalar.h"

namespace nnrt {
namespace {

constexpr int64_t kUnit = 8192;  // elements of a unit
constexpr int64_t kSquare =
    16;  // side of a block: 16 lines of 64 bytes on each side, in L1 at any stride

// A box, cut into units: [outer index][part of the inner dimension].
struct Plane {
  Box box;  // the outer dimensions
  int64_t outer = 1;
  int64_t inner = 1;  // the target's innermost dimension
  int64_t to_step = 1;
  int64_t from_step = 1;
  int64_t turned = 1;       // with blocks: the dimension in which the source is contiguous
  int64_t turned_step = 1;  // its stride in the target
  bool blocks = false;
  bool cuts_turned = false;
  int64_t part = 1;  // elements of `inner` (runs) or `turned` (blocks) of a unit
  int64_t parts = 1;
  int64_t together = 1;  // outer indices of a unit
  int64_t units = 1;
};

struct BoxArguments {
  std::vector<Plane> planes;
  std::vector<Box> boxes;  // for the plain loop
  uint64_t fill = 0;
  int64_t elements = 0;  // of the result
  size_t item = 4;
};

// Joins dimensions that both sides walk as one, and drops those of extent 1.
Box simplified(const Box& box) {
  Box result;
  result.to_offset = box.to_offset;
  result.from_offset = box.from_offset;
  for (size_t d = 0; d < box.dims.size(); ++d) {
    if (box.dims[d] == 1) continue;
    if (!result.dims.empty() && result.to_strides.back() == box.to_strides[d] * box.dims[d] &&
        result.from_strides.back() == box.from_strides[d] * box.dims[d]) {
      result.dims.back() *= box.dims[d];
      result.to_strides.back() = box.to_strides[d];
      result.from_strides.back() = box.from_strides[d];
    } else {
      result.dims.push_back(box.dims[d]);
      result.to_strides.push_back(box.to_strides[d]);
      result.from_strides.push_back(box.from_strides[d]);
    }
  }
  return result;
}

void take_dimension(Box& box, size_t index) {
  auto at = static_cast<std::ptrdiff_t>(index);
  box.dims.erase(box.dims.begin() + at);
  box.to_strides.erase(box.to_strides.begin() + at);
  box.from_strides.erase(box.from_strides.begin() + at);
}

Plane plan(const Box& given) {
  Plane plane;
  plane.box = simplified(given);
  Box& box = plane.box;
  if (!box.dims.empty()) {
    plane.inner = box.dims.back();
    plane.to_step = box.to_strides.back();
    plane.from_step = box.from_strides.back();
    take_dimension(box, box.dims.size() - 1);
  }
  auto turned = std::find(box.from_strides.begin(), box.from_strides.end(), 1);
  if (plane.to_step == 1 && plane.from_step != 1 && plane.from_step != 0 &&
      turned != box.from_strides.end()) {
    const size_t index = static_cast<size_t>(turned - box.from_strides.begin());
    plane.blocks = true;
    plane.turned = box.dims[index];
    plane.turned_step = box.to_strides[index];
    take_dimension(box, index);
  }
  for (int64_t dim : box.dims) plane.outer *= dim;
  // Blocks are cut along the longer side, so that whole lines are used while they are in cache.
  plane.cuts_turned = plane.blocks && plane.turned > plane.inner;
  const int64_t cut = plane.cuts_turned ? plane.turned : plane.inner;
  const int64_t whole = !plane.blocks ? 1 : plane.cuts_turned ? plane.inner : plane.turned;
  const int64_t wanted =
      std::max<int64_t>(kSquare, kUnit / std::max<int64_t>(1, whole) / kSquare * kSquare);
  plane.part = std::max<int64_t>(1, std::min(cut, wanted));
  plane.parts = ceil_div(cut, plane.part);
  plane.together =
      plane.parts > 1 ? 1 : std::max<int64_t>(1, kUnit / std::max<int64_t>(1, cut * whole));
  plane.units = plane.parts > 1 ? plane.outer * plane.parts : ceil_div(plane.outer, plane.together);
  if (plane.inner == 0 || plane.turned == 0) plane.units = 0;
  return plane;
}

template <class Element>
void copy_inner(const Plane& plane, Element* to, const Element* from, int64_t first,
                int64_t count) {
  if (!plane.blocks) {
    to += first * plane.to_step;
    from += first * plane.from_step;
    if (plane.to_step == 1 && plane.from_step == 1) {
      std::memcpy(to, from, static_cast<size_t>(count) * sizeof(Element));
      return;
    }
    for (int64_t i = 0; i < count; ++i) to[i * plane.to_step] = from[i * plane.from_step];
    return;
  }
  const int64_t first_row = plane.cuts_turned ? first : 0;
  const int64_t end_row = plane.cuts_turned ? first + count : plane.turned;
  const int64_t first_column = plane.cuts_turned ? 0 : first;
  const int64_t end_column = plane.cuts_turned ? plane.inner : first + count;
  for (int64_t column = first_column; column < end_column; column += kSquare) {
    const int64_t columns = std::min(kSquare, end_column - column);
    for (int64_t row = first_row; row < end_row; row += kSquare) {
      const int64_t rows = std::min(kSquare, end_row - row);
      for (int64_t r = 0; r < rows; ++r) {
        Element* at = to + (row + r) * plane.turned_step + column;
        const Element* source = from + row + r + column * plane.from_step;
        for (int64_t c = 0; c < columns; ++c) at[c] = source[c * plane.from_step];
      }
    }
  }
}

template <class Element>
void copy_units(const Plane& plane, Element* to, const Element* from, int64_t begin, int64_t end) {
  for (int64_t unit = begin; unit < end; ++unit) {
    const int64_t first = plane.parts > 1 ? unit / plane.parts : unit * plane.together;
    const int64_t last =
        plane.parts > 1 ? first + 1 : std::min(plane.outer, first + plane.together);
    const int64_t cut = plane.cuts_turned ? plane.turned : plane.inner;
    const int64_t start = plane.parts > 1 ? unit % plane.parts * plane.part : 0;
    const int64_t count = std::min(plane.part, cut - start);
    for (int64_t index = first; index < last; ++index) {
      int64_t rest = index;
      int64_t target = plane.box.to_offset;
      int64_t source = plane.box.from_offset;
      for (size_t d = plane.box.dims.size(); d-- > 0;) {
        target += rest % plane.box.dims[d] * plane.box.to_strides[d];
        source += rest % plane.box.dims[d] * plane.box.from_strides[d];
        rest /= plane.box.dims[d];
      }
      copy_inner(plane, to + target, from + source, start, count);
    }
  }
}

// Units of all boxes, one after the other.
template <class Element>
void run_copy(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const BoxArguments*>(call.arguments);
  int64_t base = 0;
  for (size_t i = 0; i < arguments.planes.size(); ++i) {
    const Plane& plane = arguments.planes[i];
    const int64_t first = std::max(begin, base) - base;
    const int64_t last = std::min(end, base + plane.units) - base;
    if (first < last) {
      copy_units(plane, static_cast<Element*>(call.results[0]),
                 static_cast<const Element*>(call.operands[i]), first, last);
    }
    base += plane.units;
  }
}

template <class Element>
void run_fill(const Call& call, int64_t begin, int64_t end) {
  const auto& arguments = *static_cast<const BoxArguments*>(call.arguments);
  Element value;
  std::memcpy(&value, &arguments.fill, sizeof value);
  Element* to = static_cast<Element*>(call.results[0]);
  std::fill(to + begin * kUnit, to + std::min(end * kUnit, arguments.elements), value);
}

template <class Element>
void run_plain(const Call& call, int64_t, int64_t) {
  const auto& arguments = *static_cast<const BoxArguments*>(call.arguments);
  for (size_t i = 0; i < arguments.boxes.size(); ++i) {
    reference::copy_box(arguments.boxes[i], static_cast<Element*>(call.results[0]),
                        static_cast<const Element*>(call.operands[i]));
  }
}

template <class Element>
void add_phases(BoundKernel& bound, const BoxArguments& arguments, bool fills, bool plain) {
  if (fills) bound.phases.push_back({&run_fill<Element>, ceil_div(arguments.elements, kUnit)});
  if (plain) {
    bound.phases.push_back({&run_plain<Element>, 1});
    return;
  }
  int64_t units = 0;
  for (const Plane& plane : arguments.planes) units += plane.units;
  bound.phases.push_back({&run_copy<Element>, units});
}

}  // namespace

std::vector<int64_t> dense_strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

BoundKernel bind_boxes(const BindRequest& request, std::vector<Box> boxes, bool fills,
                       uint64_t fill) {
  auto arguments = std::make_shared<BoxArguments>();
  const bool plain = request.isa == Isa::reference;
  arguments->fill = fill;
  arguments->elements = request.results[0].elements();
  arguments->item = size_of(request.results[0].dtype);
  for (const Box& box : boxes) arguments->planes.push_back(plan(box));
  arguments->boxes = std::move(boxes);
  BoundKernel bound;
  if (arguments->item == 1) {
    add_phases<uint8_t>(bound, *arguments, fills, plain);
  } else if (arguments->item == 2) {
    add_phases<uint16_t>(bound, *arguments, fills, plain);
  } else if (arguments->item == 4) {
    add_phases<uint32_t>(bound, *arguments, fills, plain);
  } else {
    add_phases<uint64_t>(bound, *arguments, fills, plain);
  }
  bound.bytes = bytes_of(request);
  bound.algorithm = plain ? "reference" : "copy";
  bound.arguments = arguments;
  return bound;
}

namespace {

void leave_planes(BoundKernel& kernel, const std::vector<bool>& operands) {
  auto arguments =
      std::make_shared<BoxArguments>(*static_cast<const BoxArguments*>(kernel.arguments.get()));
  int64_t& units = kernel.phases.back().units;
  for (size_t i = 0; i < operands.size(); ++i) {
    if (!operands[i]) continue;
    units -= arguments->planes[i].units;
    arguments->planes[i].units = 0;
  }
  kernel.arguments = std::move(arguments);
}

}  // namespace

void offer_moves(const BindRequest& request, std::vector<ColumnStore> moves, BoundKernel& bound) {
  if (vector_kernels(request.isa, request.results[0].dtype) == nullptr) return;
  bound.copies = std::make_shared<ColumnCopies>(ColumnCopies{std::move(moves), &leave_planes});
}

uint64_t element_bits(DType type, double value) {
  uint64_t bits = 0;
  const auto put = [&bits, value]<class Storage>(Storage element) {
    if constexpr (std::is_integral_v<Storage>) {
      element = scalar::saturate<Storage>(value);
    } else {
      element = static_cast<Storage>(value);
    }
    std::memcpy(&bits, &element, sizeof element);
  };
  switch (type) {
#define NNC_DTYPE(type, name, Storage, kind, stored) \
  case DType::type:                                  \
    put(Storage());                                  \
    break;
#include "nnrt/dtypes.def"
  }
  return bits;
}

}  // namespace nnrt
