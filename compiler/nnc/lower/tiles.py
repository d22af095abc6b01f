"""Writes tile programs: a group of elementwise nodes as instructions over registers.

Takes a group and the fusion that made it; gives code over values, to which buffers are assigned
later. Only what the stored values need is written; numbers, dimensions and cheap values of other
groups are computed in place; loads come at their first use and stores at the end, so that a program
may store where it loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..dims import Dim
from ..dtypes import FLOATS, NARROW
from ..graph import Node, Origin, Value
from ..plan import Instruction, TileProgram
from .fuse import Fusion, Group

NOWHERE = Origin()


@dataclass(frozen=True, eq=False)
class TileCode:
    """A tile program over values: slots index `loads` and `stores`."""

    compute: str
    domain: tuple[Dim, ...]
    loads: tuple[Value, ...]
    stores: tuple[Value, ...]
    code: tuple[Instruction, ...]
    origin: Origin = NOWHERE

    def program(self, buffers: Mapping[Value, int], role: str) -> TileProgram:
        """The same over buffers."""
        return TileProgram(
            role,
            self.compute,
            self.domain,
            tuple(buffers[value] for value in self.loads),
            tuple(buffers[value] for value in self.stores),
            self.code,
        )


def write_tile(group: Group, fusion: Fusion) -> TileCode:
    return _Writer(group, fusion).write()


def copy_tile(source: Value, target: Value) -> TileCode:
    """Load a value, store it to another of the same type."""
    compute = source.dtype
    if compute not in FLOATS:
        compute = "f32" if compute in NARROW else "i64"
    code = (("load", 0), ("store", 0, 0))
    return TileCode(compute, source.shape, (source,), (target,), code)


@dataclass
class _Writer:
    """Writes the instructions of one group."""

    group: Group
    fusion: Fusion
    code: list[Instruction] = field(default_factory=list)
    registers: dict[Value, int] = field(default_factory=dict)
    known: dict[Instruction, int] = field(default_factory=dict)
    loads: list[Value] = field(default_factory=list)

    def write(self) -> TileCode:
        group = self.group
        needed = set(group.stores)
        for node in reversed(group.nodes):
            if node.result in needed:
                needed.update(node.operands)
        for node in group.nodes:
            if node.result in needed:
                self.register(node.result)
        stores = [("store", slot, self.registers[value]) for slot, value in enumerate(group.stores)]
        last = self.fusion.analysis.producer[group.stores[-1]]
        return TileCode(
            group.compute,
            group.domain,
            tuple(self.loads),
            tuple(group.stores),
            (*self.code, *stores),
            last.origin,
        )

    def register(self, value: Value, copying: Node | None = None) -> int:
        """The register of a value; `copying`: the node of another group that is being computed
        again.
        """
        if value not in self.registers:
            node = self.fusion.analysis.producer.get(value)
            if node is None or not self._is_computed(value, node, copying):
                self.registers[value] = self._load(value)
            else:
                inside = self.fusion.group_of[node] is self.group
                self.registers[value] = self._compute(node, None if inside else node)
        return self.registers[value]

    def _is_computed(self, value: Value, node: Node, copying: Node | None) -> bool:
        group = self.fusion.group_of.get(node)
        if group is None or group is self.group:
            return group is self.group
        if copying is not None:
            return not self.fusion.is_leaf(value, copying)
        return value in self.group.copies

    def _load(self, value: Value) -> int:
        self.loads.append(value)
        return self._add(("load", len(self.loads) - 1))

    def _compute(self, node: Node, copying: Node | None) -> int:
        name = node.op.name
        if name == "constant":
            return self._number(node.attributes["value"].reshape(-1)[0].item())
        if name == "dimension":
            size = node.attributes["value"]
            return self._number(size) if isinstance(size, int) else self._add(("dim", size))
        if name == "random_uniform":
            return self._add(("uniform", node.attributes["stream"]))
        operands = [self.register(operand, copying) for operand in node.operands]
        if name == "cast":
            truth = node.result.dtype == "bool" and node.operands[0].dtype != "bool"
            return self._add(("not_equal", operands[0], self._number(0))) if truth else operands[0]
        if name == "broadcast_to":
            return operands[0]
        return self._add((name, *operands))

    def _number(self, number: Any) -> int:
        number = int(number) if self.group.compute == "i64" else float(number)
        return self._add(("const", number), key=("const", repr(number)))

    def _add(self, instruction: Instruction, key: Instruction | None = None) -> int:
        """The register of an instruction, which is written once."""
        key = key or instruction
        if key not in self.known:
            self.known[key] = len(self.code)
            self.code.append(instruction)
        return self.known[key]
