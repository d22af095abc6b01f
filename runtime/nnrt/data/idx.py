"""Folders of IDX files, the format of MNIST: `train-images-idx3-ubyte`, `t10k-labels-…-ubyte.gz`.

A file meets the input of its name (`images` meets `image` or `images`), else the only one left with
its number of dimensions. Images [N, H, W] meet an input [N, H, W, 1].
"""

from __future__ import annotations

import gzip
import re
import zlib
from math import prod
from pathlib import Path

import numpy as np

from nnrt.data.types import Array, Arrays, Input, as_integer, quoted
from nnrt.errors import Error

NAME = re.compile(r"^(?P<part>[^-]+)-(?P<what>.+)[-.]idx(?P<rank>\d)-[a-z]+(?:\.gz)?$")
PARTS = {"train": ("train",), "test": ("t10k", "test")}
ELEMENTS = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def is_folder(path: Path) -> bool:
    return any(NAME.match(item.name) for item in path.iterdir())


def read(path: Path, part: str, wanted: list[Input], extra: list[Input]) -> Arrays:
    if part not in PARTS:
        raise Error(f"{path} has no part `{part}`: write `#train` or `#test`.", "N0746")
    files: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        match = NAME.match(file.name)
        if match and match["part"] in PARTS[part]:
            files.setdefault(match["what"], file)
    if not files:
        raise Error(
            f"{path} has no files of the part `{part}`: their names begin with "
            f"{' or '.join(f'`{prefix}-`' for prefix in PARTS[part])}.",
            "N0740",
        )
    arrays = {}
    free = dict(files)
    for item in by_name_first([*wanted, *extra], files):
        what = choose(item, free)
        if what is not None:
            arrays[item.name] = shaped(read_file(free.pop(what)), item)
        elif item in wanted:
            raise Error(
                f"{path} has no file for the input {item}: its part `{part}` has {quoted(files)}. "
                "Name the input after the file, without the plural's `s` if you like.",
                "N0742",
            )
    return Arrays(arrays)


def by_name_first(items: list[Input], files: dict[str, Path]) -> list[Input]:
    return sorted(items, key=lambda item: not names_of(item).intersection(files))


def names_of(item: Input) -> set[str]:
    return {item.name, item.name + "s"}


def choose(item: Input, files: dict[str, Path]) -> str | None:
    for name in files:
        if name in names_of(item):
            return name
    fitting = [name for name, path in files.items() if fits(item, path)]
    return fitting[0] if len(fitting) == 1 else None


def fits(item: Input, path: Path) -> bool:
    match = NAME.match(path.name)
    assert match is not None
    rank = int(match["rank"])
    return len(item.shape) == rank or (len(item.shape) == rank + 1 and item.shape[-1] == 1)


def shaped(array: Array, item: Input) -> Array:
    if array.ndim + 1 == len(item.shape) and item.shape[-1] == 1:
        array = array[..., np.newaxis]
    return as_integer(array, item)


def read_file(path: Path) -> Array:
    """The array of one IDX file. Nothing is allocated that the file does not fill."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Error(
                f"{path} is damaged: its compressed data ends early or is wrong ({error}). "
                "Fetch it again.",
                "N0741",
            ) from error
    if len(data) < 4 or data[0] or data[1] or data[2] not in ELEMENTS:
        raise Error(f"{path} is not an IDX file: its first four bytes are wrong.", "N0741")
    dtype, rank = np.dtype(ELEMENTS[data[2]]), data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise Error(f"{path} is damaged: it ends within its header. Fetch it again.", "N0741")
    shape = tuple(int(size) for size in np.frombuffer(data, ">u4", rank, 4))
    needed = start + prod(shape) * dtype.itemsize
    if len(data) != needed:
        raise Error(
            f"{path} is damaged: {list(shape)} elements need {needed:,} bytes, and it has "
            f"{len(data):,}. Fetch it again.",
            "N0741",
        )
    array = np.frombuffer(data, dtype, offset=start).reshape(shape)
    native = {"i1": np.int32, "i2": np.int32}.get(dtype.str[1:], dtype.newbyteorder("="))
    return array.astype(native)
