"""CSV sources: how columns become inputs, and what is said when they cannot."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnrt import data
from nnrt.errors import Error


def wanted(name: str, dtype: str, *shape: int | str) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": ["N", *shape]}


FEATURES = wanted("features", "f32", 2)
LABEL = wanted("label", "i64")


def write(tmp_path: Path, text: str, name: str = "table.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_by_name_and_all_that_remain(tmp_path: Path) -> None:
    path = write(tmp_path, "a,label,b\n1,0,2.5\n3,1,-4e-1\n")
    arrays = data.open(path, [FEATURES, LABEL])
    assert arrays["features"].dtype == np.float32
    assert arrays["features"].tolist() == [[1, 2.5], [3, np.float32(-0.4)]]
    assert arrays["label"].dtype == np.int64 and arrays["label"].tolist() == [0, 1]
    assert arrays.notes == ("`features` takes the columns `a`, `b`",)


def test_the_label_may_meet_target(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,target\n1,2,7.5\n")
    arrays = data.open(path, [FEATURES, wanted("price", "f32", 1)])
    assert arrays["price"].tolist() == [[7.5]] and arrays["features"].tolist() == [[1, 2]]


def test_prediction_leaves_the_target_aside(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,target\n1,2,7.5\n")
    assert data.open(path, [FEATURES])["features"].tolist() == [[1, 2]]
    path = write(tmp_path, "a,label,b\n1,9,2\n")
    arrays = data.open(path, [FEATURES], aside=[LABEL])
    assert list(arrays) == ["features"] and arrays["features"].tolist() == [[1, 2]]
    path = write(tmp_path, "a,b\n1,2\n")
    assert list(data.open(path, [FEATURES], aside=[LABEL])) == ["features"]


@pytest.mark.parametrize("style", ["x.0 x.1 x.2", "x_0 x_1 x_2", "x0 x1 x2", "x.1 x.2 x.3"])
def test_numbered_columns(tmp_path: Path, style: str) -> None:
    first, second, third = style.split()
    path = write(tmp_path, f"{third},other,{first},{second}\n3,9,1,2\n")
    arrays = data.open(path, [wanted("x", "f32", 3)])
    assert arrays["x"].tolist() == [[1, 2, 3]]
    assert arrays.notes == ("table.csv: columns not used: `other`",)


def test_numbered_columns_fill_a_shape(tmp_path: Path) -> None:
    header = ",".join(f"pixel.{index}" for index in range(12))
    path = write(tmp_path, header + "\n" + ",".join(map(str, range(12))) + "\n")
    image = data.open(path, [wanted("pixel", "u8", 2, 3, 2)])["pixel"]
    assert image.shape == (1, 2, 3, 2) and image.ravel().tolist() == list(range(12))
    assert data.open(path, [wanted("pixel", "u8", "T", 3)])["pixel"].shape == (1, 4, 3)


def test_a_gap_in_numbered_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "x.0,x.2\n1,2\n")
    with pytest.raises(Error, match="number 1 is missing"):
        data.open(path, [wanted("x", "f32", 2)])


def test_text_becomes_codes_in_sorted_order(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,label\n1,2,cat\n3,4,ant\n5,6,cat\n")
    arrays = data.open(path, [FEATURES, LABEL])
    assert arrays["label"].tolist() == [1, 0, 1]
    assert arrays.classes == {"label": ("ant", "cat")}
    assert "classes of `label`: ant = 0, cat = 1" in arrays.notes


def test_a_second_file_uses_the_classes_of_the_first(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,label\n1,2,cat\n")
    known = {"label": ("ant", "cat")}
    assert data.open(path, [FEATURES, LABEL], classes=known)["label"].tolist() == [1]
    path = write(tmp_path, "a,b,label\n1,2,cow\n")
    with pytest.raises(Error, match=r"line 2, column `label`: `cow` is none of the classes"):
        data.open(path, [FEATURES, LABEL], classes=known)


def test_separators_quotes_marks_and_gzip(tmp_path: Path) -> None:
    for separator in ",;\t":
        text = f'\ufeffa{separator}"b"{separator}label\r\n1{separator}"2"{separator}0\r\n\r\n'
        arrays = data.open(write(tmp_path, text), [FEATURES, LABEL])
        assert arrays["features"].tolist() == [[1, 2]]
    packed = tmp_path / "table.csv.gz"
    packed.write_bytes(gzip.compress(b"a,b,label\n1,2,0\n"))
    assert data.open(packed, [FEATURES, LABEL])["label"].tolist() == [0]
    packed.write_bytes(packed.read_bytes()[:20])
    with pytest.raises(Error, match="is damaged"):
        data.open(packed, [FEATURES, LABEL])


def test_bool_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "ok\ntrue\nFalse\n1\nno\n")
    assert data.open(path, [wanted("ok", "bool")])["ok"].tolist() == [True, False, True, False]
    path = write(tmp_path, "ok\nmaybe\n")
    with pytest.raises(Error, match="line 2, column `ok`: `maybe` is neither true nor false"):
        data.open(path, [wanted("ok", "bool")])


def test_large_whole_numbers_are_exact(tmp_path: Path) -> None:
    path = write(tmp_path, f"id\n{2**62 + 1}\n-3.0\n".replace("-3.0", "-3"))
    assert data.open(path, [wanted("id", "i64")])["id"].tolist() == [2**62 + 1, -3]
    path = write(tmp_path, "id\n4.0\n")
    assert data.open(path, [wanted("id", "i64")])["id"].tolist() == [4]


BAD_CELLS = [
    ("a,b,label\n1,2,0\n1,two,0\n", "line 3, column `b`: `two` is not a number"),
    ("a,b,label\n1,2,0\n\n1,,0\n", "line 4, column `b`: the cell is empty"),
    ("a,b,label\n1,2,0\n1,nan,0\n", "line 3, column `b`: `nan` stands for a missing value"),
    ("a,b,label\n1,1e999,0\n", "line 2, column `b`: `1e999` is too large"),
    ("a,b,label\n1,2,0.5\n", "line 2, column `label`: `0.5` is no whole number"),
    ("a,b,label\n1,2,0\n1,2\n", "line 3: 2 cells where the header has 3"),
    ('a,b,label\n"1\n",2,0\n1,2\n', "line 4: 2 cells where the header has 3"),
    ("a,b,label\n", "has a header but no data"),
    ("", "is empty: a header"),
    ("1,2,3\n4,5,6\n", "the first line holds numbers"),
    ("a,,label\n1,2,3\n", "column 2 has no name"),
    ("a,a,label\n1,2,3\n", "two columns are named `a`"),
    ("a,b,c\n1,2,3\n", "no column `label` for the input `label`"),
    ("a,b,lable\n1,2,3\n", "Did you mean `lable`"),
    ("a,b,c,label\n1,2,3,0\n", r"needs 2 columns and 3 are there: `a`, `b`, `c`"),
    ("a,b,label\n1,x,0\n", r"needs 2 columns and 1 are there: `a`\. Not numeric: `b` \(line 2,"),
]


@pytest.mark.parametrize(("text", "message"), BAD_CELLS)
def test_mistakes_name_their_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(Error, match=message):
        data.open(write(tmp_path, text), [FEATURES, LABEL])


def test_text_cannot_meet_a_float(tmp_path: Path) -> None:
    path = write(tmp_path, "label\nM\n")
    with pytest.raises(Error, match=r"`M` is not a number.*needs an integer input"):
        data.open(path, [wanted("label", "f32")])


def test_an_integer_that_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(Error, match="`256` is no whole number that fits the input `x`"):
        data.open(write(tmp_path, "x\n256\n"), [wanted("x", "u8")])


def test_two_wide_inputs_need_numbered_columns(tmp_path: Path) -> None:
    path = write(tmp_path, "a,b,c,d\n1,2,3,4\n")
    with pytest.raises(Error, match=r"`x`, `y` all need several columns.*`x\.0`, `x\.1`"):
        data.open(path, [wanted("x", "f32", 2), wanted("y", "f32", 2)])


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes(b"a,b\n1,\xe9\n")
    with pytest.raises(Error, match="line 2: this is not UTF-8"):
        data.open(path, [FEATURES])
