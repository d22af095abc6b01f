"""Evaluate expressions: names, literals, pipes, calls, `if`, `share`. Takes syntax and a scope,
gives values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from nnlang import other_tools, syntax
from nnlang.diagnostics import suggest

from ..dtypes import DTYPES
from . import arithmetic, indexing, lists
from .arithmetic import weighed
from .context import STANDARD, WORK_LIMIT, Context, Mistake
from .members import member
from .scope import Scope
from .values import (
    Arguments,
    Block,
    Builtin,
    Deferred,
    Instance,
    Namespace,
    Outputs,
    Poison,
    Tensor,
    called,
    describe,
    is_dim,
    joined,
    missing,
)


def evaluate(context: Context, scope: Scope, node: syntax.Expression) -> Any:
    """The value of an expression. Raises Mistake."""
    context.work += 1
    if context.work > WORK_LIMIT:
        context.spend(0, node.span)
    return _EVALUATE[type(node)](context, scope, node)


def evaluate_value(context: Context, scope: Scope, node: syntax.Expression) -> Any:
    """The value of an expression that is passed on, not computed with: a call that lacks its first
    argument is kept, to be called later.
    """
    if isinstance(node, syntax.Call):
        context.spend(1, node.span)
        return _call(context, scope, node, keeps=True)
    return evaluate(context, scope, node)


def evaluate_binding(context: Context, scope: Scope, node: syntax.Expression) -> Any:
    """The value of an expression that is given a name: a plain name counts as where the value comes
    from.
    """
    value = evaluate_value(context, scope, node)
    if isinstance(node, syntax.Name) and isinstance(value, Tensor):
        return Tensor(value.value, node.span, node.text)
    return value


def _name(context: Context, scope: Scope, node: syntax.Name) -> Any:
    binding = scope.find(node.text)
    if binding is None:
        if node.text == "training":  # true while the training step is built
            context.training_reads += 1
            return context.training
        unknown_name(context, scope, node)
    if isinstance(binding.value, Poison):
        raise Mistake(None)
    if binding.kind == "state":
        return context.current.get(binding.value, binding.value)
    return binding.value


def unknown_name(context: Context, scope: Scope, node: syntax.Name) -> NoReturn:
    """A name without a value: one that is made elsewhere in the same item, or one that does not
    exist.
    """
    for other in scope.made_elsewhere(node):
        later = other.span.start > node.span.start
        words = (
            "made here, further down" if later else "made here, where this place does not see it"
        )
        context.fail(
            "N0208",
            f"`{node.text}` has no value here",
            node.span,
            "not yet",
            others=[(other.span, words)],
        )
    fail_unknown(context, node, scope.visible())


def fail_unknown(context: Context, node: syntax.Name, candidates: Iterable[str]) -> NoReturn:
    known = other_tools.name_help(node.text)
    meant = None if known else suggest(node.text, candidates)
    helps = [f"did you mean `{meant}`?"] if meant else [known] if known else []
    if node.text in syntax.DTYPES:
        checked_dtype(context, node.text, node.span)
    context.fail("N0201", f"there is no `{node.text}` here", node.span, "not known", helps=helps)


def _attribute(context: Context, scope: Scope, node: syntax.Attribute) -> Any:
    return member(context, scope, node, evaluate(context, scope, node.value))


def _number(context: Context, scope: Scope, node: syntax.Number) -> int | float:
    if node.is_int and abs(node.value) > arithmetic.LARGEST:
        context.fail("N0313", "the number is too large", node.span, "at most 2 ** 62")
    return node.value


def _unary(context: Context, scope: Scope, node: syntax.Unary) -> Any:
    return arithmetic.unary(context, node, evaluate(context, scope, node.operand))


def _binary(context: Context, scope: Scope, node: syntax.Binary) -> Any:
    left = evaluate(context, scope, node.left)
    if (
        node.operator in ("and", "or")
        and isinstance(left, bool)
        and left == (node.operator == "or")
    ):
        return left
    right = evaluate(context, scope, node.right)
    return arithmetic.binary(context, node, *lists.operands(context, node, left, right))


def condition(context: Context, scope: Scope, node: syntax.Expression, word: str) -> bool:
    """A compile-time truth value."""
    value = evaluate(context, scope, node)
    if isinstance(value, bool):
        return value
    helps = ["`if` chooses at compile time; choose by value with `select(condition, a, b)`"]
    context.fail(
        "N0307",
        f"`{word}` needs true or false known at compile time",
        node.span,
        describe(value),
        helps=helps if isinstance(value, Tensor) else [],
    )


def _if(
    context: Context, scope: Scope, node: syntax.IfExpression, later: Later | None = None
) -> Any:
    chosen = node.then if condition(context, scope, node.condition, "if") else node.otherwise
    inner = Scope(scope)
    for statement in chosen.statements:
        context.evaluator.execute(context, inner, statement)
    if later is not None:
        return defer(context, inner, chosen.value, later)
    return evaluate_binding(context, inner, chosen.value)


def _index(context: Context, scope: Scope, node: syntax.Index) -> Any:
    value = evaluate(context, scope, node.value)
    parts: list[Any] = []
    for item in node.items:
        if isinstance(item, syntax.Slice):
            ends = [
                None if e is None else evaluate(context, scope, e)
                for e in (item.start, item.stop, item.step)
            ]
            parts.append(slice(*ends))
        elif isinstance(item, (syntax.Spread, syntax.NewAxis)):
            parts.append(item)
        else:
            parts.append(evaluate(context, scope, item))
    return indexing.index(context, node, value, parts)


def given_place(scope: Scope, node: syntax.Expression) -> syntax.Span:
    """Where an argument was written: inside the standard library a parameter stands for the user's
    text.
    """
    if isinstance(node, syntax.Name) and node.span.file.startswith(STANDARD):
        binding = scope.find(node.text)
        if binding is not None and binding.given is not None and binding.kind == "argument":
            return binding.given
    return node.span


def arguments(
    context: Context,
    scope: Scope,
    call: syntax.Call,
    function: Any,
    leading: tuple[tuple[Any, syntax.Span], ...] = (),
    later: Later | None = None,
) -> Arguments:
    """Evaluate the arguments of a call, `leading` (from a pipe) first.

    A parameter whose default is a block takes a rule: a call given for it is named for later use.
    """
    positional = list(leading)
    named: dict[str, tuple[Any, syntax.Span]] = {}
    keys: dict[str, syntax.Span] = {}
    block = called(function)
    rules = block.rule_parameters if isinstance(block, Block) else frozenset()
    for argument in call.arguments:
        key: Any = argument.name.text if argument.name is not None else len(positional)
        if later is not None and isinstance(argument.value, syntax.Call):
            value = defer(context, scope, argument.value, later)
        elif key in rules:
            value = defer(context, scope, argument.value, Later(1))
        else:
            value = evaluate_value(context, scope, argument.value)
        if argument.name is None:
            positional.append((value, given_place(scope, argument.value)))
            continue
        if argument.name.text in named:
            context.fail(
                "N0405",
                f"`{argument.name.text}` is given twice",
                argument.name.span,
                "again here",
                others=[(keys[argument.name.text], "first here")],
            )
        named[argument.name.text] = (value, given_place(scope, argument.value))
        keys[argument.name.text] = argument.name.span
    label = call.label.text if call.label else None
    return Arguments(tuple(positional), named, call.span, label, keys)


def callee(context: Context, scope: Scope, node: syntax.Expression) -> Any:
    """The value of what a call calls: a block, a function, a shared instance or a call kept for
    later.
    """
    function = evaluate(context, scope, node)
    if not isinstance(function, (Block, Builtin, Instance, Deferred)):
        name, place = context.snippet(node.span), given_place(scope, node)
        message, helps = f"`{name}` cannot be called", ["only blocks and functions can be called"]
        if isinstance(function, Namespace):
            member = next(iter(function.members), "name")
            helps = [f"call a block of it: `{name}.{member}(...)`"]
        elif place is not node.span:
            message, helps = f"`{name}` must be a block or function", []
        elif isinstance(node, syntax.Name) and scope.hides_block(node.text):
            helps = [f"the name hides the block `{name}` here; give the value another name"]
        context.fail("N0408", message, place, describe(function), helps=helps)
    return function


def made_here(context: Context, value: Any, span: syntax.Span, before: Any = None) -> Any:
    """What a call gives, with the call as the place that it came from."""
    if isinstance(value, Tensor):
        shape = before.shape if isinstance(before, Tensor) else None
        return Tensor(value.value, span, context.snippet(span), shape)
    if isinstance(value, Outputs):
        made = [made_here(context, item, span) for item in value]
        return Outputs(list(zip(value.names, made, strict=True)))
    if isinstance(value, (tuple, list)) and any(isinstance(item, Tensor) for item in value):
        return type(value)(made_here(context, item, span) for item in value)
    return value


def _call(context: Context, scope: Scope, node: syntax.Call, keeps: bool = False) -> Any:
    function = callee(context, scope, node.function)
    given = arguments(context, scope, node, function)
    if keeps and missing(function, given):
        return context.evaluator.keep(context, function, given, node.span)
    first = given.positional[0][0] if given.positional else None
    return made_here(
        context, context.evaluator.call(context, function, given, node.span), node.span, first
    )


def _pipe(context: Context, scope: Scope, node: syntax.Pipe) -> Any:
    leading = tuple(
        (evaluate(context, scope, value), given_place(scope, value)) for value in node.values
    )
    value: Any = None
    for stage in node.stages:
        function = callee(context, scope, stage.function)
        given = arguments(context, scope, stage, function, leading)
        value = context.evaluator.call(context, function, given, stage.span)
        value = made_here(context, value, stage.span, leading[0][0])
        leading = ((value, stage.span),)
    return value


def _share(context: Context, scope: Scope, node: syntax.Share) -> Any:
    function = callee(context, scope, node.call.function)
    given = arguments(context, scope, node.call, function)
    is_shared = isinstance(function, Instance)
    function, whole = joined(function, given)
    if is_shared or not isinstance(function, Block):
        place, words = node.call.function.span, describe(function)
        if is_shared:
            words = f"a shared `{function.name}` already"
        context.fail("N0408", "`share` needs a block", place, words)
    paths = context.use_paths(function.name, given.label, node.call.span)
    return Instance(function, replace(whole, label=None), paths)


@dataclass(frozen=True)
class Later:
    """A place that takes a rule: how many leading arguments it supplies, and whether plain values
    do too.
    """

    supplies: int
    takes_values: bool = False

    def keeps(self, function: Any) -> bool:
        """Whether a call here is kept for later, rather than made at once."""
        if isinstance(function, Deferred):
            return True
        if isinstance(function, Builtin):
            return function.deferred
        if not isinstance(function, Block):
            return False
        return not self.takes_values or len(function.parameters) >= self.supplies


def defer(context: Context, scope: Scope, node: syntax.Expression, later: Later) -> Any:
    """An expression named for later use: a call keeps its arguments; the place supplies the leading
    ones.
    """
    if isinstance(node, syntax.List):
        return [defer(context, scope, item, later) for item in node.items]
    if isinstance(node, syntax.Comprehension):
        return comprehension(
            context, scope, node, lambda inner: defer(context, inner, node.value, later)
        )
    if isinstance(node, syntax.IfExpression):
        return _if(context, scope, node, later)
    if not isinstance(node, syntax.Call):
        value = evaluate(context, scope, node)
        if isinstance(value, (Block, Builtin)):
            return Deferred(value, Arguments(span=node.span))
        return value
    function = callee(context, scope, node.function)
    if not later.keeps(function):
        return evaluate(context, scope, node)
    given = arguments(context, scope, node, function, later=later if later.takes_values else None)
    if isinstance(function, Deferred):
        kept = function.arguments
        return Deferred(function.function, kept.after(given, kept.span or node.span))
    return Deferred(function, given)


def comprehension(
    context: Context,
    scope: Scope,
    node: syntax.Comprehension,
    value_in: Callable[[Scope], Any],
) -> list[Any]:
    """`[f(x) for x in items if c]`: the values for the items, whose names are seen here only."""
    found: list[Any] = []
    for item in items_of(context, scope, node.iterable):
        context.spend(1, node.span)
        inner = Scope(scope)
        bind_locally(context, inner, node.pattern, item, node.iterable.span)
        if node.condition is None or condition(context, inner, node.condition, "if"):
            found.append(value_in(inner))
    weighed(context, found, node.span)
    return found


def items_of(context: Context, scope: Scope, node: syntax.Expression) -> Any:
    """What a `for` runs over."""
    items = evaluate(context, scope, node)
    if not isinstance(items, (list, tuple, range)):
        context.fail(
            "N0306",
            "`for` runs over a list or a tuple",
            node.span,
            describe(items),
            helps=["count with `for i in range(n)`, repeat with `repeat n { ... }`"],
        )
    return items


def bind_locally(
    context: Context, scope: Scope, pattern: Any, value: Any, span: syntax.Span
) -> None:
    """Bind the names of a pattern in this scope, whatever they mean outside."""
    if isinstance(pattern, syntax.Name):
        scope.bind(pattern.text, value, "value", pattern.span)
        return
    parts = unpack(context, value, len(pattern.items), span)
    for part, item in zip(pattern.items, parts, strict=True):
        bind_locally(context, scope, part, item, span)


def unpack(context: Context, value: Any, count: int, span: syntax.Span) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        helps = ["`split(x, n)` cuts a tensor into parts"] if isinstance(value, Tensor) else []
        context.fail(
            "N0308", f"{count} names need {count} values", span, describe(value), helps=helps
        )
    if len(value) != count:
        context.fail(
            "N0308",
            f"{count} names need {count} values",
            span,
            f"{len(value)} values: {describe(value)}",
        )
    return list(value)


def dimension(context: Context, scope: Scope, node: syntax.Expression) -> Any:
    """One dimension of a type: an integer of at least 0 or an expression over symbols."""
    value = evaluate(context, scope, node)
    if not is_dim(value):
        context.fail(
            "N0306", "a dimension must be an integer or a name of one", node.span, describe(value)
        )
    if isinstance(value, int) and value < 0:
        open_size = ["write `N`: a size that is not fixed has a name"] if value == -1 else []
        message = "a dimension cannot be negative"
        context.fail("N0306", message, node.span, f"{value}", helps=open_size)
    return value


def shape_of_type(
    context: Context, scope: Scope, node: syntax.TypeExpression
) -> tuple[str, tuple[Any, ...]]:
    """Element type and shape of a type whose dimensions are all known names; f32 where none is
    said.
    """
    if isinstance(node, syntax.LikeType):
        value = evaluate(context, scope, node.value)
        if not isinstance(value, Tensor):
            context.fail("N0306", "`like` needs a tensor", node.value.span, describe(value))
        return value.dtype, value.shape
    shape: list[Any] = []
    for part in node.dimensions:
        if isinstance(part, syntax.Spread):
            if part.value is None:
                context.fail(
                    "N0306", "`...` has no meaning in the type of something new", part.span
                )
            dims = evaluate(context, scope, part.value)
            if not isinstance(dims, (list, tuple)) or not all(is_dim(d) for d in dims):
                context.fail("N0306", "`...` needs a shape", part.value.span, describe(dims))
            shape += dims
        else:
            shape.append(dimension(context, scope, part))
    return checked_dtype(context, node.dtype or "f32", node.span), tuple(shape)


def checked_dtype(context: Context, dtype: str, span: syntax.Span) -> str:
    if dtype not in DTYPES:
        context.fail(
            "N0314",
            f"the element type {dtype} is not available",
            span,
            "",
            helps=[f"use one of {', '.join(DTYPES)}"],
        )
    return dtype


_EVALUATE: dict[type, Any] = {
    syntax.Name: _name,
    syntax.Number: _number,
    syntax.String: lambda context, scope, node: node.value,
    syntax.Bool: lambda context, scope, node: node.value,
    syntax.Attribute: _attribute,
    syntax.List: lambda context, scope, node: weighed(
        context, [evaluate_value(context, scope, item) for item in node.items], node.span
    ),
    syntax.Tuple: lambda context, scope, node: weighed(
        context, tuple(evaluate_value(context, scope, item) for item in node.items), node.span
    ),
    syntax.Comprehension: lambda context, scope, node: comprehension(
        context, scope, node, lambda inner: evaluate_value(context, inner, node.value)
    ),
    syntax.Unary: _unary,
    syntax.Binary: _binary,
    syntax.IfExpression: _if,
    syntax.Index: _index,
    syntax.Call: _call,
    syntax.Pipe: _pipe,
    syntax.Share: _share,
}
