"""Paths of files as messages show them."""

from __future__ import annotations

import os

from nnlang.syntax import Source

LIBRARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "std")


def shown_path(path: str) -> str:
    """A path as messages show it: from the working directory where that is shorter."""
    try:
        relative = os.path.relpath(path)
    except (ValueError, OSError):  # another drive, or a working directory that is gone
        return path
    return relative if len(relative) <= len(path) else path


def shown_name(source: Source) -> str:
    """The path of a source that is a file of the user, else its name."""
    if source.directory is None or os.path.normpath(source.directory).startswith(LIBRARY):
        return source.name
    return shown_path(os.path.join(source.directory, os.path.basename(source.name)))
