"""How each value of a program depends on the rows of the batch.

Takes a graph; gives a `Kind` for every value. A metric that is a `MEAN` can be averaged over
batches, weighted by their rows; one that is `MIXED` cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache
from typing import Any

from .dims import Dim, Poly, exact_quotient, symbol
from .dtypes import FLOATS
from .graph import Graph, Node, Value


class Kind(Enum):
    """`FIXED`: the same for every batch. `ROWS`: equal parts along the first axis, each from one
    row of the inputs. `MEAN`: its value over all rows is the mean of its values over batches,
    weighted by their rows. `MIXED`: anything else.
    """

    FIXED = auto()
    ROWS = auto()
    MEAN = auto()
    MIXED = auto()


def batch_symbol(graph: Graph) -> Poly | None:
    """The symbol that counts rows: the first dimension of the data inputs."""
    for item in graph.inputs:
        if item.role == "data" and item.value.shape:
            first = item.value.shape[0]
            if isinstance(first, Poly) and first == symbol(str(first)):
                return first
    return None


def parts_of_row(value: Value, batch: Poly) -> Dim | None:
    """How many steps along the first axis belong to one row; None where the first axis alone does
    not count rows.
    """
    return _parts_of_row(value.shape, batch)


@lru_cache(maxsize=4096)
def _parts_of_row(shape: tuple[Dim, ...], batch: Poly) -> Dim | None:
    if not shape or any(_names(dim, batch) for dim in shape[1:]):
        return None
    parts = exact_quotient(shape[0], batch)
    return None if parts is None or parts == 0 or _names(parts, batch) else parts


def _names(part: Any, batch: Poly) -> bool:
    """Whether a dimension, or one of a list, depends on the number of rows."""
    if isinstance(part, tuple):
        return any(_names(item, batch) for item in part)
    return isinstance(part, Poly) and bool(part.symbols() & batch.symbols())


class Rows:
    """The kinds of the values that a graph's outputs depend on.

    The first `layers` nodes are the net's. A layer of the net, which has parameters, counts as
    giving rows even where it mixes them, as batch normalization does in training: a metric is a
    formula over what the net gives, and the net runs batch by batch.
    """

    def __init__(self, graph: Graph, batch: Poly, layers: int) -> None:
        self.batch = batch
        self.kinds: dict[Value, Kind] = {}
        self.learned = {variable.value for variable in graph.variables}  # depend on variables alone
        self.kinds.update(dict.fromkeys(self.learned, Kind.FIXED))
        for item in graph.inputs:
            fixed = not _names(item.value.shape, batch)
            self.kinds[item.value] = Kind.FIXED if fixed else self._shaped(item.value)
        needed = {value for _, value in graph.outputs}
        chosen: list[tuple[int, Node]] = []
        for number in range(len(graph.nodes) - 1, -1, -1):
            node = graph.nodes[number]
            if not needed.isdisjoint(node.results):
                needed.update(node.operands)
                chosen.append((number, node))
        for number, node in reversed(chosen):
            self.add(node, number < layers)

    def __getitem__(self, value: Value) -> Kind:
        return self.kinds[value]

    def _shaped(self, value: Value) -> Kind:
        return Kind.MIXED if parts_of_row(value, self.batch) is None else Kind.ROWS

    def add(self, node: Node, layer: bool = False) -> None:
        """Find the kinds of a node's results."""
        kinds = [self.kinds[value] for value in node.operands]
        dependent = set(kinds) - {Kind.FIXED}
        if not dependent and not self._counts(node):
            found = [Kind.FIXED] * len(node.results)
            if not self.learned.isdisjoint(node.operands):
                self.learned.update(node.results)
        elif dependent <= {Kind.ROWS} and self._keeps_rows(node, kinds):
            found = [self._shaped(value) for value in node.results]
        elif self._averages(node, kinds):
            found = [Kind.MEAN]
        elif layer and not self.learned.isdisjoint(node.operands):
            found = [self._shaped(value) for value in node.results]
        else:
            found = [Kind.MIXED] * len(node.results)
        self.kinds.update(zip(node.results, found, strict=True))

    def _counts(self, node: Node) -> bool:
        """Whether the number of rows is a part of what a node computes."""
        return any(
            _names(part, self.batch)
            for inner in node.within()
            for part in (*inner.attributes.values(), *(value.shape for value in inner.results))
        )

    def _keeps_rows(self, node: Node, kinds: Sequence[Kind]) -> bool:
        types = [value.type for value in node.operands]
        carried = [kind is Kind.ROWS for kind in kinds]
        return all(parts_of_row(value, self.batch) is not None for value in node.results) and (
            node.op.keeps_rows(types, node.attributes, carried)
        )

    def _averages(self, node: Node, kinds: Sequence[Kind]) -> bool:
        """Whether a node gives a mean over rows, or moves, adds and scales such means."""
        traits = node.op.traits
        if len(node.results) != 1 or node.result.dtype not in FLOATS or self._counts(node):
            return False
        if "mean" in traits and kinds == [Kind.ROWS]:
            return 0 in node.attributes["axes"]
        if not set(kinds) <= {Kind.FIXED, Kind.MEAN}:
            return False
        if "scaling" in traits:
            others = kinds if "commutative" in traits else kinds[1:]
            return kinds.count(Kind.MEAN) == 1 and (len(others) == len(kinds) or _fixed(others))
        return "linear" in traits


def _fixed(kinds: Sequence[Kind]) -> bool:
    return all(kind is Kind.FIXED for kind in kinds)
