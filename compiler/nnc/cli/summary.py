"""`nnc summary`: layers, shapes, parameters and costs of a .nn or .nnc file."""

from __future__ import annotations

import argparse

from nnc.cli.common import compiled, existing, is_artifact, say
from nnc.options import OptionError


def run(arguments: argparse.Namespace) -> int:
    path = existing(arguments.file)
    if is_artifact(path):
        if arguments.set or arguments.net or arguments.recipe:
            raise OptionError(f"{path} is compiled: --set, --net and --recipe need the .nn file.")
        import nnrt

        model = nnrt.load(path)
    else:
        model = compiled(path, arguments)
    say(model.summary())
    return 0
