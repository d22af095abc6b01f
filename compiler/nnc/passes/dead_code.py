"""Drops nodes whose results nothing uses.

Keeps inputs and variables (they are the interface), outputs, updates, and everything those need.
"""

from __future__ import annotations

from dataclasses import replace

from ..graph import Graph, Node, Value


def run(graph: Graph) -> Graph:
    needed: set[Value] = set(graph.roots())
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if "pure" not in node.op.traits or not needed.isdisjoint(node.results):
            needed.update(node.operands)
            kept.append(node)
    return replace(graph, nodes=tuple(reversed(kept)))
