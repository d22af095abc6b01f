"""Outputs and updates: where results of a graph end up.

Takes units of work; decides which values are stored directly in a variable (in place, if all
readers of the old value run before) and which outputs and updates need a copy; adds the copy units
and their order.
"""

from __future__ import annotations

from ..graph import Value
from .units import Unit, Work


class Placement:
    """`home`: values stored in the buffer of another value; `outputs`: the value behind each
    output, and the ones it names.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.analysis = work.analysis
        self.home: dict[Value, Value] = {}
        self.outputs: dict[str, Value] = {}
        self._count = -1

    def new_value(self, like: Value) -> Value:
        self._count -= 1
        return Value(self._count, like.type)

    def settle(self) -> None:
        graph = self.analysis.graph
        for name, value in graph.outputs:
            self.outputs[name] = self._fresh(value) if self._is_lasting(value) else value
        self._settle_updates()
        taken: set[Value] = set()
        for name, value in self.outputs.items():
            root = self.analysis.root(value)
            if root in self.home or root in taken:
                self.outputs[name] = self._fresh(value)
            taken.add(root)
        self._share_raw_results()

    def _is_lasting(self, value: Value) -> bool:
        """An input, a variable, a constant or prepared: memory that is not the program's own."""
        root = self.analysis.root(value)
        return root not in self.work.writer or root in self.analysis.fixed

    def _fresh(self, value: Value) -> Value:
        made = self.new_value(value)
        self.work.add_copy(value, made)
        return made

    # ------------------------------------------------------------ updates

    def _settle_updates(self) -> None:
        graph = self.analysis.graph
        old = {variable.name: variable.value for variable in graph.variables}
        changed = {old[name] for name, value in graph.updates if value is not old[name]}
        copied: list[tuple[Value, Value]] = []
        made: dict[Value, Value] = {}
        for name, value in graph.updates:
            if value is old[name]:
                continue
            if value in self.work.writer and value not in made:
                made[value] = old[name]
            elif self.analysis.root(value) in changed:
                # By way of a temporary, read before anything changes: copies never wait for each
                # other.
                copied.append((old[name], self._fresh(value)))
            else:
                copied.append((old[name], value))
        for value, variable in made.items():
            if not self._place(variable, value):
                copied.append((variable, value))
        for variable, value in copied:
            self._copy_at_end(variable, value)

    def _place(self, variable: Value, value: Value) -> bool:
        """Store `value` in the buffer of `variable`, if its producer can run after all readers of
        the old value.
        """
        maker = self.work.rep(self.work.writer[value])
        readers = self.work.reading(variable)
        if maker in readers and not self._reads_in_step(maker, variable, value):
            return False
        others = [unit for unit in readers if unit is not maker]
        if any(self.work.order.reaches(maker.number, unit.number) for unit in others):
            return False
        if not all(self.work.order.add(unit.number, maker.number) for unit in others):
            return False
        self.home[value] = variable
        return True

    def _reads_in_step(self, maker: Unit, variable: Value, value: Value) -> bool:
        """Whether the maker reads the old value element by element as it stores the new one."""
        root = self.analysis.root
        tile = maker.tile
        if tile is None or maker.prologue or value not in tile.stores:
            return False
        if maker.node is not None and any(root(v) is variable for v in maker.node.operands):
            return False
        return all(v.shape == tile.domain for v in tile.loads if root(v) is variable)

    def _copy_at_end(self, variable: Value, value: Value) -> None:
        target = self.new_value(variable)
        readers = self.work.reading(variable)
        unit = self.work.add_copy(value, target)
        for reader in readers:
            if reader is not unit:
                added = self.work.order.add(reader.number, unit.number)
                assert added, "a copy at the end has nothing after it"
        self.home[target] = variable

    # ------------------------------------------------------------ raw results

    def _share_raw_results(self) -> None:
        """A raw result that only its own tile program reads shares the buffer of a store of it."""
        root = self.analysis.root
        needed = {root(value) for value in self.outputs.values()}
        needed |= {root(value) for _, value in self.analysis.graph.updates}
        for unit in self.work.units:
            if unit.host is not None or not unit.rides:
                continue
            assert unit.node is not None and unit.tile is not None
            raw = unit.node.result
            if raw in needed or raw in self.home or self._has_other_readers(raw, unit):
                continue
            for value in unit.tile.stores:
                if value.type == raw.type and value not in self.home:
                    self.home[raw] = value
                    break

    def _has_other_readers(self, raw: Value, unit: Unit) -> bool:
        return any(reader is not unit for reader in self.work.reading(raw))
