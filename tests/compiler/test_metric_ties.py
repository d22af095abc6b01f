"""Metrics at ties, NaN and infinities: top-k counts as `argmax` decides, and NaN is never right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nnc import interpret, lower
from nnc.elaborate import elaborate
from nnc.graph import Graph
from nnc.passes import optimize
from nnlang.syntax import Source
from nnrt import _engine
from nnrt.artifact import encoded

Array = np.ndarray[Any, Any]
ISAS = ("reference", *_engine.machine()["available_isas"])


def graph_of(text: str, types: dict[str, str]) -> Graph:
    inputs = "".join(f"    input {name}: {type}\n" for name, type in types.items())
    net = f"net M {{\n{inputs}    y = {text}\n    output result = y\n}}\n"
    return elaborate(Source("<text>", net)).graphs["predict"]


def metric(text: str, types: dict[str, str], **arrays: Array) -> list[float]:
    """Its value by the interpreter and on each instruction set."""
    graph = graph_of(text, types)
    found = [float(interpret.run(graph, arrays)[0]["result"])]
    plan, _ = lower.combine({"p": optimize(graph)})
    for isa in ISAS:
        engine = _engine.Engine(encoded(plan.to_dict()), threads=1, isa=isa)
        found.append(float(engine.run("p", arrays)["result"]))
    return found


def of_classes(text: str, logits: Array, labels: Array) -> list[float]:
    types = {"z": f"f32[N, {logits.shape[1]}]", "label": "i64[N]"}
    return metric(text, types, z=logits.astype(np.float32), label=labels)


NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("row", "label", "k", "right"),
    [
        ((0, 0, 0, 0), 0, 1, True),
        ((0, 0, 0, 0), 1, 1, False),
        ((0, 0, 0, 0), 1, 2, True),
        ((0, 0, 0, 0), 3, 3, False),
        ((0, 0, 0, 0), 3, 4, True),
        ((1, 2, 2, 0), 2, 1, False),
        ((1, 2, 2, 0), 2, 2, True),
        ((1, 2, 2, 0), 0, 2, False),
        ((NAN, 0, 0, 0), 0, 1, False),
        ((NAN, NAN, NAN, NAN), 0, 4, False),
        ((0, 5, NAN, 1), 1, 1, False),
        ((0, 5, NAN, 1), 1, 4, False),
        ((-INF, 3, 1, -INF), 1, 1, True),
        ((-INF, 3, 1, -INF), 0, 3, True),
        ((-INF, 3, 1, -INF), 3, 3, False),
        ((INF, 3, 1, INF), 3, 1, False),
        ((INF, 3, 1, INF), 3, 2, True),
        ((-INF, -INF, -INF, -INF), 0, 1, True),
        ((1, 2, 3, 4), -1, 4, False),
        ((-1, -2, -3, -4), 4, 4, False),
    ],
)
def test_top_k(row: tuple[float, ...], label: int, k: int, right: bool) -> None:
    found = of_classes(f"top_k_accuracy(z, label, k = {k})", np.array([row]), np.array([label]))
    assert found == [float(right)] * len(found)


@pytest.mark.parametrize("label", range(4))
@pytest.mark.parametrize("place", range(4))
def test_a_row_with_nan_is_wrong(place: int, label: int) -> None:
    row = np.array([[1.0, 4.0, 2.0, 3.0]])
    row[0, place] = NAN
    assert set(of_classes("accuracy(z, label)", row, np.array([label]))) == {0.0}
    one_hot = {"z": "f32[N, 4]", "t": "f32[N, 4]"}
    target = np.eye(4, dtype=np.float32)[[label]]
    assert set(metric("accuracy(z, t)", one_hot, z=row.astype(np.float32), t=target)) == {0.0}


NUMBERS = st.sampled_from([0.0, 1.0, 1.0, -1.0, 2.0, NAN, INF, -INF])
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.integers(0, 2)), min_size=1, max_size=9)
BOTH = {
    text: graph_of(text, {"z": "f32[N, 3]", "label": "i64[N]"})
    for text in ("accuracy(z, label)", *(f"top_k_accuracy(z, label, {k})" for k in (1, 2, 3)))
}


@settings(deadline=None, max_examples=200)
@given(ROWS)
def test_top_1_is_accuracy_and_more_never_lose(rows: list[tuple[float, float, float, int]]) -> None:
    logits = np.array([row[:3] for row in rows], np.float32)
    labels = np.array([row[3] for row in rows])
    inputs = {"z": logits, "label": labels}
    one, *tops = (float(interpret.run(graph, inputs)[0]["result"]) for graph in BOTH.values())
    known = ~np.isnan(logits).any(1)
    assert one == np.float32((known & (logits.argmax(1) == labels)).mean())
    assert tops[0] == one
    assert tops == sorted(tops)
    assert tops[2] == np.float32(known.mean())


@pytest.mark.parametrize("logit", [NAN, 0.0, 1.0, -1.0, INF, -INF])
@pytest.mark.parametrize("target", [0.0, 1.0])
def test_nan_is_on_no_side(logit: float, target: float) -> None:
    given = {name: np.array([[x]], np.float32) for name, x in (("z", logit), ("t", target))}
    found = metric("binary_accuracy(z, t)", {"z": "f32[N, 1]", "t": "f32[N, 1]"}, **given)
    right = not np.isnan(logit) and (logit > 0) == (target > 0.5)
    assert found == [float(right)] * len(found)
