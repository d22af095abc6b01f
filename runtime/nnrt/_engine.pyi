"""The extension module: checks, binds, runs and trains plans."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

version: str

class VariableInfo(TypedDict):
    name: str
    dtype: str
    shape: tuple[int, ...]
    kind: str
    master_of: str

class Machine(TypedDict):
    device: str
    devices: list[str]
    isa: str
    best_isa: str
    available_isas: list[str]
    cpu_features: list[str]
    threads: int
    available_memory: int
    l2_bytes: int

class StepInfo(TypedDict):
    path: str
    source: str
    kernel: str
    algorithm: str
    shape: str
    flops: float
    bytes: float
    seconds: float
    note: str

class BindingInfo(TypedDict):
    device: str
    isa: str
    threads: int
    arena_bytes: int
    lower_bound_bytes: int
    scratch_bytes: int
    prepared_bytes: int
    barriers: int
    steps: list[StepInfo]
    timed_runs: int

class LoopResult(TypedDict):
    means: list[float]
    collected: list[Array]
    rows: int
    steps: int
    seconds: float
    stopped: bool
    interrupted: bool
    not_finite_step: int
    fault: Fault | None

class Fault(TypedDict):
    found: bool
    step: int
    loss: float
    variable: str
    kind: str
    variables: int
    kept: int

class Guard:
    def check(self) -> Fault | None: ...

class Unchanged:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...

class Engine:
    def __init__(self, plan: bytes, threads: int = 0, isa: str = "", device: str = "") -> None: ...
    @property
    def variables(self) -> list[VariableInfo]: ...
    @property
    def threads(self) -> int: ...
    @property
    def device(self) -> str: ...
    @property
    def isa(self) -> str: ...
    timed: bool
    step: int
    def variable(self, name: str) -> Array: ...
    def state(self) -> tuple[dict[str, Array], int]: ...
    def set_variable(self, name: str, value: Array) -> None: ...
    def set_variables(self, values: Mapping[str, Array]) -> None: ...
    def written(self, program: str) -> list[str]: ...
    def unchanged(self, program: str) -> Unchanged: ...
    def call(
        self, program: str, inputs: Sequence[Array], seed: int = 0, step: int = 0
    ) -> tuple[Array, ...]: ...
    def run(
        self, program: str, inputs: Mapping[str, Any], seed: int = 0, step: int = 0
    ) -> dict[str, Array]: ...
    def loop(
        self,
        program: str,
        columns: Sequence[Array],
        batch: int,
        shuffle: bool = False,
        seed: int = 0,
        step: int = 0,
        clock_step: int = 0,
        clock_steps: int = 0,
        callback: Callable[[int, int, list[float]], Any] | None = None,
        least_rows: int = 1,
        guard: Guard | None = None,
    ) -> LoopResult: ...
    def guard(self, program: str, columns: Sequence[Array]) -> Guard: ...
    def begin_training(self) -> bool: ...
    def end_training(self) -> None: ...
    def describe(self, program: str, symbols: Mapping[str, int]) -> BindingInfo: ...

def element_types() -> list[tuple[str, int, str, str]]: ...
def numpy_type(name: str) -> np.dtype[Any]: ...
def machine() -> Machine: ...
def peak_flops(isa: str) -> float: ...
def shuffled_rows(seed: int, step: int, rows: int) -> list[int]: ...
def evaluate_dimension(text: str, symbols: Mapping[str, int]) -> int: ...
