"""The kinds of files that are written: how their names end and how their contents begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

ZIP = b"PK\x03\x04"
EMPTY_ZIP = b"PK\x05\x06"
HEAD = 1 << 12  # how many bytes of a file tell its kind
NAME = 30  # where the name of a zip's first member begins

# Names that mean another kind of file wherever they are not the kind's own.
OTHER_SUFFIXES = frozenset(
    [
        *[".nn", ".nnc", ".nnir", ".npz", ".npy", ".csv", ".tsv", ".gz", ".safetensors", ".onnx"],
        *[".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"],
    ]
)


@dataclass(frozen=True)
class Kind:
    """A kind of output. `suffixes`: how its names end, where they must; `matches`: whether a file
    that begins so is of this kind; `any_name`: whether even another kind's name will do.
    """

    noun: str
    suffixes: tuple[str, ...]
    matches: Callable[[bytes], bool]
    any_name: bool = False


def is_model(head: bytes) -> bool:
    return head[:4] == ZIP and head[NAME : NAME + 13] == b"manifest.json"


def is_arrays(head: bytes) -> bool:
    length = int.from_bytes(head[26:28], "little")
    first = head[NAME : NAME + length]
    return head[:4] == EMPTY_ZIP or (head[:4] == ZIP and first.endswith(b".npy"))


def is_table(head: bytes) -> bool:
    """Text whose first lines have as many cells as each other."""
    import codecs
    import csv
    import io

    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # the end may be cut
        separator = max(",;\t", key=text.partition("\n")[0].count)
        rows = [
            row for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) if row
        ]
    except (UnicodeDecodeError, csv.Error):
        return False
    if len(head) >= HEAD:
        rows = rows[:-1]
    return "\0" not in text and len({len(row) for row in rows}) <= 1


def is_log(head: bytes) -> bool:
    """The first line is the record of an epoch."""
    first = head.partition(b"\n")[0]
    return first.startswith(b"{") and b'"epoch"' in first


MODEL = Kind("a compiled model", (".nnc",), is_model)
ARRAYS = Kind("a file of arrays", (".npz",), is_arrays)
TABLE = Kind("a table", (".csv",), is_table)
LOG = Kind("a log of training", (), is_log)
SOURCE = Kind("a .nn file", (), lambda head: True, any_name=True)
GRAPH = Kind("a stored graph", (".nnir",), lambda head: head.startswith(b"# pass: "))
