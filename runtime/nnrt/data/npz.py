"""`.npz` and `.npy` files: arrays meet inputs by name. Pickled objects are never read.

What an array's header asks for is compared with what the file has, and with the memory that is
left, before anything is allocated.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from nnrt import memory, reading
from nnrt.data.types import Array, Arrays, Input, did_you_mean, quoted
from nnrt.errors import Error

DAMAGE = (ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, RuntimeError)
COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # what NumPy writes
ZIP = (b"PK\x03\x04", b"PK\x05\x06")
SUFFIX = ".npy"
HEADER_LIMIT = 1 << 20  # bytes; NumPy's own are mostly 128


@dataclass(frozen=True)
class Header:
    """What precedes the numbers of an array. `start`: how many bytes it takes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int

    @property
    def size(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def read(path: Path, wanted: list[Input], extra: list[Input]) -> Arrays:
    with reading.open_regular(str(path)) as file:
        if file.read(4) not in ZIP:
            file.seek(0)
            header(path, "its array", file)
            raise Error(f"{path} holds one array and no names. Rename it to end in .npy.", "N0741")
        try:
            archive = zipfile.ZipFile(file)
        except DAMAGE as error:
            raise damaged(path, error) from error
        with archive:
            return chosen(path, archive, wanted, extra)


def chosen(path: Path, archive: zipfile.ZipFile, wanted: list[Input], extra: list[Input]) -> Arrays:
    members = named_members(path, archive)
    for item in wanted:
        if item.name not in members:
            raise Error(absent(path, item, list(members)), "N0742")
    used = [item.name for item in [*wanted, *extra] if item.name in members]
    headers = {name: member_header(path, archive, name, members[name]) for name in used}
    memory.require(sum(item.size for item in headers.values()), str(path), "N0741")
    arrays = {name: load(path, archive, name, members[name]) for name in used}
    unused = [name for name in members if name not in arrays]
    notes = [f"{path.name}: not used: {quoted(unused)}"] if unused else []
    return Arrays(arrays, notes=notes)


def named_members(path: Path, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by the names of their arrays, each once."""
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(SUFFIX)
        if name in members:
            raise Error(
                f"{path} is damaged: it has two arrays named `{name}`. Write it again.", "N0741"
            )
        members[name] = info
    return members


def member_header(path: Path, archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Header:
    """The header of a member, which must have as many bytes as it says."""
    if info.compress_type not in COMPRESSION:
        raise damaged(path, ValueError(f"`{name}` is compressed in another way than NumPy's"))
    memory.check_ratio(
        info.compress_size,
        info.file_size,
        f"{path}: the array `{name}`",
        "Save it with `numpy.savez`, which does not compress.",
    )
    try:
        with archive.open(info) as member:
            found = header(path, f"the array `{name}`", cast(BinaryIO, member))
    except DAMAGE as error:
        raise damaged(path, error) from error
    check_size(path, f"the array `{name}`", found, info.file_size)
    return found


def header(path: Path, what: str, file: BinaryIO) -> Header:
    """The header at the beginning of a `.npy` file. Raises for objects, which are not read."""
    try:
        length = int.from_bytes(file.read(12)[8:], "little")
        file.seek(0)
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        elif version in ((2, 0), (3, 0)):  # which differ in names of fields only
            if length > HEADER_LIMIT:
                raise ValueError(f"its header has {length:,} bytes")
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
        else:
            raise ValueError(f"it has version {version} of the format")
        start = file.tell()
    except DAMAGE as error:
        raise damaged(path, error) from error
    if dtype.hasobject:
        raise Error(
            f"{path}: {what} holds Python objects, which are not read because loading them can "
            "run any code. Save it with a numeric dtype.",
            "N0741",
        )
    return Header(shape, dtype, start)


def check_size(path: Path, what: str, found: Header, size: int) -> None:
    if min(found.shape, default=0) < 0 or found.start + found.size != size:
        raise Error(
            f"{path} is damaged: {what} is {list(found.shape)} of {found.dtype}, which needs "
            f"{found.start + found.size:,} bytes, and has {size:,}. Write it again.",
            "N0741",
        )


def load(path: Path, archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Array:
    try:
        with archive.open(info) as member:
            return np.asarray(np.lib.format.read_array(member, allow_pickle=False))
    except DAMAGE as error:
        raise damaged(path, error) from error


def read_single(path: Path, wanted: list[Input]) -> Arrays:
    """One array without a name, for a model with one input."""
    if len(wanted) != 1:
        raise Error(
            f"{path} holds one array, but {len(wanted)} are needed: "
            f"{quoted(item.name for item in wanted)}. "
            "Save them together with `numpy.savez`.",
            "N0742",
        )
    with reading.open_regular(str(path)) as file:
        if file.read(4) in ZIP:
            raise Error(f"{path} holds several arrays. Rename it to end in .npz.", "N0741")
        file.seek(0)
        found = header(path, "its array", file)
        check_size(path, "its array", found, os.fstat(file.fileno()).st_size)
        memory.require(found.size, str(path), "N0741")
        file.seek(0)
        try:
            array = np.lib.format.read_array(file, allow_pickle=False)
        except DAMAGE as error:
            raise damaged(path, error) from error
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
