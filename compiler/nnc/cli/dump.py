"""`nnc dump`: what a stage of the compiler makes of a .nn file, as text."""

from __future__ import annotations

import argparse

from nnc.cli.common import compile_options, existing, say


def run(arguments: argparse.Namespace) -> int:
    from nnc.driver import stage_text

    path = existing(arguments.file)
    stage, program = arguments.stage or "plan", arguments.program or "predict"
    say(stage_text(path, stage, program, compile_options(arguments)).rstrip("\n"))
    return 0
