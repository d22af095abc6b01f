"""Computes at compile time what depends on constants alone, by the operators' own references.

Results stay small: nothing is folded whose result has more elements than `LIMIT`, nor what only
repeats a number (that stays a broadcast, which costs nothing).
"""

from __future__ import annotations

import numpy as np

from ..dims import product
from ..fixed_values import is_static
from ..graph import Graph, Node, Value
from ..interpret import run_node
from ..ops.base import Operator
from .rewriter import ANY, Guarded, Makers, Rewriter, Rules, is_constant
from .structure import uniform_constant

LIMIT = 4096


def fold(node: Node, rewriter: Rewriter) -> Value | None:
    size = product(node.result.shape)
    if not is_static(node) or not isinstance(size, int) or size > LIMIT:
        return None
    given = [array for value in node.operands if (array := rewriter.constant(value)) is not None]
    with np.errstate(all="ignore"):
        (result,) = run_node(node, given, {})
    return rewriter.emit("constant", value=np.array(result))


def _on_constants(op: Operator, makers: Makers) -> bool:
    constants = bool(makers) and all(map(is_constant, makers))
    return constants and "random" not in op.traits and "repeats" not in op.traits


_RULES: Rules = {ANY: (Guarded(fold, _on_constants),), "constant": (uniform_constant,)}


def run(graph: Graph) -> Graph:
    return Rewriter(graph, _RULES).run()
