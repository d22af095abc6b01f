"""The LALR machine.

Takes tokens and the tables of the grammar, gives the tree that `builder` makes, and diagnostics.
Keeps true: it always comes to an end. After an error it either goes on with the tokens that
`errors` says were meant, or leaves out the statement and goes on behind it, so that every mistake
of a file is reported and none twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nnlang.builder import Builder
from nnlang.diagnostics import MAX_ERRORS, Diagnostic
from nnlang.layout import NEWLINE, too_deep
from nnlang.lexer import Token
from nnlang.syntax import Span
from nnlang.tables import END, Tables

if TYPE_CHECKING:
    from nnlang.errors import Repair

MAX_DEPTH = 100

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


@dataclass(slots=True)
class _Entry:
    """A symbol on the stack: its value, its first and last token, and how deep its tree is."""

    value: Any
    first: Token
    last: Token
    depth: int


@dataclass(frozen=True, slots=True)
class _Boundary:
    """Where a statement starts: the stacks before it (and before the line end in front of it)."""

    position: int
    states: list[int]
    entries: list[_Entry]


class Engine:
    def __init__(self, tables: Tables, tokens: list[Token], file: str) -> None:
        self.tables = tables
        self.tokens = tokens
        self.file = file
        self.builder = Builder(file)
        self.states: list[int] = [tables.start]
        self.entries: list[_Entry] = []
        self.diagnostics: list[Diagnostic] = []
        self.deep: Token | None = None

    def run(self, lexical: list[Diagnostic]) -> Any:
        """The value of the whole file, or None where it could not be made; `lexical` is what is
        known to be wrong.
        """
        quiet_lines = {place.span.line for found in lexical if (place := found.primary)}
        boundaries = [_Boundary(0, self.states[:], self.entries[:])]
        position = attempts = 0
        while True:
            token = self.tokens[position]
            states, entries = self.states[:], self.entries[:]
            if self.feed(token):
                if token.kind == NEWLINE:
                    boundaries[-1] = _Boundary(position, states, entries)
                if token.kind == END:
                    return self.entries[-1].value
                if token.kind == "LBRACE":
                    boundaries.append(_Boundary(position, self.states[:], self.entries[:]))
                elif token.kind == "RBRACE" and len(boundaries) > 1:
                    boundaries.pop()
                position += 1
                continue
            if self.deep is not None:
                self.diagnostics.append(too_deep(self.deep, self.file))
                return None
            self.states, self.entries = states, entries
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

    def feed(self, token: Token) -> bool:
        """Shift a token, after the reductions it calls for; False where the grammar does not allow
        it.
        """
        states, entries = self.states, self.entries
        table, productions = self.tables.states, self.tables.productions
        kind = token.kind
        while True:
            action = table[states[-1]].get(kind)
            if action is None:
                return False
            if action >= 0:
                states.append(action)
                entries.append(_Entry(token, token, token, 0))
                return True
            production = productions[~action]
            length = production.length
            if length != 1 or not production.passes_on:
                entry = self.reduce(production, entries[len(entries) - length :], token)
                if entry.depth > MAX_DEPTH:
                    self.deep = entry.first
                    return False
                if length:
                    del states[-length:], entries[-length:]
                entries.append(entry)
            else:
                states.pop()
            states.append(table[states[-1]][production.origin])
            if kind == END and states[-1] == self.tables.end:
                return True

    def reduce(self, production: Any, parts: list[_Entry], lookahead: Token) -> _Entry:
        if not parts:
            parts = [_Entry(None, lookahead, lookahead, 0)]
        first, last = parts[0].first, parts[-1].last
        depth = max([part.depth for part in parts])
        spliced = production.spliced
        values: list[Any] = []
        for index in production.children:
            if index is None:
                values.append(None)
            elif index in spliced:
                values.extend(parts[index].value)
            else:
                values.append(parts[index].value)
        if production.is_list:
            return _Entry(values, first, last, depth)
        if production.passes_on:
            return _Entry(values[0], first, last, depth)
        span = Span(
            self.file,
            first.start,
            last.end,
            first.line,
            first.column,
            last.line,
            last.column + last.end - last.start,
        )
        make = getattr(self.builder, "make_" + production.action)
        return _Entry(make(values, span), first, last, depth + 1)

    def acceptable(self, kinds: tuple[str, ...], states: list[int]) -> bool:
        """Whether these tokens could follow; nothing is built."""
        states = states[:]
        table, productions = self.tables.states, self.tables.productions
        for kind in kinds:
            while True:
                action = table[states[-1]].get(kind)
                if action is None:
                    return False
                if action >= 0:
                    states.append(action)
                    break
                production = productions[~action]
                if production.length:
                    del states[-production.length :]
                states.append(table[states[-1]][production.origin])
                if kind == END and states[-1] == self.tables.end:
                    break
        return True

    def repair(self, position: int, boundaries: list[_Boundary]) -> Repair:
        """What `errors` makes of the token at a position, which the grammar does not allow."""
        from nnlang import errors  # most texts have none

        states = self.states
        start = boundaries[-1].position
        if self.tokens[start].kind in (NEWLINE, "LBRACE") and start < position:
            start += 1
        trouble = errors.Trouble(
            tokens=self.tokens,
            position=position,
            start=start,
            in_body=len(boundaries) > 1,
            file=self.file,
            keywords={self.tables.literals[word]: word for word in self.tables.keywords},
            accepts=lambda *kinds: self.acceptable(kinds, states),
        )
        return errors.explain(trouble)

    def apply(self, repair: Repair, position: int) -> bool:
        """Put the tokens that were meant in the place of the wrong ones, if the grammar then goes
        on.
        """
        if repair.tokens is None:
            return False
        behind = position + repair.drop
        following = [token.kind for token in repair.tokens]
        following.append(self.tokens[behind].kind)
        if not self.acceptable(tuple(following), self.states):
            return False
        self.tokens[position:behind] = repair.tokens
        return True

    def leave_out(self, position: int, boundaries: list[_Boundary]) -> int:
        """Drop the rest of the statement that holds the error; gives the position to go on at."""
        boundary = boundaries[-1]
        self.states, self.entries = boundary.states[:], boundary.entries[:]
        opener = self.tokens[boundary.position]
        start = boundary.position
        if opener.kind in (NEWLINE, "LBRACE") and start < position:
            start += 1
        after_header = self.header_end(start, position)
        if after_header is not None:
            at = self.tokens[start]
            header = [_stand_in(kind, at) for kind in _HEADERS[self.header_kind(start)]]
            if opener.kind == NEWLINE and self.acceptable((NEWLINE,), self.states):
                header.insert(0, opener)
            if self.acceptable(tuple(token.kind for token in header), self.states):
                self.tokens[after_header : after_header + 1] = header
                boundaries[-1] = _Boundary(after_header, boundary.states, boundary.entries)
                return after_header
        end = self.statement_end(position, top_level=len(boundaries) == 1)
        token = self.tokens[end]
        if token.kind == NEWLINE and not self.acceptable((NEWLINE,), self.states):
            boundaries[-1] = _Boundary(end, boundary.states, boundary.entries)
            return end + 1
        return end

    def header_kind(self, start: int) -> str:
        """The keyword of a statement, by where it starts; of `h = scan ...` it is `scan`."""
        kind = self.tokens[start].kind
        if kind == "NAME" and self.tokens[start + 1].kind == "EQUAL":
            return self.tokens[start + 2].kind
        return kind

    def header_end(self, start: int, position: int) -> int | None:
        """The `{` behind a wrong header, or None where the error is in no header or the header has
        no body.
        """
        if self.header_kind(start) not in _HEADERS:
            return None
        if any(token.kind == "LBRACE" for token in self.tokens[start:position]):
            return None
        for index in range(position, len(self.tokens)):
            kind = self.tokens[index].kind
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
            kind = self.tokens[position].kind
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
        return not top_level or self.tokens[position + 1].kind in _ITEM_STARTS


def _stand_in(kind: str, at: Token) -> Token:
    return Token(kind, "_", at.start, at.end, at.line, at.column)
