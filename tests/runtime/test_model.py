"""Model: calling, training, evaluating, parameters, saving, and what is refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import nnrt
import numpy as np
import pytest
from nnrt import Error, Model

from .plans import make_model

Array = np.ndarray[Any, Any]


def expected(model: Model, x: Array) -> Array:
    result: Array = x @ model.parameters["weight"] + model.parameters["offset"]
    return result


def test_calls_by_position_and_by_name(model: Model, data: dict[str, Array]) -> None:
    result = model(data["x"])
    np.testing.assert_allclose(result, expected(model, data["x"]), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model(x=data["x"]), result)
    np.testing.assert_array_equal(model(data["x"].tolist()), result)
    np.testing.assert_array_equal(model(data["x"].astype(np.float64)), result)
    assert model(data["x"][:0]).shape == (0, 2)


def test_predict_runs_in_batches(model: Model, data: dict[str, Array]) -> None:
    whole = model(data["x"])
    for batch in (1, 7, 50, 1000):
        np.testing.assert_allclose(model.predict(data["x"], batch), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.predict({"x": data["x"]}), whole)
    np.testing.assert_array_equal(model.predict(data), whole)  # the target may come along
    assert model.predict(data["x"][:0]).shape == (0, 2)


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (np.zeros((5, 4), np.float32), "N0703", r"expected f32\[N, 3\], found f32\[5, 4\]"),
        (np.zeros(3, np.float32), "N0703", r"`x\[None\]`"),
        (np.zeros(6, np.float32), "N0703", r"`x.reshape\(-1, 3\)` would fit"),
        (np.zeros((2, 3), np.complex64), "N0702", "found complex64"),
        (np.array([["a", "b", "c"]]), "N0702", "expected f32"),
        (object(), "N0702", "found object"),
        ([[1.0, 2.0], [3.0]], "N0702", "no array can be made"),
    ],
)
def test_wrong_arrays_are_named(model: Model, value: Any, code: str, text: str) -> None:
    with pytest.raises(Error, match=text) as caught:
        model(value)
    assert caught.value.code == code


def test_wrong_arguments_are_named(model: Model, data: dict[str, Array]) -> None:
    x = data["x"]
    for call, text in [
        (lambda: model(), "`x` is missing: found nothing"),
        (lambda: model(x, x), "2 arrays were given"),
        (lambda: model(x, x=x), "given twice"),
        (lambda: model(x=x, y=x), "no input `y`"),
        (lambda: model(xx=x), "Was `xx` meant to be `x`"),
        (lambda: model.predict(x, batch=0), "`batch` must be"),
        (lambda: model.predict(np.full((2, 3), np.nan, np.float32)), r"holds nan at \[0, 0\]"),
        (lambda: model.evaluate({"x": x}), "`target` is missing"),
        (lambda: model.evaluate((x, data["target"][:-1])), "`N` is 49 here and 50 in `x`"),
        (lambda: model.evaluate({"x": x[:0], "target": data["target"][:0]}), "empty"),
    ]:
        with pytest.raises(Error, match=text):
            call()


def test_fit_learns_and_keeps_records(model: Model, data: dict[str, Array]) -> None:
    before = model.evaluate(data)["loss"]
    history = model.fit(data, epochs=40, batch=10, validation=0.2, progress=False)
    assert len(history) == 40 and not history.interrupted and not history.stopped
    assert [record["epoch"] for record in history] == list(range(1, 41))
    assert set(history[0]) == {
        "epoch",
        "loss",
        "validation_loss",
        "seconds",
        "samples_per_second",
    }
    assert history["loss"][-1] < 0.01 * before
    assert model.evaluate(data)["loss"] < 0.01 * before
    assert model.step == 40 * 4
    with pytest.raises(KeyError, match="no record has"):
        history["accuracy"]


def test_data_may_come_in_many_forms(data: dict[str, Array], tmp_path: Path) -> None:
    np.savez(tmp_path / "line.npz", **data)
    losses = []
    with np.load(tmp_path / "line.npz") as opened:
        for form in (data, (data["x"], data["target"]), tmp_path / "line.npz", opened):
            model = make_model()
            losses.append(model.fit(form, epochs=2, progress=False)["loss"])
            assert losses[-1] == losses[0]
    model = make_model()
    held = model.fit(data, epochs=1, validation=(data["x"], data["target"]), progress=False)
    assert held[0]["validation_loss"] == pytest.approx(model.evaluate(data)["loss"])


def test_the_seed_decides(data: dict[str, Array]) -> None:
    def weights(**options: Any) -> bytes:
        model = make_model()
        model.fit(data, epochs=2, progress=False, **options)
        return model.parameters["weight"].tobytes()

    assert weights() == weights()
    assert weights(seed=1) == weights()  # the section's own
    assert weights(seed=2) != weights()
    assert weights(shuffle=False) != weights()
    assert weights(seed=2, shuffle=False) == weights(shuffle=False)


@pytest.mark.parametrize("options", [{"epochs": 0}, {"batch": -1}, {"epochs": 1.5}, {"seed": "a"}])
def test_wrong_options_are_refused(
    model: Model, data: dict[str, Array], options: dict[str, Any]
) -> None:
    with pytest.raises(Error, match=f"`{next(iter(options))}` must be"):
        model.fit(data, progress=False, **options)


def test_wrong_data_is_refused(model: Model, data: dict[str, Array]) -> None:
    bad = data["x"].copy()
    bad[7, 1] = np.inf
    for given, code, text in [
        ({"x": bad, "target": data["target"]}, "N0704", r"`x` holds inf at \[7, 1\]"),
        ({"x": data["x"]}, "N0701", "`target` is missing"),
        ({**data, "other": data["x"]}, "N0701", "no input `other`"),
        ({"x": data["x"][:0], "target": data["target"][:0]}, "N0705", "empty"),
        ((data["x"],), "N0701", "1 arrays were given"),
        (data["x"], "N0701", "give them by name"),
        (None, "N0701", "no data is given"),
    ]:
        before = model.parameters["weight"].copy()
        with pytest.raises(Error, match=text) as caught:
            model.fit(given, progress=False)
        assert caught.value.code == code
        np.testing.assert_array_equal(model.parameters["weight"], before)


def test_a_loss_without_bound_ends_the_training(data: dict[str, Array]) -> None:
    model = make_model()
    huge = {"x": data["x"] * np.float32(1e15), "target": data["target"]}
    with pytest.raises(Error, match="no finite number any more, in epoch 1, step") as caught:
        model.fit(huge, epochs=50, progress=False)
    assert caught.value.code == "N0730"
    model.set_weights(make_model().weights())
    assert model.fit(data, epochs=1, progress=False)[0]["loss"] < 100


def test_repeated_zeros_are_not_copied_into_a_new_engine_but_later(model: Model) -> None:
    zeros = {
        name: np.broadcast_to(np.zeros((), array.dtype), array.shape)
        for name, array in model.weights().items()
    }
    made = Model(model.manifest, model.plan, zeros, model.sources)
    assert not any(array.any() for array in made.weights().values())
    made.set_weights(model.weights())
    assert any(array.any() for array in made.weights().values())
    made.set_weights(zeros)
    assert not any(array.any() for array in made.weights().values())
    below = {name: np.broadcast_to(-array, array.shape) for name, array in zeros.items()}
    signs = Model(model.manifest, model.plan, below, model.sources).weights()
    assert all(np.signbit(array).all() for array in signs.values() if array.dtype.kind == "f")


class Reports:
    """A progress object that notes what it is told, and may interrupt."""

    def __init__(self, interrupt_in: int = 0) -> None:
        self.calls: list[str] = []
        self.interrupt_in = interrupt_in

    def start(self, epochs: int, samples: int, batch: int) -> None:
        self.calls.append(f"start {epochs} {samples} {batch}")

    def batch(self, epoch: int, done_samples: int, loss: float, metrics: Any) -> None:
        assert np.isfinite(loss) and metrics == {}
        if epoch == self.interrupt_in:
            signal.raise_signal(signal.SIGINT)

    def epoch(self, record: Any) -> None:
        self.calls.append(f"epoch {record['epoch']}")

    def finish(self) -> None:
        self.calls.append("finish")


def test_progress_is_told(model: Model, data: dict[str, Array]) -> None:
    reports = Reports()
    model.fit(data, epochs=2, progress=reports)
    assert reports.calls == ["start 2 50 8", "epoch 1", "epoch 2", "finish"]


def test_an_interrupt_keeps_the_model(model: Model, data: dict[str, Array]) -> None:
    reports = Reports(interrupt_in=3)
    history = model.fit(data, epochs=10, progress=reports)
    assert history.interrupted and len(history) == 2
    assert reports.calls[-1] == "finish"
    assert np.isfinite(model(data["x"])).all()
    assert not model.fit(data, epochs=1, progress=False).interrupted


def test_a_callback_can_stop_or_fail(model: Model, data: dict[str, Array]) -> None:
    history = model.fit(data, epochs=10, progress=False, callback=lambda r: r["epoch"] == 4)
    assert len(history) == 4 and history.stopped

    def fail(record: Any) -> None:
        raise ZeroDivisionError("in the callback")

    with pytest.raises(ZeroDivisionError):
        model.fit(data, epochs=10, progress=False, callback=fail)
    assert len(model.fit(data, epochs=1, progress=False)) == 1


def test_one_training_at_a_time_and_calls_meanwhile(model: Model, data: dict[str, Array]) -> None:
    def inside(record: Any) -> None:
        assert np.isfinite(model(data["x"])).all()
        model.parameters["offset"] = np.zeros(2)
        with pytest.raises(Error, match="is being trained already"):
            model.fit(data, epochs=1, progress=False)

    assert len(model.fit(data, epochs=2, progress=False, callback=inside)) == 2


def test_the_log_has_a_line_an_epoch(model: Model, data: dict[str, Array], tmp_path: Path) -> None:
    history = model.fit(data, epochs=3, progress=False, log=tmp_path / "run.jsonl")
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines] == history["loss"]


def test_parameters_are_a_mapping(model: Model) -> None:
    assert list(model.parameters) == ["line.weight", "line.offset"]
    assert len(model.states) == 0
    copy = model.parameters["offset"]
    with pytest.raises(ValueError):
        copy[0] = 1
    model.parameters["line.offset"] = [3, 4]
    np.testing.assert_array_equal(model.parameters["offset"], [3, 4])
    np.testing.assert_array_equal(copy, [0.5, -0.5])
    with pytest.raises(Error, match="shape"):
        model.parameters["offset"] = np.zeros(3)
    with pytest.raises(Error, match="expected f32"):
        model.parameters["offset"] = np.zeros(2, complex)
    with pytest.raises(KeyError, match=r"no parameter `nothing`; there are `line.weight`"):
        model.parameters["nothing"]
    assert "line.weight: f32[3, 2]" in repr(model.parameters)


def test_saving_gives_the_same_bits(model: Model, data: dict[str, Array], tmp_path: Path) -> None:
    model.fit(data, epochs=2, progress=False)
    model.save(tmp_path / "line.nnc")
    loaded = nnrt.load(tmp_path / "line.nnc")
    np.testing.assert_array_equal(loaded(data["x"]), model(data["x"]))
    assert loaded.evaluate(data) == model.evaluate(data)
    assert loaded.sources == model.sources
    assert not loaded.trainable and "optimizer.line.weight" not in loaded.weights()
    with pytest.raises(Error, match="saved for use only"):
        loaded.fit(data, progress=False)


def test_training_goes_on_where_it_was(data: dict[str, Array], tmp_path: Path) -> None:
    straight = make_model()
    straight.fit(data, epochs=2, progress=False)
    straight.save(tmp_path / "line.nnc", training=True)
    resumed = nnrt.load(tmp_path / "line.nnc")
    assert resumed.step == straight.step == 14
    first = straight.fit(data, epochs=2, progress=False)
    second = resumed.fit(data, epochs=2, progress=False)
    assert first["loss"] == second["loss"]
    for name, array in straight.weights().items():
        np.testing.assert_array_equal(resumed.weights()[name], array)


def test_the_summary_has_layers_and_totals(model: Model) -> None:
    text = model.summary()
    assert "line.nn:3" in text and "dense" in text
    assert "parameters: 8 (32 B)" in text
    assert "FLOPs a row: 14" in text
    assert "to train in batches of 8" in text
    assert repr(model) == "<Model Line(x: f32[N, 3]) -> y: f32[N, 2]>"


def test_importing_nnrt_brings_in_nothing_heavy() -> None:
    code = (
        "import sys, nnrt; nnrt.load; "
        "heavy = {'lark', 'nnlang', 'nnc', 'rich', 'torch', 'safetensors', 'PIL'}; "
        "sys.exit(repr(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
