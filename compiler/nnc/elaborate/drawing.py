"""Runs the graphs of initializers in NumPy, many at a time.

A graph of elementwise operators, as nearly all are, runs a piece of its elements at a time: what
lies between two operators then stays in the cache, and several threads share the pieces. An
element's bits depend on its place alone, not on the pieces.
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
SLICE = 3 << 13  # elements of one operation of NumPy behind the drawing: results stay in the cache
MOST_THREADS = 4  # more wait for the interpreter's lock

Task = Callable[[philox.Memory], None]


@dataclass(frozen=True, eq=False)
class Drawing:
    """The first value of a variable: what `value` of `graph` is, in the variable's own type."""

    graph: Graph
    value: Value
    dtype: str
    shape: tuple[int, ...]


def draw(drawings: Sequence[Drawing], seed: int) -> list[Array]:
    """The arrays of drawings, in their order."""
    arrays: list[Array] = []
    tasks: list[Task] = []
    for drawing in drawings:
        if not _is_elementwise(drawing):
            arrays.append(_whole(drawing, seed))
            continue
        arrays.append(np.empty(drawing.shape, DTYPES[drawing.dtype]))
        tasks += _pieces(drawing, seed, arrays[-1].reshape(-1))
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


def _is_elementwise(drawing: Drawing) -> bool:
    """Whether each value of the graph is a number or made element by element."""
    return drawing.value.shape == drawing.shape and all(
        (value.shape == () and "random" not in node.op.traits)
        or (value.shape == drawing.shape and "elementwise" in node.op.traits)
        for node in drawing.graph.nodes
        for value in node.results
    )


def _whole(drawing: Drawing, seed: int) -> Array:
    outputs, _ = interpret.run(drawing.graph, {}, context=Context(seed=seed))
    (made,) = outputs.values()
    return np.ascontiguousarray(np.broadcast_to(made, drawing.shape), DTYPES[drawing.dtype])


def _pieces(drawing: Drawing, seed: int, flat: Array) -> list[Task]:
    """What fills `flat` with the drawing, a piece each."""
    context = Context(seed=seed)
    numbers: dict[Value, Array] = {}
    drawn: list[Node] = []
    computed: list[Node] = []
    for node in drawing.graph.nodes:
        if "random" in node.op.traits:
            drawn.append(node)
        elif node.result.shape == drawing.shape:
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
            piece[...] = table[drawing.value]

    return [functools.partial(fill, start) for start in range(0, math.prod(drawing.shape), PIECE)]
