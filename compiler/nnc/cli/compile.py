"""`nnc compile`: a .nn file to an .nnc file."""

from __future__ import annotations

import argparse

from nnc.cli.common import check_writable, compiled, existing, size_text


def run(arguments: argparse.Namespace) -> int:
    path = existing(arguments.file)
    output = check_writable(arguments.output or f"{path.stem}.nnc")
    model = compiled(path, arguments)
    model.save(output, training=arguments.training)
    print(f"{output}: {size_text(output)}")
    return 0
