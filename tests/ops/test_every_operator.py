"""What must hold for every operator, on all its samples: to be in the table is to be tested."""

from __future__ import annotations

import numpy as np
import pytest
from nnc.autodiff import gradients
from nnc.dims import evaluate, symbol
from nnc.dtypes import FLOATS
from nnc.graph import Type
from nnc.interpret import run
from nnc.ops import all_operators
from nnc.ops.base import TRAITS, Array, Context, NotDifferentiable, Operator, Sample, ShapeError

from .helpers import build, named, outputs, sample_id, type_of, weighted_sum

OPERATORS = all_operators()
CASES = [
    pytest.param(op, sample, id=sample_id(op.name, sample))
    for op in OPERATORS
    for sample in op.samples()
]
DIFFERENTIABLE = [case for case in CASES if case.values[1].differentiable]
STEP = 1e-5


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name)
def test_parts(op: Operator) -> None:
    assert op.samples(), "no samples"
    assert op.traits <= TRAITS.keys()
    assert op.kernel is None or not op.traits & {"elementwise", "view", "constant"}
    assert (
        op.kernel is not None or op.compile_time or op.traits & {"elementwise", "view", "constant"}
    )
    assert set(op.kernel_omits) <= op.attributes.keys()
    if not isinstance(op.vjp, NotDifferentiable):
        assert any(sample.differentiable for sample in op.samples())


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_reference_gives_the_inferred_types(op: Operator, sample: Sample) -> None:
    attributes = op.check_attributes(sample.attributes)
    operands = [type_of(array) for array in sample.arrays]
    inferred = op.infer(operands, attributes)
    before = [array.copy() for array in sample.arrays]
    results = op.reference(sample.arrays, attributes, Context(seed=1))
    assert [type_of(result) for result in results] == list(inferred)
    assert len(inferred) == len(op.results)
    for array, copy in zip(sample.arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy, err_msg="the reference changed its operand")
    cost = op.cost(operands, inferred, attributes)
    assert evaluate(cost.flops, {}) >= 0 and evaluate(cost.bytes, {}) >= 0


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_reference_in_f32_is_near_the_one_in_f64(op: Operator, sample: Sample) -> None:
    attributes = {
        name: _narrow(value)
        if isinstance(value, np.ndarray)
        else "f32"
        if value == "f64"
        else value
        for name, value in sample.attributes.items()
    }
    arrays = tuple(_narrow(array) for array in sample.arrays)
    checked = op.check_attributes(attributes)
    inferred = op.infer([type_of(array) for array in arrays], checked)
    narrow = op.reference(arrays, checked, Context())
    assert [type_of(result) for result in narrow] == list(inferred)
    wide = op.reference([_widen(array) for array in arrays], checked, Context(double=True))
    for a, b in zip(narrow, wide, strict=True):
        assert b.dtype == (np.float64 if a.dtype == np.float32 else a.dtype)
        if a.dtype.kind == "f" and op.name not in ("mod", "floor_div", "pow"):
            scale = np.abs(b[np.isfinite(b)]).max(initial=1.0)
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6 * scale)


def _narrow(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float64 else array


def _widen(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype == np.float32 else array


@pytest.mark.parametrize(("op", "sample"), DIFFERENTIABLE)
def test_gradient_against_finite_differences(op: Operator, sample: Sample) -> None:
    """Along random directions, and for small samples along every axis."""
    builder, node = build(op.name, sample.arrays, sample.attributes)
    generator = np.random.default_rng(7)
    result = node.results[0]
    weights = generator.standard_normal([evaluate(dim, {}) for dim in result.shape])
    loss = weighted_sum(builder, result, weights)
    inputs = [builder.inputs[i].value for i in sample.differentiable]
    made = gradients(builder, loss, inputs)
    assert all(value is not None for value in made)
    table = {"loss": loss} | {f"g{i}": g for i, g in enumerate(made) if g is not None}
    graph = outputs(builder, table)
    found, _ = run(graph, named(sample.arrays))
    only_loss = outputs(builder, {"loss": loss})

    def slope(direction: list[Array]) -> float:
        values = []
        for sign in (1, -1):
            moved = list(sample.arrays)
            for index, part in zip(sample.differentiable, direction, strict=True):
                moved[index] = moved[index] + sign * STEP * part
            values.append(float(run(only_loss, named(moved))[0]["loss"]))
        return (values[0] - values[1]) / (2 * STEP)

    for direction in _directions(sample, generator):
        expected = slope(direction)
        given = sum(float((found[f"g{i}"] * d).sum()) for i, d in enumerate(direction))
        size = sum(float(np.abs(found[f"g{i}"] * d).sum()) for i, d in enumerate(direction))
        assert given == pytest.approx(expected, rel=1e-5, abs=1e-6 * (1 + size))


def _directions(sample: Sample, generator: np.random.Generator) -> list[list[Array]]:
    shapes = [sample.arrays[i].shape for i in sample.differentiable]
    made = [[generator.standard_normal(shape) for shape in shapes] for _ in range(2)]
    if sum(int(np.prod(shape)) for shape in shapes) <= 24:
        for place, shape in enumerate(shapes):
            for index in np.ndindex(*shape):
                axis = [np.zeros(other) for other in shapes]
                axis[place][index] = 1.0
                made.append(axis)
    return made


@pytest.mark.parametrize(("op", "sample"), DIFFERENTIABLE)
def test_nothing_is_built_for_operands_without_need(op: Operator, sample: Sample) -> None:
    for index in sample.differentiable:
        builder, node = build(op.name, sample.arrays, sample.attributes)
        loss = weighted_sum(builder, node.results[0], np.ones(node.results[0].shape))
        (made,) = gradients(builder, loss, [builder.inputs[index].value])
        assert made is not None and made.type == builder.inputs[index].value.type


# Their samples mix axes, or their first axis is no batch.
FIXED_FIRST_AXIS = {
    "reshape",
    "transpose",
    "broadcast_to",
    "slice",
    "slice_backward",
    "concat",
    "matmul",
    "gather",
    "gather_backward",
    "select",
}
BATCHED = [
    pytest.param(op, sample, id=sample_id(op.name, sample))
    for op in OPERATORS
    for sample in op.samples()
    if op.name not in FIXED_FIRST_AXIS
    and sample.arrays
    and sample.arrays[0].ndim >= 2
    and sample.arrays[0].shape[0] >= 2
]


@pytest.mark.parametrize(("op", "sample"), BATCHED)
def test_symbolic_batch(op: Operator, sample: Sample) -> None:
    """With a symbolic first axis, types and costs are those of each actual size."""
    size = sample.arrays[0].shape[0]
    attributes = op.check_attributes(sample.attributes)
    actual_operands = [type_of(array) for array in sample.arrays]
    actual = op.infer(actual_operands, attributes)
    operands = [
        type if name in ("weight", "scale", "offset") else _with_batch(type, size)
        for type, name in zip(actual_operands, op.operands, strict=True)
    ]
    general = dict(attributes)
    if "shape" in general:
        general["shape"] = (symbol("N"), *general["shape"][1:])
    inferred = op.infer(operands, general)
    for found, expected in zip(inferred, actual, strict=True):
        assert found.dtype == expected.dtype
        assert tuple(evaluate(dim, {"N": size}) for dim in found.shape) == expected.shape
    cost = op.cost(operands, inferred, general)
    expected_cost = op.cost(actual_operands, actual, attributes)
    assert evaluate(cost.flops, {"N": size}) == expected_cost.flops
    assert evaluate(cost.bytes, {"N": size}) == expected_cost.bytes


def _with_batch(type: Type, size: int) -> Type:
    if type.shape[:1] == (size,):
        return Type(type.dtype, (symbol("N"), *type.shape[1:]))
    return type


def test_float_operators_refuse_integers_with_help() -> None:
    refused = 0
    for op in OPERATORS:
        sample = op.samples()[0]
        if not sample.arrays:
            continue
        types = [
            Type("i64", type.shape) if type.dtype in FLOATS else type
            for type in map(type_of, sample.arrays)
        ]
        try:
            op.infer(types, op.check_attributes(sample.attributes))
        except ShapeError as error:
            assert error.code == "N0302" and "i64" in error.message
            assert "f32(" in error.help
            assert error.operands
            refused += 1
    assert refused > 30
