"""Short nets for the tests of elaboration, and what it made of them."""

from __future__ import annotations

from typing import Any

import pytest
from nnc.elaborate import Elaborated, elaborate
from nnc.graph import Graph
from nnlang import DiagnosticError
from nnlang.syntax import Source

VECTORS = "net M {\n    input x: f32[N, 8]\n"
SECTION = "train M {\n    input label: i64[N]\n    loss = cross_entropy(logits, label)\n"


def build(text: str, **given: Any) -> Elaborated:
    return elaborate(Source("<text>", text), **given)


def net(
    body: str, head: str = VECTORS, before: str = "", after: str = "", **given: Any
) -> Elaborated:
    return build(f"{before}\n{head}{body}\n}}\n{after}", **given)


def parameters(made: Elaborated, program: str = "predict") -> list[str]:
    return [v.name for v in made.graphs[program].variables if v.kind == "parameter"]


def shapes(made: Elaborated) -> dict[str, str]:
    return {name: str(value.type) for name, value in made.graphs["predict"].outputs}


def operators(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def mistake(text: str, **given: Any) -> str:
    with pytest.raises(DiagnosticError) as error:
        build(text, **given)
    return str(error.value)
