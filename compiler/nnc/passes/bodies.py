"""Takes a pass into the graphs inside nodes, so that no pass needs to know of them.

A body is a graph like any other: it is closed, and its inputs and outputs stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..graph import Graph


def run_with_bodies(run: Callable[[Graph], Graph], graph: Graph) -> Graph:
    """A graph after a pass: on the bodies of its nodes first, then on the graph itself."""
    if [node for node in graph.nodes if node.body is not None]:
        nodes = (
            replace(node, body=run_with_bodies(run, node.body)) if node.body is not None else node
            for node in graph.nodes
        )
        graph = replace(graph, nodes=tuple(nodes))
    return run(graph)
