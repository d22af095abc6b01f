"""`nnc check`: every mistake in .nn files, in each net with each of its train sections."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnc.cli.common import Given, existing, given, say
from nnc.cli.report import colored

if TYPE_CHECKING:
    from nnlang import Diagnostic, Source


def run(arguments: argparse.Namespace) -> int:
    from nnlang import render_all, to_json

    chosen = given(arguments.set)
    found: list[dict[str, Any]] = []
    for name in arguments.file:
        path = existing(name)
        mistakes, sources, nets = check(path, chosen)
        found += [to_json(mistake, sources) for mistake in mistakes]
        if arguments.json:
            continue
        if mistakes:
            print(render_all(mistakes, sources, colored()), file=sys.stderr)
            count = f"{len(mistakes)} mistake{'s' if len(mistakes) > 1 else ''}"
            say(f"\n{path}: {count}", file=sys.stderr)
        else:
            what = ", ".join(nets) if nets else "no nets"
            say(f"{path}: no mistakes ({what})")
    if arguments.json:
        print(json.dumps(found, indent=2))
    return 1 if found else 0


def check(path: Path, chosen: Given) -> tuple[list[Diagnostic], dict[str, Source], list[str]]:
    """The mistakes, the sources to show them in, and the nets that were built."""
    from nnlang import DiagnosticError

    from nnc.elaborate import elaborate, read_source
    from nnc.elaborate.module import load_text

    found: list[Diagnostic] = []
    sources: dict[str, Source] = {}
    source = read_source(path)
    try:
        module, loader = load_text(source)
    except DiagnosticError as error:
        return list(error.diagnostics), error.sources, []
    if loader.diagnostics:
        return loader.diagnostics, loader.sources, []
    for net in module.nets:
        named = [train.name for train in module.trains if train.net.text == net]
        for recipe in [name.text if name else None for name in named] or [None]:
            try:
                elaborate(
                    source,
                    net=net,
                    recipe=recipe,
                    settings=chosen.settings,
                    overrides=chosen.overrides,
                    draw=False,
                )
            except DiagnosticError as error:
                sources.update(error.sources)
                found += [item for item in error.diagnostics if item not in found]
    return found, sources, list(module.nets)
