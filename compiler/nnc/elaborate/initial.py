"""First values of variables: run each initializer's graph once, in NumPy, from the seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import interpret
from ..graph import DTYPES
from ..ops.base import Context as RunContext
from .calls import apply
from .context import Context, Mistake, VariableSpec
from .scope import Paths
from .values import Block, Builtin, Deferred, Tensor, describe, is_number

Array = np.ndarray[Any, Any]


def initial_values(context: Context, seed: int, known: Mapping[str, Array]) -> dict[str, Array]:
    """The first value of each variable of a program; those in `known` are taken over. Mistakes are kept."""
    found: dict[str, Array] = {}
    for spec in context.variables.values():
        if spec.name in known:
            found[spec.name] = known[spec.name]
            continue
        try:
            found[spec.name] = initial_value(context, spec, seed)
        except Mistake as mistake:
            context.report(mistake)
    return found


def initial_value(context: Context, spec: VariableSpec, seed: int) -> Array:
    dtype = DTYPES[spec.value.dtype]
    shape = tuple(int(size) for size in spec.value.shape)
    rule = spec.initializer
    if isinstance(rule, (Deferred, Block, Builtin)):
        inner = Context(context.sources, training=False, initializing=spec.name, paths=Paths(spec.name))
        inner.frames = []
        rule = apply(inner, rule, [shape], spec.span)
        if isinstance(rule, Tensor):
            graph = inner.builder.graph(outputs=[("value", rule.value)])
            outputs, _ = interpret.run(graph, {}, context=RunContext(seed=seed))
            made = outputs["value"]
            if made.shape not in (shape, ()):
                context.fail("N0309", f"the first value of `{spec.name}` has another shape", spec.span,
                             f"{describe(rule)}, declared {spec.value.type}")  # fmt: skip
            return np.ascontiguousarray(np.broadcast_to(made, shape), dtype)
    if is_number(rule) or isinstance(rule, bool):
        return np.full(shape, float(rule), dtype)
    context.fail("N0404", f"the first value of `{spec.name}` must be a number or an initializer", spec.span, describe(rule),
                 helps=["for example `he_uniform()` or `zeros()`"])  # fmt: skip
