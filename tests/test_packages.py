"""The three packages depend one way: nnlang and nnrt on nothing of ours, nnc on both. And importing
them stays light.
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

OURS = {"nnlang", "nnc", "nnrt"}
ALLOWED = {"nnlang": set(), "nnrt": set(), "nnc": {"nnlang", "nnrt"}}


def folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(OURS))
def test_imports_go_one_way(package: str) -> None:
    files = sorted(folder(package).rglob("*.py"))
    assert files
    for file in files:
        found = (imported(file) & OURS) - {package}
        assert found <= ALLOWED[package], f"{file.name} imports {found - ALLOWED[package]}"


@pytest.mark.parametrize(
    ("package", "absent"),
    [
        ("nnrt", ("lark", "nnlang", "nnc", "rich", "PIL", "safetensors", "torch")),
        ("nnc", ("lark", "nnrt", "rich", "PIL", "torch")),
        ("nnlang", ("lark", "numpy", "rich")),
    ],
)
def test_import_is_light(package: str, absent: tuple[str, ...]) -> None:
    code = f"import sys, {package}; print(' '.join(m for m in {absent!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
