"""Files that are read: a path in any of Python's forms, and regular files only.

A device or a pipe may have no end, so neither is read; of a regular file no more is read than its
size says.
"""

from __future__ import annotations

import os
import stat
from typing import Any, BinaryIO

from nnrt.errors import Error

Path = str | bytes | os.PathLike[Any]


def path_text(path: Any, what: str = "the path") -> str:
    """A path as text. Bytes are paths too, as everywhere in Python."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise Error(f"{what} must be a path, and is {path!r:.60}.")
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise Error(f"{what} must be the name of a file, and is {text!r:.60}.")
    return text


def open_regular(path: str) -> BinaryIO:
    """A regular file, open for reading. Raises OSError for what cannot be opened or is none."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not block
    try:
        check_regular(os.fstat(handle).st_mode, path)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def check_regular(mode: int, path: str) -> None:
    """Raise OSError unless the mode is a regular file's."""
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(21, "Is a directory", path)
    if not stat.S_ISREG(mode):
        raise OSError(22, f"it is {kind_text(mode)}, and a regular file is needed", path)


def kind_text(mode: int) -> str:
    """What a file is, in words."""
    for test, text in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a disk"),
    ):
        if test(mode):
            return text
    return "a regular file"


def read_whole(file: BinaryIO) -> bytes:
    """As much as the file's size says: no more where it grows, an error where it shrinks."""
    size = os.fstat(file.fileno()).st_size
    content = file.read(size)
    if len(content) != size:
        raise OSError(5, f"it has only {len(content):,} of {size:,} bytes", file.name)
    return content
