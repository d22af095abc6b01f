"""A model's parameters and states by name: copies out of the engine, and assignment into it."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping, ValuesView
from math import prod
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from nnrt.arrays import plain
from nnrt.dtypes import TYPES
from nnrt.errors import Error
from nnrt.foreign_names import refuse_call
from nnrt.text import visible
from nnrt.validate import converted

if TYPE_CHECKING:
    from nnrt._engine import Engine

Array = np.ndarray[Any, np.dtype[Any]]


class Variables(Mapping[str, Array]):
    """Read-only copies of the current values; `variables[name] = array` copies in.

    `items()` and `values()` give all arrays of one state; a loop over names may meet several while
    a training runs. A name may be cut to an end of it that starts at a dot and that no other name
    has.
    """

    def __init__(self, engine: Engine, kind: str) -> None:
        self._engine = engine
        self._kind = kind
        self._infos = {info["name"]: info for info in engine.variables if info["kind"] == kind}
        self._masters = {info["master_of"]: info for info in engine.variables if info["master_of"]}

    def full_name(self, name: str) -> str:
        if name in self._infos:
            return name
        matches = [known for known in self._infos if known.endswith(f".{name}")]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise KeyError(f"`{name}` may mean {listed(matches)}: write more of the name")
        raise KeyError(f"there is no {self._kind} `{name}`; there are {listed(self._infos)}")

    def __getitem__(self, name: str) -> Array:
        return self._engine.variable(self.full_name(name))

    def __setitem__(self, name: str, value: Any) -> None:
        info = self._infos[self.full_name(name)]
        what, dtype = f"`{info['name']}`", info["dtype"]
        given = plain(value, what, "value", dtype)
        array = converted(given, dtype, what, "value")
        if array.shape != info["shape"]:
            raise Error(
                f"`{info['name']}` has the shape {list(info['shape'])}, and the array given has "
                f"{list(array.shape)}.",
                "N0703",
            )
        arrays = {info["name"]: array}
        master = self._masters.get(info["name"])
        if master is not None:  # training goes on from it
            arrays[master["name"]] = converted(given, master["dtype"], what, "value")
        self._engine.set_variables(arrays)

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        refuse_call(f"{self._kind}s")

    def items(self) -> ItemsView[str, Array]:
        return self._state().items()

    def values(self) -> ValuesView[Array]:
        return self._state().values()

    def _state(self) -> dict[str, Array]:
        state = self._engine.state()[0]
        arrays = {name: state[name] for name in self._infos}
        for array in arrays.values():
            array.flags.writeable = False
        return arrays

    @property
    def elements(self) -> int:
        """How many numbers there are in all."""
        return sum(prod(info["shape"]) for info in self._infos.values())

    @property
    def nbytes(self) -> int:
        return sum(
            prod(info["shape"]) * TYPES[info["dtype"]].bytes for info in self._infos.values()
        )

    def narrow(self) -> list[str]:
        """How many numbers are stored in each narrow type, as text."""
        counts: dict[str, int] = {}
        for info in self._infos.values():
            if TYPES[info["dtype"]].kind == "narrow":
                counts[info["dtype"]] = counts.get(info["dtype"], 0) + prod(info["shape"])
        return [f"stored as {dtype}: {count:,}" for dtype, count in counts.items()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._infos)

    def __len__(self) -> int:
        return len(self._infos)

    def __repr__(self) -> str:
        lines = [
            f"  {visible(name)}: {info['dtype']}{list(info['shape'])}"
            for name, info in self._infos.items()
        ]
        return "\n".join([f"<{len(lines)} of kind {self._kind}>", *lines])


def listed(names: Any) -> str:
    names = [f"`{visible(name)}`" for name in names]
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
