"""Which data `train` and `evaluate` take, and the tables that `predict` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnc.cli import datasets, predict
from nnc.cli.datasets import Place, Plan
from nnc.options import OptionError
from nnrt.errors import Error

INPUTS: list[dict[str, Any]] = [
    {"name": "x", "dtype": "f32", "shape": ["N", 2]},
    {"name": "label", "dtype": "i64", "shape": ["N"]},
]
SECTION: dict[str, Any] = {
    "data": "d.csv",
    "validation": 0.25,
    "seed": 7,
    "directory": "/nets",
    "inputs": INPUTS,
}


def test_the_train_section_says_what_options_do_not() -> None:
    assert datasets.choose(SECTION, None, None, None) == Plan(Place("d.csv", "/nets"), 0.25, 7)
    held = {**SECTION, "validation": "v.csv"}
    assert datasets.choose(held, None, None, 3).validation == Place("v.csv", "/nets")
    assert datasets.choose({**SECTION, "validation": 0}, None, None, 3).validation is None


def test_paths_of_options_start_at_the_working_directory() -> None:
    plan = datasets.choose(SECTION, "mine.csv", "other.csv", 3)
    assert plan == Plan(Place("mine.csv"), Place("other.csv"), 3)
    assert datasets.choose(SECTION, None, "0.5", None).validation == 0.5


def test_without_data_it_says_how_to_name_some() -> None:
    with pytest.raises(OptionError, match="name it with `--data PATH`"):
        datasets.choose({}, None, None, None)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    rows = [f"{i},{i},{'ab'[i % 2]}" for i in range(8)]
    (tmp_path / "d.csv").write_text("p,q,label\n" + "\n".join(rows) + "\n")
    (tmp_path / "v.csv").write_text("p,q,label\n1,2,b\n")
    return tmp_path


def test_a_fraction_is_held_out(tables: Path) -> None:
    plan = Plan(Place("d.csv", str(tables)), 0.25, 7)
    parts = datasets.load(plan, SECTION, closed=False)
    assert parts.validation is not None
    assert datasets.rows(parts.data) == 6 and datasets.rows(parts.validation) == 2
    again = datasets.load(plan, SECTION, closed=False).validation
    assert again is not None and (again["x"] == parts.validation["x"]).all()


def test_validation_data_uses_the_classes_of_the_training_data(tables: Path) -> None:
    plan = Plan(Place("d.csv", str(tables)), Place("v.csv", str(tables)), 0)
    parts = datasets.load(plan, SECTION, closed=False)
    assert parts.learned["classes"] == {"label": ["a", "b"]}
    assert parts.validation is not None and parts.validation["label"].tolist() == [1]


def test_the_artifact_remembers_its_data(tables: Path) -> None:
    plan = Plan(Place("d.csv", str(tables)), Place("v.csv", str(tables)), 5)
    kept = datasets.kept_with_model(plan, datasets.load(plan, SECTION, closed=False))
    assert kept == {
        "directory": str(tables),
        "data": "d.csv",
        "validation": "v.csv",
        "seed": 5,
        "classes": {"label": ["a", "b"]},
        "columns": {"x": ["p", "q"]},
    }
    assert datasets.choose(kept, None, None, None).data == plan.data


def test_a_wrong_fraction_is_a_mistake(tables: Path) -> None:
    with pytest.raises(Error, match="between 0 and 1"):
        datasets.load(Plan(Place("d.csv", str(tables)), 1.5, 0), SECTION, closed=False)


def test_outputs_as_csv() -> None:
    outputs = {
        "p": np.array([[0.25, 0.75], [0.5, 0.125]], np.float32),
        "size": np.array([3, 4]),
    }
    assert predict.as_csv(outputs, (), None, {}) == "p.0,p.1,size\n0.25,0.75,3\n0.5,0.125,4\n"
    text = predict.as_csv(outputs, ("a.png", "b.png"), 1, {"p": ("cat", "dog")})
    assert text == "file,p.top_1,p.value_1,size\na.png,dog,0.75,3\nb.png,cat,0.5,4\n"


def test_the_largest_values_are_in_order_and_no_more_than_there_are() -> None:
    outputs = {"p": np.array([[0.25, 0.5, 0.25]], np.float32)}
    text = predict.as_csv(outputs, (), 9, {})
    assert text.splitlines()[1] == "1,0.5,0,0.25,2,0.25"


def test_outputs_without_rows() -> None:
    assert predict.as_csv({"p": np.zeros((0, 2))}, (), None, {}) == "p.0,p.1\n"
    assert predict.as_csv({"s": np.float32(1.5)}, (), None, {}) == "s\n1.5\n"


def test_python_takes_paths_and_keeps_classes(
    tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nnc
    import nnrt

    text = """\
net Small {
    input x: f32[N, 2]
    logits = x -> dense(2)
    output p = softmax(logits)
}
train Small {
    input label: i64[N]
    loss = cross_entropy(logits, label)
}
"""
    monkeypatch.chdir(tables)
    model = nnc.compile(text)
    history = model.fit("d.csv", validation="v.csv", epochs=1, progress=False)
    assert "validation_loss" in history[0]
    model.save("m.nnc")
    model = nnrt.load("m.nnc")
    # The only row is of class `b`: its code is that of the training data, 1, not 0.
    x, label = np.array([[1, 2]], np.float32), np.array([1])
    assert model.evaluate("v.csv") == model.evaluate({"x": x, "label": label})
    assert (model.predict("v.csv") == model(x)).all()
