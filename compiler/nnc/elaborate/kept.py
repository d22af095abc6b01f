"""Calls that lack their first argument are values: `act = leaky_relu(slope = 0.2)`, called later.

Takes a function and the arguments of a call; tells what the call lacks. Keeps true: a call that
gives a tensor by position, or its first parameter by name, is complete or wrong, never kept.
"""

from __future__ import annotations

from typing import Any

from .values import Arguments, Block, Builtin, Deferred, Instance, Tensor


def joined(function: Any, given: Arguments) -> tuple[Block | Builtin, Arguments]:
    """The block or builtin that a call ends at, with the arguments kept before."""
    while isinstance(function, (Deferred, Instance)):
        assert given.span is not None
        given = function.arguments.after(given, given.span)
        function = function.block if isinstance(function, Instance) else function.function
    return function, given


def missing(function: Any, given: Arguments) -> list[str]:
    """The parameters that a call lacks, if its first one is to come; else none.

    A number in the place of a tensor is a setting, as in `conv(32, 3)`: the tensor is to come.
    """
    function, given = joined(function, given)
    if any(isinstance(value, Tensor) for value, _ in given.positional):
        return []
    count = len(given.positional)
    lacks = [
        name
        for position, (name, required) in enumerate(function.needs)
        if required and position >= count and name not in given.named
    ]
    if not function.needs or function.needs[0][0] in given.named:
        return []
    if lacks or not isinstance(function, Block) or not 0 < count < len(function.needs):
        free = [name for name, _ in function.needs if name not in given.named]
        return free[: len(lacks)] if count else lacks  # what comes later comes first
    wants_tensor = function.parameters[0].type is not None
    is_tensor = isinstance(given.positional[0][0], (Tensor, list))
    return [function.needs[0][0]] if wants_tensor and not is_tensor else []
