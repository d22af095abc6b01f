"""The parse tables of the grammar.

Takes `grammar.lark`, gives plain tables for `engine`, made by Lark once in a process and only when
something is parsed. Keeps true: a table entry is a state to shift to (>= 0) or a production to
reduce by (~index < 0).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

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
    """Build the tables from the grammar beside this file."""
    import lark
    from lark.parsers.lalr_analysis import Shift

    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    parser = lark.Lark(grammar, parser="lalr", lexer=_lexer_stub(), maybe_placeholders=True)
    table: Any = parser.parser.parser._parse_table
    productions: list[Production] = []
    index: dict[Any, int] = {}
    states: list[dict[str, int]] = []
    for number in range(len(table.states)):
        actions: dict[str, int] = {}
        for symbol, (action, target) in table.states[number].items():
            if action is Shift:
                actions[symbol] = target
                continue
            if target not in index:
                index[target] = len(productions)
                productions.append(_production(target))
            actions[symbol] = ~index[target]
        states.append(actions)
    literals: dict[str, str] = {}
    for terminal in parser.terminals:
        for text in _alternatives(terminal.pattern):
            literals[text] = terminal.name
    return Tables(
        table.start_states["start"],
        table.end_states["start"],
        tuple(states),
        tuple(productions),
        literals,
    )


def _lexer_stub() -> type:
    """Lark wants a lexer; ours runs before the parser, so this one is never asked for a token."""
    from lark.lexer import Lexer

    class Stub(Lexer):
        def __init__(self, configuration: Any) -> None:
            pass

        def lex(self, lexer_state: Any, parser_state: Any) -> Any:
            raise NotImplementedError

    return Stub


def _alternatives(pattern: Any) -> list[str]:
    """The texts of a terminal: one for a plain string, several for `"<" | ">"`, none for a declared
    one.
    """
    if pattern is None:
        return []
    if type(pattern).__name__ == "PatternStr":
        return [pattern.value]
    expression: str = pattern.value
    return expression.removeprefix("(?:").removesuffix(")").split("|")


def _production(rule: Any) -> Production:
    origin = str(rule.origin.name)
    expansion = rule.expansion
    omitted = rule.options.empty_indices or (False,) * len(expansion)
    children: list[int | None] = []
    spliced: list[int] = []
    position = 0
    for empty in omitted:
        if empty:
            children.append(None)
            continue
        symbol = expansion[position]
        if not (symbol.is_term and symbol.filter_out) and symbol.name != "_NEWLINE":
            children.append(position)
            if not symbol.is_term and symbol.name.startswith("_"):
                spliced.append(position)
        position += 1
    return Production(
        origin,
        len(expansion),
        rule.alias or origin,
        tuple(children),
        frozenset(spliced),
        origin.startswith("_"),
        bool(rule.options.expand1 and not rule.alias and len(children) == 1 and not spliced),
    )
