"""What the tests of operators share: types of arrays, references, one-node graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from nnc.builder import Builder
from nnc.dtypes import DTYPES
from nnc.graph import Graph, Type, Value
from nnc.interpret import NO_CONTEXT
from nnc.ops import operator
from nnc.ops.base import Array, Context, Sample

NAMES = {dtype: name for name, dtype in DTYPES.items()}


def type_of(array: Array) -> Type:
    return Type(NAMES[array.dtype], tuple(array.shape))


def call(
    name: str, *operands: Any, context: Context = NO_CONTEXT, **attributes: Any
) -> list[Array]:
    """The results of an operator's reference, after its own checks."""
    op = operator(name)
    arrays = [np.asarray(operand) for operand in operands]
    checked = op.check_attributes(attributes)
    op.infer([type_of(array) for array in arrays], checked)
    return list(op.reference(arrays, checked, context))


def infer(name: str, *types: Type, **attributes: Any) -> tuple[Type, ...]:
    op = operator(name)
    return op.infer(list(types), op.check_attributes(attributes))


def build(name: str, arrays: Sequence[Array], attributes: Mapping[str, Any]) -> tuple[Builder, Any]:
    """A builder with one input for each array (`x0`, `x1`, ...) and the node on them."""
    builder = Builder()
    operands = [builder.input(f"x{i}", type_of(array)) for i, array in enumerate(arrays)]
    builder.emit_all(name, operands, **attributes)
    return builder, builder.nodes[-1]


def weighted_sum(builder: Builder, value: Value, weights: Array) -> Value:
    """A scalar that depends on every element of a value, each with its own weight."""
    product = builder.emit("mul", value, builder.constant(weights, value.dtype))
    return builder.emit("reduce_sum", product, axes=tuple(range(len(value.shape))))


def named(arrays: Sequence[Array]) -> dict[str, Array]:
    return {f"x{i}": array for i, array in enumerate(arrays)}


def outputs(builder: Builder, values: Mapping[str, Value]) -> Graph:
    return builder.graph(outputs=list(values.items()))


def sample_id(name: str, sample: Sample) -> str:
    shapes = "x".join(str(list(array.shape)).replace(" ", "") for array in sample.arrays)
    return f"{name}-{shapes}"
