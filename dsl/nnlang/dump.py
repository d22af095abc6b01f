"""The syntax tree as text, for `nnc dump --stage syntax`.

Takes a node, gives one line for each node below it, indented by depth. Keeps true: equal trees give
equal texts.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from nnlang.syntax import Name, Node


def dump_syntax(node: Node) -> str:
    """The text of a tree, with a line end behind the last line."""
    lines: list[str] = []
    _write(node, "", 0, lines)
    return "\n".join(lines) + "\n"


def _write(node: Node, role: str, depth: int, lines: list[str]) -> None:
    """One line with the node's kind and plain fields, then its nodes with their roles."""
    words: list[str] = []
    below: list[tuple[str, Any]] = []
    for entry in fields(node):
        if not entry.compare:
            continue
        value = getattr(node, entry.name)
        if isinstance(value, Name) and entry.name in ("name", "label", "alias", "net"):
            words.append(value.text if entry.name == "name" else f"{entry.name}={value.text}")
        elif isinstance(value, Node) or (isinstance(value, tuple) and entry.name != "span"):
            below.append((entry.name, value))
        elif value is not None:
            words.append(_plain(entry.name, value))
    head = f"{role}: " if role else ""
    lines.append("  " * depth + head + " ".join([type(node).__name__, *words]))
    for name, value in below:
        if isinstance(value, Node):
            _write(value, name, depth + 1, lines)
            continue
        if not value and name not in ("body", "then", "otherwise"):
            continue
        lines.append("  " * (depth + 1) + f"{name}:")
        for part in value:
            _write(part, "", depth + 2, lines)


def _plain(name: str, value: Any) -> str:
    if isinstance(value, bool):
        word = str(value).lower()
        return word if name == "value" else f"{name}={word}"
    if isinstance(value, str) and name in ("text", "operator"):
        return value
    return f"{value!r}" if name == "value" else f"{name}={value}"
