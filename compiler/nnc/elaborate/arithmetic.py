"""Operators of the language: `+ - * / // % ** @`, comparisons, `and or not in`, indexing.

On compile-time values they compute at once; as soon as a tensor takes part they make a node. A literal adopts the
element type of the tensor beside it; nothing else converts silently.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from nnlang import syntax

from ..dims import Poly, dim_max
from ..graph import FLOATS
from .context import Context
from .values import Tensor, describe, is_dim, is_number, shape_text

NODES = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floor_div", "%": "mod", "**": "pow",
    "==": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
    "and": "logical_and", "or": "logical_or",
}  # fmt: skip

COMPUTE: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
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
        if not isinstance(right, (list, tuple, str)):
            context.fail("N0306", f"`{sign}` needs a list on its right", node.right.span, describe(right))
        return (left in right) == (sign == "in")
    if sign in ("==", "!="):
        return COMPUTE[sign](left, right)
    if sign == "+" and isinstance(left, (list, tuple, str)) and type(left) is type(right):
        return left + right
    if sign == "*" and isinstance(left, (list, tuple)) and isinstance(right, int):
        return left * right
    if not is_number(left) or not is_number(right):
        wrong, part = (left, node.left) if not is_number(left) else (right, node.right)
        context.fail("N0306", f"`{sign}` needs numbers or tensors", part.span, describe(wrong))
    return numbers(context, node, left, right)


def _logic(context: Context, node: syntax.Binary, left: Any, right: Any) -> bool:
    for value, part in ((left, node.left), (right, node.right)):
        if not isinstance(value, bool):
            context.fail("N0306", f"`{node.operator}` needs true or false", part.span, describe(value))
    return (left and right) if node.operator == "and" else (left or right)


def numbers(context: Context, node: syntax.Binary, left: Any, right: Any) -> Any:
    """Arithmetic at compile time: exact on dimensions, as in Python on numbers."""
    sign = node.operator
    symbolic = isinstance(left, Poly) or isinstance(right, Poly)
    try:
        if symbolic and sign in ("/", "**", "<", "<=", ">", ">="):
            context.fail(
                "N0304", f"`{sign}` needs known numbers", node.operator_span,
                f"{left} {sign} {right} is known only when the network is called",
                helps=["use `//` for an exact division of dimensions"] if sign == "/" else [],
            )  # fmt: skip
        if symbolic and (isinstance(left, float) or isinstance(right, float)):
            context.fail("N0304", "a dimension and a fraction do not mix", node.operator_span,
                         f"{left} {sign} {right}")  # fmt: skip
        if isinstance(right, Poly) and sign == "%":
            context.fail("N0304", "`%` by a symbolic dimension is not known", node.operator_span)
        if isinstance(right, Poly) and sign == "//" and isinstance(left, int):
            context.fail("N0304", "a number cannot be divided by a symbolic dimension", node.operator_span)
        result = COMPUTE[sign](left, right)
    except ZeroDivisionError:
        context.fail("N0313", "division by zero", node.operator_span, f"{left} {sign} {right}")
    except OverflowError:
        context.fail("N0313", "the result is too large", node.operator_span)
    except ValueError as error:
        context.fail("N0313", str(error), node.operator_span)
    if isinstance(result, complex):
        context.fail("N0313", "a root of a negative number", node.operator_span, f"{left} {sign} {right}")
    if isinstance(result, int) and abs(result) > 2**62:
        context.fail("N0313", "the number is too large", node.operator_span)
    return result


def literal(context: Context, value: Any, beside: Tensor, sign: str, span: syntax.Span) -> Tensor:
    """A number as a scalar tensor of the element type beside it (f32 where a true division makes one)."""
    dtype = beside.dtype
    if isinstance(value, bool):
        dtype = "bool"
    elif sign in ("/", "**") and dtype not in FLOATS:
        dtype = dtype if sign == "/" and isinstance(value, int) else "f32"
    elif dtype == "bool" and is_number(value):
        context.fail("N0302", f"`{sign}` between bool and {describe(value)}", span, "",
                     helps=["convert the truth values first: `f32(...)`"])  # fmt: skip
    if isinstance(value, float) and dtype not in FLOATS and sign != "/":
        context.fail(
            "N0302", f"a fraction and {beside.dtype} do not mix", span,
            f"{value} would not fit {context.provenance(beside)}",
            helps=["convert the integers first: `f32(...)`"],
        )  # fmt: skip
    if isinstance(value, float) and dtype not in FLOATS:
        dtype = "f32"
    with context.at(span):
        if isinstance(value, Poly):
            made = context.builder.emit("dimension", value=value, dtype=dtype)
        else:
            if dtype == "u8" and isinstance(value, int) and not 0 <= value <= 255:
                context.fail("N0302", f"{value} does not fit u8", span, "",
                             helps=["convert the tensor first: `i32(...)` or `f32(...)`"])  # fmt: skip
            made = context.builder.constant(value, dtype)
    return Tensor(made, span, context.snippet(span))


def tensors(context: Context, node: syntax.Binary, left: Any, right: Any) -> Any:
    sign = node.operator
    if sign not in NODES:
        context.fail("N0306", f"`{sign}` does not work on tensors", node.operator_span)
    for value, part in ((left, node.left), (right, node.right)):
        if not isinstance(value, Tensor) and not is_number(value) and not isinstance(value, bool):
            context.fail("N0306", f"`{sign}` needs numbers or tensors", part.span, describe(value))
    if not isinstance(left, Tensor):
        left = literal(context, left, right, sign, node.left.span)
    if not isinstance(right, Tensor):
        right = literal(context, right, left, sign, node.right.span)
    return apply(context, sign, left, right, node)


def apply(context: Context, sign: str, left: Tensor, right: Tensor, node: syntax.Binary) -> Tensor:
    if left.dtype != right.dtype:
        left, right = _division_types(context, sign, left, right, node)
    if not broadcastable(left.shape, right.shape):
        sides = [
            (node.right.span, _side(context, node.right, right)),
            (node.left.span, _side(context, node.left, left)),
        ]
        context.fail(
            "N0312", f"the two sides of `{sign}` have different shapes", sides[1][0], sides[1][1],
            others=[sides[0]], notes=_library_sides(context, node, left, right, sign),
            helps=_shape_help(left, right),
        )  # fmt: skip
    return context.emit(NODES[sign], left, right, span=node.span, shown=sign)


def _side(context: Context, part: syntax.Expression, tensor: Tensor) -> str:
    """`body: [N, 56, 56, 256]   from `conv_norm(4 * width, 1)`, line 11`."""
    place = context.user_span(tensor.span)
    name = f"{part.text}: " if isinstance(part, syntax.Name) else ""
    return f"{name}{shape_text(tensor.shape)}   from `{context.snippet(place)}`, line {place.line}"


def _library_sides(context: Context, node: syntax.Binary, left: Tensor, right: Tensor, sign: str) -> list[str]:
    if context.user_span(node.span) is node.span:
        return []
    return [f"left of `{sign}`: {context.provenance(left)}", f"right of `{sign}`: {context.provenance(right)}"]


def _shape_help(left: Tensor, right: Tensor) -> list[str]:
    a, b = left.shape, right.shape
    if len(a) == len(b) and a[:-1] == b[:-1]:
        return [f"project one side so that both have {b[-1]} or both have {a[-1]} channels"]
    if len(a) != len(b):
        return ["reshape one side; dimensions meet from the right, and must be equal or 1"]
    return ["dimensions meet from the right, and must be equal or 1"]


def _division_types(
    context: Context, sign: str, left: Tensor, right: Tensor, node: syntax.Binary
) -> tuple[Tensor, Tensor]:
    """True division converts integers to f32; everything else wants equal element types."""
    if sign == "/":
        floats = [t.dtype for t in (left, right) if t.dtype in FLOATS]
        target = floats[0] if floats else "f32"
        if len(set(floats)) <= 1 and "bool" not in (left.dtype, right.dtype):
            return cast(context, left, target), cast(context, right, target)
    context.fail(
        "N0302", f"`{sign}` between {left.dtype} and {right.dtype}", node.left.span,
        context.provenance(left), others=[(node.right.span, context.provenance(right))],
        helps=[f"convert one side: `{left.dtype}(...)` or `{right.dtype}(...)`"],
    )  # fmt: skip


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
            context.fail("N0306", "`@` needs tensors on both sides", part.span, describe(value))
    return context.emit("matmul", left, right, span=node.span, shown="@")


def unary(context: Context, node: syntax.Unary, value: Any) -> Any:
    if node.operator == "not":
        if isinstance(value, bool):
            return not value
        if isinstance(value, Tensor):
            return context.emit("logical_not", value, span=node.span, shown="not")
        context.fail("N0306", "`not` needs true or false", node.operand.span, describe(value))
    if isinstance(value, Tensor):
        return value if node.operator == "+" else context.emit("neg", value, span=node.span, shown="-")
    if not is_number(value):
        context.fail("N0306", f"`{node.operator}` needs a number or a tensor", node.operand.span, describe(value))
    return value if node.operator == "+" else -value


# Indexing

IndexPart = Any  # an evaluated expression, a syntax.Spread, or a `slice` of evaluated parts


def index(context: Context, node: syntax.Index, value: Any, parts: list[IndexPart]) -> Any:
    if isinstance(value, Tensor):
        return _index_tensor(context, node, value, parts)
    if not isinstance(value, (list, tuple)):
        context.fail("N0306", "only tensors, lists and tuples have parts", node.value.span, describe(value))
    if len(parts) != 1:
        context.fail("N0305", "a list takes one index", node.span)
    part = parts[0]
    if isinstance(part, slice):
        return value[part]
    if not isinstance(part, int) or isinstance(part, bool):
        context.fail("N0305", "an index must be an integer", node.items[0].span, describe(part))
    if not -len(value) <= part < len(value):
        context.fail("N0305", f"index {part} is outside {describe(value)}", node.items[0].span)
    return value[part]


def _index_tensor(context: Context, node: syntax.Index, value: Tensor, parts: list[IndexPart]) -> Tensor:
    rank = len(value.shape)
    given = sum(not isinstance(part, syntax.Spread) for part in parts)
    if given > rank or len(parts) - given > 1:
        context.fail("N0305", f"{len(parts)} indices for {rank} axes", node.span, context.provenance(value))
    axes: list[tuple[IndexPart, syntax.Span]] = []
    for part, item in zip(parts, node.items, strict=True):
        if isinstance(part, syntax.Spread):
            axes += [(slice(None), item.span)] * (rank - given)
        else:
            axes.append((part, item.span))
    axes += [(slice(None), node.span)] * (rank - len(axes))
    begin, end, step, kept = [], [], [], []
    for (part, span), size in zip(axes, value.shape, strict=True):
        if isinstance(part, slice):
            first, last, stride = _extent(context, part, size, span)
            kept.append(_count(first, last, stride))
        else:
            first = _position(context, part, size, span)
            last, stride = first + 1, 1
        begin.append(first)
        end.append(last)
        step.append(stride)
    if all(isinstance(p, slice) and p == slice(None) for p, _ in axes):
        return value
    made = context.emit("slice", value, span=node.span, shown="[ ]",
                        begin=tuple(begin), end=tuple(end), step=tuple(step))  # fmt: skip
    if len(kept) != rank:
        made = context.emit("reshape", made, span=node.span, shape=tuple(kept))
    return Tensor(made.value, node.span, context.snippet(node.span))


def _count(first: Any, last: Any, stride: int) -> Any:
    return dim_max((last - first + stride - 1) // stride, 0)


def _position(context: Context, part: Any, size: Any, span: syntax.Span) -> Any:
    if not is_dim(part):
        context.fail("N0305", "an index must be an integer or a slice", span, describe(part))
    negative = isinstance(part, int) and part < 0
    position = size + part if negative else part
    if isinstance(size, int) and isinstance(position, int) and not 0 <= position < size:
        context.fail("N0305", f"index {part} is outside an axis of {size}", span)
    return position


def _extent(context: Context, part: slice, size: Any, span: syntax.Span) -> tuple[Any, Any, int]:
    stride = 1 if part.step is None else part.step
    if not isinstance(stride, int) or stride < 1:
        context.fail("N0305", "the step of a slice must be a positive integer", span, describe(stride))
    bounds = []
    for bound, default in ((part.start, 0), (part.stop, size)):
        if bound is None:
            bounds.append(default)
            continue
        if not is_dim(bound):
            context.fail("N0305", "the ends of a slice must be integers", span, describe(bound))
        position = size + bound if isinstance(bound, int) and bound < 0 else bound
        if isinstance(position, int):
            position = max(position, 0)
            if isinstance(size, int):
                position = min(position, size)
        bounds.append(position)
    return bounds[0], bounds[1], stride
