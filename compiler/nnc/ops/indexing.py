"""Rows of a table chosen by integers (embeddings), and what flows back to the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dims import Dim, product
from ..dtypes import kind_of
from ..graph import Node, Type, Value
from . import samples
from .base import Array, Attribute, Context, Cost, Operator, Sample, ShapeError, cost_of, schema
from .shapes import require_float, require_integer, require_no_negative, shape_text

if TYPE_CHECKING:
    from ..builder import Builder

Gradients = list[Value | None]

_CASES = (  # rows, shape of one row, shape of the indices
    (5, (3,), (4,)),
    (7, (), (2, 3)),
    (4, (2, 3), ()),
    (11, (16,), (3, 5)),
    (6, (17,), (40,)),
    (50, (32,), (30, 10)),
)


class Gather(Operator):
    """`table[ids]`; an index out of range gives NaN (0 in integers), never a wild read."""

    name = "gather"
    operands = ("table", "ids")
    weights = ("table",)
    attributes = schema()
    traits = frozenset({"picks", "pure"})
    kernel = "gather"

    def index_bounds(self, operands: Sequence[Type], results: Sequence[Type]) -> Mapping[int, Dim]:
        return {1: operands[0].shape[0]}

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        table, ids = operands
        require_integer(self.name, operands, 1)
        if not table.shape:
            raise ShapeError(
                "`gather` needs a table of rows, found a scalar", operands=(0,), expected="[V, ...]"
            )
        return (Type(table.dtype, ids.shape + table.shape[1:]),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return list(carried) == [False, True]

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        table, ids = operands
        wrong = (ids < 0) | (ids >= len(table))
        made = table[np.where(wrong, 0, ids)] if len(table) else _empty_table(table, ids)
        made[wrong] = np.nan if kind_of(table.dtype) == "f" else 0
        return (made,)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        table, ids = node.operands
        made = builder.emit("gather_backward", ids, gradient, rows=table.shape[0])
        return [made, None]

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of([operands[1], *results], results, 0)

    def samples(self) -> list[Sample]:
        made = []
        for rows, row, ids in _CASES:
            table, chosen = samples.normal(rows, *row), samples.integers(0, rows, *ids)
            made.append(Sample((table, np.asarray(chosen)), {}, (0,)))
        small = samples.integers(0, 5, 9, dtype="int32")
        out_of_range = np.array([0, -1, 4, 5, 2**40])
        made.append(Sample((samples.normal(5, 3), small), {}, (0,)))
        made.append(Sample((samples.normal(5, 3), small.astype("uint8")), {}, (0,)))
        made.append(Sample((samples.normal(5, 3), out_of_range), {}))
        made.append(Sample((samples.integers(0, 99, 5, 2), out_of_range), {}))
        return made


def _empty_table(table: Array, ids: Array) -> Array:
    return np.zeros(ids.shape + table.shape[1:], table.dtype)


class GatherBackward(Operator):
    """Rows of `dy` added up where `ids` say, in a table of `rows` rows.

    Indices out of range are left out.
    """

    name = "gather_backward"
    operands = ("ids", "dy")
    attributes = schema(rows=Attribute("dim", required=True))
    traits = frozenset({"pure"})
    kernel = "gather_backward"
    kernel_omits = ("rows",)

    def index_bounds(self, operands: Sequence[Type], results: Sequence[Type]) -> Mapping[int, Dim]:
        return {0: results[0].shape[0]}

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        ids, dy = operands
        require_integer(self.name, operands, 0)
        require_float(self.name, operands, (1,))
        require_no_negative(self.name, "the number of rows", (attributes["rows"],), 1)
        rank = len(ids.shape)
        if dy.shape[:rank] != ids.shape:
            raise ShapeError(
                f"the gradient {shape_text(dy.shape)} does not begin with the shape "
                f"of the indices, {shape_text(ids.shape)}",
                operands=(1,),
            )
        return (Type(dy.dtype, (attributes["rows"], *dy.shape[rank:])),)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        ids, dy = operands
        rows = attributes["rows"]
        table = np.zeros((rows, *dy.shape[ids.ndim :]), dy.dtype)
        valid = (ids >= 0) & (ids < rows)
        np.add.at(table, ids[valid], dy[valid])
        return (table,)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        return [None, builder.emit("gather", gradient, node.operands[0])]

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, product(operands[1].shape))

    def samples(self) -> list[Sample]:
        made = []
        for rows, row, ids in _CASES:
            chosen = np.asarray(samples.integers(0, rows, *ids))
            made.append(Sample((chosen, samples.normal(*ids, *row)), {"rows": rows}, (1,)))
        wrong = np.array([0, -1, 4, 5, 2**40])
        made.append(Sample((wrong, samples.normal(5, 3)), {"rows": 5}))
        return made


OPERATORS: tuple[Operator, ...] = (Gather(), GatherBackward())
