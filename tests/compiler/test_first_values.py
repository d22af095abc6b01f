"""First values: the same bits however they are drawn, and the rules of what is remembered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nnc import interpret
from nnc.builder import Builder
from nnc.dtypes import DTYPES
from nnc.elaborate import elaborate, memoize, sample_initializers
from nnc.elaborate.sample_initializers import InitializerGraph, sample
from nnc.ops import philox
from nnc.ops.base import Context
from nnlang.syntax import Source

NET = """net M {
    input x: f32[N, 30]
    h = x -> dense(21) -> tanh
    output y = h -> dense(7, initializer = %s)
}"""
INITIALIZERS = ("uniform(-0.5, 2)", "normal(1, 0.1)", "orthogonal()", "constant(0.5)", "zeros()")


def first_values(initializer: str) -> dict[str, Any]:
    made = elaborate(Source("<text>", NET % initializer))
    return {v.name: v.initial for v in made.graphs["predict"].variables}


@pytest.mark.parametrize("initializer", INITIALIZERS)
@pytest.mark.parametrize("threads", [1, 3])
def test_pieces_and_threads_change_no_bit(
    initializer: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = first_values(initializer)
    monkeypatch.setattr(sample_initializers, "PIECE", 24)
    monkeypatch.setattr(sample_initializers, "_threads", lambda: threads)
    parts = first_values(initializer)
    assert list(whole) == list(parts)
    for name, array in whole.items():
        assert array.dtype == parts[name].dtype
        np.testing.assert_array_equal(array, parts[name])


def test_a_drawing_is_what_the_interpreter_gives() -> None:
    builder = Builder()
    shape = (11, 13)
    drawn = [builder.emit("random_uniform", shape=shape, stream=stream) for stream in (3, 4)]
    mixed = builder.emit("mul", builder.emit("sub", *drawn), builder.constant(0.25))
    graph = builder.graph(outputs=[("value", mixed)])
    outputs, _ = interpret.run(graph, {}, context=Context(seed=9))
    (made,) = sample([InitializerGraph(graph, mixed, "f32", shape)], 9)
    np.testing.assert_array_equal(made, outputs["value"])


def test_a_number_is_spread_over_its_variable() -> None:
    builder = Builder()
    number = builder.emit("random_uniform", shape=(), stream=3)
    graph = builder.graph(outputs=[("value", number)])
    (made,) = sample([InitializerGraph(graph, number, "f32", (4, 5))], 9)
    assert made.shape == (4, 5) and (made == made[0, 0]).all()


def test_what_fails_on_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise MemoryError("no more")

    monkeypatch.setattr(sample_initializers, "_threads", lambda: 2)
    monkeypatch.setattr(sample_initializers, "_pieces", lambda *_: [fail, fail])
    with pytest.raises(MemoryError, match="no more"):
        first_values("uniform(-0.5, 2)")


def test_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNC_THREADS", "2")
    assert sample_initializers._threads() == 2
    monkeypatch.setenv("NNC_THREADS", "99")
    assert sample_initializers._threads() == sample_initializers.MOST_THREADS


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("seed", [0, 9, 2**40 + 3])
@pytest.mark.parametrize("shape", [(), (1,), (3, 0), (7, 13), (300_007,)])
def test_the_engine_draws_the_numbers_of_the_reference(
    dtype: str, seed: int, shape: tuple[int, ...]
) -> None:
    builder = Builder()
    streams = (1, 2**32 - 1)
    for stream in streams:
        builder.emit("random_uniform", shape=shape, stream=stream, dtype=dtype)
    drawn = sample_initializers._draw(builder.nodes, seed)
    assert len(drawn) == len(streams)
    for stream, node in zip(streams, builder.nodes, strict=True):
        expected = philox.uniform(shape, seed, 0, stream, DTYPES[dtype])
        found = drawn[node.result]
        assert (found.dtype, found.shape) == (expected.dtype, shape)
        np.testing.assert_array_equal(found, expected)


def test_two_drawn_parameters_share_no_memory() -> None:
    values = first_values("uniform(-0.5, 2)")
    arrays = [array for array in values.values() if array.flags.writeable]
    assert len(arrays) >= 2
    for index, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[:index])


def test_equal_values_of_other_types_are_not_the_same() -> None:
    values = [1, 1.0, True, "1", 0.0, -0.0, (1,), [1], ((1,),), (1, 2), float("nan")]
    keys = [memoize._key_of(value) for value in values]
    assert len(set(keys)) == len(values)
    assert all(memoize._key_of(value) == key for value, key in zip(values, keys, strict=True))


def test_layers_alike_keep_parameters_of_their_own() -> None:
    layers = 'conv(4, 3) -> conv(4, 3, padding = "valid") -> conv(4, (3, 3), padding = "valid")'
    text = f"net M {{\n    input x: f32[N, 8, 8, 3]\n    output y = x -> {layers}\n}}"
    graph = elaborate(Source("<text>", text)).graphs["predict"]
    weights = [v.name for v in graph.variables if v.name.endswith("weight")]
    assert weights == ["y.conv.weight", "y.conv_2.weight", "y.conv_3.weight"]
    assert [str(value.type) for _, value in graph.outputs] == ["f32[N, 4, 4, 4]"]
