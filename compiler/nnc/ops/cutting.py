"""Operators that cut out, surround or repeat parts of a value, with what flows back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dims import Dim, evaluate, lower_bound, product
from ..graph import Node, Type, Value
from . import samples
from .base import (
    Array,
    Attribute,
    Context,
    Cost,
    Operator,
    Sample,
    ShapeError,
    cost_of,
    schema,
)
from .shapes import (
    Shape,
    require_float,
    require_no_negative,
    require_positive,
    require_rank,
    require_shape,
    shape_text,
)

if TYPE_CHECKING:
    from ..builder import Builder

Gradients = list[Value | None]


class Cutting(Operator, abstract=True):
    operands = ("x",)
    traits = frozenset({"pure"})

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, 0)


def slice_shape(shape: Shape, attributes: Mapping[str, Any]) -> Shape:
    """The shape of `slice`. Raises ShapeError where known bounds lie outside the value."""
    begin, end, step = (attributes[name] for name in ("begin", "end", "step"))
    for name, values in (("begin", begin), ("end", end), ("step", step)):
        if len(values) != len(shape):
            raise ShapeError(
                f"a slice of {shape_text(shape)} needs {len(shape)} values for `{name}`, "
                f"found {list(values)}",
                operands=(0,),
                code="N0404",
            )
    if 0 in step:
        raise ShapeError("the step of a slice must not be 0", code="N0404")
    return tuple(
        _extent(axis, shape[axis], *bounds)
        for axis, bounds in enumerate(zip(begin, end, step, strict=True))
    )


def _extent(axis: int, size: Dim, begin: Dim, end: Dim, step: int) -> Dim:
    forward = step > 0
    distance = end - begin if forward else begin - end
    count = (distance + (abs(step) - 1)) // abs(step)
    low, high = (begin, end) if forward else (end + 1, begin + 1)
    if _negative(low) or _negative(size - high) or _negative(distance):
        raise ShapeError(
            f"the slice from {begin} to {end} lies outside axis {axis}, which has {size} elements",
            operands=(0,),
            expected=f"bounds from 0 to {size}",
        )
    return count


def _negative(value: Dim) -> bool:
    """Certainly below 0 (symbols are at least 0)."""
    return -lower_bound(value * -1) < 0


def _indices(attributes: Mapping[str, Any], shape: Sequence[int]) -> tuple[slice, ...]:
    """Python's slices of a value whose cut has `shape`."""
    made = []
    for begin, step, count in zip(attributes["begin"], attributes["step"], shape, strict=True):
        stop = begin + step * count
        made.append(slice(begin, stop if stop >= 0 else None, step) if count else slice(0, 0))
    return tuple(made)


_SLICE_CASES: tuple[tuple[tuple[int, ...], ...], ...] = (
    ((7,), (2,), (5,), (1,)),
    ((7,), (1,), (7,), (2,)),
    ((7,), (6,), (-1,), (-1,)),
    ((8,), (7,), (0,), (-3,)),
    ((3, 5), (1, 0), (3, 4), (1, 1)),
    ((3, 5, 4), (0, 4, 3), (3, 0, 0), (2, -2, -1)),
    ((2, 9, 9, 3), (0, 1, 1, 0), (2, 8, 8, 3), (1, 2, 3, 1)),
    ((2, 3, 17), (0, 0, 1), (2, 3, 17), (1, 1, 1)),
    ((), (), (), ()),
    ((100, 5, 64), (3, 0, 16), (99, 5, 48), (1, 1, 1)),
)


class Slice(Cutting):
    """From `begin` up to `end` in steps of `step`.

    A step may be negative; then `end` may be -1, which is: up to the first.
    """

    name = "slice"
    traits = frozenset({"linear", "picks", "pure"})
    attributes = schema(
        begin=Attribute("dims", required=True),
        end=Attribute("dims", required=True),
        step=Attribute("ints", required=True),
    )
    kernel = "slice"
    kernel_omits = ("end",)

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        return (Type(operands[0].dtype, slice_shape(operands[0].shape, attributes)),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        cut = (attributes["begin"][0], attributes["end"][0], attributes["step"][0])
        return cut == (0, operands[0].shape[0], 1)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        (x,) = operands
        shape = [evaluate(dim, {}) for dim in slice_shape(x.shape, attributes)]
        return (np.array(x[_indices(attributes, shape)], order="C"),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        shape = node.operands[0].shape
        return [builder.emit("slice_backward", gradient, shape=shape, **node.attributes)]

    def samples(self) -> list[Sample]:
        made = [
            Sample((samples.normal(*shape),), {"begin": begin, "end": end, "step": step}, (0,))
            for shape, begin, end, step in _SLICE_CASES
        ]
        bytes_sample = samples.integers(0, 255, 9, 3, dtype="uint8")
        return [
            *made,
            Sample((bytes_sample,), {"begin": (8, 0), "end": (1, 2), "step": (-2, 1)}),
        ]


class SliceBackward(Cutting):
    """The operand at the places that `slice` cuts out of a value of `shape`, zeros elsewhere."""

    name = "slice_backward"
    operands = ("dy",)
    attributes = schema(Slice.attributes, shape=Attribute("dims", required=True))
    kernel = "slice_backward"
    kernel_omits = ("end", "shape")

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        shape = attributes["shape"]
        require_shape(self.name, "the gradient", operands, 0, slice_shape(shape, attributes))
        return (Type(operands[0].dtype, shape),)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        (dy,) = operands
        dx = np.zeros(attributes["shape"], dy.dtype)
        dx[_indices(attributes, dy.shape)] = dy
        return (dx,)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        cut = {name: node.attributes[name] for name in Slice.attributes}
        return [builder.emit("slice", gradient, **cut)]

    def samples(self) -> list[Sample]:
        made = []
        for shape, begin, end, step in _SLICE_CASES:
            attributes = {"begin": begin, "end": end, "step": step}
            cut = [evaluate(dim, {}) for dim in slice_shape(shape, attributes)]
            made.append(Sample((samples.normal(*cut),), {**attributes, "shape": shape}, (0,)))
        return made


class Pad(Cutting):
    """`low` elements before and `high` after each axis, all equal to `value`."""

    name = "pad"
    attributes = schema(
        low=Attribute("dims", required=True),
        high=Attribute("dims", required=True),
        value=Attribute("float", default=0.0),
    )
    kernel = "pad"
    kernel_omits = ("high",)

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        shape = operands[0].shape
        require_no_negative(self.name, "the padding", attributes["low"], len(shape))
        require_no_negative(self.name, "the padding", attributes["high"], len(shape))
        sizes = zip(shape, attributes["low"], attributes["high"], strict=True)
        return (Type(operands[0].dtype, tuple(dim + low + high for dim, low, high in sizes)),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return bool(attributes["low"][0] == 0 and attributes["high"][0] == 0)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        (x,) = operands
        widths = list(zip(attributes["low"], attributes["high"], strict=True))
        value = np.asarray(attributes["value"]).astype(x.dtype)
        return (np.pad(x, widths, constant_values=value) if widths else x,)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        shape = node.operands[0].shape
        begin = node.attributes["low"]
        end = tuple(low + dim for low, dim in zip(begin, shape, strict=True))
        step = (1,) * len(shape)
        return [builder.emit("slice", gradient, begin=begin, end=end, step=step)]

    def samples(self) -> list[Sample]:
        made = [
            Sample((samples.normal(*shape),), {"low": low, "high": high, "value": value}, (0,))
            for shape, low, high, value in (
                ((5,), (2,), (0,), 0.0),
                ((3, 4), (0, 1), (2, 3), -1.5),
                ((2, 5, 5, 3), (0, 1, 2, 0), (0, 2, 1, 0), 0.0),
                ((2, 7, 7, 16), (0, 1, 1, 0), (0, 1, 1, 0), 0.5),
                ((3, 3), (0, 0), (0, 0), 1.0),
                ((30, 40, 17), (1, 0, 2), (0, 3, 0), 0.0),
            )
        ]
        whole = samples.integers(0, 255, 3, 3, dtype="uint8")
        return [*made, Sample((whole,), {"low": (1, 0), "high": (0, 2), "value": 7.0})]


_RESIZE_CASES = (
    ((1, 3, 3, 1), (2, 2)),
    ((2, 3, 5, 3), (3, 2)),
    ((2, 4, 4, 16), (1, 1)),
    ((1, 2, 3, 17), (1, 4)),
    ((2, 8, 8, 32), (2, 2)),
)


class ResizeNearest(Cutting):
    """An image with each pixel repeated `factor` times along height and width."""

    name = "resize_nearest"
    attributes = schema(factor=Attribute("ints", required=True))
    kernel = "resize_nearest"

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        factor = attributes["factor"]
        require_float(self.name, operands, (0,))
        require_rank(self.name, operands, 0, "[N, H, W, C]")
        require_positive(self.name, "the factor", factor, 2)
        batch, height, width, channels = operands[0].shape
        return (Type(operands[0].dtype, (batch, height * factor[0], width * factor[1], channels)),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return True

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        rows, columns = attributes["factor"]
        return (operands[0].repeat(rows, axis=1).repeat(columns, axis=2),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        return [builder.emit("resize_nearest_backward", gradient, **node.attributes)]

    def samples(self) -> list[Sample]:
        return [
            Sample((samples.normal(*shape),), {"factor": factor}, (0,))
            for shape, factor in _RESIZE_CASES
        ]


class ResizeNearestBackward(Cutting):
    """The sum over the repetitions of each pixel."""

    name = "resize_nearest_backward"
    operands = ("dy",)
    attributes = schema(factor=Attribute("ints", required=True))
    kernel = "resize_nearest_backward"

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        factor = attributes["factor"]
        require_float(self.name, operands, (0,))
        require_rank(self.name, operands, 0, "[N, H, W, C]")
        require_positive(self.name, "the factor", factor, 2)
        batch, height, width, channels = operands[0].shape
        if any((size % by) != 0 for size, by in zip((height, width), factor, strict=True)):
            raise ShapeError(
                f"an image of {height} x {width} is no repetition of pixels {list(factor)} times",
                operands=(0,),
            )
        small = (batch, height // factor[0], width // factor[1], channels)
        return (Type(operands[0].dtype, small),)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        (dy,) = operands
        rows, columns = attributes["factor"]
        batch, height, width, channels = dy.shape
        split = (batch, height // rows, rows, width // columns, columns, channels)
        return (dy.reshape(split).sum(axis=(2, 4)),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        return [builder.emit("resize_nearest", gradient, **node.attributes)]

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, product(operands[0].shape))

    def samples(self) -> list[Sample]:
        return [
            Sample(
                (samples.normal(n, h * rows, w * columns, c),), {"factor": (rows, columns)}, (0,)
            )
            for (n, h, w, c), (rows, columns) in _RESIZE_CASES
        ]


OPERATORS: tuple[Operator, ...] = (
    Slice(),
    SliceBackward(),
    Pad(),
    ResizeNearest(),
    ResizeNearestBackward(),
)
