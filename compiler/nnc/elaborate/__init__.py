"""From a syntax tree and settings to graphs: `predict`, and with a training section `evaluate` and
`train`.

Takes a source text; gives `Elaborated`. Raises DiagnosticError with every mistake found in the
phase.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nnlang import syntax
from nnlang.diagnostics import MAX_ERRORS, Diagnostic, DiagnosticError, diagnostic, suggest

from .. import set_metrics
from ..graph import Graph, Value, Variable
from .context import Context, Limit, Memo, Mistake, VariableSpec, is_known
from .evaluator import EVALUATOR
from .initial import initial_values
from .module import Loader, Module, load_text
from .network import Network, Text, build_net, choose_net
from .reading import read_text
from .training import Recipe, Trained, build_section

__all__ = ["Elaborated", "PathOrText", "Text", "elaborate"]

PathOrText = str | bytes | os.PathLike[str]


@dataclass(frozen=True)
class Elaborated:
    """The programs of one net as graphs, over the same variables."""

    net: str
    recipe: str | None
    settings: dict[str, Any]
    # "predict"; with a training section "evaluate" and "train", and for each of these, where it has
    # metrics that are no means over rows, "evaluate_metrics" and "train_metrics".
    graphs: dict[str, Graph]
    section: Recipe | None
    sources: dict[str, syntax.Source]
    loaded: tuple[str, ...] = ()  # names of parameters taken from `load`


def elaborate(
    source: syntax.Source,
    *,
    net: str | None = None,
    recipe: str | None = None,
    settings: Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
    draw: bool = True,
) -> Elaborated:
    """Elaborate a `.nn` text.

    `settings` are those of the net, `overrides` replace keys of the training section; a value may
    be `Text`, an expression of the language. `seed` replaces the section's. Without `draw` first
    values are checked, but are all 0 and take no memory. Raises DiagnosticError.
    """
    module, loader = load_text(source)
    _stop(loader.diagnostics, loader)
    chosen = choose_net(module, loader, net)
    section = choose_section(module, loader, chosen, recipe)
    settings, overrides = dict(settings or {}), dict(overrides or {})
    if overrides and section is None:
        key = next(iter(overrides))
        message = f"`{chosen.name.text}` has no training section to set `{key}` of"
        helps = [f"add one: `train {chosen.name.text} {{ loss = ... }}`"]
        _stop([diagnostic("N0511", message, chosen.name.span, helps=helps)], loader)
    built: dict[str, tuple[Network, Trained | None]] = {}
    mistakes: list[Diagnostic] = []
    found: dict[str, Any] = {}
    memo: Memo = {}
    for program in ("predict",) if section is None else ("evaluate", "train"):
        context = Context(
            loader.sources, EVALUATOR, program == "train", chosen.name.text, memo=memo
        )
        if program == "train" and section is not None:
            context.frozen = tuple(
                node.pattern.value for node in section.body if isinstance(node, syntax.Freeze)
            )
        try:
            network, found = build_net(context, module, chosen, settings, loader)
            if program != "train":  # what evaluation adds comes after what inference needs
                built["predict"] = (network, None)
            if section is not None:
                built[program] = (network, build_section(network, section, overrides, loader))
        except Limit as limit:
            with suppress(Limit):
                context.report(limit)
        except RecursionError:
            with suppress(Limit):
                context.report_failure("N0107", "this is nested too deeply", chosen.name.span)
        mistakes += [each for each in context.diagnostics if not is_known(each, mistakes)]
        if program not in built:
            break
    mistakes += differing_variables([network.context for network, _ in built.values()])
    _stop(_in_order(mistakes, source.name), loader)
    return _assemble(module, loader, chosen, section, found, built, seed, draw)


def _assemble(
    module: Module,
    loader: Loader,
    net: syntax.Net,
    section: syntax.Train | None,
    settings: dict[str, Any],
    built: dict[str, tuple[Network, Trained | None]],
    seed: int | None,
    draw: bool,
) -> Elaborated:
    """First values, then one graph a program."""
    last = built[list(built)[-1]][1]
    reading = last.recipe if last else None
    start = seed if seed is not None else (reading.plain["seed"] if reading else 0)
    if reading is not None:
        reading.plain["seed"] = start
    values: dict[str, np.ndarray[Any, Any]] = {}
    for program in reversed(list(built)):
        context = built[program][0].context
        with suppress(Limit):
            values.update(initial_values(context, start, values, draw))
        _stop(context.diagnostics, loader)
    loaded: tuple[str, ...] = ()
    if reading is not None and reading.load:
        from .pretrained import load_weights

        context = built["train"][0].context
        with suppress(Limit):
            loaded = load_weights(context, reading, values, module.source.directory)
        _stop(context.diagnostics, loader)
    graphs = {}
    rests = {}
    for program, (network, trained) in built.items():
        outputs: list[tuple[str, Value]] = [
            (name, tensor.value) for name, tensor in network.context.outputs
        ]
        if trained is not None:
            outputs = [(name, tensor.value) for name, tensor in trained.scalars]
        graph = _graph(network, outputs, trained, values)
        if trained is not None:
            graph, rest = set_metrics.split(graph, network.nodes, program == "train")
            if rest is not None:
                rests[set_metrics.name_of_rest(program)] = rest
        graphs[program] = graph
    graphs.update(rests)
    recipe = section.name.text if section is not None and section.name else None
    return Elaborated(net.name.text, recipe, settings, graphs, reading, loader.sources, loaded)


def _graph(
    network: Network,
    outputs: list[tuple[str, Value]],
    trained: Trained | None,
    values: Mapping[str, Any],
) -> Graph:
    """The nodes of the net alone, or with a training section's."""
    context, builder = network.context, network.context.builder
    frozen = trained.frozen if trained is not None else set()
    specs = list(context.variables.values())
    nodes, inputs = builder.nodes, builder.inputs
    if trained is None:
        nodes, inputs = nodes[: network.nodes], inputs[: network.inputs]
        specs = specs[: network.variables]
    variables = tuple(
        Variable(
            s.name, s.kind, s.value, values[s.name], s.kind == "parameter" and s.name not in frozen
        )
        for s in specs
    )
    updates = trained.updates if trained is not None and context.training else []
    return Graph(tuple(inputs), variables, tuple(nodes), tuple(outputs), tuple(updates))


def choose_section(
    module: Module, loader: Loader, net: syntax.Net, recipe: str | None
) -> syntax.Train | None:
    """The training section to use: the unnamed one, the only one, or the named one."""
    mine = [train for train in module.trains if train.net.text == net.name.text]
    names = [train.name.text for train in mine if train.name]
    listed = ", ".join(f"`{name}`" for name in names)
    if recipe is not None:
        for train in mine:
            if train.name and train.name.text == recipe:
                return train
        meant = suggest(recipe, names)
        found = diagnostic(
            "N0512",
            f"`{net.name.text}` has no training section named `{recipe}`",
            net.name.span,
            notes=[f"it has {listed}" if names else "none of its training sections has a name"],
            helps=[f"did you mean `{meant}`?"] if meant else [],
        )
        _stop([found], loader)
    unnamed = [train for train in mine if train.name is None]
    if unnamed:
        return unnamed[0]
    if len(mine) > 1:
        places = [(train.name.span, "") for train in mine if train.name]
        found = diagnostic(
            "N0512",
            f"`{net.name.text}` has several training sections",
            *places[0],
            others=places[1:],
            helps=["say which: `--recipe NAME`, in Python `recipe=...`"],
        )
        _stop([found], loader)
    return mine[0] if mine else None


def differing_variables(contexts: list[Context]) -> list[Diagnostic]:
    """Parameters and states whose types differ from program to program: one could not use what
    another learns.
    """
    found: list[Diagnostic] = []
    known: dict[str, VariableSpec] = {}
    for context in contexts:
        for name, spec in context.variables.items():
            other = known.setdefault(name, spec).value.type
            if other == spec.value.type:
                continue
            message = f"`{name}` is {other} in inference and {spec.value.type} in training"
            helps = ["give what only training uses a name of its own: `... as name`"]
            context.frames = list(spec.frames)
            try:
                context.fail("N0309", message, spec.node.type.span, helps=helps)
            except Mistake as mistake:
                if mistake.diagnostic and not is_known(mistake.diagnostic, found):
                    found.append(mistake.diagnostic)
    return found


def _in_order(mistakes: list[Diagnostic], first: str) -> list[Diagnostic]:
    """Mistakes as they follow in the text, those of the first file before others."""

    def key(found: Diagnostic) -> tuple[bool, str, int]:
        span = found.primary.span if found.primary else None
        return (
            span is None or span.file != first,
            span.file if span else "",
            span.start if span else 0,
        )

    return sorted(mistakes, key=key)


def _stop(diagnostics: list[Diagnostic], loader: Loader) -> None:
    if diagnostics:
        raise DiagnosticError(diagnostics[:MAX_ERRORS], loader.sources)


def read_source(path_or_text: PathOrText) -> syntax.Source:
    """A path ending in `.nn`, or the text itself, as a Source. Raises OSError where the file cannot
    be read.
    """
    if not isinstance(path_or_text, (str, bytes, os.PathLike)):
        from nnrt.errors import Error

        raise Error(
            "a path that ends in `.nn` is needed, or the text of a net, and this is "
            f"{path_or_text!r:.60}."
        )
    text = os.fsdecode(path_or_text)
    if isinstance(path_or_text, os.PathLike) or ("\n" not in text and text.strip().endswith(".nn")):
        path = Path(text)
        return syntax.Source(path.name, read_text(path), str(path.parent.resolve()))
    return syntax.Source("<text>", text, None)
