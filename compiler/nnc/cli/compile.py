"""`nnc compile`: a .nn file to an .nnc file."""

from __future__ import annotations

import argparse

from nnrt.kinds import MODEL

from nnc.cli.common import check_writable, compiled, existing, say, size_text


def run(arguments: argparse.Namespace) -> int:
    path = existing(arguments.file)
    output = check_writable(arguments.output or f"{path.stem}.nnc", MODEL, [path])
    model = compiled(path, arguments)
    model.save(output, training=arguments.training, allow_not_finite=arguments.allow_not_finite)
    say(f"{output}: {size_text(output)}")
    return 0
