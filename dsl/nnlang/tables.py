"""The parse tables of the grammar.

Takes `tables.json`, which `nnlang.grammar` makes from `grammar.lark`; gives plain tables for
`engine`. Keeps true: a table entry is a state to shift to (>= 0) or a production to reduce by
(~index < 0).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

END = "$END"


@dataclass(frozen=True, slots=True)
class Production:
    """One alternative of a rule.

    `children` tells what its node is made of: for each part the index of the symbol it comes from,
    or None for an optional part that this alternative leaves out; `spliced` marks the indices whose
    value is a list to splice in.
    """

    origin: str
    length: int
    action: str
    children: tuple[int | None, ...]
    spliced: frozenset[int]
    is_list: bool
    passes_on: bool


@dataclass(frozen=True, slots=True)
class Tables:
    """States with their actions (tokens and rules as keys), productions, and which text is which
    kind of token.
    """

    start: int
    end: int
    states: tuple[dict[str, int], ...]
    productions: tuple[Production, ...]
    literals: dict[str, str]

    @property
    def keywords(self) -> frozenset[str]:
        """The reserved words."""
        return frozenset(text for text in self.literals if text.isidentifier())


@lru_cache(maxsize=1)
def load_tables() -> Tables:
    """Read the tables beside this file."""
    text = Path(__file__).with_name("tables.json").read_text(encoding="utf-8")
    return decoded(text)


def encoded(tables: Tables) -> str:
    """The tables as JSON, a state or a production a line."""
    productions = [
        [p.origin, p.length, p.action, p.children, sorted(p.spliced), p.is_list, p.passes_on]
        for p in tables.productions
    ]
    parts = {
        "start": json.dumps(tables.start),
        "end": json.dumps(tables.end),
        "states": _lines(tables.states),
        "productions": _lines(productions),
        "literals": json.dumps(tables.literals, sort_keys=True),
    }
    return "{" + ",\n".join(f'"{name}": {text}' for name, text in parts.items()) + "}\n"


def _lines(items: Sequence[object]) -> str:
    return "[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in items) + "\n]"


def decoded(text: str) -> Tables:
    """The tables that `encoded` wrote."""
    found = json.loads(text)
    productions = tuple(
        Production(origin, length, action, tuple(children), frozenset(spliced), is_list, passes_on)
        for origin, length, action, children, spliced, is_list, passes_on in found["productions"]
    )
    return Tables(
        found["start"], found["end"], tuple(found["states"]), productions, found["literals"]
    )
