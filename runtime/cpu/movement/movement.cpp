// Kernels that only move elements: transpose, concat, slice and its gradient, pad, resize_nearest.
// Each names the boxes to copy.
#include <algorithm>
#include <limits>

#include "cpu/bind.h"
#include "cpu/column_store.h"
#include "cpu/movement/box_copy.h"

namespace nnrt {
namespace {

// All of the operand into the same place of the result.
Box whole_box(const Shape& shape) {
  Box box;
  box.dims = shape;
  box.to_strides = dense_strides(shape);
  box.from_strides = box.to_strides;
  return box;
}

// The part of `large` that begin and step choose, with the extents of `small`: its offset and
// strides in `large`.
struct Part {
  int64_t offset = 0;
  std::vector<int64_t> strides;
};

// The last of `count` elements, clamped to the range of the integers.
int64_t last_of(int64_t begin, int64_t step, int64_t count) {
  int64_t last = 0;
  if (__builtin_mul_overflow(count - 1, step, &last) ||
      __builtin_add_overflow(begin, last, &last)) {
    return step > 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
  }
  return last;
}

Part part_of(const BindRequest& request, const Shape& large, const Shape& small,
             const std::string& kernel) {
  NNC_CHECK(large.size() == small.size(), kernel + ": ranks differ");
  const auto begin = integers_attribute(*request.attributes, "begin", large.size());
  const auto step = integers_attribute(*request.attributes, "step", large.size());
  Part part;
  part.strides = dense_strides(large);
  for (size_t d = 0; d < large.size(); ++d) {
    NNC_CHECK(step[d] != 0, kernel + ": a step of 0");
    if (small[d] == 0) continue;
    const auto taken = [&] {
      const std::string which = small[d] == 1
                                    ? "element " + std::to_string(begin[d])
                                    : "elements " + std::to_string(begin[d]) + " to " +
                                          std::to_string(last_of(begin[d], step[d], small[d]));
      return "the slice takes " + which + " of axis " + std::to_string(d) + ", which has " +
             std::to_string(large[d]);
    };
    NNC_CHECK(begin[d] >= 0 && begin[d] < large[d], taken());
    const int64_t room = step[d] > 0 ? (large[d] - 1 - begin[d]) / step[d] : -(begin[d] / step[d]);
    NNC_CHECK(small[d] - 1 <= room, taken());
    part.offset += begin[d] * part.strides[d];
    part.strides[d] = small[d] > 1 ? part.strides[d] * step[d] : 0;
  }
  if (std::find(small.begin(), small.end(), 0) != small.end()) part.offset = 0;
  return part;
}

}  // namespace

BoundKernel bind_transpose(const BindRequest& request) {
  const Shape& from = request.operands[0].shape;
  const auto permutation = integers_attribute(*request.attributes, "permutation", from.size());
  const std::vector<int64_t> strides = dense_strides(from);
  std::vector<bool> seen(from.size(), false);
  Box box;
  for (int64_t axis : permutation) {
    NNC_CHECK(
        axis >= 0 && axis < static_cast<int64_t>(from.size()) && !seen[static_cast<size_t>(axis)],
        "transpose: not a permutation");
    seen[static_cast<size_t>(axis)] = true;
    box.dims.push_back(from[static_cast<size_t>(axis)]);
    box.from_strides.push_back(strides[static_cast<size_t>(axis)]);
  }
  check_shape(request.results[0], box.dims, "transpose: the result");
  box.to_strides = dense_strides(box.dims);
  return bind_boxes(request, {box});
}

BoundKernel bind_concat(const BindRequest& request) {
  const Shape& to = request.results[0].shape;
  const int64_t axis = integer_attribute(*request.attributes, "axis");
  NNC_CHECK(axis >= 0 && axis < static_cast<int64_t>(to.size()),
            "concat: bad axis " + std::to_string(axis));
  const size_t at = static_cast<size_t>(axis);
  const std::vector<int64_t> strides = dense_strides(to);
  std::vector<Box> boxes;
  int64_t position = 0;
  for (const TensorInfo& operand : request.operands) {
    Shape expected = to;
    if (operand.shape.size() == to.size()) expected[at] = operand.shape[at];
    check_shape(operand, expected, "concat: an operand");
    NNC_CHECK(operand.shape[at] <= to[at] - position, "concat: the operands exceed the result");
    Box box = whole_box(operand.shape);
    box.to_strides = strides;
    box.to_offset = position * strides[at];
    position += operand.shape[at];
    boxes.push_back(std::move(box));
  }
  NNC_CHECK(position == to[at], "concat: the operands do not fill the result");
  BoundKernel bound = bind_boxes(request, std::move(boxes));
  if (at + 1 < to.size()) return bound;
  std::vector<ColumnStore> moves;
  int64_t column = 0;
  for (const TensorInfo& operand : request.operands) {
    moves.push_back({0, operand.shape[at], to[at], column});
    column += operand.shape[at];
  }
  offer_moves(request, std::move(moves), bound);
  return bound;
}

BoundKernel bind_slice(const BindRequest& request) {
  const Part part = part_of(request, request.operands[0].shape, request.results[0].shape, "slice");
  Box box = whole_box(request.results[0].shape);
  box.from_strides = part.strides;
  box.from_offset = part.offset;
  BoundKernel bound = bind_boxes(request, {box});
  const Shape& from = request.operands[0].shape;
  const Shape& to = request.results[0].shape;
  if (to.empty() || !std::equal(to.begin(), to.end() - 1, from.begin())) return bound;
  const int64_t begin = integers_attribute(*request.attributes, "begin", to.size()).back();
  const std::vector<int64_t> steps = integers_attribute(*request.attributes, "step", to.size());
  if (std::all_of(steps.begin(), steps.end(), [](int64_t step) { return step == 1; }))
    offer_moves(request, {{begin, begin + to.back(), to.back(), 0}}, bound);
  return bound;
}

BoundKernel bind_slice_backward(const BindRequest& request) {
  const Part part =
      part_of(request, request.results[0].shape, request.operands[0].shape, "slice_backward");
  Box box = whole_box(request.operands[0].shape);
  box.to_strides = part.strides;
  box.to_offset = part.offset;
  return bind_boxes(request, {box}, true);
}

BoundKernel bind_pad(const BindRequest& request) {
  const Shape& from = request.operands[0].shape;
  const Shape& to = request.results[0].shape;
  NNC_CHECK(from.size() == to.size(), "pad: ranks differ");
  const auto low = integers_attribute(*request.attributes, "low", from.size());
  Box box = whole_box(from);
  box.to_strides = dense_strides(to);
  for (size_t d = 0; d < from.size(); ++d) {
    NNC_CHECK(low[d] >= 0 && low[d] <= to[d] && from[d] <= to[d] - low[d],
              "pad: the operand does not fit the result");
    box.to_offset += low[d] * box.to_strides[d];
  }
  const double value = number_attribute(*request.attributes, "value");
  return bind_boxes(request, {box}, true, element_bits(request.results[0].dtype, value));
}

BoundKernel bind_resize_nearest(const BindRequest& request) {
  const Shape& from = request.operands[0].shape;
  const auto factor = integers_attribute(*request.attributes, "factor", 2);
  const std::string what = "resize_nearest";
  NNC_CHECK(factor[0] >= 1 && factor[1] >= 1, what + ": factors are at least 1");
  check_shape(request.results[0],
              {from[0], checked_product(from[1], factor[0], what),
               checked_product(from[2], factor[1], what), from[3]},
              what + ": the result");
  const std::vector<int64_t> strides = dense_strides(from);
  Box box;
  box.dims = {from[0], from[1], factor[0], from[2], factor[1], from[3]};
  box.to_strides = dense_strides(box.dims);
  box.from_strides = {strides[0], strides[1], 0, strides[2], 0, strides[3]};
  return bind_boxes(request, {box});
}

}  // namespace nnrt
