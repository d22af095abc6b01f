"""Values with arithmetic, for gradient rules that read like the maths.

`Expression` wraps a value and its builder; `+ - * /` and `apply` append nodes. Numbers become
constants of the other operand's element type. `sum_to` undoes a broadcast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Union

from ..dims import Dim
from ..dtypes import FLOATS
from ..graph import Value
from .shapes import Shape

if TYPE_CHECKING:
    from ..builder import Builder

Number = Union["Expression", float]


class Expression:
    """A value under construction."""

    def __init__(self, builder: Builder, value: Value) -> None:
        self.builder = builder
        self.value = value

    def __add__(self, other: Number) -> Expression:
        return apply("add", self, other)

    def __radd__(self, other: float) -> Expression:
        return apply("add", other, self)

    def __sub__(self, other: Number) -> Expression:
        return apply("sub", self, other)

    def __rsub__(self, other: float) -> Expression:
        return apply("sub", other, self)

    def __mul__(self, other: Number) -> Expression:
        return apply("mul", self, other)

    def __rmul__(self, other: float) -> Expression:
        return apply("mul", other, self)

    def __truediv__(self, other: Number) -> Expression:
        return apply("div", self, other)

    def __rtruediv__(self, other: float) -> Expression:
        return apply("div", other, self)

    def __neg__(self) -> Expression:
        return apply("neg", self)


def apply(name: str, *operands: Number, **attributes: Any) -> Expression:
    """The operator `name` on expressions and numbers (at least one expression)."""
    expressions = [operand for operand in operands if isinstance(operand, Expression)]
    builder = expressions[0].builder
    dtypes = [expression.value.dtype for expression in expressions]
    dtype = next((dtype for dtype in dtypes if dtype in FLOATS), dtypes[-1])
    values = [
        operand.value if isinstance(operand, Expression) else builder.constant(operand, dtype)
        for operand in operands
    ]
    return Expression(builder, builder.emit(name, *values, **attributes))


def sum_to(builder: Builder, gradient: Value, shape: Shape) -> Value:
    """The gradient of a value of `shape` that was broadcast to the gradient's shape."""
    if gradient.shape == shape:
        return gradient
    extra = len(gradient.shape) - len(shape)
    axes = tuple(
        axis
        for axis, dim in enumerate(gradient.shape)
        if axis < extra or (shape[axis - extra] == 1 and dim != 1)
    )
    if axes:
        gradient = builder.emit("reduce_sum", gradient, axes=axes)
    return reshaped(builder, gradient, shape)


def reshaped(builder: Builder, value: Value, shape: Shape) -> Value:
    return value if value.shape == shape else builder.emit("reshape", value, shape=shape)


def scaled_by_count(builder: Builder, value: Value, count: Dim) -> Value:
    """`value / count` for a number of elements that may be symbolic."""
    if isinstance(count, int):
        if count == 1:
            return value
        return builder.emit("mul", value, builder.constant(1.0 / count, value.dtype))
    return builder.emit("div", value, builder.emit("dimension", value=count, dtype=value.dtype))
