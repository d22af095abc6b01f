"""A branch that is not taken gives the gradient 0, also where its own slope is infinite or NaN."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nnc.elaborate import elaborate
from nnlang.syntax import Source

from .closed_forms import COMMON, FORMS, LOSSES
from .test_slopes import OnEngine, by_interpreter, with_slope

Array = np.ndarray[Any, Any]
POINTS = np.array([*COMMON, 3.0, -3.0, 6.0, 1000.0, -np.inf], np.float32)
TEXTS = [form.text for forms in FORMS.values() for form in forms]
OF_ONE = ("exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "square", "abs", "sin", "tanh",
          "sigmoid", "erf", "1 /", "softplus", "silu", "gelu", "elu", "softsign",
          "mish")  # fmt: skip


def column(*numbers: float) -> Array:
    return np.array(numbers, np.float64).reshape(-1, 1)


def slopes(text: str, **inputs: Array) -> Array:
    """By the interpreter, the engine in float64 and in f32, which must agree."""
    graph = with_slope(text)
    made = by_interpreter(graph, inputs)["slope"]
    for isa, double in (("", True), ("", False), ("reference", False)):
        found = OnEngine(graph, isa, double)(inputs)["slope"]
        np.testing.assert_allclose(found, made, rtol=1e-5, atol=1e-5, err_msg=f"{isa} {double}")
    return made[:, 0]


@pytest.mark.parametrize("text", TEXTS)
def test_every_function_in_a_branch_that_is_not_taken(text: str) -> None:
    chosen = f"select(x > 1e30, {text}, x)"
    if text.startswith(tuple(LOSSES)):
        for x in POINTS:
            found = slopes(chosen, x=column(x), t=column(1.0))
            np.testing.assert_array_equal(found, 1, err_msg=str(x))
        return
    if text.startswith(("reshape", "transpose", "broadcast", "norm(concat")):
        chosen = f"select(x > 1e30, reshape({text}, (N, 1)), x)"
    found = slopes(chosen, x=column(*POINTS), t=column(*np.ones(len(POINTS))))
    np.testing.assert_array_equal(found, 1)


@pytest.mark.parametrize("outer", OF_ONE)
def test_functions_of_functions_in_a_branch_that_is_not_taken(outer: str) -> None:
    inputs = {"x": column(*POINTS)}
    for inner in OF_ONE:
        graph = with_slope(f"select(x <= 1e30, x, {outer}({inner}(x)))")
        for found in (by_interpreter(graph, inputs), OnEngine(graph, "")(inputs)):
            np.testing.assert_array_equal(found["slope"], 1, err_msg=f"{outer} of {inner}")


@pytest.mark.parametrize(
    ("text", "x", "wanted"),
    [
        ("select(x > 0, sqrt(x), x)", (-1.0, 0.0, 4.0), (1.0, 1.0, 0.25)),
        ("select(x > 0, x * log(x), 0)", (-1.0, 0.0, 1.0), (0.0, 0.0, 1.0)),
        ("select(x > 0, x ** 0.5, 0)", (-1.0, 0.0, 4.0), (0.0, 0.0, 0.25)),
        ("select(x > 0, 1 / x, 0)", (-2.0, 0.0, 2.0), (0.0, 0.0, -0.25)),
        ("select(x < 50, exp(2 * x), 1)", (400.0, 0.0, -np.inf), (0.0, 2.0, 0.0)),
        ("select(x < 50, square(exp(x)) * x, 1)", (400.0, 0.0), (0.0, 1.0)),
        ("max(log(x), -10)", (0.0, 1.0), (0.0, 1.0)),
        ("min(exp(x), 5)", (1000.0, 0.0), (0.0, 1.0)),
        ("min(1 / x, 5)", (0.0, 1.0), (0.0, -1.0)),
        ("reduce_max(concat(log(x), x - 100), -1, keep = true)", (0.0, 1.0), (1.0, 1.0)),
        ("concat(log(x), x)[:, 1:]", (0.0, 1.0), (1.0, 1.0)),
        ("sqrt(x) * 0", (0.0, 1.0), (0.0, 0.0)),
        ("sum(sqrt(concat(x, x + 1))[:, 1:], -1, keep = true)", (0.0, 3.0), (0.5, 0.25)),
        ("select(x > 0, mean(log(x), -1, keep = true), 0)", (0.0, 1.0), (0.0, 1.0)),
        ("select(x > 0, sum(concat(x, 1 / x), -1, keep = true), 0)", (0.0, 2.0), (0.0, 0.75)),
        ("select(x > 0, op.transpose(log(x), permutation = (0, 1)), 0)", (0.0, 2.0), (0.0, 0.5)),
        ("softmax(concat(x, x))[:, :1] * 0 + x", (-np.inf, 2.0), (1.0, 1.0)),
        ("select(x > -1e30, softmax(concat(x, x))[:, :1], x)", (-np.inf, 2.0), (1.0, 0.0)),
        ("select(x > -1e30, log_softmax(concat(x, x))[:, :1], 0)", (-np.inf, 2.0), (0.0, 0.0)),
        ("sum(square(norm(x, -1, keep = true)), -1, keep = true)", (0.0, 3.0), (0.0, 6.0)),
        ("max(norm(x, -1, keep = true), 1)", (0.0, 3.0), (0.0, 1.0)),
        ("select(x > 0, reduce_max(sqrt(concat(x, x - 1)), -1, keep = true), 0)", (-1.0,), (0.0,)),
        ("op.max_pool(log(reshape(concat(x, x + 1), (N, 1, 2, 1))), kernel = (1, 2),"
         " stride = (1, 2))", (0.0, 1.0), (1.0, 0.5)),
    ],
)  # fmt: skip
def test_slope(text: str, x: tuple[float, ...], wanted: tuple[float, ...]) -> None:
    np.testing.assert_allclose(slopes(text, x=column(*x)), wanted, rtol=1e-6, atol=1e-12)


def test_a_row_without_a_label_counts_nothing() -> None:
    """Its loss is NaN, which is not taken, and so is the gradient of that row."""
    text = """select(
        t >= 0, reshape(op.softmax_cross_entropy(concat(x, x * 2), i64(t[:, 0])), (N, 1)), 0)"""
    found = slopes(text.replace("\n", " "), x=column(1.0, 1.0), t=column(-1.0, 0.0))
    share = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(found, [0.0, share], rtol=1e-6)


def test_nets_without_such_slopes_get_no_guard() -> None:
    """The gradients of convolutions, normalization, clamps, dropout, pools test nothing for 0."""
    text = """
net M {
    input image: f32[N, 8, 8, 3]
    x = image -> conv(8, 3, bias = false) -> batch_norm -> relu -> conv(8, 3) -> relu6 -> max_pool
    logits = x -> global_avg_pool -> dropout(0.5) -> dense(8) -> relu -> dropout(0.3) -> dense(3)
    output probability = softmax(logits)
}
train M {
    input label: i64[N]
    loss = cross_entropy(logits, label)
    regularizer = l2(1e-4)
    optimizer = sgd()
}
"""
    graph = elaborate(Source("<text>", text)).graphs["train"]
    assert [node.op.name for node in graph.nodes].count("equal") == 0
