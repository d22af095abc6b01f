"""Pooling of images [N, H, W, C] over sliding windows, and what flows back.

Padding never wins a maximum. The gradient of a maximum goes to the first one of its window in
row-major order. An average divides by the size of the window where `count_padding` is set, else by
the number of elements of the image in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from ..dims import product
from ..graph import Builder, Node, Type, Value
from . import samples
from .base import (
    Array,
    Attribute,
    Context,
    Cost,
    NotDifferentiable,
    Operator,
    Sample,
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
)
from .windows import Window

Gradients = list[Value | None]

_WINDOW = schema(
    kernel=Attribute("ints", required=True),
    stride=Attribute("ints", required=True),
    padding=Attribute("dims", default=(0, 0, 0, 0)),
)
_MAX = schema(_WINDOW, dilation=Attribute("ints", default=(1, 1)))
_AVERAGE = schema(_WINDOW, count_padding=Attribute("bool", default=True))


def _window(op: str, attributes: Mapping[str, Any]) -> Window:
    require_positive(op, "the kernel", attributes["kernel"], 2)
    return Window.of(attributes, attributes["kernel"])


def _output(op: str, shape: Shape, attributes: Mapping[str, Any]) -> Shape:
    height, width = _window(op, attributes).output(op, shape[1], shape[2])
    return (shape[0], height, width, shape[3])


class Pooling(Operator, abstract=True):
    operands: ClassVar[tuple[str, ...]] = ("x",)
    traits = frozenset({"pure", "epilogue"})

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        require_float(self.name, operands, (0,))
        require_rank(self.name, operands, 0, "[N, H, W, C]")
        return (Type(operands[0].dtype, _output(self.name, operands[0].shape, attributes)),)

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        rows, columns = attributes["kernel"]
        small = min((*operands, *results), key=lambda type: str(type) != str(operands[-1]))
        return cost_of(operands, results, product(small.shape) * rows * columns)


def _largest(x: Array, window: Window) -> tuple[Array, Array, list[tuple[slice, slice]]]:
    """The maximum of each window, the number of its tap, and the slices of each tap."""
    rows, columns = window.output("max_pool", x.shape[1], x.shape[2])
    assert isinstance(rows, int) and isinstance(columns, int)
    padded = window.pad(x, -np.inf)
    inside = window.pad(np.ones((1, x.shape[1], x.shape[2], 1)), 0.0) > 0
    shape = (x.shape[0], rows, columns, x.shape[3])
    best = np.full(shape, -np.inf, x.dtype)
    first = np.full(shape, -1, np.int32)
    slices = []
    for number, (_, _, down, across) in enumerate(window.taps(rows, columns)):
        value = padded[:, down, across]
        better = (value > best) | (first < 0) | (np.isnan(value) & ~np.isnan(best))
        better &= inside[:, down, across]
        best = np.where(better, value, best)
        first = np.where(better, number, first)
        slices.append((down, across))
    return best, first, slices


class MaxPool(Pooling):
    name = "max_pool"
    attributes = _MAX
    kernel = "max_pool"

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        best, _, _ = _largest(operands[0], _window(self.name, attributes))
        return (best,)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        x = node.operands[0]
        return [builder.emit("max_pool_backward", x, gradient, **node.attributes)]

    def samples(self) -> list[Sample]:
        made = [Sample((samples.distinct(*x),), attributes, (0,)) for x, attributes in _max_cases()]
        ties = samples.integers(0, 2, 2, 6, 6, 5).astype(np.float64)
        return [*made, Sample((ties,), {"kernel": (3, 3), "stride": (2, 2)})]


class MaxPoolBackward(Pooling):
    name = "max_pool_backward"
    operands = ("x", "dy")
    attributes = _MAX
    kernel = "max_pool_backward"
    vjp = NotDifferentiable("second derivatives of max_pool are not supported")

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        require_float(self.name, operands, (0, 1))
        require_rank(self.name, operands, 0, "[N, H, W, C]")
        shape = operands[0].shape
        expected = _output(self.name, shape, attributes)
        require_shape(self.name, "the gradient", operands, 1, expected)
        return (Type(operands[0].dtype, shape),)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        x, dy = operands
        window = _window(self.name, attributes)
        _, first, slices = _largest(x, window)
        padded = window.padded_zeros(x.shape, x.dtype)
        for number, (down, across) in enumerate(slices):
            padded[:, down, across] += np.where(first == number, dy, 0)
        return (window.crop(padded, x.shape[1], x.shape[2]),)

    def samples(self) -> list[Sample]:
        made = []
        cases: list[tuple[Array, dict[str, Any]]] = [
            (samples.distinct(*x), attributes) for x, attributes in _max_cases()
        ]
        ties = samples.integers(0, 2, 2, 6, 6, 5).astype(np.float64)
        cases.append((ties, {"kernel": (3, 3), "stride": (2, 2)}))
        for x, attributes in cases:
            shape = _output(self.name, x.shape, self.check_attributes(attributes))
            made.append(Sample((x, samples.normal(*shape)), attributes))  # type: ignore[arg-type]
        return made


def _divisors(shape: Sequence[int], window: Window, count_padding: bool) -> Array | int:
    """How many elements each window [1, rows, columns, 1] averages (at least 1)."""
    if count_padding:
        return window.kernel[0] * window.kernel[1]
    rows, columns = window.output("avg_pool", shape[1], shape[2])
    assert isinstance(rows, int) and isinstance(columns, int)
    inside = window.pad(np.ones((1, shape[1], shape[2], 1), np.int64))
    count = sum(inside[:, down, across] for _, _, down, across in window.taps(rows, columns))
    return np.maximum(count, 1)


class AvgPool(Pooling):
    name = "avg_pool"
    attributes = _AVERAGE
    kernel = "avg_pool"

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        (x,) = operands
        window = _window(self.name, attributes)
        rows, columns = window.output(self.name, x.shape[1], x.shape[2])
        assert isinstance(rows, int) and isinstance(columns, int)
        padded = window.pad(x)
        total = np.zeros((x.shape[0], rows, columns, x.shape[3]), x.dtype)
        for _, _, down, across in window.taps(rows, columns):
            total += padded[:, down, across]
        return ((total / _divisors(x.shape, window, attributes["count_padding"])).astype(x.dtype),)

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
        return [builder.emit("avg_pool_backward", gradient, shape=shape, **node.attributes)]

    def samples(self) -> list[Sample]:
        return [Sample((samples.normal(*x),), attributes, (0,)) for x, attributes in _avg_cases()]


class AvgPoolBackward(Pooling):
    """The gradient of an image of `shape`."""

    name = "avg_pool_backward"
    operands = ("dy",)
    attributes = schema(_AVERAGE, shape=Attribute("dims", required=True))
    kernel = "avg_pool_backward"
    kernel_omits = ("shape",)

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        shape = attributes["shape"]
        require_float(self.name, operands, (0,))
        require_no_negative(self.name, "the shape", shape, 4)
        expected = _output(self.name, shape, attributes)
        require_shape(self.name, "the gradient", operands, 0, expected)
        return (Type(operands[0].dtype, shape),)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        (dy,) = operands
        shape = attributes["shape"]
        window = _window(self.name, attributes)
        divisors = _divisors(shape, window, attributes["count_padding"])
        share = (dy / divisors).astype(dy.dtype)
        padded = window.padded_zeros(shape, dy.dtype)
        for _, _, down, across in window.taps(dy.shape[1], dy.shape[2]):
            padded[:, down, across] += share
        return (window.crop(padded, shape[1], shape[2]),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        attributes = {name: node.attributes[name] for name in _AVERAGE}
        return [builder.emit("avg_pool", gradient, **attributes)]

    def samples(self) -> list[Sample]:
        made = []
        for x, attributes in _avg_cases():
            checked = AvgPool().check_attributes(attributes)
            shape = _output(self.name, x, checked)
            dy = samples.normal(*shape)  # type: ignore[arg-type]
            made.append(Sample((dy,), {**attributes, "shape": x}, (0,)))
        return made


def _cases() -> list[tuple[tuple[int, ...], dict[str, Any]]]:
    return [
        ((1, 1, 1, 1), {"kernel": (1, 1), "stride": (1, 1)}),
        ((2, 4, 6, 3), {"kernel": (2, 2), "stride": (2, 2)}),
        ((1, 5, 7, 1), {"kernel": (2, 2), "stride": (2, 2)}),
        ((2, 7, 5, 8), {"kernel": (3, 2), "stride": (2, 1)}),
        ((1, 6, 6, 17), {"kernel": (3, 3), "stride": (1, 1), "padding": (1, 1, 1, 1)}),
        ((2, 9, 9, 16), {"kernel": (3, 3), "stride": (2, 2), "padding": (0, 1, 1, 0)}),
        ((1, 7, 7, 32), {"kernel": (7, 7), "stride": (7, 7)}),
        ((1, 8, 9, 3), {"kernel": (2, 3), "stride": (3, 4)}),
        ((2, 28, 28, 32), {"kernel": (2, 2), "stride": (2, 2)}),
    ]


def _max_cases() -> list[tuple[tuple[int, ...], dict[str, Any]]]:
    dilated = {"kernel": (3, 2), "stride": (1, 2), "dilation": (2, 3), "padding": (2, 1, 0, 1)}
    return [*_cases(), ((1, 9, 8, 3), dilated)]


def _avg_cases() -> list[tuple[tuple[int, ...], dict[str, Any]]]:
    padded = [case for case in _cases() if "padding" in case[1]]
    return _cases() + [(x, {**attributes, "count_padding": False}) for x, attributes in padded]


OPERATORS: tuple[Operator, ...] = (MaxPool(), MaxPoolBackward(), AvgPool(), AvgPoolBackward())
