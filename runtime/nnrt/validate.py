"""Arrays that a user gives, against the inputs that a model declares.

Every function gives arrays that the engine takes as they are (right type, right shape), or raises
`nnrt.Error` with a sentence that names the input, what was expected and what was found.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnrt import advice
from nnrt.arrays import expression, plain
from nnrt.dtypes import kind_of, numpy_type, text_of
from nnrt.errors import Error

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Input:
    """An input as a model declares it. `limit`: values are indices below it; -1 where free."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    limit: int = -1

    @property
    def batch_symbol(self) -> str | None:
        """The symbol that counts rows, where the first dimension is one."""
        first = self.shape[0] if self.shape else None
        return first if isinstance(first, str) and first.isidentifier() else None

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


def type_text(array: Array) -> str:
    return f"{text_of(array.dtype)}[{', '.join(map(str, array.shape))}]"


def match(
    given: Mapping[str, Any], inputs: Sequence[Input], also_allowed: Iterable[str] = ()
) -> list[Any]:
    """The values for `inputs`, in their order. Other names than theirs and `also_allowed` are
    mistakes."""
    names = [item.name for item in inputs]
    known = {*names, *also_allowed}
    unknown = [name for name in given if name not in known]
    missing = [name for name in names if name not in given]
    if missing:
        hint = ""
        close = difflib.get_close_matches(missing[0], unknown, n=1, cutoff=0.5)
        if close:
            hint = f" Was `{close[0]}` meant to be `{missing[0]}`?"
        found = ", ".join(f"`{name}`" for name in given) or "nothing"
        raise Error(f"the array `{missing[0]}` is missing: found {found}.{hint}", "N0701")
    if unknown:
        expected = ", ".join(f"`{name}`" for name in names)
        raise Error(f"there is no input `{unknown[0]}`; the inputs are {expected}.", "N0701")
    return [given[name] for name in names]


def by_name(
    positional: Sequence[Any], named: Mapping[str, Any], inputs: Sequence[Input]
) -> dict[str, Any]:
    """Arguments by position and by name, as one mapping."""
    names = [item.name for item in inputs]
    if len(positional) > len(names):
        expected = ", ".join(f"`{name}`" for name in names)
        raise Error(
            f"{len(positional)} arrays were given, and the inputs are only {expected}.", "N0701"
        )
    given = dict(zip(names, positional, strict=False))
    for name, value in named.items():
        if name in given:
            raise Error(f"the input `{name}` is given twice, by position and by name.", "N0701")
        given[name] = value
    return given


def checked(values: Sequence[Any], inputs: Sequence[Input], *, finite: bool = False) -> list[Array]:
    """Arrays of the right types and shapes; with `finite`, without NaN and infinity."""
    symbols: dict[str, tuple[int, str]] = {}
    arrays = []
    for value, item in zip(values, inputs, strict=True):
        array = value if type(value) is np.ndarray else as_array(value, item)
        if array.dtype != numpy_type(item.dtype):
            array = as_array(array, item)
            if not advice.fits(array.shape, item.shape):
                raise wrong_shape(array, item, value)
            named = expression(value, item.name)
            array = converted(array, item.dtype, f"input `{item.name}`", named)
        check_shape(array, item, symbols, value)
        if finite and kind_of(array.dtype) == "f":
            check_finite(array, item)
        if item.limit >= 0:
            check_limit(array, item)
        arrays.append(array)
    return arrays


def as_array(value: Any, item: Input) -> Array:
    array = plain(value, f"input `{item.name}`", item.name, item.dtype)
    # Python's floats and whole numbers have no type of their own: they take the input's.
    if not hasattr(value, "dtype") and array.dtype == np.float64 and item.dtype == "f32":
        array = array.astype(np.float32)
    return array


def check_shape(array: Array, item: Input, symbols: dict[str, tuple[int, str]], value: Any) -> None:
    """`symbols` collects what each symbol turned out to be, and which input said so; `value` is
    what the array was made of.
    """
    if array.ndim != len(item.shape):
        raise wrong_shape(array, item, value)
    for found, declared in zip(array.shape, item.shape, strict=True):
        if isinstance(declared, int):
            if found != declared:
                raise wrong_shape(array, item, value)
        elif declared.isidentifier():
            known, source = symbols.setdefault(declared, (found, item.name))
            if known != found:
                raise Error(
                    f"input `{item.name}`: expected {item}, found {type_text(array)}; `{declared}` "
                    f"is {found} here and {known} in `{source}`.",
                    "N0748",
                )


def wrong_shape(array: Array, item: Input, value: Any) -> Error:
    text = f"input `{item.name}`: expected {item}, found {type_text(array)}."
    return Error(text + advice.for_shape(array, item, expression(value, item.name)), "N0703")


def converted(array: Array, dtype: str, what: str, named: str) -> Array:
    """The array of numbers in the wanted type, where that loses nothing that matters."""
    wanted = numpy_type(dtype)
    kind = kind_of(array.dtype)
    if array.dtype == wanted:
        return array
    if (wanted.kind == "b" and kind != "b") or (kind == "f" and kind_of(wanted) != "f"):
        raise Error(
            f"{what}: expected {dtype}, found {text_of(array.dtype)}."
            + advice.for_type(array, dtype, wanted, named),
            "N0702",
        )
    if wanted.kind in "iu" and kind != "b" and array.size:
        low, high = int(array.min()), int(array.max())
        limits = np.iinfo(wanted)
        if low < limits.min or high > limits.max:
            value = low if low < limits.min else high
            raise Error(f"{what}: the value {value} does not fit {dtype}.", "N0702")
    return array.astype(wanted)


def not_finite(arrays: Iterable[tuple[str, Array]]) -> list[str]:
    """The names of the arrays that hold an infinity or NaN."""
    return [name for name, array in arrays if not np.isfinite(array).all()]


def check_finite(array: Array, item: Input) -> None:
    # The sum is finite for sound data, and far cheaper than a mask; only then is the mask made.
    with np.errstate(all="ignore"):
        if np.isfinite(array.sum(dtype=np.float64)):
            return
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        where = [int(index) for index in wrong[0]]
        raise Error(
            f"input `{item.name}` holds {array[tuple(where)]} at {where}, one of {len(wrong):,} "
            "such values. Remove or replace them.",
            "N0704",
        )


def check_limit(array: Array, item: Input) -> None:
    if not array.size or (int(array.min()) >= 0 and int(array.max()) < item.limit):
        return
    where = tuple(int(index) for index in np.argwhere((array < 0) | (array >= item.limit))[0])
    raise Error(
        f"input `{item.name}`: the value {int(array[where])} in row {where[0] if where else 0} is "
        f"out of range: it must lie between 0 and {item.limit - 1}."
        + advice.for_limit(array, item.limit, item.name),
        "N0706",
    )


def row_count(arrays: Sequence[Array], inputs: Sequence[Input]) -> int:
    """Rows of the data: the first dimension of the inputs that share the batch symbol."""
    for array, item in zip(arrays, inputs, strict=True):
        if item.batch_symbol:
            return len(array)
    raise Error(
        "no input has a symbol as its first dimension, so there is nothing to make batches of.",
        "N0703",
    )
