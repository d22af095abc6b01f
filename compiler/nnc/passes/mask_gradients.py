"""Moves the mask of a clamp behind batch normalization into the gradient of the normalization.

`batch_norm_backward(x, …, select(maximum(y, 0) > 0, dy, 0))` becomes
`batch_norm_backward[low=0](x, …, dy)`: x, which it reads anyway, tells y, so whatever makes dy need
not read the clamped value too. Comparisons of clamps (ReLU6 has two) with numbers are followed
back to y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ..graph import Graph, Node, Value
from .reuse_masks import SAME
from .rewriter import Rewriter


def run(graph: Graph) -> Graph:
    return _Gradients(graph).run()


class _Gradients(Rewriter):
    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.users = graph.users()
        self.roots = set(graph.roots())

    def visit(self, node: Node) -> tuple[Value, ...]:
        if node.op.name == "batch_norm_backward":
            node = self._with_masks(node)
        return super().visit(node)

    def _with_masks(self, node: Node) -> Node:
        *others, gradient = node.operands
        statistics = self.producer(node.operands[3], "batch_norm")
        bounds = {name: node.attributes[name] for name in ("low", "high")}
        taken = gradient
        while statistics is not None and self._is_lone(taken):
            select = self.producer(taken, "select")
            if select is None or self.number(select.operands[2]) != 0:
                break
            if select.operands[1].type != gradient.type:  # repeated by the select
                break
            compared = self.producer(select.operands[0])
            if compared is None or compared.op.name not in ("greater", "less"):
                break
            value, bound = compared.operands
            number = self.number(bound)
            if number is None or not self._tells(compared.op.name, value, number, statistics):
                break
            name, nearest = _BOUNDS[compared.op.name]
            bounds[name] = nearest(bounds[name], float(number))
            taken = select.operands[1]
        if taken is gradient:
            return node
        return replace(node, operands=(*others, taken), attributes={**node.attributes, **bounds})

    def _is_lone(self, value: Value) -> bool:
        return len(self.users.get(value, ())) == 1 and value not in self.roots

    def _tells(self, comparison: str, value: Value, number: float, norm: Node) -> bool:
        """Whether the normalized value compares to the number as `value` does."""
        while value is not norm.results[0]:
            clamp = self.producer(value)
            if clamp is None or clamp.op.name not in ("maximum", "minimum"):
                return False
            value, bound = clamp.operands
            limit = self.number(bound)
            if limit is None:
                value, limit = bound, self.number(value)
            if limit is None or not SAME[comparison, clamp.op.name](number, limit):
                return False
        return True


_BOUNDS: dict[str, tuple[str, Callable[[float, float], float]]] = {
    "greater": ("low", max),
    "less": ("high", min),
}
