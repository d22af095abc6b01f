"""From arguments to a command and its exit code.

Takes the arguments, gives 0 (done), 1 (a mistake of the user, explained on standard error), 2
(arguments that nnc does not have), 70 (a bug of nnc) or 130 (interrupted). Keeps true: a user's
mistake never shows a Python traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import nnc
from nnc import options
from nnc.cli import foreign_options
from nnc.cli.common import messages_aside
from nnc.cli.report import explain

DONE, MISTAKE, USAGE, BUG, INTERRUPTED, NO_READER = 0, 1, 2, 70, 130, 141


# What argparse says of a command or an argument that it does not know.
UNKNOWN = re.compile(
    r"argument COMMAND: invalid choice: '(?P<command>[^']*)'|unrecognized arguments: (?P<option>.+)"
)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in the style of nnc's other errors. `arguments`: those of the process."""

    arguments: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        wrong = UNKNOWN.match(message)
        if wrong is not None and wrong["command"]:
            message = foreign_options.command(wrong["command"])
        elif wrong is not None:
            message = foreign_options.answer(*unknown_option(wrong["option"], self.arguments))
        self.exit(USAGE, f"error: {message}\nusage: see `{self.prog} --help`\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. `arguments` are those of the process without its name."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        top = parser()
        top.arguments = sys.argv[1:] if arguments is None else arguments
        parsed = top.parse_args(top.arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USAGE
    try:
        outputs = [getattr(parsed, name, None) for name in ("output", "log")]
        with messages_aside(outputs):
            code: int = import_module(f"nnc.cli.{parsed.command}").run(parsed)
            sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`nnc dump … | head`): nothing is left to say, also not at exit.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NO_READER
    except Exception as error:
        text, is_bug = explain(error)
        print(text, file=sys.stderr)
        return BUG if is_bug else MISTAKE


def unknown_option(rest: str, arguments: Sequence[str]) -> tuple[str, str, str]:
    """The first option that is not known, its value and the command, as they were typed."""
    name, _, value = rest.split()[0].partition("=")
    command = next((item for item in arguments if item in options.COMMANDS), "")
    place = arguments.index(name) + 1 if name in arguments else len(arguments)
    if not value and place < len(arguments) and not arguments[place].startswith("-"):
        value = arguments[place]
    return name, value, command


def parser() -> Parser:
    """The parser of all commands, from the table of options."""
    top = Parser(
        prog="nnc",
        description="Compile neural networks declared in .nn files, train them and run them.",
        epilog=environment_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"nnc {nnc.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, help in options.COMMANDS.items():
        command = commands.add_parser(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}. {options.DETAILS[name]}",
            allow_abbrev=False,
        )
        for option in options.of_command(name):
            add(command, option)
    return top


def add(parser: argparse.ArgumentParser, option: options.Option) -> None:
    help = option.help + (f" (default: {option.default})" if option.default else "")
    help = help.replace("%", "%%")
    if option.kind in ("position", "positions"):
        more: dict[str, Any] = {"nargs": "+"} if option.kind == "positions" else {}
        parser.add_argument(option.destination, metavar=option.names[0], help=help, **more)
    elif option.kind == "flag":
        parser.add_argument(*option.names, dest=option.destination, action="store_true", help=help)
    else:
        parser.add_argument(
            *option.names,
            dest=option.destination,
            metavar=option.metavar,
            help=help + (f": {', '.join(option.choices)}" if option.choices else ""),
            action="append" if option.kind == "list" else "store",
            default=[] if option.kind == "list" else None,
            type=whole_number if option.kind == "number" else str,
            choices=option.choices or None,
        )


def whole_number(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if value < 0:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number")
    return value


def environment_help() -> str:
    lines = ["environment:"]
    for variable in options.variables():
        lines.append(f"  {variable.names[0]:<12} {options.meaning(variable)}")
        lines.append(f"{'':15}default: {variable.default}")
    return "\n".join(lines)
