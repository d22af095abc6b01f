"""Takes the mask of a ReLU from its result: `x > 0` becomes `maximum(x, 0) > 0`, which is the same
truth.

The backward pass then needs the result alone, which the next layer keeps anyway, and not what came
before it, so that a convolution's raw output need not be stored.
"""

from __future__ import annotations

from dataclasses import replace

from ..graph import Graph, Value
from .rewriter import Rewriter


def run(graph: Graph) -> Graph:
    rewriter = Rewriter(graph)
    rectified: dict[Value, Value] = {}
    for node in graph.nodes:
        if node.op.name == "maximum":
            (result,) = rewriter.visit(node)
            for x, zero in (node.operands, node.operands[::-1]):
                if rewriter.number(zero) == 0 and x.type == node.result.type:
                    rectified[x] = result
        elif node.op.name == "greater" and rewriter.number(node.operands[1]) == 0:
            x = rectified.get(node.operands[0], node.operands[0])
            rewriter.visit(replace(node, operands=(x, node.operands[1])))
        else:
            rewriter.visit(node)
    return rewriter.finish()
