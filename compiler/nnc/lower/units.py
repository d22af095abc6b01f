"""Units of work: what becomes a step, before buffers are assigned.

Takes the groups and kernels of a graph; gives units in an order, where tile programs have found the
kernel they ride on: the elementwise work on what a kernel produced (epilogue), or on what a
reduction consumes (prologue).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import InternalError
from ..graph import Graph, Node, Origin, Value
from .analysis import Analysis
from .fuse import find_groups
from .order import Order
from .tiles import TileCode, copy_tile, write_tile


@dataclass(eq=False)
class Unit:
    """A kernel's node, a tile program, or both. `host`: the unit that this one became a part of."""

    number: int
    node: Node | None = None
    tile: TileCode | None = None
    prepared: bool = False
    host: Unit | None = None
    prologue: bool = (
        False  # the tile program makes what the kernel reads, instead of using what it wrote
    )

    @property
    def rides(self) -> bool:
        return self.node is not None and self.tile is not None and not self.prologue

    def reads(self) -> Iterator[Value]:
        """The values this unit needs from memory (not what its own kernel just wrote)."""
        if self.node is not None and not self.prologue:
            yield from self.node.operands
        if self.tile is not None:
            raw = self.node.result if self.rides and self.node is not None else None
            yield from (value for value in self.tile.loads if value is not raw)

    def writes(self) -> Iterator[Value]:
        if self.node is not None:
            yield from self.node.results
        if self.tile is not None and not self.prologue:
            yield from self.tile.stores

    @property
    def origin(self) -> Origin:
        if self.node is not None:
            return self.node.origin
        assert self.tile is not None
        return self.tile.origin


class Work:
    """All units of a graph, what depends on what, and who reads and writes each value (views count
    as what they view).
    """

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.units: list[Unit] = []
        groups, fusion = find_groups(analysis)
        priorities: list[int] = []
        for node in analysis.graph.nodes:
            if analysis.is_fusable(node) or analysis.is_view(node) or analysis.is_data(node):
                continue
            if node.op.kernel is None:
                raise InternalError(f"`{node.op.name}` runs at compile time only", "lower")
            prepared = all(result in analysis.fixed for result in node.results)
            self.units.append(Unit(len(self.units), node, prepared=prepared))
            priorities.append(analysis.index[node])
        for group in groups:
            tile = write_tile(group, fusion)
            self.units.append(Unit(len(self.units), tile=tile, prepared=group.prepared))
            priorities.append(max(analysis.index[node] for node in group.nodes))
        self.writer: dict[Value, Unit] = {v: unit for unit in self.units for v in unit.writes()}
        self.readers: dict[Value, list[Unit]] = {}
        for unit in self.units:
            self._note_reads(unit)
        self._start_order(priorities)

    def _note_reads(self, unit: Unit) -> None:
        for value in dict.fromkeys(self.analysis.root(v) for v in unit.reads()):
            self.readers.setdefault(value, []).append(unit)

    def _start_order(self, priorities: list[int]) -> None:
        """What depends on no kernel comes first, so that later units find it done."""
        successors: list[list[int]] = [[] for _ in self.units]
        early = [unit.node is None for unit in self.units]
        for unit in sorted(self.units, key=lambda u: priorities[u.number]):
            for value in unit.reads():
                maker = self.writer.get(self.analysis.root(value))
                if maker is not None:
                    successors[maker.number].append(unit.number)
                    early[unit.number] &= early[maker.number]
        count = len(self.analysis.graph.nodes)
        self.order = Order(
            successors,
            [p - count if is_early else p for p, is_early in zip(priorities, early, strict=True)],
        )

    # ------------------------------------------------------------ asking

    def rep(self, unit: Unit) -> Unit:
        while unit.host is not None:
            unit = unit.host
        return unit

    def reading(self, value: Value) -> list[Unit]:
        """The units that read a value or a view of it."""
        return list(dict.fromkeys(self.rep(unit) for unit in self.readers.get(value, ())))

    def in_order(self) -> list[Unit]:
        return sorted(
            (unit for unit in self.units if unit.host is None),
            key=lambda unit: self.order.position[unit.number],
        )

    # ------------------------------------------------------------ changing

    def add_copy(self, source: Value, target: Value) -> Unit:
        """A unit that copies a value to a new one."""
        unit = Unit(self.order.add_node(), tile=copy_tile(source, target))
        self.units.append(unit)
        self.writer[target] = unit
        self._note_reads(unit)
        maker = self.writer.get(self.analysis.root(source))
        if maker is not None:
            self.order.add(maker.number, unit.number)
        return unit

    def attach_all(self) -> None:
        kept = set(map(self.analysis.root, self.analysis.graph.roots()))
        tiles = [unit for unit in self.in_order() if unit.node is None]
        for unit in tiles:
            self._attach_prologue(unit, kept)
        for unit in tiles:
            if unit.host is None:
                self._attach_epilogue(unit)

    def _attach_prologue(self, unit: Unit, kept: set[Value]) -> None:
        """Into the reduction that alone reads the one value it stores."""
        tile = unit.tile
        assert tile is not None
        if len(tile.stores) != 1 or tile.stores[0] in kept:
            return
        (value,) = tile.stores
        readers = self.reading(value)
        if len(readers) != 1:
            return
        (reader,) = readers
        node = reader.node
        if node is None or "reduction" not in node.op.traits or reader.tile is not None:
            return
        if node.operands[0] is not value or tile.compute != value.dtype or not tile.loads:
            return
        if reader.prepared != unit.prepared:
            return
        reader.tile, reader.prologue = tile, True
        self._join(unit, reader)

    def _attach_epilogue(self, unit: Unit) -> None:
        """Onto the last kernel whose result it reads, where everything else it reads is there
        before.
        """
        tile = unit.tile
        assert tile is not None
        makers = {}
        for value in tile.loads:
            maker = self.writer.get(self.analysis.root(value))
            if maker is not None:
                makers[value] = self.rep(maker)
        position = self.order.position
        hosts = sorted(makers.items(), key=lambda item: -position[item[1].number])
        for value, host in hosts:
            if self._may_ride(unit, host, value) and self._bring_before(host, makers, value):
                host.tile = tile
                self._join(unit, host)
                return

    def _may_ride(self, unit: Unit, host: Unit, value: Value) -> bool:
        tile, node = unit.tile, host.node
        assert tile is not None
        if node is None or host.tile is not None or "epilogue" not in node.op.traits:
            return False
        others = [v for v in tile.loads if v is not value and self.analysis.root(v) in node.results]
        return (
            node.result is value
            and value.shape == tile.domain
            and value.dtype == tile.compute
            and host.prepared == unit.prepared
            and not others
        )

    def _bring_before(self, host: Unit, makers: dict[Value, Unit], value: Value) -> bool:
        """Order all other makers before the host, if that is possible."""
        others = [unit for v, unit in makers.items() if v is not value]
        if any(unit is host or self.order.reaches(host.number, unit.number) for unit in others):
            return False
        return all(self.order.add(unit.number, host.number) for unit in others)

    def _join(self, unit: Unit, host: Unit) -> None:
        unit.host = host
        assert unit.tile is not None
        for value in unit.tile.stores:
            self.writer[value] = host


def make_work(graph: Graph) -> Work:
    work = Work(Analysis(graph))
    work.attach_all()
    return work


def edges(work: Work) -> dict[Unit, list[Unit]]:
    """What must come after each unit, among units that became steps."""
    by_number = {unit.number: unit for unit in work.units}
    table: dict[Unit, list[Unit]] = {unit: [] for unit in work.units if unit.host is None}
    for number, items in enumerate(work.order.after):
        first = work.rep(by_number[number])
        after: Iterable[Unit] = (work.rep(by_number[item]) for item in items)
        table[first].extend(unit for unit in after if unit is not first)
    return {unit: list(dict.fromkeys(items)) for unit, items in table.items()}
