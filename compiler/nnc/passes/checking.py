"""Compares a graph before and after a pass with the interpreter.

Takes two graphs of one interface; runs both in float64 on the same random inputs and raises
InternalError that names the first result that differs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import interpret
from ..dims import evaluate
from ..dtypes import DTYPES, kind_of
from ..errors import InternalError
from ..graph import Graph, Input
from ..index_bounds import index_bounds
from ..ops.base import Context

Array = np.ndarray[Any, Any]
SIZES = (3, 5, 4, 7)  # what symbolic dimensions are in comparisons, in their order
TOLERANCE = 1e-9


def random_inputs(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Arrays that fit a graph's inputs; indices lie within their tables."""
    generator = np.random.default_rng(seed)
    bounds = index_bounds(graph)
    sizes = {name: SIZES[i % len(SIZES)] for i, name in enumerate(graph.symbols())}
    return {
        item.name: _random_input(item, sizes, bounds.get(item.name), generator)
        for item in graph.inputs
    }


def _random_input(
    item: Input, sizes: dict[str, int], bound: int | None, generator: np.random.Generator
) -> Array:
    shape = [evaluate(dim, sizes) for dim in item.value.shape]
    dtype = DTYPES[item.value.dtype]
    if item.role == "clock":
        return np.asarray(generator.integers(1, 9), dtype)
    if kind_of(dtype) == "f":
        return np.asarray(generator.standard_normal(shape), dtype)
    if dtype.kind == "b":
        return np.asarray(generator.random(shape) < 0.5)
    return np.asarray(generator.integers(0, bound if bound is not None else 100, shape), dtype)


def check_same(before: Graph, after: Graph, pass_name: str) -> None:
    """Raise InternalError where the two give different outputs or updates."""
    inputs = random_inputs(before)
    context = Context(seed=1, step=2, double=True)
    results = [interpret.run(graph, inputs, context=context) for graph in (before, after)]
    for kind, old, new in zip(("output", "update"), *results, strict=True):
        if list(old) != list(new):
            raise InternalError(f"{kind}s were {list(old)} and are {list(new)}", pass_name)
        for name, expected in old.items():
            difference = largest_difference(expected, new[name])
            if difference > TOLERANCE:
                raise InternalError(f"{kind} `{name}` changed by {difference:.3g}", pass_name)


def largest_difference(expected: Array, found: Array) -> float:
    """Relative to the largest number around it; NaN and infinities must agree."""
    if expected.shape != found.shape:
        return float("inf")
    if kind_of(expected.dtype) != "f":
        return 0.0 if np.array_equal(expected, found) else float("inf")
    finite = np.isfinite(expected)
    if not np.array_equal(expected[~finite], found[~finite].astype(expected.dtype), equal_nan=True):
        return float("inf")
    if not finite.any():
        return 0.0
    scale = max(1.0, float(np.abs(expected[finite]).max()))
    return float(np.abs(expected[finite] - found[finite]).max()) / scale
