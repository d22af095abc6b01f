"""Several outputs of a model: a tuple whose items have names."""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from typing import Any


class Outputs(tuple[Any, ...]):
    """The outputs in the net's order: `result[0]`, `result["name"]`, `result.name`; they unpack.

    As an attribute, a name that Python uses itself (`class`, `count`) ends in `_`: `result.class_`.
    `dict(result)` gives the arrays by name.
    """

    _names: tuple[str, ...]

    def __new__(cls, names: Sequence[str], values: Sequence[Any]) -> Outputs:
        made = super().__new__(cls, values)
        made._names = tuple(names)
        return made

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        if key not in self._names:
            raise KeyError(f"there is no output `{key}`; there are {', '.join(self._names)}")
        return super().__getitem__(self._names.index(key))

    def __getattr__(self, name: str) -> Any:
        names = self.__dict__.get("_names", ())
        for output in (name, *names):  # a name that is written so comes first
            if output in names and attribute(output) == name:
                return self[output]
        listed = ", ".join(map(attribute, names))
        raise AttributeError(f"there is no output `{name}`; there are {listed}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._fields})

    def __reduce__(self) -> tuple[Any, ...]:
        return Outputs, (self._names, tuple(self))

    def __repr__(self) -> str:
        return f"Outputs({', '.join(f'{n}={v!r}' for n, v in self._asdict().items())})"

    def keys(self) -> tuple[str, ...]:
        """The names as the net has them."""
        return self._names

    @property
    def _fields(self) -> tuple[str, ...]:
        """The names as attributes, as a named tuple has them."""
        return tuple(attribute(name) for name in self._names)

    def _asdict(self) -> dict[str, Any]:
        return dict(zip(self._names, self, strict=True))


def attribute(name: str) -> str:
    """The attribute for an output: its name, with `_` behind it where Python uses that itself."""
    taken = keyword.iskeyword(name) or hasattr(Outputs, name) or name == "_names"
    return f"{name}_" if taken else name
