"""Training that goes on: the schedule and the rows held out belong to the course, not to a call."""

from __future__ import annotations

import signal
import warnings
from pathlib import Path
from typing import Any

import nnrt
import numpy as np
import pytest
from nnc.cli import main
from nnrt import Model
from nnrt.course import Course, Split
from nnrt.errors import Notice

from .faulty import change_loss
from .plans import regression_manifest, regression_plan, regression_weights

Array = np.ndarray[Any, Any]
Data = dict[str, Array]


def clocked() -> Model:
    """Its training loss is the clock: steps done in thousands, plus steps in all."""
    plan = regression_plan()
    train = plan["programs"]["train"]
    train["buffers"].append({"dtype": "f32", "shape": [], "kind": "input"})
    train["inputs"].append({"name": "steps", "buffer": 13, "role": "clock", "limit": -1})
    change_loss(
        train,
        *([12, 13], ["load", 1], ["load", 2], ["const", 1000.0]),
        *(["mul", 1, 2], ["add", 0, 3], ["store", 0, 4]),
    )
    return Model(regression_manifest(), plan, regression_weights(), {})


def clocks(model: Model, data: Data, **options: Any) -> list[tuple[float, float]]:
    """(the mean of the steps done, the steps in all) of each epoch of a call."""
    history = model.fit(data, batch=50, progress=False, **options)
    return [(loss % 1000, loss // 1000) for loss in history["loss"]]


def saved(model: Model, folder: Path) -> Model:
    model.save(folder / "m.nnc", training=True)
    return nnrt.load(folder / "m.nnc")


@pytest.mark.parametrize("keep", [saved, lambda model, folder: model])
def test_the_clock_goes_on(keep: Any, data: Data, tmp_path: Path) -> None:
    model = clocked()
    assert clocks(model, data, epochs=2) == [(0, 2), (1, 2)]
    model = keep(model, tmp_path)
    assert clocks(model, data, epochs=1) == [(2, 3)]
    model = keep(model, tmp_path)
    assert clocks(model, data) == [(3, 6), (4, 6), (5, 6)]  # none left: the section's three
    model = keep(model, tmp_path)
    assert clocks(model, data, epochs=1, restart=True) == [(0, 1)]


def test_a_stopped_course_goes_on_to_its_end(data: Data, tmp_path: Path) -> None:
    model = clocked()
    stop = {"epochs": 20, "callback": lambda record: record["epoch"] == 7}
    assert clocks(model, data, **stop)[-1] == (6, 20)
    model = saved(model, tmp_path)
    assert clocks(model, data, epochs=2) == [(7, 20), (8, 20)]  # fewer than planned: no new plan
    model = saved(model, tmp_path)
    rest = clocks(model, data)
    assert rest[0] == (9, 20) and rest[-1] == (19, 20) and len(rest) == 11


def test_an_interrupted_epoch_is_done_again(data: Data, tmp_path: Path) -> None:
    class Interrupting:
        def start(self, epochs: int, samples: int, batch: int) -> None: ...
        def batch(self, epoch: int, done: int, loss: float, metrics: Any) -> None:
            if epoch == 3:
                signal.raise_signal(signal.SIGINT)

        def epoch(self, record: Any) -> None: ...
        def finish(self) -> None: ...

    model = clocked()
    assert model.fit(data, batch=50, epochs=20, progress=Interrupting()).interrupted
    model = saved(model, tmp_path)
    rest = clocks(model, data)
    assert rest[0] == (2, 20) and len(rest) == 18


def test_another_batch_keeps_the_place_in_the_schedule(data: Data) -> None:
    model = clocked()
    clocks(model, data, epochs=4, callback=lambda record: record["epoch"] == 2)
    history = model.fit(data, batch=10, progress=False)  # five steps an epoch
    assert history["loss"] == [20_000 + 10 + 2, 20_000 + 15 + 2]


def held_out(model: Model, data: Data, **options: Any) -> bytes:
    """The rows that a call measures on."""
    seen: list[bytes] = []
    loop = model.engine.loop

    class Spy:
        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

        def loop(self, program: str, columns: Any, *rest: Any, **more: Any) -> Any:
            if program == "evaluate":
                seen.append(columns[0].tobytes())
            return loop(program, columns, *rest, **more)

    engine = model.engine
    model.engine = Spy()  # type: ignore[assignment]
    try:
        model.fit(data, epochs=1, progress=False, **options)
    finally:
        model.engine = engine
    return seen[0] if seen else b""


def test_rows_that_were_held_out_stay_so(data: Data, tmp_path: Path) -> None:
    model = clocked()
    rows = held_out(model, data, validation=0.2, seed=3)
    assert rows
    model = saved(model, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert held_out(model, data) == rows
        assert held_out(model, data, seed=9) == rows
        assert held_out(model, data, seed=9, validation=0.2) == rows
    with pytest.warns(Notice, match="may measure on rows that were trained on"):
        assert held_out(model, data, validation=0.4) != rows
    assert held_out(model, data, seed=9, validation=0.2, restart=True) != rows


def test_smaller_parts_lie_within_larger_ones(data: Data) -> None:
    model = clocked()
    rows = held_out(model, data, validation=0.4)
    part = held_out(model, data, validation=0.2)
    size = 3 * 4
    assert {part[i : i + size] for i in range(0, len(part), size)} < {
        rows[i : i + size] for i in range(0, len(rows), size)
    }


def test_what_makes_a_measure_doubtful_is_said(data: Data) -> None:
    model = clocked()
    held_out(model, data)
    with pytest.warns(Notice, match="no rows were held out in the 1 epochs before"):
        held_out(model, data, validation=0.2)
    fewer = {name: array[:40] for name, array in data.items()}
    with pytest.warns(Notice, match="rows were held out of 50 before and are held out of 40 now"):
        held_out(model, fewer)


def test_a_course_extends_its_plan() -> None:
    course = Course().begun(20, Split(0.2, 3, 50))
    assert (course.epochs, course.done) == (20, 0) and course.split_seed(9) == 3
    assert Course(20, 7).next_epochs(None, 5) == 13
    assert Course(20, 20).next_epochs(None, 5) == 5
    assert Course(20, 7).next_epochs(2, 5) == 2
    assert Course(20, 7).begun(2, None).epochs == 20
    assert Course(20, 15).begun(10, None).epochs == 25
    assert Course.of({"course": course.plain()}) == course


NET = """\
net Small {
    input x: f32[N, 3]

    y = dense(x, 2)

    output out = y
}

train Small {
    input target: f32[N, 2]

    data          = "small.npz"
    validation    = 0.2
    loss          = mean(square(y - target))
    learning_rate = cosine(0.1)
    epochs        = 4
    batch         = 8
}
"""


@pytest.fixture
def folder(tmp_path: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.nn").write_text(NET)
    np.savez(tmp_path / "small.npz", **data)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    assert main(list(arguments)) == code
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_the_command_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "train", "small.nn", "-o", "a.nnc", "--training", "--quiet", "--seed", "3")
    first = nnrt.load("a.nnc").training or {}
    assert first["course"] == {
        "epochs": 4,
        "done": 4,
        "split": {"fraction": 0.2, "seed": 3, "rows": 50},
    }
    arguments = ["train", "a.nnc", "-o", "b.nnc", "--training", "--seed", "8", "--epochs", "2"]
    out, err = run(capsys, *arguments)
    assert "goes on after epoch 4 of 6: 2 epochs in batches of 8" in out and not err
    second = nnrt.load("b.nnc").training or {}
    assert second["course"] == {**first["course"], "epochs": 6, "done": 6}
    measured = out.split("validation_loss ")[-1].split()[0]
    assert f"loss {measured}" in run(capsys, "evaluate", "b.nnc")[0]


def test_the_command_says_what_another_validation_means(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "train", "small.nn", "-o", "a.nnc", "--training", "--quiet")
    _, err = run(capsys, "train", "a.nnc", "--validation", "0.5", "--quiet")
    assert "note: the part held out was 0.2 before and is 0.5 now" in err
    _, err = run(capsys, "train", "a.nnc", "--validation", "0.5", "--quiet", "--restart")
    assert not err
    out, err = run(capsys, "train", "a.nnc", "--validation", "0", "--quiet")
    assert "validation_loss" not in out and not err


def test_a_changed_table_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "train", "small.nn", "-o", "a.nnc", "--training", "--quiet")
    data = np.load("small.npz")
    np.savez("small.npz", x=data["x"][:45], target=data["target"][:45])
    _, err = run(capsys, "train", "a.nnc", "--quiet")
    assert "rows were held out of 50 before and are held out of 45 now" in err
