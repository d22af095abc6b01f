"""The one exception for mistakes of a user: wrong data, a damaged file, a value out of range."""

from __future__ import annotations


class Error(Exception):
    """A mistake that its text explains in full; `code` names its kind (`N07…`)."""

    def __init__(self, message: str, code: str = "N0700") -> None:
        super().__init__(message)
        self.code = code
