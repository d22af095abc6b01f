"""The inputs that hold indices, and the bound that each index must stay below.

Takes a graph; gives the bound of each integer input whose elements an operator uses as indices, as
the labels of a cross entropy or the ids of a gather, if the number of classes or rows is known.
Operators that only move or convert elements are followed back to the input.
"""

from __future__ import annotations

from .dtypes import INTEGERS
from .graph import Graph, Node, Value


def index_bounds(graph: Graph) -> dict[str, int]:
    names = {item.value: item.name for item in graph.inputs}
    producers = graph.producers()
    found: dict[str, int] = {}
    for node in graph.nodes:
        types = [value.type for value in node.operands]
        results = [value.type for value in node.results]
        for operand, bound in node.op.index_bounds(types, results).items():
            source = _source(node.operands[operand], producers)
            if source in names and source.dtype in INTEGERS and isinstance(bound, int):
                name = names[source]
                found[name] = min(bound, found.get(name, bound))
    return found


def _source(value: Value, producers: dict[Value, Node]) -> Value:
    node = producers.get(value)
    while node is not None and "moves" in node.op.traits:
        if node.operands[0].dtype not in INTEGERS:
            break
        value = node.operands[0]
        node = producers.get(value)
    return value
