"""Numbers and switches that a user gives: Python's, NumPy's, or arrays of one number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnrt.errors import Error

LARGEST = 2**63 - 1  # what the engine counts with
MOST_EPOCHS = 2**31 - 1


def plain(value: Any) -> Any:
    """A number of NumPy, or an array without dimensions, as Python's; anything else as it is."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    return value


def whole(value: Any, name: str, low: int | None = 1, high: int | None = LARGEST) -> int:
    """A whole number within the bounds, both of them included, where there are any."""
    number = plain(value)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    known = isinstance(number, int) and not isinstance(number, bool)
    if known and (low is None or low <= number) and (high is None or number <= high):
        return int(number)
    bounds = "" if low is None else f" of at least {low}"
    if known and high is not None and number > high:
        bounds = f" of at most {high}"
    raise Error(f"`{name}` must be a whole number{bounds}, and is {shown(value)}.", "N0731")


def switch(value: Any, name: str, usual: bool = False) -> bool:
    """True or False; None is what is usual."""
    found = usual if value is None else plain(value)
    if not isinstance(found, bool):
        raise Error(f"`{name}` must be True or False, and is {shown(value)}.", "N0731")
    return found


def fraction(value: Any) -> float | None:
    """A number as a part of a whole (which may be out of range), or None for anything else."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return None
    try:
        return float(number)
    except OverflowError:  # a whole number that no float holds
        return math.inf


def shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    try:
        text = repr(value)
    except Exception:  # of a class of the user
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."
