"""A training that goes wrong ends with the weights before the step that did it, bit for bit."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import nnc
import nnrt
import numpy as np
import pytest
from nnrt import Error, Model
from nnrt.artifact import pack_weights

from .faulty import SPOILED, Data, after, line, same, wide
from .plans import make_model

EPOCH = 7  # steps: 50 rows in batches of 8


def finite(model: Model) -> bool:
    return all(np.isfinite(array).all() for array in model.weights().values())


@pytest.mark.parametrize("at", [0, 1, 6, 7, 9, 20])
@pytest.mark.parametrize("hidden", [8, 20_000])  # copied often, and seldom
def test_a_step_that_spoils_a_parameter_is_undone(
    at: int, hidden: int, data: Data, tmp_path: Path
) -> None:
    model = wide(at, hidden)
    expected = after(wide(at, hidden), data, at, seed=0)
    with pytest.raises(Error, match="no longer finite") as caught:
        model.fit(data, progress=False)
    assert caught.value.code == "N0730"
    text = str(caught.value)
    assert "`y.dense.weight`" in text
    assert f"in epoch {at // EPOCH + 1}, step {at % EPOCH + 1} of {EPOCH}." in text
    assert "those before that step" in text
    assert same(model.weights(), expected)
    assert model.step == at
    history = caught.value.history  # type: ignore[attr-defined]
    assert len(history) == at // EPOCH
    model.save(tmp_path / "good.nnc", training=True)
    assert same(nnrt.load(tmp_path / "good.nnc").weights(), expected)


@pytest.mark.parametrize("at", [0, 8, 20])
def test_the_optimizers_state_counts(at: int, data: Data) -> None:
    model = line(at, "slot")
    expected = after(line(at, "slot"), data, at, seed=1)
    with pytest.raises(Error, match=r"the optimizer's state `optimizer.line.offset` is") as caught:
        model.fit(data, epochs=3, progress=False)
    assert f"epoch {at // EPOCH + 1}, step {at % EPOCH + 1} of" in str(caught.value)
    assert same(model.weights(), expected) and finite(model)


@pytest.mark.parametrize("at", [0, 3, 13])
def test_a_loss_that_is_not_finite_is_undone(at: int, data: Data) -> None:
    model = line(at, "loss")
    expected = after(line(at, "loss"), data, at, seed=1)
    with pytest.raises(Error, match="no finite number any more, in epoch") as caught:
        model.fit(data, epochs=3, progress=False)
    assert same(model.weights(), expected) and model.step == at
    assert ("It is the first step" in str(caught.value)) == (at == 0)
    assert ("A smaller learning rate" in str(caught.value)) == (at != 0)


def test_a_run_that_diverges_keeps_finite_weights(data: Data, tmp_path: Path) -> None:
    model = make_model()
    huge = {"x": data["x"] * np.float32(1e15), "target": data["target"]}
    with pytest.raises(Error, match="finite") as caught:
        model.fit(huge, epochs=50, progress=False)
    assert caught.value.code == "N0730" and finite(model)
    model.save(tmp_path / "m.nnc")
    model.set_weights(make_model().weights())
    assert len(model.fit(data, epochs=1, progress=False)) == 1


def test_statistics_of_batch_norm_count(tmp_path: Path) -> None:
    text = """
    net Normed {
        input x: f32[N, 2]
        y = x -> batch_norm -> dense(1)
        output out = y
    }
    train Normed {
        input target: f32[N, 1]
        loss = mean(square(y - target))
        batch = 8
        optimizer = sgd()
        freeze "y.dense.*"
    }
    """
    model = nnc.compile(text)
    x = np.full((16, 2), 1e25, np.float32)
    x[::2] = -1e25  # the variance overflows, the normalized values need not
    data = {"x": x, "target": np.zeros((16, 1), np.float32)}
    with pytest.raises(Error, match="finite") as caught:
        model.fit(data, epochs=3, progress=False)
    assert caught.value.code == "N0730" and finite(model)
    model.save(tmp_path / "m.nnc")


def test_a_metric_may_be_no_number(data: Data) -> None:
    text = """
    net Plain {
        input x: f32[N, 3]
        y = dense(x, 2)
        output out = y
    }
    train Plain {
        input target: f32[N, 2]
        loss = mean(square(y - target))
        metric odd = mean(log(0 - abs(y) - 1))
    }
    """
    history = nnc.compile(text).fit(data, epochs=2, progress=False)
    assert np.isnan(history["odd"]).all() and np.isfinite(history["loss"]).all()


def test_an_evaluation_sees_all_rows_whatever_its_loss() -> None:
    model = make_model()
    x = np.ones((1000, 3), np.float32)
    x[0] = 3e38
    result = model.evaluate({"x": x, "target": np.zeros((1000, 2), np.float32)}, batch=10)
    assert not np.isfinite(result["loss"])
    counted = model.engine.loop("evaluate", [x, np.zeros((1000, 2), np.float32)], 10)
    assert counted["rows"] == 1000 and counted["steps"] == 100


def test_weights_that_a_callback_sets_are_not_lost(data: Data) -> None:
    """The step at fault comes after: what was set stays, and the steps since."""

    def train(model: Model, epochs: int) -> Model:
        def pull(record: Any) -> None:
            if record["epoch"] == 1:
                model.parameters["offset"] = [3, 4]

        try:
            model.fit(data, epochs=epochs, progress=False, callback=pull)
        except Error as error:
            assert error.code == "N0730" and epochs == 3
        return model

    expected = train(line(14, "slot"), 2)
    assert same(train(line(14, "slot"), 3).weights(), expected.weights())


def test_a_callback_that_sets_nan_is_an_error_and_undone(data: Data) -> None:
    model = make_model()

    def spoil(record: Any) -> None:
        model.parameters["offset"] = [np.nan, 0]

    with pytest.raises(Error, match="weights or data were changed meanwhile") as caught:
        model.fit(data, epochs=3, progress=False, callback=spoil)
    assert caught.value.code == "N0730" and finite(model)


def test_a_callback_that_fails_leaves_good_weights(data: Data) -> None:
    model = wide(6)
    expected = after(wide(6), data, 6, seed=0)

    def fail(record: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.fit(data, epochs=1, progress=False, callback=fail)
    assert same(model.weights(), expected)


def test_parameters_that_start_as_nan_are_named(data: Data) -> None:
    model = make_model()
    model.parameters["line.weight"] = np.full((3, 2), np.nan)
    with pytest.raises(Error, match=r"`line.weight` was not finite before the training: set it"):
        model.fit(data, epochs=1, progress=False)
    model.parameters["line.weight"] = np.zeros((3, 2))
    model.fit(data, epochs=1, progress=False)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_saving_refuses_what_is_not_finite(value: float, tmp_path: Path) -> None:
    model = make_model()
    weights = model.weights()
    weights["line.weight"][1, 0] = value
    model.set_weights(weights)
    path = tmp_path / "m.nnc"
    with pytest.raises(Error, match=r"`line.weight` holds values.*allow_not_finite=True") as caught:
        model.save(path)
    assert caught.value.code == "N0714" and not path.exists()
    model.save(path, allow_not_finite=True)
    assert same(nnrt.load(path).weights(), {"line.weight": weights["line.weight"]})


def test_saving_refuses_states_that_training_changes(tmp_path: Path) -> None:
    model = make_model()
    weights = model.weights()
    weights["optimizer.line.offset"][0] = np.inf
    model.set_weights(weights)
    model.save(tmp_path / "use.nnc")  # a file for use has no optimizer
    with pytest.raises(Error, match=r"`optimizer.line.offset` holds"):
        model.save(tmp_path / "m.nnc", training=True)


def test_what_training_does_not_change_may_be_infinite(tmp_path: Path) -> None:
    """A mask of -inf, made so on purpose, is saved and trained with."""
    text = """
    block mask(shape) = zeros(shape)
    net Masked {
        input x: f32[N, 3]
        state hidden: f32[3] = mask
        y = dense(max(x, hidden), 2)
        output out = y
    }
    train Masked {
        input target: f32[N, 2]
        loss = mean(square(y - target))
    }
    """
    model = nnc.compile(text)
    model.states["hidden"] = np.full(3, -np.inf)
    data = {"x": np.ones((4, 3), np.float32), "target": np.ones((4, 2), np.float32)}
    model.fit(data, epochs=2, progress=False)
    model.save(tmp_path / "m.nnc", training=True)
    assert np.isneginf(nnrt.load(tmp_path / "m.nnc").states["hidden"]).all()


def test_the_command_keeps_the_whole_epochs(tmp_path: Path, data: Data) -> None:
    np.savez(tmp_path / "line.npz", **data)
    text = f"""
    net Line {{
        input x: f32[N, 3]
        y = dense(x, 2)
        output out = y
    }}
    train Line {{
        input target: f32[N, 2]
        data = "line.npz"
        loss = mean(square(y - target))
        learning_rate = spoiled(0.001, at = 9)
        batch = 8
        epochs = 3
    }}
    {SPOILED}
    """
    (tmp_path / "line.nn").write_text(textwrap.dedent(text))
    command = [sys.executable, "-m", "nnc", "train", "line.nn", "-o", "m.nnc", "--quiet"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1
    assert "error[N0730]" in result.stderr and "epoch 2, step 3 of 7" in result.stderr
    assert "m.nnc: " in result.stdout
    assert finite(nnrt.load(tmp_path / "m.nnc"))
    early = [*command, "--set", "learning_rate=spoiled(0.001, at = 3)"]
    before = (tmp_path / "m.nnc").read_bytes()
    assert subprocess.run(early, cwd=tmp_path, capture_output=True).returncode == 1
    assert (tmp_path / "m.nnc").read_bytes() == before  # nothing worth keeping was learned


def test_the_command_saves_what_is_not_finite_only_when_told(tmp_path: Path) -> None:
    model = nnc.compile(LOADING.replace('load "w.safetensors"', ""))
    weights = {name: np.full_like(array, np.nan) for name, array in model.parameters.items()}
    (tmp_path / "w.safetensors").write_bytes(pack_weights(weights))
    (tmp_path / "loading.nn").write_text(LOADING)
    command = [sys.executable, "-m", "nnc", "compile", "loading.nn"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 1 and "error[N0714]" in result.stderr
    assert "`--allow-not-finite`" in result.stderr and not (tmp_path / "loading.nnc").exists()
    subprocess.run([*command, "--allow-not-finite"], cwd=tmp_path, check=True)
    assert not finite(nnrt.load(tmp_path / "loading.nnc"))


LOADING = """
net Loading {
    input x: f32[N, 3]
    y = dense(x, 2)
    output out = y
}
train Loading {
    input target: f32[N, 2]
    load "w.safetensors"
    loss = mean(square(y - target))
}
"""


class Interrupting:
    """Interrupts the second epoch."""

    def start(self, epochs: int, samples: int, batch: int) -> None: ...

    def batch(self, epoch: int, done: int, loss: float, metrics: Any) -> None:
        if epoch == 2:
            signal.raise_signal(signal.SIGINT)

    def epoch(self, record: Any) -> None: ...

    def finish(self) -> None: ...


def test_an_interrupted_training_is_looked_at_too(data: Data) -> None:
    """The last step of an epoch spoils a slot, and Ctrl-C comes before the next one."""
    model = line(13, "slot")
    expected = after(line(13, "slot"), data, 13, seed=1)
    with pytest.raises(Error, match="epoch 2, step 7 of 7"):
        model.fit(data, epochs=3, progress=Interrupting())
    assert same(model.weights(), expected)
