"""Run and train compiled networks (`.nnc` files); needs NumPy and nothing else.

`load(path)` gives a `Model`; `Error` is the one exception for mistakes of a user. Names are
imported when first used, so that `import nnrt` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnrt.errors import Error

if TYPE_CHECKING:
    from nnrt.history import History
    from nnrt.model import Model, load

__version__ = "0.1.0"
__all__ = ["Error", "History", "Model", "__version__", "load"]

_HOMES = {"History": "nnrt.history", "Model": "nnrt.model", "load": "nnrt.model"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module `nnrt` has no attribute `{name}`")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
