"""Which data `fit` and `nnc train` take: what is given, else what the train section names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nnc
import numpy as np
import pytest
from nnc.cli import main
from nnrt import Error, Model

Array = np.ndarray[Any, Any]
Data = dict[str, Array]

NET = """\
net Small {
    input x: f32[N, 3]

    y = dense(x, 2)

    output out = y
}

train Small {
    input target: f32[N, 2]

    data       = "train.npz"
    validation = VALIDATION
    loss       = mean(square(y - target))
    epochs     = 1
    batch      = 8
}
"""


@pytest.fixture
def folder(tmp_path: Path, data: Data, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`nets/` with nets, their data beside them, and other data in the working directory."""
    nets = tmp_path / "nets"
    nets.mkdir()
    for name, value in (
        ("part", "0.2"),
        ("file", '"held.npz"'),
        ("gone", '"gone.npz"'),
        ("none", "0"),
    ):
        (nets / f"{name}.nn").write_text(NET.replace("VALIDATION", value))
    np.savez(nets / "train.npz", **data)
    np.savez(nets / "held.npz", **{name: array[:7] for name, array in data.items()})
    np.savez(tmp_path / "mine.npz", **{name: array[:30] for name, array in data.items()})
    np.savez(tmp_path / "mine_held.npz", **{name: array[:11] for name, array in data.items()})
    np.savez(tmp_path / "wrong.npz", x=data["x"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def measured(model: Model, *arguments: Any, **options: Any) -> tuple[int, int]:
    """The rows that a call of `fit` trains and measures on."""
    rows = {"train": 0, "evaluate": 0}
    engine = model.engine

    class Spy:
        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

        def loop(self, program: str, columns: Any, *rest: Any, **more: Any) -> Any:
            rows[program] = len(columns[0])
            return engine.loop(program, columns, *rest, **more)

    model.engine = Spy()  # type: ignore[assignment]
    model.fit(*arguments, progress=False, **options)
    return rows["train"], rows["evaluate"]


@pytest.mark.parametrize(
    ("net", "given", "validation", "expected"),
    [
        ("part", None, None, (40, 10)),
        ("part", "mine.npz", None, (24, 6)),  # the section's fraction, of the data given
        ("part", "mine.npz", 0, (30, 0)),
        ("part", "mine.npz", 0.5, (15, 15)),
        ("part", None, "mine_held.npz", (50, 11)),
        ("file", None, None, (50, 7)),
        ("file", "mine.npz", None, (30, 7)),  # the section's file, from the section's folder
        ("file", "mine.npz", "mine_held.npz", (30, 11)),
        ("file", None, 0.5, (25, 25)),
        ("gone", "mine.npz", "mine_held.npz", (30, 11)),
        ("gone", None, 0, (50, 0)),
        ("none", "mine.npz", None, (30, 0)),
    ],
)
def test_python_and_the_shell_take_the_same(
    net: str,
    given: str | None,
    validation: Any,
    expected: tuple[int, int],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert measured(nnc.compile(f"nets/{net}.nn"), given, validation=validation) == expected
    if given is not None:
        arrays = dict(np.load(given))
        assert measured(nnc.compile(f"nets/{net}.nn"), arrays, validation=validation) == expected
    options = [] if given is None else ["--data", given]
    options += [] if validation is None else ["--validation", str(validation)]
    assert main(["train", f"nets/{net}.nn", *options]) == 0
    out = capsys.readouterr().out
    assert f"{expected[0]} rows to learn from" in out
    if expected[1] == 0:
        assert "to measure on" not in out
    else:
        assert f"{expected[1]} to measure on" in out or f"{expected[1]} held out" in out


@pytest.mark.parametrize(
    ("net", "given", "validation", "named"),
    [
        ("gone", "mine.npz", None, ("`validation` of the train section (", "0 for none")),
        ("gone", None, None, ("`validation` of the train section (", "gone.npz does not exist")),
        ("part", "nowhere.npz", None, ("DATA: ", "nowhere.npz does not exist")),
        ("part", "wrong.npz", None, ("DATA: ",)),
        ("part", None, "nowhere.npz", ("VALIDATION: ", "nowhere.npz does not exist")),
        ("part", None, "wrong.npz", ("VALIDATION: ",)),
        ("part", None, 1.5, ("VALIDATION: ", "between 0 and 1")),
    ],
)
def test_mistakes_name_the_key(
    net: str,
    given: str | None,
    validation: Any,
    named: tuple[str, ...],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Error) as caught:
        nnc.compile(f"nets/{net}.nn").fit(given, validation=validation, progress=False)
    for part in named:
        part = part.replace("DATA", "`data`").replace("VALIDATION", "`validation`")
        assert part in str(caught.value)
    options = [] if given is None else ["--data", given]
    options += [] if validation is None else ["--validation", str(validation)]
    assert main(["train", f"nets/{net}.nn", *options]) == 1
    err = capsys.readouterr().err
    for part in named:
        assert part.replace("DATA", "--data").replace("VALIDATION", "--validation") in err


def test_the_sections_data_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "nets" / "train.npz").unlink()
    with pytest.raises(Error, match=r"^`data` of the train section: .*does not exist"):
        nnc.compile("nets/part.nn").fit(progress=False)
    assert main(["train", "nets/part.nn"]) == 1
    assert "`data` of the train section: " in capsys.readouterr().err


def test_arrays_that_do_not_fit_are_named(folder: Path, data: Data) -> None:
    model = nnc.compile("nets/part.nn")
    bad = {**data, "x": data["x"].copy()}
    bad["x"][3, 1] = np.nan
    with pytest.raises(Error, match=r"^`validation`: input `x` holds nan at \[3, 1\]"):
        model.fit(data, validation=bad, progress=False)
    with pytest.raises(Error, match=r"^`data`: input `x` holds nan"):
        model.fit(bad, validation=data, progress=False)
