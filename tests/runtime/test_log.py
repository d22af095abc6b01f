"""A log that cannot be written: found before the training where that can be, and said after."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import nnrt
import numpy as np
import pytest
from nnrt import Error
from nnrt.errors import Notice
from nnrt.progress import JsonLog

from .plans import make_model

Data = dict[str, np.ndarray[Any, Any]]


def test_a_full_disk_loses_no_training(data: Data, tmp_path: Path) -> None:
    model = make_model()
    with pytest.warns(Notice) as said:
        history = model.fit(data, epochs=3, progress=False, log="/dev/full")
    assert len(history) == 3 and model.step == 21
    assert history.log_error == "the log /dev/full lacks its last 3 lines: No space left on device."
    texts = [str(warning.message) for warning in said]
    assert len(texts) == 2 and texts[-1] == history.log_error
    assert "/dev/full cannot be written: No space left on device" in texts[0]
    model.save(tmp_path / "m.nnc")


def test_lines_are_written_when_there_is_room_again(tmp_path: Path) -> None:
    said: list[str] = []
    log = JsonLog(tmp_path / "run.jsonl", said.append)
    whole = log.file

    class Full:
        def write(self, content: bytes) -> int:
            return whole.write(content[:5]) if len(content) > 20 else full()

    def full() -> int:
        raise OSError(28, "No space left on device")

    log.write({"epoch": 1, "loss": 0.5})
    log.file = Full()  # type: ignore[assignment]
    log.write({"epoch": 2, "loss": 0.25})
    log.write({"epoch": 3, "loss": 0.125})
    assert len(said) == 1 and "cannot be written: No space left" in said[0]
    log.file = whole
    assert log.finish() is None
    lines = (tmp_path / "run.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2, 3]


@pytest.mark.parametrize("log", [5, b"\xff\x00", "", "no/where.jsonl", ".", "\0"])
def test_a_log_that_cannot_be_opened_is_found_first(log: Any, data: Data) -> None:
    model = make_model()
    with pytest.raises(Error, match="log"):
        model.fit(data, epochs=1, progress=False, log=log)
    assert model.step == 0
    assert len(model.fit(data, epochs=1, progress=False)) == 1  # and no training is open


def test_a_pipe_takes_the_lines(data: Data, tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend(path.read_text().splitlines()))
    reader.start()
    history = make_model().fit(data, epochs=2, progress=False, log=path)
    reader.join()
    assert [json.loads(line)["loss"] for line in read] == history["loss"]


NET = """
net Large {
    input x: f32[N, 3]
    y = x -> dense(20000) -> dense(2)
    output out = y
}
train Large {
    input target: f32[N, 2]
    data = "line.npz"
    loss = mean(square(y - target))
    epochs = 1
}
"""


def limited(size: int) -> Any:
    """In the process to come, no file grows beyond `size`: as on a disk that is full."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def train(folder: Path, *options: str, size: int = resource.RLIM_INFINITY) -> Any:
    command = [sys.executable, "-m", "nnc", "train", "large.nn", *options]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, preexec_fn=limited(size)
    )


@pytest.fixture
def folder(tmp_path: Path, data: Data) -> Path:
    (tmp_path / "large.nn").write_text(NET)
    np.savez(tmp_path / "line.npz", **data)
    return tmp_path


def test_a_full_disk_is_found_before_the_training(folder: Path) -> None:
    result = train(folder, "-o", "m.nnc", "--log", "run.jsonl", size=100_000)
    assert result.returncode == 1
    assert "m.nnc cannot be written" in result.stderr and "Make room" in result.stderr
    assert "epoch" not in result.stdout and "trained" not in result.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["large.nn", "line.npz"]


def test_a_log_without_room_is_found_before_the_training(folder: Path) -> None:
    result = train(folder, "--log", "run.jsonl", size=1000)
    assert result.returncode == 1 and "run.jsonl cannot be written" in result.stderr
    assert "trained" not in result.stdout


def test_the_command_tells_what_the_log_lacks(folder: Path) -> None:
    result = train(folder, "-o", "m.nnc", "--log", "/dev/full", "--quiet")
    assert result.returncode == 1
    assert "error: the log /dev/full lacks its last line" in result.stderr
    assert nnrt.load(folder / "m.nnc").net == "Large"


def test_an_estimate_is_no_smaller_than_the_file(tmp_path: Path, data: Data) -> None:
    model = make_model()
    model.fit(data, epochs=1, validation=0.2, progress=False)
    for training in (False, True):
        model.save(tmp_path / "m.nnc", training=training)
        assert (tmp_path / "m.nnc").stat().st_size <= model.saved_bytes(training)


def test_a_model_that_finds_no_place_any_more_is_written_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nnc.cli import main

    monkeypatch.chdir(folder)
    real = nnrt.Model.save

    def save(self: Any, path: Any, *arguments: Any, **options: Any) -> None:
        if str(path) == "m.nnc":
            raise Error("m.nnc cannot be written: No space left on device.", "N0713")
        real(self, path, *arguments, **options)

    monkeypatch.setattr(nnrt.Model, "save", save)
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert main(["train", "large.nn", "-o", "m.nnc", "--quiet"]) == 1
    err = capsys.readouterr().err
    assert "error[N0713]: m.nnc cannot be written" in err
    spare = err.split("was written to ")[1].strip().rstrip(".")
    assert nnrt.load(spare).net == "Large"
