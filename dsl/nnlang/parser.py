"""Text to syntax tree.

Takes the text of a `.nn` file, gives its `File`, or raises `DiagnosticError` with everything that
is wrong with it. Keeps true: whatever the text, nothing else is raised.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import replace

from lark import UnexpectedToken

from nnlang import checks
from nnlang.builder import Builder
from nnlang.diagnostics import MAX_ERRORS, Diagnostic, DiagnosticError
from nnlang.grammar import Grammar, load_grammar
from nnlang.layout import lay_out, too_deep
from nnlang.lexer import Comment, Token, lex
from nnlang.reductions import TooDeep
from nnlang.syntax import Block, File, Item, Net, Rule, Source, Train


def parse(text: str, name: str = "<text>", directory: str | None = None) -> File:
    """The syntax tree of a text; `name` is what messages call it."""
    grammar = load_grammar()
    lexed = lex(text, name, grammar.literals)
    tokens, bracket_errors = lay_out(lexed.tokens, name)
    found = lexed.diagnostics + bracket_errors
    file: File | None = None
    if tokens:
        file, more = _read(grammar, tokens, name, found)
        found += more
        if file is not None:
            found += _without_lines_of(found, checks.check(file))
    if found or file is None:
        raise DiagnosticError(_in_order(found), [Source(name, text, directory)])
    return _with_documentation(file, lexed.comments)


def _read(
    grammar: Grammar, tokens: list[Token], name: str, lexical: list[Diagnostic]
) -> tuple[File | None, list[Diagnostic]]:
    """The tree of some tokens, or None where it cannot be made, and what is wrong with them."""
    builder = Builder(name)
    try:
        return grammar.parse(tokens, builder), builder.diagnostics
    except TooDeep as error:
        return None, [*builder.diagnostics, too_deep(error.token, name)]
    except UnexpectedToken:
        from nnlang.recovery import Recovery  # most texts have no error
    recovery = Recovery(grammar, tokens, name)
    file = recovery.run(lexical)
    return file, recovery.diagnostics + recovery.builder.diagnostics


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
