"""Builds a graph node by node.

Takes operators by name, operands and attributes; gives values, and the graph at the end. Each node
is checked by its operator, which also infers the types of its results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .dtypes import DTYPES
from .graph import Graph, Input, Node, Origin, Type, Value, Variable, with_body
from .ops import operator


@dataclass
class Builder:
    """Makes nodes: checks operands and attributes with the operator, infers result types, hands out
    value ids.
    """

    nodes: list[Node] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    variables: list[Variable] = field(default_factory=list)
    origin: Origin = field(default_factory=Origin)
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
        self,
        name: str,
        operands: Sequence[Value],
        body: Graph | None = None,
        **attributes: Any,
    ) -> tuple[Value, ...]:
        """Append a node of operator `name`; gives all its results. Raises ShapeError
        (nnc.ops.base).
        """
        op = operator(name)
        checked = op.check_attributes(attributes)
        types = op.infer([operand.type for operand in operands], with_body(checked, body))
        results = tuple(self.value(type) for type in types)
        self.nodes.append(Node(op, tuple(operands), checked, results, self.origin, body))
        return results

    def emit(self, name: str, *operands: Value, **attributes: Any) -> Value:
        """`emit_all` for the usual operator with one result."""
        return self.emit_all(name, operands, **attributes)[0]

    def replace(self, node: Node, name: str) -> tuple[Value, ...]:
        """Put operator `name`, whose first results are the node's, in the node's place; gives all
        its results.
        """
        op = operator(name)
        types = op.infer([operand.type for operand in node.operands], node.parameters)
        more = tuple(self.value(type) for type in types[len(node.results) :])
        place = next(i for i, other in enumerate(self.nodes) if other is node)
        results = (*node.results, *more)
        self.nodes[place] = replace(node, op=op, results=results)
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
