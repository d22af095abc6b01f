"""Metrics over a whole set of data, whatever the batches it is worked through in.

A metric that is a mean over rows is averaged over batches. Any other one (a ratio of sums, a
correlation, a maximum, the root of a mean) is cut in two: the program of a batch gives values row
by row, as outputs `rows.0`, `rows.1`, ...; the runtime collects them, and one more program computes
the metric from the rows of the whole set.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from .builder import Builder
from .dims import Poly, product
from .dtypes import DTYPES
from .graph import Graph, Input, Node, Value
from .least_cut import least_cut
from .rows import Kind, Rows, batch_symbol, parts_of_row

OPEN_SIZE = 32  # stands for an open dimension where the sizes of values are compared
MAX_CUT = 2000  # more values than these are not searched for the cheapest to collect


def split(graph: Graph, layers: int, training: bool = False) -> tuple[Graph, Graph | None]:
    """The program of a batch, and the one that computes the rest of its outputs from all rows;
    None where every output can be averaged over batches.

    `layers`: how many of the nodes are the net's. In training the loss is averaged in any case, as
    it is what a step minimizes, and so is what compares every row with every other.
    """
    batch = batch_symbol(graph)
    if batch is None:
        return graph, None
    rows = Rows(graph, batch, layers)
    collected = {}
    for name, value in graph.outputs:
        if rows[value] is not Kind.MIXED or (training and name == "loss"):
            continue
        head, read = _needed(graph.nodes, [value], rows)
        # An input that does not lie row by row, as [N, N], cannot be collected.
        whole = any(item.value in read and rows[item.value] is Kind.MIXED for item in graph.inputs)
        compares = training and any(_compares(node, batch) for node in head)
        if not whole and not compares:
            collected[name] = value
    if not collected:
        return graph, None
    return _Cut(graph, rows, collected).programs()


def _compares(node: Node, batch: Poly) -> bool:
    """Whether a node gives something for each pair of rows."""
    ((atom,), _) = batch.terms[0]
    for value in node.results:
        size = product(value.shape)
        if isinstance(size, Poly) and any(m.count(atom) > 1 for m, _ in size.terms):
            return True
    return False


def name_of_rest(program: str) -> str:
    """The program that computes from the rows of a whole set what `program` alone cannot."""
    return f"{program}_metrics"


def _needed(
    nodes: Sequence[Node], wanted: Collection[Value], rows: Rows
) -> tuple[list[Node], set[Value]]:
    """What computes values from rows: the nodes in order, and the values that they read."""
    needed = set(wanted)
    chosen = []
    for node in reversed(nodes):
        results = [value for value in node.results if value in needed]
        if any(rows[value] is not Kind.ROWS for value in results):
            chosen.append(node)
            needed.update(node.operands)
    return chosen[::-1], needed


class _Cut:
    """One program cut in two."""

    def __init__(self, graph: Graph, rows: Rows, collected: dict[str, Value]) -> None:
        self.graph = graph
        self.rows = rows
        self.batch = rows.batch
        self.collected = collected
        self.builder = Builder.over(graph, keep_nodes=False)  # makes what the batch's program adds
        self.nodes: list[Node] = []  # the graph's, with what was added before them
        self.read: set[Value] = set()  # what the nodes of the head read
        head = set(_needed(graph.nodes, collected.values(), rows)[0])
        for node in graph.nodes:
            if node in head:
                before = len(self.builder.nodes)
                node = self._within_rows_first(node)
                self.nodes += self.builder.nodes[before:]
                self.read.update(node.operands)
            self.nodes.append(node)
        self.makers = {value: node for node in self.nodes for value in node.results}

    def programs(self) -> tuple[Graph, Graph]:
        kept = sorted(self._cheapest(), key=lambda value: value.id)
        nodes, inputs = self._remaining(set(kept)), []
        outputs = [item for item in self.graph.outputs if item[0] not in self.collected]
        for number, value in enumerate(kept):
            name = f"rows.{number}"
            given = self._by_row(value)
            if given is not value:
                back = self.builder.nodes[-1]
                nodes.insert(0, Node(back.op, (given,), {"shape": value.shape}, (value,)))
            inputs.append(Input(name, given))
            outputs.append((name, given))
        own = replace(
            self.graph,
            nodes=(*self.graph.nodes, *self.builder.nodes),
            outputs=tuple(outputs),
        )
        return own, self._of_set(nodes, inputs)

    def _within_rows_first(self, node: Node) -> Node:
        """A reduction over rows and within them, of what each row gives: less to collect."""
        axes = node.attributes.get("axes")
        if "reduction" not in node.op.traits or axes is None or 0 not in axes:
            return node
        (x,) = node.operands
        if self.rows[x] is not Kind.ROWS:
            return node
        self.builder.origin = node.origin
        inner = self._by_row(x)
        added = len(inner.shape) - len(x.shape)
        within = tuple(axis + added for axis in axes if axis + added > 0)
        if not within:
            return node
        inner = self._emit(node.op.name, inner, axes=within, keepdims=True)
        if added:
            inner = self._emit("reshape", inner, shape=(inner.shape[0], *inner.shape[2:]))
        return node.with_operands((inner,))

    def _by_row(self, value: Value) -> Value:
        """A value whose first axis is the rows."""
        parts = parts_of_row(value, self.batch)
        if parts == 1:
            return value
        return self._emit("reshape", value, shape=(self.batch, parts, *value.shape[1:]))

    def _emit(self, name: str, x: Value, **attributes: Any) -> Value:
        made = self.builder.emit(name, x, **attributes)
        self.rows.add(self.builder.nodes[-1])
        return made

    # ------------------------------------------------------------ what to collect

    def _cheapest(self) -> set[Value]:
        """The values of least size from which the head can be computed."""
        wanted = [value for value in self.read if self.rows[value] is Kind.ROWS]
        made_from: dict[Value, list[Value]] = {}
        cost: dict[Value, int] = {}
        waiting = list(wanted)
        while waiting:
            value = waiting.pop()
            if value in cost:
                continue
            cost[value] = self._bytes_of_row(value)
            maker = self.makers.get(value)
            if maker is not None and self._can_be_repeated(maker):
                sources = [v for v in maker.operands if self.rows[v] is Kind.ROWS]
                made_from[value] = sources
                waiting += sources
        return least_cut(wanted, made_from, cost) if len(cost) <= MAX_CUT else set(wanted)

    def _can_be_repeated(self, node: Node) -> bool:
        """Whether a node may run on all rows later: it depends on no variable, which may have
        changed, nor on chance.
        """
        if "random" in node.op.traits or not self.rows.learned.isdisjoint(node.operands):
            return False
        return all(self.rows[value] in (Kind.ROWS, Kind.FIXED) for value in node.operands)

    def _bytes_of_row(self, value: Value) -> int:
        row = product((parts_of_row(value, self.batch) or 0, *value.shape[1:]))
        if isinstance(row, Poly):
            row = row.evaluate(dict.fromkeys(row.symbols(), OPEN_SIZE))
        return DTYPES[value.dtype].itemsize * max(row, 1)

    def _remaining(self, kept: set[Value]) -> list[Node]:
        """The nodes that compute the collected outputs from what is kept."""
        needed = set(self.collected.values())
        chosen = []
        for node in reversed(self.nodes):
            if any(value in needed and value not in kept for value in node.results):
                chosen.append(node)
                needed.update(node.operands)
        return chosen[::-1]

    # ------------------------------------------------------------ the program of the set

    def _of_set(self, nodes: list[Node], inputs: list[Input]) -> Graph:
        used = {value for node in nodes for value in node.operands}
        clocks = [i for i in self.graph.inputs if i.role == "clock" and i.value in used]
        return Graph(
            inputs=(*inputs, *self._carriers(nodes, inputs), *clocks),
            variables=tuple(v for v in self.graph.variables if v.value in used),
            nodes=tuple(nodes),
            outputs=tuple(self.collected.items()),
        )

    def _carriers(self, nodes: list[Node], inputs: list[Input]) -> list[Input]:
        """Data inputs that are there for the sizes which no collected value has."""
        sizes = {dim for node in nodes for value in node.results for dim in value.shape}
        sizes |= {part for node in nodes for part in _dims(tuple(node.attributes.values()))}
        missing = {name for dim in sizes if isinstance(dim, Poly) for name in dim.symbols()}
        known = {str(dim) for item in inputs for dim in item.value.shape}
        carriers = []
        for item in self.graph.inputs:
            shown = {str(dim) for dim in item.value.shape}
            if item.role == "data" and missing - known & shown:
                carriers.append(item)
                known |= shown
        return carriers


def _dims(part: Any) -> set[Any]:
    if isinstance(part, tuple):
        return {dim for item in part for dim in _dims(item)}
    return {part} if isinstance(part, Poly) else set()
