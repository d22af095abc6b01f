"""Shared checks of operand types.

They raise `ShapeError` in words that a user of the language understands.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..dims import Dim
from ..dtypes import FLOATS, INTEGERS
from ..graph import Type
from .base import ShapeError

Shape = tuple[Dim, ...]

CONVERT = "convert with `f32(...)`"


def shape_text(shape: Sequence[Dim]) -> str:
    return "[" + ", ".join(str(dim) for dim in shape) + "]"


def require_float(op: str, types: Sequence[Type], indices: Sequence[int]) -> None:
    """All the operands named must be of one float type."""
    for index in indices:
        if types[index].dtype not in FLOATS:
            raise ShapeError(
                f"`{op}` needs floating point numbers, found {types[index]}",
                operands=(index,),
                expected="f32 or f64",
                help=CONVERT,
                code="N0302",
            )
    require_same_dtype(op, types, indices)


def require_integer(op: str, types: Sequence[Type], index: int) -> None:
    if types[index].dtype not in INTEGERS:
        raise ShapeError(
            f"`{op}` needs integers, found {types[index]}",
            operands=(index,),
            expected="i32, i64 or u8",
            help="convert with `i32(...)`",
            code="N0302",
        )


def require_same_dtype(op: str, types: Sequence[Type], indices: Sequence[int]) -> None:
    for index in indices[1:]:
        first, other = types[indices[0]].dtype, types[index].dtype
        if first != other:
            wider = next((d for d in ("f64", "f32", "i64", "i32") if d in (first, other)), "f32")
            raise ShapeError(
                f"the operands of `{op}` have different element types: {first} and {other}",
                operands=(indices[0], index),
                expected="operands of one element type",
                help=f"convert with `{wider}(...)`",
                code="N0302",
            )


def require_rank(op: str, types: Sequence[Type], index: int, layout: str) -> None:
    """`layout` shows the shape wanted, such as `[N, H, W, C]`."""
    if len(types[index].shape) != layout.count(",") + 1:
        raise ShapeError(
            f"`{op}` needs a value of shape {layout}, found {shape_text(types[index].shape)}",
            operands=(index,),
            expected=layout,
        )


def require_shape(
    op: str, what: str, types: Sequence[Type], index: int, expected: Sequence[Dim]
) -> None:
    if types[index].shape != tuple(expected):
        raise ShapeError(
            f"{what} of `{op}` must have the shape {shape_text(expected)}, "
            f"found {shape_text(types[index].shape)}",
            operands=(index,),
            expected=shape_text(expected),
        )


def require_axis(op: str, axis: int, rank: int) -> None:
    if not 0 <= axis < rank:
        raise ShapeError(
            f"`{op}` has no axis {axis} to work on: the value has {rank} axes",
            operands=(0,),
            expected=f"an axis from 0 to {rank - 1}" if rank else "a value that is no scalar",
            code="N0404",
        )


def normalize_axes(op: str, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Sorted axes, negative ones counted from the end. Raises ShapeError where one is wrong."""
    made = []
    for axis in axes:
        require_axis(op, axis + rank if axis < 0 else axis, rank)
        made.append(axis + rank if axis < 0 else axis)
    if len(set(made)) != len(made):
        raise ShapeError(f"`{op}` names an axis twice: {list(axes)}", code="N0404")
    return tuple(sorted(made))


def require_positive(op: str, what: str, values: Sequence[int], count: int) -> None:
    """An attribute that is a list of `count` integers from 1."""
    if len(values) != count:
        raise ShapeError(
            f"{what} of `{op}` must be {count} numbers, found {list(values)}", code="N0404"
        )
    if min(values) < 1:
        raise ShapeError(
            f"{what} of `{op}` must be at least 1, found {list(values)}",
            expected="numbers from 1",
            code="N0404",
        )


def require_no_negative(op: str, what: str, values: Sequence[Dim], count: int) -> None:
    """An attribute that is a list of `count` dimensions from 0 (symbolic ones are taken to be)."""
    if len(values) != count:
        raise ShapeError(
            f"{what} of `{op}` must be {count} numbers, found {list(values)}", code="N0404"
        )
    if any(isinstance(value, int) and value < 0 for value in values):
        raise ShapeError(
            f"{what} of `{op}` must not be negative, found {list(values)}", code="N0404"
        )


def broadcast_shapes(op: str, shapes: Sequence[Shape]) -> Shape:
    """NumPy's rule on exact dimensions: aligned at the end, equal or 1."""
    if shapes and shapes.count(shapes[0]) == len(shapes):
        return shapes[0]
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[Dim] = []
    for place in range(-rank, 0):
        dim: Dim = 1
        source = 0
        for index, shape in enumerate(shapes):
            if -place > len(shape) or shape[place] == 1:
                continue
            if dim != 1 and shape[place] != dim:
                raise _no_broadcast(op, shapes, (source, index), place)
            if dim == 1:
                dim, source = shape[place], index
        result.append(dim)
    return tuple(result)


def _no_broadcast(
    op: str, shapes: Sequence[Shape], indices: tuple[int, int], place: int
) -> ShapeError:
    left, right = (shapes[index] for index in indices)
    sides = "the two sides" if len(shapes) == 2 else "the operands"
    axis = f"axis {place} (from the end)" if place < -1 else "the last axis"
    return ShapeError(
        f"{sides} of `{op}` have different shapes",
        operands=indices,
        expected=f"{axis} equal, or 1 on one side: it is {left[place]} in {shape_text(left)} "
        f"and {right[place]} in {shape_text(right)}",
        code="N0312",
    )
