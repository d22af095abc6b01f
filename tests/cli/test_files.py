"""Files that commands take and write, `--set`, and what errors look like."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from nnc.cli import common, main, report
from nnc.elaborate import Text
from nnc.errors import InternalError
from nnc.options import OptionError
from nnrt.errors import Error
from nnrt.kinds import MODEL, SOURCE
from nnrt.writing import target


def test_a_missing_file_names_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "digits.nn").write_text("")
    with pytest.raises(OptionError, match=r"does not exist\. Did you mean `.*digits\.nn`"):
        common.existing(str(tmp_path / "digit.nn"))
    with pytest.raises(OptionError, match="is a folder"):
        common.existing(str(tmp_path))


def test_outputs_are_checked_before_the_work(tmp_path: Path) -> None:
    assert common.check_writable(str(tmp_path / "a.nnc"), MODEL) == tmp_path / "a.nnc"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(Error, match="is a folder"):
        common.check_writable(str(tmp_path), MODEL)
    with pytest.raises(Error, match=r"there is no folder .*nowhere"):
        common.check_writable(str(tmp_path / "nowhere" / "a.nnc"), MODEL)


def test_text_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nn"
    path.write_text("old")
    path.chmod(0o640)
    target(path, SOURCE).write_text("new")
    assert path.read_text() == "new" and path.stat().st_mode & 0o777 == 0o640

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(Error, match="No space left"):
        target(path, SOURCE).write_text("newer")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_set_sorts_settings_from_training_keys() -> None:
    pairs = ["hidden=128", "epochs = 3", "train.rate=1", "net.batch=2", "loss=mean(x == y)"]
    chosen = common.given(pairs)
    assert chosen.settings == {"hidden": Text("128"), "batch": Text("2")}
    wanted = {"epochs": Text("3"), "rate": Text("1"), "loss": Text("mean(x == y)")}
    assert chosen.overrides == wanted


def test_set_takes_paths_as_they_are() -> None:
    chosen = common.given(["data=some/file.npz", "validation=0.1"])
    assert chosen.overrides == {"data": "some/file.npz", "validation": Text("0.1")}
    assert common.given(['data="a b"']).overrides == {"data": Text('"a b"')}


@pytest.mark.parametrize("pair", ["hidden", "hidden=", "=3", "a b=3", "other.key=3", "1x=2"])
def test_set_refuses_other_forms(pair: str) -> None:
    with pytest.raises(OptionError, match="expected KEY=VALUE"):
        common.given([pair])


def test_set_refuses_a_key_given_twice() -> None:
    with pytest.raises(OptionError, match="`batch` is set twice"):
        common.given(["batch=1", "train.batch=2"])


MISTAKES = [
    (Error("no array.", "N0742"), "error[N0742]: no array."),
    (OptionError("wrong."), "error: wrong."),
    (FileNotFoundError(2, "No such file", "x.nn"), "error: x.nn: no such file."),
    (PermissionError(13, "Permission denied", "x.nnc"), "error: x.nnc: permission denied."),
    (MemoryError("1 TB"), "error: not enough memory (1 TB). A smaller batch needs less"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "error: this is not UTF-8 text"),
]


@pytest.mark.parametrize(("error", "text"), MISTAKES)
def test_mistakes_are_explained(error: Exception, text: str) -> None:
    explained, is_bug = report.explain(error)
    assert explained.startswith(text) and not is_bug


def test_bugs_name_the_pass_and_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNC_DEBUG", raising=False)
    error = InternalError("no such thing", "fuse", "%3: f32[N] = relu(%2)", ["%2 = …"])
    explained, is_bug = report.explain(error)
    assert is_bug and "in pass `fuse`: no such thing" in explained
    assert "at node: %3: f32[N] = relu(%2)" in explained
    assert "Please report it" in explained and "Traceback" not in explained


def test_unannounced_errors_are_bugs_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError("by zero")

    for level, shown in (("0", False), ("1", True), ("wrong", False)):
        monkeypatch.setenv("NNC_DEBUG", level)
        with pytest.raises(ZeroDivisionError) as caught:
            fail()
        explained, is_bug = report.explain(caught.value)
        assert is_bug and "internal error: ZeroDivisionError: by zero at" in explained
        assert ("Traceback" in explained) == shown


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (RuntimeError("bug"), 70), (OSError(5), 1)]
)
def test_exit_codes(
    error: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from nnc.cli import doctor

    def fail(_: Any) -> int:
        raise error

    monkeypatch.setattr(doctor, "run", fail)
    assert main(["doctor"]) == code
    assert "Traceback" not in capsys.readouterr().err
