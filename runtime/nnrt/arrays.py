"""Anything like an array as a plain NumPy array of numbers, or an error that says how to make one.

What NumPy would lose silently (masks, missing values, imaginary parts) is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from nnrt.dtypes import TYPES, kind_of, numpy_type
from nnrt.errors import Error

Array = np.ndarray[Any, np.dtype[Any]]

NUMBERS = "biuf"  # the kinds of types that are numbers
# How deep lists are searched for masked arrays.
DEPTH = 8
MISSING = ("NoneType", "NAType", "NaTType", "MaskedConstant")


def plain(value: Any, what: str, name: str, dtype: str) -> Array:
    """`what` names the array in an error, `name` in an expression; `dtype` is the one wanted."""
    if type(value) is np.ndarray and kind_of(value.dtype) in NUMBERS:
        return value
    masked = sum(int(np.ma.getmaskarray(part).sum()) for part in masked_parts(value, DEPTH))
    if masked:
        raise Error(f"{what} has {masked:,} masked values. {unmask(value, name)}", "N0704")
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        raise Error(
            f"{what}: found a sparse matrix, and a plain array is needed: `{name}.toarray()`.",
            "N0702",
        )
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise Error(f"{what}: no array can be made of it ({error}).", "N0702") from error
    if kind_of(array.dtype) not in NUMBERS:
        found = f"found {array.dtype}. {into_numbers(array, value, name, dtype)}"
        raise Error(f"{what}: expected {dtype}, {found}".rstrip(), "N0702")
    return array


def expression(value: Any, name: str) -> str:
    """What stands for the array in an expression: a matrix and a list index in other ways."""
    own = isinstance(value, np.ndarray) and not isinstance(value, np.matrix)
    return name if own else f"np.asarray({name})"


def masked_parts(value: Any, depth: int) -> Iterator[Any]:
    """The masked arrays in a value: NumPy forgets the masks of those inside lists, too."""
    if isinstance(value, np.ma.MaskedArray):
        yield value
    elif isinstance(value, (list, tuple)) and depth:
        for item in value:
            yield from masked_parts(item, depth - 1)


def unmask(value: Any, name: str) -> str:
    name = name if isinstance(value, np.ma.MaskedArray) else f"np.ma.array({name})"
    rows = f"np.ma.getmaskarray({name}).reshape(len({name}), -1).any(axis=1)"
    return (
        f"Fill them with a number that means something (0: `{name}.filled(0)`), or drop their rows "
        f"from every array (from this one: `{name}[~{rows}].data`)."
    )


def into_numbers(array: Array, value: Any, name: str, dtype: str) -> str:
    """What makes numbers of an array of another kind."""
    kind = array.dtype.kind
    if kind == "O" and array.ndim == 0:
        what = f"A `{type(value).__name__}` is no array"
        return f"{what}: `np.array(list({name}))`." if hasattr(value, "__iter__") else f"{what}."
    name = expression(value, name)
    if kind == "O":
        return of_objects(array, name, dtype)
    if kind in "US":
        return of_text(array, name, dtype)
    if kind in "Mm":
        return of_times(array, name, dtype)
    if kind == "c":
        if not array.imag.any():
            return f"Its imaginary parts are 0: `{name}.real`."
        return f"Give its parts, `{name}.real` and `{name}.imag`, as two inputs."
    if array.dtype.names:
        names = "".join(f" `{field}`" for field in array.dtype.names)
        return (
            f"Its fields are{names}: `np.stack([{name}[field] for field in {name}.dtype.names], "
            "axis=-1)` puts them side by side."
        )
    if array.dtype == np.dtype("V2"):  # what NumPy makes of bf16 that it has saved
        return f"If it is bf16: `{name}.view(ml_dtypes.bfloat16)`."
    return f"Convert it: `{name}.astype(np.float32)`."


def of_objects(array: Array, name: str, dtype: str) -> str:
    for place, item in np.ndenumerate(array):
        if type(item).__name__ in MISSING or (isinstance(item, float) and item != item):
            where = list(place)
            return (
                f"It has no value at {where} (`{item}`). Fill in missing values, or drop their "
                "rows from every array."
            )
    items = array.ravel().tolist()
    if all(isinstance(item, (int, float, np.number, Decimal, Fraction)) for item in items):
        return f"All are numbers: `{name}.astype({np_name(dtype)})`."
    if all(isinstance(item, (str, bytes)) for item in items):
        return of_text(array, name, dtype)
    odd = next(item for item in items if not isinstance(item, (int, float, np.number)))
    if isinstance(odd, (list, tuple, np.ndarray)):
        return "Its rows differ in shape: cut or fill them to one."
    return f"It has an object of the type `{type(odd).__name__}`."


def of_text(array: Array, name: str, dtype: str) -> str:
    try:
        array.astype(np.float64)
        return f"Its texts are numbers: `{name}.astype({np_name(dtype)})`."
    except ValueError:
        pass
    if dtype[0] not in "iu":
        return "Text needs an integer input, such as i64[N], with a number for each text."
    known = f"sorted(set({name}.ravel().tolist()))"
    return (
        "Give each text a number once, from the training data, such as "
        f"`codes = {{text: code for code, text in enumerate({known})}}`, and use the same numbers "
        "ever after: "
        f"`np.array([codes[text] for text in {name}.ravel().tolist()]).reshape({name}.shape)`."
    )


def of_times(array: Array, name: str, dtype: str) -> str:
    if np.isnat(array).any():
        where = [int(index) for index in np.argwhere(np.isnat(array))[0]]
        return f"It has no time at {where}. Fill in missing values, or drop their rows."
    if dtype[0] in "iu":
        kind = "datetime64" if array.dtype.kind == "M" else "timedelta64"
        return f"As seconds: `{name}.astype('{kind}[s]').astype(np.int64)`."
    if array.dtype.kind == "m":
        return f"As seconds: `{name} / np.timedelta64(1, 's')`."
    return f"As days since 1970: `({name} - np.datetime64('1970-01-01')) / np.timedelta64(1, 'D')`."


def np_name(dtype: str) -> str:
    """How Python names an element type: `np.float32`."""
    if TYPES[dtype].kind == "narrow":
        return f"ml_dtypes.{numpy_type(dtype).name}"
    return "np.bool_" if dtype == "bool" else f"np.{numpy_type(dtype).name}"
