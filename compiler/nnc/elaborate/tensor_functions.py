"""Functions on tensors: reductions, movement, random numbers, conversions."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from nnlang import syntax

from ..dims import Poly, exact_quotient, lower_bound, product
from ..dtypes import DTYPES, INTEGERS
from . import arithmetic
from .context import Context
from .functions import REQUIRED, bind, function, numbers_of, setting, tensor
from .lists import alone, beside, holds_numbers
from .values import (
    Arguments,
    Builtin,
    Tensor,
    describe,
    is_dim,
    is_integer,
    is_number,
    shape_text,
    written,
)


def axes_of(
    context: Context, name: str, axes: Any, x: Tensor, span: syntax.Span
) -> tuple[int, ...]:
    """Axes given as nothing (all), an integer or a list, as sorted non-negative numbers."""
    count = len(x.shape)
    if axes is None:
        return tuple(range(count))
    found = []
    for axis in list(axes) if isinstance(axes, (list, tuple)) else [axes]:
        if not is_integer(axis):
            context.fail(
                "N0305", f"an axis of `{name}` must be a whole number", span, describe(axis)
            )
        if not -count <= axis < count:
            context.fail(
                "N0305",
                f"`{name}` has no axis {axis}: the tensor has {count} axes",
                span,
                notes=[f"it is {context.provenance(x)}"],
                helps=[f"axes are counted from 0 to {count - 1}, or from the end with -1"]
                if count
                else [],
            )
        found.append(axis % count)
    if len(set(found)) != len(found):
        context.fail("N0305", f"an axis of `{name}` is named twice", span, written(axes))
    return tuple(sorted(found))


def one_axis(context: Context, name: str, axis: Any, x: Tensor, span: syntax.Span) -> int:
    if isinstance(axis, (list, tuple)) or axis is None:
        context.fail("N0305", f"`{name}` takes one axis", span, describe(axis))
    return axes_of(context, name, axis, x, span)[0]


def _flag(context: Context, value: Any, name: str, key: str, span: syntax.Span) -> bool:
    if not isinstance(value, bool):
        context.fail("N0404", f"`{key}` of `{name}` must be true or false", span, describe(value))
    return value


def _total(context: Context, items: Any, span: syntax.Span) -> Any:
    total: Any = 0
    for item in numbers_of(context, items, "sum", span):
        total = total + item
    return total


def _is_symbolic(value: Any) -> bool:
    return isinstance(value, Poly)


def _of_numbers(context: Context, name: str, items: list[Any], span: syntax.Span) -> Any:
    """A list of numbers as one number, known when compiling."""
    if name == "reduce_max":
        return max(items)
    if name == "reduce_min":
        return min(items)
    total = _total(context, items, span)
    return total if name == "sum" else total / len(items)


def _reduction(name: str, node: str) -> Builtin:
    @function(name, "x", ("axes", None), ("keep", False))
    def run(context: Context, span: syntax.Span, x: Any, axes: Any, keep: Any) -> Any:
        if axes is None and keep is False:
            if name == "sum" and (isinstance(x, tuple) or x == []):
                return _total(context, x, span)
            if holds_numbers(x) and x and (name == "sum" or not any(map(_is_symbolic, x))):
                return _of_numbers(context, name, x, span)
        x = tensor(context, x, name, span)
        if x.dtype == "bool" and node in ("reduce_sum", "reduce_mean"):
            x = arithmetic.cast(context, x, "f32")
        found = axes_of(context, name, axes, x, span)
        keepdims = _flag(context, keep, name, "keep", span)
        if not found:
            return x
        return context.emit(node, x, span=span, shown=name, axes=found, keepdims=keepdims)

    return run


@function("argmax", "x", ("axis", -1), ("keep", False))
def argmax(context: Context, span: syntax.Span, x: Any, axis: Any, keep: Any) -> Any:
    x = tensor(context, x, "argmax", span)
    at = one_axis(context, "argmax", axis, x, span)
    keepdims = _flag(context, keep, "argmax", "keep", span)
    return context.emit("argmax", x, span=span, axis=at, keepdims=keepdims)


def _dims(context: Context, value: Any, name: str, span: syntax.Span) -> tuple[Any, ...]:
    listed = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not all(is_dim(item) for item in listed):
        context.fail("N0306", f"`{name}` needs a list of dimensions", span, describe(value))
    return listed


@function("reshape", "x", "shape")
def reshape(context: Context, span: syntax.Span, x: Any, shape: Any) -> Any:
    x = tensor(context, x, "reshape", span)
    dims = list(_dims(context, shape, "reshape", span))
    holes = [i for i, dim in enumerate(dims) if is_integer(dim) and dim == -1]
    if len(holes) > 1:
        context.fail(
            "N0301", "only one dimension of `reshape` can be -1", span, shape_text(tuple(dims))
        )
    if holes:
        rest = product(tuple(dim for i, dim in enumerate(dims) if i != holes[0]))
        size = exact_quotient(product(x.shape), rest)
        if size is None or lower_bound(size) < 0:
            context.fail(
                "N0301",
                f"{shape_text(x.shape)} does not fit into {shape_text(tuple(dims))}: "
                f"{product(x.shape)} elements are no multiple of {rest}",
                span,
                notes=[f"it is {context.provenance(x)}"],
            )
        dims[holes[0]] = size
    return context.emit("reshape", x, span=span, shape=tuple(dims))


@function("broadcast", "x", "shape")
def broadcast(context: Context, span: syntax.Span, x: Any, shape: Any) -> Any:
    dims = _dims(context, shape, "broadcast", span)
    x = tensor(context, x, "broadcast", span)
    return context.emit("broadcast_to", x, span=span, shown="broadcast", shape=dims)


@function("transpose", "x", ("axes", None))
def transpose(context: Context, span: syntax.Span, x: Any, axes: Any) -> Any:
    x = tensor(context, x, "transpose", span)
    count = len(x.shape)
    listed = list(range(count))[::-1] if axes is None else axes
    order: list[int] = []
    if isinstance(listed, (list, tuple)):
        order = [a % count for a in listed if is_integer(a) and -count <= a < count]
    if len(order) != count or len(listed) != count or len(set(order)) != count:
        context.fail(
            "N0305",
            f"`transpose` needs each of the {count} axes once",
            span,
            describe(listed),
            notes=[f"the tensor is {context.provenance(x)}"],
            helps=[f"for example `transpose(x, {written([*range(1, count), 0])})`"]
            if count > 1
            else [],
        )
    return context.emit("transpose", x, span=span, permutation=tuple(order))


def _concat(context: Context, given: Arguments) -> Any:
    assert given.span is not None
    values = dict(given.named)
    axis, _ = values.pop("axis", (-1, given.span))
    if values:
        key, (_, place) = next(iter(values.items()))
        context.fail(
            "N0402",
            f"`concat` has no argument `{key}`",
            given.keys.get(key, place),
            "not known",
            notes=["`concat(a, b, ..., axis = -1)`"],
        )
    items = list(given.positional)
    if len(items) == 1 and isinstance(items[0][0], (list, tuple)):
        items = [(item, items[0][1]) for item in items[0][0]]
    if not items:
        context.fail("N0403", "`concat` needs at least one tensor", given.span, "none given")
    first = next((item for item, _ in items if isinstance(item, Tensor)), None)
    tensors = [beside(context, item, first, "concat", place) for item, place in items]
    for item, (_, place) in zip(tensors, items, strict=True):
        if not isinstance(item, Tensor):
            helps = ["name the axis: `axis = 1`"] if is_integer(item) else []
            context.fail("N0306", "`concat` needs tensors", place, describe(item), helps=helps)
    at = one_axis(context, "concat", axis, tensors[0], given.span)
    return context.emit("concat", *tensors, span=given.span, axis=at)


@function("split", "x", "parts", ("axis", -1))
def split(context: Context, span: syntax.Span, x: Any, parts: Any, axis: Any) -> Any:
    """`parts` equal pieces, or pieces of the sizes in a list."""
    x = tensor(context, x, "split", span)
    at = one_axis(context, "split", axis, x, span)
    size = x.shape[at]
    if isinstance(parts, (list, tuple)):
        sizes = list(_dims(context, parts, "split", span))
        fits = sum(sizes) == size and not any(is_integer(part) and part < 0 for part in sizes)
        words = f"parts of {written(parts)} do not make {size}"
    else:
        if not is_integer(parts) or not 0 < parts <= 1000:
            context.fail(
                "N0306", "`split` needs a number of parts, or their sizes", span, describe(parts)
            )
        part = exact_quotient(size, parts)
        fits = part is not None
        sizes = [part] * parts
        words = f"an axis of {size} does not split into {parts} equal parts"
    if not fits:
        context.fail("N0301", words, span, notes=[f"the tensor is {context.provenance(x)}"])
    pieces, first = [], 0
    for part in sizes:
        begin = tuple(first if i == at else 0 for i in range(len(x.shape)))
        end = tuple(first + part if i == at else d for i, d in enumerate(x.shape))
        step = (1,) * len(x.shape)
        made = context.emit("slice", x, span=span, shown="split", begin=begin, end=end, step=step)
        pieces.append(made)
        first = first + part
    return tuple(pieces)


@function("one_hot", "x", "classes")
def one_hot(context: Context, span: syntax.Span, x: Any, classes: Any) -> Any:
    x = tensor(context, alone(context, x, span, "i64"), "one_hot", span)
    if x.dtype not in INTEGERS:
        context.fail("N0302", "`one_hot` needs integers", span, context.provenance(x))
    if not is_integer(classes) or classes < 1:
        context.fail("N0306", "`one_hot` needs the number of classes", span, describe(classes))
    spread = context.emit("reshape", x, span=span, shape=(*x.shape, 1))
    if spread.dtype == "u8":
        spread = arithmetic.cast(context, spread, "i32")
    counts = context.emit("iota", span=span, shape=(classes,), axis=0, dtype=spread.dtype)
    return arithmetic.cast(context, context.emit("equal", spread, counts, span=span), "f32")


@function("stop_gradient", "x")
def stop_gradient(context: Context, span: syntax.Span, x: Any) -> Any:
    return context.emit("stop_gradient", tensor(context, x, "stop_gradient", span), span=span)


# Random numbers


@function("uniform", "shape", ("low", 0.0), ("high", 1.0), deferred=True)
def uniform(context: Context, span: syntax.Span, shape: Any, low: Any, high: Any) -> Any:
    """Evenly spread from `low` up to `high`."""
    _for_training(context, "uniform", span)
    low = setting(context, low, "low", "uniform", span)
    high = setting(context, high, "high", "uniform", span, (low, math.inf))
    return _drawn(context, "uniform", "random_uniform", span, shape, low, high - low)


@function("normal", "shape", ("mean", 0.0), ("deviation", 1.0), deferred=True)
def normal(context: Context, span: syntax.Span, shape: Any, mean: Any, deviation: Any) -> Any:
    _for_first_values(context, "normal", span)
    mean = setting(context, mean, "mean", "normal", span)
    deviation = setting(context, deviation, "deviation", "normal", span, (0, math.inf))
    return _drawn(context, "normal", "random_normal", span, shape, mean, deviation)


@function("orthogonal_matrix", "shape", ("gain", 1.0))
def orthogonal_matrix(context: Context, span: syntax.Span, shape: Any, gain: Any) -> Any:
    _for_first_values(context, "orthogonal_matrix", span)
    gain = setting(context, gain, "gain", "orthogonal_matrix", span, (0, math.inf))
    return _drawn(context, "orthogonal", "orthogonal", span, shape, 0.0, gain)


def _for_first_values(context: Context, name: str, span: syntax.Span) -> None:
    if context.initializing is None:
        context.fail(
            "N0415",
            f"`{name}` makes first values of parameters only",
            span,
            "used in a network",
            helps=["inside a network draw with `uniform` or `bernoulli`"],
        )


def _for_training(context: Context, name: str, span: syntax.Span) -> None:
    """A net answers the same to the same input, so it draws numbers in training only."""
    if context.answering:
        context.fail(
            "N0415",
            f"`{name}` draws numbers outside of training: every answer would use the same ones",
            span,
            "used in inference",
            helps=[
                "draw in training only: `if training { ... } else { ... }`",
                "or take the numbers as an input: `input noise: f32[N, ...]`",
            ],
        )


def _drawn(
    context: Context,
    name: str,
    node: str,
    span: syntax.Span,
    shape: Any,
    shift: float,
    factor: float,
) -> Tensor:
    """`shift + factor * drawn`."""
    dims = _dims(context, shape, name, span)
    x = context.emit(node, span=span, shown=name, shape=dims, stream=context.stream(), dtype="f32")
    if factor != 1:
        x = context.emit("mul", x, arithmetic.as_tensor(context, factor, "f32", span), span=span)
    if shift != 0:
        x = context.emit("add", x, arithmetic.as_tensor(context, shift, "f32", span), span=span)
    return x


def _constant(context: Context, given: Arguments) -> Any:
    """One value, as an initializer and as a schedule, whatever the place supplies before it."""
    own = replace(given, positional=given.positional[given.supplied :], supplied=0)
    (value,) = bind(context, "constant", own, [("value", REQUIRED)])
    assert given.span is not None
    setting(context, value, "value", "constant", given.span)
    return value


@function("bernoulli", "shape", "probability")
def bernoulli(context: Context, span: syntax.Span, shape: Any, probability: Any) -> Any:
    """1 with the given probability, else 0, as f32."""
    _for_training(context, "bernoulli", span)
    dims = _dims(context, shape, "bernoulli", span)
    drawn = context.emit(
        "random_uniform", span=span, shape=dims, stream=context.stream(), dtype="f32"
    )
    probability = alone(context, probability, span)
    if not isinstance(probability, Tensor):
        chance = setting(context, probability, "probability", "bernoulli", span, (0, 1))
        probability = arithmetic.as_tensor(context, chance, "f32", span)
    drawn = context.emit("less", drawn, probability, span=span, shown="bernoulli")
    return arithmetic.cast(context, drawn, "f32")


def _convert(dtype: str) -> Builtin:
    @function(dtype, "x")
    def run(context: Context, span: syntax.Span, x: Any) -> Any:
        x = alone(context, x, span, dtype)
        if isinstance(x, Tensor):
            return context.emit("cast", x, span=span, dtype=dtype) if x.dtype != dtype else x
        if not is_number(x) and not isinstance(x, bool):
            context.fail("N0306", f"`{dtype}` needs a number or a tensor", span, describe(x))
        return arithmetic.as_tensor(context, x, dtype, span)

    return run


def functions() -> dict[str, Builtin]:
    """The functions of this file by name."""
    table: dict[str, Builtin] = {}
    for name in ("sum", "mean"):
        table[name] = _reduction(name, f"reduce_{name}")
    table["reduce_max"] = _reduction("reduce_max", "reduce_max")
    table["reduce_min"] = _reduction("reduce_min", "reduce_min")
    for made in (
        argmax, reshape, broadcast, transpose, split, one_hot, stop_gradient,
        uniform, normal, orthogonal_matrix, bernoulli,
    ):  # fmt: skip
        table[made.name] = made
    table["constant"] = Builtin("constant", _constant, "constant(value)", deferred=True)
    table["concat"] = Builtin(
        "concat", _concat, "concat(a, b, ..., axis = -1)", needs=(("a", True), ("axis", False))
    )
    for dtype in DTYPES:
        table[dtype] = _convert(dtype)
    return table
