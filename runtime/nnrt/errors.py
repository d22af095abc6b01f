"""The one exception for mistakes of a user: wrong data, a damaged file, a value out of range."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nnrt.text import visible


class Error(Exception):
    """A mistake that its text explains in full; `code` names its kind (`N07…`).

    The text may quote a file, so control characters in it are shown as escapes.
    """

    def __init__(self, message: str, code: str = "N0700") -> None:
        super().__init__(visible(message, keep="\n"))
        self.code = code


class IndexOutside(Error):
    """An index that the data, or what the net makes of it, has outside of a table or of the
    classes. `row`: of the data that the net was given.
    """

    def __init__(self, place: str, row: int, index: int, limit: int) -> None:
        self.place, self.row, self.index, self.limit = place, row, index, limit
        super().__init__(
            f"{place}: the index {index} in row {row:,} is out of range: it must lie between 0 and "
            f"{limit - 1}.",
            "N0706",
        )

    def after(self, rows: int) -> IndexOutside:
        """The same, where so many rows come before those that were given."""
        return IndexOutside(self.place, self.row + rows, self.index, self.limit)


@contextmanager
def of(place: str) -> Iterator[None]:
    """Errors inside begin with where what they are about was given: `validation`, `--data`."""
    try:
        yield
    except Error as error:
        if not place:
            raise
        raise Error(f"{place}: {error}", error.code) from error


class Notice(UserWarning):
    """What a user should know of a training that goes on all the same."""
