"""One mutant: how it is made from a seed, and a run of all its programs."""

from __future__ import annotations

import json
import math
import pickle
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnc.dtypes import DTYPES, FLOATS, NARROW
from nnrt.artifact import encoded
from nnrt.errors import Error

from .mutations import Mutator, Plan, Program, steps_of

Array = np.ndarray[Any, Any]

BATCHES = (3, 1, 2, 5, 9, 0, 8)
OTHER_SIZES = (20, 7, 1, 13)
# For guarded memory: with each, chains of other networks have several bands.
L2_BYTES = (10_000, 12_000, 24_000, 48_000, 100_000, 1_000_000)
MOST_ELEMENTS = 2_000_000  # of an input
ROWS = 7  # of the data that loops take
UNUSUAL = (np.nan, np.inf, -np.inf, 1e30, 1e-40)


@dataclass(frozen=True)
class Mutant:
    seed: int
    network: str
    mutations: list[str]
    programs: list[str]  # that changed, or all where something else did
    plan: Plan
    suffix = ".json"

    def __str__(self) -> str:
        return f"seed {self.seed} ({self.network}: {', '.join(self.mutations)})"

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(vars(self)))

    @staticmethod
    def read(path: Path) -> Mutant:
        return Mutant(**json.loads(path.read_text()))


class Mutants:
    """Makes a mutant of any seed."""

    def __init__(self, plans: dict[str, Plan]) -> None:
        self.plans = plans
        self.pickled = {name: pickle.dumps(plan) for name, plan in sorted(plans.items())}
        programs = [program for plan in plans.values() for program in plan["programs"].values()]
        self.steps = [step for program in programs for step in steps_of(program)]

    def make(self, seed: int) -> Mutant:
        choose = random.Random(seed)
        network = choose.choice(list(self.pickled))
        plan = pickle.loads(self.pickled[network])  # a copy, five times as fast as deepcopy
        mutations = Mutator(choose, self.steps).mutate(plan)
        return Mutant(seed, network, mutations, changed(self.plans[network], plan), plan)


def changed(old: Plan, new: Plan) -> list[str]:
    """The programs to run."""
    programs = new.get("programs")
    if not isinstance(programs, dict):
        return []
    found = [name for name, program in programs.items() if program != old["programs"].get(name)]
    return found if found and new.get("variables") == old["variables"] else list(programs)


def elements_of(shape: tuple[int, ...]) -> int:
    return math.prod(shape)


def can_be_made(shape: tuple[int, ...]) -> bool:
    """Whether NumPy makes such an array: it refuses huge extents beside a 0, too."""
    extents = [extent for extent in shape if extent != 0]
    return min(shape, default=0) >= 0 and math.prod(extents) < 1 << 48


class Run:
    """Loads a mutant and runs its programs in ways that follow from the seed alone. `report` is
    told what begins; `counts` counts how things ended. Whatever is no `Error` escapes.
    """

    def __init__(
        self, engine: Any, mutant: Mutant, report: Callable[[str], None], counts: Counter[str]
    ) -> None:
        self.module = engine
        self.plan, self.programs, self.seed = mutant.plan, mutant.programs, mutant.seed
        self.choose = random.Random(mutant.seed + 1)
        self.numbers = np.random.default_rng(mutant.seed)
        self.report, self.counts = report, counts

    def run(self) -> None:
        self.report("load")
        if hasattr(self.module, "set_l2_bytes"):
            self.module.set_l2_bytes(self.choose.choice(L2_BYTES))
        sets = set(self.module.machine()["available_isas"]) - {"reference"}  # which is slow
        isa = "reference" if self.likely(0.05) else self.choose.choice([*sorted(sets), ""])
        try:
            text = encoded(self.plan)
            self.engine = self.module.Engine(text, self.choose.choice((1, 1, 1, 2, 3)), isa)
        except Error:
            self.counts["refused"] += 1
            return
        self.counts["accepted"] += 1
        self.report("set variables")
        for variable in self.engine.variables:
            if elements_of(variable["shape"]) <= MOST_ELEMENTS:
                value = self.array(variable["dtype"], variable["shape"], self.likely(0.05))
                if value.dtype.kind == "f":
                    value *= 0.1
                self.engine.set_variable(variable["name"], value)
        for name in self.programs:
            program = self.plan["programs"][name]
            for rows in self.choose.sample(BATCHES, 2):
                self.call(name, program, rows)
            if self.likely(0.35):
                self.loop(name, program)

    def likely(self, probability: float) -> bool:
        return self.choose.random() < probability

    def call(self, name: str, program: Program, rows: int) -> None:
        try:
            inputs = self.inputs(program, rows, hostile=self.likely(0.25))
            if inputs is None:
                self.counts["too large"] += 1
                return
            self.report(f"run {name}")
            for step in range(self.choose.choice((1, 1, 2))):
                self.engine.run(name, inputs, self.seed, step)
                self.counts["ran"] += 1
        except Error:
            self.counts["refused when run"] += 1

    def loop(self, name: str, program: Program) -> None:
        try:
            inputs = self.inputs(program, ROWS, hostile=False)
            if inputs is None:
                return
            data = [i["name"] for i in program["inputs"] if i.get("role", "data") == "data"]
            self.report(f"loop over {name}")
            columns = [inputs[item] for item in data]
            self.engine.loop(name, columns, 3, self.likely(0.5), self.seed, 0, 0, 10)
            self.counts["looped"] += 1
        except Error:
            self.counts["refused when looped"] += 1

    def inputs(self, program: Program, rows: int, hostile: bool) -> dict[str, Any] | None:
        """None where they would be too large, or of a negative size."""
        sizes = {
            symbol: rows if symbol == "N" else self.choose.choice(OTHER_SIZES)
            for symbol in self.plan["symbols"]
        }
        inputs: dict[str, Any] = {}
        for item in program["inputs"]:
            buffer = program["buffers"][item["buffer"]]
            if item.get("role", "data") == "clock":
                inputs[item["name"]] = np.array(1.0, np.float32)
                continue
            evaluate = self.module.evaluate_dimension
            shape = tuple(evaluate(str(extent), sizes) for extent in buffer["shape"])
            if not can_be_made(shape) or elements_of(shape) > MOST_ELEMENTS:
                return None
            inputs[item["name"]] = self.array(buffer["dtype"], shape, hostile)
        return inputs

    def array(self, dtype: str, shape: tuple[int, ...], hostile: bool) -> Array:
        """Random numbers; hostile ones are no numbers, infinite, or no index."""
        numbers, kind = self.numbers, DTYPES[dtype]
        count = elements_of(shape)
        if dtype in (*FLOATS, *NARROW):
            values = numbers.standard_normal(count).astype(kind)
            if hostile and count:
                values[numbers.integers(count)] = numbers.choice(UNUSUAL)
        elif dtype in ("u8", "bool"):
            most = 2 if dtype == "bool" else 256 if hostile else 5
            values = numbers.integers(0, most, count).astype(kind)
        else:
            values = numbers.integers(0, 5, count)
            limits = np.iinfo(kind)
            odd = (-1, -2, 5, 10, 50, 300, 2**31 - 1, limits.min, limits.max)
            for _ in range(1 + count // 8 if hostile and count else 0):
                values[numbers.integers(count)] = numbers.choice(odd)
            values = values.astype(kind)
        return values.reshape(shape)
