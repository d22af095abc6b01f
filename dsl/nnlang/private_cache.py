"""What takes long to make and is the same each time, kept in the user's cache folder.

Takes a name, what the thing depends on, and how to make, save and load it; gives the thing. The
folder is `~/.cache/nnc`. Keeps true: the cache changes nothing but the time. A file carries a
digest of its content and of what it depends on. Any other file is replaced, and without a folder
that can be used each process makes the thing again. A file is put in place whole, so processes may
share it. Saved things are pickles, so only what the user alone can write is read.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

Thing = TypeVar("Thing")

_DIGEST_SIZE = 32


def digest(*parts: object) -> str:
    """A key for things that depend on `parts`, which `repr` shows whole."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def kept(
    name: str,
    key: str,
    make: Callable[[], Thing],
    save: Callable[[Thing], bytes],
    load: Callable[[bytes], Thing],
) -> Thing:
    """The thing of a key, from the file of this name or made and put there."""
    folder = _folder()
    path = folder / name if folder is not None else None
    saved = _read(path, key) if path is not None else None
    if saved is not None:
        with suppress(Exception):  # Another build of the same version may save in another form.
            return load(saved)
    thing = make()
    if path is not None:
        _write(path, key, save(thing))
    return thing


def _folder() -> Path | None:
    folder = os.path.expanduser("~/.cache/nnc")
    return Path(folder) if os.path.isabs(folder) else None  # A user may have no home.


def _is_private(found: os.stat_result) -> bool:
    """Whether only this user (and root) can have written a file or folder."""
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _digest(key: str, saved: bytes) -> bytes:
    return hashlib.sha256(key.encode() + saved).digest()


def _read(path: Path, key: str) -> bytes | None:
    """What was saved, or None where there is nothing sound."""
    try:
        if not _is_private(os.stat(path.parent)):
            return None
        with path.open("rb") as file:
            if not _is_private(os.fstat(file.fileno())):
                return None
            content = file.read()
    except OSError:
        return None
    found, saved = content[:_DIGEST_SIZE], content[_DIGEST_SIZE:]
    return saved if found == _digest(key, saved) else None


def _write(path: Path, key: str, saved: bytes) -> None:
    """Save; where the folder does not allow it, the next use makes the thing again."""
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_private(os.stat(path.parent)):
            return
        handle, temporary = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_digest(key, saved) + saved)
            os.replace(temporary, path)
        finally:
            with suppress(OSError):  # It is gone already where it became the file.
                os.unlink(temporary)
