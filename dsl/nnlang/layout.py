"""Which line ends count, and whether the brackets fit.

Takes the tokens of the lexer, gives tokens whose brackets all fit, with `_NEWLINE` only between two
statements or items. Keeps true: wrong brackets are reported and put right where the indentation
says, so that the parser sees the rest of the file as it was meant.
"""

from __future__ import annotations

from dataclasses import dataclass

from nnlang.diagnostics import Diagnostic, diagnostic
from nnlang.lexer import END, LINE, Token

NEWLINE = "_NEWLINE"
MAX_BRACKETS = 60
_CLOSERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_TEXTS = {"LPAR": "(", "LSQB": "[", "LBRACE": "{", "RPAR": ")", "RSQB": "]", "RBRACE": "}"}
_ITEM_WORDS = frozenset({"NET", "BLOCK", "RULE", "TRAIN", "USE"})
_STATEMENT_WORDS = _ITEM_WORDS | {
    "PARAM", "STATE", "INPUT", "OUTPUT", "RETURN", "FOR", "REPEAT", "SCAN", "CARRY", "YIELD",
    "CONST", "ASSERT",
}  # fmt: skip
_HEADER_WORDS = frozenset({"NET", "BLOCK", "RULE", "TRAIN", "FOR", "REPEAT", "SCAN", "IF", "ELSE"})
OPERATORS = frozenset(
    {"PLUS", "MINUS", "STAR", "SLASH", "SLASHES", "PERCENT", "MATRIX", "POWER", "OR", "AND"}
    | {"COMPARISON", "IN"}
)
"""The operators between two values. A line that starts with one goes on with the line above: no
statement starts so."""
_MAX_REPAIRS = 20


@dataclass(slots=True)
class _Mismatch:
    """Brackets that do not fit: `opener` is left open at token `position`, or the closer there has
    no opener.
    """

    position: int
    opener: int | None
    suspect: int | None = None


def lay_out(tokens: list[Token], file: str) -> tuple[list[Token], list[Diagnostic]]:
    """Repair the brackets, then drop the line ends that do not count and name the soft keywords."""
    diagnostics: list[Diagnostic] = []
    deep = _too_deep(tokens)
    if deep is not None:
        diagnostics.append(too_deep(deep, file))
        return [], diagnostics
    broken_strings = {
        token.line for token in tokens if token.type == "STRING" and not _closed(token)
    }
    for _ in range(_MAX_REPAIRS):
        mismatch = _find_mismatch(tokens)
        if mismatch is None:
            break
        tokens, found = _Repair(tokens, file).apply(mismatch)
        place = found.primary
        if place is None or place.span.line not in broken_strings:
            diagnostics.append(found)
    else:
        if _find_mismatch(tokens) is not None:
            return [], diagnostics
    return _soften(_drop_lines(tokens)), diagnostics


def too_deep(token: Token, file: str) -> Diagnostic:
    return diagnostic(
        "N0107",
        "this is nested too deeply",
        token.span(file),
        helps=["give the inner parts names: `part = ...` on a line of its own"],
    )


def _closed(token: Token) -> bool:
    return token.end - token.start == len(token.text)


def _too_deep(tokens: list[Token]) -> Token | None:
    depth = 0
    for token in tokens:
        if token.type in _CLOSERS:
            depth += 1
            if depth > MAX_BRACKETS:
                return token
        elif token.type in _TEXTS and depth:
            depth -= 1
    return None


def _find_mismatch(tokens: list[Token]) -> _Mismatch | None:
    """The first place where it shows that a bracket is missing or too many."""
    stack: list[int] = []
    choices: list[bool] = []  # For each open bracket, whether a word with a body stands in it.
    suspect: int | None = None
    indents = _indents(tokens)
    first = True
    for position, token in enumerate(tokens):
        kind = token.type
        if kind in _CLOSERS:
            if (
                kind == "LBRACE"
                and stack
                and tokens[stack[-1]].type != "LBRACE"
                and not choices[-1]
            ):
                return _Mismatch(position, stack[-1], suspect)
            stack.append(position)
            choices.append(False)
        elif kind in ("IF", "ELSE", "SCAN") and stack:
            choices[-1] = True
        elif kind in ("RPAR", "RSQB", "RBRACE"):
            if not stack or _CLOSERS[tokens[stack[-1]].type] != kind:
                return _Mismatch(position, stack[-1] if stack else None, suspect)
            opener = stack.pop()
            choices.pop()
            indented_less = first and indents[token.line] < indents[tokens[opener].line]
            if kind == "RBRACE" and indented_less and suspect is None:
                suspect = opener
        elif kind == END:
            if stack:
                return _Mismatch(position, stack[-1], suspect)
        elif first and stack:
            inner = tokens[stack[-1]].type
            statement = kind in _STATEMENT_WORDS and inner != "LBRACE"
            if statement and inner == "LSQB" and kind == "FOR":
                statement = not _ends_list(tokens, position)
            if kind in _ITEM_WORDS or statement:
                return _Mismatch(position, stack[-1], suspect)
        first = kind == LINE
    return None


def _ends_list(tokens: list[Token], position: int) -> bool:
    """Whether a `for` at a position is that of a list `[f(x) for x in items]`, not a statement: the
    list ends before a body in braces begins.
    """
    depth = 0
    choice = False
    for token in tokens[position + 1 :]:
        if token.type == "RSQB" and depth == 0:
            return True
        if token.type == "LBRACE" and depth == 0 and not choice:
            return False
        choice = choice or token.type in ("IF", "ELSE")
        depth += (token.type in _CLOSERS) - (token.type in ("RPAR", "RSQB", "RBRACE"))
        if depth < 0:
            return False
    return False


def _indents(tokens: list[Token]) -> dict[int, int]:
    """The column of the first token of each line."""
    indents: dict[int, int] = {}
    for token in tokens:
        if token.type != LINE:
            indents.setdefault(token.line, token.column)
    return indents


class _Repair:
    """One wrong bracket: what to say, and the tokens as they were meant."""

    def __init__(self, tokens: list[Token], file: str) -> None:
        self.tokens = tokens
        self.file = file
        self.indents = _indents(tokens)

    def apply(self, mismatch: _Mismatch) -> tuple[list[Token], Diagnostic]:
        token = self.tokens[mismatch.position]
        opener = mismatch.opener
        is_closer = token.type in ("RPAR", "RSQB", "RBRACE")
        if opener is None or (is_closer and not self.is_open(mismatch.position, token.type)):
            if (
                opener is not None
                and self.tokens[opener].type != "LBRACE"
                and token.type != "RBRACE"
            ):
                return self.wrong_closer(mismatch.position, opener)
            return self.extra_closer(mismatch.position)
        if self.tokens[opener].type == "LBRACE" and mismatch.suspect is not None:
            opener = mismatch.suspect
        return self.unclosed(opener, mismatch.position)

    def is_open(self, position: int, closer: str) -> bool:
        """Whether some bracket that this one would close is open before a position."""
        stack: list[str] = []
        for token in self.tokens[:position]:
            if token.type in _CLOSERS:
                stack.append(_CLOSERS[token.type])
            elif token.type in ("RPAR", "RSQB", "RBRACE"):
                stack.pop()
        return closer in stack

    def wrong_closer(self, position: int, opener: int) -> tuple[list[Token], Diagnostic]:
        token, start = self.tokens[position], self.tokens[opener]
        closer = _CLOSERS[start.type]
        found = diagnostic(
            "N0106",
            f"`{token.text}` closes a `{start.text}`",
            token.span(self.file),
            f"`{_TEXTS[closer]}` was expected",
            others=[(start.span(self.file), "opened here")],
            helps=[f"write `{_TEXTS[closer]}`"],
        )
        return self.replaced(position, [_put(closer, token)]), found

    def extra_closer(self, position: int) -> tuple[list[Token], Diagnostic]:
        token = self.tokens[position]
        header = self.header_without_body(position) if token.type == "RBRACE" else None
        if header is not None:
            last = self.tokens[header]
            after = Token(LINE, "", last.end, last.end, last.line, last.column + len(last.text))
            found = diagnostic(
                "N0108",
                "a `{` is missing",
                after.span(self.file),
                "a body in braces was expected",
                others=[(token.span(self.file), "closed here")],
                helps=["write `{` at the end of the line"],
            )
            return self.replaced(header, [last, _put("LBRACE", after)]), found
        found = diagnostic(
            "N0106",
            f"`{token.text}` closes nothing",
            token.span(self.file),
            "no bracket is open here",
            helps=["remove it, or write the opening bracket"],
        )
        return self.replaced(position, []), found

    def header_without_body(self, position: int) -> int | None:
        """The last token of the line that looks as if it should have opened the brace closed at a
        position.
        """
        indent = self.tokens[position].column
        line: list[int] = []
        for back in range(position - 1, -1, -1):
            if self.tokens[back].type != LINE:
                line.append(back)
            if line and (back == 0 or self.tokens[back - 1].type == LINE):
                first, last = line[-1], line[0]
                line = []
                if self.tokens[first].column > indent:
                    continue
                if self.tokens[first].column < indent:
                    return None
                kinds = {self.tokens[i].type for i in range(first, last + 1)}
                if self.tokens[first].type not in _HEADER_WORDS or "LBRACE" in kinds:
                    return None
                return None if self.tokens[last].type == "EQUAL" else last
        return None

    def unclosed(self, opener: int, limit: int) -> tuple[list[Token], Diagnostic]:
        start = self.tokens[opener]
        closer = _CLOSERS[start.type]
        place = self.closing_place(opener, limit)
        before = self.tokens[place - 1]
        at = Token(
            LINE, "", before.end, before.end, before.line, before.column + before.end - before.start
        )
        found = diagnostic(
            "N0105",
            f"this `{start.text}` is never closed",
            start.span(self.file),
            "opened here",
            others=[(at.span(self.file), f"`{_TEXTS[closer]}` was expected by here")],
            helps=[f"write the `{_TEXTS[closer]}`"],
        )
        return [*self.tokens[:place], _put(closer, at), *self.tokens[place:]], found

    def closing_place(self, opener: int, limit: int) -> int:
        """Where a bracket should have closed: at the end of the line before the indentation
        returns.
        """
        start = self.tokens[opener]
        indent = self.indents[start.line]
        place = limit
        for position in range(opener + 1, limit):
            token, before = self.tokens[position], self.tokens[position - 1]
            if before.type != LINE or token.type in (LINE, "ARROW", "RPAR", "RSQB"):
                continue
            if start.type == "LBRACE" and token.type == "RBRACE" and token.column == indent:
                continue
            if token.column <= indent:
                place = position
                break
        while self.tokens[place - 1].type == LINE and place - 1 > opener:
            place -= 1
        return place

    def replaced(self, position: int, by: list[Token]) -> list[Token]:
        return self.tokens[:position] + by + self.tokens[position + 1 :]


def _put(kind: str, at: Token) -> Token:
    """A token that the text lacks, at the place of another."""
    return Token(kind, _TEXTS[kind], at.start, at.end, at.line, at.column)


def _drop_lines(tokens: list[Token]) -> list[Token]:
    kept: list[Token] = []
    stack: list[str] = []
    line: Token | None = None
    for position, token in enumerate(tokens):
        kind = token.type
        if kind == LINE:
            if line is None:
                line = token
            continue
        if line is not None:
            in_body = not stack or stack[-1] == "LBRACE"
            goes_on = kind in OPERATORS or (kind == "NOT" and tokens[position + 1].type == "IN")
            if in_body and kept and not goes_on and _counts(kept[-1].type, kind):
                kept.append(Token(NEWLINE, "\n", line.start, line.end, line.line, line.column))
            line = None
        if kind in _CLOSERS:
            stack.append(kind)
        elif kind in _TEXTS:
            stack.pop()
        kept.append(token)
    return kept


def _counts(before: str, after: str) -> bool:
    """Whether a line end between two tokens separates statements."""
    return before not in ("LBRACE", "EQUAL") and after not in (
        "LBRACE",
        "RBRACE",
        "ARROW",
        "ELSE",
        END,
    )


def _soften(tokens: list[Token]) -> list[Token]:
    """Give the words that are keywords only in their place (`metric`, `freeze`, `load`, `edition`)
    their kinds.
    """
    for position, token in enumerate(tokens):
        if token.type != "NAME" or token.text not in ("metric", "freeze", "load", "edition"):
            continue
        before = tokens[position - 1].type if position else NEWLINE
        after = tokens[position + 1].type
        if token.text == "edition":
            if position == 0 and after == "NUMBER":
                token.type = "EDITION"
        elif before in (NEWLINE, "LBRACE") and after == (
            "NAME" if token.text == "metric" else "STRING"
        ):
            token.type = token.text.upper()
    return tokens
