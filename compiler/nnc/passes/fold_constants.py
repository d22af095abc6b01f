"""Computes at compile time what depends on constants alone, by the operators' own references.

Results stay small: nothing is folded whose result has more elements than `LIMIT`, nor what only
repeats a number (that stays a broadcast, which costs nothing).
"""

from __future__ import annotations

import numpy as np

from ..dims import Poly, product
from ..graph import Graph, Node, Value
from ..ops.base import Context, Operator
from .rewriter import ANY, Guarded, Makers, Rewriter, Rules
from .structure import uniform_constant

LIMIT = 4096


def fold(node: Node, rewriter: Rewriter) -> Value | None:
    if not _is_static(node):
        return None
    given = [array for value in node.operands if (array := rewriter.constant(value)) is not None]
    with np.errstate(all="ignore"):
        (result,) = node.op.reference(given, node.attributes, Context())
    return rewriter.emit("constant", value=np.array(result))


def _on_constants(op: Operator, makers: Makers) -> bool:
    constants = bool(makers) and all(maker == "constant" for maker in makers)
    return constants and "random" not in op.traits and op.name != "broadcast_to"


def _is_static(node: Node) -> bool:
    size = product(node.result.shape)
    return (
        isinstance(size, int)
        and size <= LIMIT
        and not any(
            isinstance(item, Poly)
            for value in node.attributes.values()
            for item in (value if isinstance(value, tuple) else (value,))
        )
    )


_RULES: Rules = {ANY: (Guarded(fold, _on_constants),), "constant": (uniform_constant,)}


def run(graph: Graph) -> Graph:
    return Rewriter(graph, _RULES).run()
