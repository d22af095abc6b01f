"""Folders of IDX files, the format of MNIST: `train-images-idx3-ubyte`, `t10k-labels-…-ubyte.gz`.

A file meets the input of its name (`images` meets `image` or `images`), else the only one left with
its number of dimensions. Images [N, H, W] meet an input [N, H, W, 1].
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from math import prod
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from nnrt import memory, reading
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
    with reading.open_regular(str(path)) as file:
        size = os.fstat(file.fileno()).st_size
        if path.suffix != ".gz":
            return read_array(path, file, size, packed=False)
        try:
            with gzip.open(file) as unpacked:
                return read_array(path, cast(BinaryIO, unpacked), size, packed=True)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Error(
                f"{path} is damaged: its compressed data ends early or is wrong ({error}). "
                "Fetch it again.",
                "N0741",
            ) from error


def read_array(path: Path, file: BinaryIO, size: int, packed: bool) -> Array:
    """The array whose header comes first in `file`, which has `size` bytes, maybe packed ones."""
    head = file.read(4)
    if len(head) < 4 or head[0] or head[1] or head[2] not in ELEMENTS:
        raise Error(f"{path} is not an IDX file: its first four bytes are wrong.", "N0741")
    dtype, rank = np.dtype(ELEMENTS[head[2]]), head[3]
    sizes = file.read(4 * rank)
    if len(sizes) < 4 * rank:
        raise Error(f"{path} is damaged: it ends within its header. Fetch it again.", "N0741")
    shape = tuple(int(length) for length in np.frombuffer(sizes, ">u4"))
    start, needed = 4 + 4 * rank, prod(shape) * dtype.itemsize
    found = size - start
    if packed:
        memory.check_ratio(size, needed, str(path), "Keep it unpacked, without `.gz`.")
    if packed or found == needed:
        memory.require(needed, str(path), "N0741")
        data = file.read(needed)
        found = len(data) + (len(file.read(1)) if packed else 0)
    if found != needed:
        more = "more" if packed and found > needed else f"{start + found:,}"
        raise Error(
            f"{path} is damaged: {list(shape)} elements need {start + needed:,} bytes, and it has "
            f"{more}. Fetch it again.",
            "N0741",
        )
    array = np.frombuffer(data, dtype).reshape(shape)
    native = {"i1": np.int32, "i2": np.int32}.get(dtype.str[1:], dtype.newbyteorder("="))
    return array.astype(native)
