"""Text to syntax tree.

Takes the text of a `.nn` file, gives its `File`, or raises `DiagnosticError` with everything that
is wrong with it. Keeps true: whatever the text, nothing else is raised.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from nnlang import checks
from nnlang.diagnostics import MAX_ERRORS, Diagnostic, DiagnosticError
from nnlang.engine import Engine
from nnlang.layout import lay_out
from nnlang.lexer import Comment, lex
from nnlang.syntax import Block, File, Item, Net, Rule, Source, Train
from nnlang.tables import load_tables


def parse(text: str, name: str = "<text>", directory: str | None = None) -> File:
    """The syntax tree of a text; `name` is what messages call it."""
    tables = load_tables()
    lexed = lex(text, name, tables.literals)
    tokens, bracket_errors = lay_out(lexed.tokens, name)
    lexical = lexed.diagnostics + bracket_errors
    file: File | None = None
    found = list(lexical)
    if tokens:
        engine = Engine(tables, tokens, name)
        file = engine.run(lexical)
        found += engine.diagnostics + engine.builder.diagnostics
        if file is not None:
            found += _without_lines_of(found, checks.check(file))
    if found or file is None:
        raise DiagnosticError(_in_order(found), [Source(name, text, directory)])
    return _with_documentation(file, lexed.comments)


def _line(found: Diagnostic) -> int:
    place = found.primary
    return place.span.line if place else 0


def _without_lines_of(known: list[Diagnostic], more: list[Diagnostic]) -> list[Diagnostic]:
    """Leave out what only follows from a mistake already reported on the same line."""
    lines = {_line(found) for found in known}
    return [found for found in more if _line(found) not in lines]


def _in_order(found: list[Diagnostic]) -> list[Diagnostic]:
    unique = list(dict.fromkeys(found))
    unique.sort(key=lambda each: each.primary.span.start if each.primary else 0)
    return unique[:MAX_ERRORS]


def _with_documentation(file: File, comments: list[Comment]) -> File:
    """Give each block and net the comment that stands directly before it."""
    alone = [comment for comment in comments if comment.alone]
    if not alone:
        return file
    lines = [comment.line for comment in alone]
    items: list[Item] = []
    for item in file.items:
        if isinstance(item, Block | Rule | Net | Train):
            words: list[str] = []
            line = item.span.line - 1
            index = bisect_right(lines, line) - 1
            while index >= 0 and lines[index] == line:
                words.insert(0, alone[index].text.removeprefix("#").removeprefix(" "))
                line, index = line - 1, index - 1
            if words:
                item = replace(item, documentation="\n".join(words))
        items.append(item)
    return replace(file, items=tuple(items))
