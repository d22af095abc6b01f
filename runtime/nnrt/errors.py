"""The one exception for mistakes of a user: wrong data, a damaged file, a value out of range."""

from __future__ import annotations

from nnrt.text import visible


class Error(Exception):
    """A mistake that its text explains in full; `code` names its kind (`N07…`).

    The text may quote a file, so control characters in it are shown as escapes.
    """

    def __init__(self, message: str, code: str = "N0700") -> None:
        super().__init__(visible(message, keep="\n"))
        self.code = code
