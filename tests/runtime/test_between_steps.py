"""What is read, saved, set or used while a training runs is one state, that between two steps."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nnrt
import numpy as np
import pytest
from nnrt import Error, Model

from .plans import buffer, tile

SIZE = 100_000
LOOKS = 150


def counting() -> Model:
    """Each step adds 1 to every element of `a` and `b`; predict gives the first of `a` a row."""

    def one(variable: int) -> dict[str, Any]:
        code = [["load", 0], ["const", 1.0], ["add", 0, 1], ["store", 0, 2]]
        return tile([variable], [variable], [SIZE], *code)

    def variables() -> list[dict[str, Any]]:
        return [
            buffer("input", ["N", 1]),
            buffer("variable", [SIZE], variable=0),
            buffer("variable", [SIZE], variable=1),
        ]

    mean = {"axes": [0, 1], "op": "mean", "keepdims": 0}
    reduce = {"kernel": "reduce", "operands": [0], "results": [3], "attributes": mean}
    inputs = [{"name": "x", "buffer": 0, "role": "data", "limit": -1}]
    loss = [{"name": "loss", "buffer": 3}]
    train = {
        "buffers": [*variables(), buffer("output", [])],
        "prepare": [],
        "steps": [{**reduce, "path": "loss", "tile": None}, one(1), one(2)],
        "inputs": inputs,
        "outputs": loss,
    }
    add = [["load", 0], ["load", 1], ["add", 0, 1], ["store", 0, 2]]
    predict = {
        "buffers": [
            buffer("input", ["N", 1]),
            buffer("variable", [SIZE], variable=0),
            buffer("temporary", []),
            buffer("output", ["N", 1]),
        ],
        "prepare": [],
        "steps": [
            {
                "kernel": "reduce",
                "operands": [1],
                "results": [2],
                "attributes": {"axes": [0], "op": "max", "keepdims": 0},
                "path": "first",
                "tile": None,
            },
            tile([0, 2], [3], ["N", 1], *add),
        ],
        "inputs": inputs,
        "outputs": [{"name": "y", "buffer": 3}],
    }
    evaluate = {
        "buffers": [
            *predict["buffers"][:3],
            buffer("temporary", ["N", 1]),
            buffer("output", []),
        ],
        "prepare": [],
        "steps": [
            *predict["steps"],
            {**reduce, "operands": [3], "results": [4], "path": "loss", "tile": None},
        ],
        "inputs": inputs,
        "outputs": [{"name": "loss", "buffer": 4}],
    }

    def named(name: str) -> dict[str, Any]:
        return {"name": name, "dtype": "f32", "shape": [SIZE], "kind": "parameter"}

    x = {"name": "x", "dtype": "f32", "shape": ["N", 1]}
    plan = {
        "version": 3,
        "strict": 0,
        "symbols": ["N"],
        "variables": [named("a"), named("b")],
        "programs": {"predict": predict, "evaluate": evaluate, "train": train},
    }
    manifest = {
        "format": 1,
        "net": "Counting",
        "inputs": [x],
        "outputs": [{**x, "name": "y"}],
        "training": {"inputs": [x], "metrics": [], "batch": 1, "epochs": 1, "seed": 0},
    }
    zeros = {name: np.zeros(SIZE, np.float32) for name in "ab"}
    return Model(manifest, plan, zeros, {})


@contextmanager
def training(model: Model) -> Iterator[None]:
    """A training in another thread, for as long as the block runs."""
    done = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        x = np.zeros((2000, 1), np.float32)
        try:
            while not done.is_set():
                model.fit(x, epochs=1, progress=False)
        except BaseException as error:  # told in the main thread
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert not failures, failures


def is_one_state(arrays: dict[str, Any]) -> bool:
    return all((array == arrays["a"][0]).all() for array in arrays.values())


def read_weights(model: Model, folder: Path) -> dict[str, Any]:
    return model.weights()


def read_items(model: Model, folder: Path) -> dict[str, Any]:
    return dict(model.parameters.items())


def read_values(model: Model, folder: Path) -> dict[str, Any]:
    return dict(zip("ab", model.parameters.values(), strict=True))


def read_one(model: Model, folder: Path) -> dict[str, Any]:
    return {"a": model.parameters["a"]}


def read_saved(model: Model, folder: Path) -> dict[str, Any]:
    model.save(folder / "m.nnc", training=True)
    loaded = nnrt.load(folder / "m.nnc")
    weights = loaded.weights()
    assert loaded.step == weights["a"][0]
    return weights


def predicted(model: Model, folder: Path) -> dict[str, Any]:
    return {"a": model.predict(np.zeros((40, 1), np.float32), batch=1)}


@pytest.mark.parametrize(
    "read", [read_weights, read_items, read_values, read_one, read_saved, predicted]
)
def test_what_is_read_is_one_state(
    read: Callable[[Model, Path], dict[str, Any]], tmp_path: Path
) -> None:
    model = counting()
    seen = set()
    with training(model):
        for _ in range(LOOKS if read is not read_saved else LOOKS // 5):
            arrays = read(model, tmp_path)
            assert is_one_state(arrays)
            seen.add(float(arrays["a"].flat[0]))
    assert len(seen) > 1  # the training went on meanwhile


def test_an_evaluation_measures_one_state() -> None:
    model = counting()
    x = np.zeros((40, 1), np.float32)
    with training(model):
        for _ in range(LOOKS):
            assert model.evaluate(x, batch=1)["loss"] % 1 == 0  # the mean of 40 equal numbers


def test_what_is_set_is_set_as_a_whole() -> None:
    model = counting()
    other = {name: np.full(SIZE, -1e6, np.float32) for name in "ab"}
    with training(model):
        for _ in range(LOOKS):
            model.set_weights(other)
            weights = model.weights()
            assert is_one_state(weights) and weights["a"][0] < 0


def test_a_set_that_does_not_fit_sets_nothing() -> None:
    model = counting()
    with pytest.raises(Error, match="`b` is f32"):
        model.set_weights({"a": np.ones(SIZE, np.float32), "b": np.ones(3, np.float32)})
    with pytest.raises(Error, match="no value for `b`"):
        model.set_weights({"a": np.ones(SIZE, np.float32)})
    assert not model.weights()["a"].any()


def test_an_array_that_was_read_stays_as_it_is() -> None:
    model = counting()
    read = model.parameters["a"]
    model.fit(np.zeros((3, 1), np.float32), epochs=1, progress=False)
    assert not read.any() and (model.parameters["a"] == 3).all()
    with pytest.raises(ValueError):
        read[0] = 1  # this would change nothing in the model
    own = model.weights()
    own["a"][0] = 9
    assert model.parameters["a"][0] == 3


def test_many_readers_do_not_keep_a_training_away() -> None:
    model = counting()
    done = threading.Event()

    def read() -> None:
        x = np.zeros((50, 1), np.float32)
        while not done.is_set():
            model.predict(x, batch=1)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        history = model.fit(np.zeros((10, 1), np.float32), epochs=1, progress=False)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert len(history) == 1 and model.step == 10


def test_setting_weights_in_a_pass_over_data_is_an_error_and_no_deadlock() -> None:
    model = counting()

    def change(*progress: Any) -> None:
        model.parameters["a"] = np.ones(SIZE)

    with pytest.raises(Error, match="cannot be changed"):
        model.engine.loop("evaluate", [np.zeros((3, 1), np.float32)], 1, callback=change)
    model.parameters["a"] = np.ones(SIZE)
    assert model.parameters["a"][0] == 1


def test_a_child_forked_in_a_pass_over_data_reads_and_changes() -> None:
    """The lock that its thread held in the parent is its own in the child, and free afterwards."""
    model = counting()
    child: list[int] = []

    def fork(*progress: Any) -> None:
        if not child:
            child.append(os.fork())

    def in_child() -> bool:
        model.parameters["a"] = np.ones(SIZE)
        model.fit(np.zeros((2, 1), np.float32), epochs=1, progress=False)
        return bool((model.parameters["a"] == 3).all())

    with training(model):
        model.engine.loop("evaluate", [np.zeros((3, 1), np.float32)], 1, callback=fork)
        if child[0] == 0:
            signal.alarm(60)  # a child that hangs is ended, and fails the test
            os._exit(0 if in_child() else 1)
    _, status = os.waitpid(child[0], 0)
    assert os.waitstatus_to_exitcode(status) == 0
