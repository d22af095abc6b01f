"""Batch and layer normalization, and what flows back.

y = (x - mean) / sqrt(variance + epsilon) * scale + offset. Batch normalization takes the statistics
of each channel (last axis) over all other axes, layer normalization those of each row over the last
axis. Variances are biased. The statistics are results, too, for running averages: those are states,
so nothing flows back through them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..dims import Dim, product
from ..errors import InternalError
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
from .shapes import Shape, require_float, require_shape

if TYPE_CHECKING:
    from ..builder import Builder

Gradients = list[Value | None]

_EPSILON = schema(epsilon=Attribute("float", default=1e-5))


def _statistics_shape(name: str, shape: Shape) -> Shape:
    return shape[-1:] if name.startswith("batch") else shape[:-1]


def _axes(name: str, rank: int) -> tuple[int, ...]:
    return tuple(range(rank - 1)) if name.startswith("batch") else (rank - 1,)


class Normalization(Operator, abstract=True):
    operands = ("x", "scale", "offset")
    results = ("y", "mean", "variance")
    attributes = _EPSILON

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        x = operands[0]
        _check(self.name, operands, 3)
        for index, what in ((1, "the scale"), (2, "the offset")):
            require_shape(self.name, what, operands, index, x.shape[-1:])
        statistics = Type(x.dtype, _statistics_shape(self.name, x.shape))
        return (x, statistics, statistics)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        x, scale, offset = operands
        axes = _axes(self.name, x.ndim)
        with np.errstate(all="ignore"):
            count = int(np.prod([x.shape[axis] for axis in axes], dtype=np.int64))
            mean = np.divide(x.sum(axes, keepdims=True), count, dtype=x.dtype)
            centered = x - mean
            squares = np.square(centered).sum(axes, keepdims=True)
            variance = np.divide(squares, count, dtype=x.dtype)
            y = centered / np.sqrt(variance + attributes["epsilon"]) * scale + offset
        shape = tuple(x.shape[axis] for axis in range(x.ndim) if axis not in axes)
        return (y.astype(x.dtype, copy=False), mean.reshape(shape), variance.reshape(shape))

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        gradient, *statistics = gradients
        if any(value is not None for value in statistics):
            raise InternalError(
                f"no gradient flows through the mean and variance that {self.name} gives; "
                "stop it with stop_gradient",
                "differentiate",
                f"{self.name}  # {node.origin.source} {node.origin.path}",
            )
        if gradient is None:
            return [None, None, None]
        _, mean, variance = node.results
        made = builder.emit_all(
            f"{self.name}_backward",
            (*self.parameters(node), mean, variance, gradient),
            epsilon=node.attributes["epsilon"],
        )
        return [value if wanted else None for value, wanted in zip(made, needed, strict=True)]

    def statistic_count(self, operands: Sequence[Type]) -> Dim | None:
        shape = operands[0].shape
        return product(tuple(shape[axis] for axis in _axes(self.name, len(shape))))

    def parameters(self, node: Node) -> tuple[Value, ...]:
        """The operands that the gradient depends on."""
        return node.operands[:2]

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, product(operands[0].shape) * 8)

    def samples(self) -> list[Sample]:
        return [
            Sample(
                (
                    samples.normal(*shape) * 2 + 0.5,
                    samples.positive(shape[-1]),
                    samples.normal(shape[-1], seed=1),
                ),
                attributes,
                (0, 1, 2),
            )
            for shape, attributes in _CASES
        ]


def _check(name: str, operands: Sequence[Type], count: int) -> None:
    require_float(name, operands, range(count))
    if len(operands[0].shape) < 2:
        raise ShapeError(
            f"`{name}` needs a value of shape [..., C], found {operands[0]}",
            operands=(0,),
            expected="two or more axes",
        )


class NormalizationBackward(Operator, abstract=True):
    operands: ClassVar[tuple[str, ...]] = ("x", "scale", "mean", "variance", "dy")
    results = ("dx", "dscale", "doffset")
    attributes = _EPSILON
    traits = frozenset({"pure"})

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        x = operands[0]
        _check(self.name, operands, len(self.operands))
        statistics = _statistics_shape(self.name, x.shape)
        shapes = {
            "scale": x.shape[-1:],
            "offset": x.shape[-1:],
            "mean": statistics,
            "variance": statistics,
            "dy": x.shape,
        }
        for index, name in enumerate(self.operands[1:], 1):
            what = "gradient" if name == "dy" else name
            require_shape(self.name, f"the {what}", operands, index, shapes[name])
        return (x, operands[1], operands[1])

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        x, scale, mean, variance, dy = operands
        axes = _axes(self.name, x.ndim)
        kept = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
        with np.errstate(all="ignore"):
            spread = 1 / np.sqrt(variance.reshape(kept) + attributes["epsilon"])
            normal = (x - mean.reshape(kept)) * spread
            inner = dy * scale
            count = int(np.prod([x.shape[axis] for axis in axes], dtype=np.int64))
            average = inner.sum(axes, keepdims=True) / count
            along = (inner * normal).sum(axes, keepdims=True) / count
            dx = (inner - average - normal * along) * spread
        channels = tuple(range(x.ndim - 1))
        made = (dx, (dy * normal).sum(channels), dy.sum(channels))
        return tuple(array.astype(x.dtype, copy=False) for array in made)

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, product(operands[0].shape) * 14)

    def samples(self) -> list[Sample]:
        made = []
        for shape, attributes in _CASES:
            x = samples.normal(*shape) * 2 + 0.5
            axes = _axes(self.name, len(shape))
            made.append(
                Sample(
                    (
                        x,
                        samples.positive(shape[-1]),
                        x.mean(axes),
                        x.var(axes),
                        samples.normal(*shape, seed=2),
                    ),
                    attributes,
                )
            )
        return made


class BatchNorm(Normalization):
    name = "batch_norm"
    traits = frozenset({"pure", "epilogue"})
    kernel = "batch_norm"

    def parameters(self, node: Node) -> tuple[Value, ...]:
        return node.operands


class BatchNormBackward(NormalizationBackward):
    """With bounds, the gradient counts where low < y < high alone, y as the forward pass made it:
    the mask of a clamp that followed.
    """

    name = "batch_norm_backward"
    operands = ("x", "scale", "offset", "mean", "variance", "dy")
    attributes = schema(
        _EPSILON,
        low=Attribute("float", default=-math.inf),
        high=Attribute("float", default=math.inf),
    )
    kernel = "batch_norm_backward"
    vjp = NotDifferentiable("second derivatives of batch_norm are not supported")

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        x, scale, offset, mean, variance, dy = operands
        low, high = attributes["low"], attributes["high"]
        with np.errstate(all="ignore"):
            y = (x - mean) * (scale / np.sqrt(variance + attributes["epsilon"])) + offset
            stopped = np.zeros(y.shape, bool)
            if low > -math.inf:
                stopped |= ~(y > low)
            if high < math.inf:
                stopped |= ~(y < high)
        dy = np.where(stopped, dy.dtype.type(0), dy)
        return super().reference((x, scale, mean, variance, dy), attributes, context)

    def kernel_attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """Only bounds that there are."""
        return {name: value for name, value in attributes.items() if not math.isinf(value)}

    def samples(self) -> list[Sample]:
        bounds: tuple[dict[str, float], ...] = (
            {},
            {"low": 0.0},
            {"low": 0.0, "high": 0.5},
            {"high": 0.25},
        )
        made = []
        for number, sample in enumerate(super().samples()):
            x, scale, *others = sample.arrays
            offset = samples.normal(*scale.shape, seed=3)
            attributes = {**sample.attributes, **bounds[number % len(bounds)]}
            made.append(Sample((x, scale, offset, *others), attributes))
        return made


class LayerNorm(Normalization):
    name = "layer_norm"
    traits = frozenset({"pure"})
    kernel = "layer_norm"

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return list(carried) == [True, False, False]


class LayerNormBackward(NormalizationBackward):
    name = "layer_norm_backward"
    kernel = "layer_norm_backward"
    vjp = NotDifferentiable("second derivatives of layer_norm are not supported")


_CASES: tuple[tuple[tuple[int, ...], dict[str, float]], ...] = (
    ((4, 2), {}),
    ((5, 3), {"epsilon": 0.1}),
    ((7, 17), {}),
    ((3, 5, 8), {}),
    ((2, 4, 5, 3), {}),
    ((2, 5, 5, 16), {"epsilon": 1e-3}),
    ((2, 3, 3, 33), {}),
    ((128, 32), {}),
    ((4, 14, 14, 32), {}),
)

OPERATORS: tuple[Operator, ...] = (
    BatchNorm(),
    BatchNormBackward(),
    LayerNorm(),
    LayerNormBackward(),
)
