"""What autodiff knows of a node that tells whether a 0 that flows back meets an infinite slope.

A choice (`select`, a maximum, a slice) sends 0 back to what it does not take. There the slopes of
what came before may be infinite or NaN, and 0 times those is NaN, where 0 is right. Rules that ask
for a `Flow` keep such a 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from .dtypes import FLOATS, NARROW
from .graph import Node, Value, Variable


class Size(IntEnum):
    """What is known of every element of a value; each level includes those before it."""

    ANY = 0
    FINITE = 1
    NONZERO = 2
    AT_LEAST_ONE = 3


@dataclass(frozen=True)
class Flow:
    """A node on the way back. `masked`: a choice further on may send 0 where values are not finite;
    `sizes`: of the operands.
    """

    masked: bool
    sizes: tuple[Size, ...]

    def least(self, operands: Iterable[int]) -> Size:
        """What is known of all these operands."""
        return min((self.sizes[index] for index in operands), default=Size.AT_LEAST_ONE)


class Slopes:
    """Follows the walk back over the nodes, which are visited from the last to the first."""

    def __init__(
        self,
        forward: Sequence[Node],
        variables: Sequence[Variable],
        masked: Iterable[Value] = (),
    ) -> None:
        """`masked`: values to which a choice that comes later may send back a 0."""
        self.masked: set[Value] = set(masked)
        self.sizes: dict[Value, Size] = {item.value: Size.FINITE for item in variables}
        for node in forward:
            for result in node.results:
                self.sizes[result] = self._size(node, result)

    def flow(self, node: Node) -> Flow:
        """What is known at a node, through which a gradient flows; to be asked once for each."""
        masked = any(result in self.masked for result in node.results)
        if masked or any("picks" in inner.op.traits for inner in node.within()):
            self.masked.update(node.operands)
        return Flow(masked, tuple(self._known(operand) for operand in node.operands))

    def _known(self, value: Value) -> Size:
        return self.sizes.get(value, Size.ANY if value.dtype in (*FLOATS, *NARROW) else Size.FINITE)

    def _size(self, node: Node, result: Value) -> Size:
        if "constant" in node.op.traits:
            return _size_of(node.attributes["value"])
        if node.op.size > Size.ANY:
            return node.op.size
        if result.dtype not in (*FLOATS, *NARROW):
            return Size.FINITE
        return self._known(node.operands[0]) if "moves" in node.op.traits else Size.ANY


def _size_of(array: np.ndarray[Any, Any]) -> Size:
    if not np.isfinite(array).all():
        return Size.ANY
    if (array >= 1).all():
        return Size.AT_LEAST_ONE
    return Size.NONZERO if (array != 0).all() else Size.FINITE
