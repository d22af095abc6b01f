"""The way through the compiler: parse, elaborate, differentiate, optimize, lower, bind.

Takes a source and options; gives what a model is made of (`Compiled`), or the text of one stage
(`nnc dump`). Raises nnlang.DiagnosticError for the user's mistakes and InternalError for the
compiler's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from nnlang import syntax

from . import passes
from .collector import uncollected
from .dims import Poly, is_at_least
from .dtypes import NARROW
from .elaborate import Elaborated, PathOrText, elaborate, read_source
from .graph import Graph, Type
from .lower import combine
from .passes.precision import store_parameters
from .plan import print_plan
from .summary import summary
from .text import print_graph

VERSION = "0.1.0"
FORMAT = 1
PRECISIONS = ("default", "strict", "double")
STAGES = ("syntax", "graph", "gradient", "optimized", "plan")


@dataclass(frozen=True)
class Options:
    """What to compile and how. `precision`: `default`; `strict`, no algorithm that rounds in
    another way than a plain sum; `double`, every float in float64 on the reference kernels.
    `store`: the narrow element type that weights are stored in; None: as they are declared.
    """

    net: str | None = None
    recipe: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    precision: str = "default"
    store: str | None = None

    def __post_init__(self) -> None:
        if self.store is not None and self.store not in NARROW:
            raise ValueError(f"store must be one of {', '.join(NARROW)}, not {self.store!r}")
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision must be one of {', '.join(PRECISIONS)}, not {self.precision!r}"
            )


@dataclass(frozen=True)
class Compiled:
    """What a model is made of; `files`: those that were read for it."""

    manifest: dict[str, Any]
    plan: dict[str, Any]
    weights: dict[str, np.ndarray[Any, Any]]
    sources: dict[str, str]
    files: tuple[str, ...] = ()


@uncollected()
def compile_source(source: syntax.Source, options: Options) -> Compiled:
    """Compile a `.nn` text for inference and, where it has a training section, for training."""
    elaborated = build(source, options)
    graphs = optimize(elaborated, options)
    plan, weights = combine(graphs, options.precision == "strict")
    rows = summary(elaborated.graphs["predict"])
    manifest = describe(elaborated, options, rows, source)
    used = {name: s.text for name, s in elaborated.sources.items() if _is_own(name)}
    files = files_read(elaborated, source)
    return Compiled(manifest, plan.to_dict(), weights, used, files)


def files_read(elaborated: Elaborated, source: syntax.Source) -> tuple[str, ...]:
    """The paths of the sources and of the weights that a training section loads."""
    own = [s for name, s in elaborated.sources.items() if _is_own(name) and s.directory is not None]
    files = [Path(s.directory or "", Path(s.name).name) for s in own]
    section = elaborated.section
    loads = section.load if section is not None else []
    files += [Path(source.directory or "", node.value) for node in loads]
    return tuple(map(str, files))


def build(source: syntax.Source, options: Options) -> Elaborated:
    return elaborate(
        source,
        net=options.net,
        recipe=options.recipe,
        settings=options.settings,
        overrides=options.overrides,
        seed=options.seed,
    )


def optimize(elaborated: Elaborated, options: Options) -> dict[str, Graph]:
    double = options.precision == "double"
    graphs = elaborated.graphs
    if options.store is not None:
        graphs = store_parameters(graphs, options.store)
    return {
        name: passes.optimize(graph, inference=name != "train", double=double)
        for name, graph in graphs.items()
    }


def _is_own(name: str) -> bool:
    return not name.startswith(("std/", "--"))


def describe(
    elaborated: Elaborated, options: Options, rows: list[dict[str, Any]], source: syntax.Source
) -> dict[str, Any]:
    """The manifest of the artifact."""
    predict = elaborated.graphs["predict"]
    double = options.precision == "double"
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "nnc": VERSION,
        "net": elaborated.net,
        "recipe": elaborated.recipe,
        "settings": _plain(elaborated.settings),
        "precision": options.precision,
        "inputs": _inputs(predict, double),
        "outputs": [_interface(name, value.type, double) for name, value in predict.outputs],
        "training": None,
        "summary": rows,
    }
    if elaborated.section is not None:
        plain = elaborated.section.plain
        manifest["training"] = {
            "inputs": _inputs(elaborated.graphs["train"], double),
            "metrics": [metric.name.text for metric in elaborated.section.metrics],
            "statistics": _statistics(elaborated.graphs["train"]),
            "directory": source.directory or "",
            **plain,
        }
    return manifest


def _inputs(graph: Graph, double: bool) -> list[dict[str, Any]]:
    return [_interface(i.name, i.value.type, double) for i in graph.inputs if i.role == "data"]


def _statistics(graph: Graph) -> list[dict[str, str]]:
    """Where a training step takes statistics that may be of one value, and the number of values as
    a dimension, each once.
    """
    found: dict[str, dict[str, str]] = {}
    for node in graph.nodes:
        count = node.op.statistic_count([operand.type for operand in node.operands])
        if isinstance(count, Poly) and not is_at_least(count, 2):
            place = {"path": node.origin.path, "source": node.origin.source}
            found.setdefault(str(count), {"values": str(count), **place})
    return list(found.values())


def _interface(name: str, type: Type, double: bool) -> dict[str, Any]:
    dtype = "f64" if double and type.dtype == "f32" else type.dtype
    return {
        "name": name,
        "dtype": dtype,
        "shape": [d if isinstance(d, int) else str(d) for d in type.shape],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def stage_text(path_or_text: PathOrText, stage: str, program: str, options: Options) -> str:
    """The text of one stage of a program: `syntax`, `graph`, `gradient`, `optimized` or `plan`."""
    source = read_source(path_or_text)
    if stage == "syntax":
        import nnlang

        return nnlang.dump_syntax(nnlang.parse(source.text, source.name))
    elaborated = build(source, options)
    if stage == "gradient":
        program = "train"
    if program not in elaborated.graphs:
        from nnlang.diagnostics import DiagnosticError, diagnostic

        reason = "has no training section"
        if elaborated.section is not None:
            reason = "has no metric that is not a mean over rows"
        found = diagnostic(
            "N0511", f"`{elaborated.net}` {reason}, so there is no `{program}` program"
        )
        raise DiagnosticError([found], elaborated.sources)
    if stage in ("graph", "gradient"):
        return print_graph(elaborated.graphs[program])
    graphs = optimize(elaborated, options)
    if stage == "optimized":
        return print_graph(graphs[program])
    plan, _ = combine(graphs, options.precision == "strict")
    return print_plan(replace(plan, programs={program: plan.programs[program]}))
