"""Progress lines, the choice between them, and the log."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnrt import progress
from nnrt.errors import Error

RECORD = {
    "epoch": 2,
    "loss": 0.25,
    "accuracy": 0.5,
    "validation_loss": 3.5e-5,
    "seconds": 71.0,
    "samples_per_second": 12345.6,
    "learning_rate": 0.1,
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(shown: progress.Progress) -> None:
    shown.start(10, 64, 32)
    shown.batch(2, 32, 0.5, {"accuracy": np.float64(0.125)})
    shown.epoch(RECORD)
    shown.finish()


def test_plain_lines_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    run(progress.choose(None, stream))
    assert stream.getvalue() == (
        "epoch  2/10  loss 0.2500  accuracy 0.5000  validation_loss 3.500e-05  "
        "12,346 samples/s  1:11\n"
    )


def test_a_live_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "140")
    stream = Terminal()
    shown = progress.choose(True, stream)
    assert isinstance(shown, progress.Live)
    run(shown)
    text = stream.getvalue()
    assert "epoch  2/10  loss 0.2500" in text
    assert "\x1b[" in text


def test_the_live_line_tells_speed_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 102.0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    shown = progress.Live(Terminal())
    shown.samples, shown.epochs, shown.began = 64, 10, progress.time.perf_counter()
    shown.batch(2, 32, 0.5, {"accuracy": 0.125})
    task = shown.bars.tasks[0]
    assert task.completed == 32 and task.description == "epoch 2/10"
    # 96 samples in two seconds, 544 to go.
    assert task.fields["values"] == "loss 0.5000  accuracy 0.1250  48 samples/s  0:11 left"


def test_plain_lines_without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert isinstance(progress.choose(None, Terminal()), progress.Lines)


def test_quiet_and_own_objects() -> None:
    stream = Terminal()
    run(progress.choose(False, stream))
    assert stream.getvalue() == ""
    own = progress.Lines(stream)
    assert progress.choose(own, stream) is own
    with pytest.raises(Error, match="the methods `start`, `batch`"):
        wrong: Any = object()
        progress.choose(wrong)


def test_the_log_has_one_line_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text('{"epoch": 1, "loss": 3}\n{"epoch": 2, "loss": 2}\n{"epoch": 3, "loss": 1}\n')
    with progress.JsonLog(path) as log:
        log.write({"epoch": 1, "loss": np.float32(0.5), "accuracy": float("nan")})
        # Others may follow a run: what was written is there at once.
        assert path.read_text() == '{"epoch": 1, "loss": 0.5, "accuracy": null}\n'
        log.write(RECORD)
    lines = path.read_text().splitlines()
    assert len(lines) == 2 and json.loads(lines[1]) == RECORD


def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"run\.jsonl cannot be written: there is no folder"):
        progress.JsonLog(tmp_path / "nowhere" / "run.jsonl")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0000"), (0.001, "0.0010"), (0.0009, "9.000e-04"), (2e6, "2.000e+06"), (3, "3")],
)
def test_numbers(value: float, text: str) -> None:
    assert progress.number_text(value) == text


def test_numbers_that_are_not_finite() -> None:
    assert progress.number_text(float("nan")) == "nan"
    assert progress.number_text(float("-inf")) == "-inf"
    assert progress.time_text(float("nan")) == "?"
    assert [progress.time_text(s) for s in (0.0123, 2.5, 3725)] == ["12 ms", "2.5 s", "1:02:05"]


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, nnrt.data, nnrt.progress\n"
        "heavy = {'rich', 'PIL', 'lark', 'nnlang', 'nnc'} & set(sys.modules)\n"
        "sys.exit(repr(heavy) if heavy else 0)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
