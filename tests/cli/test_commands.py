"""The commands on a small net, from its text to its predictions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnc.cli import main

TEXT = """\
net Small(hidden = 8) {
    input x: f32[N, 3]

    logits = x -> dense(hidden) -> relu -> dense(2)

    output p = softmax(logits)
}

train Small {
    input label: i64[N]

    data          = "small.npz"
    validation    = 0.25
    loss          = cross_entropy(logits, label)
    optimizer     = sgd(momentum = 0.9)
    learning_rate = 0.1
    batch         = 8
    epochs        = 5
    metric accuracy = accuracy(logits, label)
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`nets/small.nn` and its data, with the working directory beside them."""
    nets = tmp_path / "nets"
    nets.mkdir()
    (nets / "small.nn").write_text(TEXT)
    x = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    np.savez(nets / "small.npz", x=x, label=(x.sum(1) > 0).astype(np.int64))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def trained(folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["train", "nets/small.nn", "-o", "small.nnc", "--quiet"]) == 0
    capsys.readouterr()
    return folder / "small.nnc"


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What a command prints that ends with `code`: its output, or its mistake."""
    result = main(list(arguments))
    captured = capsys.readouterr()
    assert result == code, captured.err
    assert "Traceback" not in captured.err
    return captured.err if code else captured.out


def test_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check", "nets/small.nn") == "nets/small.nn: no mistakes (Small)\n"
    text = run(capsys, "check", "nets/small.nn", "--set", "hiden=3", code=1)
    assert "error[N0407]" in text and "did you mean `hidden`?" in text
    assert "nets/small.nn: 1 mistake" in text


def test_check_sees_every_net_and_recipe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "nets" / "small.nn"
    other = "\nnet Other {\n    input x: f32[N, 3]\n    output y = x @ x\n}\n"
    recipe = "\ntrain Small as bad {\n    loss = 1\n}\n"
    path.write_text(TEXT + other + recipe)
    assert main(["check", str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    lines = sorted(item["labels"][0]["line"] for item in found)
    assert lines == [24, 28]


def test_check_json_of_a_good_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(run(capsys, "check", "--json", "nets/small.nn")) == []


def test_fmt(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "nets" / "small.nn"
    formatted = run(capsys, "fmt", "--stdout", str(path))
    path.write_text(formatted.replace(" = ", "="))
    assert "would change" in capsys_out(capsys, ["fmt", "--check", str(path)], 1)
    assert run(capsys, "fmt", str(path)) == f"{path} formatted\n"
    assert path.read_text() == formatted
    assert run(capsys, "fmt", "--check", str(path)) == ""
    path.write_text("net {")
    assert "error[" in run(capsys, "fmt", str(path), code=1)
    assert path.read_text() == "net {"


def capsys_out(capsys: pytest.CaptureFixture[str], arguments: list[str], code: int) -> str:
    assert main(arguments) == code
    return capsys.readouterr().out


def test_compile_writes_beside_and_where_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "compile", "nets/small.nn").startswith("small.nnc: ")
    assert (folder / "small.nnc").exists()
    run(capsys, "compile", "nets/small.nn", "-o", "nets/other.nnc", "--set", "hidden=3")
    import nnrt

    model = nnrt.load(folder / "nets" / "other.nnc")
    assert model.parameters["logits.dense.weight"].shape[1] in (2, 3)
    assert sum(array.size for array in model.parameters.values()) == 3 * 3 + 3 + 3 * 2 + 2


def test_train_tells_the_plan_the_epochs_and_the_end(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "nets/small.nn", "-o", "small.nnc", "--epochs", "30", "--log", "r.jsonl"]
    lines = run(capsys, *arguments).splitlines()
    assert lines[0] == "Small of nets/small.nn: 50 parameters"
    assert lines[1] == "small.npz: 48 rows to learn from, 16 held out to measure on"
    assert lines[2] == "30 epochs in batches of 8"
    assert lines[3].startswith("epoch  1/30  loss ") and "validation_accuracy" in lines[3]
    assert lines[-2].startswith("trained: loss ") and lines[-1].startswith("small.nnc: ")
    records = [json.loads(line) for line in Path("r.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in records] == list(range(1, 31))
    assert records[-1]["loss"] < records[0]["loss"]
    assert records[-1]["validation_accuracy"] > 0.8


def test_train_quietly_and_without_an_output(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = run(capsys, "train", "nets/small.nn", "--quiet").splitlines()
    assert lines[0].startswith("trained: ")
    assert lines[1] == "nothing was written: `-o OUT.nnc` keeps the trained model"
    assert len(lines) == 2


def test_the_same_seed_gives_the_same_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import nnrt

    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        run(capsys, "train", "nets/small.nn", "-o", f"{name}.nnc", "--seed", seed, "--quiet")
    weights = [dict(nnrt.load(folder / f"{name}.nnc").parameters) for name in "abc"]
    for name in weights[0]:
        assert (weights[0][name] == weights[1][name]).all()
    assert any((weights[0][name] != weights[2][name]).any() for name in weights[0])


def test_options_of_data_replace_those_of_the_section(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.ones((10, 3), np.float32)
    np.savez(folder / "mine.npz", x=x, label=np.ones(10, np.int64))
    arguments = ["train", "nets/small.nn", "--data", "mine.npz", "--validation", "nets/small.npz"]
    text = run(capsys, *arguments, "-o", "mine.nnc")
    assert "mine.npz: 10 rows to learn from; nets/small.npz: 64 to measure on" in text
    assert "64 rows, held out" not in run(capsys, "evaluate", "mine.nnc")


def test_training_goes_on_from_an_artifact(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "train", "nets/small.nn", "-o", "a.nnc", "--training", "--quiet")
    text = run(capsys, "train", "a.nnc", "-o", "b.nnc", "--epochs", "2", "--set", "batch=16")
    assert "2 epochs in batches of 16" in text
    text = run(capsys, "train", "a.nnc", "--set", "hidden=3", code=1)
    assert "`hidden` needs the .nn file" in text
    assert "--recipe needs the .nn file" in run(capsys, "train", "a.nnc", "--recipe", "x", code=1)
    text = run(capsys, "train", "b.nnc", code=1)
    assert "was saved for use only" in text


def test_evaluate(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = run(capsys, "evaluate", "small.nnc")
    assert "16 rows, held out" in held and "accuracy" in held
    given = run(capsys, "evaluate", "small.nnc", "--data", "nets/small.npz", "--batch", "7")
    assert given.startswith("nets/small.npz: 64 rows\nloss ")


def test_evaluate_repeats_what_training_measured(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = run(capsys, "train", "nets/small.nn", "-o", "a.nnc", "--quiet")
    measured = text.split("validation_accuracy ")[1].split()[0]
    assert f"accuracy {measured}" in run(capsys, "evaluate", "a.nnc")


def test_predict(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "predict", "small.nnc", "nets/small.npz").splitlines()
    assert lines[0] == "p.0,p.1" and len(lines) == 65
    first = [float(cell) for cell in lines[1].split(",")]
    assert sum(first) == pytest.approx(1, abs=1e-5)
    text = run(capsys, "predict", "small.nnc", "nets/small.npz", "-o", "p.npz")
    assert text == "p.npz: p [64, 2]\n"
    assert np.load("p.npz")["p"][0].tolist() == pytest.approx(first)
    run(capsys, "predict", "small.nnc", "nets/small.npz", "-o", "p.csv", "--top", "1")
    assert Path("p.csv").read_text().splitlines()[0] == "p.top_1,p.value_1"


def test_predict_on_a_table_with_classes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{i},{i % 3},{i % 5},{'ab'[i % 2]}" for i in range(20)]
    Path("t.csv").write_text("u,v,w,label\n" + "\n".join(rows) + "\n")
    run(capsys, "train", "nets/small.nn", "--data", "t.csv", "-o", "t.nnc", "--quiet")
    lines = run(capsys, "predict", "t.nnc", "t.csv", "--top", "1").splitlines()
    assert len(lines) == 21 and {line.split(",")[0] for line in lines[1:]} <= {"a", "b"}


def test_summary_of_both_kinds_of_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "summary", "nets/small.nn")
    assert "logits.dense" in text and "parameters: 50" in text
    run(capsys, "compile", "nets/small.nn", "--training")
    assert run(capsys, "summary", "small.nnc") == text
    assert "need the .nn file" in run(capsys, "summary", "small.nnc", "--set", "hidden=2", code=1)


@pytest.mark.parametrize("stage", ["syntax", "graph", "gradient", "optimized", "plan"])
def test_dump(folder: Path, stage: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "dump", "--stage", stage, "nets/small.nn")
    assert "matmul" in text if stage != "syntax" else "dense" in text
    assert run(capsys, "dump", "--stage", stage, "nets/small.nn") == text
    training = run(capsys, "dump", "--stage", stage, "--program", "train", "nets/small.nn")
    assert ("label" in training) or stage == "syntax"


def test_doctor(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNC_THREADS", "1")
    text = run(capsys, "doctor")
    for word in ("nnc", "Python", "numpy", "instruction set", "cgroup quota", "available"):
        assert word in text
    assert "1: as NNC_THREADS says" in text
    monkeypatch.setenv("NNC_THREADS", "many")
    assert "NNC_THREADS=many" in run(capsys, "doctor", code=1)


MISTAKES: list[tuple[list[str], str]] = [
    (["train", "nets/smal.nn"], "Did you mean `nets/small.nn`?"),
    (["train", "nets/small.nn", "-o", "no/where.nnc"], "there is no folder no"),
    (["train", "nets/small.nn", "--log", "no/where.jsonl"], "there is no folder no"),
    (["train", "nets/small.nn", "--data", "smal.npz"], "smal.npz does not exist"),
    (["train", "nets/small.nn", "--set", "batch"], "expected KEY=VALUE"),
    (["train", "nets/small.nn", "--set", "batch=0"], "a whole number of at least 1"),
    (["train", "nets/small.nn", "--set", "hidden=("], "error["),
    (["train", "nets/small.nn", "--set", "train.rate=1"], "no key `rate`"),
    (["train", "nets/small.nn", "--recipe", "fine"], "no training section named `fine`"),
    (["train", "nets/small.nn", "--net", "Smal"], "Smal"),
    (["train", "nets/small.nn", "--validation", "1.5"], "between 0 and 1"),
    (["train", "nets/small.nn", "--epochs", "0"], "give 1 or more"),
    (["evaluate", "nets/small.nn"], "is not a compiled model"),
    (["evaluate", "nets/small.npz"], "error"),
    (["predict", "nothing.nnc", "x.npz"], "nothing.nnc does not exist"),
    (["summary", "nets"], "is a folder"),
    (["dump", "nets/small.npz"], "error: this is not UTF-8 text"),
]


@pytest.mark.parametrize(("arguments", "message"), MISTAKES)
def test_mistakes(
    folder: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in run(capsys, *arguments, code=1)


WRONG_DATA: list[tuple[dict[str, Any], str]] = [
    ({"x": np.zeros((4, 3), np.float32)}, "no array for the input `label`"),
    ({"x": np.zeros((4, 2), np.float32), "label": np.zeros(4, np.int64)}, "`x`"),
    ({"x": np.full((4, 3), np.nan, np.float32), "label": np.zeros(4, np.int64)}, "`x`"),
    ({"x": np.zeros((4, 3), np.float32), "label": np.zeros(4)}, "`label`"),
    ({"x": np.zeros((4, 3), np.float32), "label": np.full(4, 2)}, "`label`"),
    ({"x": np.zeros((0, 3), np.float32), "label": np.zeros(0, np.int64)}, "rows"),
    ({"x": np.zeros((4, 3), np.float32), "label": np.zeros(3, np.int64)}, "`x` has 4 rows"),
]


@pytest.mark.parametrize(("arrays", "message"), WRONG_DATA)
def test_wrong_data(
    folder: Path, arrays: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez("wrong.npz", **arrays)
    text = run(capsys, "train", "nets/small.nn", "--data", "wrong.npz", code=1)
    assert text.startswith("error") and message in text


def test_a_damaged_model(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained.write_bytes(trained.read_bytes()[:-200])
    assert "error" in run(capsys, "predict", "small.nnc", "nets/small.npz", code=1)


def test_interrupted_training_keeps_the_model_so_far(folder: Path) -> None:
    import nnrt

    command = [sys.executable, "-m", "nnc", "train", "nets/small.nn", "--epochs", "100000000"]
    with subprocess.Popen(
        [*command, "-o", "small.nnc"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("epoch"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err and "stopped after" in err
    assert "trained: loss" in out and "small.nnc: " in out
    model = nnrt.load(folder / "small.nnc")
    assert np.isfinite(model(np.zeros((1, 3), np.float32))).all()


def test_a_reader_that_goes_away_is_no_error(folder: Path) -> None:
    command = f"{sys.executable} -m nnc dump --stage plan nets/small.nn | true"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(command, shell=True, capture_output=True, text=True, env=environment)
    assert result.stderr == ""


PICTURES = """\
net Pictures {
    input picture: u8[N, 4, 4, 3]

    logits = picture / 255 -> flatten -> dense(2)

    output p = softmax(logits)
}

train Pictures {
    input kind: i64[N]

    data          = "pictures"
    loss          = cross_entropy(logits, kind)
    learning_rate = 0.1
    epochs        = 40
    metric accuracy = accuracy(logits, kind)
}
"""


def test_from_folders_of_images_to_names_of_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Path("pictures.nn").write_text(PICTURES)
    for name, colour in (("sky", (0, 0, 200)), ("grass", (0, 200, 0))):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        for index in range(6):
            Image.new("RGB", (5, 7), tuple(c + index for c in colour)).save(folder / f"{index}.png")
    text = run(capsys, "train", "pictures.nn", "-o", "pictures.nnc")
    assert "12 rows to learn from" in text and "classes of `kind`: grass = 0, sky = 1" in text
    assert "accuracy 1.0000" in run(capsys, "evaluate", "pictures.nnc")
    lines = run(capsys, "predict", "pictures.nnc", "pictures", "--top", "1").splitlines()
    assert lines[0] == "file,p.top_1,p.value_1" and len(lines) == 13
    for line in lines[1:]:
        file, kind, _ = line.split(",")
        assert file.split("/")[0] == kind
    text = run(capsys, "predict", "pictures.nnc", "pictures/sky/3.png", "--top", "1")
    assert text.splitlines()[1].startswith("3.png,sky,")
    Path("pictures/sky/bad.png").write_text("nothing")
    text = run(capsys, "evaluate", "pictures.nnc", code=1)
    assert "bad.png cannot be read as an image" in text
