"""The tokens of a file as the formatter wants them: statements, brackets and bodies, with the
comments in their places.

Takes the text of a file that parses, gives its statements. Keeps true: every token and every
comment is in the result once, in the order of the text, but for comments in the middle of an
expression, which move in front of its statement.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nnlang.grammar import load_grammar
from nnlang.layout import NEWLINE, OPERATORS, lay_out
from nnlang.lexer import END, Comment, Token, lex

_CLOSERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_VALUE_ENDS = frozenset({"NAME", "NUMBER", "STRING", "TRUE", "FALSE"})


@dataclass(slots=True)
class Note:
    """A comment on a line of its own, and whether an empty line stands before it."""

    text: str
    blank_before: bool


@dataclass(slots=True)
class Leaf:
    """A token. `starts_line` tells whether it is the first on its line; the comments are those
    before a `->` or an operator that starts a line.
    """

    token: Token
    starts_line: bool = False
    trailing_before: str = ""
    notes_before: list[Note] = field(default_factory=list)


@dataclass(slots=True)
class Item:
    """What stands between two commas of a bracket."""

    elements: list[Element] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    trailing: str = ""


@dataclass(slots=True)
class Bracket:
    """Parentheses or square brackets; `forced` where a line end behind the opening one and a comma
    before the closing one ask for a line for each item. A list `[f(x) for x in items]` is one item.
    """

    opener: Token
    items: list[Item]
    has_comma: bool
    forced: bool
    closing_notes: list[Note]


@dataclass(slots=True)
class Body:
    """Braces; `opens_line` where a line end follows the `{`, `header_note` is the comment behind
    it.
    """

    opener: Token
    statements: list[Statement]
    opens_line: bool
    header_note: str
    closing_notes: list[Note]


@dataclass(slots=True)
class Statement:
    """A statement, or an item of the file."""

    elements: list[Element] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    blank_before: bool = False
    trailing: str = ""


Element = Leaf | Bracket | Body


def ends_value(element: Element) -> bool:
    """Whether a value may end with an element, so that an operator behind it has two sides."""
    return not isinstance(element, Leaf) or element.token.type in _VALUE_ENDS


def split(text: str, name: str) -> tuple[list[Statement], list[Note]]:
    """The items of a file, and the comments behind the last one."""
    lexed = lex(text, name, load_grammar().literals)
    tokens, _ = lay_out(lexed.tokens, name)
    return _Splitter(tokens, lexed.comments).run()


class _Splitter:
    def __init__(self, tokens: list[Token], comments: list[Comment]) -> None:
        self.tokens = tokens
        self.comments = comments
        self.position = 0
        self.comment = 0
        self.line = 0  # The last line that a token or comment was taken from.

    def run(self) -> tuple[list[Statement], list[Note]]:
        return self.statements()

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def take(self) -> Token:
        token = self.tokens[self.position]
        self.position += 1
        self.line = token.line
        return token

    def pending(self, alone: bool | None = None) -> list[Comment]:
        """The comments before the next token; with `alone`, only a run of those that do or do not
        stand alone.
        """
        found: list[Comment] = []
        while self.comment < len(self.comments):
            comment = self.comments[self.comment]
            if self.token.type != END and comment.start >= self.place():
                break
            if alone is not None and comment.alone != alone:
                break
            found.append(comment)
            self.comment += 1
        return found

    def place(self) -> int:
        """Where the next token that is no line end starts."""
        ahead = self.position
        while self.tokens[ahead].type == NEWLINE:
            ahead += 1
        token = self.tokens[ahead]
        return token.start if token.type != END else 1 << 62

    def notes(self, comments: list[Comment]) -> list[Note]:
        result: list[Note] = []
        for comment in comments:
            result.append(Note(comment.text, comment.line > self.line + 1))
            self.line = comment.line
        return result

    def statements(self) -> tuple[list[Statement], list[Note]]:
        """Statements up to a `}` or the end, and the comments before that."""
        result: list[Statement] = []
        while True:
            if self.token.type == NEWLINE:
                self.position += 1
            notes = self.notes(self.pending())
            if self.token.type in ("RBRACE", END):
                return result, notes
            statement = Statement(notes=notes, blank_before=self.token.line > self.line + 1)
            self.elements(statement, statement.elements, ())
            trailing = self.pending(alone=False)
            statement.trailing = "  ".join(comment.text for comment in trailing)
            result.append(statement)

    def elements(self, statement: Statement, into: list[Element], stops: tuple[str, ...]) -> None:
        """Elements up to the end of the statement, or up to a token of `stops` in a bracket."""
        while True:
            kind = self.token.type
            if kind in (NEWLINE, "RBRACE", END) or kind in stops:
                return
            if into and not (self.may_start_line(into[-1]) and not stops):
                self.hoist(statement)
            if kind in ("LPAR", "LSQB"):
                into.append(self.bracket(statement))
            elif kind == "LBRACE":
                into.append(self.body())
            else:
                into.append(self.leaf())

    def may_start_line(self, before: Element) -> bool:
        """Whether the next token goes on with a statement on a line of its own."""
        token = self.token
        if token.type != "ARROW" and (token.type not in OPERATORS or not ends_value(before)):
            return False
        return token.type == "ARROW" or token.line > self.line

    def hoist(self, statement: Statement) -> None:
        """Move comments that have no place of their own to the front of the statement."""
        for comment in self.pending():
            statement.notes.append(Note(comment.text, False))

    def leaf(self) -> Leaf:
        line = self.line
        trailing = "  ".join(comment.text for comment in self.pending(alone=False))
        notes = [Note(comment.text, False) for comment in self.pending()]
        token = self.take()
        return Leaf(token, token.line > line, trailing, notes)

    def bracket(self, statement: Statement) -> Bracket:
        opener = self.take()
        closer = _CLOSERS[opener.type]
        items: list[Item] = []
        has_comma = last_comma = False
        opens_line = self.token.line > opener.line
        notes = self.inner_notes(self.pending())
        stops = (closer,) if self.is_comprehension(opener) else ("COMMA", closer)
        while self.token.type != closer:
            item = Item(notes=notes)
            self.elements(statement, item.elements, stops)
            notes = []
            self.item_comments(item, notes)
            last_comma = self.token.type == "COMMA"
            if last_comma:
                self.take()
                has_comma = True
                self.item_comments(item, notes)
            items.append(item)
        self.take()
        return Bracket(opener, items, has_comma, opens_line and last_comma, notes)

    def is_comprehension(self, opener: Token) -> bool:
        """Whether a `for` stands in the bracket just opened."""
        depth = 0
        for token in self.tokens[self.position :]:
            depth += (token.type in _CLOSERS) - (token.type in _CLOSERS.values())
            if depth < 0:
                break
            if depth == 0 and token.type == "FOR":
                return opener.type == "LSQB"
        return False

    def item_comments(self, item: Item, notes: list[Note]) -> None:
        """Comments behind an item: beside it, or for the next one."""
        beside = [comment.text for comment in self.pending(alone=False)]
        item.trailing = "  ".join(text for text in [item.trailing, *beside] if text)
        notes.extend(self.inner_notes(self.pending()))

    def inner_notes(self, comments: list[Comment]) -> list[Note]:
        return [Note(comment.text, False) for comment in comments]

    def body(self) -> Body:
        opener = self.take()
        header = "  ".join(comment.text for comment in self.pending(alone=False))
        opens_line = self.token.line > opener.line or bool(header)
        if self.token.line > opener.line:
            self.line = max(self.line, opener.line)
        statements, notes = self.statements()
        self.take()
        return Body(opener, statements, opens_line, header, notes)
