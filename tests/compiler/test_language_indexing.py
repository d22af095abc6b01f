"""Parts of tensors as NumPy takes them: negative steps and new axes, known and symbolic sizes."""

from __future__ import annotations

import random
from typing import Any

import nnc
import numpy as np
import pytest
from nnc import interpret
from nnlang import DiagnosticError

from .elaborated import mistake, net, shapes

HEAD = "net M {\n    input x: f32[N, 5, 4]\n"


def x(rows: int) -> np.ndarray[Any, Any]:
    return np.arange(rows * 20, dtype=np.float32).reshape(rows, 5, 4)


def taken(index: str, array: Any) -> Any:
    outputs, _ = interpret.run(net(f"output y = x{index}", HEAD).graphs["predict"], {"x": array})
    return outputs["y"]


@pytest.mark.parametrize(
    "index",
    [
        "[::-1]", "[::-2]", "[:, ::-1]", "[::-1, ::-1, ::-1]", "[-1::-1]", "[-2:0:-1]",
        "[:, 3:0:-2]", "[:, 99::-1]", "[:, :-99:-1]", "[..., ::-3]", "[:, ::-1, 0]",
        "[None]", "[:, None]", "[..., None]", "[None, :, None, ..., None]", "[:, 1, None]",
        "[0, None, ::-1]", "[:, None, -1, ::-1, None]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("rows", [3, 6])
def test_as_in_numpy(index: str, rows: int) -> None:
    expected = eval(f"x{index}", {"x": x(rows)})
    np.testing.assert_array_equal(taken(index, x(rows)), expected)


def test_random_indices_of_known_axes() -> None:
    """What is refused has no elements in NumPy, or is refused there too."""
    source = random.Random(5)
    agreed = 0
    for _ in range(400):
        parts = [_random_part(source) for _ in range(source.randint(1, 4))]
        index = f"[:, {', '.join(parts)}]"
        try:
            expected = eval(f"x{index}", {"x": x(3)})
        except IndexError:
            expected = np.zeros(0)
        try:
            found = taken(index, x(3))
        except DiagnosticError:
            assert expected.size == 0, index
            continue
        np.testing.assert_array_equal(found, expected, err_msg=index)
        agreed += 1
    assert agreed > 100


def _random_part(source: random.Random) -> str:
    kind = source.random()
    if kind < 0.3:
        return source.choice([str(source.randint(-3, 3)), "None", "..."])
    first, last = (source.choice(["", str(source.randint(-7, 7))]) for _ in range(2))
    return f"{first}:{last}:{source.choice(['', '-1', '-2', '2', '-3'])}"


def test_symbolic_sizes() -> None:
    assert shapes(net("output y = x[::-2, None]", HEAD)) == {"y": "f32[((N+1)//2), 1, 5, 4]"}
    assert shapes(net("output y = x[2:, 0]", HEAD)) == {"y": "f32[N-2, 4]"}


def test_the_engine_reverses_and_learns_through_it() -> None:
    text = """
        net M {
            input x: f32[N, T, 4]
            w = x -> dense(1, bias = false)
            output y = w[:, ::-1, 0] * x[:, :, 1]
            output z = x[::-1, ::-2, None]
        }
        train M {
            input t: f32[N, T]
            loss = mean(square(y - t))
            optimizer = sgd()
            learning_rate = 0.1
        }
    """
    model = nnc.compile(text)
    array = np.random.default_rng(1).standard_normal((6, 3, 4)).astype(np.float32)
    target = np.ones((6, 3), np.float32)
    weight = model.parameters["w.dense.weight"].astype(np.float64)
    np.testing.assert_array_equal(model(array).z, array[::-1, ::-2, None])

    def loss(weight: Any) -> Any:
        made = (array @ weight)[:, ::-1, 0] * array[:, :, 1]
        return np.mean((made - target) ** 2)

    slope = np.zeros_like(weight)
    for at in np.ndindex(weight.shape):
        step = np.zeros_like(weight)
        step[at] = 1e-4
        slope[at] = (loss(weight + step) - loss(weight - step)) / 2e-4
    model.fit({"x": array, "t": target}, epochs=1, batch=6, shuffle=False)
    moved = model.parameters["w.dense.weight"]
    np.testing.assert_allclose(moved, weight - 0.1 * slope, rtol=1e-4, atol=1e-5)


def test_lists_go_backwards_too() -> None:
    made = net(
        "a = [1, 2, 3][::-1]\nassert a == [3, 2, 1]\noutput y = x[:, 0] * [4, 3, 2, 1][::-1]", HEAD
    )
    assert shapes(made) == {"y": "f32[N, 4]"}


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("x[:, ::0]", "whole number other than 0"),
        ("x[:, ::N]", "whole number other than 0"),
        ("x[:, None, 0, 0, 0]", "4 indices for 3 axes"),
        ("x[..., None, ...]", "indices for 3 axes"),
        ("x * [1, 2][None]", "only a tensor gets a new axis"),
    ],
)
def test_mistakes(expression: str, words: str) -> None:
    found = mistake(f"{HEAD}output y = {expression}\n}}")
    assert found.startswith("error[N0305]")
    assert words in found
