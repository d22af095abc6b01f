"""Sums, means and extremes over axes, and the place of the largest.

Axes are sorted and not negative. The gradient of a largest or smallest value is shared equally
among ties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..dims import Dim, product
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
from .expression import Expression, apply, reshaped, scaled_by_count
from .shapes import Shape, require_axis, require_float

if TYPE_CHECKING:
    from ..builder import Builder

Gradients = list[Value | None]

_CASES: tuple[tuple[tuple[int, ...], tuple[int, ...], bool], ...] = (
    ((), (), False),
    ((1,), (0,), False),
    ((17,), (0,), True),
    ((3, 5), (0,), False),
    ((3, 5), (1,), True),
    ((3, 5), (0, 1), False),
    ((2, 3, 4), (1,), False),
    ((2, 3, 4), (0, 2), True),
    ((2, 7, 7, 3), (1, 2), False),
    ((2, 5, 5, 16), (0, 1, 2), False),
    ((5, 8, 33), (2,), False),
    ((40, 32), (0,), False),
    ((300, 65), (0, 1), False),
    ((1000, 1), (0,), False),
    ((4, 10000), (1,), False),
)


def reduced_shape(shape: Shape, axes: Sequence[int], keepdims: bool) -> Shape:
    if keepdims:
        return tuple(1 if axis in axes else dim for axis, dim in enumerate(shape))
    return tuple(dim for axis, dim in enumerate(shape) if axis not in axes)


class Reduce(Operator, abstract=True):
    operands = ("x",)
    attributes = schema(
        axes=Attribute("ints", required=True),
        keepdims=Attribute("bool", default=False),
    )
    traits = frozenset({"reduction", "pure"})
    kernel = "reduce"

    def check_attributes(self, given: Mapping[str, Any]) -> dict[str, Any]:
        checked = super().check_attributes(given)
        checked["axes"] = tuple(sorted(checked["axes"]))
        return checked

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        axes = attributes["axes"]
        require_float(self.name, operands, (0,))
        for axis in axes:
            require_axis(self.name, axis, len(operands[0].shape))
        if len(set(axes)) != len(axes):
            raise ShapeError(f"`{self.name}` names an axis twice: {list(axes)}", code="N0404")
        shape = reduced_shape(operands[0].shape, axes, attributes["keepdims"])
        return (Type(operands[0].dtype, shape),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return 0 not in attributes["axes"]

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, product(operands[0].shape))

    def samples(self) -> list[Sample]:
        return [
            Sample((samples.distinct(*shape),), {"axes": axes, "keepdims": keepdims}, (0,))
            for shape, axes, keepdims in _CASES
        ]


def _spread(builder: Builder, gradient: Value, node: Node) -> Value:
    """A value of the result's shape repeated to the operand's."""
    shape = node.operands[0].shape
    kept = reshaped(builder, gradient, reduced_shape(shape, node.attributes["axes"], True))
    return kept if kept.shape == shape else builder.emit("broadcast_to", kept, shape=shape)


def _count(node: Node) -> Dim:
    shape = node.operands[0].shape
    return product(tuple(shape[axis] for axis in node.attributes["axes"]))


class ReduceSum(Reduce):
    name = "reduce_sum"
    traits = Reduce.traits | {"linear"}
    kernel_constants: ClassVar[Mapping[str, Any]] = {"op": "sum"}

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        return (np.asarray(operands[0].sum(attributes["axes"], keepdims=attributes["keepdims"])),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        return [_spread(builder, gradient, node)]


class ReduceMean(Reduce):
    name = "reduce_mean"
    traits = Reduce.traits | {"linear", "mean"}
    kernel_constants: ClassVar[Mapping[str, Any]] = {"op": "mean"}

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        (x,) = operands
        total = x.sum(attributes["axes"], keepdims=attributes["keepdims"])
        count = int(np.prod([x.shape[axis] for axis in attributes["axes"]], dtype=np.int64))
        with np.errstate(all="ignore"):
            return (np.asarray(np.divide(total, count), x.dtype),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        return [_spread(builder, scaled_by_count(builder, gradient, _count(node)), node)]


class Extreme(Reduce, abstract=True):
    """The gradient is shared equally among ties."""

    traits = frozenset({"reduction", "picks", "pure"})

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
        kept = reduced_shape(x.shape, node.attributes["axes"], True)
        extreme = Expression(builder, reshaped(builder, node.result, kept))
        hit = apply("cast", apply("equal", Expression(builder, x), extreme), dtype=x.dtype)
        ties = apply("reduce_sum", hit, axes=node.attributes["axes"], keepdims=True)
        some = apply("maximum", ties, 1.0)  # NaN equals nothing
        share = Expression(builder, reshaped(builder, gradient, kept)) / some
        return [(hit * share).value]


class ReduceMax(Extreme):
    name = "reduce_max"
    kernel_constants: ClassVar[Mapping[str, Any]] = {"op": "max"}

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        made = operands[0].max(attributes["axes"], keepdims=attributes["keepdims"], initial=-np.inf)
        return (np.asarray(made),)


class ReduceMin(Extreme):
    name = "reduce_min"
    kernel_constants: ClassVar[Mapping[str, Any]] = {"op": "min"}

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        made = operands[0].min(attributes["axes"], keepdims=attributes["keepdims"], initial=np.inf)
        return (np.asarray(made),)


class Argmax(Operator):
    """The place of the largest value along an axis: the first of equals."""

    name = "argmax"
    operands = ("x",)
    attributes = schema(
        axis=Attribute("int", required=True),
        keepdims=Attribute("bool", default=False),
    )
    traits = frozenset({"pure"})
    kernel = "argmax"
    vjp = NotDifferentiable("its result is an index", zero=True)

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        axis, shape = attributes["axis"], operands[0].shape
        require_float(self.name, operands, (0,))
        require_axis(self.name, axis, len(shape))
        if shape[axis] == 0:
            raise ShapeError("`argmax` of no elements", operands=(0,))
        return (Type("i64", reduced_shape(shape, (axis,), attributes["keepdims"])),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return bool(attributes["axis"] != 0)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        made = np.argmax(operands[0], attributes["axis"], keepdims=attributes["keepdims"])
        return (np.asarray(made, np.int64),)

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, product(operands[0].shape))

    def samples(self) -> list[Sample]:
        made = [
            Sample((samples.distinct(*shape),), {"axis": axis, "keepdims": keepdims})
            for shape, axis, keepdims in (
                ((1,), 0, False),
                ((7,), 0, True),
                ((3, 5), 0, False),
                ((3, 10), 1, False),
                ((2, 3, 17), 1, True),
                ((500, 32), 1, False),
            )
        ]
        ties = samples.integers(0, 3, 6, 9).astype(np.float64)
        return [*made, Sample((ties,), {"axis": 1, "keepdims": False})]


OPERATORS: tuple[Operator, ...] = (ReduceSum(), ReduceMean(), ReduceMax(), ReduceMin(), Argmax())
