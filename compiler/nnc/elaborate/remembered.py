"""Calls of the library's own helpers, made once for the same plain arguments.

Checking the settings of a layer (`_padding_of`, `_check_window`) takes most of the work of calling
it, and a net asks the same again for each layer alike. A call is remembered where it gave a plain
value and left no trace: no node, no variable, no path.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from .arithmetic import weighed
from .context import Context
from .values import Arguments, Block, is_plain


def remembered(
    context: Context, function: Block, given: Arguments, build: Callable[[], Any]
) -> Any:
    """What `build`, a call of `function`, gives. Raises Mistake as it does, and anew each time."""
    key = _key_of_call(context, function, given)
    if key is None:
        return build()
    known = context.remembered.get(key)
    if known is not None:
        return known
    paths, builder = context.paths, context.builder
    before = (builder.next_id, dict(paths.counts), len(paths.bindings))
    value = build()
    if is_plain(value) and before == (builder.next_id, paths.counts, len(paths.bindings)):
        context.remembered[key] = value
    return value


def _key_of_call(context: Context, function: Block, given: Arguments) -> Hashable | None:
    """What the value of a call depends on; None where an argument is not plain."""
    values = [value for value, _ in given.positional]
    values += [value for value, _ in given.named.values()]
    assert given.span is not None
    weighed(context, values, given.span)
    if given.label is not None or not is_plain(values):
        return None
    return (function, len(given.positional), *given.named, *map(_key_of, values))


def _key_of(value: Any) -> Hashable:
    """Equal for equal values of one type: 1, 1.0 and true differ, 0.0 and -0.0 too."""
    if isinstance(value, (list, tuple)):
        return (type(value), *map(_key_of, value))
    return (type(value), value.hex() if isinstance(value, float) else value)
