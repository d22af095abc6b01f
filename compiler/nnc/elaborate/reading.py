"""Read the text of a `.nn` file: a regular file of a size that a person can have written."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path

from nnrt.reading import open_regular

LARGEST_TEXT = 1_000_000  # bytes; the whole standard library has 40,000


def read_text(path: Path) -> str:
    """The text of a file. Raises OSError for one that cannot be read, that is no regular file or
    that is too large; UnicodeDecodeError for one that is not UTF-8.
    """
    with open_regular(str(path)) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_TEXT:
            raise OSError(
                errno.EFBIG,
                f"it has {size:,} bytes, and a `.nn` file has at most {LARGEST_TEXT:,}; "
                "write what repeats as a `block` or with `repeat`",
                str(path),
            )
        return io.TextIOWrapper(io.BytesIO(file.read(size)), encoding="utf-8").read()
