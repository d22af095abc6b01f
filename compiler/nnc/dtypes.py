"""The element types: their names, sizes and kinds, and what NumPy calls them.

The one list of the compiler. The engine's is `nnrt/dtypes.def`; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ElementType:
    """`kind`: `floating`, computed in; `narrow`, a float that is only stored, and computed in f32;
    `integer`; or `truth`. `numpy`: the name of NumPy's type, of a narrow type that of `ml_dtypes`.
    """

    name: str
    bytes: int
    kind: str
    numpy: str


TYPES: dict[str, ElementType] = {
    row.name: row
    for row in (
        ElementType("f32", 4, "floating", "float32"),
        ElementType("f64", 8, "floating", "float64"),
        ElementType("bf16", 2, "narrow", "bfloat16"),
        ElementType("i32", 4, "integer", "int32"),
        ElementType("i64", 8, "integer", "int64"),
        ElementType("u8", 1, "integer", "uint8"),
        ElementType("bool", 1, "truth", "bool"),
    )
}


def of_kind(kind: str) -> tuple[str, ...]:
    return tuple(row.name for row in TYPES.values() if row.kind == kind)


FLOATS = of_kind("floating")
NARROW = of_kind("narrow")
INTEGERS = of_kind("integer")

_NAMES = {row.numpy: row.name for row in TYPES.values()}
_KINDS = {"floating": "f", "narrow": "f", "truth": "b"}


class _NumpyTypes(Mapping[str, np.dtype[Any]]):
    """NumPy's type of each name. Narrow types need the package ml_dtypes, which is imported when
    one is asked for; nnrt.Error where it is missing.
    """

    def __init__(self) -> None:
        self._known = {
            row.name: np.dtype(row.numpy) for row in TYPES.values() if row.kind != "narrow"
        }

    def __getitem__(self, name: str) -> np.dtype[Any]:
        found = self._known.get(name)
        if found is None:
            if name not in TYPES:
                raise KeyError(name)
            from nnrt.dtypes import numpy_type

            found = self._known[name] = numpy_type(name)
        return found

    def __contains__(self, name: object) -> bool:
        return name in TYPES

    def __iter__(self) -> Iterator[str]:
        return iter(TYPES)

    def __len__(self) -> int:
        return len(TYPES)


DTYPES: Mapping[str, np.dtype[Any]] = _NumpyTypes()


def name_of(dtype: np.dtype[Any]) -> str | None:
    """The name of a type of NumPy, None where it is none of the list."""
    return _NAMES.get(dtype.name) if dtype.isnative else None


def kind_of(dtype: np.dtype[Any]) -> str:
    """The letter of NumPy for the kind of a type: `f` for narrow floats, too, which NumPy does not
    know.
    """
    name = name_of(dtype)
    return _KINDS.get(TYPES[name].kind, dtype.kind) if name is not None else dtype.kind
