"""The functions every file sees without `use`, beside the blocks of the prelude.

Mathematics works on numbers (at once) and on tensors (as a node); the rest asks for shapes, builds tensors or lists.
`op.<name>` gives every operator of the compiler that is open to the language, under its own name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nnlang import syntax
from nnlang.diagnostics import suggest

from ..dims import Poly, product
from ..graph import DTYPES, FLOATS, INTEGERS
from ..ops import all_operators
from ..ops.base import Operator
from . import arithmetic
from .context import Context
from .values import Arguments, Builtin, Namespace, Tensor, describe, is_dim, is_number

REQUIRED = object()


def bind(
    context: Context, name: str, given: Arguments, parameters: Sequence[tuple[str, Any]]
) -> list[tuple[Any, syntax.Span]]:
    """Meet the arguments of a function with (name, default) parameters."""
    assert given.span is not None
    names = [key for key, _ in parameters]
    shown = f"`{name}({', '.join(names)})`"
    if len(given.positional) > len(parameters):
        context.fail(
            "N0401",
            f"too many arguments for `{name}`",
            given.positional[len(parameters)][1],
            f"takes {len(parameters)}",
            notes=[shown],
        )
    for key, (_, place) in given.named.items():
        if key not in names:
            meant = suggest(key, names)
            context.fail(
                "N0402",
                f"`{name}` has no argument `{key}`",
                place,
                "",
                notes=[shown],
                helps=[f"did you mean `{meant}`?"] if meant else [],
            )
        if names.index(key) < len(given.positional):
            context.fail("N0405", f"`{key}` is given twice", place, "again here", notes=[shown])
    values: list[tuple[Any, syntax.Span]] = []
    for position, (key, default) in enumerate(parameters):
        if position < len(given.positional):
            values.append(given.positional[position])
        elif key in given.named:
            values.append(given.named[key])
        elif default is REQUIRED:
            context.fail("N0403", f"`{name}` needs `{key}`", given.span, "not given", notes=[shown])
        else:
            values.append((default, given.span))
    return values


def function(
    name: str, *parameters: Any, deferred: bool = False
) -> Callable[[Callable[..., Any]], Builtin]:
    """Make a Builtin of `implementation(context, span, *values)`; a parameter is a name or (name, default)."""
    listed = [(p, REQUIRED) if isinstance(p, str) else p for p in parameters]

    def wrap(implementation: Callable[..., Any]) -> Builtin:
        def run(context: Context, given: Arguments) -> Any:
            return implementation(
                context, given.span, *(v for v, _ in bind(context, name, given, listed))
            )

        return Builtin(name, run, f"{name}({', '.join(key for key, _ in listed)})", deferred)

    return wrap


def tensor(context: Context, value: Any, name: str, span: syntax.Span) -> Tensor:
    if not isinstance(value, Tensor):
        context.fail("N0306", f"`{name}` needs a tensor", span, describe(value))
    return value


# Mathematics

NUMBERS: dict[str, Callable[[float], Any]] = {
    "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "tanh": math.tanh, "sin": math.sin, "cos": math.cos,
    "floor": math.floor, "ceil": math.ceil, "abs": abs, "erf": math.erf, "round": round, "log1p": math.log1p,
    "expm1": math.expm1, "square": lambda x: x * x, "sign": lambda x: (x > 0) - (x < 0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)), "rsqrt": lambda x: 1 / math.sqrt(x),
}  # fmt: skip


def _mathematics(name: str) -> Builtin:
    @function(name, "x")
    def run(context: Context, span: syntax.Span, x: Any) -> Any:
        if isinstance(x, Tensor):
            return context.emit(name, x, span=span)
        if isinstance(x, Poly) or not is_number(x):
            context.fail("N0306", f"`{name}` needs a number or a tensor", span, describe(x))
        try:
            return NUMBERS[name](x)
        except (ValueError, OverflowError, ZeroDivisionError):
            context.fail("N0313", f"`{name}` has no value at {x}", span)

    return run


def _extreme(name: str, node: str, choose: Callable[..., Any]) -> Builtin:
    @function(name, "a", "b")
    def run(context: Context, span: syntax.Span, a: Any, b: Any) -> Any:
        if not isinstance(a, Tensor) and not isinstance(b, Tensor):
            if not is_number(a) or not is_number(b):
                context.fail(
                    "N0306",
                    f"`{name}` needs numbers or tensors",
                    span,
                    describe(b if is_number(a) else a),
                )
            if isinstance(a, Poly) or isinstance(b, Poly):
                return _extreme_dim(context, span, name, a, b)
            return choose(a, b)
        left, right = _pair(context, name, a, b, span)
        return context.emit(node, left, right, span=span, shown=name)

    return run


def _extreme_dim(context: Context, span: syntax.Span, name: str, a: Any, b: Any) -> Any:
    from ..dims import dim_max

    if isinstance(a, int):
        a, b = b, a
    if name == "max" and isinstance(b, int):
        return dim_max(a, b)
    context.fail("N0304", f"`{name}` of {a} and {b} is known only when the network is called", span)


def _pair(context: Context, name: str, a: Any, b: Any, span: syntax.Span) -> tuple[Tensor, Tensor]:
    for value in (a, b):
        if not isinstance(value, Tensor) and not is_number(value) and not isinstance(value, bool):
            context.fail("N0306", f"`{name}` needs numbers or tensors", span, describe(value))
    if not isinstance(a, Tensor):
        a = arithmetic.literal(context, a, b, name, span)
    if not isinstance(b, Tensor):
        b = arithmetic.literal(context, b, a, name, span)
    return a, b


@function("select", "condition", "a", "b")
def select(context: Context, span: syntax.Span, chosen: Any, a: Any, b: Any) -> Any:
    if isinstance(chosen, bool):
        return a if chosen else b
    tensor(context, chosen, "select", span)
    if not isinstance(a, Tensor) and not isinstance(b, Tensor):
        with context.at(span):
            a = Tensor(context.builder.constant(a, "f32"), span, context.snippet(span))
    a, b = _pair(context, "select", a, b, span)
    return context.emit("select", chosen, a, b, span=span)


# Shapes and lists


@function("shape", "x")
def shape(context: Context, span: syntax.Span, x: Any) -> Any:
    return tuple(tensor(context, x, "shape", span).shape)


@function("rank", "x")
def rank(context: Context, span: syntax.Span, x: Any) -> Any:
    if isinstance(x, (tuple, list)):
        return len(x)
    return len(tensor(context, x, "rank", span).shape)


@function("len", "items")
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


@function("range", "start", ("stop", None), ("step", 1))
def range_(context: Context, span: syntax.Span, start: Any, stop: Any, step: Any) -> Any:
    if stop is None:
        start, stop = 0, start
    if not all(isinstance(v, int) for v in (start, stop, step)) or step == 0:
        context.fail("N0306", "`range` needs known whole numbers", span)
    if abs(stop - start) > 1_000_000:
        context.fail("N0413", "this range is too long", span)
    return list(range(start, stop, step))


@function("product", "items")
def product_(context: Context, span: syntax.Span, items: Any) -> Any:
    if not isinstance(items, (list, tuple)) or not all(is_number(item) for item in items):
        context.fail("N0306", "`product` needs a list of numbers", span, describe(items))
    return product(tuple(items))


@function("is_tensor", "x")
def is_tensor(context: Context, span: syntax.Span, x: Any) -> Any:
    return isinstance(x, Tensor)


@function("is_list", "x")
def is_list(context: Context, span: syntax.Span, x: Any) -> Any:
    return isinstance(x, (list, tuple))


@function("is_number", "x")
def is_number_(context: Context, span: syntax.Span, x: Any) -> Any:
    return is_number(x)


@function("is_integer", "x")
def is_integer(context: Context, span: syntax.Span, x: Any) -> Any:
    if isinstance(x, Tensor):
        return x.dtype in INTEGERS
    return is_dim(x)


@function("is_text", "x")
def is_text(context: Context, span: syntax.Span, x: Any) -> Any:
    return isinstance(x, str)


@function("int", "x")
def int_(context: Context, span: syntax.Span, x: Any) -> Any:
    if not is_number(x):
        context.fail(
            "N0306",
            "`int` needs a number",
            span,
            describe(x),
            helps=["convert a tensor with its element type: `i32(x)`"],
        )
    return x if isinstance(x, Poly) else int(x)


# Tensors


def axes_of(context: Context, axes: Any, count: int, span: syntax.Span) -> tuple[int, ...]:
    """Axes given as nothing (all), an integer or a list, as sorted non-negative numbers."""
    if axes is None:
        return tuple(range(count))
    listed = list(axes) if isinstance(axes, (list, tuple)) else [axes]
    found = []
    for axis in listed:
        if not isinstance(axis, int) or isinstance(axis, bool) or not -count <= axis < count:
            context.fail("N0305", f"the axis {axis} is outside {count} axes", span)
        found.append(axis % count)
    if len(set(found)) != len(found):
        context.fail("N0305", "an axis is named twice", span)
    return tuple(sorted(found))


def _reduction(name: str, node: str) -> Builtin:
    @function(name, "x", ("axes", None), ("keep", False))
    def run(context: Context, span: syntax.Span, x: Any, axes: Any, keep: Any) -> Any:
        if name == "sum" and isinstance(x, (list, tuple)):
            total: Any = 0
            for item in x:
                if not is_number(item):
                    context.fail("N0306", "`sum` of a list needs numbers", span, describe(item))
                total = total + item
            return total
        tensor(context, x, name, span)
        if x.dtype == "bool" and node in ("reduce_sum", "reduce_mean"):
            x = arithmetic.cast(context, x, "f32")
        found = axes_of(context, axes, len(x.shape), span)
        if not found:
            return x
        return context.emit(node, x, span=span, shown=name, axes=found, keepdims=bool(keep))

    return run


@function("argmax", "x", ("axis", -1), ("keep", False))
def argmax(context: Context, span: syntax.Span, x: Any, axis: Any, keep: Any) -> Any:
    tensor(context, x, "argmax", span)
    found = axes_of(context, axis, len(x.shape), span)
    if len(found) != 1:
        context.fail("N0305", "`argmax` takes one axis", span)
    return context.emit("argmax", x, span=span, axis=found[0], keepdims=bool(keep))


def _dims(context: Context, value: Any, name: str, span: syntax.Span) -> tuple[Any, ...]:
    listed = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not all(is_dim(item) for item in listed):
        context.fail("N0306", f"`{name}` needs a list of dimensions", span, describe(value))
    return listed


@function("reshape", "x", "shape")
def reshape(context: Context, span: syntax.Span, x: Any, shape: Any) -> Any:
    from ..dims import exact_quotient

    tensor(context, x, "reshape", span)
    dims = list(_dims(context, shape, "reshape", span))
    holes = [i for i, dim in enumerate(dims) if dim == -1]
    if len(holes) > 1:
        context.fail("N0301", "only one dimension of a reshape can be -1", span)
    if holes:
        rest = product(tuple(dim for dim in dims if dim != -1))
        size = exact_quotient(product(x.shape), rest)
        if size is None:
            context.fail(
                "N0301",
                f"{describe(x)} does not divide into {arithmetic.shape_text(tuple(dims))}",
                span,
                "",
                notes=[context.provenance(x)],
            )
        dims[holes[0]] = size
    return context.emit("reshape", x, span=span, shape=tuple(dims))


@function("broadcast", "x", "shape")
def broadcast(context: Context, span: syntax.Span, x: Any, shape: Any) -> Any:
    dims = _dims(context, shape, "broadcast", span)
    return context.emit(
        "broadcast_to", tensor(context, x, "broadcast", span), span=span, shape=dims
    )


@function("transpose", "x", ("axes", None))
def transpose(context: Context, span: syntax.Span, x: Any, axes: Any) -> Any:
    count = len(tensor(context, x, "transpose", span).shape)
    listed = list(range(count))[::-1] if axes is None else axes
    if not isinstance(listed, (list, tuple)) or sorted(
        a % count for a in listed if isinstance(a, int)
    ) != list(range(count)):
        context.fail("N0305", f"`transpose` needs each of {count} axes once", span)
    return context.emit("transpose", x, span=span, permutation=tuple(a % count for a in listed))


def _concat(context: Context, given: Arguments) -> Any:
    values = dict(given.named)
    axis, _ = values.pop("axis", (-1, given.span))
    assert given.span is not None
    if values:
        key, (_, place) = next(iter(values.items()))
        context.fail(
            "N0402",
            f"`concat` has no argument `{key}`",
            place,
            "",
            notes=["`concat(a, b, ..., axis = -1)`"],
        )
    items = [value for value, _ in given.positional]
    if len(items) == 1 and isinstance(items[0], (list, tuple)):
        items = list(items[0])
    if not items:
        context.fail("N0403", "`concat` needs at least one tensor", given.span)
    for item in items:
        tensor(context, item, "concat", given.span)
    found = axes_of(context, axis, len(items[0].shape), given.span)
    return context.emit("concat", *items, span=given.span, axis=found[0])


@function("split", "x", "parts", ("axis", -1))
def split(context: Context, span: syntax.Span, x: Any, parts: Any, axis: Any) -> Any:
    """`parts` equal pieces, or pieces of the sizes in a list."""
    tensor(context, x, "split", span)
    (at,) = axes_of(context, axis, len(x.shape), span)
    size = x.shape[at]
    if isinstance(parts, int) and parts > 0:
        try:
            exact = (size // parts) * parts == size
        except ValueError:
            exact = False
        if not exact:
            context.fail(
                "N0301",
                f"an axis of {size} does not split into {parts} equal parts",
                span,
                "",
                notes=[context.provenance(x)],
            )
        sizes = [size // parts] * parts
    else:
        sizes = list(_dims(context, parts, "split", span))
        if sum(sizes) != size:
            context.fail(
                "N0301",
                f"parts of {sizes} do not make {size}",
                span,
                "",
                notes=[context.provenance(x)],
            )
    pieces, first = [], 0
    for part in sizes:
        begin = tuple(first if i == at else 0 for i in range(len(x.shape)))
        end = tuple(first + part if i == at else d for i, d in enumerate(x.shape))
        pieces.append(
            context.emit(
                "slice", x, span=span, shown="split", begin=begin, end=end, step=(1,) * len(x.shape)
            )
        )
        first = first + part
    return tuple(pieces)


@function("one_hot", "x", "classes")
def one_hot(context: Context, span: syntax.Span, x: Any, classes: Any) -> Any:
    tensor(context, x, "one_hot", span)
    if x.dtype not in INTEGERS:
        context.fail("N0302", "`one_hot` needs integers", span, context.provenance(x))
    if not isinstance(classes, int) or classes < 1:
        context.fail("N0306", "`one_hot` needs the number of classes", span, describe(classes))
    spread = context.emit("reshape", x, span=span, shape=(*x.shape, 1))
    counts = context.emit("iota", span=span, shape=(classes,), axis=0, dtype=x.dtype)
    return arithmetic.cast(context, context.emit("equal", spread, counts, span=span), "f32")


@function("stop_gradient", "x")
def stop_gradient(context: Context, span: syntax.Span, x: Any) -> Any:
    return context.emit("stop_gradient", tensor(context, x, "stop_gradient", span), span=span)


# Random numbers


@function("uniform", "shape", ("low", 0.0), ("high", 1.0), deferred=True)
def uniform(context: Context, span: syntax.Span, shape: Any, low: Any, high: Any) -> Any:
    dims = _dims(context, shape, "uniform", span)
    drawn = context.emit(
        "random_uniform", span=span, shape=dims, stream=context.stream(), dtype="f32"
    )
    return _affine(context, drawn, high - low, low, span)


@function("normal", "shape", ("mean", 0.0), ("deviation", 1.0), deferred=True)
def normal(context: Context, span: syntax.Span, shape: Any, mean: Any, deviation: Any) -> Any:
    if context.initializing is None:
        context.fail(
            "N0415",
            "`normal` draws first values of parameters only",
            span,
            "",
            helps=["use `uniform` or `bernoulli` inside a network"],
        )
    dims = _dims(context, shape, "normal", span)
    drawn = context.emit(
        "random_normal", span=span, shape=dims, stream=context.stream(), dtype="f32"
    )
    return _affine(context, drawn, deviation, mean, span)


@function("orthogonal_matrix", "shape", ("gain", 1.0))
def orthogonal_matrix(context: Context, span: syntax.Span, shape: Any, gain: Any) -> Any:
    if context.initializing is None:
        context.fail("N0415", "`orthogonal_matrix` makes first values of parameters only", span)
    dims = _dims(context, shape, "orthogonal_matrix", span)
    made = context.emit("orthogonal", span=span, shape=dims, stream=context.stream(), dtype="f32")
    return _affine(context, made, gain, 0.0, span)


def _constant(context: Context, given: Arguments) -> Any:
    """As an initializer and as a schedule: the last argument, whatever the place supplies before it."""
    if set(given.named) - {"value"} or not (given.named or given.positional):
        assert given.span is not None
        context.fail(
            "N0402", "`constant` takes one value", given.span, "", helps=["write `constant(0.1)`"]
        )
    return given.named["value"][0] if given.named else given.positional[-1][0]


def _affine(context: Context, x: Tensor, factor: Any, shift: Any, span: syntax.Span) -> Tensor:
    if not is_number(factor) or not is_number(shift):
        context.fail("N0306", "the bounds must be numbers", span)
    if factor != 1:
        x = context.emit(
            "mul", x, arithmetic.literal(context, float(factor), x, "*", span), span=span
        )
    if shift != 0:
        x = context.emit(
            "add", x, arithmetic.literal(context, float(shift), x, "+", span), span=span
        )
    return x


@function("bernoulli", "shape", "probability")
def bernoulli(context: Context, span: syntax.Span, shape: Any, probability: Any) -> Any:
    """1 with the given probability, else 0, as f32."""
    dims = _dims(context, shape, "bernoulli", span)
    drawn = context.emit(
        "random_uniform", span=span, shape=dims, stream=context.stream(), dtype="f32"
    )
    if not isinstance(probability, Tensor):
        probability = arithmetic.literal(context, probability, drawn, "<", span)
    return arithmetic.cast(context, context.emit("less", drawn, probability, span=span), "f32")


def _convert(dtype: str) -> Builtin:
    @function(dtype, "x")
    def run(context: Context, span: syntax.Span, x: Any) -> Any:
        if isinstance(x, Tensor):
            return context.emit("cast", x, span=span, dtype=dtype) if x.dtype != dtype else x
        if not is_number(x) and not isinstance(x, bool):
            context.fail("N0306", f"`{dtype}` needs a number or a tensor", span, describe(x))
        with context.at(span):
            if isinstance(x, Poly):
                return Tensor(
                    context.builder.emit("dimension", value=x, dtype=dtype),
                    span,
                    context.snippet(span),
                )
            if dtype not in FLOATS and isinstance(x, float) and not x.is_integer():
                context.fail("N0302", f"{x} is no {dtype}", span)
            return Tensor(context.builder.constant(x, dtype), span, context.snippet(span))

    return run


# Operators under their own names


def _operator(op: Operator) -> Builtin:
    """`op.conv2d(x, weight, stride = (1, 1))`: tensors first, then attributes by name."""

    def run(context: Context, given: Arguments) -> Any:
        assert given.span is not None
        operands = []
        for value, place in given.positional:
            operands.append(tensor(context, value, f"op.{op.name}", place))
        attributes = {key: value for key, (value, _) in given.named.items()}
        variadic = bool(op.operands) and op.operands[-1].startswith("*")
        if len(operands) != len(op.operands) and not variadic:
            context.fail(
                "N0401",
                f"`op.{op.name}` takes {len(op.operands)} tensors",
                given.span,
                f"found {len(operands)}",
                notes=[f"`op.{op.name}({', '.join(op.operands)})`"],
            )
        results = context.emit_all(op.name, operands, given.span, **attributes)
        return results[0] if len(results) == 1 else results

    return Builtin(f"op.{op.name}", run, f"op.{op.name}({', '.join(op.operands)})")


def builtins() -> dict[str, Any]:
    """Every builtin by name."""
    table: dict[str, Any] = {name: _mathematics(name) for name in NUMBERS}
    table["max"] = _extreme("max", "maximum", max)
    table["min"] = _extreme("min", "minimum", min)
    for name in ("sum", "mean"):
        table[name] = _reduction(name, f"reduce_{name}")
    table["reduce_max"] = _reduction("reduce_max", "reduce_max")
    table["reduce_min"] = _reduction("reduce_min", "reduce_min")
    for made in (
        select,
        shape,
        rank,
        length,
        range_,
        product_,
        is_tensor,
        is_number_,
        is_list,
        is_integer,
        is_text,
        int_,
        argmax,
        reshape,
        broadcast,
        transpose,
        split,
        one_hot,
        stop_gradient,
        uniform,
        normal,
        orthogonal_matrix,
        bernoulli,
    ):
        table[made.name] = made
    table["constant"] = Builtin("constant", _constant, "constant(value)", deferred=True)
    table["concat"] = Builtin("concat", _concat, "concat(a, b, ..., axis = -1)")
    for dtype in DTYPES:
        table[dtype] = _convert(dtype)
    table["pi"] = math.pi
    hidden = ("constant", "random_normal", "orthogonal")
    open_operators = {op.name: _operator(op) for op in all_operators() if op.name not in hidden}
    table["op"] = Namespace("op", open_operators)
    return table
