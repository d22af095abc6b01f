"""Matrix products.

`a` is [..., M, K], `b` is [K, N] for all leading indices of `a`, or has the same leading
dimensions. Either may be stored transposed in its last two axes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dims import product
from ..graph import Node, Type, Value
from . import samples
from .base import Array, Attribute, Context, Cost, Operator, Sample, ShapeError, cost_of, schema
from .expression import reshaped
from .shapes import Shape, require_float, shape_text

if TYPE_CHECKING:
    from ..builder import Builder

Gradients = list[Value | None]


def _matrix(shape: Shape, transpose: bool) -> Shape:
    return (shape[-1], shape[-2]) if transpose else (shape[-2], shape[-1])


def _swapped(builder: Builder, value: Value) -> Value:
    rank = len(value.shape)
    order = (*range(rank - 2), rank - 1, rank - 2)
    return builder.emit("transpose", value, permutation=order)


class Matmul(Operator):
    name = "matmul"
    operands = ("a", "b")
    weights = ("a", "b")
    attributes = schema(
        transpose_a=Attribute("bool", default=False),
        transpose_b=Attribute("bool", default=False),
    )
    traits = frozenset({"pure", "epilogue"})
    kernel = "matmul"

    def scalable_weight(self, attributes: Mapping[str, Any]) -> tuple[int, int] | None:
        return 1, -2 if attributes["transpose_b"] else -1

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        a, b = operands
        require_float("@", operands, (0, 1))
        for index, operand in enumerate(operands):
            if len(operand.shape) < 2:
                raise ShapeError(
                    f"`@` needs matrices, found {shape_text(operand.shape)}",
                    operands=(index,),
                    expected="two or more axes",
                )
        rows, inner = _matrix(a.shape, attributes["transpose_a"])
        inner_b, columns = _matrix(b.shape, attributes["transpose_b"])
        if inner != inner_b:
            raise ShapeError(
                f"`@` cannot multiply {shape_text(a.shape)} by {shape_text(b.shape)}",
                operands=(0, 1),
                expected=f"the inner dimensions to be equal: {inner} on the left, "
                f"{inner_b} on the right",
            )
        if len(b.shape) > 2 and a.shape[:-2] != b.shape[:-2]:
            raise ShapeError(
                f"the leading dimensions of `@` differ: {shape_text(a.shape)} "
                f"and {shape_text(b.shape)}",
                operands=(0, 1),
                expected="a matrix on the right, or the same leading dimensions on both sides",
            )
        return (Type(a.dtype, (*a.shape[:-2], rows, columns)),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        a, b = operands
        if carried[1]:
            return carried[0] and len(b.shape) > 2
        return len(a.shape) > 2 or not attributes["transpose_a"]

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        a, b = operands
        if attributes["transpose_a"]:
            a = a.swapaxes(-1, -2)
        if attributes["transpose_b"]:
            b = b.swapaxes(-1, -2)
        with np.errstate(all="ignore"):
            return (np.matmul(a, b),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        return [
            self._gradient_a(builder, node, gradient) if needed[0] else None,
            self._gradient_b(builder, node, gradient) if needed[1] else None,
        ]

    def _gradient_a(self, builder: Builder, node: Node, gradient: Value) -> Value:
        a, b = node.operands
        transposed_b = node.attributes["transpose_b"]
        if node.attributes["transpose_a"] and len(a.shape) == len(b.shape):
            return builder.emit("matmul", b, gradient, transpose_a=transposed_b, transpose_b=True)
        made = builder.emit("matmul", gradient, b, transpose_b=not transposed_b)
        return _swapped(builder, made) if node.attributes["transpose_a"] else made

    def _gradient_b(self, builder: Builder, node: Node, gradient: Value) -> Value:
        a, b = node.operands
        transposed_a = node.attributes["transpose_a"]
        if len(b.shape) < len(a.shape):
            # One matrix for all: the sum over the leading dimensions is one tall product.
            if transposed_a:
                a, transposed_a = _swapped(builder, a), False
            a = reshaped(builder, a, (product(a.shape[:-1]), a.shape[-1]))
            gradient = reshaped(
                builder, gradient, (product(gradient.shape[:-1]), gradient.shape[-1])
            )
        if node.attributes["transpose_b"]:
            return builder.emit("matmul", gradient, a, transpose_a=True, transpose_b=transposed_a)
        return builder.emit("matmul", a, gradient, transpose_a=not transposed_a)

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        _, inner = _matrix(operands[0].shape, attributes["transpose_a"])
        return cost_of(operands, results, product(results[0].shape) * inner * 2)

    def samples(self) -> list[Sample]:
        made = []
        sizes: tuple[tuple[tuple[int, ...], int, int, int, bool], ...] = (
            ((), 1, 1, 1, False),
            ((), 3, 5, 7, False),
            ((), 16, 64, 32, False),
            ((), 17, 33, 65, False),
            ((), 1, 128, 10, False),
            ((2,), 3, 5, 4, False),
            ((2,), 3, 5, 4, True),
            ((2, 3), 8, 16, 17, True),
            ((2, 3), 5, 3, 8, False),
        )
        for batch, rows, inner, columns, batched in sizes:
            for transpose_a in (False, True):
                for transpose_b in (False, True):
                    left = (inner, rows) if transpose_a else (rows, inner)
                    right = (columns, inner) if transpose_b else (inner, columns)
                    a = samples.normal(*batch, *left)
                    b = samples.normal(*(batch if batched else ()), *right, seed=1)
                    attributes = {"transpose_a": transpose_a, "transpose_b": transpose_b}
                    made.append(Sample((a, b), attributes, (0, 1)))
        for rows, inner, columns in ((128, 200, 96), (255, 31, 129), (4, 0, 3)):
            pair = (samples.normal(rows, inner), samples.normal(inner, columns, seed=1))
            made.append(Sample(pair, {}, (0, 1)))
        return made


OPERATORS: tuple[Operator, ...] = (Matmul(),)
