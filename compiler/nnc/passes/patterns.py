"""Rewrite rules as rows of text: `Row("x * 1", "x")`.

Takes the two sides as Python expressions over operators; gives rules for the `Rewriter`. `a`, `b`
and `c` match constants of one element, any other name any value (the same name the same value),
numbers and true/false themselves. Constants on the right are computed by the compiler. A row does
not fire where the type would change, or where its constants would overflow or vanish.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..dtypes import DTYPES, FLOATS
from ..graph import Node, Value
from ..ops import operator
from ..ops.base import Operator
from .rewriter import Guarded, Maker, Makers, Rewriter, Rule

CONSTANTS = ("a", "b", "c")
_BINARY: dict[type, str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}

Bindings = dict[str, Value]


@dataclass(frozen=True)
class Name:
    """Matches a constant of one element (`a`, `b`, `c`) or any value."""

    name: str


@dataclass(frozen=True)
class Number:
    """Matches a constant that is this number."""

    value: float


@dataclass(frozen=True)
class Apply:
    """Matches what an operator makes of operands that match."""

    op: str
    operands: tuple[Pattern, ...]

    @cached_property
    def parts(self) -> list[tuple[int, Pattern]]:
        """The operands with their places, those first that are quickest found not to match."""
        return sorted(enumerate(self.operands), key=lambda part: not isinstance(part[1], Number))


Pattern = Name | Number | Apply


@dataclass(frozen=True)
class Row:
    """`when`: a further condition on the numbers that `a`, `b`, `c` match, in this order; `floats`:
    on floats only.
    """

    left: str
    right: str
    when: Callable[..., bool] | None = None
    floats: bool = False


def rules(rows: Iterable[Row]) -> dict[str, list[Rule]]:
    """The rows as rules by the operator at the root of their left side."""
    table: dict[str, list[Rule]] = {}
    for row in rows:
        left, right = _parse(row.left), _parse(row.right)
        assert isinstance(left, Apply)
        table.setdefault(left.op, []).append(_rule(row, left, right))
    return table


def _parse(text: str) -> Pattern:
    def build(tree: ast.expr) -> Pattern:
        if isinstance(tree, ast.Name):
            return Name(tree.id)
        if isinstance(tree, ast.Constant) and isinstance(tree.value, (int, float)):
            return Number(tree.value)
        if isinstance(tree, ast.BinOp):
            return Apply(_BINARY[type(tree.op)], (build(tree.left), build(tree.right)))
        if isinstance(tree, ast.UnaryOp) and isinstance(tree.operand, ast.Constant):
            assert isinstance(tree.operand.value, (int, float))
            return Number(-tree.operand.value)
        if isinstance(tree, ast.UnaryOp):
            return Apply("neg", (build(tree.operand),))
        assert isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name), text
        return Apply(tree.func.id, tuple(build(item) for item in tree.args))

    return build(ast.parse(text, mode="eval").body)


def _rule(row: Row, left: Apply, right: Pattern) -> Rule:
    twice = [
        (first, again)
        for again, part in enumerate(left.operands)
        for first, other in enumerate(left.operands[:again])
        if isinstance(part, Name) and part == other
    ]

    def rule(node: Node, rewriter: Rewriter) -> Value | None:
        for first, again in twice:
            if node.operands[first] is not node.operands[again]:
                return None
        if row.floats and node.result.dtype not in FLOATS:
            return None
        for bindings in _match_operands(left, node, rewriter, {}):
            if row.when is not None:
                names = [name for name in CONSTANTS if name in bindings]
                if not row.when(*(rewriter.number(bindings[name]) for name in names)):
                    continue
            made = _build(right, bindings, node, rewriter)
            if made is None:
                continue
            value = made if isinstance(made, Value) else rewriter.number_like(made, node.result)
            if value.type == node.result.type:
                return value
        return None

    def fits(op: Operator, makers: Makers) -> bool:
        orders = (makers, makers[::-1]) if "commutative" in op.traits else (makers,)
        return any(all(map(_may_match, left.operands, order)) for order in orders)

    return Guarded(rule, fits)


def _may_match(pattern: Pattern, maker: Maker) -> bool:
    """Whether a value made by `maker` may match, as far as that tells."""
    if isinstance(pattern, Apply):
        return maker == pattern.op
    is_number = not (maker is None or isinstance(maker, str))
    if isinstance(pattern, Number):
        return is_number and maker == pattern.value
    return is_number or pattern.name not in CONSTANTS


def _match_operands(
    pattern: Apply, node: Node, rewriter: Rewriter, bindings: Bindings
) -> list[Bindings]:
    orders = [node.operands]
    if "commutative" in node.op.traits:
        orders.append(node.operands[::-1])
    found = []
    for operands in orders:
        partial = [bindings]
        for index, part in pattern.parts:
            operand = operands[index]
            partial = [m for b in partial for m in _match(part, operand, rewriter, b)]
            if not partial:
                break
        found += partial
    return found


def _match(
    pattern: Pattern, value: Value, rewriter: Rewriter, bindings: Bindings
) -> list[Bindings]:
    if isinstance(pattern, Number):
        number = rewriter.number(value)
        return [bindings] if number is not None and number == pattern.value else []
    if isinstance(pattern, Name):
        if pattern.name in bindings:
            return [bindings] if bindings[pattern.name] is value else []
        if pattern.name in CONSTANTS and rewriter.number(value) is None:
            return []
        return [{**bindings, pattern.name: value}]
    node = rewriter.producer(value, pattern.op)
    return _match_operands(pattern, node, rewriter, bindings) if node is not None else []


def _build(pattern: Pattern, bindings: Bindings, node: Node, rewriter: Rewriter) -> Any:
    """A value, or a NumPy number for a part made of constants alone; None where its constants do
    not fit.
    """
    dtype = DTYPES[node.result.dtype]
    if isinstance(pattern, Number):
        return dtype.type(pattern.value)
    if isinstance(pattern, Name):
        if pattern.name not in CONSTANTS:
            return bindings[pattern.name]
        array = rewriter.constant(bindings[pattern.name])
        assert array is not None
        return array.reshape(-1)[0]
    parts = [_build(part, bindings, node, rewriter) for part in pattern.operands]
    if any(part is None for part in parts):
        return None
    if not any(isinstance(part, Value) for part in parts):
        return _compute(pattern.op, parts)
    like = next(part for part in parts if isinstance(part, Value))
    values = [p if isinstance(p, Value) else rewriter.number_like(p, like) for p in parts]
    return rewriter.emit(pattern.op, *values)


def _compute(name: str, numbers: list[Any]) -> Any:
    from ..ops.base import Context

    (result,) = operator(name).reference([np.asarray(n) for n in numbers], {}, Context())
    number = result[()]
    vanished = number == 0 and all(n != 0 for n in numbers)
    return number if np.isfinite(number) and not vanished else None
