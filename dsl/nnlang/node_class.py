"""`node`, the dataclass decorator of syntax nodes.

To a type checker it is `dataclass`. At run time the classes take their methods from
`nnlang.syntax.Node`: writing an `__init__` and others for each of fifty classes, as `dataclass`
does, takes more time than reading a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["node"]

if TYPE_CHECKING:
    from dataclasses import dataclass as node
else:
    from collections.abc import Callable
    from dataclasses import MISSING, dataclass, fields

    def node(**_: bool) -> Callable[[type], type]:
        """Note the fields of a class, for the methods that all nodes share."""

        def noted(kind: type) -> type:
            made = dataclass(init=False, eq=False, repr=False)(kind)
            entries = fields(made)
            made.positional = tuple(entry.name for entry in entries if not entry.kw_only)
            made.required = frozenset(e.name for e in entries if e.default is MISSING)
            made.allowed = frozenset(entry.name for entry in entries)
            return made

        return noted
