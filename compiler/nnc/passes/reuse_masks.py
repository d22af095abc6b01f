"""Takes the mask of a clamp from its result: `x > 0` becomes `maximum(x, 0) > 0`, the same truth.

The backward pass then needs the result alone, which the next layer keeps anyway, and not what came
before it, so that a convolution's raw output need not be stored. The same holds for `minimum`, and
for both in a row (ReLU6). A NaN compares false either way.
"""

from __future__ import annotations

from dataclasses import replace

from ..graph import Graph, Node, Value
from .rewriter import Rewriter

# By comparison and clamp: whether `x ? a` and `clamp(x, c) ? a` are the same.
SAME = {
    ("greater", "maximum"): lambda a, c: c <= a,
    ("greater", "minimum"): lambda a, c: c > a,
    ("less", "minimum"): lambda a, c: c >= a,
    ("less", "maximum"): lambda a, c: c < a,
}


def run(graph: Graph) -> Graph:
    return _Masks(graph).run()


class _Masks(Rewriter):
    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.clamped: dict[Value, list[tuple[str, float, Value]]] = {}

    def visit(self, node: Node) -> tuple[Value, ...]:
        if node.op.name in ("greater", "less"):
            value, bound = (self.current(operand) for operand in node.operands)
            node = replace(node, operands=(self._clamped(node.op.name, value, bound), bound))
        made = super().visit(node)
        if node.op.name in ("maximum", "minimum"):
            for value, other in (node.operands, node.operands[::-1]):
                bound_number = self.number(self.current(other))
                if bound_number is not None and value.type == node.result.type:
                    found = (node.op.name, float(bound_number), made[0])
                    self.clamped.setdefault(self.current(value), []).append(found)
        return made

    def _clamped(self, comparison: str, value: Value, bound: Value) -> Value:
        """The last clamp of a value that compares the same."""
        number = self.number(bound)
        following: Value | None = value if number is not None else None
        while following is not None and number is not None:
            value = following
            following = next(
                (
                    result
                    for clamp, c, result in self.clamped.get(value, ())
                    if SAME[comparison, clamp](number, c)
                ),
                None,
            )
        return value
