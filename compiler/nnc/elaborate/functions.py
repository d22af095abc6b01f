"""How the compiler's own functions meet their arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nnlang import syntax

from ..dims import Poly
from .calls import check_arguments
from .context import Context
from .lists import alone
from .values import Arguments, Builtin, Tensor, describe, is_dim, is_number, tensor_help, written

REQUIRED = object()


def bind(
    context: Context, name: str, given: Arguments, parameters: Sequence[tuple[str, Any]]
) -> list[Any]:
    """Meet the arguments of a function with (name, default) parameters."""
    assert given.span is not None
    names = [key for key, _ in parameters]

    def shown() -> str:
        return signature_of(name, parameters[given.supplied :])

    check_arguments(context, name, names, given, given.span, shown)
    values: list[Any] = []
    for position, (key, default) in enumerate(parameters):
        if position < len(given.positional):
            values.append(given.positional[position][0])
        elif key in given.named:
            values.append(given.named[key][0])
        elif default is REQUIRED:
            context.fail(
                "N0403",
                f"`{name}` needs `{key}`",
                given.span,
                f"`{key}` not given",
                notes=[f"`{shown()}`"],
            )
        else:
            values.append(default)
    return values


def signature_of(name: str, parameters: Sequence[tuple[str, Any]]) -> str:
    """`split(x, parts, axis = -1)`"""
    parts = []
    for key, default in parameters:
        shown = default is not REQUIRED and default is not None
        parts.append(f"{key} = {written(default)}" if shown else key)
    return f"{name}({', '.join(parts)})"


def function(
    name: str, *parameters: Any, deferred: bool = False, of_tensors: bool = True
) -> Callable[[Callable[..., Any]], Builtin]:
    """Make a Builtin of `implementation(context, span, *values)`; a parameter is a name or (name,
    default). A call of a function `of_tensors` that lacks its first argument can be kept.
    """
    listed = [(p, REQUIRED) if isinstance(p, str) else p for p in parameters]

    def wrap(implementation: Callable[..., Any]) -> Builtin:
        def run(context: Context, given: Arguments) -> Any:
            return implementation(context, given.span, *bind(context, name, given, listed))

        needs = tuple((key, default is REQUIRED) for key, default in listed) if of_tensors else ()
        return Builtin(name, run, signature_of(name, listed), deferred, needs)

    return wrap


def tensor(context: Context, value: Any, name: str, span: syntax.Span) -> Tensor:
    """A tensor, or a list of numbers as one."""
    made = alone(context, value, span)
    if not isinstance(made, Tensor):
        message = f"`{name}` needs a tensor"
        context.fail("N0306", message, span, describe(value), helps=tensor_help(value))
    return made


def setting(
    context: Context,
    value: Any,
    key: str,
    name: str,
    span: syntax.Span,
    range: tuple[float, float] = (-math.inf, math.inf),
) -> float:
    """A number given for `key` of a function, finite and in a range that includes its ends."""
    low, high = range
    known = is_number(value) and not isinstance(value, Poly)
    if known and math.isfinite(value) and low <= value <= high:
        return float(value)
    wanted = "a number"
    if math.isfinite(high):
        wanted += f" from {low:g} to {high:g}"
    elif math.isfinite(low):
        wanted += f" of at least {low:g}"
    context.fail(
        "N0404",
        f"`{name}`: the setting `{key}` must be {wanted}, and is {written(value)}",
        span,
        describe(value),
    )


def numbers_of(context: Context, items: Any, name: str, span: syntax.Span) -> tuple[Any, ...]:
    """The items of a list of numbers; dimensions stand with whole numbers only."""
    if not isinstance(items, (list, tuple)):
        context.fail("N0306", f"`{name}` needs a list of numbers", span, describe(items))
    symbolic = any(isinstance(item, Poly) for item in items)
    for item in items:
        if not (is_dim(item) if symbolic else is_number(item)):
            kind = "dimensions" if symbolic else "numbers"
            context.fail("N0306", f"`{name}` needs a list of {kind}", span, describe(item))
    return tuple(items)
