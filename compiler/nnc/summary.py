"""What a net is made of, layer by layer: the rows of `nnc summary` and of the artifact's manifest.

Takes the graph of inference; gives a row for each path that nodes come from, in the order of the
computation: the shape of what the layer gives, its parameters, and its cost as text over the
symbolic dimensions. What depends on variables alone is computed once and not counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .dims import Dim, product
from .dtypes import DTYPES
from .fixed_values import fixed_values
from .graph import Graph, Node
from .ops.base import cost_of_node


@dataclass
class _Layer:
    """The nodes and parameters of one path."""

    path: str
    nodes: list[Node] = field(default_factory=list)
    parameters: int = 0

    def row(self) -> dict[str, Any]:
        flops: Dim = 0
        for node in self.nodes:
            flops = flops + cost_of_node(node).flops
        shape = ""
        size: Dim = 0
        if self.nodes:
            type = self.nodes[-1].result.type
            shape = "[" + ", ".join(str(dim) for dim in type.shape) + "]"
            size = product(type.shape) * DTYPES[type.dtype].itemsize
        return {
            "path": self.path,
            "layer": re.sub(r"_\d+\Z", "", self.path.rpartition(".")[2]),
            "shape": shape,
            "parameters": self.parameters,
            "flops": str(flops),
            "activation_bytes": str(size),
            "source": next((n.origin.source for n in self.nodes if n.origin.source), ""),
        }


def summary(graph: Graph) -> list[dict[str, Any]]:
    fixed = fixed_values(graph)
    layers: dict[str, _Layer] = {}
    for node in graph.nodes:
        if any(result not in fixed for result in node.results):
            path = node.origin.path
            layers.setdefault(path, _Layer(path)).nodes.append(node)
    for variable in graph.variables:
        if variable.kind == "parameter":
            path = _owner(variable.name, layers)
            layers.setdefault(path, _Layer(path)).parameters += int(variable.initial.size)
    return [layer.row() for layer in layers.values()]


def _owner(name: str, layers: dict[str, _Layer]) -> str:
    """The layer that a parameter's name says it belongs to, or the nearest around it."""
    path = direct = name.rpartition(".")[0]
    while path and path not in layers:
        path = path.rpartition(".")[0]
    return path if path in layers else direct
