"""Makes the parse tables from `grammar.lark`, with Lark.

`python -m nnlang.grammar > dsl/nnlang/tables.json` writes what `nnlang.tables` reads, so that a
compile does not begin with 0.2 s of table construction; a test keeps the file and the grammar in
step. States are numbered by a walk from the first one, so the same grammar gives the same text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nnlang.tables import Production, Tables, encoded


def make_tables() -> Tables:
    """Build the tables from the grammar beside this file."""
    import lark

    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    parser = lark.Lark(grammar, parser="lalr", lexer=_lexer_stub(), maybe_placeholders=True)
    table: Any = parser.parser.parser._parse_table
    rules = sorted(parser.rules, key=_place)
    index = {rule: number for number, rule in enumerate(rules)}
    states, numbers = _walk(table, index)
    literals: dict[str, str] = {}
    for terminal in parser.terminals:
        for text in _alternatives(terminal.pattern):
            literals[text] = terminal.name
    return Tables(
        numbers[table.start_states["start"]],
        numbers[table.end_states["start"]],
        states,
        tuple(_production(rule) for rule in rules),
        literals,
    )


def _place(rule: Any) -> tuple[str, int, list[str]]:
    return str(rule.origin.name), rule.order, [symbol.name for symbol in rule.expansion]


def _walk(table: Any, index: dict[Any, int]) -> tuple[tuple[dict[str, int], ...], dict[int, int]]:
    """The states in the order in which a walk from the start meets them, and their new numbers."""
    from lark.parsers.lalr_analysis import Shift

    first = table.start_states["start"]
    numbers = {first: 0}
    states: list[dict[str, int]] = []
    for old in (order := [first]):
        actions: dict[str, int] = {}
        for symbol in sorted(table.states[old]):
            action, target = table.states[old][symbol]
            if action is not Shift:
                actions[symbol] = ~index[target]
                continue
            if target not in numbers:
                numbers[target] = len(numbers)
                order.append(target)
            actions[symbol] = numbers[target]
        states.append(actions)
    return tuple(states), numbers


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


if __name__ == "__main__":
    print(encoded(make_tables()), end="")
