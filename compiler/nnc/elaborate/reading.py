"""Read the text of a `.nn` file: a regular file of a size that a person can have written."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

LARGEST_TEXT = 1_000_000  # bytes; the whole standard library has 40,000


def read_text(path: Path) -> str:
    """The text of a file. Raises OSError for one that cannot be read, that is no regular file (a
    device or a pipe may never end) or that is too large; UnicodeDecodeError for one that is not
    UTF-8.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        if status.st_size > LARGEST_TEXT:
            raise OSError(
                errno.EFBIG,
                f"it has {status.st_size:,} bytes, and a `.nn` file has at most {LARGEST_TEXT:,}; "
                "write what repeats as a `block` or with `repeat`",
                str(path),
            )
        return file.read(LARGEST_TEXT).decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
