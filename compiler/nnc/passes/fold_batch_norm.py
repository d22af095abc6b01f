"""Folds scale and shift by fixed values into the layer before (inference only).

Takes a graph without updates. A chain of additions, subtractions, multiplications and divisions by
values that depend on variables alone, one number or one per channel, such as ((y - mean) *
rsqrt(variance + epsilon)) * scale + offset, becomes y * A + B. Where y comes from a convolution or
matmul whose weight is fixed too and which nothing else uses, A moves into that weight. A, B and the
scaled weight depend on variables alone, so lowering computes them once. Graphs with updates are
given back as they are.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..dims import product
from ..dtypes import FLOATS
from ..fixed_values import fixed_values
from ..graph import Graph, Node, Value
from .rewriter import Rewriter

_SHORTEST_CHAIN = 3  # a scale and shift of two nodes is as good as y * A + B already


def run(graph: Graph) -> Graph:
    return graph if graph.updates else _Folder(graph).run()


@dataclass
class _Chain:
    """y * scale + shift, where None stands for 1 and 0."""

    base: Value
    scale: Value | None = None
    shift: Value | None = None
    length: int = 0


class _Folder(Rewriter):
    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self.fixed = fixed_values(graph)
        self.uses = Counter(value for node in graph.nodes for value in node.operands)
        self.uses.update(graph.roots())
        self.made_by = graph.producers()
        self.users = graph.users()

    def run(self) -> Graph:
        ends = self._ends()
        inner = {node for chain in ends.values() for node in chain[:-1]}
        for node in self.graph.nodes:
            if node in inner:
                continue
            if node in ends:
                self._end(ends[node])
            else:
                self.visit(node)
        return self.finish()

    # ------------------------------------------------------------ finding

    def _ends(self) -> dict[Node, list[Node]]:
        """The chains worth folding, by their last node; a layer that takes the scale comes first in
        its chain.
        """
        chains: dict[Node, list[Node]] = {}
        taken: set[Node] = set()
        for node in self.graph.nodes:
            if node in taken or not self._is_link(node):
                continue
            chain = [node]
            while (following := self._next(chain[-1])) is not None:
                chain.append(following)
            taken.update(chain)
            layer = self.made_by.get(self._base(node))
            scales = any(link.op.name in ("mul", "div") for link in chain)
            if layer is not None and scales and self._takes_scale(layer):
                chains[chain[-1]] = [layer, *chain]
            elif scales and len(chain) >= _SHORTEST_CHAIN:
                chains[chain[-1]] = chain
        return chains

    def _next(self, node: Node) -> Node | None:
        users = self.users.get(node.result, [])
        if self.uses[node.result] != 1 or len(users) != 1 or not self._is_link(users[0]):
            return None
        return users[0] if self._base(users[0]) is node.result else None

    def _is_link(self, node: Node) -> bool:
        """One operand changes with the input and has the result's shape, the other is fixed and one
        per channel.
        """
        if (
            node.op.name not in ("add", "sub", "mul", "div", "neg")
            or node.result.dtype not in FLOATS
        ):
            return False
        if node.result in self.fixed or not node.result.shape:
            return False
        base = self._base(node)
        if base.type != node.result.type or base in self.fixed:
            return False
        if node.op.name == "neg":
            return True
        other = node.operands[1 if base is node.operands[0] else 0]
        if node.op.name == "div" and base is not node.operands[0]:
            return False
        return other in self.fixed and self._per_channel(other, node.result.shape[-1])

    def _base(self, node: Node) -> Value:
        return next((value for value in node.operands if value not in self.fixed), node.operands[0])

    def _per_channel(self, value: Value, channels: object) -> bool:
        size = product(value.shape)
        return size == 1 or (bool(value.shape) and value.shape[-1] == channels == size)

    def _takes_scale(self, layer: Node) -> bool:
        if self.uses[layer.result] != 1 or len(layer.results) != 1:
            return False
        scalable = layer.op.scalable_weight(layer.attributes)
        if scalable is None:
            return False
        weight, _ = scalable
        data = [value for index, value in enumerate(layer.operands) if index != weight]
        return layer.operands[weight] in self.fixed and not any(v in self.fixed for v in data)

    # ------------------------------------------------------------ building

    def _end(self, nodes: list[Node]) -> None:
        layer = nodes[0] if not self._is_link(nodes[0]) else None
        links = nodes[1:] if layer else nodes
        self.origin = links[-1].origin
        base = self._base(links[0])
        chain = _Chain(base)
        for link in links:
            self._extend(chain, link)
        if layer is not None and chain.scale is not None:
            result = self._scaled_layer(layer, chain.scale)
        else:
            result = self.current(base)
            if chain.scale is not None:
                result = self.emit("mul", result, chain.scale)
        if chain.shift is not None:
            result = self.emit("add", result, chain.shift)
        self.replaced[links[-1].result] = result

    def _extend(self, chain: _Chain, link: Node) -> None:
        base = self._base(link)
        first = base is link.operands[0]
        name = link.op.name
        if name == "neg" or (name == "sub" and not first):
            chain.scale = self._negated(chain.scale, link.result)
            chain.shift = self.emit("neg", chain.shift) if chain.shift is not None else None
        if name == "neg":
            return
        other = self._vector(self.current(link.operands[1 if first else 0]))
        if name in ("mul", "div"):
            one = self.number_like(1.0, other)
            chain.scale = self.emit(name, chain.scale or one, other)
            if chain.shift is not None:
                chain.shift = self.emit(name, chain.shift, other)
        elif chain.shift is not None:
            name = "add" if not first else name
            chain.shift = self.emit(name, chain.shift, other)
        else:
            chain.shift = self.emit("neg", other) if name == "sub" and first else other

    def _negated(self, scale: Value | None, like: Value) -> Value:
        return self.emit("neg", scale) if scale is not None else self.number_like(-1.0, like)

    def _vector(self, value: Value) -> Value:
        """A fixed value as one number or one per channel."""
        shape = () if product(value.shape) == 1 else (product(value.shape),)
        return value if value.shape == shape else self.emit("reshape", value, shape=shape)

    def _scaled_layer(self, layer: Node, scale: Value) -> Value:
        scalable = layer.op.scalable_weight(layer.attributes)
        assert scalable is not None
        weight, axis = scalable
        if scale.shape and axis != -1:
            scale = self.emit("reshape", scale, shape=(*scale.shape, *(1,) * (-1 - axis)))
        self.origin = layer.origin
        operands = [self.current(value) for value in layer.operands]
        operands[weight] = self.emit("mul", operands[weight], scale)
        return self.emit(layer.op.name, *operands, **layer.attributes)
