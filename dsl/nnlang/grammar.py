"""The grammar of `.nn` files and its parser, which is Lark's.

Takes the tokens of a file, gives the tree that `builder` makes of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from lark import Lark
from lark.grammar import Rule
from lark.lexer import Lexer
from lark.parsers.lalr_interactive_parser import InteractiveParser

from nnlang.builder import Builder
from nnlang.lexer import Token
from nnlang.reductions import Shape, reductions, shape_of
from nnlang.saved_grammar import load_parser


class PreparedTokens(Lexer):
    """Lark's lexer: it hands over the tokens that it is given.

    `lexer` and `layout` make them before, since which line ends count depends on what follows.
    """

    __future_interface__ = 2  # `lex` takes Lark's states

    def __init__(self, configuration: Any) -> None:
        pass

    def lex(self, lexer_state: Any, parser_state: Any) -> Iterator[Any]:
        return iter(lexer_state.text)


@dataclass(frozen=True)
class Grammar:
    """`literals` tells the types of the reserved words and operators, `shapes` what the node of
    each production is made of.
    """

    lark: Lark
    literals: dict[str, str]
    shapes: dict[Rule, Shape]

    @cached_property
    def keywords(self) -> frozenset[str]:
        """The reserved words."""
        return frozenset(text for text in self.literals if text.isidentifier())

    def start(self, tokens: list[Token], builder: Builder) -> InteractiveParser:
        """A parser before the first of some tokens, which has `builder` make the nodes."""
        text: Any = tokens
        made: Any = reductions(self.shapes, builder, tokens[-1])
        parser = self.lark.parse_interactive(text)
        parser.parser_state.parse_conf.callbacks = made
        return parser

    def parse(self, tokens: list[Token], builder: Builder) -> Any:
        """The tree of all tokens; raises Lark's `UnexpectedToken`, or `TooDeep`."""
        parser = self.start(tokens, builder)
        parser.exhaust_lexer()
        result: Any = parser.result
        return result.value


@lru_cache(maxsize=1)
def load_grammar() -> Grammar:
    """The grammar beside this file."""
    text = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    parser = load_parser(text, PreparedTokens)
    literals = {
        text: terminal.name for terminal in parser.terminals for text in _texts(terminal.pattern)
    }
    return Grammar(parser, literals, {rule: shape_of(rule) for rule in parser.rules})


def _texts(pattern: Any) -> list[str]:
    """The texts of a terminal: one for a plain string, several for `"<" | ">"`, none for a declared
    one.
    """
    if pattern is None:
        return []
    if pattern.type == "str":
        return [pattern.value]
    expression: str = pattern.value
    return expression.removeprefix("(?:").removesuffix(")").split("|")
