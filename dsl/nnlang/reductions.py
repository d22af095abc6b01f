"""The nodes that productions of the grammar stand for.

Takes the productions as Lark has them, gives Lark a callback for each: it picks the children of a
node, works out its span, and has `builder` make it. Lark's own callbacks would make trees that know
no span of what they leave out, such as parentheses.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lark.grammar import Rule

from nnlang.builder import Builder
from nnlang.lexer import Token
from nnlang.syntax import Span

MAX_DEPTH = 100

Reduction = Callable[[list[Any]], Any]


class TooDeep(Exception):
    """The tree that starts at a token is nested too deeply."""

    def __init__(self, token: Token) -> None:
        super().__init__(token)
        self.token = token


@dataclass(slots=True)
class Part:
    """The value of a production, the first and last token it matched, and how deep its tree is."""

    value: Any
    first: Token
    last: Token
    depth: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What the node of a production is made of.

    `children` are the places of its parts among the symbols, None for an optional part that the
    production leaves out, and whether the part is a list to splice in. A production that only
    passes on its one part makes no node.
    """

    action: str
    children: tuple[tuple[int | None, bool], ...]
    is_list: bool
    passes_on: bool


def shape_of(rule: Rule) -> Shape:
    """The shape of a production, by Lark's rules for trees."""
    origin = str(rule.origin.name)
    omitted = rule.options.empty_indices or (False,) * len(rule.expansion)
    children: list[tuple[int | None, bool]] = []
    position = 0
    for empty in omitted:
        if empty:
            children.append((None, False))
            continue
        symbol: Any = rule.expansion[position]
        if not (symbol.is_term and symbol.filter_out):
            children.append((position, not symbol.is_term and symbol.name.startswith("_")))
        position += 1
    alone = len(children) == 1 and not children[0][1]
    return Shape(
        rule.alias or origin,
        tuple(children),
        origin.startswith("_"),
        bool(rule.options.expand1 and not rule.alias and alone),
    )


def reductions(shapes: dict[Rule, Shape], builder: Builder, end: Token) -> dict[Rule, Reduction]:
    """What Lark calls for each production; `end` is the last token, where an empty file is."""
    made: dict[Rule, Reduction] = {}
    for rule, shape in shapes.items():
        single = shape.passes_on and len(rule.expansion) == 1
        made[rule] = _first if single else _reduction(shape, builder, end)
    return made


def _first(parts: list[Any]) -> Any:
    return parts[0]


def _reduction(shape: Shape, builder: Builder, end: Token) -> Reduction:
    children, is_list, passes_on = shape.children, shape.is_list, shape.passes_on
    make = None if is_list or passes_on else getattr(builder, "make_" + shape.action)
    file = builder.file

    def reduce(parts: list[Any]) -> Part:
        values: list[Any] = []
        for index, spliced in children:
            part = parts[index] if index is not None else None
            if part.__class__ is not Part:
                values.append(part)
            elif spliced:
                values.extend(part.value)
            else:
                values.append(part.value)
        depth = 0
        for part in parts:
            if part.__class__ is Part and part.depth > depth:
                depth = part.depth
        first, last = (parts[0], parts[-1]) if parts else (end, end)
        if first.__class__ is Part:
            first = first.first
        if last.__class__ is Part:
            last = last.last
        if is_list:
            return Part(values, first, last, depth)
        if make is None:
            return Part(values[0], first, last, depth)
        if depth >= MAX_DEPTH:
            raise TooDeep(first)
        end_column = last.column + last.end - last.start
        span = Span(file, first.start, last.end, first.line, first.column, last.line, end_column)
        return Part(make(values, span), first, last, depth + 1)

    return reduce
