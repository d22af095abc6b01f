"""The engine from Python: calls, views of variables, threads, the loop against NumPy."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import numpy as np
import pytest
from nnrt import Error, Model, _engine
from nnrt.artifact import encoded

from .plans import regression_plan, regression_weights

Array = np.ndarray[Any, Any]


def make_engine(threads: int = 0, isa: str = "") -> _engine.Engine:
    engine = _engine.Engine(encoded(regression_plan()), threads, isa)
    for name, array in regression_weights().items():
        engine.set_variable(name, array)
    return engine


def test_a_call_computes_what_the_plan_says(data: dict[str, Array]) -> None:
    weights = regression_weights()
    expected = data["x"] @ weights["line.weight"] + weights["line.offset"]
    (found,) = make_engine().call("predict", [data["x"]])
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_every_instruction_set_agrees(data: dict[str, Array]) -> None:
    results = [
        make_engine(isa=isa).call("predict", [data["x"]])[0]
        for isa in _engine.machine()["available_isas"]
    ]
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=1e-5, atol=1e-6)


def test_run_takes_and_gives_names(data: dict[str, Array]) -> None:
    engine = make_engine()
    outputs = engine.run("train", {**data, "step": 0.0})
    assert list(outputs) == ["loss"]
    assert outputs["loss"].shape == ()
    with pytest.raises(Error, match="`target` is missing"):
        engine.run("evaluate", {"x": data["x"]})


def test_batches_of_any_size_run_from_one_plan(data: dict[str, Array]) -> None:
    engine = make_engine()
    whole = engine.call("predict", [data["x"]])[0]
    for rows in (1, 7, 33):
        assert engine.call("predict", [data["x"][:rows]])[0].shape == (rows, 2)
        np.testing.assert_allclose(
            engine.call("predict", [data["x"][:rows]])[0], whole[:rows], rtol=1e-5
        )
    assert engine.call("predict", [data["x"][:0]])[0].shape == (0, 2)


def test_outputs_are_new_each_time(data: dict[str, Array]) -> None:
    engine = make_engine()
    first = engine.call("predict", [data["x"]])[0]
    kept = first.copy()
    engine.call("predict", [data["x"] * 2])
    np.testing.assert_array_equal(first, kept)
    assert first.ctypes.data % 64 == 0


def test_strided_and_unaligned_inputs_are_taken(data: dict[str, Array]) -> None:
    engine = make_engine()
    x = data["x"]
    expected = engine.call("predict", [x])[0]
    unaligned = np.frombuffer(b"." + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape)
    for same in (np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2], unaligned):
        np.testing.assert_array_equal(engine.call("predict", [same])[0], expected)


def test_wrong_calls_are_errors(data: dict[str, Array]) -> None:
    engine = make_engine()
    x = data["x"]
    for program, inputs, text in [
        ("predict", [], "takes 1 arrays"),
        ("predict", [x, x], "takes 1 arrays"),
        ("predict", [x.astype(np.float64)], "expected elements of f32, found float64"),
        ("predict", [x.astype(">f4")], "expected elements of f32"),
        ("predict", [x[:, :2]], r"expected f32\[N, 3\], found the shape \[50, 2\]"),
        ("predict", [x.ravel()], "found the shape"),
        ("predict", [[1.0, 2.0, 3.0]], "must be a NumPy array"),
        ("nothing", [x], "no program `nothing`"),
    ]:
        with pytest.raises(Error, match=text):
            engine.call(program, inputs)  # type: ignore[arg-type]


def test_variables_are_copies(data: dict[str, Array]) -> None:
    engine = make_engine()
    engine.set_variable("line.offset", np.array([7, 8], np.float32))
    copy = engine.variable("line.offset")
    assert not copy.flags.writeable
    engine.run("train", {**data, "step": 0.0})
    np.testing.assert_array_equal(copy, [7, 8])
    assert not np.array_equal(engine.variable("line.offset"), [7, 8])
    del engine
    np.testing.assert_array_equal(copy, [7, 8])
    with pytest.raises(Error, match="must be f32"):
        make_engine().set_variable("line.offset", np.zeros(3, np.float32))
    with pytest.raises(Error, match="no variable"):
        make_engine().variable("nothing")


def numpy_epoch(weights: dict[str, Array], data: dict[str, Array], order: Any, batch: int) -> float:
    """One epoch of the train program, in float64."""
    w, b = weights["line.weight"], weights["line.offset"]
    vw, vb = weights["optimizer.line.weight"], weights["optimizer.line.offset"]
    total = 0.0
    for index, start in enumerate(range(0, len(order), batch)):
        rows = order[start : start + batch]
        x, target = data["x"][rows].astype(float), data["target"][rows].astype(float)
        difference = x @ w + b - target
        total += float(np.mean(difference**2)) * len(rows)
        gradient = difference / len(rows)
        vw[...] = 0.9 * vw + x.T @ gradient
        vb[...] = 0.9 * vb + gradient.sum(0)
        rate = 0.1 - 0.0005 * index
        w -= rate * vw
        b -= rate * vb
    return total / len(order)


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_loop_trains_like_numpy(data: dict[str, Array], shuffle: bool) -> None:
    engine = make_engine()
    result = engine.loop("train", [data["x"], data["target"]], 16, shuffle, 3, 5)
    order = _engine.shuffled_rows(3, 5, 50) if shuffle else list(range(50))
    weights = {name: array.astype(float) for name, array in regression_weights().items()}
    loss = numpy_epoch(weights, data, np.array(order), 16)
    assert result["rows"] == 50 and result["steps"] == 4
    assert result["means"][0] == pytest.approx(loss, rel=1e-4)
    for name, expected in weights.items():
        np.testing.assert_allclose(engine.variable(name), expected, rtol=1e-3, atol=1e-5)


def test_threads_do_not_change_a_bit(data: dict[str, Array]) -> None:
    states = []
    for threads in (1, 2, 3):
        engine = make_engine(threads)
        for epoch in range(5):
            engine.loop("train", [data["x"], data["target"]], 16, True, 0, epoch * 4, epoch * 4, 20)
        states.append([engine.variable(info["name"]).tobytes() for info in engine.variables])
    assert states[0] == states[1] == states[2]


def test_threads_share_a_model(model: Model, data: dict[str, Array]) -> None:
    expected = {rows: model(data["x"][:rows]) for rows in range(1, 9)}
    wrong: list[int] = []

    def work(rows: int) -> None:
        for _ in range(50):
            if not np.array_equal(model(data["x"][:rows]), expected[rows]):
                wrong.append(rows)

    threads = [threading.Thread(target=work, args=(rows,)) for rows in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_runs_on(data: dict[str, Array]) -> None:
    engine = make_engine(2)
    x = np.tile(data["x"], (5000, 1))
    assert engine.describe("predict", {"N": len(x)})["threads"] == 2
    expected = engine.call("predict", [x])[0]
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a child that hangs must not keep the test waiting
        os._exit(0 if np.array_equal(engine.call("predict", [x])[0], expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(engine.call("predict", [x])[0], expected)


def test_describe_shows_the_binding() -> None:
    info = make_engine().describe("train", {"N": 16})
    assert [step["kernel"] for step in info["steps"]][:2] == ["matmul", "tile"]
    assert info["lower_bound_bytes"] <= info["arena_bytes"]
    assert all(step["algorithm"] for step in info["steps"])


def test_dimensions_are_evaluated() -> None:
    assert _engine.evaluate_dimension("(N+3)//2*T", {"N": 4, "T": 5}) == 15
    with pytest.raises(Error, match="unknown symbol"):
        _engine.evaluate_dimension("K", {"N": 4})


def test_settings_of_the_engine_are_checked() -> None:
    with pytest.raises(Error, match="unknown instruction set"):
        make_engine(isa="mmx")
    with pytest.raises(Error, match="threads"):
        make_engine(threads=-1)
