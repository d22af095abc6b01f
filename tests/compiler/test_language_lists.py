"""A list of numbers is a tensor where a tensor meets it; between themselves lists stay lists."""

from __future__ import annotations

from typing import Any

import nnc
import numpy as np
import pytest
from nnc import interpret

from .elaborated import mistake, net, shapes

PIXELS = "net M {\n    input x: f32[N, 2, 3]\n"
BYTES = "net M {\n    input x: u8[N, 3]\n"


def run(body: str, head: str = PIXELS, before: str = "", **arrays: Any) -> Any:
    outputs, _ = interpret.run(net(body, head, before).graphs["predict"], arrays)
    return outputs["y"]


def x(rows: int = 2) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal((rows, 2, 3), np.float32)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(x - [0.5, 0.25, 2]) / [2, 4, 8]", lambda x: (x - [0.5, 0.25, 2]) / [2, 4, 8]),
        ("[1, 2, 3] * x", lambda x: x * [1, 2, 3]),
        ("x + [[1], [2]]", lambda x: np.add(x, [[1], [2]])),
        ("x @ [[1, 2], [3, 4], [5, 6]]", lambda x: x @ np.array([[1, 2], [3, 4], [5, 6]])),
        ("x + [[1, 2]] @ [[1, 2, 3], [4, 5, 6]]", lambda x: np.add(x, [9, 12, 15])),
        ("x + ([1] + [2] + [3])", lambda x: np.add(x, [1, 2, 3])),
        ("x + [1] * 3", lambda x: np.add(x, [1, 1, 1])),
        ("x / [N, 2, 4]", lambda x: x / [len(x), 2, 4]),
        ("x * [sum(x), 1, 2]", lambda x: x * [x.sum(), 1, 2]),
        ("max(x, [0, 1, 2])", lambda x: np.maximum(x, [0, 1, 2])),
        ("select(x > [0, 1, 2], x, [7, 8, 9])", lambda x: np.where(x > [0, 1, 2], x, [7, 8, 9])),
        ("select([true, false, true], x, -x)", lambda x: np.where([True, False, True], x, -x)),
        ("x * exp([0, 1, 2])", lambda x: x * np.exp([0, 1, 2])),
        ("x + op.add([1, 2, 3], [1, 1, 1])", lambda x: np.add(x, [2, 3, 4])),
        ("x * f32([1, 2, 3])", lambda x: x * [1, 2, 3]),
        ("x * transpose([[1], [2], [3]])", lambda x: x * [1, 2, 3]),
        ("x * softmax([0, 0, 0])", lambda x: x / 3),
        ("x * softmax([[0, 1, 2]], axis = 0)", lambda x: x),
        ("x * f32(one_hot([0, 2], 3))", lambda x: x * [[1, 0, 0], [0, 0, 1]]),
        ("x * f32(argmax([[1, 9], [8, 3], [0, 1]]))", lambda x: x * [1, 0, 1]),
        ("x * sum([[1, 2], [3, 4], [5, 6]], 1)", lambda x: x * [3, 7, 11]),
        ("x * mean([1, 2]) + reduce_max([1, 5]) + sum([1, 2])", lambda x: x * 1.5 + 8),
        ("concat(x, broadcast([1, 2, 3], (N, 2, 3)))", lambda x: _with(x, [1, 2, 3])),
    ],
)
def test_values(expression: str, expected: Any) -> None:
    found = run(f"output y = {expression}", x=x())
    np.testing.assert_allclose(found, expected(x().astype(np.float64)), rtol=1e-5)


def _with(x: Any, row: list[int]) -> Any:
    return np.concatenate([x, np.broadcast_to(row, x.shape)], -1)


def test_the_engine_agrees() -> None:
    model = nnc.compile(
        PIXELS + "output y = (x - [0.5, 0.25, 2]) / [2, 4, 8] @ [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}"
    )
    for rows in (1, 5, 33):
        expected = (x(rows) - np.float32([0.5, 0.25, 2])) / np.float32([2, 4, 8])
        np.testing.assert_allclose(model(x(rows)), expected, rtol=1e-6)


def test_the_element_type_is_that_of_the_tensor() -> None:
    assert shapes(net("output y = x // [1, 2, 3]", BYTES)) == {"y": "u8[N, 3]"}
    assert shapes(net("output y = x / [255, 255, 255]", BYTES)) == {"y": "f32[N, 3]"}
    assert shapes(net("output y = x == [1, 2, 3]", BYTES)) == {"y": "bool[N, 3]"}
    head = "net M {\n    input x: i64[N]\n"
    assert shapes(net("output y = concat(x, [1, 2])", head)) == {"y": "i64[N+2]"}
    assert shapes(net("output y = x + i64([1])", head)) == {"y": "i64[N]"}


def test_arguments_with_a_shape_take_lists() -> None:
    before = "block scaled(x: [..., C], by: [C], shift: [C] = [1, 2, 3]) = x * by + shift"
    found = run("output y = x -> scaled([4, 5, 6])", before=before, x=x())
    np.testing.assert_allclose(found, x() * [4, 5, 6] + [1, 2, 3], rtol=1e-5)
    found = mistake(f"{before}\n{PIXELS}output y = x -> scaled([4, 5])\n}}")
    assert "`C` of `scaled` is 3, found 2 in `by`" in found


def test_first_values_and_states_take_lists() -> None:
    made = net("param w: f32[3] = [1, 2, 3]\noutput y = x * w", PIXELS)
    (w,) = made.graphs["predict"].variables
    np.testing.assert_array_equal(w.initial, [1, 2, 3])
    body = "state s: f32[3] = [4, 5, 6]\nif training { s = [7, 8, 9] }\noutput y = x * s"
    assert net(body, PIXELS).graphs["predict"].variables[0].initial.tolist() == [4, 5, 6]
    assert "declared f32[3]" in mistake(f"{PIXELS}param w: f32[3] = [1, 2]\noutput y = x * w\n}}")


@pytest.mark.parametrize(
    ("expression", "code", "words"),
    [
        ("x * [1, [2], 3]", "N0306", "ragged"),
        ("x @ [[1, 2], [3, 4], [5]]", "N0306", "item 3 is a list of 1"),
        ("x * []", "N0306", "empty list"),
        ("x * [1, 2]", "N0312", "[2]"),
        ("x * (1, 2, 3)", "N0306", "the tuple (1, 2, 3)"),
        ("x * [(1, 2, 3)]", "N0306", "in square brackets too"),
        ('x * [1, 2, "a"]', "N0306", 'it holds the text "a"'),
        ("x * [x, x, x]", "N0306", "`concat(a, b, axis = 0)`"),
        ("x * [1, true, 2]", "N0302", "it holds both"),
        ("x * ([1, 2, 3] - 1)", "N0306", "make the list a tensor: `f32([...])`"),
        ("x in [1, 2]", "N0306", "does not work on tensors"),
    ],
)
def test_mistakes(expression: str, code: str, words: str) -> None:
    found = mistake(f"{PIXELS}output y = {expression}\n}}")
    assert found.startswith(f"error[{code}]")
    assert words in found


def test_numbers_that_the_type_cannot_hold() -> None:
    assert "300 does not fit u8" in mistake(f"{BYTES}output y = x + [1, 300, 2]\n}}")
    assert "between u8 and a fraction" in mistake(f"{BYTES}output y = x + [1, 2, 0.5]\n}}")


def test_lists_stay_lists_between_themselves() -> None:
    made = net("a = [1] + [2]\nassert a == [1, 2] and len(a * 2) == 4\noutput y = x", PIXELS)
    assert shapes(made) == {"y": "f32[N, 2, 3]"}
