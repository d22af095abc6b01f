"""What the readers share: the inputs they are asked for, the arrays they give, and how they name
things in errors.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from nnrt.dtypes import TYPES, numpy_type
from nnrt.errors import Error

Array = np.ndarray[Any, np.dtype[Any]]

SHOWN = 10
# More names than this are not searched for one that is alike: the search takes time for each.
SEARCHED = 2000
# Python reads no longer numbers; names that differ beyond are sorted as text.
MAX_DIGITS = 4000


@dataclass(frozen=True)
class Input:
    """An input as the manifest describes it. The first dimension counts rows; others are numbers or
    names.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    @staticmethod
    def of(described: Mapping[str, Any] | Input) -> Input:
        if isinstance(described, Input):
            return described
        return Input(described["name"], described["dtype"], tuple(described["shape"]))

    @property
    def is_integer(self) -> bool:
        return TYPES[self.dtype].kind == "integer"

    @property
    def row_size(self) -> int | None:
        """How many numbers a row has, or None where that is open until the call."""
        sizes = [size for size in self.shape[1:] if isinstance(size, int)]
        return prod(sizes) if len(sizes) == len(self.shape[1:]) else None

    def __str__(self) -> str:
        return f"`{self.name}` ({self.dtype}[{', '.join(map(str, self.shape))}])"


@dataclass(frozen=True)
class Known:
    """What the training data decided, so that later data is read as it was.

    `classes` are the texts behind the codes of an input, in the order of the codes, `columns` the
    columns of a table that an input takes. `closed`: no input gets codes that it does not have.
    """

    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    closed: bool = False


class Arrays(dict[str, Array]):
    """Arrays by the name of the input they meet, and what was decided on the way.

    `notes` are sentences for the user, `classes` the text behind the codes of an input, `columns`
    the columns of a table that an input took without being named after them, `rows` a name for each
    row where the source has one (the file of an image).
    """

    def __init__(
        self,
        arrays: Mapping[str, Array],
        *,
        notes: Iterable[str] = (),
        classes: Mapping[str, tuple[str, ...]] | None = None,
        columns: Mapping[str, tuple[str, ...]] | None = None,
        rows: Iterable[str] = (),
    ) -> None:
        super().__init__(arrays)
        self.notes = tuple(notes)
        self.classes = dict(classes or {})
        self.columns = dict(columns or {})
        self.rows = tuple(rows)


def quoted(names: Iterable[str]) -> str:
    """Names for a sentence, the first few of them: `a`, `b` and 3 more."""
    names = list(names)
    text = ", ".join(f"`{name}`" for name in names[:SHOWN])
    return text if len(names) <= SHOWN else f"{text} and {len(names) - SHOWN} more"


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A sentence with the candidate that was probably meant, or nothing."""
    names = sorted(candidates)[:SEARCHED]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f" Did you mean `{close[0]}`?" if close else ""


def natural_order(name: str) -> tuple[list[str | int], str]:
    """A key that sorts the numbers within names by their value: `2` comes before `10`."""
    parts: list[str | int] = list(re.split(r"([0-9]+)", name))
    for place in range(1, len(parts), 2):
        parts[place] = int(str(parts[place])[:MAX_DIGITS])
    return parts, name


def class_note(name: str, classes: tuple[str, ...]) -> str:
    shown = ", ".join(f"{text} = {code}" for code, text in enumerate(classes[:SHOWN]))
    more = f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else ""
    return f"classes of `{name}`: {shown}{more}"


def known_classes(training: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The texts behind the codes of each input, as a manifest keeps them after training."""
    return kept_texts(training, "classes")


def known_columns(training: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The columns that inputs took from the table of the training data, by their names."""
    return kept_texts(training, "columns")


def learned(training: Mapping[str, Any], arrays: Mapping[str, Array]) -> dict[str, Any]:
    """What a manifest keeps of the training data, so that later data is read as it was."""
    classes = {**known_classes(training), **getattr(arrays, "classes", {})}
    columns = {**known_columns(training), **getattr(arrays, "columns", {})}
    return {
        "classes": {name: list(texts) for name, texts in classes.items()},
        "columns": {name: list(texts) for name, texts in columns.items()},
    }


def check_learned(arrays: Mapping[str, Array], training: Mapping[str, Any], closed: bool) -> None:
    """Arrays that were read without the codes and columns of the training data must not pass."""
    for what, known in (("classes", known_classes(training)), ("columns", known_columns(training))):
        for name, texts in getattr(arrays, what, {}).items():
            right = known.get(name)
            if texts == right or (right is None and not (closed and what == "classes")):
                continue
            taken = quoted(texts)
            raise Error(
                f"the array `{name}` was read with the {what} {taken}, and the model was trained "
                f"with {'none' if right is None else quoted(right)}. Give the path itself, or "
                f"read it with `nnrt.data.open(path, inputs, "
                "classes=nnrt.data.known_classes(model.training), "
                "columns=nnrt.data.known_columns(model.training), closed=True)`.",
                "N0745",
            )


def kept_texts(training: Mapping[str, Any], key: str) -> dict[str, tuple[str, ...]]:
    kept = training.get(key)
    if not isinstance(kept, dict):
        return {}
    return {name: tuple(map(str, texts)) for name, texts in kept.items() if isinstance(texts, list)}


def as_integer(array: Array, wanted: Input) -> Array:
    """The same whole numbers in the input's own integer type, where that holds all of theirs."""
    dtype = numpy_type(wanted.dtype)
    same_kind = wanted.is_integer and array.dtype.kind in "iu"
    return array.astype(dtype) if same_kind and np.can_cast(array.dtype, dtype) else array


def check_rows(arrays: Mapping[str, Array], wanted: Iterable[Input], place: str) -> None:
    """Inputs that name their first dimension alike must have as many rows as each other."""
    first: dict[str, tuple[str, int]] = {}
    for item in wanted:
        if item.name not in arrays or not item.shape or not isinstance(item.shape[0], str):
            continue
        array = arrays[item.name]
        if array.ndim == 0:
            continue
        name, rows = first.setdefault(item.shape[0], (item.name, len(array)))
        if len(array) != rows:
            raise Error(
                f"{place}: `{name}` has {rows:,} rows but `{item.name}` has {len(array):,}; "
                "each row of one belongs to the same row of the other.",
                "N0748",
            )
