"""`nnc fmt`: write .nn files in the language's one layout."""

from __future__ import annotations

import argparse
import sys

from nnc.cli.common import existing, write_text
from nnc.cli.report import explain
from nnc.options import OptionError


def run(arguments: argparse.Namespace) -> int:
    from nnlang import DiagnosticError, format_source

    if arguments.check and arguments.stdout:
        raise OptionError("--check and --stdout exclude each other.")
    code = 0
    for name in arguments.file:
        path = existing(name)
        text = path.read_bytes().decode("utf-8")
        try:
            formatted = format_source(text, name)
        except DiagnosticError as error:
            print(explain(error)[0], file=sys.stderr)
            code = 1
            continue
        if arguments.stdout:
            print(formatted, end="")
        elif formatted != text and arguments.check:
            print(f"{path} would change")
            code = 1
        elif formatted != text:
            write_text(path, formatted)
            print(f"{path} formatted")
    return code
