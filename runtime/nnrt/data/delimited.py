"""Delimited text (CSV): from a file to a header and cells, each with its line.

RFC 4180, strictly: a cell that contains a separator, a quote or a line break stands in quotes, and
a quote within it is written twice. Lines end with LF, CRLF or CR. What breaks these rules is an
error with its line; no line is left out or joined with another silently.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnrt.data import content
from nnrt.errors import Error

SPACE = " \t"
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
# Bytes of memory that one byte of text takes: short cells, as Python strings in rows and columns.
COST = 16
NUMBER_TEXT = re.compile(r"[0-9+\-.eE \t]*")
LINE_END = re.compile(r"\r\n|\r|\n")
STARTS = (
    (b"\xff\xfe", "UTF-16 text, and UTF-8 is needed: save it as UTF-8 (in Excel, `CSV UTF-8`)"),
    (b"\xfe\xff", "UTF-16 text, and UTF-8 is needed: save it as UTF-8 (in Excel, `CSV UTF-8`)"),
    (b"PK\x03\x04", "a zip file, as Excel's workbooks are: save the table as CSV"),
    (b"\x1f\x8b", "compressed: give it a name that ends in `.csv.gz`"),
)


@dataclass(frozen=True)
class Table:
    path: Path
    header: list[str]
    columns: list[tuple[str, ...]]
    lines: list[int]
    separator: str

    def cell(self, row: int, column: int) -> str:
        return f"{self.path}, line {self.lines[row]}, column `{self.header[column]}`"


def is_number(cell: str) -> bool:
    """Whether a cell is a plain decimal number. Python's `float` takes `1_000` and `nan`, too."""
    cell = cell.strip(SPACE)
    if not NUMBER_TEXT.fullmatch(cell):
        return False
    try:
        float(cell)
    except ValueError:
        return False
    return True


def load(path: Path) -> Table:
    """The table as text, checked to be one: a header of names, and as many cells in every line."""
    text = decoded(path, content.read(path, COST))
    separator = choose_separator(path, text)
    records = read_records(path, text, separator)
    first = next((record for record in records if record[1]), None)
    if first is None:
        raise Error(f"{path} is empty: a header and at least one line of data are needed.", "N0744")
    header = [name.strip() for name in first[1]]
    check_header(path, header)
    rows, lines = [], []
    blank = 0
    for line, row in records:
        if not row:
            blank = blank or line
            continue
        if blank and len(header) == 1:
            raise Error(
                f"{path}, line {blank}, column `{header[0]}`: the cell is empty. Fill it in or "
                "remove the line.",
                "N0745",
            )
        blank = 0
        if len(row) != len(header):
            raise Error(wrong_count(path, line, row, header, separator), "N0744")
        rows.append(tuple(row))  # a list of lists would keep the garbage collector busy
        lines.append(line)
    if not rows:
        raise Error(f"{path} has a header but no data: add a line for each row.", "N0744")
    return Table(path, header, list(zip(*rows, strict=True)), lines, separator)


def decoded(path: Path, data: bytes) -> str:
    for start, what in STARTS:
        if data.startswith(start):
            raise Error(f"{path} is {what}.", "N0741")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise Error(
            f"{path}, line {line_at(before, len(before))}: this is not UTF-8 text (byte "
            f"0x{data[error.start]:02x}). Save it as UTF-8.",
            "N0741",
        ) from error
    if "\0" in text:
        line = line_at(text, text.index("\0"))
        raise Error(
            f"{path}, line {line}: there is a zero byte, which text does not have. Save the table "
            "as UTF-8 text.",
            "N0741",
        )
    return text


def line_at(text: str, place: int) -> int:
    return len(LINE_END.findall(text, 0, place)) + 1


def choose_separator(path: Path, text: str) -> str:
    """The separator that the first line has most of, outside of quotes."""
    first = re.sub(r'"[^"]*"?', "", LINE_END.split(text, maxsplit=1)[0])
    counts = {separator: first.count(separator) for separator in SEPARATORS}
    if path.name.lower().removesuffix(".gz").endswith(".tsv") and counts["\t"]:
        return "\t"
    return max(counts, key=lambda separator: counts[separator])


class Lines:
    """The lines of a text, and those since the last record."""

    def __init__(self, text: str) -> None:
        self.source = io.StringIO(text, newline="")
        self.record: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self.source)
        self.record.append(line)
        return line


def read_records(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The records with the line that each begins in; an empty line is an empty record."""
    lines = Lines(text)
    plain = '"' not in text  # then every line is a record
    source = lines.source if plain else lines
    reader = csv.reader(source, delimiter=separator, strict=True, skipinitialspace=True)
    quoted_cell = re.compile(rf'(?:^|(?<={separator})) *"(?:[^"]|"")*"(?={separator}|\r|\n|$)')
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            start = reader.line_num - max(len(lines.record) - 1, 0)
            raise Error(broken(path, start, reader.line_num, str(error)), "N0744") from error
        if plain:
            yield reader.line_num, row
            continue
        record, lines.record = lines.record, []
        start = reader.line_num - len(record) + 1
        whole = record[0] if len(record) == 1 else "".join(record)
        if '"' in whole:
            if '"' in quoted_cell.sub("", whole):
                raise Error(
                    f"{path}, line {start}: a quote stands within a cell that does not begin with "
                    "one. Put the whole cell in quotes and write each quote within it twice, as in "
                    '`"a ""b"" c"`.',
                    "N0744",
                )
            if len(record) > 1:
                check_swallowed(path, start, record, row, separator)
        yield start, row


def broken(path: Path, start: int, line: int, message: str) -> str:
    """What the reader of CSV says of a record, in words that name the mistake and its mending."""
    if "unexpected end" in message:
        return f"{path}, line {start}: a quote opens in this line and never closes. Close it."
    if "field limit" in message:
        return (
            f"{path}, line {start}: a cell that begins here has more than "
            f"{csv.field_size_limit():,} characters. Is a quote open that never closes?"
        )
    return (
        f"{path}, line {line}: text follows the quote that closes a cell, whose record begins in "
        f"line {start}. Write a quote within a cell twice, and close each quote."
    )


def check_swallowed(
    path: Path, start: int, record: list[str], row: list[str], separator: str
) -> None:
    """Refuse a cell whose lines read as rows: a quote was left open, and the next one closed it."""
    numeric = [column for column, cell in enumerate(row) if is_number(cell)]
    if not numeric and len(row) < 3:
        return

    def is_row(line: str) -> bool:
        cells = line.split(separator)
        return len(cells) == len(row) and all(is_number(cells[column]) for column in numeric)

    lines = [line.rstrip("\r\n") for line in record]
    place = next((place for place, line in enumerate(lines[1:], start=1) if is_row(line)), None)
    if place is not None and is_row(lines[0]):
        raise Error(
            f"{path}, line {start + place}: this line reads as a row of its own, but a quote that "
            f"opens in line {start} is still open. Close that quote.",
            "N0744",
        )


def wrong_count(path: Path, line: int, row: list[str], header: list[str], separator: str) -> str:
    return (
        f"{path}, line {line}: {len(row):,} cells where the header has {len(header):,} "
        f"(separated by {SEPARATORS[separator]}). A cell that contains the separator needs quotes."
    )


def check_header(path: Path, header: list[str]) -> None:
    if all(is_number(cell) for cell in header):
        example = ",".join(f"x.{index}" for index in range(len(header))[:3])
        raise Error(
            f"{path}: the first line holds numbers, but it must name the columns. Put a line of "
            f"names before it, such as `{example}`.",
            "N0743",
        )
    seen: set[str] = set()
    for index, name in enumerate(header):
        if not name:
            raise Error(
                f"{path}: column {index + 1} has no name in the header. Name it, or remove the "
                "column.",
                "N0743",
            )
        if name in seen:
            raise Error(f"{path}: two columns are named `{name}`. Rename one of them.", "N0743")
        seen.add(name)
