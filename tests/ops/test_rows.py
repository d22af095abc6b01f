"""Which operators keep the rows of a batch apart, and which are linear: what they say holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from nnc.dtypes import DTYPES
from nnc.graph import Type
from nnc.ops import all_operators
from nnc.ops.base import Context, Operator, Sample, resolve

Array = np.ndarray[Any, Any]

# They add over rows, or give what belongs to no row. Gradients need not say.
MIXING = {"constant", "dimension", "orthogonal", "batch_norm"}


def type_of(array: Array) -> Type:
    return Type(next(name for name, d in DTYPES.items() if d == array.dtype), array.shape)


def run(op: Operator, arrays: Sequence[Array], sample: Sample) -> tuple[Array, ...]:
    attributes = resolve(op.check_attributes(sample.attributes), {})
    return op.reference(arrays, attributes, Context(double=True))


def claims(op: Operator, sample: Sample) -> Iterator[tuple[bool, ...]]:
    """The sets of operands of which an operator says that it keeps their rows apart. The
    first axis of the results must count rows.
    """
    attributes = op.check_attributes(sample.attributes)
    types = [type_of(array) for array in sample.arrays]
    results = op.infer(types, attributes)
    for carried in product((False, True), repeat=len(types)):
        sizes = {t.shape[:1] for t, moves in zip(types, carried, strict=True) if moves}
        if len(sizes) != 1 or () in sizes or min(sizes)[0] < 2:
            continue
        rows = min(sizes)[0]
        counts = all(result.shape and result.shape[0] % rows == 0 for result in results)
        if counts and op.keeps_rows(types, attributes, carried):
            yield carried


CASES = [
    pytest.param(op, sample, carried, id=f"{op.name}-{number}-{''.join('01'[c] for c in carried)}")
    for op in all_operators()
    for number, sample in enumerate(op.samples())
    for carried in claims(op, sample)
]


@pytest.mark.parametrize(("op", "sample", "carried"), CASES)
def test_a_row_changes_its_own_results_alone(
    op: Operator, sample: Sample, carried: tuple[bool, ...]
) -> None:
    rows = next(len(a) for a, moves in zip(sample.arrays, carried, strict=True) if moves)
    row = rows // 2
    changed = [
        array.copy() if moves else array
        for array, moves in zip(sample.arrays, carried, strict=True)
    ]
    for array, moves in zip(changed, carried, strict=True):
        if moves:
            array[row] = array[row - 1]
    for before, after in zip(run(op, sample.arrays, sample), run(op, changed, sample), strict=True):
        others = np.arange(before.shape[0]) // (before.shape[0] // rows) != row
        np.testing.assert_array_equal(before[others], after[others])


@pytest.mark.parametrize(("op", "sample", "carried"), CASES)
def test_rows_in_another_order_give_results_in_that_order(
    op: Operator, sample: Sample, carried: tuple[bool, ...]
) -> None:
    rows = next(len(a) for a, moves in zip(sample.arrays, carried, strict=True) if moves)
    order = np.roll(np.arange(rows)[::-1], 1)
    moved = [
        array[order] if moves else array
        for array, moves in zip(sample.arrays, carried, strict=True)
    ]
    shared = any(
        array.ndim and not moves and array.shape[0] == rows
        for array, moves in zip(sample.arrays, carried, strict=True)
    )
    if shared:
        return  # an operand that is the same for every row has no axis of rows
    for before, after in zip(run(op, sample.arrays, sample), run(op, moved, sample), strict=True):
        by_row = before.reshape(rows, -1)[order].reshape(before.shape)
        np.testing.assert_allclose(by_row, after, rtol=1e-12, atol=1e-12)


def test_every_operator_says_how_it_treats_rows() -> None:
    silent = {op.name for op in all_operators()} - {case.values[0].name for case in CASES}
    no_operands = {op.name for op in all_operators() if not op.operands}
    gradients = {name for name in silent if "backward" in name}
    assert silent - gradients == MIXING | (no_operands & silent)


LINEAR = [
    pytest.param(op, sample, id=f"{op.name}-{number}")
    for op in all_operators()
    if op.traits & {"linear", "scaling"}
    for number, sample in enumerate(op.samples())
    if all(array.dtype.kind == "f" and np.isfinite(array).all() for array in sample.arrays)
    and sample.arrays
]


@pytest.mark.parametrize(("op", "sample"), LINEAR)
def test_linear_operators_keep_means(op: Operator, sample: Sample) -> None:
    """The result of a weighted mean is the mean of the results."""
    rng = np.random.default_rng(7)
    arrays = [array.astype(np.float64) for array in sample.arrays]
    moving = [True] * len(arrays)
    if "scaling" in op.traits:
        moving = [index == 0 for index in range(len(arrays))]
    choices = [moving, moving[::-1]] if "commutative" in op.traits else [moving]
    for moves in choices:
        other = [
            array + rng.normal(size=array.shape) if move else array
            for array, move in zip(arrays, moves, strict=True)
        ]
        between = [0.25 * a + 0.75 * b for a, b in zip(arrays, other, strict=True)]
        for one, two, mean in zip(
            run(op, arrays, sample), run(op, other, sample), run(op, between, sample), strict=True
        ):
            if mean.dtype.kind == "f":
                np.testing.assert_allclose(mean, 0.25 * one + 0.75 * two, rtol=1e-6, atol=1e-9)
