"""Tables: CSV files with a header (also separated by tabs or semicolons, also gzipped).

How columns become inputs:
- an input with one number a row, [N] or [N, 1], takes the column of its name; if just one such
  input is without a column and there is a column `target`, it takes that;
- a wider input takes the columns `name.0`, `name.1`, … (or `name_0`, `name0`; from 0 or 1), and the
  only one without such columns takes all numeric columns that no other input has, in their order;
- an integer input may take a column of text: its values become codes in sorted order, and are
  noted;
- columns that nothing uses are noted.

Every cell used must be a finite number (or such text): errors name the line and the column.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from nnrt.data.types import DTYPES, Array, Arrays, Input, class_note, did_you_mean, quoted
from nnrt.errors import Error

TARGET = "target"
TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "1": 1.0, "0": 0.0}


@dataclass(frozen=True)
class Table:
    path: Path
    header: list[str]
    columns: list[tuple[str, ...]]
    lines: list[int]

    def cell(self, row: int, column: int) -> str:
        return f"{self.path}, line {self.lines[row]}, column `{self.header[column]}`"

    def is_numeric(self, column: int) -> bool:
        """By its first cell: a wrong cell further down is then a mistake, not another kind of
        column.
        """
        return is_number(self.columns[column][0])


def read(
    path: Path, wanted: list[Input], extra: list[Input], classes: dict[str, tuple[str, ...]]
) -> Arrays:
    table = load(path)
    chosen, notes = assign(table, wanted, extra)
    arrays: dict[str, Array] = {}
    found: dict[str, tuple[str, ...]] = {}
    for item in [*wanted, *extra]:
        columns = chosen.get(item.name)
        if columns is None:
            continue
        if item.is_integer and len(columns) == 1 and is_text(table, columns[0], classes, item):
            known = classes.get(item.name)
            codes, found[item.name] = encode(table, columns[0], item, known)
            arrays[item.name] = codes.reshape(-1, *([1] * (len(item.shape) - 1)))
            notes.append(class_note(item.name, found[item.name]))
        else:
            arrays[item.name] = numbers(table, columns, item)
    used = {column for columns in chosen.values() for column in columns}
    unused = [name for index, name in enumerate(table.header) if index not in used]
    if unused:
        notes.append(f"{path.name}: columns not used: {quoted(unused)}")
    return Arrays(arrays, notes=notes, classes=found)


def load(path: Path) -> Table:
    """The table as text, checked to be one: a header of names, and as many cells in every line."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = data.decode("utf-8-sig")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Error(f"{path} is damaged: {error}. Fetch it again.", "N0741") from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Error(
            f"{path}, line {line}: this is not UTF-8 text. Save it as UTF-8.", "N0741"
        ) from error
    first = text.partition("\n")[0]
    reader = csv.reader(text.splitlines(keepends=True), delimiter=max(",;\t", key=first.count))
    rows, lines = [], []
    try:
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise Error(f"{path}, line {reader.line_num}: {error}.", "N0744") from error
    if not rows:
        raise Error(f"{path} is empty: a header and at least one line of data are needed.", "N0744")
    header = [name.strip() for name in rows[0]]
    check_header(path, header, rows[0])
    for row, line in zip(rows[1:], lines[1:], strict=True):
        if len(row) != len(header):
            raise Error(
                f"{path}, line {line}: {len(row)} cells where the header has {len(header)}. "
                "A cell that contains the separator needs quotes.",
                "N0744",
            )
    if len(rows) == 1:
        raise Error(f"{path} has a header but no data: add a line for each row.", "N0744")
    return Table(path, header, list(zip(*rows[1:], strict=True)), lines[1:])


def check_header(path: Path, header: list[str], cells: list[str]) -> None:
    if all(is_number(cell) for cell in cells):
        example = ",".join(f"x.{index}" for index in range(len(cells))[:3])
        raise Error(
            f"{path}: the first line holds numbers, but it must name the columns. Put a line of "
            f"names before it, such as `{example}`.",
            "N0743",
        )
    for index, name in enumerate(header):
        if not name:
            raise Error(
                f"{path}: column {index + 1} has no name in the header. Name it, or remove the "
                "column.",
                "N0743",
            )
        if name in header[:index]:
            raise Error(f"{path}: two columns are named `{name}`. Rename one of them.", "N0743")


def assign(
    table: Table, wanted: list[Input], extra: list[Input]
) -> tuple[dict[str, list[int]], list[str]]:
    """The columns of each input, by the rules above."""
    chosen: dict[str, list[int]] = {}
    for item in [*wanted, *extra]:
        if item.row_size == 1 and item.name in table.header:
            chosen[item.name] = [table.header.index(item.name)]
        elif item.row_size != 1 and (columns := numbered(table, item)):
            chosen[item.name] = columns
    open_inputs = [item for item in [*wanted, *extra] if item.name not in chosen]
    single = [item for item in open_inputs if item.row_size == 1]
    claimed = {column for columns in chosen.values() for column in columns}
    if len(single) == 1 and len(wanted) + len(extra) > 1 and TARGET in table.header:
        column = table.header.index(TARGET)
        if column not in claimed:
            chosen[single[0].name] = [column]
            claimed.add(column)
    missing = [item for item in wanted if item.name not in chosen and item.row_size == 1]
    if missing:
        raise Error(absent(table, missing[0]), "N0742")
    wide = [item for item in wanted if item.name not in chosen]
    if len(wide) > 1:
        raise Error(
            f"{table.path}: {quoted(item.name for item in wide)} all need several columns, so the "
            f"columns must be named after them: `{wide[0].name}.0`, `{wide[0].name}.1`, …",
            "N0742",
        )
    notes = []
    if wide:
        chosen[wide[0].name] = remaining(table, wide[0], claimed)
        notes.append(columns_note(table, wide[0], chosen[wide[0].name]))
    return chosen, notes


def numbered(table: Table, item: Input) -> list[int]:
    """The columns `name.0`, `name.1`, … in the order of their numbers."""
    pattern = re.compile(rf"^{re.escape(item.name)}[._]?(\d+)$")
    places = {}
    for column, name in enumerate(table.header):
        match = pattern.match(name)
        if match:
            places[int(match[1])] = column
    if not places:
        return []
    order = sorted(places)
    if order[0] > 1 or order != list(range(order[0], order[0] + len(order))):
        lacking = next(n for n in range(min(order[0], 1), order[-1]) if n not in places)
        raise Error(
            f"{table.path}: of the columns `{table.header[places[order[0]]]}` … "
            f"`{table.header[places[order[-1]]]}` "
            f"for the input {item}, number {lacking} is missing.",
            "N0742",
        )
    columns = [places[number] for number in order]
    check_width(table, item, columns, [])
    return columns


def remaining(table: Table, item: Input, claimed: set[int]) -> list[int]:
    free = [column for column in range(len(table.header)) if column not in claimed]
    numeric = [column for column in free if table.is_numeric(column)]
    texts = [column for column in free if column not in numeric]
    size = item.row_size
    if size is not None and len(numeric) == size + 1:
        numeric = [column for column in numeric if table.header[column] != TARGET]
    check_width(table, item, numeric, texts)
    return numeric


def check_width(table: Table, item: Input, columns: list[int], texts: list[int]) -> None:
    known = prod(size for size in item.shape[1:] if isinstance(size, int))
    exact = item.row_size is not None
    if columns and (len(columns) == known if exact else len(columns) % known == 0):
        return
    names = quoted(table.header[column] for column in columns)
    text = ""
    if texts:
        first = texts[0]
        value = table.columns[first][0]
        text = (
            f" Not numeric: {quoted(table.header[column] for column in texts)} "
            f"(line {table.lines[0]}, `{table.header[first]}`: `{value}`)."
        )
    raise Error(
        f"{table.path}: the input {item} needs {known if exact else f'a multiple of {known}'} "
        f"columns and {len(columns)} are there{': ' + names if columns else ''}.{text} "
        f"Name its columns `{item.name}.0`, `{item.name}.1`, …, or change the input's shape.",
        "N0742",
    )


def columns_note(table: Table, item: Input, columns: list[int]) -> str:
    names = [table.header[column] for column in columns]
    if len(names) <= 5:
        return f"`{item.name}` takes the columns {quoted(names)}"
    return f"`{item.name}` takes the {len(names)} columns `{names[0]}` to `{names[-1]}`"


def absent(table: Table, item: Input) -> str:
    hint = did_you_mean(item.name, table.header)
    return (
        f"{table.path} has no column `{item.name}` for the input {item}.{hint} "
        f"Its columns: {quoted(table.header)}."
    )


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def is_text(table: Table, column: int, classes: dict[str, tuple[str, ...]], item: Input) -> bool:
    return item.name in classes or not table.is_numeric(column)


def encode(
    table: Table, column: int, item: Input, known: tuple[str, ...] | None
) -> tuple[Array, tuple[str, ...]]:
    cells = [cell.strip() for cell in table.columns[column]]
    for row, cell in enumerate(cells):
        if not cell:
            raise Error(empty(table, row, column), "N0745")
    classes = known if known is not None else tuple(sorted(set(cells)))
    limit = np.iinfo(np.dtype(DTYPES[item.dtype])).max
    if len(classes) > limit + 1:
        raise Error(
            f"{table.path}: column `{table.header[column]}` has {len(classes):,} different texts, "
            f"too many for the input {item}: declare it as i32.",
            "N0745",
        )
    codes = {text: code for code, text in enumerate(classes)}
    for row, cell in enumerate(cells):
        if cell not in codes:
            raise Error(
                f"{table.cell(row, column)}: `{cell}` is none of the classes of the training data: "
                f"{quoted(classes)}.",
                "N0745",
            )
    return np.array([codes[cell] for cell in cells], DTYPES[item.dtype]), classes


def numbers(table: Table, columns: list[int], item: Input) -> Array:
    dtype = DTYPES[item.dtype]
    rows = len(table.lines)
    result = np.empty((rows, len(columns)), dtype)
    for place, column in enumerate(columns):
        result[:, place] = column_of_numbers(table, column, item)
    sizes = [size if isinstance(size, int) else -1 for size in item.shape[1:]]
    if sizes.count(-1) > 1:
        raise Error(
            f"{table.path}: the input {item} leaves more than one dimension open, so a line of a "
            "table cannot give its shape. Use an .npz file.",
            "N0742",
        )
    return result.reshape(rows, *sizes) if item.shape else result


def column_of_numbers(table: Table, column: int, item: Input) -> Array:
    cells = table.columns[column]
    if item.dtype == "bool":
        return np.array([truth(table, row, column) for row in range(len(cells))], np.bool_)
    try:
        # Whole numbers beyond 2**53 are exact this way only.
        values: Array = np.array(cells, np.int64 if item.is_integer else np.float64)
    except (ValueError, OverflowError):
        values = np.array([number(table, row, column, item) for row in range(len(cells))])
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        place = table.cell(int(wrong[0]), column)
        raise Error(
            f"{place}: `{cells[wrong[0]]}` is no finite number. Fill it in or remove the line.",
            "N0745",
        )
    if item.is_integer:
        limits = np.iinfo(np.dtype(DTYPES[item.dtype]))
        wrong = np.flatnonzero(
            (values != np.floor(values)) | (values < limits.min) | (values > limits.max)
        )
        if len(wrong):
            raise Error(
                f"{table.cell(int(wrong[0]), column)}: `{cells[wrong[0]]}` is no whole number that "
                f"fits the input {item}.",
                "N0745",
            )
    return values


def number(table: Table, row: int, column: int, item: Input) -> float:
    cell = table.columns[column][row]
    if not cell.strip():
        raise Error(empty(table, row, column), "N0745")
    try:
        return float(cell)
    except ValueError:
        hint = ""
        if not table.is_numeric(column):
            hint = " A column of text needs an integer input with one number a row, such as i32[N]."
        raise Error(
            f"{table.cell(row, column)}: `{cell}` is not a number, and the input {item} needs "
            f"one.{hint}",
            "N0745",
        ) from None


def truth(table: Table, row: int, column: int) -> float:
    cell = table.columns[column][row]
    if not cell.strip():
        raise Error(empty(table, row, column), "N0745")
    value = TRUTH.get(cell.strip().lower())
    if value is None:
        raise Error(f"{table.cell(row, column)}: `{cell}` is neither true nor false.", "N0745")
    return value


def empty(table: Table, row: int, column: int) -> str:
    return f"{table.cell(row, column)}: the cell is empty. Fill it in or remove the line."
