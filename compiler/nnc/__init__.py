"""nnc: compile networks declared in `.nn` files to models that train and run (`nnrt`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnlang.diagnostics import DiagnosticError

    from .api import check, compile
    from .elaborate import Text

__version__ = "0.1.0"
__all__ = ["DiagnosticError", "Text", "check", "compile"]


def __getattr__(name: str) -> Any:
    """Import the compiler on first use, so that `import nnc` and `nnc --help` stay fast."""
    if name == "DiagnosticError":
        from nnlang.diagnostics import DiagnosticError

        return DiagnosticError
    if name == "Text":
        from .elaborate import Text

        return Text
    if name in __all__:
        from .collector import uncollected

        with uncollected():
            from . import api

        return getattr(api, name)
    from nnrt.foreign_names import no_module_attribute

    raise no_module_attribute("nnc", name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
