"""`.npz` and `.npy` files: arrays meet inputs by name. Pickled objects are never read."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from nnrt.data.types import Array, Arrays, Input, did_you_mean, quoted
from nnrt.errors import Error

DAMAGE = (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError)


def read(path: Path, wanted: list[Input], extra: list[Input]) -> Arrays:
    arrays: dict[str, Array] = {}
    try:
        file = np.load(path, allow_pickle=False)
    except DAMAGE as error:
        raise damaged(path, error) from error
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise Error(f"{path} holds one array and no names. Rename it to end in .npy.", "N0741")
    with file:
        names = list(file.files)
        for item in wanted:
            if item.name not in names:
                raise Error(absent(path, item, names), "N0742")
        for item in [*wanted, *(item for item in extra if item.name in names)]:
            arrays[item.name] = load(path, file, item.name)
    unused = [name for name in names if name not in arrays]
    notes = [f"{path.name}: not used: {quoted(unused)}"] if unused else []
    return Arrays(arrays, notes=notes)


def load(path: Path, file: np.lib.npyio.NpzFile, name: str) -> Array:
    try:
        array = file[name]
    except DAMAGE as error:
        if "allow_pickle" in str(error):
            raise Error(
                f"{path}: the array `{name}` holds Python objects, which are not read because "
                "loading them can run any code. Save it with a numeric dtype.",
                "N0741",
            ) from error
        raise damaged(path, error) from error
    return np.asarray(array)


def read_single(path: Path, wanted: list[Input]) -> Arrays:
    """One array without a name, for a model with one input."""
    if len(wanted) != 1:
        raise Error(
            f"{path} holds one array, but {len(wanted)} are needed: "
            f"{quoted(item.name for item in wanted)}. "
            "Save them together with `numpy.savez`.",
            "N0742",
        )
    try:
        array = np.load(path, allow_pickle=False)
    except DAMAGE as error:
        raise damaged(path, error) from error
    if not isinstance(array, np.ndarray):
        raise Error(f"{path} holds several arrays. Rename it to end in .npz.", "N0741")
    return Arrays({wanted[0].name: array})


def absent(path: Path, item: Input, names: list[str]) -> str:
    if not names:
        return f"{path} holds no arrays, and an array for the input {item} is needed."
    hint = did_you_mean(item.name, names) or f" It holds {quoted(names)}."
    return f"{path} has no array for the input {item}.{hint} Save it under the input's name."


def damaged(path: Path, error: Exception) -> Error:
    return Error(
        f"{path} is damaged or not a NumPy file ({str(error) or type(error).__name__}). Write it "
        "again.",
        "N0741",
    )
