"""Two-dimensional convolution and its two gradients.

Images are [N, H, W, C], weights [rows, columns, C / groups, O]. The three operators are each
other's gradients; `conv2d_backward_data` is also the forward of a transposed convolution.
References add up one matrix product for each place of the kernel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dims import Dim, Poly, product
from ..graph import Node, Type, Value
from . import samples
from .base import Array, Attribute, Context, Cost, Operator, Sample, ShapeError, cost_of, schema
from .shapes import (
    Shape,
    require_float,
    require_no_negative,
    require_positive,
    require_rank,
    require_shape,
    shape_text,
)
from .windows import Window

if TYPE_CHECKING:
    from ..builder import Builder

Gradients = list[Value | None]

_WINDOW = schema(
    stride=Attribute("ints", default=(1, 1)),
    padding=Attribute("dims", default=(0, 0, 0, 0)),
    dilation=Attribute("ints", default=(1, 1)),
    groups=Attribute("int", default=1),
)


def _window(attributes: Mapping[str, Any], kernel: Sequence[Dim]) -> Window:
    if any(isinstance(size, Poly) for size in kernel):
        raise ShapeError(
            f"the kernel of a convolution must have a known size, found {shape_text(kernel)}",
            operands=(1,),
        )
    return Window.of(attributes, kernel)


def _check_groups(channels: Dim, weights: Shape, groups: int) -> None:
    require_positive("conv2d", "the number of groups", (groups,), 1)
    out = weights[3]
    for what, count in (("input", channels), ("output", out)):
        if count % groups != 0:
            raise ShapeError(
                f"`conv2d` cannot split {count} {what} channels into {groups} groups",
                operands=(0 if what == "input" else 1,),
                expected=f"a multiple of {groups} channels",
            )
    if weights[2] * groups != channels:
        raise ShapeError(
            f"`conv2d` with {groups} groups of weights {shape_text(weights)} "
            f"needs {weights[2] * groups} input channels, found {channels}",
            operands=(0, 1),
            expected=f"{weights[2] * groups} channels",
        )


def output_shape(image: Shape, weights: Shape, attributes: Mapping[str, Any]) -> Shape:
    """The shape of conv2d's result. Raises ShapeError where the parts do not fit."""
    _check_groups(image[3], weights, attributes["groups"])
    height, width = _window(attributes, weights[:2]).output("conv2d", image[1], image[2])
    return (image[0], height, width, weights[3])


def _multiplications(result: Shape, weights: Shape) -> Dim:
    """Multiplications and additions of all three operators, counted as two."""
    return product(result) * product(weights[:3]) * 2


def _split(x: Array, groups: int) -> Array:
    """[..., C] as [groups, everything else, C / groups]."""
    return np.asarray(x.reshape(-1, groups, x.shape[-1] // groups).swapaxes(0, 1))


def _join(x: Array, shape: Sequence[int]) -> Array:
    """The inverse of `_split`."""
    return np.asarray(x.swapaxes(0, 1).reshape(shape))


class Convolution(Operator, abstract=True):
    traits = frozenset({"pure", "epilogue"})


class Conv2d(Convolution):
    name = "conv2d"
    operands = ("x", "weight")
    weights = ("weight",)
    attributes = _WINDOW
    kernel = "conv2d"

    def scalable_weight(self, attributes: Mapping[str, Any]) -> tuple[int, int] | None:
        return 1, -1

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        x, weight = operands
        require_float(self.name, operands, (0, 1))
        require_rank(self.name, operands, 0, "[N, H, W, C]")
        require_rank(self.name, operands, 1, "[rows, columns, C, O]")
        return (Type(x.dtype, output_shape(x.shape, weight.shape, attributes)),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return list(carried) == [True, False]

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        x, weight = operands
        groups = attributes["groups"]
        window = _window(attributes, weight.shape[:2])
        height, width = window.output(self.name, x.shape[1], x.shape[2])
        assert isinstance(height, int) and isinstance(width, int)
        shape = (x.shape[0], height, width, weight.shape[3])
        padded = window.pad(x)
        total = np.zeros((groups, shape[0] * height * width, shape[3] // groups), x.dtype)
        for i, j, rows, columns in window.taps(height, width):
            total += _split(padded[:, rows, columns], groups) @ _split(weight[i, j], groups)
        return (_join(total, shape),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        x, weight = node.operands
        kernel = weight.shape[:2]
        return [
            _data(builder, gradient, weight, node, x.shape) if needed[0] else None,
            _weight(builder, x, gradient, node, kernel) if needed[1] else None,
        ]

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        flops = _multiplications(results[0].shape, operands[1].shape)
        return cost_of(operands, results, flops)

    def samples(self) -> list[Sample]:
        return [
            Sample((samples.normal(*x), samples.normal(*w, seed=1)), attributes, (0, 1))
            for x, w, attributes in _cases()
        ]


def _window_attributes(node: Node) -> dict[str, Any]:
    return {name: node.attributes[name] for name in _WINDOW}


def _data(builder: Builder, dy: Value, weight: Value, node: Node, shape: Shape) -> Value:
    return builder.emit("conv2d_backward_data", dy, weight, shape=shape, **_window_attributes(node))


def _weight(builder: Builder, x: Value, dy: Value, node: Node, kernel: Shape) -> Value:
    return builder.emit("conv2d_backward_weight", x, dy, kernel=kernel, **_window_attributes(node))


class Conv2dBackwardData(Convolution):
    """The gradient of the image, of `shape`; the forward of a transposed convolution."""

    name = "conv2d_backward_data"
    operands = ("dy", "weight")
    weights = ("weight",)
    attributes = schema(_WINDOW, shape=Attribute("dims", required=True))
    kernel = "conv2d_backward_data"
    kernel_omits = ("shape",)

    def scalable_weight(self, attributes: Mapping[str, Any]) -> tuple[int, int] | None:
        return (1, -2) if attributes["groups"] == 1 else None

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        shape = attributes["shape"]
        require_float(self.name, operands, (0, 1))
        require_rank(self.name, operands, 0, "[N, H, W, O]")
        require_rank(self.name, operands, 1, "[rows, columns, C, O]")
        require_no_negative(self.name, "the shape", shape, 4)
        expected = output_shape(shape, operands[1].shape, attributes)
        require_shape(self.name, "the image", operands, 0, expected)
        return (Type(operands[0].dtype, shape),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return list(carried) == [True, False]

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        dy, weight = operands
        groups, shape = attributes["groups"], attributes["shape"]
        window = _window(attributes, weight.shape[:2])
        padded = window.padded_zeros(shape, dy.dtype)
        split = _split(dy, groups)
        for i, j, rows, columns in window.taps(dy.shape[1], dy.shape[2]):
            place = padded[:, rows, columns]
            place += _join(split @ _split(weight[i, j], groups).swapaxes(1, 2), place.shape)
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
        dy, weight = node.operands
        return [
            builder.emit("conv2d", gradient, weight, **_window_attributes(node))
            if needed[0]
            else None,
            _weight(builder, gradient, dy, node, weight.shape[:2]) if needed[1] else None,
        ]

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        flops = _multiplications(operands[0].shape, operands[1].shape)
        return cost_of(operands, results, flops)

    def samples(self) -> list[Sample]:
        made = []
        for x, w, attributes in _cases():
            dy = samples.normal(*_sizes(x, w, attributes), seed=2)
            weight = samples.normal(*w, seed=1)
            made.append(Sample((dy, weight), {**attributes, "shape": x}, (0, 1)))
        return made


class Conv2dBackwardWeight(Convolution):
    """The gradient of the weights, whose rows and columns are `kernel`."""

    name = "conv2d_backward_weight"
    operands = ("x", "dy")
    attributes = schema(_WINDOW, kernel=Attribute("ints", required=True))
    traits = frozenset({"pure"})
    kernel = "conv2d_backward_weight"
    kernel_omits = ("kernel",)

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        x, dy = operands
        require_float(self.name, operands, (0, 1))
        require_rank(self.name, operands, 0, "[N, H, W, C]")
        require_rank(self.name, operands, 1, "[N, H, W, O]")
        require_positive(self.name, "the kernel", attributes["kernel"], 2)
        require_positive(self.name, "the number of groups", (attributes["groups"],), 1)
        weights = (*attributes["kernel"], x.shape[3] // attributes["groups"], dy.shape[3])
        expected = output_shape(x.shape, weights, attributes)
        require_shape(self.name, "the gradient", operands, 1, expected)
        return (Type(x.dtype, weights),)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        x, dy = operands
        groups = attributes["groups"]
        window = _window(attributes, attributes["kernel"])
        padded = window.pad(x)
        split = _split(dy, groups)
        part = (x.shape[3] // groups, dy.shape[3])
        weight = np.zeros((*attributes["kernel"], *part), x.dtype)
        for i, j, rows, columns in window.taps(dy.shape[1], dy.shape[2]):
            image = _split(padded[:, rows, columns], groups)
            weight[i, j] = _join(image.swapaxes(1, 2) @ split, part)
        return (weight,)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        x, dy = node.operands
        return [
            _data(builder, dy, gradient, node, x.shape) if needed[0] else None,
            builder.emit("conv2d", x, gradient, **_window_attributes(node)) if needed[1] else None,
        ]

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        flops = _multiplications(operands[1].shape, results[0].shape)
        return cost_of(operands, results, flops)

    def samples(self) -> list[Sample]:
        made = []
        for x, w, attributes in _cases():
            dy = samples.normal(*_sizes(x, w, attributes), seed=2)
            made.append(Sample((samples.normal(*x), dy), {**attributes, "kernel": w[:2]}, (0, 1)))
        return made


Sizes = tuple[int, ...]


def _sizes(x: Sizes, w: Sizes, attributes: Mapping[str, Any]) -> Sizes:
    groups = attributes.get("groups", 1)
    window = Window(
        (w[0], w[1]),
        attributes.get("stride", (1, 1)),
        attributes.get("padding", (0, 0, 0, 0)),
        attributes.get("dilation", (1, 1)),
    )
    assert w[2] * groups == x[3]
    height, width = window.output("conv2d", x[1], x[2])
    assert isinstance(height, int) and isinstance(width, int)
    return (x[0], height, width, w[3])


def _cases() -> list[tuple[Sizes, Sizes, dict[str, Any]]]:
    """Shapes of image and weights, and attributes, for the samples of all three operators."""
    same = (1, 1, 1, 1)
    return [
        ((1, 1, 1, 1), (1, 1, 1, 1), {}),
        ((1, 5, 5, 1), (3, 3, 1, 1), {}),
        ((2, 8, 8, 1), (5, 5, 1, 6), {}),
        ((2, 7, 9, 3), (3, 3, 3, 8), {"padding": same}),
        ((1, 6, 5, 3), (1, 1, 3, 17), {}),
        ((3, 9, 7, 3), (3, 2, 3, 16), {"stride": (2, 1), "padding": (1, 0, 0, 1)}),
        ((2, 9, 9, 8), (3, 3, 8, 17), {"stride": (2, 2), "padding": same}),
        ((1, 11, 9, 2), (3, 3, 2, 3), {"dilation": (2, 3), "padding": (2, 2, 3, 3)}),
        (
            (1, 10, 10, 2),
            (2, 3, 2, 5),
            {"stride": (3, 2), "dilation": (2, 1), "padding": (0, 1, 2, 0)},
        ),
        ((2, 6, 6, 4), (3, 3, 2, 6), {"groups": 2, "padding": same}),
        ((2, 6, 7, 8), (3, 3, 1, 8), {"groups": 8, "padding": same, "stride": (2, 2)}),
        ((1, 5, 5, 3), (3, 3, 1, 6), {"groups": 3}),
        ((2, 8, 8, 16), (1, 1, 16, 32), {}),
        ((2, 8, 8, 16), (1, 1, 16, 33), {"stride": (2, 2)}),
        ((1, 7, 7, 32), (3, 3, 32, 16), {"padding": same}),
        ((1, 5, 5, 33), (3, 3, 33, 31), {"padding": same}),
        ((1, 16, 16, 3), (7, 7, 3, 16), {"stride": (2, 2), "padding": (3, 3, 3, 3)}),
        ((2, 14, 14, 32), (3, 3, 32, 32), {"padding": same}),
        ((1, 4, 30, 8), (4, 1, 8, 8), {}),
        ((1, 3, 3, 2), (3, 3, 2, 4), {"padding": (2, 2, 2, 2)}),
    ]


OPERATORS: tuple[Operator, ...] = (Conv2d(), Conv2dBackwardData(), Conv2dBackwardWeight())
