"""Computes equal things once: nodes of one operator with equal attributes, the same operands and
equal bodies become one.

Random nodes of one stream are equal within a step, so they merge; other streams differ in their
attributes.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from ..graph import Graph, Node
from .rewriter import Rewriter


def run(graph: Graph) -> Graph:
    rewriter = Rewriter(graph)
    replaced, kept = rewriter.replaced, rewriter.nodes
    known: dict[Hashable, Node] = {}
    for node in graph.nodes:
        operands = tuple([replaced.get(value, value) for value in node.operands])
        if "pure" in node.op.traits:
            first = known.setdefault(_key(node, [value.id for value in operands]), node)
            if first is not node:
                replaced.update(zip(node.results, first.results, strict=True))
                continue
        kept.append(node if operands == node.operands else node.with_operands(operands))
    return rewriter.finish()


def _key(node: Node, operands: list[int]) -> Hashable:
    if len(operands) == 2 and "commutative" in node.op.traits:
        operands = sorted(operands)
    attributes = tuple([(name, _hashable(value)) for name, value in node.attributes.items()])
    body = None if node.body is None else _key_of_body(node.body)
    return (node.op.name, tuple(operands), attributes, body)


def _key_of_body(body: Graph) -> Hashable:
    """Equal for bodies with equal nodes; ids of values and names do not count."""
    numbers = {value: number for number, value in enumerate(body.values())}
    inputs = tuple(item.value.type for item in body.inputs)
    nodes = tuple(_key(node, [numbers[value] for value in node.operands]) for node in body.nodes)
    return (inputs, nodes, tuple(numbers[value] for _, value in body.outputs))


def _hashable(value: Any) -> Hashable:
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, float):
        return value.hex()  # 0.0 and -0.0 differ, NaN equals itself
    hashable: Hashable = value
    return hashable
