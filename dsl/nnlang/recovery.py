"""Recovery from syntax errors.

Takes the tokens of a file that the grammar does not allow, gives the tree of what was meant, and
diagnostics. Lark's interactive parser tells what is allowed where. Keeps true: it always comes to
an end. After an error it either goes on with the tokens that `errors` says were meant, or leaves
out the statement and goes on behind it, so that every mistake of a file is reported and none twice.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any

from lark import Token as LarkToken
from lark import UnexpectedToken

from nnlang import errors
from nnlang.builder import Builder
from nnlang.diagnostics import MAX_ERRORS, Diagnostic
from nnlang.grammar import Grammar
from nnlang.layout import NEWLINE, too_deep
from nnlang.lexer import END, Token
from nnlang.reductions import TooDeep

# The header that stands in for a wrong one, so that the body below it is read all the same.
_HEADERS: dict[str, tuple[str, ...]] = {
    "NET": ("NET", "NAME", "LBRACE"),
    "BLOCK": ("BLOCK", "NAME", "LBRACE"),
    "RULE": ("RULE", "NAME", "LBRACE"),
    "TRAIN": ("TRAIN", "NAME", "LBRACE"),
    "FOR": ("FOR", "NAME", "IN", "NAME", "LBRACE"),
    "SCAN": ("SCAN", "NAME", "IN", "NAME", "LBRACE"),
    "REPEAT": ("REPEAT", "NAME", "LBRACE"),
    "IF": ("IF", "NAME", "LBRACE"),
}
_ITEM_STARTS = frozenset({"NET", "BLOCK", "RULE", "TRAIN", "CONST", "USE"})


Parser = Any
"""Lark's `InteractiveParser`; few of its methods have types."""


@dataclass(frozen=True, slots=True)
class _Boundary:
    """Where a statement starts: the parser before it (and before the line end in front of it)."""

    position: int
    parser: Parser


class Recovery:
    def __init__(self, grammar: Grammar, tokens: list[Token], file: str) -> None:
        self.grammar = grammar
        self.tokens = tokens
        self.file = file
        self.builder = Builder(file)
        self.parser: Parser = grammar.start(tokens, self.builder)
        self.diagnostics: list[Diagnostic] = []

    def run(self, lexical: list[Diagnostic]) -> Any:
        """The tree of the whole file, or None where it could not be made; `lexical` is what is
        known to be wrong.
        """
        try:
            return self.read(lexical)
        except TooDeep as error:
            self.diagnostics.append(too_deep(error.token, self.file))
            return None

    def read(self, lexical: list[Diagnostic]) -> Any:
        quiet_lines = {place.span.line for found in lexical if (place := found.primary)}
        boundaries = [_Boundary(0, _copy(self.parser))]
        position = attempts = 0
        while True:
            token = self.tokens[position]
            before = _copy(self.parser)
            try:
                result = self.parser.feed_token(token)
            except UnexpectedToken:
                self.parser = before
            else:
                if token.type == END:
                    return result.value
                if token.type == NEWLINE:
                    boundaries[-1] = _Boundary(position, before)
                elif token.type == "LBRACE":
                    boundaries.append(_Boundary(position, _copy(self.parser)))
                elif token.type == "RBRACE" and len(boundaries) > 1:
                    boundaries.pop()
                position += 1
                continue
            attempts += 1
            if attempts > 2 * MAX_ERRORS or len(self.diagnostics) >= MAX_ERRORS:
                return None
            repair = self.repair(position, boundaries)
            place = repair.diagnostic.primary
            if place is None or place.span.line not in quiet_lines:
                self.diagnostics.append(repair.diagnostic)
            if self.apply(repair, position):
                continue
            position = self.leave_out(position, boundaries)

    def allows(self, *types: str) -> bool:
        """Whether tokens of these types could follow; nothing is built."""
        trial = _copy(self.parser)
        trial.parser_state.parse_conf = copy(trial.parser_state.parse_conf)
        trial.parser_state.parse_conf.callbacks = {}
        try:
            for each in types:
                trial.feed_token(LarkToken(each, ""))
        except UnexpectedToken:
            return False
        return True

    def repair(self, position: int, boundaries: list[_Boundary]) -> errors.Repair:
        """What `errors` makes of the token at a position, which the grammar does not allow."""
        start = boundaries[-1].position
        if self.tokens[start].type in (NEWLINE, "LBRACE") and start < position:
            start += 1
        allowed = self.parser.accepts()
        trouble = errors.Trouble(
            tokens=self.tokens,
            position=position,
            start=start,
            in_body=len(boundaries) > 1,
            file=self.file,
            keywords={self.grammar.literals[word]: word for word in self.grammar.keywords},
            accepts=lambda first, *more: (
                first in allowed and (not more or self.allows(first, *more))
            ),
        )
        return errors.explain(trouble)

    def apply(self, repair: errors.Repair, position: int) -> bool:
        """Put the tokens that were meant in the place of the wrong ones, if the grammar then goes
        on.
        """
        if repair.tokens is None:
            return False
        behind = position + repair.drop
        following = [token.type for token in repair.tokens]
        if not self.allows(*following, self.tokens[behind].type):
            return False
        self.tokens[position:behind] = repair.tokens
        return True

    def leave_out(self, position: int, boundaries: list[_Boundary]) -> int:
        """Drop the rest of the statement that holds the error; gives the position to go on at."""
        boundary = boundaries[-1]
        self.parser = _copy(boundary.parser)
        opener = self.tokens[boundary.position]
        start = boundary.position
        if opener.type in (NEWLINE, "LBRACE") and start < position:
            start += 1
        after_header = self.header_end(start, position)
        if after_header is not None:
            at = self.tokens[start]
            header = [_stand_in(kind, at) for kind in _HEADERS[self.header_kind(start)]]
            if opener.type == NEWLINE and self.allows(NEWLINE):
                header.insert(0, opener)
            if self.allows(*(token.type for token in header)):
                self.tokens[after_header : after_header + 1] = header
                boundaries[-1] = _Boundary(after_header, boundary.parser)
                return after_header
        end = self.statement_end(position, top_level=len(boundaries) == 1)
        token = self.tokens[end]
        if token.type == NEWLINE and not self.allows(NEWLINE):
            boundaries[-1] = _Boundary(end, boundary.parser)
            return end + 1
        return end

    def header_kind(self, start: int) -> str:
        """The keyword of a statement, by where it starts; of `h = scan ...` it is `scan`."""
        kind = self.tokens[start].type
        if kind == "NAME" and self.tokens[start + 1].type == "EQUAL":
            return self.tokens[start + 2].type
        return kind

    def header_end(self, start: int, position: int) -> int | None:
        """The `{` behind a wrong header, or None where the error is in no header or the header has
        no body.
        """
        if self.header_kind(start) not in _HEADERS:
            return None
        if any(token.type == "LBRACE" for token in self.tokens[start:position]):
            return None
        for index in range(position, len(self.tokens)):
            kind = self.tokens[index].type
            if kind == "LBRACE":
                return index
            if kind in (NEWLINE, "RBRACE", END):
                return None
        return None

    def statement_end(self, position: int, top_level: bool) -> int:
        """The end of the statement around a position: the next line end, closing brace or end of
        the file.
        """
        depth = 0
        while True:
            kind = self.tokens[position].type
            if kind == END:
                return position
            if kind == "LBRACE":
                depth += 1
            elif kind == "RBRACE":
                if depth == 0 and not top_level:
                    return position
                depth = max(depth - 1, 0)
            elif kind == NEWLINE and depth == 0 and self.ends_statement(position, top_level):
                return position
            position += 1

    def ends_statement(self, position: int, top_level: bool) -> bool:
        """Whether to go on behind a line end: at the top of the file only with the next item."""
        return not top_level or self.tokens[position + 1].type in _ITEM_STARTS


def _stand_in(kind: str, at: Token) -> Token:
    return Token(kind, "_", at.start, at.end, at.line, at.column)


def _copy(parser: Parser) -> Parser:
    return parser.copy(deepcopy_values=False)  # values do not change once they are made
