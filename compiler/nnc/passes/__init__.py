"""The passes, in their order, and what runs them.

Each pass is a function from graph to graph in a file of its own; it also runs on the graphs inside
nodes (`bodies`). Only `precision`, which comes before them, takes all graphs of a net, as they
share its variables. Between passes the graph can be verified (`NNC_VERIFY=1`) and compared by the
interpreter (`NNC_CHECK_PASSES=1` names the first pass that changes a result); `NNC_PASS_LIMIT=n`
stops after n passes. A pass that fails raises InternalError with the pass, the node and a
reproducer file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from ..errors import InternalError
from ..graph import Graph
from ..reproducer import write_reproducer
from ..verify import verify
from . import (
    canonicalize,
    common_subexpressions,
    dead_code,
    fold_batch_norm,
    fold_constants,
    mask_gradients,
    reuse_masks,
)
from . import double as to_double
from .bodies import run_with_bodies
from .checking import check_same

CLEAN: tuple[ModuleType, ...] = (
    canonicalize,
    fold_constants,
    common_subexpressions,
    reuse_masks,
    canonicalize,
    mask_gradients,
    dead_code,
)
INFERENCE: tuple[ModuleType, ...] = (
    fold_batch_norm,
    canonicalize,
    fold_constants,
    common_subexpressions,
    dead_code,
)


@dataclass(frozen=True)
class PassOptions:
    """`verify`: check the graph's rules after each pass; `compare`: run the interpreter around
    each; `limit`: how many run.
    """

    verify: bool = False
    compare: bool = False
    limit: int | None = None
    observe: Callable[[str, Graph, Graph], None] | None = None

    @staticmethod
    def from_environment() -> PassOptions:
        from .. import options

        limit = options.read("NNC_PASS_LIMIT")
        if limit is not None and not limit.isdigit():
            raise options.OptionError(f"NNC_PASS_LIMIT={limit}: expected a number of passes.")
        return PassOptions(
            verify=options.verify_level() > 0,
            compare=bool(int(options.read("NNC_CHECK_PASSES") or 0)),
            limit=int(limit) if limit is not None else None,
        )


def name_of(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


def pipeline(inference: bool = False, double: bool = False) -> tuple[ModuleType, ...]:
    """The passes for a graph, in their order."""
    return (dead_code, *((to_double,) if double else ()), *CLEAN, *(INFERENCE if inference else ()))


def optimize(
    graph: Graph, inference: bool = False, double: bool = False, options: PassOptions | None = None
) -> Graph:
    """The graph, better. `inference`: without updates; `double`: computed in float64 throughout."""
    options = options or PassOptions.from_environment()
    if options.verify:
        verify(graph, "before the passes")
    for count, module in enumerate(pipeline(inference, double)):
        if options.limit is not None and count >= options.limit:
            break
        after = run_pass(module, graph, options)
        if options.observe is not None:
            options.observe(name_of(module), graph, after)
        graph = after
    return graph


def run_pass(module: ModuleType, graph: Graph, options: PassOptions) -> Graph:
    """One pass. Raises InternalError, with a reproducer, where it fails or breaks a rule that it
    was asked to keep.
    """
    name = name_of(module)
    try:
        after = run_with_bodies(module.run, graph)
        if options.verify:
            verify(after, name)
        if options.compare:
            check_same(graph, after, name)
    except InternalError as error:
        file = write_reproducer(graph, name)
        raise InternalError(error.message, name, error.node, error.lines, file) from error
    except Exception as error:
        file = write_reproducer(graph, name)
        message = f"{type(error).__name__}: {error}"
        raise InternalError(message, name, "", (), file) from error
    return after


__all__ = [
    "CLEAN",
    "INFERENCE",
    "PassOptions",
    "name_of",
    "optimize",
    "pipeline",
    "run_pass",
]
