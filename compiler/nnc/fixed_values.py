"""The values of a graph that depend on variables and constants alone.

Inference computes them once, when the variables are loaded, not in every run.
"""

from __future__ import annotations

from .dims import Poly
from .graph import Graph, Node, Type, Value


def fixed_values(graph: Graph) -> set[Value]:
    """The values that depend on variables and constants alone and have a known size."""
    fixed = {variable.value for variable in graph.variables}
    for node in graph.nodes:
        if all(operand in fixed for operand in node.operands) and is_static(node):
            fixed.update(node.results)
    return fixed


def is_static(node: Node) -> bool:
    """Whether a node gives the same for the same operands in every run, at any batch size."""
    return not any(
        "random" in inner.op.traits
        or any(_symbolic(result.type) for result in inner.results)
        or _reads_symbol(inner)
        for inner in node.within()
    )


def _symbolic(type: Type) -> bool:
    return any(isinstance(dim, Poly) for dim in type.shape)


def _reads_symbol(node: Node) -> bool:
    return any(
        isinstance(item, Poly)
        for value in node.attributes.values()
        for item in (value if isinstance(value, tuple) else (value,))
    )
