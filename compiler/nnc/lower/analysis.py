"""Analysis of a graph for lowering, computed once.

Takes a graph; gives the producer of each value, the index of each node, which nodes become tile
instructions, the source of each view, the values that depend on variables alone (only if the graph
has no updates: they are prepared once), and a nominal size of each value.
"""

from __future__ import annotations

import math
from functools import cached_property

from ..dims import Dim, evaluate
from ..dtypes import DTYPES
from ..fixed_values import fixed_values
from ..graph import Graph, Node, Type, Value

NOMINAL = 16  # the size of a symbolic dimension where sizes are only compared
NEVER = math.inf


class Analysis:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.producer = graph.producers()
        self.index = {node: index for index, node in enumerate(graph.nodes)}
        self.fixed: set[Value] = set() if graph.updates else fixed_values(graph)
        self._symbols = dict.fromkeys(graph.symbols(), NOMINAL)
        self._sizes: dict[tuple[Dim, ...], int] = {}

    def is_number(self, node: Node) -> bool:
        """A constant of one element: an instruction, with no memory unless something needs it.

        Instructions hold numbers as doubles, so larger integers are stored with the weights.
        """
        if "constant" not in node.op.traits or node.attributes["value"].size != 1:
            return False
        value = node.attributes["value"].reshape(-1)[0]
        return not (value.dtype.kind == "i" and abs(int(value)) > 2**53)

    def is_data(self, node: Node) -> bool:
        """A constant array that is stored with the weights."""
        return "constant" in node.op.traits and not self.is_number(node)

    def is_fusable(self, node: Node) -> bool:
        return "elementwise" in node.op.traits or self.is_number(node)

    def is_view(self, node: Node) -> bool:
        return "view" in node.op.traits

    def root(self, value: Value) -> Value:
        """The value that holds the elements: the source of all views on the way."""
        node = self.producer.get(value)
        while node is not None and "view" in node.op.traits:
            value = node.operands[0]
            node = self.producer.get(value)
        return value

    def elements(self, shape: tuple[Dim, ...]) -> int:
        if shape not in self._sizes:
            self._sizes[shape] = math.prod(max(0, evaluate(dim, self._symbols)) for dim in shape)
        return self._sizes[shape]

    def size(self, type: Type) -> int:
        """Nominal bytes."""
        return self.elements(type.shape) * DTYPES[type.dtype].itemsize

    @cached_property
    def kept_until(self) -> dict[Value, float]:
        """The index of the last kernel that reads a value, also through views; NEVER for outputs
        and updates, which are kept to the end.
        """
        table: dict[Value, float] = dict.fromkeys(self.graph.roots(), NEVER)
        for node in reversed(self.graph.nodes):
            if self.is_fusable(node):
                continue
            until = table.get(node.result, -1) if self.is_view(node) else self.index[node]
            for operand in node.operands:
                table[operand] = max(table.get(operand, -1), until)
        return table

    @cached_property
    def stored(self) -> set[Value]:
        """The values that are materialized: kernels, views, outputs or updates read them."""
        needed = set(self.graph.roots())
        for node in self.graph.nodes:
            if not self.is_fusable(node):
                needed.update(node.operands)
        return needed
