"""Simplifies: algebra as rows, shapes as the functions of `structure`.

Takes and gives a graph with the same outputs and updates, equal up to the rounding of merged
constants. Useless nodes stay for `dead_code`. Rows that would change infinities or NaN into numbers
are left out on purpose (x * 0, x - x).
"""

from __future__ import annotations

import math

from ..graph import Graph
from .patterns import Row, rules
from .rewriter import Rewriter, Rule
from .structure import RULES as STRUCTURE


def _power_of_two(a: float) -> bool:
    """Where x / a and x * (1 / a) are the same number."""
    return math.isfinite(a) and abs(math.frexp(a)[0]) == 0.5 and abs(a) < 2.0**100


# fmt: off
ROWS: tuple[Row, ...] = (
    # neutral elements
    Row("x + 0", "x"),
    Row("x - 0", "x"),
    Row("x * 1", "x"),
    Row("x / 1", "x"),
    Row("pow(x, 1)", "x"),
    Row("logical_and(x, True)", "x"),
    Row("logical_or(x, False)", "x"),
    Row("logical_and(x, False)", "False"),
    Row("logical_or(x, True)", "True"),
    Row("select(z, x, x)", "x"),
    # signs
    Row("neg(neg(x))", "x"),
    Row("0 - x", "neg(x)", floats=True),
    Row("x * -1", "neg(x)", floats=True),
    Row("x + neg(y)", "x - y"),
    Row("x - neg(y)", "x + y"),
    Row("neg(x) * neg(y)", "x * y"),
    Row("neg(x) * a", "x * neg(a)", floats=True),
    Row("neg(x * a)", "x * neg(a)", floats=True),
    Row("neg(x - y)", "y - x", floats=True),
    Row("x + y * -1", "x - y", floats=True),
    Row("abs(neg(x))", "abs(x)", floats=True),
    Row("square(neg(x))", "square(x)", floats=True),
    Row("square(abs(x))", "square(x)", floats=True),
    # constants move together
    Row("x - a", "x + neg(a)", floats=True),
    Row("x / a", "x * (1 / a)", when=_power_of_two, floats=True),
    Row("(x * a) * b", "x * (a * b)", floats=True),
    Row("(x * a) / b", "x * (a / b)", floats=True),
    Row("(x / a) * b", "x * (b / a)", floats=True),
    Row("(x / a) / b", "x / (a * b)", floats=True),
    # cheaper operators
    Row("1 / sqrt(x)", "rsqrt(x)", floats=True),
    Row("reciprocal(sqrt(x))", "rsqrt(x)"),
    Row("1 / x", "reciprocal(x)", floats=True),
    Row("pow(x, 2)", "square(x)", floats=True),
    Row("pow(x, 0.5)", "sqrt(x)"),
    Row("pow(x, -1)", "reciprocal(x)", floats=True),
    Row("x * x", "square(x)", floats=True),
    # twice the same
    Row("maximum(maximum(x, a), a)", "maximum(x, a)"),
    Row("minimum(minimum(x, a), a)", "minimum(x, a)"),
    Row("abs(abs(x))", "abs(x)"),
    Row("logical_not(logical_not(x))", "x"),
)
# fmt: on


def _all_rules() -> dict[str, list[Rule]]:
    table = {name: list(functions) for name, functions in STRUCTURE.items()}
    for name, functions in rules(ROWS).items():
        table.setdefault(name, []).extend(functions)
    return table


_RULES = _all_rules()


def run(graph: Graph) -> Graph:
    return Rewriter(graph, _RULES).run()
