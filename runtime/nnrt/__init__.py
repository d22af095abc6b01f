"""Run and train compiled networks (`.nnc` files); needs NumPy and nothing else.

`load(path)` gives a `Model`; `Error` is the one exception for mistakes of a user. Names are
imported when first used, so that `import nnrt` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnrt.errors import Error

if TYPE_CHECKING:
    from nnrt import data
    from nnrt.history import History
    from nnrt.model import Model, load

__version__ = "0.1.0"
__all__ = ["Error", "History", "Model", "__version__", "data", "load"]

_HOMES = {"History": "nnrt.history", "Model": "nnrt.model", "load": "nnrt.model"}


def __getattr__(name: str) -> Any:
    if name == "data":
        from importlib import import_module

        return import_module("nnrt.data")
    if name not in _HOMES:
        from nnrt.foreign_names import no_module_attribute

        raise no_module_attribute("nnrt", name)
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
