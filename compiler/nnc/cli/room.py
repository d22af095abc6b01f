"""Room on the disk for a file, seen to before the work that makes its content."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from nnc.options import OptionError


def check_room(path: Path, size: int) -> None:
    """See that a file of `size` bytes can be written at `path`, beside what is there now."""
    target = path.resolve()
    if target.exists() and not target.is_file():
        return  # a device or a pipe takes what it gets
    try:
        with tempfile.TemporaryFile(dir=target.parent) as file:
            allocate(file.fileno(), size)
            os.fsync(file.fileno())
    except OSError as error:
        raise OptionError(
            f"{path} cannot be written: its {size / 1e6:,.1f} MB find no room in {target.parent} "
            f"({error.strerror or error}). Make room, or name a file elsewhere."
        ) from error


def allocate(descriptor: int, size: int) -> None:
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        block = bytes(2**20)  # this file system cannot promise room, so it is used
        while size > 0:
            size -= os.write(descriptor, block[:size])
