"""First values of variables: each initializer's graph, from the seed and the variable's path."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from ..dims import Poly
from ..dtypes import DTYPES
from .arithmetic import as_tensor
from .calls import apply
from .context import STANDARD, Context, Mistake, VariableSpec
from .lists import alone
from .sample_initializers import InitializerGraph, sample
from .scope import Paths
from .values import Block, Deferred, Tensor, describe, is_number

Array = np.ndarray[Any, Any]


def initial_values(
    context: Context, seed: int, known: Mapping[str, Array], sampled: bool = True
) -> dict[str, Array]:
    """The first value of each variable of a program; those in `known` are taken over. Without
    `sampled`, no initializer runs: its values are 0. Mistakes are kept.
    """
    found: dict[str, Array] = {}
    graphs: dict[str, InitializerGraph] = {}
    for spec in context.variables.values():
        if spec.name in known:
            found[spec.name] = known[spec.name]
            continue
        try:
            made = first_value(context, spec)
        except Mistake as mistake:
            context.report(mistake)
            continue
        if isinstance(made, InitializerGraph):
            graphs[spec.name] = made
        else:
            found[spec.name] = made
    if not sampled:
        zeros = (np.broadcast_to(DTYPES[d.dtype].type(0), d.shape) for d in graphs.values())
        found.update(zip(graphs, zeros, strict=True))
    elif not context.diagnostics:
        found.update(zip(graphs, sample(list(graphs.values()), seed), strict=True))
    return found


def first_value(context: Context, spec: VariableSpec) -> Array | InitializerGraph:
    """A constant, or the graph that computes it."""
    dtype = DTYPES[spec.value.dtype]
    shape = tuple(int(size) for size in spec.value.shape)  # type: ignore[arg-type]
    rule = spec.initializer
    key = _key_of_number(rule, spec.value.dtype, shape)
    if key is not None and key in context.memo:
        known: Array = context.memo[key]
        return known
    inner = Context(
        context.sources, context.evaluator, False, context.subject, initializing=spec.name
    )
    inner.paths = Paths(spec.name)
    inner.frames = list(spec.frames)
    inner.memo = context.memo
    place = spec.span if spec.node.initializer is None else spec.node.initializer.span
    if isinstance(rule, Deferred):
        place = rule.arguments.span or place
        rule = apply(inner, rule, [shape], place)
    rule = alone(inner, rule, place, spec.value.dtype)
    if isinstance(rule, Tensor):
        if rule.shape not in (shape, ()):
            inner.fail(
                "N0309",
                f"the first value of `{spec.node.name.text}` has another shape",
                place,
                describe(rule),
                others=[(spec.node.type.span, f"declared {spec.value.type}")],
            )
        graph = inner.builder.graph(outputs=[("value", rule.value)])
        return InitializerGraph(graph, rule.value, spec.value.dtype, shape)
    if isinstance(rule, bool) or (is_number(rule) and not isinstance(rule, Poly)):
        as_tensor(inner, bool(rule) if dtype == np.bool_ else rule, spec.value.dtype, place)
        number = np.broadcast_to(np.asarray(rule, dtype), shape)  # one number: no memory
        if key is not None:
            context.memo[key] = number
        return number
    inner.fail(
        "N0404",
        f"the first value of `{spec.node.name.text}` must be a number, a list or an initializer",
        place,
        describe(rule),
        helps=["for example `he_uniform()` or `zeros()`"],
    )


def _key_of_number(rule: Any, dtype: str, shape: tuple[int, ...]) -> Hashable | None:
    """What the number of a rule of the library, as `zeros()`, depends on: most variables have such
    a rule. None for any other rule.
    """
    if not isinstance(rule, Deferred) or not isinstance(rule.function, Block):
        return None
    in_library = rule.function.definition.span.file.startswith(STANDARD)
    if rule.arguments.positional or rule.arguments.named or not in_library:
        return None
    return (rule.function, dtype, shape)
