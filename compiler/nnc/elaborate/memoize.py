"""Memoizes what the library computes from settings.

Much of the work of calling a layer is to check its settings and to count with them, and a net
repeats the same for each layer. So the value of `k = _pair(kernel, "kernel")` in the library is
kept if all that the text names is known when compiling, if the value is too, and if nothing else
happened: no node, no variable and no path was made, and none asked whether it is training.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from nnlang import syntax

from .arithmetic import weighed
from .context import Context
from .scope import Scope
from .values import Block, Builtin, Namespace, is_plain


def memoize(
    context: Context, scope: Scope, node: syntax.Expression, evaluate: Callable[[], Any]
) -> Any:
    """The value of an expression of the library: what `evaluate` gives, or gave before. Where it
    raises Mistake, it does so again.
    """
    key = _key_of_expression(context, scope, node)
    if key is None:
        return evaluate()
    known = context.memo.get(key)
    if known is not None:
        return known
    before = _effects(context)
    value = evaluate()
    if is_plain(value) and before == _effects(context):
        context.memo[key] = value
    return value


def _effects(context: Context) -> tuple[Any, ...]:
    """What an evaluation changes that does more than to compute."""
    paths = context.paths
    counts = (context.builder.next_id, context.training_reads, len(paths.bindings))
    return (*counts, dict(paths.counts))


def _key_of_expression(context: Context, scope: Scope, node: syntax.Expression) -> Hashable | None:
    """All that the value of an expression depends on; None if a name in it is not plain."""
    names = context.memo.get(id(node))
    if names is None:
        names = context.memo[id(node)] = _names_read(node)
    key: list[Hashable] = [id(node)]
    for name in names:
        binding = scope.find(name)
        if binding is None:
            return None
        value = binding.value
        if binding.kind == "library" and isinstance(value, (Block, Builtin, Namespace)):
            continue  # the same wherever the library's text is read
        if binding.kind == "state" or not is_plain(value):
            return None
        if isinstance(value, (list, tuple)):
            weighed(context, value, node.span)
        key.append(_key_of(value))
    return tuple(key)


def _names_read(node: syntax.Expression) -> tuple[str, ...]:
    """The names whose values an expression reads, and those that its lists bind."""
    found: dict[str, None] = {}
    pending: list[syntax.Node] = [node]
    while pending:
        part = pending.pop()
        if isinstance(part, syntax.Name):
            found[part.text] = None
        elif isinstance(part, (syntax.Argument, syntax.Attribute)):
            pending.append(part.value)  # not the name of the argument or member
        else:
            pending += syntax.children(part)
    return tuple(found)


def _key_of(value: Any) -> Hashable:
    """Equal for equal values of one type: 1, 1.0 and true differ, 0.0 and -0.0 too."""
    if isinstance(value, (list, tuple)):
        return (type(value), *map(_key_of, value))
    return (type(value), value.hex() if isinstance(value, float) else value)
