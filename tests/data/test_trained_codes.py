"""Data for a trained model is read as its training data was, never as the file at hand suggests."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import nnc
import nnrt
import numpy as np
import pytest
from nnc.cli import main
from nnrt import Error, Model, data
from PIL import Image

CITIES = """\
net Prices {
    input city: i64[N]
    output price = embedding(city, 3, 1)
}
train Prices {
    input target: f32[N, 1]
    loss = mean_squared_error(price, target)
}
"""
TRAINING = "city,target\nRome,3\nBerlin,1\nParis,2\nRome,3\n"

ANIMALS = """\
net Animals {
    input image: u8[N, 2, 2, 1]
    logits = flatten(f32(image)) -> dense(3)
    output p = softmax(logits)
    output kind = argmax(logits)
}
train Animals {
    input label: i64[N]
    loss = cross_entropy(logits, label)
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str) -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def trained(text: str = TRAINING) -> Model:
    """A model whose price of the city with the code i is i."""
    model = nnc.compile(CITIES)
    model.fit(write("train.csv", text), epochs=1, progress=False)
    model.parameters["table"] = np.array([[0], [1], [2]], np.float32)
    model.save("m.nnc", training=True)
    return nnrt.load("m.nnc")


def test_one_category_alone_keeps_its_code() -> None:
    model = trained()
    assert model.training is not None
    assert model.training["classes"] == {"city": ["Berlin", "Paris", "Rome"]}
    path = write("paris.csv", "city,target\nParis,1\nParis,1\n")
    assert model.predict(path).tolist() == [[1], [1]]
    assert model.predict(Path(path)).tolist() == [[1], [1]]
    assert model.evaluate(path)["loss"] == 0
    assert model.predict(np.array([1, 0])).tolist() == [[1], [0]]  # numbers are codes


def test_the_commands_use_the_codes_too(capsys: pytest.CaptureFixture[str]) -> None:
    trained()
    path = write("paris.csv", "city,target\nParis,1\n")
    assert main(["predict", "m.nnc", path]) == 0
    assert capsys.readouterr().out == "price\n1.0\n"
    assert main(["evaluate", "m.nnc", "--data", path]) == 0
    assert "loss 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("city,target\nParis,1\nMadrid,2\n", r"line 3, column `city`: `Madrid` is none of"),
        ("city,target\nparis,1\n", r"line 2.*Did you mean `Paris`\?"),
        ("city,target\n1,1\n", r"line 2, column `city`: `1` is none of the classes"),
        ("city,target\nParis,1\n,2\n", r"line 3, column `city`: the cell is empty"),
        ("city,target\nNA,2\n", r"line 2, column `city`: `NA` stands for a missing value"),
    ],
)
def test_an_unknown_category_is_an_error_everywhere(text: str, message: str) -> None:
    model = trained()
    path = write("new.csv", text)
    for use in (
        model.predict,
        model.evaluate,
        lambda path: model.fit("train.csv", validation=path, progress=False),
        lambda path: model.fit(path, progress=False),
    ):
        with pytest.raises(Error, match=message):
            use(path)
    for command in (
        ["predict", "m.nnc", path],
        ["evaluate", "m.nnc", "--data", path],
        ["train", "m.nnc", "--data", "train.csv", "--validation", path, "--quiet"],
        ["train", "m.nnc", "--data", path, "--quiet"],
    ):
        assert main(command) == 1


def test_text_for_a_model_that_learned_numbers_is_an_error() -> None:
    model = trained("city,target\n0,0\n1,1\n2,2\n")
    path = write("paris.csv", "city,target\nParis,1\n")
    for use in (
        model.predict,
        model.evaluate,
        lambda path: model.fit("train.csv", validation=path, progress=False),
        lambda path: model.fit(path, progress=False),
    ):
        with pytest.raises(Error, match=r"`Paris` is not a number.*`city` .*has no classes"):
            use(path)
    assert model.predict(write("two.csv", "city\n2\n")).tolist() == [[2]]


def test_arrays_leave_no_codes_for_text() -> None:
    model = nnc.compile(CITIES)
    arrays = {"city": np.array([0, 1, 2]), "target": np.ones((3, 1), np.float32)}
    with pytest.raises(Error, match="has no classes"):
        model.fit(arrays, validation=write("t.csv", TRAINING), epochs=1, progress=False)
    model.fit(arrays, epochs=1, progress=False)
    with pytest.raises(Error, match="has no classes"):
        model.predict("t.csv")


def test_arrays_that_were_read_with_other_codes() -> None:
    model = trained()
    path = write("paris.csv", "city,target\nParis,1\n")
    inputs = [*model.inputs, {"name": "target", "dtype": "f32", "shape": ["N", 1]}]
    wrong = nnrt.data.open(path, inputs)
    assert wrong["city"].tolist() == [0]  # the code of Berlin
    for use in (model.predict, model.evaluate, lambda data: model.fit(data, progress=False)):
        with pytest.raises(Error, match="was read with the classes `Paris`, and") as caught:
            use(wrong)
    advised = str(caught.value).split("`")[-2]
    right = eval(advised, {"nnrt": nnrt, "model": model, "path": path, "inputs": inputs})
    assert model.predict(right).tolist() == [[1]] and model.evaluate(right)["loss"] == 0
    numbers = trained("city,target\n0,0\n1,1\n2,2\n")
    with pytest.raises(Error, match="the model was trained with none"):
        numbers.predict(wrong)


def test_training_that_is_refused_leaves_no_codes() -> None:
    model = nnc.compile(CITIES)
    with pytest.raises(Error, match="not a number"):
        model.fit(write("bad.csv", "city,target\nOslo,one\n"), progress=False)
    with pytest.raises(Error, match="`epochs` must be"):
        model.fit(write("oslo.csv", "city,target\nOslo,1\n"), epochs=0, progress=False)
    model.fit(write("t.csv", TRAINING), epochs=1, progress=False)
    assert model.training is not None
    assert model.training["classes"] == {"city": ["Berlin", "Paris", "Rome"]}


def test_numbers_and_text_in_one_column_are_a_mistake_in_any_order() -> None:
    for cells in ("1\n2\nx", "x\n1\n2"):
        text = "city,target\n" + cells.replace("\n", ",1\n") + ",1\n"
        with pytest.raises(Error, match=r"`x` is text, and line \d of the column has .*`c1`"):
            nnc.compile(CITIES).fit(write("mixed.csv", text), progress=False)


def test_classes_that_look_like_numbers_are_those_of_the_training() -> None:
    wanted = [{"name": "city", "dtype": "i64", "shape": ["N"]}]
    path = write("one.csv", "city\n1\n")
    assert data.open(path, wanted, classes={"city": ("x", "1", "2")})["city"].tolist() == [1]
    assert data.open(path, wanted)["city"].tolist() == [1]
    with pytest.raises(Error, match="`1` is none of the classes"):
        data.open(path, wanted, classes={"city": ("x", "2")})


FEATURES = """\
net Line {
    input x: f32[N, 2]
    output y = dense(x, 1)
}
train Line {
    input target: f32[N, 1]
    loss = mean_squared_error(y, target)
}
"""


def test_columns_are_those_of_the_training_wherever_they_stand() -> None:
    model = nnc.compile(FEATURES)
    model.fit(write("t.csv", "a,b,target\n1,2,3\n2,3,4\n"), epochs=1, progress=False)
    model.save("m.nnc")
    model = nnrt.load("m.nnc")
    right = model.predict(np.array([[1, 2]], np.float32))
    for text in ("b,a\n2,1\n", "id,b,a,c\n7,2,1,9\n"):
        assert (model.predict(write("other.csv", text)) == right).all()
    assert model.evaluate(write("e.csv", "target,b,a\n0,2,1\n"))["loss"] == right[0, 0] ** 2
    with pytest.raises(Error, match=r"no column `b`, and the model was trained on it.*`a`, `b`"):
        model.predict(write("other.csv", "a,c\n1,2\n"))


def test_the_target_of_rows_to_predict_is_not_read() -> None:
    model = trained()
    assert model.predict(write("open.csv", "city,target\nRome,\n")).tolist() == [[2]]


def pictures(folder: str, **classes: int) -> str:
    for name, count in classes.items():
        path = Path(folder, name)
        path.mkdir(parents=True)
        for number in range(count):
            Image.new("L", (2, 2), 10 * number).save(path / f"{number}.png")
    return folder


def animals() -> Model:
    model = nnc.compile(ANIMALS)
    model.fit(pictures("train", ant=1, cat=1, dog=2), epochs=1, progress=False)
    model.parameters["weight"] = np.zeros((4, 3), np.float32)
    model.parameters["offset"] = np.array([0, 0, 9], np.float32)
    model.save("a.nnc", training=True)
    return nnrt.load("a.nnc")


def test_class_folders_keep_their_numbers() -> None:
    model = animals()
    assert model.evaluate(pictures("dogs", dog=2))["loss"] < 0.01
    with pytest.raises(Error, match="cow is none of the classes of the training data: `ant`"):
        model.evaluate(pictures("cows", cow=1))
    unknown: Any = model.predict("cows")  # the folders of images to predict need not be classes
    assert unknown.kind.tolist() == [2]


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_predictions_are_printed_with_the_names_of_classes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    animals()
    pictures("new", some=1)
    assert main(["predict", "a.nnc", "new"]) == 0
    (row,) = read(capsys.readouterr().out)
    assert list(row) == ["file", "p", "p.ant", "p.cat", "p.dog", "kind"]
    assert row["p"] == row["kind"] == "dog" and float(row["p.dog"]) > 0.9
    assert main(["predict", "a.nnc", "new", "--top", "2"]) == 0
    (row,) = read(capsys.readouterr().out)
    assert row["p.top_1"] == "dog" and row["p.top_2"] == "ant" and row["kind"] == "dog"


def test_names_of_a_feature_are_not_those_of_the_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = CITIES.replace("embedding(city, 3, 1)", "embedding(city, 3, 3)")
    model = nnc.compile(text.replace("f32[N, 1]", "f32[N, 3]"))
    header = "city,target.0,target.1,target.2\n"
    model.fit(write("t.csv", header + "a,0,0,0\nb,0,0,0\nc,0,0,0\n"), epochs=1, progress=False)
    model.save("m.nnc")
    assert main(["predict", "m.nnc", write("n.csv", "city\nb\n")]) == 0
    assert capsys.readouterr().out.startswith("price.0,price.1,price.2\n")
