"""Which inputs are indices, and what they must stay below.

Takes a graph; gives the limit of each input that reaches (through views and casts) the labels of a
cross entropy or the ids of a gather, where the number of classes or rows is known.
"""

from __future__ import annotations

from .graph import INTEGERS, Graph, Node, Value


def index_limits(graph: Graph) -> dict[str, int]:
    names = {item.value: item.name for item in graph.inputs}
    producers = graph.producers()
    limits: dict[str, int] = {}
    for node in graph.nodes:
        for value, limit in _indices(node):
            source = _source(value, producers)
            if source in names and source.dtype in INTEGERS and isinstance(limit, int):
                name = names[source]
                limits[name] = min(limit, limits.get(name, limit))
    return limits


def _indices(node: Node) -> list[tuple[Value, object]]:
    """The operands that hold indices, and their limits."""
    if node.op.name in ("softmax_cross_entropy", "softmax_cross_entropy_backward"):
        return [(node.operands[1], node.operands[0].shape[-1])]
    if node.op.name == "gather":
        return [(node.operands[1], node.operands[0].shape[0])]
    if node.op.name == "gather_backward":
        return [(node.operands[0], node.result.shape[0])]
    return []


def _source(value: Value, producers: dict[Value, Node]) -> Value:
    node = producers.get(value)
    while node is not None and (node.op.name == "cast" or "view" in node.op.traits):
        if node.operands[0].dtype not in INTEGERS:
            break
        value = node.operands[0]
        node = producers.get(value)
    return value
