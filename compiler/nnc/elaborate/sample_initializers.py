"""Runs the graphs of initializers, many at a time.

The engine draws uniform numbers, which have the same bits on every machine. NumPy computes the
rest, so that its rounding does not depend on the instruction set. A graph of elementwise operators,
as nearly all are, runs on a piece of its elements at a time: intermediate results then stay in the
cache, and several threads share the pieces.
"""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Thread

import numpy as np

from .. import interpret, options
from ..builder import Builder
from ..dtypes import DTYPES
from ..graph import Graph, Node, Value
from ..lower import combine
from ..ops.base import Array, Context

PIECE = 3 << 13  # elements of one operation of NumPy: results stay in the cache
MOST_THREADS = 4  # more wait for the interpreter's lock

Task = Callable[[], None]


@dataclass(frozen=True, eq=False)
class InitializerGraph:
    """The graph whose `value` is the first value of a variable; type and shape of the variable."""

    graph: Graph
    value: Value
    dtype: str
    shape: tuple[int, ...]


def sample(initializers: Sequence[InitializerGraph], seed: int) -> list[Array]:
    """The first values, in the order of their initializers."""
    by_pieces = [initializer for initializer in initializers if _is_elementwise(initializer)]
    uniform = [n for each in by_pieces for n in each.graph.nodes if "random" in n.op.traits]
    drawn = _draw(uniform, seed)
    arrays: list[Array] = []
    tasks: list[Task] = []
    for initializer in initializers:
        if not _is_elementwise(initializer):
            arrays.append(_whole(initializer, seed))
            continue
        arrays.append(_memory(initializer, drawn))
        tasks += _pieces(initializer, seed, drawn, arrays[-1].reshape(-1))
    remaining = iter(tasks)

    def work() -> None:
        with np.errstate(all="ignore"):
            for task in remaining:
                task()

    _on_threads(work, min(_threads(), len(tasks)))
    return arrays


def _draw(nodes: Sequence[Node], seed: int) -> dict[Value, Array]:
    """The uniform numbers that some nodes stand for, from one program of the engine."""
    if not nodes:
        return {}
    from nnrt._engine import Engine  # for this alone; `nnc check` draws nothing

    builder = Builder()
    made = [builder.emit(node.op.name, **node.attributes) for node in nodes]
    graph = builder.graph(outputs=[(str(i), value) for i, value in enumerate(made)])
    plan, _ = combine({"draw": graph})
    engine = Engine(json.dumps(plan.to_dict()).encode(), device="cpu")
    arrays = engine.call("draw", [], seed & 0xFFFFFFFFFFFFFFFF)
    return {node.result: array for node, array in zip(nodes, arrays, strict=True)}


def _on_threads(work: Callable[[], None], count: int) -> None:
    """Run `work` on this thread and others at once, and raise what it raised."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    others = [Thread(target=run) for _ in range(count - 1)]
    for thread in others:
        thread.start()
    run()
    for thread in others:
        thread.join()
    if failures:
        raise failures[0]


def _threads() -> int:
    asked = options.read("NNC_THREADS") or ""
    if asked.isdigit() and int(asked) > 0:
        return min(int(asked), MOST_THREADS)
    allowed = getattr(os, "sched_getaffinity", None)
    return min(len(allowed(0)) if allowed else os.cpu_count() or 1, MOST_THREADS)


def _is_elementwise(initializer: InitializerGraph) -> bool:
    """Whether each value of the graph is a number or made element by element."""
    return initializer.value.shape == initializer.shape and all(
        (value.shape == () and "random" not in node.op.traits)
        or (value.shape == initializer.shape and "elementwise" in node.op.traits)
        for node in initializer.graph.nodes
        for value in node.results
    )


def _whole(initializer: InitializerGraph, seed: int) -> Array:
    outputs, _ = interpret.run(initializer.graph, {}, context=Context(seed=seed))
    (made,) = outputs.values()
    return np.ascontiguousarray(np.broadcast_to(made, initializer.shape), DTYPES[initializer.dtype])


def _memory(initializer: InitializerGraph, drawn: dict[Value, Array]) -> Array:
    """Where a first value goes: each element in place of a number that it alone is made from, as
    fresh memory would cost as much as the arithmetic.
    """
    dtype = DTYPES[initializer.dtype]
    for node in initializer.graph.nodes:
        array = drawn.get(node.result)
        if array is not None and (array.shape, array.dtype) == (initializer.shape, dtype):
            return array
    return np.empty(initializer.shape, dtype)


def _pieces(
    initializer: InitializerGraph, seed: int, drawn: dict[Value, Array], flat: Array
) -> list[Task]:
    """The tasks that fill `flat` with the first value, one piece each."""
    context = Context(seed=seed)
    numbers: dict[Value, Array] = {}
    sources: dict[Value, Array] = {}
    computed: list[Node] = []
    for node in initializer.graph.nodes:
        if "random" in node.op.traits:
            sources[node.result] = drawn[node.result].reshape(-1)
        elif node.result.shape == initializer.shape:
            computed.append(node)
        else:
            made = interpret.run_node(node, [numbers[v] for v in node.operands], {}, context)
            numbers.update(zip(node.results, made, strict=True))

    def fill(start: int) -> None:
        piece = slice(start, start + PIECE)
        part = flat[piece]
        table = dict(numbers)
        table.update((value, array[piece]) for value, array in sources.items())
        for node in computed:
            attributes = dict(node.attributes)
            if "shape" in attributes:
                attributes["shape"] = part.shape
            operands = [table[value] for value in node.operands]
            table.update(
                zip(node.results, node.op.reference(operands, attributes, context), strict=True)
            )
        part[...] = table[initializer.value]

    return [
        functools.partial(fill, start) for start in range(0, math.prod(initializer.shape), PIECE)
    ]
