"""The `.nn` language: text to syntax tree, diagnostics and their rendering, the formatter.

Names are imported when first used, so that `import nnlang` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnlang.diagnostics import Diagnostic, DiagnosticError, Label, to_json
    from nnlang.dump import dump_syntax
    from nnlang.format import format_source
    from nnlang.parser import parse
    from nnlang.rendering import render, render_all
    from nnlang.syntax import Source, Span

_HOMES = {
    "Diagnostic": "diagnostics",
    "DiagnosticError": "diagnostics",
    "Label": "diagnostics",
    "Source": "syntax",
    "Span": "syntax",
    "dump_syntax": "dump",
    "format_source": "format",
    "parse": "parser",
    "render": "rendering",
    "render_all": "rendering",
    "to_json": "diagnostics",
}

__all__ = [
    "Diagnostic",
    "DiagnosticError",
    "Label",
    "Source",
    "Span",
    "dump_syntax",
    "format_source",
    "parse",
    "render",
    "render_all",
    "to_json",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'nnlang' has no attribute {name!r}")
    return getattr(import_module(f"nnlang.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
