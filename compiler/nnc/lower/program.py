"""One graph to one program of the plan: buffers for values, steps for units.

Takes a graph and the numbering of variables over all programs; gives the `Program`. Values share a
buffer where the units were placed so; views become aliases; variables and inputs that nothing uses
get no buffer (inputs of the user's data keep theirs, as they are part of the interface).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from ..graph import Graph, Value
from ..index_bounds import index_bounds
from ..plan import Buffer, PlanInput, PlanOutput, Program, Step, TileProgram
from .placement import Placement
from .schedule import schedule
from .units import Unit, Work, make_work


class Numbering(Protocol):
    """Gives each variable, and each constant array, its place in the plan."""

    def variable(self, name: str) -> int: ...

    def constant(self, array: np.ndarray) -> int: ...


def lower(graph: Graph, numbering: Numbering) -> Program:
    work = make_work(graph)
    placement = Placement(work)
    placement.settle()
    prepare, steps = schedule(work, placement)
    return _Assembler(work, placement, numbering).assemble(prepare, steps)


class _Assembler:
    def __init__(self, work: Work, placement: Placement, numbering: Numbering) -> None:
        self.work = work
        self.analysis = work.analysis
        self.placement = placement
        self.numbering = numbering
        self.buffers: list[Buffer] = []
        self.numbers: dict[Value, int] = {}
        graph = self.analysis.graph
        self.variables = {variable.value: variable for variable in graph.variables}
        self.outputs = {self._home(value) for value in placement.outputs.values()}
        self.prepared: set[Value] = set()

    def _home(self, value: Value) -> Value:
        value = self.analysis.root(value)
        while value in self.placement.home:
            value = self.placement.home[value]
        return value

    def assemble(self, prepare: list[Unit], steps: list[Unit]) -> Program:
        read = {self._home(value) for unit in steps for value in unit.reads()}
        made = {self._home(value) for unit in prepare for value in unit.writes()}
        self.prepared = made & (read | self.outputs)
        inputs = self._inputs(read)
        prepare_steps = tuple(self._step(unit) for unit in prepare)
        main_steps = tuple(self._step(unit) for unit in steps)
        outputs = tuple(
            PlanOutput(name, self.buffer(value)) for name, value in self.placement.outputs.items()
        )
        return Program(tuple(self.buffers), prepare_steps, main_steps, inputs, outputs)

    def _inputs(self, read: set[Value]) -> tuple[PlanInput, ...]:
        bounds = index_bounds(self.analysis.graph)
        made = []
        for item in self.analysis.graph.inputs:
            if item.role == "clock" and item.value not in read:
                continue
            number = self._add(item.value, Buffer(item.value.dtype, item.value.shape, "input"))
            made.append(PlanInput(item.name, number, item.role, bounds.get(item.name, -1)))
        return tuple(made)

    # ------------------------------------------------------------ buffers

    def _add(self, value: Value, buffer: Buffer) -> int:
        self.buffers.append(buffer)
        self.numbers[value] = len(self.buffers) - 1
        return self.numbers[value]

    def buffer(self, value: Value) -> int:
        """The buffer of a value, made when first asked for."""
        if value in self.numbers:
            return self.numbers[value]
        root = self._home(value)
        if root is not value:
            base = self.buffer(root)
            if root.type == value.type:
                self.numbers[value] = base
                return base
            view = Buffer(value.dtype, value.shape, self.buffers[base].kind, alias=base)
            if view.kind not in ("output", "prepared"):
                view = Buffer(value.dtype, value.shape, "temporary", alias=base)
            return self._add(value, view)
        return self._add(value, self._new_buffer(value))

    def _new_buffer(self, value: Value) -> Buffer:
        dtype, shape = value.dtype, value.shape
        if value in self.variables:
            number = self.numbering.variable(self.variables[value].name)
            return Buffer(dtype, shape, "variable", variable=number)
        node = self.analysis.producer.get(value)
        if node is not None and self.analysis.is_data(node):
            number = self.numbering.constant(node.attributes["value"])
            return Buffer(dtype, shape, "constant", variable=number)
        if value in self.outputs:
            return Buffer(dtype, shape, "output")
        return Buffer(dtype, shape, "prepared" if value in self.prepared else "temporary")

    # ------------------------------------------------------------ steps

    def _step(self, unit: Unit) -> Step:
        tile = self._tile(unit)
        node = unit.node
        if node is None:
            assert tile is not None
            return Step("tile", tile.loads, tile.stores, {}, tile, unit.origin)
        results = tuple(self.buffer(value) for value in node.results)
        operands = tuple(self.buffer(value) for value in node.operands) if not unit.prologue else ()
        if tile is not None and unit.prologue:
            operands = tile.loads
            tile = replace(tile, stores=results[:1])
        assert node.op.kernel is not None
        attributes = node.op.kernel_attributes(node.attributes)
        return Step(node.op.kernel, operands, results, attributes, tile, unit.origin)

    def _tile(self, unit: Unit) -> TileProgram | None:
        code = unit.tile
        if code is None:
            return None
        for value in code.loads:
            self.buffer(value)
        if unit.prologue:
            # Its one store stands for what the kernel consumes: no buffer of its own.
            loads = tuple(self.numbers[value] for value in code.loads)
            return TileProgram("prologue", code.compute, code.domain, loads, (), code.code)
        for value in code.stores:
            self.buffer(value)
        return code.program(self.numbers, "epilogue" if unit.node is not None else "self")
