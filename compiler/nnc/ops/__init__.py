"""All operators, in one explicit table.

`operator(name)` gives the one instance of an operator; `all_operators()` gives all, in the order of
their families.
"""

from __future__ import annotations

import difflib

from ..errors import InternalError
from . import (
    convolution,
    creation,
    cutting,
    elementwise,
    indexing,
    matmul,
    movement,
    normalization,
    pooling,
    reduction,
    softmax,
)
from .base import Operator

_FAMILIES: tuple[tuple[Operator, ...], ...] = (
    elementwise.OPERATORS,
    creation.OPERATORS,
    movement.OPERATORS,
    cutting.OPERATORS,
    indexing.OPERATORS,
    reduction.OPERATORS,
    matmul.OPERATORS,
    convolution.OPERATORS,
    pooling.OPERATORS,
    normalization.OPERATORS,
    softmax.OPERATORS,
)


def _make_table(families: tuple[tuple[Operator, ...], ...]) -> dict[str, Operator]:
    table: dict[str, Operator] = {}
    for family in families:
        for made in family:
            if made.name in table:
                raise TypeError(f"two operators are named {made.name}")
            table[made.name] = made
    return table


_TABLE = _make_table(_FAMILIES)


def operator(name: str) -> Operator:
    """The operator of that name. Raises InternalError, with a suggestion, where there is none."""
    found = _TABLE.get(name)
    if found is None:
        near = difflib.get_close_matches(name, _TABLE, 1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        raise InternalError(f"there is no operator `{name}`{hint}")
    return found


def all_operators() -> tuple[Operator, ...]:
    return tuple(_TABLE.values())
