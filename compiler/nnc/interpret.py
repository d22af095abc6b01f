"""The interpreter: runs a graph with the operators' NumPy references.

It is the oracle for passes, gradients, kernels and the trainer, and runs initializers at compile
time. With `double=True` every f32 is computed as float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .dims import Dim, Poly, substitute
from .dims import evaluate as evaluate_dim
from .dtypes import DTYPES, kind_of
from .errors import InternalError
from .graph import Graph, Node, Value
from .ops.base import Array, Context, resolve

NO_CONTEXT = Context()


def run(
    graph: Graph,
    inputs: Mapping[str, Any],
    variables: Mapping[str, Any] | None = None,
    *,
    double: bool = False,
    context: Context = NO_CONTEXT,
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The outputs and updates of one run, by name.

    Variables that are not given have their initial values. Raises ValueError where inputs are
    missing, unknown or do not fit their types.
    """
    context = Context(context.seed, context.step, context.double or double)
    values: dict[Value, Array] = {}
    environment: dict[str, int] = {}
    _expect_names("input", inputs, [item.name for item in graph.inputs])
    for item in graph.inputs:
        array = np.asarray(inputs[item.name])
        bind_shape(f"input `{item.name}`", item.value.shape, array.shape, environment)
        values[item.value] = _convert(f"input `{item.name}`", array, item.value, context)
    given = variables or {}
    known = {variable.name for variable in graph.variables}
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ValueError(f"there is no variable `{unknown[0]}`")
    for variable in graph.variables:
        array = np.asarray(given.get(variable.name, variable.initial))
        what = f"variable `{variable.name}`"
        bind_shape(what, variable.value.shape, array.shape, environment)
        values[variable.value] = _convert(what, array, variable.value, context)
    found = evaluate(graph, values, environment, context, wanted=graph.roots())
    return (
        {name: found[value] for name, value in graph.outputs},
        {name: found[value] for name, value in graph.updates},
    )


def evaluate(
    graph: Graph,
    values: Mapping[Value, Array],
    environment: Mapping[str, int],
    context: Context = NO_CONTEXT,
    wanted: Iterable[Value] | None = None,
) -> dict[Value, Array]:
    """All values of a graph from those of its inputs and variables.

    Where `wanted` is given, only those: the others are dropped after their last use.
    """
    table = dict(values)
    last: dict[Value, Node] = {}
    kept = None if wanted is None else set(wanted)
    if kept is not None:
        for node in graph.nodes:
            last.update(dict.fromkeys((*node.operands, *node.results), node))
    with np.errstate(all="ignore"):
        for node in graph.nodes:
            results = run_node(node, [table[o] for o in node.operands], environment, context)
            table.update(zip(node.results, results, strict=True))
            if kept is not None:
                for value in {*node.operands, *node.results} - kept:
                    if last[value] is node:
                        table.pop(value, None)
    return table if kept is None else {value: table[value] for value in kept}


def run_node(
    node: Node,
    operands: Sequence[Array],
    environment: Mapping[str, int],
    context: Context = NO_CONTEXT,
) -> tuple[Array, ...]:
    """The results of one node. Raises InternalError where they are not what `infer` promised."""
    attributes = resolve(node.attributes, environment)
    if node.body is not None:
        attributes["body"] = _runner(node.body, environment, context)
    results = node.op.reference(operands, attributes, context)
    for value, array in zip(node.results, results, strict=True):
        shape = tuple(evaluate_dim(dim, environment) for dim in value.shape)
        if array.shape != shape or array.dtype != context.dtype(value.dtype):
            raise InternalError(
                f"the reference of `{node.op.name}` gives {array.dtype}{list(array.shape)} "
                f"where {value.type} was inferred ({dict(environment)})",
                "interpret",
            )
    return results


def _runner(
    body: Graph, environment: Mapping[str, int], context: Context
) -> Callable[[Sequence[Array]], tuple[Array, ...]]:
    """The function of a body: from the arrays of its inputs to those of its outputs."""

    def run_body(arrays: Sequence[Array]) -> tuple[Array, ...]:
        values = {i.value: array for i, array in zip(body.inputs, arrays, strict=True)}
        found = evaluate(body, values, environment, context, wanted=body.roots())
        return tuple(found[value] for _, value in body.outputs)

    return run_body


def bind_shape(
    what: str, shape: Sequence[Dim], actual: Sequence[int], environment: dict[str, int]
) -> None:
    """Match a declared shape with an actual one and note the symbols that it fixes.

    An unknown symbol must stand alone or as `factor * symbol + constant`.
    """
    if len(shape) != len(actual):
        raise ValueError(f"{what} must have {len(shape)} axes, {_shapes(shape, actual)}")
    known: dict[str, Dim] = dict(environment)
    for axis, (dim, size) in enumerate(zip(shape, actual, strict=True)):
        rest = substitute(dim, known)
        if isinstance(rest, Poly):
            name, solution = _solve(rest, size)
            if solution is None:
                raise ValueError(
                    f"axis {axis} of {what} must be {dim}, which {size} is for no {name}"
                )
            environment[name] = known[name] = solution
        elif rest != size:
            raise ValueError(f"axis {axis} of {what} must be {dim}, {_shapes(shape, actual)}")


def _solve(dim: Poly, size: int) -> tuple[str, int | None]:
    """The one symbol of a linear dimension, and its value where the dimension is `size`."""
    names = sorted(dim.symbols())
    if len(names) != 1:
        raise ValueError(f"the dimension {dim} does not fix {' and '.join(names)}")
    name = names[0]
    zero, one, two = (dim.evaluate({name: number}) for number in (0, 1, 2))
    factor = one - zero
    if factor == 0 or two - one != factor:
        raise ValueError(f"the dimension {dim} does not fix {name}")
    value, remainder = divmod(size - zero, factor)
    fits = remainder == 0 and value >= 0 and dim.evaluate({name: value}) == size
    return name, value if fits else None


def _shapes(shape: Sequence[Dim], actual: Sequence[int]) -> str:
    return f"expected [{', '.join(map(str, shape))}], found {list(actual)}"


def _expect_names(what: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in given]
    unknown = [name for name in given if name not in names]
    if missing:
        raise ValueError(f"the {what} `{missing[0]}` is missing")
    if unknown:
        raise ValueError(f"there is no {what} `{unknown[0]}`")


def _convert(what: str, array: Array, value: Value, context: Context) -> Array:
    """The array in the element type of its value; floats may change precision, nothing else."""
    dtype = context.dtype(value.dtype)
    integers = array.dtype.kind in "iu"
    kinds = {"f": "fiu", "i": "iu", "u": "iu", "b": "b"}[kind_of(DTYPES[value.dtype])]
    if kind_of(array.dtype) not in kinds:
        raise ValueError(f"{what} must be {value.dtype}, found {array.dtype}")
    converted = array.astype(dtype, copy=False)
    if integers and not np.array_equal(converted, array):
        raise ValueError(f"{what} holds integers that do not fit {value.dtype}")
    return converted
