"""Dimensions: exact integer polynomials over named symbols.

Takes and gives `Dim`, which is an `int` when the value is known and a `Poly` otherwise; the
operators of `Poly` keep that invariant, so `a == b` on dimensions is equality of expressions. Floor
division and maximum that do not simplify become opaque atoms, so strided convolutions of symbolic
sizes stay exact. `str(d)` is stable and `parse_dim` reads it back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, total_ordering
from typing import Union

Dim = Union[int, "Poly"]


@total_ordering
@dataclass(frozen=True)
class Atom:
    """A symbol (`kind == "symbol"`), or an opaque function of polynomials (`floordiv`, `max`)."""

    kind: str
    name: str = ""
    left: Poly | None = None
    right: int = 0

    def text(self) -> str:
        if self.kind == "symbol":
            return self.name
        assert self.left is not None
        if self.kind == "floordiv":
            return f"(({self.left})//{self.right})"
        return f"max({self.left},{self.right})"

    def __lt__(self, other: Atom) -> bool:
        return self.text() < other.text()

    def evaluate(self, environment: Mapping[str, int]) -> int:
        if self.kind == "symbol":
            return environment[self.name]
        assert self.left is not None
        value = self.left.evaluate(environment)
        return value // self.right if self.kind == "floordiv" else max(value, self.right)

    def symbols(self) -> set[str]:
        if self.kind == "symbol":
            return {self.name}
        assert self.left is not None
        return self.left.symbols()

    def substitute(self, environment: Mapping[str, Dim]) -> Dim:
        if self.kind == "symbol":
            return environment.get(self.name, symbol(self.name))
        assert self.left is not None
        value = self.left.substitute(environment)
        return value // self.right if self.kind == "floordiv" else dim_max(value, self.right)


Monomial = tuple[Atom, ...]


@dataclass(frozen=True)
class Poly:
    """A non-constant polynomial: sorted (monomial, coefficient) terms, no coefficient zero."""

    terms: tuple[tuple[Monomial, int], ...]

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def size(self) -> int:
        """How many symbols the text has: a division holds those of what it divides."""
        return sum(
            1 if atom.left is None else atom.left.size
            for monomial, _ in self.terms
            for atom in monomial
        )

    def _combine(self, other: Dim, sign: int) -> Dim:
        table = dict(self.terms)
        for monomial, coefficient in _terms(other):
            table[monomial] = table.get(monomial, 0) + sign * coefficient
        return _make(table)

    def __add__(self, other: Dim) -> Dim:
        return self._combine(other, 1)

    __radd__ = __add__

    def __sub__(self, other: Dim) -> Dim:
        return self._combine(other, -1)

    def __neg__(self) -> Dim:
        return self * -1

    def __rsub__(self, other: int) -> Dim:
        return (self * -1) + other

    def __mul__(self, other: Dim) -> Dim:
        table: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                monomial = tuple(sorted(left + right))
                table[monomial] = table.get(monomial, 0) + a * b
        return _make(table)

    __rmul__ = __mul__

    def __floordiv__(self, other: Dim) -> Dim:
        if isinstance(other, Poly):
            quotient = exact_quotient(self, other)
            if quotient is None:
                raise ValueError(
                    f"{self} cannot be divided by {other}: the quotient is no polynomial"
                )
            return quotient
        if other <= 0:
            raise ValueError(f"division of the dimension {self} by {other}")
        if other == 1:
            return self
        whole = {m: c // other for m, c in self.terms if m and c % other == 0}
        rest = {m: c for m, c in self.terms if m and c % other != 0}
        constant = dict(self.terms).get((), 0)
        if not rest:
            whole[()] = constant // other
            return _make(whole)
        shift, rest[()] = divmod(constant, other)
        inner = _make({m: c for m, c in rest.items() if c})
        assert isinstance(inner, Poly)
        return _make(whole) + (Poly((((Atom("floordiv", left=inner, right=other),), 1),)) + shift)

    def __mod__(self, other: int) -> Dim:
        return self - (self // other) * other

    def evaluate(self, environment: Mapping[str, int]) -> int:
        total = 0
        for monomial, coefficient in self.terms:
            product = coefficient
            for atom in monomial:
                product *= atom.evaluate(environment)
            total += product
        return total

    def symbols(self) -> set[str]:
        return {name for monomial, _ in self.terms for atom in monomial for name in atom.symbols()}

    def substitute(self, environment: Mapping[str, Dim]) -> Dim:
        total: Dim = 0
        for monomial, coefficient in self.terms:
            product: Dim = coefficient
            for atom in monomial:
                product = product * atom.substitute(environment)
            total = total + product
        return total

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        text = ""
        for monomial, coefficient in sorted(self.terms, key=_print_order):
            factors = "*".join(atom.text() for atom in monomial)
            magnitude = abs(coefficient)
            if not factors:
                term = str(magnitude)
            else:
                term = factors if magnitude == 1 else f"{magnitude}*{factors}"
            sign = "-" if coefficient < 0 else ("+" if text else "")
            text += sign + term
        return text

    __repr__ = __str__


def _print_order(term: tuple[Monomial, int]) -> tuple[bool, int, str]:
    monomial, _ = term
    return (not monomial, -len(monomial), "*".join(atom.text() for atom in monomial))


def _terms(value: Dim) -> tuple[tuple[Monomial, int], ...]:
    return value.terms if isinstance(value, Poly) else (((), int(value)),)


def _make(table: Mapping[Monomial, int]) -> Dim:
    terms = tuple(sorted((m, c) for m, c in table.items() if c != 0))
    if not terms:
        return 0
    if len(terms) == 1 and terms[0][0] == ():
        return terms[0][1]
    return Poly(terms)


def symbol(name: str) -> Poly:
    return Poly((((Atom("symbol", name),), 1),))


def dim_max(value: Dim, bound: int) -> Dim:
    """The larger of a dimension and an integer; symbols count as at least 0."""
    if isinstance(value, int):
        return max(value, bound)
    if lower_bound(value) >= bound:
        return value
    return Poly((((Atom("max", left=value, right=bound),), 1),))


def lower_bound(value: Dim) -> float:
    """A bound from below where every symbol is at least 0 (minus infinity where none is known)."""
    if isinstance(value, int):
        return value
    total = 0.0
    for monomial, coefficient in value.terms:
        if not monomial:
            total += coefficient
        elif coefficient < 0:
            return _difference_of_floor(value)
        else:
            product = float(coefficient)
            for atom in monomial:
                product *= _atom_lower_bound(atom)
            total += product
    return total


def is_at_least(value: Dim, bound: int) -> bool:
    """Whether a dimension is certainly no less where every symbol is at least 1."""
    return _at_ones(value) >= bound and _grows(value)


def _at_ones(value: Dim) -> int:
    return value if isinstance(value, int) else value.evaluate(dict.fromkeys(value.symbols(), 1))


def _grows(value: Dim) -> bool:
    """Whether a dimension is the sum of products that grow with every symbol."""
    if isinstance(value, int):
        return True
    inner = [atom.left for monomial, _ in value.terms for atom in monomial if atom.left is not None]
    return all(coefficient > 0 for monomial, coefficient in value.terms if monomial) and all(
        _grows(part) and _at_ones(part) >= 0 for part in inner
    )


def _atom_lower_bound(atom: Atom) -> float:
    if atom.kind == "symbol":
        return 0
    assert atom.left is not None
    inner = lower_bound(atom.left)
    if atom.kind == "max":
        return max(inner, atom.right)
    return inner // atom.right if inner != float("-inf") else inner


def _difference_of_floor(value: Poly) -> float:
    """Bound s*(p//s) - p + c (the shape of "same" padding) by c - s + 1."""
    for monomial, coefficient in value.terms:
        if (
            len(monomial) == 1
            and monomial[0].kind == "floordiv"
            and coefficient == monomial[0].right
        ):
            inner = monomial[0].left
            assert inner is not None
            rest = value - coefficient * Poly(((monomial, 1),)) + inner
            if isinstance(rest, int):
                return rest - coefficient + 1
    return float("-inf")


def exact_quotient(numerator: Dim, denominator: Dim) -> Dim | None:
    """`numerator / denominator` where the division is exact, else None."""
    if isinstance(denominator, int):
        if denominator == 0 or any(c % denominator for _, c in _terms(numerator)):
            return None
        return _make({m: c // denominator for m, c in _terms(numerator)})
    lead_monomial, lead_coefficient = max(denominator.terms, key=lambda t: (len(t[0]), t[0]))
    quotient: Dim = 0
    rest = numerator
    for _ in range(64):
        if rest == 0:
            return quotient
        monomial, coefficient = max(_terms(rest), key=lambda t: (len(t[0]), t[0]))
        remaining = list(monomial)
        for atom in lead_monomial:
            if atom not in remaining:
                return None
            remaining.remove(atom)
        if coefficient % lead_coefficient:
            return None
        term = _make({tuple(remaining): coefficient // lead_coefficient})
        quotient = quotient + term
        rest = rest - term * denominator
    return None


def evaluate(value: Dim, environment: Mapping[str, int]) -> int:
    return value.evaluate(environment) if isinstance(value, Poly) else value


def substitute(value: Dim, environment: Mapping[str, Dim]) -> Dim:
    return value.substitute(environment) if isinstance(value, Poly) else value


@lru_cache(maxsize=4096)
def product(shape: tuple[Dim, ...]) -> Dim:
    total: Dim = 1
    for dim in shape:
        total = total * dim
    return total


_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z_]\w*)|(//|[()+\-*,]))")


def parse_dim(text: str) -> Dim:
    """Read back what `str` printed. Raises ValueError on anything else."""
    tokens: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if not match:
            raise ValueError(f"no dimension: {text!r}")
        tokens.append(match.group(0).strip())
        position = match.end()
    tokens.append("")
    cursor = 0

    def take(expected: str | None = None) -> str:
        nonlocal cursor
        token = tokens[cursor]
        if expected is not None and token != expected:
            raise ValueError(f"no dimension: {text!r}")
        cursor += 1
        return token

    def factor() -> Dim:
        token = take()
        if token.isdigit():
            return int(token)
        if token == "-":
            return factor() * -1
        if token == "max":
            take("(")
            left = total()
            take(",")
            right = total()
            take(")")
            if not isinstance(right, int):
                raise ValueError(f"no dimension: {text!r}")
            return dim_max(left, right)
        if token == "(":
            inner = total()
            take(")")
            return inner
        if not token or not (token[0].isalpha() or token[0] == "_"):
            raise ValueError(f"no dimension: {text!r}")
        return symbol(token)

    def term() -> Dim:
        value = factor()
        while tokens[cursor] in ("*", "//"):
            operator = take()
            right = factor()
            if operator == "//" and isinstance(value, int) and not isinstance(right, int):
                raise ValueError(f"no dimension: {text!r}")
            value = value * right if operator == "*" else value // right  # type: ignore[operator]
        return value

    def total() -> Dim:
        value = term()
        while tokens[cursor] in ("+", "-"):
            operator = take()
            right = term()
            value = value + right if operator == "+" else value - right
        return value

    result = total()
    take("")
    return result
