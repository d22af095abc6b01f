"""Lark's parser for a grammar, loaded from its saved form where there is one.

Takes the text of a grammar, gives its parser. Making one takes about ten times as long as loading
it, so the first use saves it in the user's cache folder, `~/.cache/nnc`. Keeps true: the cache
changes nothing but the time. A saved parser is of one grammar, one Lark and one Python, and carries
a digest. Any other file is replaced, and without a folder that can be used each process makes its
own parser. A file is put in place whole, so processes may share it. Saved parsers are pickles, so
only what the user alone can write is read.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import lark
from lark.lexer import Lexer

_DIGEST_SIZE = 32


def load_parser(grammar: str, lexer: type[Lexer]) -> lark.Lark:
    """The LALR parser of a grammar, from the cache or made and put there."""
    versions = (lark.__version__, sys.implementation.cache_tag, lexer.__module__, lexer.__name__)
    key = hashlib.sha256(repr((grammar, *versions)).encode()).hexdigest()
    folder = _folder()
    path = folder / f"grammar-{key[:16]}.lark" if folder is not None else None
    parser = _read(path, key) if path is not None else None
    if parser is None:
        parser = lark.Lark(grammar, parser="lalr", lexer=lexer, maybe_placeholders=True)
        if path is not None:
            _write(path, key, parser)
    return parser


def _folder() -> Path | None:
    folder = os.path.expanduser("~/.cache/nnc")
    return Path(folder) if os.path.isabs(folder) else None  # A user may have no home.


def _is_private(found: os.stat_result) -> bool:
    """Whether only this user (and root) can have written a file or folder."""
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022


def _digest(key: str, saved: bytes) -> bytes:
    return hashlib.sha256(key.encode() + saved).digest()


def _read(path: Path, key: str) -> lark.Lark | None:
    """The saved parser, or None where there is no sound one."""
    try:
        if not _is_private(os.stat(path.parent)):
            return None
        with path.open("rb") as file:
            if not _is_private(os.fstat(file.fileno())):
                return None
            content = file.read()
    except OSError:
        return None
    digest, saved = content[:_DIGEST_SIZE], content[_DIGEST_SIZE:]
    if digest != _digest(key, saved):
        return None
    try:
        return lark.Lark.load(io.BytesIO(saved))
    except Exception:  # Another build of the same version of Lark may save in another form.
        return None


def _write(path: Path, key: str, parser: lark.Lark) -> None:
    """Save a parser; where the folder does not allow it, the next use makes its own again."""
    buffer = io.BytesIO()
    parser.save(buffer)
    saved = buffer.getvalue()
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
