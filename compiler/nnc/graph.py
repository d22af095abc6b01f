"""The graph (IR): immutable SSA over typed values.

A `Graph` holds inputs, variables (parameters, states, optimizer slots), nodes in topological order,
outputs and updates (`variable' = value`). A pass takes a graph and gives a graph. Each value has
one producer: an input, a variable or a node's result. Text form: `nnc.text`; rules a graph must
keep: `nnc.verify`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .dims import Dim

if TYPE_CHECKING:
    from .ops.base import Operator

MAX_RANK = 8  # of every tensor: kMaxRank of the engine


@dataclass(frozen=True)
class Type:
    """An element type of `nnc.dtypes` and a shape of exact dimensions."""

    dtype: str
    shape: tuple[Dim, ...]

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(str(d) for d in self.shape)}]"


@dataclass(frozen=True, eq=False)
class Value:
    """One SSA value; identity is the object (`id` is unique within a graph)."""

    id: int
    type: Type

    @property
    def shape(self) -> tuple[Dim, ...]:
        return self.type.shape

    @property
    def dtype(self) -> str:
        return self.type.dtype

    def __repr__(self) -> str:
        return f"%{self.id}: {self.type}"


@dataclass(frozen=True)
class Origin:
    """Where a node comes from: its path in the net (`features.conv_2`) and line (`lenet.nn:7`)."""

    path: str = ""
    source: str = ""


@dataclass(frozen=True, eq=False)
class Node:
    """One use of an operator; identity is the object.

    `body`: a graph inside the node, for an operator that takes one. A body is closed: it uses its
    own inputs alone, so what it captures are operands of the node. It has no variables and no
    updates. The operator says which operands its inputs stand for.
    """

    op: Operator
    operands: tuple[Value, ...]
    attributes: Mapping[str, Any]
    results: tuple[Value, ...]
    origin: Origin = Origin()
    body: Graph | None = None

    @property
    def result(self) -> Value:
        return self.results[0]

    def with_operands(self, operands: tuple[Value, ...]) -> Node:
        """This node on other operands of the same types."""
        return Node(self.op, operands, self.attributes, self.results, self.origin, self.body)

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The attributes, and the body as `body`: the methods of the operator are given both."""
        return with_body(self.attributes, self.body)

    def within(self) -> Iterator[Node]:
        """This node, and those inside its body at any depth."""
        yield self
        if self.body is not None:
            for node in self.body.nodes:
                yield from node.within()


def with_body(attributes: Mapping[str, Any], body: Graph | None) -> Mapping[str, Any]:
    """Attributes, and the body of a node beside them."""
    return attributes if body is None else {**attributes, "body": body}


@dataclass(frozen=True, eq=False)
class Input:
    """A value given at each call. `role`: `data` (the user's arrays) or `clock` (step, steps,
    epoch: f32 scalars).
    """

    name: str
    value: Value
    role: str = "data"


@dataclass(frozen=True, eq=False)
class Variable:
    """A named array that persists. `kind`: `parameter` (learned), `state` (of the net) or `slot`
    (of the optimizer). `master_of`: the parameter that is stored narrow, and whose value training
    keeps in this slot in full.
    """

    name: str
    kind: str
    value: Value
    initial: np.ndarray[Any, Any]
    trainable: bool = True
    master_of: str = ""


@dataclass(frozen=True)
class Graph:
    """A program: see the module."""

    inputs: tuple[Input, ...] = ()
    variables: tuple[Variable, ...] = ()
    nodes: tuple[Node, ...] = ()
    outputs: tuple[tuple[str, Value], ...] = ()
    updates: tuple[tuple[str, Value], ...] = ()  # variable name -> its next value

    def producers(self) -> dict[Value, Node]:
        return {value: node for node in self.nodes for value in node.results}

    def users(self) -> dict[Value, list[Node]]:
        table: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for operand in dict.fromkeys(node.operands):
                table.setdefault(operand, []).append(node)
        return table

    def roots(self) -> Iterator[Value]:
        """The values a graph must keep: outputs and updates."""
        yield from (value for _, value in self.outputs)
        yield from (value for _, value in self.updates)

    def values(self) -> Iterator[Value]:
        yield from (i.value for i in self.inputs)
        yield from (v.value for v in self.variables)
        for node in self.nodes:
            yield from node.results

    def symbols(self) -> tuple[str, ...]:
        """The symbolic dimensions, in the order in which the inputs name them."""
        from .dims import Poly

        names: dict[str, None] = {}
        for item in self.inputs:
            for dim in item.value.shape:
                if isinstance(dim, Poly):
                    names.update(dict.fromkeys(sorted(dim.symbols())))
        return tuple(names)
