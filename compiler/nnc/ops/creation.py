"""Operators that make values from nothing: constants, dimensions, counting, random numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..dims import Poly, product
from ..dtypes import FLOATS, name_of
from ..graph import Type
from ..slopes import Size
from . import philox
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
from .shapes import require_axis, require_no_negative

NO_OPERANDS = NotDifferentiable("it has no operands", zero=True)


class Creation(Operator, abstract=True):
    """No operands; the result type stands in the attributes `shape` and `dtype`."""

    operands = ()
    vjp = NO_OPERANDS
    flops_per_element = 1

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        require_no_negative(self.name, "the shape", attributes["shape"], len(attributes["shape"]))
        return (Type(attributes["dtype"], attributes["shape"]),)

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, product(results[0].shape) * self.flops_per_element)


class Constant(Creation):
    """The array in its attribute."""

    name = "constant"
    attributes = schema(value=Attribute("array", required=True))
    traits = frozenset({"constant", "pure"})
    kernel = None
    flops_per_element = 0

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        value = attributes["value"]
        name = name_of(value.dtype)
        if name is not None:
            return (Type(name, tuple(int(size) for size in value.shape)),)
        raise ShapeError(f"a constant cannot have the element type {value.dtype}", code="N0302")

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        value = attributes["value"]
        widen = context.double and value.dtype == np.float32
        return (value.astype(np.float64) if widen else value,)

    def samples(self) -> list[Sample]:
        values = (np.float64(2.5), np.arange(6, dtype=np.int64).reshape(2, 3), np.zeros((0, 3)))
        return [Sample((), {"value": np.asarray(value)}) for value in values]


class Dimension(Creation):
    """A dimension as a scalar number."""

    name = "dimension"
    attributes = schema(
        value=Attribute("dim", required=True),
        dtype=Attribute("dtype", default="i64"),
    )
    traits = frozenset({"elementwise", "pure"})
    size = Size.NONZERO
    kernel = None
    flops_per_element = 0

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        return (Type(attributes["dtype"], ()),)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        return (np.asarray(attributes["value"], context.dtype(attributes["dtype"])),)

    def samples(self) -> list[Sample]:
        return [Sample((), {"value": 12, "dtype": dtype}) for dtype in ("f64", "i64", "i32")]


class Iota(Creation):
    """0, 1, 2, ... along an axis."""

    name = "iota"
    attributes = schema(
        shape=Attribute("dims", required=True),
        axis=Attribute("int", default=0),
        dtype=Attribute("dtype", default="i64"),
    )
    traits = frozenset({"pure"})
    size = Size.FINITE
    kernel = "iota"
    kernel_omits = ("shape", "dtype")

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        require_axis(self.name, attributes["axis"], len(attributes["shape"]))
        return super().infer(operands, attributes)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return bool(attributes["axis"] != 0)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        shape, axis = attributes["shape"], attributes["axis"]
        dtype = context.dtype(attributes["dtype"])
        along = np.arange(shape[axis]).astype(dtype)
        column = along.reshape((-1,) + (1,) * (len(shape) - axis - 1))
        return (np.broadcast_to(column, shape).copy(),)

    def samples(self) -> list[Sample]:
        return [
            Sample((), {"shape": shape, "axis": axis, "dtype": dtype})
            for shape, axis, dtype in (
                ((7,), 0, "i64"),
                ((3, 5), 0, "f64"),
                ((3, 5), 1, "i32"),
                ((2, 9, 3), 1, "f64"),
                ((1, 1), 1, "i64"),
                ((500, 17), 0, "i64"),
            )
        ]


class RandomUniform(Creation):
    """Uniform numbers in [0, 1), the same for the same seed, step and stream."""

    name = "random_uniform"
    attributes = schema(
        shape=Attribute("dims", required=True),
        stream=Attribute("int", required=True),
        dtype=Attribute("dtype", default="f32"),
    )
    traits = frozenset({"elementwise", "random", "pure"})
    size = Size.FINITE
    kernel = None
    flops_per_element = 20

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        _check_random(self.name, attributes)
        return super().infer(operands, attributes)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return True  # each row has numbers of its own

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        made = philox.uniform(
            attributes["shape"],
            context.seed,
            context.step,
            attributes["stream"],
            context.dtype(attributes["dtype"]),
        )
        return (made,)

    def samples(self) -> list[Sample]:
        return [
            Sample((), {"shape": shape, "stream": stream, "dtype": "f64"})
            for stream, shape in enumerate(((), (1,), (3,), (5, 7), (8, 16), (250, 31)))
        ]


class RandomNormal(RandomUniform):
    """Standard normal numbers; for initializers, which the compiler runs."""

    name = "random_normal"
    attributes = RandomUniform.attributes
    traits = frozenset({"random", "pure"})
    kernel = None
    compile_time = True

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        made = philox.normal(attributes["shape"], context.seed, context.step, attributes["stream"])
        return (made.astype(context.dtype(attributes["dtype"])),)


class Orthogonal(Creation):
    """A random matrix with orthonormal rows or columns (whichever are fewer) times `gain`.

    The last axis is one side of the matrix, all others together the other. For initializers.
    """

    name = "orthogonal"
    attributes = schema(
        shape=Attribute("dims", required=True),
        stream=Attribute("int", required=True),
        gain=Attribute("float", default=1.0),
        dtype=Attribute("dtype", default="f32"),
    )
    traits = frozenset({"random", "pure"})
    kernel = None
    compile_time = True

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        _check_random(self.name, attributes)
        shape = attributes["shape"]
        if len(shape) < 2 or any(isinstance(dim, Poly) for dim in shape):
            raise ShapeError(
                f"`orthogonal` needs a shape of two or more known dimensions, found {list(shape)}",
                expected="a matrix, such as [64, 10]",
            )
        return super().infer(operands, attributes)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        shape = attributes["shape"]
        columns = shape[-1]
        rows = int(np.prod(shape[:-1]))
        tall = (max(rows, columns), min(rows, columns))
        sample = philox.normal(tall, context.seed, context.step, attributes["stream"])
        q, r = np.linalg.qr(sample)
        # The sign of r's diagonal makes the distribution uniform and the result unique.
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        matrix = q if rows >= columns else q.T
        made = np.ascontiguousarray(matrix * attributes["gain"]).reshape(shape)
        return (made.astype(context.dtype(attributes["dtype"])),)

    def samples(self) -> list[Sample]:
        return [
            Sample((), {"shape": shape, "stream": 3, "gain": 1.5, "dtype": "f64"})
            for shape in ((4, 4), (3, 8), (9, 2), (3, 3, 4, 16))
        ]


def _check_random(name: str, attributes: Mapping[str, Any]) -> None:
    if not 0 <= attributes["stream"] < 2**32:
        raise ShapeError(f"`{name}` needs a stream from 0 to 2^32 - 1", code="N0404")
    if attributes["dtype"] not in FLOATS:
        raise ShapeError(
            f"`{name}` gives floating point numbers, not {attributes['dtype']}",
            expected="f32 or f64",
            code="N0302",
        )


OPERATORS: tuple[Operator, ...] = (
    Constant(),
    Dimension(),
    Iota(),
    RandomUniform(),
    RandomNormal(),
    Orthogonal(),
)
