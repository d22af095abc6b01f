"""Tables: how the columns of a CSV file (see `delimited`) become inputs.

- an input with one number a row, [N] or [N, 1], takes the column of its name; if just one such
  input is without a column and there is a column `target`, it takes that;
- a wider input takes the columns `name.0`, `name.1`, … (or `name_0`, `name0`; from 0 or 1), and the
  only one without such columns takes all numeric columns that no other input has, in their order.
  A trained model takes the columns that its training data had, by their names;
- an integer input may take a column of text: its values become codes in sorted order, and are
  noted. A trained model has the codes of its training data and takes no other text;
- columns that nothing uses are noted.

Every cell used must be a plain decimal number (or such text): errors name the line and the column.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from math import prod
from pathlib import Path

import numpy as np

from nnrt.data.delimited import NUMBER_TEXT, SEPARATORS, SPACE, Table, is_number, load
from nnrt.data.types import (
    Array,
    Arrays,
    Input,
    Known,
    class_note,
    did_you_mean,
    natural_order,
    quoted,
)
from nnrt.dtypes import numpy_type
from nnrt.errors import Error

TARGET = "target"
TRUTH = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0, "1": 1.0, "0": 0.0}
# Words that stand for a missing value, in any case; of `None` only this one, as in pandas.
MISSING = {"", "na", "n/a", "#na", "#n/a", "<na>", "nan", "-nan", "null"}
# Numbers with separators of thousands, or with a decimal comma.
GROUPED = re.compile(r"[-+]?(?:[0-9]{1,3}(?:[,_' .][0-9]{3})+(?:[.,][0-9]+)?|[0-9]*,[0-9]+)")
SHOWN_CELL = 60


def read(path: Path, wanted: list[Input], aside: list[Input], known: Known) -> Arrays:
    table = load(path)
    chosen, notes = assign(table, wanted, aside, known)
    if table.separator != "," and path.name.lower().removesuffix(".gz").endswith(".csv"):
        notes.append(f"{path.name} is separated by {SEPARATORS[table.separator]}")
    arrays: dict[str, Array] = {}
    classes: dict[str, tuple[str, ...]] = {}
    for item in wanted:
        columns = chosen[item.name]
        if len(columns) == 1 and is_text(table, columns[0], item, known):
            codes, classes[item.name] = encode(table, columns[0], item, known)
            arrays[item.name] = codes.reshape(-1, *([1] * (len(item.shape) - 1)))
            notes.append(class_note(item.name, classes[item.name]))
        else:
            arrays[item.name] = numbers(table, columns, item)
    used = {column for columns in chosen.values() for column in columns}
    unused = [name for index, name in enumerate(table.header) if index not in used]
    if unused:
        notes.append(f"{path.name}: columns not used: {quoted(unused)}")
    taken = {
        item.name: tuple(table.header[column] for column in chosen[item.name])
        for item in wanted
        if item.row_size != 1 and numbered(table, item) is None
    }
    return Arrays(arrays, notes=notes, classes=classes, columns=taken)


def assign(
    table: Table, wanted: list[Input], aside: list[Input], known: Known
) -> tuple[dict[str, list[int]], list[str]]:
    """The columns of each input, by the rules above."""
    place = {name: column for column, name in enumerate(table.header)}
    chosen: dict[str, list[int]] = {}
    for item in [*wanted, *aside]:
        if item.row_size == 1 and item.name in place:
            chosen[item.name] = [place[item.name]]
        elif item.row_size != 1 and (columns := numbered(table, item)) is not None:
            chosen[item.name] = columns
        elif item in wanted and item.name in known.columns:
            chosen[item.name] = trained_on(table, item, known.columns[item.name], place)
    open_inputs = [item for item in [*wanted, *aside] if item.name not in chosen]
    single = [item for item in open_inputs if item.row_size == 1]
    claimed = {column for columns in chosen.values() for column in columns}
    if len(single) == 1 and len(wanted) + len(aside) > 1 and TARGET in place:
        column = place[TARGET]
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


def trained_on(
    table: Table, item: Input, names: tuple[str, ...], place: dict[str, int]
) -> list[int]:
    """The columns that the input had in the training data, wherever they stand in this table."""
    lacking = [name for name in names if name not in place]
    if lacking:
        raise Error(
            f"{table.path} has no column {quoted(lacking)}, and the model was trained on it: the "
            f"input {item} takes the columns {quoted(names)}.",
            "N0742",
        )
    columns = [place[name] for name in names]
    check_width(table, item, columns, [])
    return columns


def numbered(table: Table, item: Input) -> list[int] | None:
    """The columns `name.0`, `name.1`, … in the order of their numbers, or None without any."""
    pattern = re.compile(rf"{re.escape(item.name)}[._]?([0-9]{{1,9}})")
    places: dict[int, int] = {}
    for column, name in enumerate(table.header):
        match = pattern.fullmatch(name)
        if match is None:
            continue
        number = int(match[1])
        if number in places:
            raise Error(
                f"{table.path}: the columns `{table.header[places[number]]}` and `{name}` have the "
                f"same number for the input {item}. Rename one of them.",
                "N0743",
            )
        places[number] = column
    if not places:
        return None
    order = sorted(places)
    if order[0] > 1 or order[-1] - order[0] + 1 != len(order):
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
    numeric: list[int] = []
    texts: list[int] = []
    for column in range(len(table.header)):
        if column not in claimed:
            (numeric if looks_numeric(table, column) else texts).append(column)
    size = item.row_size
    if size is not None and len(numeric) == size + 1:
        numeric = [column for column in numeric if table.header[column] != TARGET]
    check_width(table, item, numeric, texts)
    return numeric


def looks_numeric(table: Table, column: int) -> bool:
    """By its first cell with a value: a wrong cell further down is then a mistake, not another kind
    of column.
    """
    cells = table.columns[column]
    return is_number(next((cell for cell in cells if not is_missing(cell)), "0"))


def check_width(table: Table, item: Input, columns: list[int], texts: list[int]) -> None:
    known = prod(size for size in item.shape[1:] if isinstance(size, int))
    exact = item.row_size is not None
    if columns and (len(columns) == known if exact else len(columns) % known == 0):
        return
    names = quoted(table.header[column] for column in columns)
    text = ""
    if texts:
        first = texts[0]
        row = next(row for row, cell in enumerate(table.columns[first]) if not is_missing(cell))
        text = (
            f" Not numeric: {quoted(table.header[column] for column in texts)} "
            f"(line {table.lines[row]}, `{table.header[first]}`: "
            f"`{shown(table.columns[first][row])}`)."
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


def is_missing(cell: str) -> bool:
    cell = cell.strip(SPACE)
    return cell.lower() in MISSING or cell == "None"


def shown(cell: str) -> str:
    """A cell in an error: on one line, and not too long."""
    text = cell if cell.isprintable() else repr(cell)[1:-1]
    return text if len(text) <= SHOWN_CELL else f"{text[:SHOWN_CELL]}…"


# ---------------------------------------------------------------- text


def is_text(table: Table, column: int, item: Input, known: Known) -> bool:
    """Whether a column is read as text. Of a trained model the training data decides that, and of
    other ones the whole column, so that the order of the lines does not matter.
    """
    if item.name in known.classes:
        return True
    if not item.is_integer or known.closed:
        return False
    if parsed(table.columns[column], np.float64) is not None:
        return False
    text = number = None
    for row, cell in enumerate(table.columns[column]):
        if is_number(cell):
            number = row if number is None else number
        elif not is_missing(cell):
            text = row if text is None else text
    if text is not None and number is not None:
        cells = table.columns[column]
        raise Error(
            f"{table.cell(text, column)}: `{shown(cells[text].strip(SPACE))}` is text, and line "
            f"{table.lines[number]} of the column has the number `{cells[number].strip(SPACE)}`. "
            "Mend the cell; if all are names of classes, write them all as text, such as "
            f"`c{cells[number].strip(SPACE)}`.",
            "N0745",
        )
    return text is not None


def encode(table: Table, column: int, item: Input, known: Known) -> tuple[Array, tuple[str, ...]]:
    cells = [cell.strip(SPACE) for cell in table.columns[column]]
    names = set(cells)
    trained = known.classes.get(item.name)
    for missing in filter(is_missing, names):
        if trained is None or missing not in trained:
            raise Error(missing_value(table, column), "N0745")
    classes = tuple(sorted(names, key=natural_order)) if trained is None else trained
    dtype = numpy_type(item.dtype)
    if item.is_integer and len(classes) > np.iinfo(dtype).max + 1:
        raise Error(
            f"{table.path}: column `{table.header[column]}` has {len(classes):,} different texts, "
            f"too many for the input {item}: declare it as i32.",
            "N0745",
        )
    codes = {text: code for code, text in enumerate(classes)}
    if not names <= codes.keys():
        row = next(row for row, cell in enumerate(cells) if cell not in codes)
        raise Error(
            f"{table.cell(row, column)}: `{shown(cells[row])}` is none of the classes of the "
            f"training data: {quoted(classes)}.{did_you_mean(cells[row], classes)}",
            "N0745",
        )
    return np.array([codes[cell] for cell in cells], dtype), classes


def missing_value(table: Table, column: int) -> str:
    """The first cell of a column without a value, and what to do about it."""
    cells = table.columns[column]
    rows = [row for row, cell in enumerate(cells) if is_missing(cell)]
    cell = cells[rows[0]].strip(SPACE)
    what = f"`{cell}` stands for a missing value" if cell else "the cell is empty"
    more = f" The column has {len(rows):,} such cells." if len(rows) > 1 else ""
    named = " If it is the name of a class, write another word for it." if cell else ""
    return f"{table.cell(rows[0], column)}: {what}. Fill it in or remove the line.{more}{named}"


# ---------------------------------------------------------------- numbers


def numbers(table: Table, columns: list[int], item: Input) -> Array:
    dtype = numpy_type(item.dtype)
    rows = len(table.lines)
    result = np.empty((rows, len(columns)), dtype)
    for place, column in enumerate(columns):
        if item.dtype == "bool":
            result[:, place] = [truth(table, row, column) for row in range(rows)]
        elif item.is_integer:
            result[:, place] = whole_numbers(table, column, item)
        else:
            result[:, place] = floats(table, column, item)
    sizes = [size if isinstance(size, int) else -1 for size in item.shape[1:]]
    if sizes.count(-1) > 1:
        raise Error(
            f"{table.path}: the input {item} leaves more than one dimension open, so a line of a "
            "table cannot give its shape. Use an .npz file.",
            "N0742",
        )
    return result.reshape(rows, *sizes) if item.shape else result


def floats(table: Table, column: int, item: Input) -> Array:
    cells = table.columns[column]
    values = parsed(cells, np.float64)
    if values is None:
        check_numbers(table, column, item)
        values = np.array([float(cell) for cell in cells])
    with np.errstate(over="ignore"):
        values = values.astype(numpy_type(item.dtype))
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise Error(
            f"{table.cell(int(wrong[0]), column)}: `{shown(cells[wrong[0]])}` is too large for the "
            f"input {item}, whose numbers must be finite.",
            "N0745",
        )
    return values


def whole_numbers(table: Table, column: int, item: Input) -> Array:
    limits = np.iinfo(numpy_type(item.dtype))
    values = parsed(table.columns[column], np.int64)
    if values is None:  # such as `4.0` or `1e3`, or more than 64 bits
        check_numbers(table, column, item)
        rows = range(len(table.lines))
        values = np.array([whole(table, row, column, item, limits) for row in rows], np.int64)
    wrong = np.flatnonzero((values < limits.min) | (values > limits.max))
    if len(wrong):
        raise Error(not_whole(table, int(wrong[0]), column, item), "N0745")
    return values


def parsed(cells: tuple[str, ...], dtype: type[np.generic]) -> Array | None:
    """The numbers of a column at once, or None where a cell needs a look of its own."""
    if not NUMBER_TEXT.fullmatch("".join(cells)):
        return None
    try:
        return np.array(cells, dtype)
    except (ValueError, OverflowError):
        return None


def whole(table: Table, row: int, column: int, item: Input, limits: np.iinfo[np.integer]) -> int:
    """A cell as a whole number, exactly: a float holds not all of 64 bits."""
    try:
        value = Decimal(table.columns[column][row].strip(SPACE))
    except InvalidOperation:  # an exponent of many digits
        value = Decimal("nan")
    if (
        not value.is_finite()
        or not limits.min <= value <= limits.max
        or value != value.to_integral_value()
    ):
        raise Error(not_whole(table, row, column, item), "N0745")
    return int(value)


def not_whole(table: Table, row: int, column: int, item: Input) -> str:
    cell = shown(table.columns[column][row].strip(SPACE))
    return f"{table.cell(row, column)}: `{cell}` is no whole number that fits the input {item}."


def check_numbers(table: Table, column: int, item: Input) -> None:
    """Every cell of a column must be a plain decimal number."""
    cells = table.columns[column]
    wrong = next((row for row, cell in enumerate(cells) if not is_number(cell)), None)
    if wrong is not None:
        if any(map(is_missing, cells)):
            raise Error(missing_value(table, column), "N0745")
        raise Error(not_a_number(table, wrong, column, item), "N0745")


def not_a_number(table: Table, row: int, column: int, item: Input) -> str:
    cell = table.columns[column][row].strip(SPACE)
    text = f"{table.cell(row, column)}: `{shown(cell)}` is not a number, and the input {item} "
    if cell.lower().lstrip("+-") in ("inf", "infinity"):
        return f"{text}needs a finite one."
    if GROUPED.fullmatch(cell):
        return f"{text}needs one. Write it as in `-1234.5`: a point, and nothing between thousands."
    if not cell.isascii() and any(map(str.isdecimal, cell)):
        return f"{text}needs one. Write it with the digits 0 to 9."
    if item.is_integer and item.row_size == 1:
        return f"{text}has no classes: the training data gives them, and it had only numbers."
    if not looks_numeric(table, column):
        return (
            f"{text}needs one. A column of text needs an integer input with one number a row, "
            "such as i32[N]."
        )
    return f"{text}needs one."


def truth(table: Table, row: int, column: int) -> float:
    cell = table.columns[column][row].strip(SPACE)
    value = TRUTH.get(cell.lower())
    if value is None:
        if is_missing(cell):
            raise Error(missing_value(table, column), "N0745")
        raise Error(
            f"{table.cell(row, column)}: `{shown(cell)}` is neither true nor false.", "N0745"
        )
    return value
