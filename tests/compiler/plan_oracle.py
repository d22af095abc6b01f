"""Runs a plan in plain NumPy: what the runtime must do, said in the shortest way.

Kernels are the references of the operators that name them; tile programs run instruction by
instruction over the whole domain. Memory is one array for each root buffer, so what is stored in
place really overwrites. `check_program` tests the rules of plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from nnc import interpret
from nnc.dims import Dim, evaluate
from nnc.dtypes import DTYPES
from nnc.lower.fuse import MOST_INSTRUCTIONS, MOST_LOADS, MOST_STORES, NUMBERS
from nnc.ops import all_operators, operator, philox
from nnc.ops.base import Context, resolve
from nnc.plan import Plan, Program, Step, TileProgram

Array = np.ndarray[Any, Any]


class PlanOracle:
    def __init__(self, plan: Plan, weights: Mapping[str, Array], seed: int = 0) -> None:
        self.plan = plan
        self.seed = seed
        self.variables = [np.array(weights[variable.name]) for variable in plan.variables]

    def variable(self, name: str) -> Array:
        names = [variable.name for variable in self.plan.variables]
        return self.variables[names.index(name)]

    def run(self, program: str, inputs: Mapping[str, Array], step: int = 0) -> dict[str, Array]:
        """One call: gives the outputs; variables change in place."""
        spec = self.plan.programs[program]
        check_program(self.plan, spec)
        run = _Run(self, spec, inputs, step)
        for one in (*spec.prepare, *spec.steps):
            run.step(one)
        return {item.name: np.array(run.read(item.buffer)) for item in spec.outputs}


class _Run:
    def __init__(
        self, oracle: PlanOracle, spec: Program, inputs: Mapping[str, Array], step: int
    ) -> None:
        self.spec = spec
        self.sizes: dict[str, int] = {}
        for item in spec.inputs:
            shape = spec.buffers[item.buffer].shape
            interpret.bind_shape(item.name, shape, np.shape(inputs[item.name]), self.sizes)
        self.context = Context(oracle.seed, step)
        self.memory: list[Array | None] = []
        for buffer in spec.buffers:
            array = None
            if buffer.variable is not None:
                array = oracle.variables[buffer.variable]
            elif buffer.alias is None and buffer.kind != "input":
                array = np.empty(self.shape(buffer.shape), DTYPES[buffer.dtype])
                array.view(np.uint8).fill(0xAB) if array.ndim and array.size else None
            self.memory.append(array)
        for item in spec.inputs:
            dtype = DTYPES[spec.buffers[item.buffer].dtype]
            self.memory[item.buffer] = np.array(inputs[item.name], dtype)
            if item.limit >= 0:
                assert np.all((inputs[item.name] >= 0) & (inputs[item.name] < item.limit))

    def shape(self, dims: tuple[Dim, ...]) -> tuple[int, ...]:
        return tuple(evaluate(dim, self.sizes) for dim in dims)

    def read(self, index: int) -> Array:
        """A view of a buffer's memory in its own shape."""
        buffer = self.spec.buffers[index]
        if buffer.alias is not None:
            return self.read(buffer.alias).reshape(self.shape(buffer.shape))
        array = self.memory[index]
        assert array is not None
        return array

    def write(self, index: int, array: Array) -> None:
        target = self.read(index)
        assert array.shape == target.shape, f"buffer {index}: {array.shape} for {target.shape}"
        assert np.shares_memory(target, self.read(index)) or target.size == 0
        np.copyto(target, array, casting="unsafe")

    def step(self, step: Step) -> None:
        with np.errstate(all="ignore"):
            if step.kernel == "tile":
                assert step.tile
                self.tile(step.tile)
                return
            operands = [np.array(self.read(index)) for index in step.operands]
            if step.kernel == "reduce" and step.tile:
                operands = [self.registers(step.tile)[1][0]]
            for index, array in zip(step.results, self.kernel(step, operands), strict=True):
                self.write(index, array)
            if step.tile and step.kernel != "reduce":
                self.tile(step.tile)

    # ------------------------------------------------------------ kernels

    def kernel(self, step: Step, operands: list[Array]) -> tuple[Array, ...]:
        attributes = resolve(step.attributes, self.sizes)
        shapes = [self.shape(self.spec.buffers[index].shape) for index in step.results]
        dtypes = [self.spec.buffers[index].dtype for index in step.results]
        op = next(
            op
            for op in all_operators()
            if op.kernel == step.kernel
            and all(attributes.get(name) == value for name, value in op.kernel_constants.items())
        )
        given = {name: value for name, value in attributes.items() if name in op.attributes}
        given.update(_left_out(step.kernel, given, operands, shapes[0], dtypes[0]))
        results = op.reference(operands, op.check_attributes(given), self.context)
        for result, shape, dtype in zip(results, shapes, dtypes, strict=True):
            assert result.shape == shape, (step.kernel, result.shape, shape)
            assert result.dtype == DTYPES[dtype], (step.kernel, result.dtype, dtype)
        return results

    # ------------------------------------------------------------ tile programs

    def tile(self, tile: TileProgram) -> None:
        stored, arrays = self.registers(tile)
        for slot, array in zip(stored, arrays, strict=True):
            self.write(tile.stores[slot], array)

    def registers(self, tile: TileProgram) -> tuple[list[int], list[Array]]:
        """What a program stores: slots and arrays. Loads must all come before the stores of their
        buffer.
        """
        domain = self.shape(tile.domain)
        compute = DTYPES[tile.compute]
        values: list[Array] = []
        slots: list[int] = []
        arrays: list[Array] = []
        for name, *arguments in tile.code:
            made = np.zeros((), compute)
            if name == "load":
                made = self.read(tile.loads[arguments[0]])
                np.broadcast_to(made, domain)
                for slot in slots:
                    assert self.root(tile.stores[slot]) != self.root(tile.loads[arguments[0]])
            elif name == "store":
                slots.append(arguments[0])
                arrays.append(np.array(np.broadcast_to(values[arguments[1]], domain)))
            elif name == "const":
                made = np.asarray(arguments[0])
            elif name == "dim":
                made = np.asarray(evaluate(arguments[0], self.sizes))
            elif name == "uniform":
                made = philox.uniform(domain, self.context.seed, self.context.step, arguments[0])
            else:
                operands = [values[register] for register in arguments]
                (made,) = operator(name).reference(operands, {}, self.context)
            values.append(np.asarray(made).astype(compute))
        return slots, arrays

    def root(self, index: int) -> int:
        return root_of(self.spec, index)


def root_of(program: Program, index: int) -> int:
    alias = program.buffers[index].alias
    return index if alias is None else root_of(program, alias)


def _left_out(
    kernel: str, given: dict[str, Any], operands: list[Array], shape: tuple[int, ...], dtype: str
) -> dict[str, Any]:
    """The attributes that a kernel reads off the shapes of its buffers."""
    if kernel in ("slice", "slice_backward"):
        count = shape if kernel == "slice" else operands[0].shape
        steps = zip(given["begin"], given["step"], count, strict=True)
        end = tuple(begin + step * n for begin, step, n in steps)
        return {"end": end} if kernel == "slice" else {"end": end, "shape": shape}
    if kernel == "pad":
        sizes = zip(shape, operands[0].shape, given["low"], strict=True)
        return {"high": tuple(after - before - low for after, before, low in sizes)}
    if kernel in ("conv2d_backward_data", "avg_pool_backward"):
        return {"shape": shape}
    if kernel == "conv2d_backward_weight":
        return {"kernel": shape[:2]}
    if kernel == "gather_backward":
        return {"rows": shape[0]}
    return {"shape": shape, "dtype": dtype} if kernel == "iota" else {}


# ---------------------------------------------------------------- rules


def check_program(plan: Plan, program: Program) -> None:
    """The rules of a program, as `PLAN` says them; an AssertionError names the step."""
    named = [buffer.variable for buffer in program.buffers if buffer.variable is not None]
    assert len(named) == len(set(named)), "two buffers name one variable"
    for index, buffer in enumerate(program.buffers):
        if buffer.alias is not None:
            assert buffer.alias < index and buffer.variable is None
            assert program.buffers[buffer.alias].dtype == buffer.dtype
            continue
        assert (buffer.kind in ("variable", "constant")) == (buffer.variable is not None)
        if buffer.variable is not None:
            variable = plan.variables[buffer.variable]
            assert (variable.dtype, variable.shape) == (buffer.dtype, buffer.shape)
            assert buffer.kind == "constant" or variable.kind != "constant"
    given = {"input", "variable", "constant"}
    ready = {i for i, b in enumerate(program.buffers) if b.alias is None and b.kind in given}
    for part, steps in (("prepare", program.prepare), ("step", program.steps)):
        for number, step in enumerate(steps):
            _check_step(program, step, ready, part == "prepare", f"{part} {number}")
        if part == "prepare":
            ready -= {i for i in ready if program.buffers[i].kind == "temporary"}
    for item in program.outputs:
        assert root_of(program, item.buffer) in ready
        assert program.buffers[root_of(program, item.buffer)].kind == "output"


def _check_step(program: Program, step: Step, ready: set[int], preparing: bool, where: str) -> None:
    tile = step.tile
    reads, writes = list(step.operands), list(step.results)
    if tile:
        _check_tile(program, step, tile, where)
        own = set(step.results) if step.kernel != "tile" else set()
        reads += [index for index in tile.loads if index not in own]
        writes += [index for index in tile.stores if index not in step.results]
    assert len({root_of(program, i) for i in writes}) == len(writes), where
    for index in reads:
        assert root_of(program, index) in ready, f"{where} reads b{index} before it is written"
    for index in writes:
        root = root_of(program, index)
        kind = program.buffers[root].kind
        assert kind in (
            ("prepared", "temporary") if preparing else ("temporary", "output", "variable")
        )
        assert kind == "variable" or root not in ready, f"{where} writes b{index} again"
        ready.add(root)
    if step.kernel != "tile":
        touched = {root_of(program, i) for i in step.operands}
        assert not touched & {root_of(program, i) for i in writes}, f"{where} overwrites an operand"


def _check_tile(program: Program, step: Step, tile: TileProgram, where: str) -> None:
    room = NUMBERS if tile.domain == () else 1
    assert len(tile.loads) <= room * MOST_LOADS and len(tile.stores) <= room * MOST_STORES, where
    assert len(tile.code) <= 2 * room * MOST_INSTRUCTIONS, where
    assert len(set(tile.loads)) == len(tile.loads), f"{where} loads a buffer twice"
    if step.kernel == "tile":
        assert step.operands == tile.loads and step.results == tile.stores and tile.stores
    elif step.kernel == "reduce":
        assert step.operands == tile.loads and tile.stores == step.results
        assert sum(code[0] == "store" for code in tile.code) == 1
        return
    else:
        assert step.results[0] in tile.loads, f"{where}: an epilogue reads the raw result"
        assert program.buffers[step.results[0]].shape == tile.domain
    stores = [code for code in tile.code if code[0] == "store"]
    assert sorted(code[1] for code in stores) == list(range(len(tile.stores)))
    for index in tile.stores:
        assert program.buffers[index].shape == tile.domain, where
    stored = {root_of(program, index) for index in tile.stores}
    for index in tile.loads:
        if root_of(program, index) in stored:
            assert program.buffers[index].shape == tile.domain, f"{where}: in place, but broadcast"
