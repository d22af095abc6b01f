"""The one way to write a `.nn` file.

Takes the text of a file that parses, gives the same program in the house's layout: four spaces, 100
columns, one empty line at most, comments kept, the keys of a training section aligned. Keeps true:
the result parses to an equal tree, and formatting it again changes nothing. Line breaks before
`->` and operators, behind the `=` of a block, in brackets that end in a comma and around the body
of an `if` are the writer's; where a line is too long, breaks are added.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from nnlang.format_tree import (
    Body,
    Bracket,
    Element,
    Item,
    Leaf,
    Note,
    Statement,
    ends_value,
    split,
)
from nnlang.layout import OPERATORS
from nnlang.lexer import Token
from nnlang.parser import parse

WIDTH = 100
_INDENT = 4
_TIGHT_BEFORE = frozenset({"COMMA", "RPAR", "RSQB", "DOT", "COLON"})
_TIGHT_AFTER = frozenset({"LPAR", "LSQB", "DOT", "ELLIPSIS"})
_VALUE_ENDS = frozenset({"NAME", "NUMBER", "STRING", "TRUE", "FALSE", "RPAR", "RSQB", "RBRACE"})
_CLOSING = {"(": ")", "[": "]"}


def format_source(text: str, name: str = "<text>") -> str:
    """A file in the house's layout; raises `DiagnosticError` where the text does not parse."""
    parse(text, name)
    items, notes = split(text, name)
    printer = _Printer()
    printer.statements(items, notes, 0, top=True)
    return printer.result()


def _kinds(element: Element) -> tuple[str, str]:
    """The kinds of the first and the last token of an element."""
    if isinstance(element, Leaf):
        return element.token.type, element.token.type
    if isinstance(element, Bracket):
        return element.opener.type, "RPAR" if element.opener.type == "LPAR" else "RSQB"
    return "LBRACE", "RBRACE"


def _gap(elements: list[Element], index: int, in_index: bool) -> str:
    """The space before an element; `in_index` is true directly inside square brackets, where `:`
    is a slice's.
    """
    if index == 0:
        return ""
    before, kind = _kinds(elements[index - 1])[1], _kinds(elements[index])[0]
    if in_index and "COLON" in (before, kind):
        return ""
    if kind in _TIGHT_BEFORE or before in _TIGHT_AFTER:
        return ""
    if kind in ("LPAR", "LSQB") and before in ("NAME", "RPAR", "RSQB"):
        return ""
    if before in ("PLUS", "MINUS") and _is_unary(elements, index - 1):
        return ""
    return " "


def _is_unary(elements: list[Element], index: int) -> bool:
    return index == 0 or _kinds(elements[index - 1])[1] not in _VALUE_ENDS


def _takes_comma(elements: list[Element], index: int) -> bool:
    """Whether the items of a bracket may end in a comma without a change of meaning."""
    bracket = elements[index]
    assert isinstance(bracket, Bracket)
    if bracket.opener.type == "LSQB":
        return not any(_is_for(element) for item in bracket.items for element in item.elements)
    before = elements[index - 1] if index else None
    if isinstance(before, Leaf) and before.token.type == "NAME":
        return before.token.text != "like"
    return bracket.has_comma


def _is_for(element: Element) -> bool:
    """Whether an element is the `for` of a list `[f(x) for x in items]`."""
    return isinstance(element, Leaf) and element.token.type == "FOR"


def _needs_comma(elements: list[Element], index: int) -> bool:
    """Whether a bracket is a tuple of one, `(a,)`."""
    bracket = elements[index]
    assert isinstance(bracket, Bracket)
    called = index > 0 and _kinds(elements[index - 1])[1] == "NAME"
    lone = len(bracket.items) == 1 and bracket.has_comma
    return lone and bracket.opener.type == "LPAR" and not called


def _flat(elements: list[Element], in_index: bool = False, own_line: bool = False) -> str | None:
    """Elements on one line, or None where they cannot be; `own_line` keeps the writer's breaks
    before `->` and operators.
    """
    words: list[str] = []
    for index in range(len(elements)):
        part = _flat_element(elements, index)
        if part is None:
            return None
        if own_line and _breaks(elements, index):
            return None
        words.append(_gap(elements, index, in_index) + part)
    return "".join(words)


def _breaks(elements: list[Element], index: int) -> bool:
    """Whether a `->` or an operator starts a line whatever the width."""
    leaf = elements[index]
    if not index or not isinstance(leaf, Leaf):
        return False
    kind = leaf.token.type
    joins = kind in OPERATORS or kind == "NOT"
    if kind != "ARROW" and not (joins and ends_value(elements[index - 1])):
        return False
    return leaf.starts_line or bool(leaf.trailing_before or leaf.notes_before)


def _flat_element(elements: list[Element], index: int) -> str | None:
    element = elements[index]
    if isinstance(element, Leaf):
        return None if element.trailing_before or element.notes_before else element.token.text
    if isinstance(element, Body):
        return _flat_body(element)
    if element.closing_notes or element.forced:
        return None
    words: list[str] = []
    for item in element.items:
        part = _flat(item.elements, element.opener.type == "LSQB")
        if part is None or item.notes or item.trailing:
            return None
        words.append(part)
    comma = "," if _needs_comma(elements, index) else ""
    return f"{element.opener.text}{', '.join(words)}{comma}{_CLOSING[element.opener.text]}"


def _flat_body(body: Body) -> str | None:
    if body.header_note or body.closing_notes:
        return None
    if not body.statements:
        return "{}"
    statement = body.statements[0]
    if body.opens_line or len(body.statements) > 1 or statement.notes or statement.trailing:
        return None
    inside = _flat(statement.elements, own_line=True)
    return None if inside is None else f"{{ {inside} }}"


@dataclass(frozen=True, slots=True)
class _Run:
    """Elements to write one after the other, and what is known about their place.

    `tail` columns must be left behind them; `item` is true inside a bracket, `in_index` inside a
    square one; with `open_bodies` no body stays on one line.
    """

    elements: list[Element]
    indent: int
    tail: int = 0
    item: bool = False
    in_index: bool = False
    open_bodies: bool = False

    @property
    def onward(self) -> int:
        """The indentation of the lines after the first."""
        return self.indent if self.item else self.indent + _INDENT

    def may_break(self, index: int) -> bool:
        """Whether a line may end before an element: at `->` and where the writer broke it, in
        brackets also at other operators and at the parts of a list `[f(x) for x in items if c]`.
        """
        if not self.item and _breaks(self.elements, index):
            return True
        kind = _kinds(self.elements[index])[0]
        if kind in ("PLUS", "MINUS"):
            return self.item and not _is_unary(self.elements, index)
        if kind == "IF":
            return any(_is_for(element) for element in self.elements[:index])
        return kind == "ARROW" or (self.item and kind in ("AND", "OR", "FOR"))


class _Printer:
    """Writes elements; the last of `lines` is the one being written."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.comments: dict[int, str] = {}  # Behind statements, by the number of their last line.

    @property
    def column(self) -> int:
        return len(self.lines[-1])

    def line(self, indent: int, text: str = "") -> None:
        self.lines.append(" " * indent + text)

    def add(self, text: str) -> None:
        self.lines[-1] += text

    # Statements

    def statements(
        self,
        statements: list[Statement],
        notes: list[Note],
        indent: int,
        top: bool = False,
        align: bool = False,
    ) -> None:
        widths = _aligned(statements) if align else {}
        for position, statement in enumerate(statements):
            apart = False
            if top and position:
                apart = _stands_apart(statement) or _stands_apart(statements[position - 1])
            self.notes(statement.notes, indent, first=position == 0, apart=apart)
            blank = statement.blank_before or (apart and not statement.notes)
            if blank and (position or statement.notes):
                self.line(0)
            self.line(indent)
            self.statement(statement, indent, widths.get(position, 0), top)
        self.notes(notes, indent, first=not statements)

    def notes(self, notes: list[Note], indent: int, first: bool, apart: bool = False) -> None:
        for position, note in enumerate(notes):
            if (note.blank_before or (apart and position == 0)) and not (first and position == 0):
                self.line(0)
            self.line(indent, note.text)

    def statement(self, statement: Statement, indent: int, key_width: int, top: bool) -> None:
        elements = statement.elements
        kind = _kinds(elements[0])[0]
        if key_width:
            assert isinstance(elements[0], Leaf)
            padded = elements[0].token.text.ljust(key_width)
            self.add(padded)
            self.sequence(_Run(elements, indent), start=1)
        else:
            behind = _behind_equal(elements) if top and kind in ("BLOCK", "RULE") else None
            if behind is not None:
                self.sequence(_Run(elements[:behind], indent))
                self.line(indent + _INDENT)
                self.sequence(_Run(elements[behind:], indent + _INDENT))
            else:
                run = _Run(elements, indent, open_bodies=top and kind in ("NET", "TRAIN"))
                self.sequence(run, align=kind == "TRAIN")
        if statement.trailing:
            self.comments[len(self.lines) - 1] = statement.trailing

    def result(self) -> str:
        """The text with the comments behind statements, aligned on neighbouring lines."""
        group: list[int] = []
        for number in [*sorted(self.comments), -1]:
            beside = group and number == group[-1] + 1
            if group and not (beside and self.indent(number) == self.indent(group[0])):
                width = max(len(self.lines[each]) for each in group)
                for each in group:
                    self.lines[each] = f"{self.lines[each]:<{width}}  {self.comments[each]}"
                group = []
            group.append(number)
        return "".join(line.rstrip() + "\n" for line in self.lines)

    def indent(self, number: int) -> int:
        return len(self.lines[number]) - len(self.lines[number].lstrip())

    # Elements

    def sequence(self, run: _Run, start: int = 0, align: bool = False) -> None:
        """Write the elements of a run from the column reached."""
        elements = run.elements
        whole = _flat(elements[start:], run.in_index, own_line=not run.item)
        fits = whole is not None and self.column + len(whole) + run.tail <= WIDTH
        run = replace(run, open_bodies=run.open_bodies or not fits)
        for index in range(start, len(elements)):
            element = elements[index]
            gap = _gap(elements, index, run.in_index)
            if isinstance(element, Leaf):
                if index > start and self.breaks_before(run, index):
                    self.break_line(element, run.onward)
                    gap = ""
                self.add(gap + element.token.text)
            elif isinstance(element, Body):
                self.add(gap)
                self.body(element, run.indent, run.open_bodies, align)
            else:
                self.add(gap)
                indent = self.bracket_indent(run.indent)
                self.bracket(elements, index, indent, self.width_behind(run, index))

    def bracket_indent(self, indent: int) -> int:
        """The indentation of the closing bracket: that of the line it opens on."""
        return self.indent(-1) if self.lines[-1].strip() else indent

    def break_line(self, leaf: Leaf, indent: int) -> None:
        """Start a new line before a token, after the comments before it."""
        if leaf.trailing_before:
            self.add("  " + leaf.trailing_before)
        for note in leaf.notes_before:
            self.line(indent, note.text)
        self.line(indent)

    def breaks_before(self, run: _Run, index: int) -> bool:
        """Whether a line ends before a token: by the writer's will, or as the rest is too long."""
        leaf = run.elements[index]
        assert isinstance(leaf, Leaf)
        if not run.may_break(index):
            return False
        if not run.item and _breaks(run.elements, index):
            return True
        if leaf.token.type in ("FOR", "IF"):
            return run.open_bodies
        width = head = 0
        for ahead in range(index, len(run.elements)):
            if ahead > index and run.may_break(ahead):
                break
            opens = run.open_bodies and isinstance(run.elements[ahead], Body)
            part = None if opens else _flat_element(run.elements, ahead)
            width += len(_gap(run.elements, ahead, run.in_index))
            if isinstance(run.elements[ahead], Bracket):
                head = head or width + 1
            if part is None:
                width += 1
                break
            width += len(part)
        else:
            width += run.tail
        if self.column + width <= WIDTH:
            return False
        fits_alone = run.onward + width - 1 <= WIDTH
        return fits_alone or not head or self.column + head > WIDTH

    def width_behind(self, run: _Run, index: int) -> int:
        """The columns needed behind a bracket up to where the line may break next."""
        width = 0
        for ahead in range(index + 1, len(run.elements)):
            element = run.elements[ahead]
            gap = len(_gap(run.elements, ahead, run.in_index))
            if isinstance(element, Leaf):
                if run.may_break(ahead):
                    return width
                width += gap + len(element.token.text)
            elif isinstance(element, Bracket) or run.open_bodies:
                empty = isinstance(element, Bracket) and not element.items
                return width + gap + (2 if empty else 1)
            else:
                width += gap + len(_flat_body(element) or "{")
        return width + run.tail

    def bracket(self, elements: list[Element], index: int, indent: int, behind: int) -> None:
        bracket = elements[index]
        assert isinstance(bracket, Bracket)
        flat = _flat_element(elements, index)
        empty = not bracket.items and not bracket.closing_notes
        if flat is not None and (empty or self.column + len(flat) + behind <= WIDTH):
            self.add(flat)
            return
        closing = _CLOSING[bracket.opener.text]
        self.add(bracket.opener.text)
        if self.hugs(bracket) and not _needs_comma(elements, index):
            inner = bracket.items[0].elements
            self.sequence(_Run(inner, indent, tail=1 + behind, item=True))
            self.add(closing)
            return
        in_index = bracket.opener.type == "LSQB"
        if flat is not None and indent + _INDENT + len(flat) - 2 <= WIDTH:
            self.line(indent + _INDENT, flat[1:-1])
            self.line(indent, closing)
            return
        comma = _takes_comma(elements, index)
        for item in bracket.items:
            self.item(item, indent + _INDENT, in_index, comma)
        for note in bracket.closing_notes:
            self.line(indent + _INDENT, note.text)
        self.line(indent, closing)

    def hugs(self, bracket: Bracket) -> bool:
        """Whether a bracket holds nothing but another one, so that both open and close together."""
        if bracket.forced or bracket.closing_notes or len(bracket.items) != 1:
            return False
        item = bracket.items[0]
        lone = len(item.elements) == 1 and isinstance(item.elements[0], Bracket)
        return lone and not item.notes and not item.trailing

    def item(self, item: Item, indent: int, in_index: bool, comma: bool) -> None:
        for note in item.notes:
            self.line(indent, note.text)
        self.line(indent)
        self.sequence(_Run(item.elements, indent, int(comma), item=True, in_index=in_index))
        if comma:
            self.add(",")
        if item.trailing:
            self.add("  " + item.trailing)

    def body(self, body: Body, indent: int, open_bodies: bool, align: bool) -> None:
        flat = _flat_body(body)
        if flat is not None and (not open_bodies or not body.statements):
            self.add(flat)
            return
        self.add("{")
        if body.header_note:
            self.add("  " + body.header_note)
        self.statements(body.statements, body.closing_notes, indent + _INDENT, align=align)
        self.line(indent, "}")


def _stands_apart(statement: Statement) -> bool:
    """Whether an item of a file has empty lines around it: those with a body in braces."""
    return _kinds(statement.elements[0])[0] in ("NET", "BLOCK", "RULE", "TRAIN") and isinstance(
        statement.elements[-1], Body
    )


def _first_token(element: Element) -> Token:
    if isinstance(element, Leaf):
        return element.token
    return element.opener


def _behind_equal(elements: list[Element]) -> int | None:
    """Where the expression of a block starts, if it starts on a line of its own."""
    kinds = [_kinds(element)[0] for element in elements]
    if "EQUAL" not in kinds:
        return None
    index = kinds.index("EQUAL")
    if _first_token(elements[index + 1]).line > _first_token(elements[index]).line:
        return index + 1
    flat = _flat(elements)
    if flat is not None and len(flat) <= WIDTH:
        return None
    header = _flat(elements[: index + 1])
    by_hand = any(_breaks(elements, each) for each in range(len(elements)))
    return index + 1 if not by_hand and header is not None and len(header) <= WIDTH else None


def _aligned(statements: list[Statement]) -> dict[int, int]:
    """For each `key = value` of a training section the width of the longest key of its group."""
    widths: dict[int, int] = {}
    group: list[int] = []

    def close() -> None:
        width = max((len(_key(statements[each]) or "") for each in group), default=0)
        widths.update(dict.fromkeys(group, width))
        group.clear()

    for position, statement in enumerate(statements):
        apart = statement.blank_before or any(note.blank_before for note in statement.notes)
        if apart or _key(statement) is None:
            close()
        if _key(statement) is not None:
            group.append(position)
    close()
    return widths


def _key(statement: Statement) -> str | None:
    elements = statement.elements
    if len(elements) < 2 or not isinstance(elements[0], Leaf) or not isinstance(elements[1], Leaf):
        return None
    if elements[0].token.type != "NAME" or elements[1].token.type != "EQUAL":
        return None
    return elements[0].token.text
