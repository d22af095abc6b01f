"""`nnc fmt`: write .nn files in the language's one layout."""

from __future__ import annotations

import argparse
import sys

from nnrt.kinds import SOURCE
from nnrt.text import visible
from nnrt.writing import target

from nnc.cli.common import existing, say
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
            # As it is for a pipe, whose text is to be used, and safe for a terminal.
            shown = visible(formatted, keep="\n") if sys.stdout.isatty() else formatted
            print(shown, end="")
        elif formatted != text and arguments.check:
            say(f"{path} would change")
            code = 1
        elif formatted != text:
            target(path, SOURCE).write_text(formatted)
            say(f"{path} formatted")
    return code
