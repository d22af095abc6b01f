"""Operators of the language: `+ - * / // % ** @`, comparisons, `and or not in`.

On compile-time values they compute at once; as soon as a tensor takes part they make a node. A
literal adopts the element type of the tensor beside it; nothing else converts silently.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NoReturn

from nnlang import syntax

from ..dims import Poly
from ..dtypes import FLOATS, INTEGERS, NARROW
from ..ops.base import ShapeError
from .context import Context
from .operand_mismatch import operand_mismatch, shape_help
from .values import (
    Tensor,
    describe,
    is_dim,
    is_integer,
    is_number,
    shape_text,
    tensor_help,
    written,
)

LARGEST = 2**62  # of whole numbers at compile time
LONGEST = 1_000_000  # of lists at compile time

NODES = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floor_div", "%": "mod", "**": "pow",
    "==": "equal", "!=": "not_equal",
    "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
    "and": "logical_and", "or": "logical_or",
}  # fmt: skip

COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def binary(context: Context, node: syntax.Binary, left: Any, right: Any) -> Any:
    sign = node.operator
    if sign == "@":
        return matmul(context, node, left, right)
    if isinstance(left, Tensor) or isinstance(right, Tensor):
        return tensors(context, node, left, right)
    if sign in ("and", "or"):
        return _logic(context, node, left, right)
    if sign in ("in", "not in"):
        return _contains(context, node, left, right) == (sign == "in")
    if sign in ("==", "!="):
        weighed(context, left, node.left.span)
        weighed(context, right, node.right.span)
        return COMPUTE[sign](left, right)
    if sign == "+" and isinstance(left, (list, tuple, str)) and type(left) is type(right):
        return _lengthened(context, node, left, right)
    if sign == "*" and isinstance(left, (list, tuple)) and is_integer(right):
        return _lengthened(context, node, left, right)
    if not is_number(left) or not is_number(right):
        wrong, part = (left, node.left) if not is_number(left) else (right, node.right)
        message = f"`{sign}` needs numbers or tensors"
        context.fail("N0306", message, part.span, describe(wrong), helps=tensor_help(wrong))
    return numbers(context, node, left, right)


def _contains(context: Context, node: syntax.Binary, left: Any, right: Any) -> bool:
    if isinstance(right, str) and isinstance(left, str):
        return left in right
    if not isinstance(right, (list, tuple)):
        wants = "a text" if isinstance(left, str) else "a list"
        context.fail(
            "N0306",
            f"`{node.operator}` needs {wants} on its right",
            node.right.span,
            describe(right),
        )
    weighed(context, left, node.left.span)
    weighed(context, right, node.right.span)
    return bool(left in right)


def _lengthened(context: Context, node: syntax.Binary, left: Any, right: Any) -> Any:
    length = len(left) * right if isinstance(right, int) else len(left) + len(right)
    if length > LONGEST:
        context.fail(
            "N0313",
            "the text is too long" if isinstance(left, str) else "the list is too long",
            node.operator_span,
            f"{length:,} items, at most {LONGEST:,}",
        )
    return weighed(context, COMPUTE[node.operator](left, right), node.span)


def weighed(context: Context, value: Any, span: syntax.Span) -> Any:
    """A value, whose lists are counted as the work of making, comparing or printing them: a list
    that holds another one twice holds all of it twice.
    """
    if isinstance(value, str):
        context.spend(len(value) // 256, span)
        return value
    total = 0
    pending = [value] if isinstance(value, (list, tuple)) else []
    while pending:
        items = pending.pop()
        total += len(items)
        if total > LONGEST:
            context.fail("N0313", "the list is too long", span, f"at most {LONGEST:,} items in all")
        pending += [item for item in items if isinstance(item, (list, tuple))]
    context.spend(total // 16, span)
    return value


def _logic(context: Context, node: syntax.Binary, left: Any, right: Any) -> bool:
    for value, part in ((left, node.left), (right, node.right)):
        if not isinstance(value, bool):
            context.fail(
                "N0306", f"`{node.operator}` needs true or false", part.span, describe(value)
            )
    return bool(left and right if node.operator == "and" else left or right)


def numbers(context: Context, node: syntax.Binary, left: Any, right: Any) -> Any:
    """Arithmetic at compile time: exact on dimensions, as in Python on numbers."""
    sign = node.operator

    def shown() -> str:
        return f"{left} {sign} {right}"

    if isinstance(left, Poly) or isinstance(right, Poly):
        _check_symbolic(context, node, left, right, shown)
    elif sign == "**" and _power_too_large(left, right):
        context.fail("N0313", "the result is too large", node.operator_span, shown())
    try:
        result = COMPUTE[sign](left, right)
    except ZeroDivisionError:
        context.fail("N0313", "division by zero", node.operator_span, shown())
    except OverflowError:
        context.fail("N0313", "the result is too large", node.operator_span, shown())
    except ValueError:
        context.fail(
            "N0313",
            f"{left} cannot be divided by {right} exactly",
            node.operator_span,
            "known only when the network is called",
        )
    if isinstance(result, complex):
        context.fail("N0313", "a root of a negative number", node.operator_span, shown())
    if isinstance(result, int) and abs(result) > LARGEST:
        context.fail("N0313", "the number is too large", node.operator_span, shown())
    if isinstance(result, Poly) and not _is_small(result):
        context.fail(
            "N0313",
            "the dimension is too complicated",
            node.operator_span,
            "a polynomial of many terms",
        )
    return result


def _check_symbolic(
    context: Context, node: syntax.Binary, left: Any, right: Any, shown: Callable[[], str]
) -> None:
    """What arithmetic with a symbolic dimension has an exact result."""
    sign = node.operator

    def later() -> str:
        return f"{shown()} is known only when the network is called"

    if sign in ("/", "**", "<", "<=", ">", ">="):
        helps = ["use `//` for an exact division of dimensions"] if sign == "/" else []
        context.fail(
            "N0304",
            f"`{sign}` needs numbers known when compiling",
            node.operator_span,
            later(),
            helps=helps,
        )
    if isinstance(left, float) or isinstance(right, float):
        context.fail("N0304", "a dimension and a fraction do not mix", node.operator_span, later())
    if isinstance(right, Poly) and (sign == "%" or (sign == "//" and not isinstance(left, Poly))):
        context.fail(
            "N0304",
            f"`{sign}` by a dimension needs it known when compiling",
            node.operator_span,
            later(),
        )
    if isinstance(right, int) and right < 1 and sign in ("//", "%"):
        context.fail(
            "N0313", "a dimension is divided by a number below 1", node.operator_span, shown()
        )


def _power_too_large(base: Any, exponent: Any) -> bool:
    if not isinstance(base, int) or not isinstance(exponent, int) or exponent < 0:
        return False
    return abs(base).bit_length() * exponent > 64 and abs(base) > 1


def _is_small(dim: Poly) -> bool:
    terms = dim.terms
    return len(terms) <= 100 and all(len(m) <= 16 for m, _ in terms) and dim.size <= 1000


RANGES = {
    "u8": (0, 255),
    "i32": (-(2**31), 2**31 - 1),
    "i64": (-(2**63), 2**63 - 1),
    "bool": (False, True),
    "f32": (-3.4028234e38, 3.4028234e38),
    "bf16": (-3.3895313e38, 3.3895313e38),
    "f64": (-math.inf, math.inf),
}


def as_tensor(context: Context, value: Any, dtype: str, span: syntax.Span) -> Tensor:
    """A compile-time number or truth value as a scalar tensor of a type that can hold it."""
    check_element(context, value, dtype, span)
    with context.at(span):
        if isinstance(value, Poly):
            made = context.builder.emit("dimension", value=value, dtype=dtype)
        else:
            made = context.builder.constant(value, dtype)
    return Tensor(made, span, context.snippet(span))


def check_element(context: Context, value: Any, dtype: str, span: syntax.Span) -> None:
    """Fail where a compile-time value cannot be an element of a type."""
    if not is_number(value) and not isinstance(value, bool):
        context.fail("N0306", "a number or a tensor is needed", span, describe(value))
    if dtype == "bool" and not isinstance(value, bool):
        context.fail("N0302", "true or false is needed", span, describe(value))
    if isinstance(value, Poly):
        return
    low, high = RANGES[dtype]
    whole = isinstance(value, int) or value.is_integer()
    if not low <= value <= high or (dtype in (*INTEGERS, "bool") and not whole):
        kind = "whole numbers" if dtype in (*INTEGERS, "bool") else "numbers"
        helps = ["convert the tensor beside it first: `f32(...)`"] if dtype not in FLOATS else []
        context.fail(
            "N0302",
            f"{written(value)} does not fit {dtype}",
            span,
            f"{dtype} holds {kind} from {low} to {high}",
            helps=helps,
        )


def literal(context: Context, value: Any, beside: Tensor, sign: str, span: syntax.Span) -> Tensor:
    """A number as a scalar tensor of the element type beside it (f32 where a true division makes
    one).
    """
    return as_tensor(context, value, literal_type(context, value, beside, sign, span), span)


def literal_type(context: Context, value: Any, beside: Tensor, sign: str, span: syntax.Span) -> str:
    """The element type that a number takes beside a tensor."""
    dtype = beside.dtype
    if isinstance(value, bool):
        return "bool"
    if sign in ("/", "**") and dtype not in FLOATS:
        dtype = dtype if sign == "/" and is_dim(value) else "f32"
    if dtype == "bool":
        context.fail(
            "N0302",
            f"`{sign}` between bool and {describe(value)}",
            span,
            f"beside {context.provenance(beside)}",
            helps=["convert the truth values first: `f32(...)`"],
        )
    if isinstance(value, float) and dtype not in FLOATS:
        context.fail(
            "N0302",
            f"`{sign}` between {dtype} and a fraction",
            span,
            f"{value} beside {context.provenance(beside)}",
            helps=["convert the integers first: `f32(...)`"],
        )
    return dtype


def tensors(context: Context, node: syntax.Binary, left: Any, right: Any) -> Any:
    sign = node.operator
    if sign not in NODES:
        context.fail("N0306", f"`{sign}` does not work on tensors", node.operator_span)
    for value, part in ((left, node.left), (right, node.right)):
        if not isinstance(value, Tensor) and not is_number(value) and not isinstance(value, bool):
            message = f"`{sign}` needs numbers or tensors"
            context.fail("N0306", message, part.span, describe(value), helps=tensor_help(value))
        if isinstance(value, Tensor) and value.dtype in NARROW:
            context.fail(
                "N0302",
                f"`{sign}` does not compute with {value.dtype}",
                part.span,
                describe(value),
                helps=[f"convert it first: `f32({context.snippet(part.span)})`"],
            )
    if not isinstance(left, Tensor):
        left = literal(context, left, right, sign, node.left.span)
    if not isinstance(right, Tensor):
        right = literal(context, right, left, sign, node.right.span)
    return apply(context, sign, left, right, node)


def apply(context: Context, sign: str, left: Tensor, right: Tensor, node: syntax.Binary) -> Tensor:
    if left.dtype != right.dtype:
        left, right = _division_types(context, sign, left, right, node)
    if not broadcastable(left.shape, right.shape):
        message = f"the two sides of `{sign}` have different shapes"
        operand_mismatch(
            context, "N0312", message, node, left, right, shape_help(context, node, left, right)
        )
    if left.dtype == "u8" and sign in ("+", "-", "*"):
        _would_wrap(context, node, left)
    texts = (context.snippet(node.left.span), context.snippet(node.right.span))
    meets_rows(context, f"`{sign}`", left, right, node.span, texts)
    return context.emit(NODES[sign], left, right, span=node.span, shown=sign)


def _would_wrap(context: Context, node: syntax.Binary, left: Tensor) -> NoReturn:
    first, second = (
        context.snippet(part.span) if _is_literal(part) else f"f32({context.snippet(part.span)})"
        for part in (node.left, node.right)
    )
    context.fail(
        "N0302",
        f"`{node.operator}` of u8 would wrap around",
        node.operator_span,
        "u8 holds whole numbers from 0 to 255",
        notes=[f"left of `{node.operator}`: {context.provenance(left)}"],
        helps=[f"convert it first: `{first} {node.operator} {second}`"],
    )


def _is_literal(node: syntax.Expression) -> bool:
    if isinstance(node, syntax.Unary):
        return _is_literal(node.operand)
    return isinstance(node, (syntax.Number, syntax.List))


def meets_rows(
    context: Context,
    what: str,
    a: Tensor,
    b: Tensor,
    span: syntax.Span,
    texts: tuple[str, str] = ("...", "..."),
) -> None:
    """Predictions [N, 1] beside targets [N] would spread to [N, N] without a word: an open
    dimension meets itself on another axis.
    """
    for left, right, (wide, name) in ((a, b, texts), (b, a, texts[::-1])):
        rows = right.shape[-1] if right.shape else None
        if (
            isinstance(rows, Poly)
            and len(left.shape) > len(right.shape)
            and left.shape[-1] == 1
            and rows in left.shape[: -len(right.shape)]
        ):
            whole = ", ".join(str(dim) for dim in (*right.shape, 1))
            context.fail(
                "N0312",
                f"{what} of {shape_text(left.shape)} and {shape_text(right.shape)} would give each "
                f"of the {rows} rows with each other",
                span,
                notes=[
                    f"one side is {context.provenance(left)}",
                    f"the other is {context.provenance(right)}",
                ],
                helps=[
                    f"take away the last axis of one: `sum({wide}, -1)`",
                    f"or give it to the other: `reshape({name}, ({whole}))`",
                ],
            )


def _division_types(
    context: Context, sign: str, left: Tensor, right: Tensor, node: syntax.Binary
) -> tuple[Tensor, Tensor]:
    """True division converts integers to f32; everything else wants equal element types."""
    if sign == "/":
        floats = [t.dtype for t in (left, right) if t.dtype in FLOATS]
        target = floats[0] if floats else "f32"
        if len(set(floats)) <= 1 and "bool" not in (left.dtype, right.dtype):
            return cast(context, left, target), cast(context, right, target)
    message = f"`{sign}` between {left.dtype} and {right.dtype}"
    types = (left.dtype, right.dtype)
    wider = next(d for d in ("f64", "f32", "i64", "i32", "u8") if d in types)
    logical = sign in ("and", "or")
    narrow = node.right if left.dtype == ("bool" if logical else wider) else node.left
    text = narrow.text if isinstance(narrow, syntax.Name) else "..."
    helps = [f"convert one side: `{wider}({text})`"]
    if logical:
        helps = [f"compare first: `{text} != 0`"]
    elif wider == "u8" and sign in ("+", "-", "*"):  # which would wrap around
        first, second = (context.snippet(part.span) for part in (node.left, node.right))
        helps = [f"convert both sides: `f32({first}) {sign} f32({second})`"]
    operand_mismatch(context, "N0302", message, node, left, right, helps, dtype=True)


def cast(context: Context, tensor: Tensor, dtype: str) -> Tensor:
    if tensor.dtype == dtype:
        return tensor
    made = context.emit("cast", tensor, span=tensor.span, dtype=dtype)
    return Tensor(made.value, tensor.span, tensor.text)


def broadcastable(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return all(x == y or x == 1 or y == 1 for x, y in zip(reversed(a), reversed(b), strict=False))


def matmul(context: Context, node: syntax.Binary, left: Any, right: Any) -> Tensor:
    for value, part in ((left, node.left), (right, node.right)):
        if not isinstance(value, Tensor):
            message = "`@` needs tensors on both sides"
            context.fail("N0306", message, part.span, describe(value), helps=tensor_help(value))
    try:
        with context.at(node.span):
            made = context.builder.emit("matmul", left.value, right.value)
    except ShapeError as error:
        if error.code == "N0302":
            message = f"`@` between {left.dtype} and {right.dtype}"
        else:
            message = "the two sides of `@` do not fit"
            if len(left.shape) > 1 and len(right.shape) > 1:
                columns, rows = left.shape[-1], right.shape[-2]
                message += f": {columns} columns on the left, {rows} rows on the right"
        helps = [error.help] if error.help else []
        operand_mismatch(
            context, error.code, message, node, left, right, helps, dtype=error.code == "N0302"
        )
    return Tensor(made, node.span, context.snippet(node.span))


def unary(context: Context, node: syntax.Unary, value: Any) -> Any:
    if node.operator == "not":
        if isinstance(value, bool):
            return not value
        if isinstance(value, Tensor):
            return context.emit("logical_not", value, span=node.span, shown="not")
        context.fail("N0306", "`not` needs true or false", node.operand.span, describe(value))
    if isinstance(value, Tensor):
        return (
            value if node.operator == "+" else context.emit("neg", value, span=node.span, shown="-")
        )
    if not is_number(value):
        context.fail(
            "N0306",
            f"`{node.operator}` needs a number or a tensor",
            node.operand.span,
            describe(value),
        )
    return value if node.operator == "+" else -value
