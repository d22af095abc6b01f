"""Lists where a tensor is wanted: `(image - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]`.

Takes a list of numbers, or of such lists of equal lengths; gives a tensor of that shape. Dimensions
and scalar tensors count as numbers. Between themselves lists stay lists.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from nnlang import syntax

from ..dims import Poly
from ..dtypes import DTYPES
from ..graph import Type, Value
from .arithmetic import as_tensor, check_element, literal_type
from .context import Context
from .values import Tensor, describe

MOST_AXES = 8


def operands(context: Context, node: syntax.Binary, left: Any, right: Any) -> tuple[Any, Any]:
    """The two sides of an operator: a list beside a tensor becomes one, and so do both sides of
    `@`.
    """
    sign = node.operator
    if sign in ("in", "not in"):
        return left, right
    if isinstance(left, list) and (isinstance(right, Tensor) or sign == "@"):
        left = beside(context, left, right, sign, node.left.span)
    if isinstance(right, list) and isinstance(left, Tensor):
        right = beside(context, right, left, sign, node.right.span)
    return left, right


def beside(context: Context, value: Any, other: Any, sign: str, span: syntax.Span) -> Any:
    """A list with the element type that its numbers take beside a tensor; anything else as it
    is.
    """
    if not isinstance(value, list):
        return value
    numbers = [item for item in _items(value) if not isinstance(item, Tensor)]
    if not isinstance(other, Tensor) or not numbers:
        return tensor_of(context, value, None, span)
    fractions = [item for item in numbers if isinstance(item, float)]
    dtype = literal_type(context, (fractions or numbers)[0], other, sign, span)
    return tensor_of(context, value, dtype, span)


def alone(context: Context, value: Any, span: syntax.Span, dtype: str | None = None) -> Any:
    """A list as a tensor, of f32 (of bool where it holds truth values) if no type is asked for;
    anything else as it is.
    """
    return tensor_of(context, value, dtype, span) if isinstance(value, list) else value


def holds_numbers(value: Any) -> bool:
    """Whether a list holds numbers known when compiling, and nothing else."""
    return isinstance(value, list) and all(
        isinstance(item, (int, float, Poly)) and not isinstance(item, bool) for item in value
    )


def tensor_of(context: Context, value: list[Any], dtype: str | None, span: syntax.Span) -> Tensor:
    """A list as a tensor of an element type, or of the one that its items ask for."""
    shape = _shape(context, value, span, 0)
    items = _items(value)
    dtype = dtype or _type_of(items)
    for item in items:
        _check_item(context, item, dtype, span)
    with context.at(span):
        if any(isinstance(item, (Tensor, Poly)) for item in items):
            made = _joined(context, items, Type(dtype, shape), span)
        else:
            made = context.builder.constant(np.array(value, DTYPES[dtype]), dtype)
    return Tensor(made, span, context.snippet(span))


def _type_of(items: list[Any]) -> str:
    for item in items:
        if isinstance(item, Tensor):
            return item.dtype
    return "bool" if all(isinstance(item, bool) for item in items) else "f32"


def _joined(context: Context, items: list[Any], type: Type, span: syntax.Span) -> Value:
    """Scalars known only when the network is called, side by side."""
    parts = []
    for item in items:
        scalar = item if isinstance(item, Tensor) else as_tensor(context, item, type.dtype, span)
        parts.append(context.builder.emit("reshape", scalar.value, shape=(1,)))
    joined = context.builder.emit("concat", *parts, axis=0)
    return context.builder.emit("reshape", joined, shape=type.shape)


def _items(value: Any) -> list[Any]:
    """What a list and the lists in it hold."""
    if not isinstance(value, list):
        return [value]
    return [item for part in value for item in _items(part)]


def _shape(context: Context, value: Any, span: syntax.Span, depth: int) -> tuple[int, ...]:
    """The shape that a list has. Fails where the lists in it differ."""
    if not isinstance(value, list):
        return ()
    if not value:
        context.fail("N0306", "an empty list is no tensor", span, "holds no numbers")
    if depth == MOST_AXES:
        context.fail("N0306", f"a tensor has at most {MOST_AXES} axes", span, "too many lists")
    shapes = [_shape(context, item, span, depth + 1) for item in value]
    for index, shape in enumerate(shapes):
        if shape != shapes[0]:
            first, other = (_in_words(value[at], shapes[at]) for at in (0, index))
            context.fail(
                "N0306",
                "this list is ragged, so it is no tensor",
                span,
                f"its first item is {first}, item {index + 1} is {other}",
                helps=["give the lists inside it equal lengths"],
            )
    return (len(value), *shapes[0])


def _in_words(value: Any, shape: tuple[int, ...]) -> str:
    if not shape:
        return describe(value)
    return f"a list of {shape[0]}" if len(shape) == 1 else f"a list of shape {list(shape)}"


def _check_item(context: Context, item: Any, dtype: str, span: syntax.Span) -> None:
    """Fail where an item of a list is neither a number that the element type holds nor a scalar."""
    if isinstance(item, Tensor):
        if item.shape != ():
            context.fail(
                "N0306",
                "a list of tensors is no tensor",
                span,
                f"it holds {context.provenance(item)}",
                helps=["put tensors side by side: `concat(a, b, axis = 0)`"],
            )
        if item.dtype != dtype:
            words = f"a list of {dtype} holds one number of {item.dtype}"
            helps = [f"convert it: `{dtype}(...)`"]
            context.fail("N0302", words, span, context.provenance(item), helps=helps)
        return
    if not isinstance(item, (bool, int, float, Poly)):
        helps = ["write the inner ones in square brackets too: `[[1, 2], [3, 4]]`"]
        context.fail(
            "N0306",
            "only a list of numbers is a tensor",
            span,
            f"it holds {describe(item)}",
            helps=helps if isinstance(item, tuple) else [],
        )
    if isinstance(item, bool) and dtype != "bool":
        context.fail("N0302", "a list holds numbers or truth values", span, "it holds both")
    check_element(context, item, dtype, span)
