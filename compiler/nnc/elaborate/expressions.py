"""Evaluate expressions: names, literals, pipes, calls, `if`, `share`. Takes syntax and a scope, gives values."""

from __future__ import annotations

from typing import Any

from nnlang import syntax
from nnlang.diagnostics import suggest

from ..graph import DTYPES
from . import arithmetic
from .context import Context, Mistake
from .scope import Scope
from .values import (
    Arguments,
    Block,
    Builtin,
    Deferred,
    Instance,
    Namespace,
    Poison,
    Tensor,
    describe,
    is_dim,
)


def evaluate(context: Context, scope: Scope, node: syntax.Expression) -> Any:
    """The value of an expression. Raises Mistake."""
    return _EVALUATE[type(node)](context, scope, node)


def evaluate_binding(context: Context, scope: Scope, node: syntax.Expression) -> Any:
    """The value of an expression that is given a name: a plain name counts as where the value comes from."""
    value = evaluate(context, scope, node)
    if isinstance(node, syntax.Name) and isinstance(value, Tensor):
        return Tensor(value.value, node.span, node.text)
    return value


def _name(context: Context, scope: Scope, node: syntax.Name) -> Any:
    binding = scope.find(node.text)
    if binding is None:
        unknown_name(context, node.text, node.span, scope.visible())
    if isinstance(binding.value, Poison):
        raise Mistake(None)
    if binding.kind == "state":
        return context.current.get(binding.value, binding.value)
    return binding.value


def unknown_name(context: Context, name: str, span: syntax.Span, candidates: list[str]) -> None:
    meant = suggest(name, candidates)
    helps = [f"did you mean `{meant}`?"] if meant else []
    if not helps and name in DTYPES:
        helps = [f"an element type converts a tensor when called: `{name}(x)`"]
    context.fail("N0201", f"there is no `{name}` here", span, "not known", helps=helps)


def _attribute(context: Context, scope: Scope, node: syntax.Attribute) -> Any:
    value = evaluate(context, scope, node.value)
    if not isinstance(value, Namespace):
        context.fail("N0306", "only a namespace has members", node.value.span, describe(value),
                     helps=[f"call it with a pipe: `x -> {node.name.text}`"])  # fmt: skip
    if node.name.text not in value.members:
        meant = suggest(node.name.text, value.members)
        context.fail("N0205", f"`{value.name}` has no `{node.name.text}`", node.name.span, "not known",
                     helps=[f"did you mean `{meant}`?"] if meant else [])  # fmt: skip
    return value.members[node.name.text]


def _unary(context: Context, scope: Scope, node: syntax.Unary) -> Any:
    return arithmetic.unary(context, node, evaluate(context, scope, node.operand))


def _binary(context: Context, scope: Scope, node: syntax.Binary) -> Any:
    left = evaluate(context, scope, node.left)
    if node.operator in ("and", "or") and isinstance(left, bool) and left == (node.operator == "or"):
        return left
    return arithmetic.binary(context, node, left, evaluate(context, scope, node.right))


def condition(context: Context, scope: Scope, node: syntax.Expression, word: str) -> bool:
    """A compile-time truth value."""
    value = evaluate(context, scope, node)
    if isinstance(value, bool):
        return value
    helps = ["`if` chooses at compile time; choose by value with `select(condition, a, b)`"]
    context.fail("N0307", f"`{word}` needs true or false known at compile time", node.span, describe(value),
                 helps=helps if isinstance(value, Tensor) else [])  # fmt: skip


def _if(context: Context, scope: Scope, node: syntax.IfExpression) -> Any:
    from .statements import execute

    chosen = node.then if condition(context, scope, node.condition, "if") else node.otherwise
    inner = Scope(scope)
    for statement in chosen.statements:
        execute(context, inner, statement)
    return evaluate_binding(context, inner, chosen.value)


def _index(context: Context, scope: Scope, node: syntax.Index) -> Any:
    value = evaluate(context, scope, node.value)
    parts: list[Any] = []
    for item in node.items:
        if isinstance(item, syntax.Slice):
            ends = [None if e is None else evaluate(context, scope, e) for e in (item.start, item.stop, item.step)]
            parts.append(slice(*ends))
        elif isinstance(item, syntax.Spread):
            parts.append(item)
        else:
            parts.append(evaluate(context, scope, item))
    return arithmetic.index(context, node, value, parts)


def arguments(
    context: Context,
    scope: Scope,
    call: syntax.Call,
    function: Any,
    leading: tuple[tuple[Any, syntax.Span], ...] = (),
) -> Arguments:
    """Evaluate the arguments of a call, `leading` (from a pipe) first.

    A parameter whose default is a block takes a rule: a call given for it is named for later use.
    """
    positional = list(leading)
    named: dict[str, tuple[Any, syntax.Span]] = {}
    rules = _rule_parameters(function)
    for argument in call.arguments:
        key: Any = argument.name.text if argument.name is not None else len(positional)
        value = (defer if key in rules else evaluate)(context, scope, argument.value)
        if argument.name is None:
            positional.append((value, argument.value.span))
        elif argument.name.text in named:
            context.fail("N0405", f"`{argument.name.text}` is given twice", argument.name.span, "again here",
                         others=[(named[argument.name.text][1], "first here")])  # fmt: skip
        else:
            named[argument.name.text] = (value, argument.value.span)
    return Arguments(tuple(positional), named, call.span, call.label.text if call.label else None)


def _rule_parameters(function: Any) -> set[Any]:
    """Names and positions of the parameters of a block that take rules."""
    if not isinstance(function, Block):
        return set()
    found: set[Any] = set()
    for position, parameter in enumerate(function.definition.parameters):
        if isinstance(parameter.default, syntax.Name):
            binding = function.module.scope.find(parameter.default.text)
            if binding is not None and isinstance(binding.value, (Block, Builtin)):
                found |= {position, parameter.name.text}
    return found


def _call(context: Context, scope: Scope, node: syntax.Call) -> Any:
    from .calls import call

    function = evaluate(context, scope, node.function)
    return call(context, function, arguments(context, scope, node, function), node.span, node.function.span)


def _pipe(context: Context, scope: Scope, node: syntax.Pipe) -> Any:
    from .calls import call

    leading = tuple((evaluate(context, scope, value), value.span) for value in node.values)
    value: Any = None
    for stage in node.stages:
        function = evaluate(context, scope, stage.function)
        given = arguments(context, scope, stage, function, leading)
        value = call(context, function, given, stage.span, stage.function.span)
        if isinstance(value, Tensor):
            value = Tensor(value.value, stage.span, context.snippet(stage.span))
        leading = ((value, stage.span),)
    return value


def _share(context: Context, scope: Scope, node: syntax.Share) -> Any:
    function = evaluate(context, scope, node.call.function)
    if not isinstance(function, Block):
        context.fail("N0408", "`share` needs a block", node.call.function.span, describe(function))
    given = arguments(context, scope, node.call, function)
    return Instance(function, given, context.paths)


def defer(context: Context, scope: Scope, node: syntax.Expression) -> Any:
    """An expression named for later use: a call keeps its arguments; the place supplies the leading ones."""
    from .calls import lacks_leading

    if isinstance(node, syntax.List):
        return [defer(context, scope, item) for item in node.items]
    if not isinstance(node, syntax.Call):
        value = evaluate(context, scope, node)
        if isinstance(value, (Block, Builtin)):
            return Deferred(value, Arguments(span=node.span))
        return value
    function = evaluate(context, scope, node.function)
    if not lacks_leading(function, len(node.arguments)):
        return evaluate(context, scope, node)
    positional: list[tuple[Any, syntax.Span]] = []
    named: dict[str, tuple[Any, syntax.Span]] = {}
    for argument in node.arguments:
        value = defer(context, scope, argument.value)
        if argument.name is None:
            positional.append((value, argument.value.span))
        elif argument.name.text in named:
            context.fail("N0405", f"`{argument.name.text}` is given twice", argument.name.span, "again here")
        else:
            named[argument.name.text] = (value, argument.value.span)
    return Deferred(function, Arguments(tuple(positional), named, node.span))


def dimension(context: Context, scope: Scope, node: syntax.Expression) -> Any:
    """One dimension of a type: an integer of at least 0 or an expression over symbols."""
    value = evaluate(context, scope, node)
    if not is_dim(value):
        context.fail("N0306", "a dimension must be an integer or a name of one", node.span, describe(value))
    if isinstance(value, int) and value < 0:
        context.fail("N0306", "a dimension cannot be negative", node.span, f"{value}")
    return value


def shape_of_type(context: Context, scope: Scope, node: syntax.TypeExpression) -> tuple[str, tuple[Any, ...]]:
    """Element type and shape of a type whose dimensions are all known names; f32 where none is said."""
    if isinstance(node, syntax.LikeType):
        value = evaluate(context, scope, node.value)
        if not isinstance(value, Tensor):
            context.fail("N0306", "`like` needs a tensor", node.value.span, describe(value))
        return value.dtype, value.shape
    shape: list[Any] = []
    for part in node.dimensions:
        if isinstance(part, syntax.Spread):
            if part.value is None:
                context.fail("N0306", "`...` has no meaning in the type of something new", part.span)
            dims = evaluate(context, scope, part.value)
            if not isinstance(dims, (list, tuple)) or not all(is_dim(d) for d in dims):
                context.fail("N0306", "`...` needs a shape", part.value.span, describe(dims))
            shape += dims
        else:
            shape.append(dimension(context, scope, part))
    return checked_dtype(context, node.dtype or "f32", node.span), tuple(shape)


def checked_dtype(context: Context, dtype: str, span: syntax.Span) -> str:
    if dtype not in DTYPES:
        context.fail("N0314", f"the element type {dtype} is not available", span, "",
                     helps=[f"use one of {', '.join(DTYPES)}"])  # fmt: skip
    return dtype


_EVALUATE: dict[type, Any] = {
    syntax.Name: _name,
    syntax.Number: lambda context, scope, node: node.value,
    syntax.String: lambda context, scope, node: node.value,
    syntax.Bool: lambda context, scope, node: node.value,
    syntax.Attribute: _attribute,
    syntax.List: lambda context, scope, node: [evaluate(context, scope, item) for item in node.items],
    syntax.Tuple: lambda context, scope, node: tuple(evaluate(context, scope, item) for item in node.items),
    syntax.Unary: _unary,
    syntax.Binary: _binary,
    syntax.IfExpression: _if,
    syntax.Index: _index,
    syntax.Call: _call,
    syntax.Pipe: _pipe,
    syntax.Share: _share,
}
