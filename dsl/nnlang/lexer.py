"""Text to tokens.

Takes the text of a file, gives its tokens, its comments, and diagnostics for what is no token.
Keeps true: it always reaches the end of the text; a wrong character becomes the token that was
probably meant, or none; every line end is a LINE token (layout.py keeps those that count).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nnlang.diagnostics import Diagnostic, diagnostic
from nnlang.syntax import Span

END = "$END"
LINE = "LINE"

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f\ufeff]+)
      | (?P<line>\n)
      | (?P<comment>\#[^\n]*)
      | (?P<name>[^\W\d]\w*)
      | (?P<number>(?:[0-9]|\.[0-9])(?:[eE][+-]?[0-9]|\.(?!\.)|\w)*)
      | (?P<string>"(?:[^"\\\n]|\\[^\n])*"?)
      | (?P<foreign>'[^'\n]*'?|\+=|-=|\*=|/=|@=|\|>|=>|:=|<-|/\*|&&?|\|\|?|!(?!=)|<>)
      | (?P<operator>->|\.\.\.|\*\*|//|==|!=|<=|>=|[-+*/%@<>=.,:(){}\[\]])
      | (?P<unknown>.)""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(
    r"[0-9]+(?:_[0-9]+)*(?P<fraction>\.[0-9]+(?:_[0-9]+)*)?(?P<exponent>[eE][+-]?[0-9]+)?"
)

# What another language or a word processor writes: the token it becomes, and what to type instead.
_FOREIGN: dict[str, tuple[str, str]] = {
    "&&": ("and", "write `and`"),
    "&": ("and", "write `and`"),
    "||": ("or", "write `or`"),
    "|": ("or", "write `or`"),
    "!": ("not", "write `not`"),
    "<>": ("!=", "write `!=`"),
    "^": ("**", "write `**` for a power"),
    "|>": ("->", "write `->`"),
    "=>": ("->", "write `->`"),
    "→": ("->", "write `->`"),
    ":=": ("=", "write `=`"),
    "<-": ("=", "write `=`"),
    "×": ("*", "write `*`"),
    "·": ("*", "write `*`"),
    "÷": ("/", "write `/`"),
    "−": ("-", "write `-`, the minus of the keyboard"),
    "–": ("-", "write `-`, the minus of the keyboard"),
    "≤": ("<=", "write `<=`"),
    "≥": (">=", "write `>=`"),
    "≠": ("!=", "write `!=`"),
    "…": ("...", "write three dots, `...`"),
    "\xa0": ("", "it looks like a space; type a plain space in its place"),
    "\\": ("", "a line goes on in the next one, which starts with the operator or `->`"),
    "?": ("", "a choice is written `if condition { a } else { b }`"),
    "$": ("", "names are made of letters, digits and `_`"),
}
_UPDATES = ("+=", "-=", "*=", "/=", "@=")
_QUOTES = "“”„‟«»`"


@dataclass(slots=True)
class Token:
    """A token on one line. `LINE` tokens stand at the line's end; the last token is `$END`.

    Lark's parser looks at `type` alone.
    """

    type: str
    text: str
    start: int
    end: int
    line: int
    column: int

    def span(self, file: str) -> Span:
        end_column = self.column + self.end - self.start
        return Span(file, self.start, self.end, self.line, self.column, self.line, end_column)


@dataclass(frozen=True, slots=True)
class Comment:
    """`text` starts with `#`; `alone` tells that nothing but space stands before it on its line."""

    text: str
    start: int
    line: int
    alone: bool


@dataclass(frozen=True, slots=True)
class Lexed:
    """What a text was split into."""

    tokens: list[Token]
    comments: list[Comment]
    diagnostics: list[Diagnostic]


def lex(text: str, file: str, literals: dict[str, str]) -> Lexed:
    """Split a text into tokens; `literals` tells the kinds of the reserved words and operators."""
    return _Lexer(text, file, literals).run()


class _Lexer:
    def __init__(self, text: str, file: str, literals: dict[str, str]) -> None:
        self.text = text
        self.file = file
        self.literals = literals
        self.tokens: list[Token] = []
        self.comments: list[Comment] = []
        self.diagnostics: list[Diagnostic] = []
        self.line = 1
        self.line_start = 0

    def run(self) -> Lexed:
        text, tokens, literals = self.text, self.tokens, self.literals
        position, size = 0, len(text)
        match_token = _TOKEN.match
        while position < size:
            match = match_token(text, position)
            assert match is not None
            start, position = match.span()
            group = match.lastgroup
            if group == "space":
                continue
            column = start - self.line_start + 1
            if group == "line":
                tokens.append(Token(LINE, "\n", start, start, self.line, column))
                self.line += 1
                self.line_start = position
            elif group == "operator":
                words = match.group()
                if words == "//" and (not tokens or tokens[-1].type == LINE):
                    position = self.slash_comment(start)
                    continue
                tokens.append(Token(literals[words], words, start, position, self.line, column))
            elif group == "name":
                words = match.group()
                kind = literals.get(words, "NAME")
                tokens.append(Token(kind, words, start, position, self.line, column))
                if kind == "NAME" and not words.isidentifier():
                    self.report(
                        "N0102",
                        start,
                        position,
                        f"`{words}` is no name",
                        "names are made of letters, digits and `_`",
                    )
            elif group == "comment":
                alone = not tokens or tokens[-1].type == LINE
                words = match.group().rstrip()
                self.comments.append(Comment(words, start, self.line, alone))
            elif group == "number":
                self.number(start, position)
            elif group == "string":
                self.string(start, position)
            else:
                position = self.foreign(start, position)
        column = size - self.line_start + 1
        tokens.append(Token(LINE, "\n", size, size, self.line, column))
        tokens.append(Token(END, "", size, size, self.line, column))
        return Lexed(tokens, self.comments, self.diagnostics)

    def token(self, kind: str, words: str, start: int, end: int) -> None:
        column = start - self.line_start + 1
        self.tokens.append(Token(kind, words, start, end, self.line, column))

    def span(self, start: int, end: int) -> Span:
        column = start - self.line_start + 1
        return Span(self.file, start, end, self.line, column, self.line, column + end - start)

    def report(
        self, code: str, start: int, end: int, message: str, *helps: str, label: str = ""
    ) -> None:
        self.diagnostics.append(
            diagnostic(code, message, self.span(start, end), label, helps=helps)
        )

    def line_end(self, start: int) -> int:
        end = self.text.find("\n", start)
        return len(self.text) if end < 0 else end

    def slash_comment(self, start: int) -> int:
        end = self.line_end(start)
        self.report(
            "N0112", start, start + 2, "`//` starts no comment here", "start a comment with `#`"
        )
        return end

    def number(self, start: int, end: int) -> None:
        words = self.text[start:end]
        problem = self.number_problem(words)
        if problem is not None:
            self.report(
                "N0104", start, end, f"`{_shorten(words)}` cannot be read as a number", problem
            )
            words = "1"
        self.token("NUMBER", words, start, end)

    def number_problem(self, words: str) -> str | None:
        """What to type in place of a wrong number, or None for a right one."""
        match = _NUMBER.fullmatch(words)
        if match is None:
            if words[0] == ".":
                return f"write a digit before the point: `0{_shorten(words)}`"
            if words[-1] == ".":
                return f"write a digit after the point: `{_shorten(words)}0`"
            if words[:2].lower() in ("0x", "0b", "0o"):
                return "numbers are decimal; write the number in base ten"
            return "numbers are written like `64`, `1_000`, `0.5` and `1e-3`"
        if match["fraction"] is None and match["exponent"] is None:
            digits = words.replace("_", "").lstrip("0")
            if len(digits) > 19 or int(digits or "0") > 2**63 - 1:
                return "the largest integer is 9223372036854775807"
        elif float(words.replace("_", "")) == float("inf"):
            return "the largest float is about 1.8e308"
        return None

    def string(self, start: int, end: int) -> None:
        words = self.text[start:end]
        if len(words) < 2 or not words.endswith('"') or _escaped_end(words):
            self.report(
                "N0103",
                start,
                end,
                "this string does not end",
                'close it with `"` on the same line',
                label="it starts here",
            )
            words = '"' + "".join(c for c in words[1:] if c not in '\\"') + '"'
        self.token("STRING", words, start, end)

    def foreign(self, start: int, end: int) -> int:
        """A text that is no token here: report it and put in its place what was meant."""
        words = self.text[start:end]
        if words[0] == "'" or words in _QUOTES:
            return self.foreign_quote(start, end)
        if words in _UPDATES:
            name = self.tokens[-1].text if self.tokens and self.tokens[-1].type == "NAME" else "x"
            self.report(
                "N0112",
                start,
                end,
                f"there is no `{words}`",
                f"write `{name} = {name} {words[0]} ...`",
            )
            self.token(self.literals["="], "=", start, end)
            return end
        if words == "/*":
            self.report(
                "N0112",
                start,
                end,
                "`/*` starts no comment here",
                "start each line of a comment with `#`",
            )
            return self.line_end(start)
        if words == ";":
            self.report(
                "N0112",
                start,
                end,
                "statements do not end with `;`",
                "end the statement with the line",
            )
            self.token(LINE, "\n", start, end)
            return end
        if words == "?" and self.tokens and self.tokens[-1].type in ("LSQB", "COMMA"):
            help_text = "write `N`: a size that is not fixed has a name"
            self.report("N0112", start, end, "there is no `?`", help_text)
            self.token("NAME", "N", start, end)
            return end
        meant, help_text = _FOREIGN.get(words, ("", ""))
        self.report(
            "N0112" if meant else "N0102",
            start,
            end,
            f"there is no `{words}`" if meant else f"{_describe(words)} means nothing here",
            *([help_text] if help_text else ["remove it"]),
        )
        if meant:
            self.token(self.literals[meant], meant, start, end)
        return end

    def foreign_quote(self, start: int, end: int) -> int:
        """A string in single or typographic quotes."""
        words = self.text[start:end]
        if words in _QUOTES:
            message = f"`{words}` is no quote that strings know"
            self.report("N0102", start, end, message, 'write strings with `"`')
            return self.line_end(start)
        inner = words.strip("'")
        message = "strings are written with double quotes"
        self.report("N0112", start, end, message, f'write `"{inner}"`')
        self.token("STRING", '"' + "".join(c for c in inner if c not in '\\"') + '"', start, end)
        return end


def _escaped_end(words: str) -> bool:
    """Whether the last quote of `"...\\"` belongs to the string and does not end it."""
    body = words[1:-1]
    return (len(body) - len(body.rstrip("\\"))) % 2 == 1


def _shorten(words: str) -> str:
    return words if len(words) <= 40 else words[:30] + "..."


def _describe(character: str) -> str:
    if character.isprintable():
        return f"`{character}`"
    return f"the character U+{ord(character):04X}"
