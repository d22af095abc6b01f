"""The interpreter: inputs, variables, symbols, precision, random numbers, its own checks."""

from __future__ import annotations

import numpy as np
import pytest
from nnc.builder import Builder
from nnc.dims import Dim, symbol
from nnc.errors import InternalError
from nnc.graph import Graph, Node, Type
from nnc.interpret import bind_shape, evaluate, run
from nnc.ops.base import Context

N, T = symbol("N"), symbol("T")


def dense() -> Graph:
    builder = Builder()
    x = builder.input("x", Type("f32", (N, 3)))
    weight = builder.variable("weight", "parameter", np.full((3, 2), 0.1, np.float32), "f32")
    steps = builder.variable("steps", "state", np.zeros((), np.float32), "f32")
    y = builder.emit("matmul", x, weight)
    scaled = builder.emit("div", y, builder.emit("dimension", value=N * 2, dtype="f32"))
    more = builder.emit("add", steps, builder.constant(1.0))
    return builder.graph(outputs=[("y", y), ("scaled", scaled)], updates=[("steps", more)])


def test_outputs_and_updates() -> None:
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    found, updates = run(dense(), {"x": x})
    np.testing.assert_allclose(found["y"], x @ np.full((3, 2), 0.1), rtol=1e-6)
    np.testing.assert_allclose(found["scaled"], found["y"] / 8)
    assert found["y"].dtype == np.float32
    assert updates == {"steps": 1.0}


def test_variables_can_be_given() -> None:
    found, updates = run(
        dense(), {"x": np.ones((1, 3))}, {"weight": np.ones((3, 2)), "steps": np.float32(4)}
    )
    assert found["y"].tolist() == [[3, 3]]
    assert updates["steps"] == 5


def test_any_batch_size_even_none() -> None:
    for size in (0, 1, 7):
        assert run(dense(), {"x": np.ones((size, 3))})[0]["y"].shape == (size, 2)


def test_double_precision() -> None:
    graph = dense()
    x = np.random.default_rng(0).standard_normal((5, 3))
    weight = np.random.default_rng(1).standard_normal((3, 2))
    found, _ = run(graph, {"x": x}, {"weight": weight}, double=True)
    assert found["y"].dtype == np.float64
    np.testing.assert_array_equal(found["y"], x @ weight)


def test_random_numbers_follow_the_context() -> None:
    builder = Builder()
    mask = builder.emit("random_uniform", shape=(4, 5), stream=1, dtype="f32")
    graph = builder.graph(outputs=[("mask", mask)])
    first, again, other = (
        run(graph, {}, context=Context(seed, step))[0]["mask"]
        for seed, step in ((1, 2), (1, 2), (1, 3))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    wide = run(graph, {}, double=True, context=Context(1, 2))[0]["mask"]
    np.testing.assert_array_equal(wide, first.astype(np.float64))


def test_evaluate_gives_every_value() -> None:
    graph = dense()
    values = {graph.inputs[0].value: np.ones((2, 3), np.float32)}
    values |= {variable.value: variable.initial for variable in graph.variables}
    found = evaluate(graph, values, {"N": 2})
    assert set(found) == set(graph.values())


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({}, "the input `x` is missing"),
        ({"x": np.ones((2, 3)), "z": 1.0}, "there is no input `z`"),
        (
            {"x": np.ones((2, 4))},
            r"axis 1 of input `x` must be 3, expected \[N, 3\], found \[2, 4\]",
        ),
        ({"x": np.ones(3)}, "must have 2 axes"),
        ({"x": np.array([["a", "b", "c"]])}, "must be f32"),
    ],
)
def test_wrong_inputs(inputs: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        run(dense(), inputs)


def test_wrong_variables() -> None:
    with pytest.raises(ValueError, match="there is no variable `wieght`"):
        run(dense(), {"x": np.ones((2, 3))}, {"wieght": np.ones((3, 2))})
    with pytest.raises(ValueError, match="variable `weight`"):
        run(dense(), {"x": np.ones((2, 3))}, {"weight": np.ones((2, 2))})


def test_integers_that_do_not_fit() -> None:
    builder = Builder()
    x = builder.input("x", Type("u8", (N,)))
    graph = builder.graph(outputs=[("x", x)])
    assert run(graph, {"x": np.array([0, 255])})[0]["x"].dtype == np.uint8
    with pytest.raises(ValueError, match="do not fit u8"):
        run(graph, {"x": np.array([0, 256])})
    with pytest.raises(ValueError, match="must be u8, found float64"):
        run(graph, {"x": np.array([0.5])})


@pytest.mark.parametrize(
    ("shape", "actual", "expected"),
    [
        ((N, T), (4, 5), {"N": 4, "T": 5}),
        ((N, 2 * N), (4, 8), {"N": 4}),
        ((2 * N + 1,), (9,), {"N": 4}),
        ((N, N * T), (4, 12), {"N": 4, "T": 3}),
        ((N, N // 2), (5, 2), {"N": 5}),
    ],
)
def test_symbols_are_solved(
    shape: tuple[Dim, ...], actual: tuple[int, ...], expected: dict[str, int]
) -> None:
    environment: dict[str, int] = {}
    bind_shape("input `x`", shape, actual, environment)
    assert environment == expected


@pytest.mark.parametrize(
    ("shape", "actual", "text"),
    [
        ((N, 2 * N), (4, 9), "must be 2\\*N"),
        ((2 * N,), (9,), "for no N"),
        ((N * T,), (9,), "does not fix N and T"),
        ((N // 2,), (9,), "does not fix N"),
    ],
)
def test_symbols_that_do_not_fit(
    shape: tuple[Dim, ...], actual: tuple[int, ...], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        bind_shape("input `x`", shape, actual, {})


def test_symbols_of_two_inputs_must_agree() -> None:
    builder = Builder()
    a, b = (builder.input(name, Type("f32", (N,))) for name in "ab")
    graph = builder.graph(outputs=[("y", builder.emit("add", a, b))])
    with pytest.raises(ValueError, match="input `b`"):
        run(graph, {"a": np.ones(3), "b": np.ones(4)})


def test_results_are_checked_against_their_types() -> None:
    builder = Builder()
    x = builder.input("x", Type("f32", (2,)))
    builder.emit("exp", x)
    node = builder.nodes[0]
    wrong = builder.value(Type("f32", (3,)))
    graph = Graph(tuple(builder.inputs), (), (Node(node.op, (x,), {}, (wrong,)),), (("y", wrong),))
    with pytest.raises(InternalError, match="the reference of `exp` gives"):
        run(graph, {"x": np.ones(2)})
