"""The graph (IR): immutable SSA over typed values.

A `Graph` holds inputs, variables (parameters, states, optimizer slots), nodes in topological order,
outputs and updates (`variable' = value`). A pass takes a graph and gives a graph. Each value has
one producer: an input, a variable or a node's result. Text form: `nnc.text`; rules a graph must
keep: `nnc.verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from .dims import Dim

if TYPE_CHECKING:
    from .ops.base import Operator

DTYPES: dict[str, np.dtype[Any]] = {
    "f32": np.dtype(np.float32),
    "f64": np.dtype(np.float64),
    "i32": np.dtype(np.int32),
    "i64": np.dtype(np.int64),
    "u8": np.dtype(np.uint8),
    "bool": np.dtype(np.bool_),
}
FLOATS = ("f32", "f64")
INTEGERS = ("i32", "i64", "u8")
MAX_RANK = 8  # of every tensor: kMaxRank of the engine


@dataclass(frozen=True)
class Type:
    """An element type of `DTYPES` and a shape of exact dimensions."""

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
    """One use of an operator; identity is the object."""

    op: Operator
    operands: tuple[Value, ...]
    attributes: Mapping[str, Any]
    results: tuple[Value, ...]
    origin: Origin = Origin()

    @property
    def result(self) -> Value:
        return self.results[0]

    def over(self, operands: tuple[Value, ...]) -> Node:
        """This node on other operands of the same types."""
        return Node(self.op, operands, self.attributes, self.results, self.origin)


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
    (of the optimizer).
    """

    name: str
    kind: str
    value: Value
    initial: np.ndarray[Any, Any]
    trainable: bool = True


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


@cache
def _operators() -> Callable[[str], Operator]:
    """What finds an operator by name, in a package that needs this module."""
    from .ops import operator

    return operator


@dataclass
class Builder:
    """Makes nodes: checks operands and attributes with the operator, infers result types, hands out
    value ids.
    """

    nodes: list[Node] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    origin: Origin = Origin()
    next_id: int = 0

    @staticmethod
    def over(graph: Graph, keep_nodes: bool = True) -> Builder:
        """A builder that goes on where a graph ended (same values; new ids follow the largest)."""
        last = max((value.id for value in graph.values()), default=-1)
        return Builder(
            nodes=list(graph.nodes) if keep_nodes else [],
            inputs=list(graph.inputs),
            variables=list(graph.variables),
            next_id=last + 1,
        )

    def value(self, type: Type) -> Value:
        made = Value(self.next_id, type)
        self.next_id += 1
        return made

    def input(self, name: str, type: Type, role: str = "data") -> Value:
        made = self.value(type)
        self.inputs.append(Input(name, made, role))
        return made

    def variable(
        self,
        name: str,
        kind: str,
        initial: np.ndarray[Any, Any],
        dtype: str,
        trainable: bool = True,
    ) -> Value:
        made = self.value(Type(dtype, tuple(int(d) for d in initial.shape)))
        self.variables.append(Variable(name, kind, made, initial, trainable))
        return made

    def emit_all(
        self, name: str, operands: Sequence[Value], **attributes: Any
    ) -> tuple[Value, ...]:
        """Append a node of operator `name`; gives all its results. Raises ShapeError
        (nnc.ops.base).
        """
        op = _operators()(name)
        checked = op.check_attributes(attributes)
        types = op.infer([operand.type for operand in operands], checked)
        results = tuple(self.value(type) for type in types)
        self.nodes.append(Node(op, tuple(operands), checked, results, self.origin))
        return results

    def emit(self, name: str, *operands: Value, **attributes: Any) -> Value:
        """`emit_all` for the usual operator with one result."""
        return self.emit_all(name, operands, **attributes)[0]

    def replace(self, node: Node, name: str) -> tuple[Value, ...]:
        """Put operator `name`, whose first results are the node's, in the node's place; gives all
        its results.
        """
        op = _operators()(name)
        types = op.infer([operand.type for operand in node.operands], node.attributes)
        more = tuple(self.value(type) for type in types[len(node.results) :])
        place = next(i for i, other in enumerate(self.nodes) if other is node)
        results = (*node.results, *more)
        self.nodes[place] = Node(op, node.operands, node.attributes, results, node.origin)
        return results

    def constant(self, value: Any, dtype: str = "f32") -> Value:
        """A constant scalar or array as a value."""
        return self.emit("constant", value=np.asarray(value, DTYPES[dtype]))

    def graph(
        self,
        outputs: Iterable[tuple[str, Value]] = (),
        updates: Iterable[tuple[str, Value]] = (),
    ) -> Graph:
        return Graph(
            tuple(self.inputs),
            tuple(self.variables),
            tuple(self.nodes),
            tuple(outputs),
            tuple(updates),
        )
