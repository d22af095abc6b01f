"""Elementwise operators: one table, one row each.

A row names the operator, its NumPy reference, and one gradient rule for each operand: a function of
the result's gradient `g`, the result `y` and the operands, or None for zero. `_smooth` and `_steep`
say where its slope may be infinite or NaN: a gradient of 0 stays 0 there. Shapes broadcast like
NumPy's; element types must be equal, nothing converts silently but the division of integers, which
gives f32. The same names are instructions of tile programs (runtime: elementwise.def).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..dims import product
from ..dtypes import FLOATS, INTEGERS, TYPES
from ..graph import Node, Type, Value
from ..slopes import Flow, Size
from . import samples
from .base import (
    Array,
    Attribute,
    Context,
    Cost,
    NotDifferentiable,
    Operator,
    Sample,
    ShapeError,
    cost_of,
)
from .expression import Expression, apply, sum_to
from .shapes import CONVERT, broadcast_shapes, require_same_dtype

if TYPE_CHECKING:
    from ..builder import Builder

Rule = Callable[..., Expression]


@dataclass(frozen=True)
class Scaled:
    """A rule that multiplies by a slope. `unbounded`: whether that may be infinite or NaN where the
    gradient is 0.
    """

    rule: Rule
    unbounded: Callable[[Flow], bool]

    def __call__(self, *operands: Expression) -> Expression:
        return self.rule(*operands)


def _smooth(rule: Rule, *by: int) -> Scaled:
    """A slope that is finite where the operands `by` are."""
    return Scaled(rule, lambda flow: flow.masked and flow.least(by) < Size.FINITE)


def _steep(rule: Rule, *by: int) -> Scaled:
    """A slope that may be infinite or NaN also where the operands `by` are finite; not where they
    are numbers but 0.
    """
    return Scaled(rule, lambda flow: flow.least(by) < Size.NONZERO)


STEPS = NotDifferentiable("it is constant between its steps", zero=True)
TRUTH = NotDifferentiable("its result is true or false", zero=True)

TRANSCENDENTAL = 10  # counted as this many operations


@dataclass(frozen=True)
class Row:
    """An operator: what it computes and how its gradient flows.

    `takes`: a name of `_TAKES`; `gives`: same or bool; `domain`: where samples lie.
    """

    name: str
    compute: Callable[..., Any]
    gradient: tuple[Rule | Scaled | None, ...] | NotDifferentiable
    arity: int = 1
    takes: str = "float"
    gives: str = "same"
    flops: int = 1
    commutative: bool = False
    linear: str = ""  # the trait `linear` or `scaling`, where it has one
    symbol: str = ""  # how the language writes it, where not by name
    domain: str = "normal"


def rsqrt(x: Array) -> Array:
    return np.asarray(1 / np.sqrt(x))


def sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array) -> Array:
    return np.asarray(_erf(np.asarray(x, np.float64))).astype(np.float64)


def _pow_base(g: Expression, y: Expression, a: Expression, b: Expression) -> Expression:
    """`g b a^(b-1)`, and 0 (not 0 times infinity) where b = 0."""
    return g * apply("select", apply("equal", b, 0.0), 0.0, b * apply("pow", a, b - 1.0))


def _pow_exponent(g: Expression, y: Expression, a: Expression, b: Expression) -> Expression:
    """`g y log a`, and 0 where a or the power is 0."""
    zero = apply("logical_or", apply("equal", a, 0.0), apply("equal", y, 0.0))
    return g * apply("select", zero, 0.0, y * apply("log", a))


def _is_root(flow: Flow) -> bool:
    """Whether the slope of a power may be infinite: an exponent below 1, or a base that is."""
    masked = flow.masked and flow.least((0,)) < Size.FINITE
    return masked or flow.least((1,)) < Size.AT_LEAST_ONE


def _mod_divisor(g: Expression, y: Expression, a: Expression, b: Expression) -> Expression:
    return -(g * apply("floor_div", a, b))


def _when(condition: str) -> tuple[Rule, Rule]:
    """To the first operand where the condition holds, else (ties, too) to the second."""
    return (
        lambda g, y, a, b: apply("select", apply(condition, a, b), g, 0.0),
        lambda g, y, a, b: apply("select", apply(condition, a, b), 0.0, g),
    )


def _binary(
    name: str,
    compute: Callable[..., Any],
    symbol: str,
    left: Rule | Scaled,
    right: Rule | Scaled,
    **rest: Any,
) -> Row:
    rest.setdefault("takes", "number")
    return Row(name, compute, (left, right), 2, symbol=symbol, **rest)


def _compare(name: str, compute: Callable[..., Any], symbol: str, takes: str = "number") -> Row:
    commutative = takes == "comparable"
    return Row(name, compute, TRUTH, 2, takes, "bool", 1, commutative, symbol=symbol)


# fmt: off
_SLOW = TRANSCENDENTAL
_ERF = 2.0 / math.sqrt(math.pi)
ROWS: tuple[Row, ...] = (
    Row("neg", np.negative, (lambda g, y, x: -g,), takes="signed", linear="linear", symbol="-"),
    Row("abs", np.abs, (_smooth(lambda g, y, x: g * apply("sign", x), 0),), takes="signed",
        domain="nonzero"),
    Row("exp", np.exp, (_smooth(lambda g, y, x: g * y, 0),), flops=_SLOW),
    Row("log", np.log, (_steep(lambda g, y, x: g / x, 0),), flops=_SLOW, domain="positive"),
    Row("log1p", np.log1p, (_steep(lambda g, y, x: g / (1.0 + x), 0),), flops=_SLOW,
        domain="positive"),
    Row("expm1", np.expm1, (_smooth(lambda g, y, x: g * (y + 1.0), 0),), flops=_SLOW),
    Row("sqrt", np.sqrt, (_steep(lambda g, y, x: 0.5 * g / y, 0),), domain="positive"),
    Row("rsqrt", rsqrt, (_steep(lambda g, y, x: -0.5 * g * y * y * y, 0),), flops=2,
        domain="positive"),
    Row("reciprocal", lambda x: 1 / x, (_steep(lambda g, y, x: -(g * y * y), 0),),
        domain="nonzero"),
    Row("square", np.square, (_smooth(lambda g, y, x: 2.0 * g * x, 0),), takes="number"),
    Row("tanh", np.tanh, (_smooth(lambda g, y, x: g * (1.0 - y * y), 0),), flops=_SLOW),
    Row("sigmoid", sigmoid, (_smooth(lambda g, y, x: g * y * (1.0 - y), 0),), flops=_SLOW),
    Row("erf", erf, (_smooth(lambda g, y, x: g * _ERF * apply("exp", -(x * x)), 0),),
        flops=_SLOW),
    Row("sin", np.sin, (_smooth(lambda g, y, x: g * apply("cos", x), 0),), flops=_SLOW),
    Row("cos", np.cos, (_smooth(lambda g, y, x: -(g * apply("sin", x)), 0),), flops=_SLOW),
    Row("floor", np.floor, STEPS),
    Row("ceil", np.ceil, STEPS),
    Row("round", np.rint, STEPS),
    Row("sign", np.sign, STEPS, takes="signed"),
    Row("logical_not", np.logical_not, TRUTH, takes="bool", gives="bool", symbol="not"),
    Row("is_finite", np.isfinite, TRUTH, gives="bool"),

    _binary("add", np.add, "+", lambda g, y, a, b: g, lambda g, y, a, b: g,
            commutative=True, linear="linear"),
    _binary("sub", np.subtract, "-", lambda g, y, a, b: g, lambda g, y, a, b: -g, linear="linear"),
    _binary("mul", np.multiply, "*", _smooth(lambda g, y, a, b: g * b, 1),
            _smooth(lambda g, y, a, b: g * a, 0), commutative=True, linear="scaling"),
    _binary("div", np.divide, "/", _steep(lambda g, y, a, b: g / b, 1),
            _steep(lambda g, y, a, b: -(g * y / b), 0, 1), domain="nonzero", linear="scaling"),
    _binary("pow", np.power, "**", Scaled(_pow_base, _is_root), _steep(_pow_exponent, 0, 1),
            takes="float", flops=2 * _SLOW, domain="positive"),
    _binary("maximum", np.maximum, "", *_when("greater"), commutative=True),
    _binary("minimum", np.minimum, "", *_when("less"), commutative=True),
    _binary("mod", np.mod, "%", lambda g, y, a, b: g, _steep(_mod_divisor, 0, 1),
            flops=3, domain="nonzero"),
    Row("floor_div", np.floor_divide, STEPS, 2, "number", flops=2, symbol="//", domain="nonzero"),
    _compare("equal", np.equal, "==", "comparable"),
    _compare("not_equal", np.not_equal, "!=", "comparable"),
    _compare("less", np.less, "<"),
    _compare("less_equal", np.less_equal, "<="),
    _compare("greater", np.greater, ">"),
    _compare("greater_equal", np.greater_equal, ">="),
    Row("logical_and", np.logical_and, TRUTH, 2, "bool", "bool", 1, True, symbol="and"),
    Row("logical_or", np.logical_or, TRUTH, 2, "bool", "bool", 1, True, symbol="or"),
    Row("select", np.where, (
        None,
        lambda g, y, c, a, b: apply("select", c, g, 0.0),
        lambda g, y, c, a, b: apply("select", c, 0.0, g),
    ), 3, "any"),
)
# fmt: on

_TAKES = {
    "float": (FLOATS, "floating point numbers"),
    "signed": ((*FLOATS, "i32", "i64"), "signed numbers"),
    "number": ((*FLOATS, *INTEGERS), "numbers"),
    "bool": (("bool",), "true or false"),
    "comparable": ((*FLOATS, *INTEGERS, "bool"), "numbers to compute with, or true or false"),
    "any": (tuple(TYPES), "any value"),
}


class Elementwise(Operator, abstract=True):
    """An operator made from a row of the table."""

    row: ClassVar[Row]

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        return self._infer(tuple(operands))

    @lru_cache(maxsize=4096)  # noqa: B019  (operators live as long as the process)
    def _infer(self, operands: tuple[Type, ...]) -> tuple[Type, ...]:
        row = self.row
        shown = row.symbol or row.name
        if len(operands) != row.arity:
            raise ShapeError(f"`{shown}` takes {row.arity} operands, found {len(operands)}")
        first = 0
        if row.name == "select":
            first = 1
            _check_dtype("select", "bool", operands, 0)
        for index in range(first, len(operands)):
            _check_dtype(shown, row.takes, operands, index)
        require_same_dtype(shown, operands, range(first, len(operands)))
        shape = broadcast_shapes(shown, [operand.shape for operand in operands])
        return (Type(self._result_dtype(operands[-1].dtype), shape),)

    def _result_dtype(self, dtype: str) -> str:
        if self.row.gives == "bool":
            return "bool"
        return "f32" if self.row.name == "div" and dtype not in FLOATS else dtype

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        rank = max(len(operand.shape) for operand in operands)
        return all(
            not moves or len(operand.shape) == rank
            for operand, moves in zip(operands, carried, strict=True)
        )

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        dtype = operands[-1].dtype
        if self.row.gives == "bool":
            dtype = np.dtype(np.bool_)
        elif self.row.name == "div" and dtype.kind != "f":
            dtype = context.dtype("f32")
            operands = [operand.astype(dtype) for operand in operands]
        with np.errstate(all="ignore"):
            return (np.asarray(self.row.compute(*operands)).astype(dtype, copy=False),)

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, product(results[0].shape) * self.row.flops)

    def samples(self) -> list[Sample]:
        return _samples(self.row)


def _check_dtype(shown: str, takes: str, operands: Sequence[Type], index: int) -> None:
    dtypes, words = _TAKES[takes]
    if operands[index].dtype in dtypes:
        return
    help = "compare first: `x != 0`" if takes == "bool" else CONVERT
    raise ShapeError(
        f"`{shown}` needs {words}, found {operands[index]}",
        operands=(index,),
        expected=" or ".join(dtypes),
        help=help,
        code="N0302",
    )


def _differentiate(
    self: Elementwise,
    builder: Builder,
    node: Node,
    gradients: Sequence[Value | None],
    needed: Sequence[bool],
) -> list[Value | None]:
    flow = Flow(True, (Size.ANY,) * len(node.operands))
    return _differentiate_guarded(self, builder, node, gradients, needed, flow)


def _differentiate_guarded(
    self: Elementwise,
    builder: Builder,
    node: Node,
    gradients: Sequence[Value | None],
    needed: Sequence[bool],
    flow: Flow,
) -> list[Value | None]:
    (gradient,) = gradients
    assert gradient is not None and not isinstance(self.row.gradient, NotDifferentiable)
    known = [Expression(builder, value) for value in (gradient, node.result, *node.operands)]
    made: list[Value | None] = []
    for rule, operand, wanted in zip(self.row.gradient, node.operands, needed, strict=True):
        if rule is None or not wanted:
            made.append(None)
            continue
        flowing = rule(*known)
        if isinstance(rule, Scaled) and rule.unbounded(flow):
            flowing = apply("select", apply("equal", known[0], 0.0), known[0], flowing)
        made.append(sum_to(builder, flowing.value, operand.shape))
    return made


_SHAPES: dict[int, tuple[tuple[tuple[int, ...], ...], ...]] = {
    1: (((),), ((1,),), ((17,),), ((3, 5, 7),), ((2, 3, 4, 8),), ((300, 33),)),
    2: (
        ((), ()),
        ((13,), ()),
        ((3, 5), (3, 5)),
        ((4, 1, 5), (3, 1)),
        ((2, 3, 4, 16), (16,)),
        ((2, 5, 5, 17), (2, 1, 1, 17)),
        ((1, 8), (6, 1)),
        ((3, 31, 32), (3, 31, 1)),
        ((5, 3, 1), (5, 3, 1)),
        ((250, 64), (250, 64)),
    ),
    3: (
        ((), (), ()),
        ((3, 5), (3, 5), (3, 5)),
        ((4, 1), (3,), ()),
        ((7, 33), (33,), (7, 33)),
        ((16,), (5, 16), (5, 1)),
        ((100, 40), (100, 40), (100, 40)),
    ),
}
_SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -2.5, 0.5, 40.0, -40.0, np.inf, -np.inf, np.nan])


def _sample_array(row: Row, index: int, shape: tuple[int, ...]) -> Array:
    if row.takes == "bool" or (row.name == "select" and index == 0):
        return samples.booleans(*shape, seed=index)
    return {
        "normal": samples.normal,
        "positive": samples.positive,
        "nonzero": samples.nonzero,
    }[row.domain](*shape, seed=index)


def _samples(row: Row) -> list[Sample]:
    differentiable: tuple[int, ...] = ()
    if not isinstance(row.gradient, NotDifferentiable):
        differentiable = tuple(i for i, rule in enumerate(row.gradient) if rule is not None)
    made = [
        Sample(
            tuple(_sample_array(row, index, shape) for index, shape in enumerate(shapes)),
            {},
            differentiable,
        )
        for shapes in _SHAPES[row.arity]
    ]
    if row.takes in ("float", "signed", "number") and row.arity == 1:
        made.append(Sample((_SPECIAL,), {}))
    if row.takes in ("number", "comparable") and row.arity == 2:
        left, right = np.meshgrid(_SPECIAL, _SPECIAL, indexing="ij")
        if row.name not in ("mod", "floor_div"):
            made.append(Sample((left, right), {}))
    if row.takes in ("signed", "number", "comparable", "any"):
        low = -9 if row.domain == "normal" else 1
        first = (samples.booleans(5, 7),) if row.name == "select" else ()
        rest = tuple(
            samples.integers(low, 9, 5, 7, seed=index) for index in range(len(first), row.arity)
        )
        made.append(Sample(first + rest, {}))
    return made


_NAMES = {1: ("x",), 2: ("a", "b"), 3: ("condition", "a", "b")}


def _make(row: Row) -> Operator:
    traits = {"elementwise", "pure"} | ({"commutative"} if row.commutative else set())
    traits |= {row.linear} if row.linear else set()
    traits |= {"picks"} if row.name in ("select", "maximum", "minimum") else set()
    differentiable = not isinstance(row.gradient, NotDifferentiable)
    schema: Mapping[str, Attribute] = {}
    parts: dict[str, Any] = {
        "__doc__": f"Elementwise `{row.name}`.",
        "row": row,
        "name": row.name,
        "operands": _NAMES[row.arity],
        "attributes": schema,
        "traits": frozenset(traits),
        "kernel": None,
        "language": None if row.symbol else row.name,
        "vjp": _differentiate if differentiable else row.gradient,
        "guarded_vjp": _differentiate_guarded if differentiable else None,
    }
    made = type(row.name.title().replace("_", ""), (Elementwise,), parts)()
    assert isinstance(made, Operator)
    return made


OPERATORS: tuple[Operator, ...] = tuple(_make(row) for row in ROWS)
