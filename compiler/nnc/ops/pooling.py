"""Pooling of images [N, H, W, C] over sliding windows, and what flows back.

Padding never wins a maximum. The gradient of a maximum goes to the first one of its window in
row-major order: a forward pass that is differentiated notes its place, one byte instead of all the
elements of the window. An average divides by the size of the window where `count_padding` is set,
else by the number of elements of the image in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..dims import product
from ..dtypes import DTYPES
from ..graph import Node, Type, Value
from . import samples
from .base import (
    Array,
    Attribute,
    Context,
    Cost,
    NotDifferentiable,
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
)
from .windows import Window

if TYPE_CHECKING:
    from ..builder import Builder

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

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return all(carried)

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        rows, columns = attributes["kernel"]
        small = min((*operands, *results), key=lambda type: str(type) != str(operands[-1]))
        return cost_of(operands, results, product(small.shape) * rows * columns)


def _largest(x: Array, window: Window) -> tuple[Array, Array]:
    """The maximum of each window and the number of its tap (0 for a window of padding alone)."""
    rows, columns = window.output("max_pool", x.shape[1], x.shape[2])
    assert isinstance(rows, int) and isinstance(columns, int)
    padded = window.pad(x, -np.inf)
    inside = window.pad(np.ones((1, x.shape[1], x.shape[2], 1)), 0.0) > 0
    shape = (x.shape[0], rows, columns, x.shape[3])
    best = np.full(shape, -np.inf, x.dtype)
    first = np.full(shape, -1, np.int32)
    for number, (_, _, down, across) in enumerate(window.taps(rows, columns)):
        value = padded[:, down, across]
        better = (value > best) | (first < 0) | (np.isnan(value) & ~np.isnan(best))
        better &= inside[:, down, across]
        best = np.where(better, value, best)
        first = np.where(better, number, first)
    return best, np.maximum(first, 0)


def _index_dtype(attributes: Mapping[str, Any]) -> str:
    """The element type that holds the number of a tap."""
    rows, columns = attributes["kernel"]
    return "u8" if rows * columns <= 256 else "i32"


class MaxPool(Pooling):
    name = "max_pool"
    attributes = _MAX
    traits = frozenset({"pure", "picks", "epilogue"})
    kernel = "max_pool"

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        best, _ = _largest(operands[0], _window(self.name, attributes))
        return (best,)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        """The forward node is replaced by one that also notes where the maxima are."""
        _, index = builder.replace(node, "max_pool_index")
        return _max_pool_gradient(builder, node, index, gradients[0])

    def samples(self) -> list[Sample]:
        made = [Sample((samples.distinct(*x),), attributes, (0,)) for x, attributes in _max_cases()]
        ties = samples.integers(0, 2, 2, 6, 6, 5).astype(np.float64)
        return [*made, Sample((ties,), {"kernel": (3, 3), "stride": (2, 2)})]


class MaxPoolIndex(MaxPool):
    """A `max_pool` that also gives the number of each maximum's tap in its window, row-major."""

    name = "max_pool_index"
    results = ("y", "index")
    kernel = "max_pool_index"

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        (y,) = super().infer(operands, attributes)
        return (y, Type(_index_dtype(attributes), y.shape))

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        best, first = _largest(operands[0], _window(self.name, attributes))
        return (best, first.astype(DTYPES[_index_dtype(attributes)]))

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        return _max_pool_gradient(builder, node, node.results[1], gradients[0])


def _max_pool_gradient(
    builder: Builder, node: Node, index: Value, gradient: Value | None
) -> Gradients:
    assert gradient is not None
    shape = node.operands[0].shape
    return [builder.emit("max_pool_backward", index, gradient, shape=shape, **node.attributes)]


class MaxPoolBackward(Pooling):
    """The gradient of an image of `shape`, from where the maxima are. A number that names no tap
    inside the image adds nothing.
    """

    name = "max_pool_backward"
    operands = ("index", "dy")
    attributes = schema(_MAX, shape=Attribute("dims", required=True))
    kernel = "max_pool_backward"
    kernel_omits = ("shape",)
    vjp = NotDifferentiable("second derivatives of max_pool are not supported")

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        index, dy = operands
        require_float(self.name, operands, (1,))
        require_no_negative(self.name, "the shape", attributes["shape"], 4)
        expected = _output(self.name, attributes["shape"], attributes)
        require_shape(self.name, "the index", operands, 0, expected)
        require_shape(self.name, "the gradient", operands, 1, expected)
        if index.dtype != _index_dtype(attributes):
            raise ShapeError(
                f"`{self.name}` needs the index of `max_pool_index`, found {index}",
                operands=(0,),
                expected=_index_dtype(attributes),
            )
        return (Type(dy.dtype, attributes["shape"]),)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        index, dy = operands
        shape = attributes["shape"]
        window = _window(self.name, attributes)
        padded = window.padded_zeros(shape, dy.dtype)
        for number, (_, _, down, across) in enumerate(window.taps(dy.shape[1], dy.shape[2])):
            padded[:, down, across] += np.where(index == number, dy, 0)
        return (window.crop(padded, shape[1], shape[2]),)

    def samples(self) -> list[Sample]:
        made = []
        cases: list[tuple[Array, dict[str, Any]]] = [
            (samples.distinct(*x), attributes) for x, attributes in _max_cases()
        ]
        ties = samples.integers(0, 2, 2, 6, 6, 5).astype(np.float64)
        cases.append((ties, {"kernel": (3, 3), "stride": (2, 2)}))
        for x, attributes in cases:
            checked = self.check_attributes({**attributes, "shape": x.shape})
            _, first = _largest(x, _window(self.name, checked))
            index = first.astype(DTYPES[_index_dtype(checked)])
            dy = samples.normal(*first.shape)
            made.append(Sample((index, dy), {**attributes, "shape": x.shape}))
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
    wide = {"kernel": (17, 16), "stride": (2, 1)}
    return [*_cases(), ((1, 9, 8, 3), dilated), ((1, 20, 18, 5), wide)]


def _avg_cases() -> list[tuple[tuple[int, ...], dict[str, Any]]]:
    padded = [case for case in _cases() if "padding" in case[1]]
    return _cases() + [(x, {**attributes, "count_padding": False}) for x, attributes in padded]


OPERATORS: tuple[Operator, ...] = (
    MaxPool(),
    MaxPoolIndex(),
    MaxPoolBackward(),
    AvgPool(),
    AvgPoolBackward(),
)
