"""What the library computes from settings is computed once, and the rules of what is kept."""

from __future__ import annotations

from typing import Any

import pytest
from nnc import driver
from nnc.elaborate import elaborate, memoize
from nnc.elaborate.context import Context
from nnlang import parse
from nnlang.diagnostics import DiagnosticError
from nnlang.syntax import Assign, Block, Source


def net(layers: str) -> Source:
    return Source("<text>", f"net M {{ input x: f32[N, 8, 8, 3]\n output y = x -> {layers} }}")


def work(layers: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The expressions and statements that a net takes."""
    made = Context.__init__

    def noted(self: Context, *values: Any, **named: Any) -> None:
        made(self, *values, **named)
        contexts.append(self)

    contexts: list[Context] = []
    with monkeypatch.context() as patch:
        patch.setattr(Context, "__init__", noted)
        elaborate(net(layers), draw=False)
    return max(context.work for context in contexts if context.subject == "M")


def test_equal_layers_check_their_settings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (
        work(" -> ".join(["conv(3, 3)"] * count), monkeypatch) for count in (1, 2, 3)
    )
    assert three - two == two - one
    assert two - one < one / 2
    others = work('conv(3, 3) -> conv(3, 3, padding = "valid")', monkeypatch)
    assert others > two, "other settings are checked anew"


def test_a_mistake_is_found_in_every_layer() -> None:
    with pytest.raises(DiagnosticError) as caught:
        elaborate(
            Source(
                "<text>",
                "net M { input x: f32[N, 8, 8, 3]\n a = x -> conv(3, 0)\n b = x -> conv(3, 0)\n"
                " output y = x }",
            )
        )
    found = caught.value.diagnostics
    assert [each.primary.span.line for each in found if each.primary] == [2, 3]
    assert found[0].message == found[1].message


def test_dropout_is_of_training_alone_in_both_orders() -> None:
    """What asks whether it is training is no part of what the programs share."""
    text = (
        "net M { input x: f32[N, 4]\n output y = x -> dropout(0.5) -> dense(4) -> dropout(0.5) }\n"
        "train M { input t: f32[N, 4]\n loss = mean_squared_error(y, t)\n optimizer = sgd()\n"
        "learning_rate = 0.1 }"
    )
    graphs = driver.build(Source("<text>", text), driver.Options()).graphs
    drawn = {
        name: sum("random" in node.op.traits for node in graph.nodes)
        for name, graph in graphs.items()
    }
    assert drawn == {"predict": 0, "evaluate": 0, "train": 2}


def test_the_names_that_an_expression_reads() -> None:
    text = "block f(x) {\n    y = op.g(a, key = b)[c] + [d for d in e if f]\n    return y\n}\n"
    (block,) = parse(text).items
    assert isinstance(block, Block) and isinstance(block.body, tuple)
    assert isinstance(block.body[0], Assign)
    assert set(memoize._names_read(block.body[0].value)) == {"op", "a", "b", "c", "d", "e", "f"}
