"""Whatever a message tells people to type exists: names of Python, commands and options."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest
from nnc import options

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = [ROOT / "dsl" / "nnlang", ROOT / "compiler" / "nnc", ROOT / "runtime" / "nnrt"]
# An example of what does not exist, and the names of files.
IGNORED = {"nnc.py", "nnlang.py"}


def texts() -> Iterator[tuple[str, str]]:
    """The strings of all packages, docstrings included, with their files."""
    for package in PACKAGES:
        for path in package.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield path.name, node.value


def found(pattern: str) -> list[tuple[str, str]]:
    return sorted({(file, name) for file, text in texts() for name in re.findall(pattern, text)})


def exists(name: str) -> bool:
    parts = name.split(".")
    try:
        import_module(name)
    except ImportError:
        try:
            reduce(getattr, parts[1:], import_module(parts[0]))
        except AttributeError:
            return False
    return True


def test_names_of_python_exist() -> None:
    names = found(r"`(?:python -m )?((?:nnc|nnrt|nnlang)(?:\.[A-Za-z_]+)+)")
    names += found(r"\b((?:nnc|nnrt)\.[A-Za-z_]+(?:\.[A-Za-z_]+)?)\(")
    assert {"nnrt.load", "nnc.compile", "nnc.Text", "nnrt.data.open"} <= {name for _, name in names}
    assert [item for item in names if item[1] not in IGNORED and not exists(item[1])] == []


def test_options_exist() -> None:
    known = {name for row in options.OPTIONS for name in row.names} | {"--help", "--version"}
    named = [item for item in found(r"`(?:nnc [^`]*?)?(--[a-z][a-z-]*)") if item[1] not in known]
    assert named == []


def test_commands_exist() -> None:
    named = found(r"`nnc ([a-z]+)")
    assert {"train", "predict"} <= {name for _, name in named}
    assert [item for item in named if item[1] not in options.COMMANDS] == []


@pytest.mark.parametrize("name", ["nnc.Text", "nnrt.data.open"])
def test_what_exists_is_found(name: str) -> None:
    assert exists(name) and not exists(name + "s")
