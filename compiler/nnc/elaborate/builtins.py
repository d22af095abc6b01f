"""The functions every file sees without `use`, beside the blocks of the prelude.

Mathematics works on numbers (at once) and on tensors (as a node); the rest asks for shapes, builds
tensors or lists. `op.<name>` gives every operator of the compiler that is open to the language,
under its own name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from nnlang import syntax

from ..dims import Poly, dim_max, product
from ..dtypes import INTEGERS
from ..ops import all_operators
from ..ops.base import Operator
from ..ops.elementwise import sigmoid
from . import arithmetic, tensor_functions
from .arithmetic import LARGEST, LONGEST
from .calls import argument_helps
from .context import Context
from .functions import function, numbers_of, tensor
from .lists import alone, beside
from .values import (
    Arguments,
    Builtin,
    Namespace,
    Tensor,
    describe,
    is_integer,
    is_number,
    tensor_help,
    written,
)

# Mathematics

NUMBERS: dict[str, Callable[[float], Any]] = {
    "exp": math.exp, "log": math.log, "log1p": math.log1p, "sqrt": math.sqrt, "abs": abs,
    "sin": math.sin, "cos": math.cos, "tanh": math.tanh, "erf": math.erf,
    "floor": math.floor, "ceil": math.ceil, "round": round,
    "expm1": math.expm1, "square": lambda x: x * x, "sign": lambda x: (x > 0) - (x < 0),
    "sigmoid": lambda x: sigmoid(np.asarray(x)).item(), "rsqrt": lambda x: 1 / math.sqrt(x),
}  # fmt: skip


def _mathematics(name: str) -> Builtin:
    @function(name, "x")
    def run(context: Context, span: syntax.Span, x: Any) -> Any:
        x = alone(context, x, span)
        if isinstance(x, Tensor):
            return context.emit(name, x, span=span)
        if isinstance(x, Poly) or not is_number(x):
            message = f"`{name}` needs a number or a tensor"
            context.fail("N0306", message, span, describe(x), helps=tensor_help(x))
        try:
            found = NUMBERS[name](x)
        except (ValueError, OverflowError, ZeroDivisionError):
            context.fail("N0313", f"`{name}` has no value at {x}", span)
        return whole(context, found, span)

    return run


def _extreme(name: str, node: str, choose: Callable[..., Any]) -> Builtin:
    @function(name, "a", "b")
    def run(context: Context, span: syntax.Span, a: Any, b: Any) -> Any:
        a, b = _listed(context, name, a, b, span)
        if not isinstance(a, Tensor) and not isinstance(b, Tensor):
            if not is_number(a) or not is_number(b):
                wrong = b if is_number(a) else a
                message = f"`{name}` needs numbers or tensors"
                context.fail("N0306", message, span, describe(wrong), helps=tensor_help(wrong))
            if isinstance(a, Poly) or isinstance(b, Poly):
                return _extreme_dim(context, span, name, a, b)
            return choose(a, b)
        left, right = _pair(context, name, a, b, span)
        return context.emit(node, left, right, span=span, shown=name)

    return run


def whole(context: Context, value: Any, span: syntax.Span) -> Any:
    """A result of compile-time arithmetic that is not too large."""
    if isinstance(value, int) and abs(value) > LARGEST:
        context.fail("N0313", "the number is too large", span, "more than 2 ** 62")
    return value


def _extreme_dim(context: Context, span: syntax.Span, name: str, a: Any, b: Any) -> Any:
    if isinstance(a, int):
        a, b = b, a
    if name == "max" and isinstance(b, int):
        return dim_max(a, b)
    context.fail(
        "N0304",
        f"`{name}` needs numbers known when compiling",
        span,
        f"{a} and {b} are known only when the network is called",
    )


def _listed(context: Context, name: str, a: Any, b: Any, span: syntax.Span) -> tuple[Any, Any]:
    """Two operands, a list among them as a tensor."""
    a = beside(context, a, b, name, span)
    return a, beside(context, b, a, name, span)


def _pair(context: Context, name: str, a: Any, b: Any, span: syntax.Span) -> tuple[Tensor, Tensor]:
    """Two operands of which one is a tensor, as tensors of one element type."""
    for value in (a, b):
        if not isinstance(value, Tensor) and not is_number(value) and not isinstance(value, bool):
            context.fail("N0306", f"`{name}` needs numbers or tensors", span, describe(value))
    if not isinstance(a, Tensor):
        a = arithmetic.literal(context, a, b, name, span)
    if not isinstance(b, Tensor):
        b = arithmetic.literal(context, b, a, name, span)
    arithmetic.meets_rows(context, f"`{name}`", a, b, span)
    return a, b


@function("select", "condition", "a", "b")
def select(context: Context, span: syntax.Span, chosen: Any, a: Any, b: Any) -> Any:
    if isinstance(chosen, bool):
        return a if chosen else b
    chosen = tensor(context, chosen, "select", span)
    if chosen.dtype != "bool":
        context.fail(
            "N0302",
            "`select` needs a condition of truth values",
            span,
            f"condition: {context.provenance(chosen)}",
            helps=["compare: `select(x > 0, a, b)`"],
        )
    a, b = _listed(context, "select", a, b, span)
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        a = arithmetic.as_tensor(context, a, "f32", span)
    a, b = _pair(context, "select", a, b, span)
    for side in (a, b):
        arithmetic.meets_rows(context, "`select`", chosen, side, span)
    return context.emit("select", chosen, a, b, span=span)


# Shapes and lists


@function("shape", "x", of_tensors=False)
def shape(context: Context, span: syntax.Span, x: Any) -> Any:
    return tuple(tensor(context, x, "shape", span).shape)


@function("rank", "x", of_tensors=False)
def rank(context: Context, span: syntax.Span, x: Any) -> Any:
    if isinstance(x, tuple):
        return len(x)
    return len(tensor(context, x, "rank", span).shape)


@function("len", "items", of_tensors=False)
def length(context: Context, span: syntax.Span, items: Any) -> Any:
    if not isinstance(items, (list, tuple, str)):
        context.fail(
            "N0306",
            "`len` needs a list",
            span,
            describe(items),
            helps=["`shape(x)` gives the dimensions of a tensor"],
        )
    return len(items)


@function("range", "start", ("stop", None), ("step", 1), of_tensors=False)
def range_(context: Context, span: syntax.Span, start: Any, stop: Any, step: Any) -> Any:
    if stop is None:
        start, stop = 0, start
    wrong = [value for value in (start, stop, step) if not is_integer(value)]
    if wrong:
        code = "N0304" if isinstance(wrong[0], Poly) else "N0306"
        context.fail(code, "`range` needs known whole numbers", span, describe(wrong[0]))
    if step == 0:
        context.fail("N0306", "the step of `range` must not be 0", span)
    if len(range(start, stop, step)) > LONGEST:
        context.fail("N0313", "the list is too long", span, f"at most {LONGEST:,} items")
    return list(range(start, stop, step))


@function("product", "items", of_tensors=False)
def product_(context: Context, span: syntax.Span, items: Any) -> Any:
    found = numbers_of(context, items, "product", span)
    floats = any(isinstance(item, float) for item in found)
    result = math.prod(found) if floats else product(found)
    return whole(context, result, span)


@function("text", "value", of_tensors=False)
def text(context: Context, span: syntax.Span, value: Any) -> Any:
    """A value in words, for the message of an `assert`."""
    if isinstance(value, str):
        return value
    return describe(value) if isinstance(value, Tensor) else written(value)


@function("is_tensor", "x", of_tensors=False)
def is_tensor(context: Context, span: syntax.Span, x: Any) -> Any:
    return isinstance(x, Tensor)


@function("is_list", "x", of_tensors=False)
def is_list(context: Context, span: syntax.Span, x: Any) -> Any:
    return isinstance(x, (list, tuple))


@function("is_number", "x", of_tensors=False)
def is_number_(context: Context, span: syntax.Span, x: Any) -> Any:
    return is_number(x) and not isinstance(x, Poly)


@function("is_integer", "x", of_tensors=False)
def is_integer_(context: Context, span: syntax.Span, x: Any) -> Any:
    """Whether the elements of a tensor are whole numbers; whether a value is one, known when
    compiling.
    """
    return x.dtype in INTEGERS if isinstance(x, Tensor) else is_integer(x)


@function("is_text", "x", of_tensors=False)
def is_text(context: Context, span: syntax.Span, x: Any) -> Any:
    return isinstance(x, str)


@function("int", "x", of_tensors=False)
def int_(context: Context, span: syntax.Span, x: Any) -> Any:
    if not is_number(x):
        context.fail(
            "N0306",
            "`int` needs a number",
            span,
            describe(x),
            helps=["convert a tensor with its element type: `i32(x)`"],
        )
    if isinstance(x, float) and not math.isfinite(x):
        context.fail("N0313", f"{x} has no whole part", span)
    return x if isinstance(x, Poly) else whole(context, int(x), span)


# Operators under their own names


def _operator(op: Operator) -> Builtin:
    """`op.conv2d(x, weight, stride = (1, 1))`: tensors first, then attributes by name."""
    name = f"op.{op.name}"
    shown = f"{name}({', '.join((*op.operands, *op.attributes))})"

    def run(context: Context, given: Arguments) -> Any:
        assert given.span is not None
        first = next((value for value, _ in given.positional if isinstance(value, Tensor)), None)
        listed = [
            (beside(context, value, first, name, place), place) for value, place in given.positional
        ]
        operands = [tensor(context, value, name, place) for value, place in listed]
        for key, (_, place) in given.named.items():
            if key not in op.attributes:
                context.fail(
                    "N0402",
                    f"`{name}` has no argument `{key}`",
                    given.keys.get(key, place),
                    "not known",
                    notes=[f"`{shown}`"],
                    helps=argument_helps(key, tuple(op.attributes)),
                )
        attributes = {key: value for key, (value, _) in given.named.items()}
        variadic = bool(op.operands) and op.operands[-1].startswith("*")
        if len(operands) != len(op.operands) and not variadic:
            context.fail(
                "N0401",
                f"`{name}` takes {len(op.operands)} tensors",
                given.span,
                f"found {len(operands)}",
                notes=[f"`{shown}`"],
            )
        results = context.emit_all(op.name, operands, given.span, name, **attributes)
        return results[0] if len(results) == 1 else results

    needs = [(operand.lstrip("*"), True) for operand in op.operands]
    needs += [(attribute, False) for attribute in op.attributes]
    return Builtin(name, run, shown, needs=tuple(needs) if op.operands else ())


HIDDEN = ("constant", "dimension", "random_uniform", "random_normal", "orthogonal")


def builtins() -> dict[str, Any]:
    """Every builtin by name."""
    table: dict[str, Any] = {name: _mathematics(name) for name in NUMBERS}
    table["max"] = _extreme("max", "maximum", max)
    table["min"] = _extreme("min", "minimum", min)
    for made in (
        select, shape, rank, length, range_, product_, text, int_,
        is_tensor, is_number_, is_list, is_integer_, is_text,
    ):  # fmt: skip
        table[made.name] = made
    table.update(tensor_functions.functions())
    table["pi"] = math.pi
    operators = {op.name: _operator(op) for op in all_operators() if op.name not in HIDDEN}
    table["op"] = Namespace("op", operators)
    return table
