"""Runs the graphs of initializers in NumPy, many at a time.

A graph of elementwise operators, as nearly all are, runs on a piece of its elements at a time:
intermediate results then stay in the cache, and several threads share the pieces. The bits of an
element depend on its index alone, not on the pieces.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Thread

import numpy as np

from .. import interpret, options
from ..graph import DTYPES, Graph, Node, Value
from ..ops import philox
from ..ops.base import Array, Context

PIECE = 4 * philox.CHUNK  # elements
SLICE = 3 << 13  # elements of one operation of NumPy of a task: results stay in the cache
MOST_THREADS = 4  # more wait for the interpreter's lock

Task = Callable[[philox.Memory], None]


@dataclass(frozen=True, eq=False)
class InitializerGraph:
    """The graph whose `value` is the first value of a variable; type and shape of the variable."""

    graph: Graph
    value: Value
    dtype: str
    shape: tuple[int, ...]


def sample(initializers: Sequence[InitializerGraph], seed: int) -> list[Array]:
    """The first values, in the order of their initializers."""
    arrays: list[Array] = []
    tasks: list[Task] = []
    for initializer in initializers:
        if not _is_elementwise(initializer):
            arrays.append(_whole(initializer, seed))
            continue
        arrays.append(np.empty(initializer.shape, DTYPES[initializer.dtype]))
        tasks += _pieces(initializer, seed, arrays[-1].reshape(-1))
    remaining = iter(tasks)

    def work() -> None:
        memory = philox.Memory()
        with np.errstate(all="ignore"):
            for task in remaining:
                task(memory)

    _on_threads(work, min(_threads(), len(tasks)))
    return arrays


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


def _pieces(initializer: InitializerGraph, seed: int, flat: Array) -> list[Task]:
    """The tasks that fill `flat` with the first value, one piece each."""
    context = Context(seed=seed)
    numbers: dict[Value, Array] = {}
    drawn: list[Node] = []
    computed: list[Node] = []
    for node in initializer.graph.nodes:
        if "random" in node.op.traits:
            drawn.append(node)
        elif node.result.shape == initializer.shape:
            computed.append(node)
        else:
            made = interpret.run_node(node, [numbers[v] for v in node.operands], {}, context)
            numbers.update(zip(node.results, made, strict=True))

    def fill(start: int, memory: philox.Memory) -> None:
        part = flat[start : start + PIECE]
        sources = {}
        for index, node in enumerate(drawn):
            dtype = DTYPES[node.result.dtype]
            target = part if index == 0 and dtype == part.dtype else np.empty(len(part), dtype)
            philox.fill_uniform(target, seed, 0, node.attributes["stream"], start, memory)
            sources[node.result] = target
        for begin in range(0, len(part), SLICE):
            piece = part[begin : begin + SLICE]
            table = dict(numbers)
            table.update((value, a[begin : begin + SLICE]) for value, a in sources.items())
            for node in computed:
                attributes = dict(node.attributes)
                if "shape" in attributes:
                    attributes["shape"] = piece.shape
                operands = [table[value] for value in node.operands]
                table.update(
                    zip(node.results, node.op.reference(operands, attributes, context), strict=True)
                )
            piece[...] = table[initializer.value]

    return [
        functools.partial(fill, start) for start in range(0, math.prod(initializer.shape), PIECE)
    ]
