"""CSV, strictly: nothing is left out, joined or guessed silently."""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnrt import data
from nnrt.data import content
from nnrt.errors import Error


def wanted(name: str, dtype: str = "f32", *shape: int | str) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": ["N", *shape]}


def read(path: Path, *inputs: dict[str, Any]) -> data.Arrays:
    return data.open(path, inputs or [wanted("x")])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def test_a_quote_that_never_closes(table: Path) -> None:
    rows = [f"{i},text {i}" for i in range(1000)]
    rows[3] = '3,"text 3'
    table.write_text("x,note\n" + "\n".join(rows) + "\n")
    with pytest.raises(Error, match=r"line 5: a quote opens in this line and never closes"):
        read(table)


def test_a_quote_that_a_later_one_closes(table: Path) -> None:
    for first, last in [('3,"text 3', '700,text 700"'), ('3,"text 3', '700,"text 700"')]:
        rows = [f"{i},text {i}" for i in range(1000)]
        rows[3], rows[700] = first, last
        table.write_text("x,note\n" + "\n".join(rows) + "\n")
        with pytest.raises(Error, match=r"line (6|702): .*line 5"):
            read(table)
    table.write_text('x,note,y\n1,"abc,2\n3,def",4\n5,g,6\n')  # two rows read as one
    with pytest.raises(Error, match=r"line 3: this line reads as a row .* opens in line 2"):
        read(table)


def test_a_quote_that_is_open_for_long(table: Path) -> None:
    table.write_text('x,note\n1,a\n2,"' + "3,some more text\n" * 20_000)
    with pytest.raises(Error, match=r"line 3: .*more than 131,072 characters.* never closes"):
        read(table)


def test_cells_may_hold_line_breaks_in_quotes(table: Path) -> None:
    table.write_bytes(b'note,x\r\n"one, two\r\nthree, four\r\n",1\r\n"a ""b"" c",2\r\n"d\ne",3\r\n')
    assert read(table)["x"].tolist() == [1, 2, 3]
    table.write_text('x,note\n1,"a\nb"\n2,c\nnone,d\n')
    with pytest.raises(Error, match="line 5, column `x`: `none` is not a number"):
        read(table)


@pytest.mark.parametrize("row", ['1,5" pipe', '1,a "b" c', '1,"a" b', '1,"a"b"', 'x"y,2'], ids=str)
def test_quotes_within_cells_are_written_twice(table: Path, row: str) -> None:
    table.write_text(f"x,note\n0,a\n{row}\n2,b\n")
    with pytest.raises(Error, match=r"line 3: .*[Qq]uote"):
        read(table)


def test_spaces_around_cells_and_quotes(table: Path) -> None:
    table.write_text('x, note, y\n 1, "a, b",\t2 \n')
    arrays = read(table, wanted("x"), wanted("y", "i64"))
    assert arrays["x"].tolist() == [1] and arrays["y"].tolist() == [2]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x85"])
def test_only_line_ends_end_a_row(table: Path, mark: str) -> None:
    table.write_text(f"x,note\n1,a{mark}b\n2,c\n", encoding="utf-8")
    assert read(table)["x"].tolist() == [1, 2]
    table.write_text(f"x,note\n1,a{mark}b\nno,c\n", encoding="utf-8")
    with pytest.raises(Error, match="line 3, column `x`"):
        read(table)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_kind(table: Path, end: str) -> None:
    table.write_bytes(end.join(["x,note", "1,a", "2,b", ""]).encode())
    assert read(table)["x"].tolist() == [1, 2]
    table.write_bytes(end.join(["x,note", "1,a", "2,b,c", ""]).encode())
    with pytest.raises(Error, match="line 3: 3 cells where the header has 2"):
        read(table)


NO_NUMBERS = [
    *("2020_01_02", "1_000", "0x10", "0b1", "１２", "1,000", "1,5", "1 000", "1e", "--1", "1+1"),
    *("inf", "-Infinity", "1.2.3", "٣", "1\u00a0000", "\u00a01", "1d5", "1j", "True", "½"),
]


@pytest.mark.parametrize("dtype", ["f32", "f64", "i64", "u8"])
@pytest.mark.parametrize("cell", NO_NUMBERS)
def test_numbers_are_plain_decimal_numbers(table: Path, cell: str, dtype: str) -> None:
    table.write_text(f'note,x\na,1\nb,"{cell}"\n', encoding="utf-8")
    with pytest.raises(Error, match=r"line 3, column `x`: "):
        read(table, wanted("x", dtype))


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1.5", 1.5), ("-.5e2", -50), ("+3.", 3), ("1E-2", 0.01), (" 7\t", 7), ("007", 7)],
)
def test_decimal_numbers_of_every_form(table: Path, cell: str, value: float) -> None:
    table.write_text(f"x,y\n{cell},0\n")
    assert read(table, wanted("x", "f64"))["x"].tolist() == [value]


def test_help_for_other_ways_to_write_numbers(table: Path) -> None:
    for cell in ("1_000", "1,5", "1,234.5", "1 000"):
        table.write_text(f'x\n1\n"{cell}"\n')
        with pytest.raises(Error, match=r"Write it as in `-1234\.5`"):
            read(table)
    table.write_text("x\n1\n１２\n", encoding="utf-8")
    with pytest.raises(Error, match="Write it with the digits 0 to 9"):
        read(table)


@pytest.mark.parametrize("dtype", ["f32", "i64", "bool"])
@pytest.mark.parametrize(
    "cell", ["", " ", "NA", "n/a", "NaN", "nan", "null", "<NA>", "None", "#N/A"]
)
def test_a_missing_value_is_no_number_and_no_class(table: Path, cell: str, dtype: str) -> None:
    others = ("1", "cat") if dtype == "i64" else ("1",)
    for other in others:
        table.write_text(f"x,y\n{other},0\n{cell},1\n{other},2\n{cell},3\n")
        with pytest.raises(Error, match=r"line 3, column `x`: .*column has 2 such cells") as caught:
            read(table, wanted("x", dtype))
        text = str(caught.value)
        assert "missing value" in text if cell.strip() else "the cell is empty" in text


def test_a_class_may_have_the_name_of_a_missing_value_if_the_training_named_it(table: Path) -> None:
    table.write_text("x\nNA\n")
    known = {"x": ("EU", "NA")}
    assert data.open(table, [wanted("x", "i64")], classes=known)["x"].tolist() == [1]


def test_numbers_too_large_for_their_input(table: Path) -> None:
    for dtype, cell in [("f32", "1e39"), ("f64", "1e309"), ("i64", "1e19"), ("u8", "256")]:
        table.write_text(f"x\n1\n{cell}\n")
        with pytest.raises(Error, match=rf"line 3, column `x`: `{cell}` is"):
            read(table, wanted("x", dtype))
    for cell in ("1e999999999", "1e-999999999", "1e99999999999999999999", "9" * 5000, "0.5"):
        table.write_text(f"x\n1\n{cell}\n")
        with pytest.raises(Error, match="is no whole number that fits"):
            read(table, wanted("x", "i64"))


def test_whole_numbers_beside_floats_stay_exact(table: Path) -> None:
    table.write_text(f"x\n{2**62 + 1}\n4.0\n1e3\n{-(2**63)}\n")
    assert read(table, wanted("x", "i64"))["x"].tolist() == [2**62 + 1, 4, 1000, -(2**63)]


def test_bytes_that_are_no_text(table: Path) -> None:
    for content_of_file, message in [
        ("x\n1\n".encode("utf-16"), "UTF-16 text"),
        (b"x\n1\n2\x003\n", "line 3: there is a zero byte"),
        (b"x,y\r1,a\r2,\xe9\r", r"line 3: this is not UTF-8 text \(byte 0xe9\)"),
        (b"PK\x03\x04rest", "Excel"),
        (gzip.compress(b"x\n1\n"), r"`\.csv\.gz`"),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xef\xbb\xbfx\n", "a header but no data"),
    ]:
        table.write_bytes(content_of_file)
        with pytest.raises(Error, match=message):
            read(table)


def test_lines_of_other_lengths_and_empty_lines(table: Path) -> None:
    for text, message in [
        ("x,y\n1,2\n3\n", "line 3: 1 cells where the header has 2"),
        ("x,y\n1,2\n3,4,\n", "line 3: 3 cells where the header has 2 .separated by commas"),
        ("x\n1\n\n3\n", "line 3, column `x`: the cell is empty"),
        ("x,y,x\n1,2,3\n", "two columns are named `x`"),
        ("x.0,x.00\n1,2\n", "have the same number"),
    ]:
        table.write_text(text)
        with pytest.raises(Error, match=message):
            read(table, wanted("x", "f32", 2) if "x.0" in text else wanted("x"))
    table.write_text("\n\nx,y\n\n1,2\n\n3,4\n\n\n")
    assert read(table)["x"].tolist() == [1, 3]
    table.write_text("x\n1\n3\n\n\n")
    assert read(table)["x"].tolist() == [1, 3]


def test_other_separators_are_said(table: Path) -> None:
    table.write_text('x;"a,b,c"\n1,5;2\n')
    with pytest.raises(Error, match=r"`1,5` is not a number.*Write it as in `-1234\.5`"):
        read(table)
    table.write_text('x;"a,b,c"\n1.5;2\n')
    arrays = read(table)
    assert arrays["x"].tolist() == [1.5]
    assert "table.csv is separated by semicolons" in arrays.notes


def test_many_columns_are_read_in_seconds(table: Path) -> None:
    count = 100_000
    header = ",".join([*(f"c{number}" for number in range(count)), "label"])
    table.write_text(f"{header}\n" + f"{'1.5,' * count}0\n" * 2)
    started = time.perf_counter()
    arrays = read(table, wanted("x", "f32", count), wanted("label", "i64"))
    assert arrays["x"].shape == (2, count) and (arrays["x"] == 1.5).all()
    for inputs in (
        [wanted("x", "f32", 3), wanted("label", "i64")],
        [wanted("x", "f32", count), wanted("labels", "i64")],
    ):
        with pytest.raises(Error) as caught:
            read(table, *inputs)
        assert len(str(caught.value)) < 1000
    numbered = ",".join(f"x.{number}" for number in range(count))
    table.write_text(f"{numbered}\n{'2,' * (count - 1)}2\n")
    assert read(table, wanted("x", "f32", "T"))["x"].shape == (1, count)
    # Quadratic work takes minutes here.
    assert time.perf_counter() - started < 60


def test_no_more_is_unpacked_than_memory_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 16 << 20
    monkeypatch.setattr(content, "available_memory", lambda: free)
    packed = tmp_path / "table.csv.gz"
    packed.write_bytes(gzip.compress(b"x\n" + b"0" * (free // 4)))
    assert packed.stat().st_size < 10_000
    with pytest.raises(Error, match=r"unpacks to more than 1,048,576 bytes, and the memory"):
        read(packed)
    plain = tmp_path / "table.csv"
    plain.write_bytes(b"x\n" + b"1\n" * (free // 16))
    with pytest.raises(Error, match=r"has 2,097,154 bytes, and the memory"):
        read(plain)
    packed.write_bytes(gzip.compress(b"x\n1\n") + gzip.compress(b"2\n"))
    assert read(packed)["x"].tolist() == [1, 2]
    assert content.available_memory() == free


def test_free_memory_is_known_on_this_machine() -> None:
    assert 1 << 20 < content.available_memory() <= content.UNLIMITED


def test_packed_data_that_is_damaged(tmp_path: Path) -> None:
    packed = tmp_path / "table.csv.gz"
    whole = gzip.compress(b"x\n" + b"".join(b"%d\n" % number for number in range(1000)))
    for damaged in (whole[:-9], whole[:200], b"x\n1\n", whole[:50] + b"\0" * 9 + whole[59:]):
        packed.write_bytes(damaged)
        with pytest.raises(Error, match="is damaged"):
            read(packed)


def test_a_table_must_be_a_file(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(Error, match="a regular file is needed"):
        read(tmp_path / "pipe.csv")


def test_text_is_coded_in_the_order_of_its_numbers(table: Path) -> None:
    table.write_text("x\nclass 10\nclass 2\nclass 1\n")
    arrays = read(table, wanted("x", "i64"))
    assert arrays.classes == {"x": ("class 1", "class 2", "class 10")}
    assert np.array_equal(arrays["x"], [2, 1, 0])
