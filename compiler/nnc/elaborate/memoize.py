"""Memoizes calls of the library's own helpers with plain arguments.

Most of the work of calling a layer is to check its settings (`_padding_of`, `_check_window`), and a
net repeats the same checks for each layer. A result is kept if it is a plain value and the call had
no effect: it made no node, no variable and no path.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from .arithmetic import weighed
from .context import Context
from .values import Arguments, Block, is_plain


def memoize(context: Context, function: Block, given: Arguments, build: Callable[[], Any]) -> Any:
    """The result of `build`, a call of `function`. A call that raises Mistake is made again."""
    key = _key_of_call(context, function, given)
    if key is None:
        return build()
    known = context.memo.get(key)
    if known is not None:
        return known
    paths, builder = context.paths, context.builder
    before = (builder.next_id, dict(paths.counts), len(paths.bindings))
    value = build()
    if is_plain(value) and before == (builder.next_id, paths.counts, len(paths.bindings)):
        context.memo[key] = value
    return value


def _key_of_call(context: Context, function: Block, given: Arguments) -> Hashable | None:
    """All that the value of a call depends on; None if an argument is not plain."""
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
