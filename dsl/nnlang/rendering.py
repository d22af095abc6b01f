"""Diagnostics as text for people.

Takes diagnostics and the sources they speak of, gives the text that a terminal shows, coloured on
demand. Keeps true: the text under the code lines up with it on any terminal (tabs become spaces,
wide characters count two), and nothing in a source can send control sequences to the terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnlang.paths import shown_name
from nnlang.syntax import Source, Span

if TYPE_CHECKING:
    from nnlang.diagnostics import Diagnostic, Label

_TAB = 4
_CONTEXT = 1  # Lines between two labelled ones that are shown rather than cut.

_RESET = "\x1b[0m"
_STYLES = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "bold": "\x1b[1m",
    "frame": "\x1b[1;34m",
    "primary": "\x1b[1;31m",
    "secondary": "\x1b[1;34m",
    "help": "\x1b[1;36m",
}


def render(diagnostic: Diagnostic, sources: Mapping[str, Source], color: bool = False) -> str:
    """One diagnostic, without a line end behind it."""
    return _Renderer(sources, color).render(diagnostic)


def render_all(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, Source], color: bool = False
) -> str:
    """Several diagnostics with an empty line between them."""
    renderer = _Renderer(sources, color)
    return "\n\n".join(renderer.render(diagnostic) for diagnostic in diagnostics)


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a label marks on one line, in columns of the screen from 0; `words` are said at its last
    line only.
    """

    start: int
    end: int
    words: tuple[str, ...]
    primary: bool


class _Canvas:
    """Lines of styled characters, written at any column."""

    def __init__(self) -> None:
        self.rows: list[list[tuple[str, str]]] = []

    def put(self, row: int, column: int, text: str, style: str) -> None:
        while len(self.rows) <= row:
            self.rows.append([])
        cells = self.rows[row]
        for character in text:
            width = max(_width(character), 1)
            while len(cells) < column + width:
                cells.append((" ", ""))
            cells[column] = (character, style)
            for extra in range(1, width):
                cells[column + extra] = ("", style)
            column += width

    def free(self, row: int, start: int, end: int) -> bool:
        """Whether the columns of a row, and one on each side, are empty."""
        if row >= len(self.rows):
            return True
        return all(cell[0] == " " for cell in self.rows[row][max(start - 1, 0) : end + 1])


class _Renderer:
    def __init__(self, sources: Mapping[str, Source], color: bool) -> None:
        self.sources = sources
        self.color = color

    def style(self, text: str, style: str) -> str:
        return f"{_STYLES[style]}{text}{_RESET}" if self.color and style and text else text

    def render(self, diagnostic: Diagnostic) -> str:
        severity = diagnostic.severity if diagnostic.severity in _STYLES else "error"
        head = self.style(f"{diagnostic.severity}[{diagnostic.code}]", severity)
        message = _clean(diagnostic.message)
        lines = [head + self.style(f": {message}", "bold")]
        shown = [label for label in diagnostic.labels if label.span.file in self.sources]
        gutter = max((len(str(label.span.end_line)) for label in shown), default=1)
        frame = " " * gutter
        for position, file in enumerate(self.files(diagnostic)):
            arrow = "-->" if position == 0 else ":::"
            labels = [label for label in diagnostic.labels if label.span.file == file]
            lines.append(f"{frame}{self.style(arrow, 'frame')} {self.place(diagnostic, labels)}")
            if file in self.sources:
                lines.append(f"{frame} {self.style('|', 'frame')}")
                lines += self.excerpt(self.sources[file].text, labels, gutter)
        if (diagnostic.notes or diagnostic.helps) and shown:
            lines.append(f"{frame} {self.style('|', 'frame')}")
        for word, style, texts in (
            ("note", "bold", diagnostic.notes),
            ("help", "help", diagnostic.helps),
        ):
            for text in texts:
                first, *others = _clean_lines(text)
                lines.append(
                    f"{frame} {self.style('=', 'frame')} {self.style(word + ':', style)} {first}"
                )
                lines += [" " * (gutter + 9) + other for other in others]
        return "\n".join(lines)

    def files(self, diagnostic: Diagnostic) -> list[str]:
        """The files that the labels are in, that of the primary label first."""
        primary = diagnostic.primary
        names = [primary.span.file] if primary else []
        return list(dict.fromkeys(names + [label.span.file for label in diagnostic.labels]))

    def place(self, diagnostic: Diagnostic, labels: list[Label]) -> str:
        label = diagnostic.primary if diagnostic.primary in labels else labels[0]
        assert label is not None
        span = label.span
        source = self.sources.get(span.file)
        name = shown_name(source) if source is not None else span.file
        return f"{_clean(name)}:{span.line}:{span.column}"

    def excerpt(self, text: str, labels: list[Label], gutter: int) -> list[str]:
        """The labelled lines of one file, with marks below them."""
        source = text.split("\n")
        marks: dict[int, list[_Mark]] = {}
        for label in labels:
            for line in _lines_of(label.span):
                if 1 <= line <= len(source):
                    marks.setdefault(line, []).append(_mark(label, line, source[line - 1]))
        bar = self.style("|", "frame")
        result: list[str] = []
        previous: int | None = None
        for line in sorted(marks):
            for between in _between(previous, line):
                words = "..." if between is None else ""
                if between is None:
                    result.append(self.style(words, "frame"))
                else:
                    result.append(self.code(between, source[between - 1], gutter))
            result.append(self.code(line, source[line - 1], gutter))
            for row in _draw(marks[line]).rows:
                result.append(f"{' ' * gutter} {bar} {self.join(row)}".rstrip())
            previous = line
        return result

    def code(self, line: int, text: str, gutter: int) -> str:
        number = self.style(f"{line:>{gutter}} |", "frame")
        return f"{number} {_expand(text)}".rstrip()

    def join(self, row: list[tuple[str, str]]) -> str:
        """The characters of a row, with runs of one style styled together."""
        parts: list[str] = []
        run, style = "", ""
        for character, its_style in row:
            if its_style != style:
                parts.append(self.style(run, style))
                run, style = "", its_style
            run += character
        parts.append(self.style(run, style))
        return "".join(parts)


def _lines_of(span: Span) -> tuple[int, ...]:
    """The lines on which a span is marked: the first and the last."""
    return (span.line,) if span.end_line == span.line else (span.line, span.end_line)


def _between(previous: int | None, line: int) -> list[int | None]:
    """The lines to show between two labelled ones; None stands for those cut out."""
    if previous is None or line == previous + 1:
        return []
    if line - previous - 1 <= _CONTEXT:
        return list(range(previous + 1, line))
    return [None]


def _mark(label: Label, line: int, text: str) -> _Mark:
    span = label.span
    blank = len(text) - len(text.lstrip())
    start = span.column - 1 if line == span.line else blank
    end = span.end_column - 1 if line == span.end_line else len(text.rstrip())
    left = _expanded_width(text[:start]) + max(start - len(text), 0)
    right = _expanded_width(text[:end]) + max(end - len(text), 0)
    words = tuple(_clean_lines(label.text)) if line == span.end_line and label.text else ()
    return _Mark(left, max(right, left + 1), words, label.primary)


def _draw(marks: list[_Mark]) -> _Canvas:
    """Underlines in the first row; the words of the last mark beside it, those of the others
    stacked below.
    """
    canvas = _Canvas()
    ordered = sorted(marks, key=lambda mark: (mark.start, mark.end))
    for mark in sorted(marks, key=lambda mark: mark.primary):
        canvas.put(0, mark.start, "^" * (mark.end - mark.start), _style(mark))
    row = 0
    last = ordered[-1]
    pending = [mark for mark in ordered if mark.words]
    beside = last if last.words and all(m.end <= last.start or m is last for m in ordered) else None
    if beside is not None:
        for offset, words in enumerate(beside.words):
            canvas.put(offset, beside.end + 1, words, _style(beside))
        row = len(beside.words) - 1
        pending.remove(beside)
    for mark in reversed(pending):
        row += 1
        for other in pending:
            if other.start <= mark.start:
                for between in range(1, row + 1):
                    if canvas.free(between, other.start, other.start + 1):
                        canvas.put(between, other.start, "|", _style(other))
        for words in mark.words:
            row += 1
            for other in pending:
                if other.start < mark.start and other is not mark:
                    canvas.put(row, other.start, "|", _style(other))
            canvas.put(row, mark.start, words, _style(mark))
    return canvas


def _style(mark: _Mark) -> str:
    return "primary" if mark.primary else "secondary"


def _width(character: str) -> int:
    """The columns a character takes on a terminal."""
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _expand(text: str) -> str:
    """A source line as it is shown: tabs as spaces, no control characters."""
    parts: list[str] = []
    column = 0
    for character in text:
        if character == "\t":
            shown = " " * (_TAB - column % _TAB)
        elif character.isprintable() or _width(character) == 0:
            shown = character if _is_safe(character) else "\N{REPLACEMENT CHARACTER}"
        else:
            shown = "" if character == "\r" else "\N{REPLACEMENT CHARACTER}"
        parts.append(shown)
        column += sum(_width(each) for each in shown)
    return "".join(parts)


def _expanded_width(text: str) -> int:
    return sum(_width(character) for character in _expand(text))


def _is_safe(character: str) -> bool:
    """Whether a character neither reorders text nor fails to encode."""
    return unicodedata.category(character) not in ("Cf", "Cs", "Cc")


def _clean(text: str) -> str:
    """A message without line ends and control characters."""
    return " ".join(_clean_lines(text))


def _clean_lines(text: str) -> list[str]:
    return [_expand(line) for line in text.split("\n")]
