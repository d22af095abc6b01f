"""Where a place takes something named for later use, any block or rule of one's own will do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nnc import interpret
from nnc.elaborate import elaborate
from nnlang import DiagnosticError
from nnlang.syntax import Source

Array = np.ndarray[Any, Any]
NET = """
net M {{
    input x: f32[N, 2]
    param w: f32[2, 1] = {initializer}
    output y = x @ w
}}
train M {{
    loss = mean(y)
    optimizer = {optimizer}
    learning_rate = {learning_rate}
    clip = {clip}
    regularizer = {regularizer}
}}
"""
USUAL = {
    "initializer": "ones()",
    "optimizer": "sgd()",
    "learning_rate": "0.5",
    "clip": "by_value(1e3)",
    "regularizer": "l2(0)",
}


def after(count: int, before: str, **given: str) -> float:
    """The first weight after some steps on rows of ones."""
    text = before + NET.format(**{**USUAL, **given})
    graph = elaborate(Source("<text>", text)).graphs["train"]
    variables: dict[str, Array] = {v.name: v.initial for v in graph.variables}
    for step in range(count):
        clock = {"step": float(step), "steps": float(count), "epoch_steps": 2.0}
        used = {item.name: clock[item.name] for item in graph.inputs if item.role == "clock"}
        inputs = {"x": np.ones((4, 2), np.float32), **used}
        _, updates = interpret.run(graph, inputs, variables, double=True)
        variables = {**variables, **updates}
    return float(variables["w"][0, 0])


@pytest.mark.parametrize("kind", ["block", "rule"])
@pytest.mark.parametrize(
    ("place", "body", "wanted"),
    [
        ("learning_rate", "own(step, steps, epoch_steps, rate = 1) = rate / (2 + step)", 1 / 6),
        ("clip", "own(gradients) = [gradients[0] * 0.5]", 0.5),
        ("regularizer", "own(p) = sum(p)", -1.0),
        ("optimizer", "own(p, gradient, rate, more = 1) = p - more * rate * gradient", 0.0),
        ("initializer", "own(shape) = 3", 2.0),
    ],
)
def test_a_block_or_rule(kind: str, place: str, body: str, wanted: float) -> None:
    for called in ("own", "own()"):
        assert after(2, f"{kind} {body}\n", **{place: called}) == pytest.approx(wanted)


@pytest.mark.parametrize("kind", ["block", "rule"])
def test_the_state_of_a_schedule_is_kept(kind: str) -> None:
    counted = f"""{kind} own(step, steps, epoch_steps) {{
    state calls: f32[] = 0
    calls = calls + 1
    return 0.5 / calls
}}
"""
    assert after(3, counted, learning_rate="own()") == pytest.approx(1 - 0.5 * (1 + 1 / 2 + 1 / 3))


def test_the_state_of_a_clipping_rule_is_kept() -> None:
    counted = """rule own(gradients) {
    state calls: f32[] = 0
    calls = calls + 1
    return [gradients[0] * calls]
}
"""
    assert after(3, counted, clip="own()") == pytest.approx(1 - 0.5 * (1 + 2 + 3))


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("optimizer", "relu", "`relu` is not a rule that updates parameters"),
        ("optimizer", "l2(0.1)", "`l2` is not a rule that updates parameters"),
        ("optimizer", "exp", "`exp` is not a rule that updates parameters"),
        ("learning_rate", "adam()", "`adam` is not a learning_rate"),
        ("clip", "sgd()", "`sgd` is not a clip"),
    ],
)
def test_what_the_library_has_for_another_place_is_refused(
    place: str, value: str, words: str
) -> None:
    with pytest.raises(DiagnosticError, match=words):
        after(1, "", **{place: value})


def test_a_block_with_other_parameters_is_refused() -> None:
    with pytest.raises(DiagnosticError, match="`own` cannot be used as a rule here"):
        after(1, "block own(a) = a\n", optimizer="own")
    with pytest.raises(DiagnosticError, match="must return the new parameter"):
        after(1, "block own(p, g, rate) = rate\n", optimizer="own")


def test_cosine_ends_at_its_final_rate() -> None:
    """The last of the steps has it, and no step is below it or above the first."""
    rates = [after(1, "", learning_rate="cosine(0.5, final = 0.1)")]
    for step in range(5):
        schedule = f"block at(step, steps, epoch_steps) = cosine(step * 0 + {step}, steps * 0 + 5,"
        schedule += " epoch_steps, 0.5, final = 0.1)\n"
        rates.append(1 - after(1, schedule, learning_rate="at()"))
    assert rates[0] == pytest.approx(1 - 0.5)  # one step alone has the first
    assert rates[1] == pytest.approx(0.5) and rates[5] == pytest.approx(0.1)
    assert rates[1:] == sorted(rates[1:], reverse=True)
