"""The plan: the one interface between the compiler and the runtime, as plain frozen data.

`to_dict` gives the JSON-able form that the artifact stores and the runtime checks; `print_plan` a
stable text. Buffers are named by their index in a program; instruction i of a tile program defines
register i.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .dims import Dim, Poly
from .graph import Origin

VERSION = 3
NOWHERE = Origin()

Instruction = tuple[Any, ...]  # (operation, arguments...), as in the runtime's elementwise.def


def _plain(value: Any) -> Any:
    """Dimensions in text form, tuples as lists, truth as 0 or 1."""
    if type(value) in (int, str, float):  # nearly all there is
        return value
    if isinstance(value, Poly):
        return str(value)
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True)
class PlanVariable:
    """`kind`: parameter, state, slot or constant. `master_of`, of a slot: the parameter that is
    stored narrow, and whose value training keeps here in full.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    kind: str
    master_of: str = ""

    def to_dict(self) -> dict[str, Any]:
        made = {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "kind": self.kind,
        }
        return {**made, "master_of": self.master_of} if self.master_of else made


@dataclass(frozen=True)
class Buffer:
    """`kind`: input, variable, constant, temporary, prepared or output. `alias`: a view of that
    buffer.
    """

    dtype: str
    shape: tuple[Dim, ...]
    kind: str
    variable: int | None = None
    alias: int | None = None

    def to_dict(self) -> dict[str, Any]:
        made: dict[str, Any] = {"dtype": self.dtype, "shape": _plain(self.shape), "kind": self.kind}
        if self.variable is not None:
            made["variable"] = self.variable
        if self.alias is not None:
            made["alias"] = self.alias
        return made


@dataclass(frozen=True)
class TileProgram:
    """A fused elementwise expression.

    `role`: what it is to its step's kernel: `self` (all of its work), `epilogue` (on its first
    result) or `prologue` (gives the one value that it consumes). `compute`: the type of all
    registers; `domain`: what it runs over.
    """

    role: str
    compute: str
    domain: tuple[Dim, ...]
    loads: tuple[int, ...]
    stores: tuple[int, ...]
    code: tuple[Instruction, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "compute": self.compute,
            "domain": _plain(self.domain),
            "loads": list(self.loads),
            "stores": list(self.stores),
            "code": _plain(self.code),
        }


@dataclass(frozen=True)
class Step:
    """One run of a kernel, perhaps with a tile program."""

    kernel: str
    operands: tuple[int, ...]
    results: tuple[int, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    tile: TileProgram | None = None
    origin: Origin = NOWHERE

    def to_dict(self) -> dict[str, Any]:
        return {
            "kernel": self.kernel,
            "operands": list(self.operands),
            "results": list(self.results),
            "attributes": {name: _plain(value) for name, value in self.attributes.items()},
            "tile": self.tile.to_dict() if self.tile else None,
            "path": self.origin.path,
            "source": self.origin.source,
        }


@dataclass(frozen=True)
class PlanInput:
    """`limit`: values are indices in [0, limit); -1 where free."""

    name: str
    buffer: int
    role: str = "data"
    limit: int = -1

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "buffer": self.buffer, "role": self.role, "limit": self.limit}


@dataclass(frozen=True)
class PlanOutput:
    """A named result of a program."""

    name: str
    buffer: int

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "buffer": self.buffer}


@dataclass(frozen=True)
class Program:
    """Buffers, the steps that prepare, and those of each run."""

    buffers: tuple[Buffer, ...]
    prepare: tuple[Step, ...]
    steps: tuple[Step, ...]
    inputs: tuple[PlanInput, ...]
    outputs: tuple[PlanOutput, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "buffers": [buffer.to_dict() for buffer in self.buffers],
            "prepare": [step.to_dict() for step in self.prepare],
            "steps": [step.to_dict() for step in self.steps],
            "inputs": [item.to_dict() for item in self.inputs],
            "outputs": [item.to_dict() for item in self.outputs],
        }


@dataclass(frozen=True)
class Plan:
    """All programs of a net over the same variables. `strict`: no algorithm that rounds in another
    way than a plain sum.
    """

    symbols: tuple[str, ...]
    variables: tuple[PlanVariable, ...]
    programs: Mapping[str, Program]
    strict: bool = False
    version: int = VERSION

    def to_dict(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "strict": int(self.strict),
            "symbols": list(self.symbols),
            "variables": [variable.to_dict() for variable in self.variables],
            "programs": {name: program.to_dict() for name, program in self.programs.items()},
        }


# ---------------------------------------------------------------- text


def print_plan(plan: Plan) -> str:
    strict = " strict" if plan.strict else ""
    lines = [f"plan {plan.version}{strict}", " ".join(["symbols", *plan.symbols])]
    for index, variable in enumerate(plan.variables):
        master = f" master of {variable.master_of}" if variable.master_of else ""
        type = _type(variable.dtype, variable.shape)
        lines.append(f"v{index}: {type} = {variable.kind} {variable.name}{master}")
    for name, program in plan.programs.items():
        lines += ["", f"program {name}"]
        lines += [f"  {line}" for line in program_lines(program)]
    return "\n".join(lines) + "\n"


def program_lines(program: Program) -> list[str]:
    lines = []
    for index, buffer in enumerate(program.buffers):
        of = f" v{buffer.variable}" if buffer.variable is not None else ""
        alias = f" view of b{buffer.alias}" if buffer.alias is not None else ""
        lines.append(f"b{index}: {_type(buffer.dtype, buffer.shape)} {buffer.kind}{of}{alias}")
    for item in program.inputs:
        limit = f" below {item.limit}" if item.limit >= 0 else ""
        lines.append(f"input {item.name} = b{item.buffer} {item.role}{limit}")
    for index, step in enumerate(program.prepare):
        lines += _step_lines(f"prepare {index}", step)
    for index, step in enumerate(program.steps):
        lines += _step_lines(f"step {index}", step)
    lines.extend(f"output {item.name} = b{item.buffer}" for item in program.outputs)
    return lines


def _type(dtype: str, shape: tuple[Dim, ...]) -> str:
    return f"{dtype}[{','.join(str(d) for d in shape)}]"


def _step_lines(head: str, step: Step) -> list[str]:
    attributes = ", ".join(f"{name}={_attribute(value)}" for name, value in step.attributes.items())
    attributes = f"[{attributes}]" if attributes else ""
    operands = ", ".join(f"b{index}" for index in step.operands)
    results = ", ".join(f"b{index}" for index in step.results)
    origin = " ".join(part for part in (step.origin.source, step.origin.path) if part)
    line = f"{head}: {step.kernel}{attributes}({operands}) -> {results}"
    lines = [f"{line}  # {origin}" if origin else line]
    if step.tile:
        lines.append(f"  tile {_type(step.tile.compute, step.tile.domain)}")
        lines += [f"    {line}" for line in _code_lines(step.tile)]
    return lines


def _attribute(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "(" + ",".join(str(item) for item in value) + ")"
    return str(int(value)) if isinstance(value, bool) else str(value)


def _code_lines(tile: TileProgram) -> list[str]:
    lines = []
    for index, (operation, *arguments) in enumerate(tile.code):
        if operation == "load":
            lines.append(f"r{index} = load b{tile.loads[arguments[0]]}")
        elif operation == "store":
            lines.append(f"store b{tile.stores[arguments[0]]} r{arguments[1]}")
        elif operation == "const":
            number = np.float32(arguments[0]) if tile.compute == "f32" else arguments[0]
            lines.append(f"r{index} = const {number}")
        elif operation in ("dim", "uniform"):
            lines.append(f"r{index} = {operation} {arguments[0]}")
        else:
            lines.append(f"r{index} = {operation} " + " ".join(f"r{a}" for a in arguments))
    return lines
