"""Operators that keep elements as they are: views, broadcasts, joining; and element types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dims import Dim, product
from ..dtypes import FLOATS, NARROW
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
from .expression import reshaped, sum_to
from .shapes import (
    require_axis,
    require_no_negative,
    require_same_dtype,
    shape_text,
)

if TYPE_CHECKING:
    from ..builder import Builder

Gradients = list[Value | None]


class Movement(Operator, abstract=True):
    """One operand of any element type; no arithmetic."""

    operands = ("x",)

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        if "view" in self.traits:
            return Cost(0, 0)
        return cost_of(operands, results, 0)


class Cast(Movement):
    """The same numbers in another element type (float to integer truncates, to bool is `!= 0`)."""

    name = "cast"
    attributes = schema(dtype=Attribute("dtype", required=True))
    traits = frozenset({"elementwise", "moves", "linear", "pure"})
    kernel = None

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        return (Type(attributes["dtype"], operands[0].shape),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return all(carried)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return (operands[0].astype(context.dtype(attributes["dtype"])),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        dtype = node.operands[0].dtype
        if gradient is None or dtype not in (*FLOATS, *NARROW):
            return [None]
        dtype = dtype if dtype in FLOATS else "f32"  # narrow types are only stored
        if gradient.dtype == dtype:
            return [gradient]
        return [builder.emit("cast", gradient, dtype=dtype)]

    def samples(self) -> list[Sample]:
        return [
            Sample((samples.normal(3, 5) * 3,), {"dtype": "f64"}, (0,)),
            Sample((samples.normal(3, 17) * 9,), {"dtype": "i64"}),
            Sample((samples.normal(300, 9) * 9,), {"dtype": "i32"}),
            Sample((np.array([0.0, -0.0, 0.5, -3.0]),), {"dtype": "bool"}),
            Sample((samples.integers(0, 256, 2, 8, 8, 1, dtype="uint8"),), {"dtype": "f64"}),
            Sample((samples.booleans(33),), {"dtype": "f64"}),
            Sample((samples.integers(-5, 5, 7),), {"dtype": "i32"}),
        ]


class StopGradient(Movement):
    """The value itself, through which no gradient flows."""

    name = "stop_gradient"
    language = "stop_gradient"
    attributes = schema()
    traits = frozenset({"view", "moves", "linear", "pure"})
    kernel = None
    vjp = NotDifferentiable("it stops gradients", zero=True)

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        return (operands[0],)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return all(carried)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        return (operands[0],)

    def samples(self) -> list[Sample]:
        return [Sample((samples.normal(3, 5),), {})]


class Reshape(Movement):
    """The same elements in the same order in another shape."""

    name = "reshape"
    attributes = schema(shape=Attribute("dims", required=True))
    traits = frozenset({"view", "moves", "linear", "pure"})
    kernel = None

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        shape = attributes["shape"]
        require_no_negative(self.name, "the shape", shape, len(shape))
        before, after = product(operands[0].shape), product(shape)
        if before != after:
            raise ShapeError(
                f"cannot reshape {shape_text(operands[0].shape)} to {shape_text(shape)}: "
                f"{before} elements are not {after}",
                operands=(0,),
                expected=f"a shape of {before} elements",
            )
        return (Type(operands[0].dtype, shape),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return all(carried)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        return (operands[0].reshape(attributes["shape"]),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        return [reshaped(builder, gradient, node.operands[0].shape)]

    def samples(self) -> list[Sample]:
        return [
            Sample((samples.normal(*before),), {"shape": after}, (0,))
            for before, after in (
                ((2, 3, 4), (6, 4)),
                ((12,), (2, 3, 2)),
                ((), (1, 1)),
                ((1, 1), ()),
                ((3, 8, 8, 2), (3, 128)),
            )
        ]


class BroadcastTo(Movement):
    """A value repeated along axes that are new or 1."""

    name = "broadcast_to"
    attributes = schema(shape=Attribute("dims", required=True))
    traits = frozenset({"elementwise", "moves", "repeats", "linear", "pure"})
    kernel = None

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        before, after = operands[0].shape, attributes["shape"]
        require_no_negative(self.name, "the shape", after, len(after))
        pairs = zip(reversed(before), reversed(after), strict=False)
        if len(before) > len(after) or any(b != 1 and b != a for b, a in pairs):
            raise ShapeError(
                f"cannot broadcast {shape_text(before)} to {shape_text(after)}",
                operands=(0,),
                expected="dimensions (counted from the last) that are equal, or 1",
                code="N0312",
            )
        return (Type(operands[0].dtype, after),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return not carried[0] or len(operands[0].shape) == len(attributes["shape"])

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        return (np.broadcast_to(operands[0], attributes["shape"]),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        return [sum_to(builder, gradient, node.operands[0].shape)]

    def samples(self) -> list[Sample]:
        return [
            Sample((samples.normal(*before),), {"shape": after}, (0,))
            for before, after in (
                ((), (3, 4)),
                ((17,), (5, 17)),
                ((5, 1), (5, 32)),
                ((1, 3, 1), (2, 4, 3, 6)),
                ((3, 4), (3, 4)),
                ((64,), (500, 64)),
            )
        ]


class Transpose(Movement):
    """Axes in another order: axis i of the result is axis `permutation[i]` of the operand."""

    name = "transpose"
    attributes = schema(permutation=Attribute("ints", required=True))
    traits = frozenset({"moves", "linear", "pure"})
    kernel = "transpose"

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        shape, permutation = operands[0].shape, attributes["permutation"]
        if sorted(permutation) != list(range(len(shape))):
            raise ShapeError(
                f"{list(permutation)} is no order of the {len(shape)} axes of {shape_text(shape)}",
                operands=(0,),
                expected=f"each of 0 to {len(shape) - 1} once",
                code="N0404",
            )
        return (Type(operands[0].dtype, tuple(shape[axis] for axis in permutation)),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return bool(attributes["permutation"][0] == 0)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        return (np.array(operands[0].transpose(attributes["permutation"]), order="C"),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        permutation = node.attributes["permutation"]
        inverse = tuple(permutation.index(axis) for axis in range(len(permutation)))
        return [builder.emit("transpose", gradient, permutation=inverse)]

    def samples(self) -> list[Sample]:
        made = [
            Sample((samples.normal(*shape),), {"permutation": permutation}, (0,))
            for shape, permutation in (
                ((), ()),
                ((7,), (0,)),
                ((3, 5), (1, 0)),
                ((33, 17), (1, 0)),
                ((2, 3, 5), (2, 0, 1)),
                ((2, 3, 4, 5), (0, 3, 1, 2)),
                ((2, 16, 8, 3), (0, 2, 1, 3)),
                ((200, 130), (1, 0)),
            )
        ]
        made.append(
            Sample((samples.integers(0, 255, 5, 6, dtype="uint8"),), {"permutation": (1, 0)})
        )
        return made


class Concat(Movement):
    """Values side by side along an axis."""

    name = "concat"
    operands = ("*x",)
    attributes = schema(axis=Attribute("int", required=True))
    traits = frozenset({"linear", "pure"})
    kernel = "concat"

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        axis = attributes["axis"]
        if not operands:
            raise ShapeError("`concat` needs at least one value")
        require_same_dtype(self.name, operands, range(len(operands)))
        first = operands[0].shape
        require_axis(self.name, axis, len(first))
        total: Dim = 0
        for index, operand in enumerate(operands):
            shape = operand.shape
            if len(shape) != len(first) or shape[:axis] + shape[axis + 1 :] != (
                first[:axis] + first[axis + 1 :]
            ):
                raise ShapeError(
                    f"`concat` along axis {axis} cannot join {shape_text(first)} "
                    f"and {shape_text(shape)}",
                    operands=(0, index),
                    expected=f"shapes that are equal in every axis but {axis}",
                )
            total = total + shape[axis]
        return (Type(operands[0].dtype, (*first[:axis], total, *first[axis + 1 :])),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return all(carried) and attributes["axis"] != 0

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        return (np.concatenate(operands, axis=attributes["axis"]),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        axis = node.attributes["axis"]
        rank = len(gradient.shape)
        made: Gradients = []
        start: Dim = 0
        for operand, wanted in zip(node.operands, needed, strict=True):
            stop = start + operand.shape[axis]
            begin = (*(0,) * axis, start, *(0,) * (rank - axis - 1))
            end = (*gradient.shape[:axis], stop, *gradient.shape[axis + 1 :])
            made.append(
                builder.emit("slice", gradient, begin=begin, end=end, step=(1,) * rank)
                if wanted
                else None
            )
            start = stop
        return made

    def samples(self) -> list[Sample]:
        made = [
            Sample(
                tuple(samples.normal(*shape, seed=i) for i, shape in enumerate(shapes)),
                {"axis": axis},
                tuple(range(len(shapes))),
            )
            for shapes, axis in (
                (((3,), (5,)), 0),
                (((2, 3), (2, 1), (2, 4)), 1),
                (((2, 3), (1, 3)), 0),
                (((2, 5, 5, 3), (2, 5, 5, 16), (2, 5, 5, 8)), 3),
                (((2, 3, 4),), 1),
                (((2, 3, 4), (2, 0, 4), (2, 17, 4)), 1),
                (((20, 20, 32), (20, 20, 32)), 2),
            )
        ]
        pair = (samples.integers(0, 9, 2, 3), samples.integers(0, 9, 2, 2, seed=1))
        return [*made, Sample(pair, {"axis": 1})]


OPERATORS: tuple[Operator, ...] = (
    Cast(),
    StopGradient(),
    Reshape(),
    BroadcastTo(),
    Transpose(),
    Concat(),
)
