"""The element types of the engine, and NumPy's types for them.

The one list of this package, read from the engine. NumPy has no bf16: its arrays are those of the
package `ml_dtypes`, which is imported only when a model has bf16.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from nnrt import _engine


@dataclass(frozen=True)
class ElementType:
    """`kind`: `floating`, computed in; `narrow`, a float that is only stored; `integer`; `truth`.
    `stored`: its name in safetensors.
    """

    name: str
    bytes: int
    kind: str
    stored: str


TYPES: dict[str, ElementType] = {row[0]: ElementType(*row) for row in _engine.element_types()}
STORED: dict[str, str] = {row.stored: row.name for row in TYPES.values()}


@cache
def numpy_type(name: str) -> np.dtype[Any]:
    """Raises `nnrt.Error` for a type that needs the package ml_dtypes, where that is missing."""
    return _engine.numpy_type(name)


def name_of(dtype: np.dtype[Any]) -> str | None:
    """The name of a type of NumPy, None where the engine has no such type."""
    for name, row in TYPES.items():
        known = row.kind != "narrow" or "ml_dtypes" in sys.modules
        if known and numpy_type(name) == dtype:
            return name
    return None


def text_of(dtype: np.dtype[Any]) -> str:
    """The name of a type of NumPy, for messages."""
    return name_of(dtype) or str(dtype)


def kind_of(dtype: np.dtype[Any]) -> str:
    """The letter of NumPy for the kind of a type: `f` for narrow floats, too, which NumPy does not
    know.
    """
    if dtype.kind != "V":
        return dtype.kind
    name = name_of(dtype)
    return "f" if name is not None and TYPES[name].kind == "narrow" else dtype.kind
