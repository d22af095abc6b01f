"""What a pass over data measures: means over rows, and metrics of the whole set.

A program of the plan gives numbers, which the engine averages over batches, weighted by their rows,
and values row by row, which it collects. From these the program's rest (`evaluate_metrics`,
`train_metrics`) computes the metrics that are no means over rows, so that no metric depends on the
batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnrt._engine import evaluate_dimension, machine
from nnrt.dtypes import TYPES
from nnrt.errors import Error
from nnrt.programs import numbers, open_sizes, rest_of

if TYPE_CHECKING:
    from nnrt._engine import LoopResult
    from nnrt.model import Model

Array = np.ndarray[Any, np.dtype[Any]]
Metrics = dict[str, float]


def metric_names(model: Model) -> list[str]:
    """The loss and the metrics, in the order in which they are shown."""
    return ["loss", *(model.training or {}).get("metrics", [])]


def running(model: Model, program: str, means: Sequence[float]) -> Metrics:
    """The numbers that a pass which is under way can tell."""
    return dict(zip(numbers(model.plan, program), means, strict=True))


def measured(
    model: Model, program: str, result: LoopResult, arrays: Sequence[Array], seed: int = 0
) -> Metrics:
    """Loss and metrics of a pass over `arrays`."""
    found = running(model, program, result["means"])
    rest = rest_of(program)
    if model.has_program(rest):
        values = _rest_inputs(model, program, result, arrays)
        outputs = model.engine.call(rest, values, seed, model.step)
        names = numbers(model.plan, rest)
        _require(len(names) == len(outputs), program)
        found.update({name: float(value) for name, value in zip(names, outputs, strict=True)})
    wanted = metric_names(model)
    _require(found.keys() >= set(wanted), program)
    return {name: found[name] for name in wanted}


def _rest_inputs(
    model: Model, program: str, result: LoopResult, arrays: Sequence[Array]
) -> list[Array]:
    """What the rest of a program takes: collected rows, and the data where it tells sizes."""
    names = [item.name for item in model.program_inputs(program)]
    rows = result["rows"]
    given = {name: array[:rows] for name, array in zip(names, arrays, strict=True)}
    found = numbers(model.plan, program)
    outputs = [item["name"] for item in model.plan["programs"][program]["outputs"]]
    collected = [name for name in outputs if name not in found]
    given.update(zip(collected, result["collected"], strict=True))
    inputs = model.program_inputs(rest_of(program))
    _require(all(item.name in given for item in inputs), program)
    return [given[item.name] for item in inputs]


def _require(condition: bool, program: str) -> None:
    if not condition:
        raise Error(
            f"the compiled model is damaged: `{program}` does not give all its metrics.", "N0710"
        )


def check_room(model: Model, program: str, arrays: Sequence[Array], rows: int) -> None:
    """Raises an Error where the metrics of all rows at once need more memory than there is."""
    rest = rest_of(program)
    if not model.has_program(rest):
        return
    known = open_sizes(model.program_inputs(program), arrays)
    free = machine()["available_memory"]
    data = {item.name for item in model.program_inputs(program)}
    needed = 0
    for item in model.program_inputs(rest):
        if item.name not in data:
            shape = [
                dim if isinstance(dim, int) else evaluate_dimension(dim, known)
                for dim in item.shape
            ]
            needed += math.prod(shape) * TYPES[item.dtype].bytes
    enough = needed < free
    try:
        if enough:
            model.engine.describe(rest, known)  # reserves what it needs
    except Error as error:
        if "memory" not in str(error):
            raise
        enough = False
    if not enough:
        names = ", ".join(f"`{name}`" for name in numbers(model.plan, rest))
        raise Error(
            f"{names} of {rows:,} rows at once need more memory than is free: they are no means "
            "over rows, so batches do not help. Give fewer rows.",
            "N0720",
        )
