"""Execute statements: bindings, parameters, states, loops. Every loop runs here, at compile time, and ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from nnlang import syntax

from .context import STANDARD, Context, Mistake, VariableSpec
from .expressions import condition, defer, evaluate, evaluate_binding, shape_of_type
from .scope import Scope
from .values import POISON, Poison, Tensor, describe, is_dim, shape_text


class ReturnValue(Exception):
    """Unwinds a body to its block with the value of `return`."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def run_body(
    context: Context, scope: Scope, body: tuple[syntax.Statement, ...], name: str, span: syntax.Span
) -> Any:
    """Run a block's statements and give what it returns."""
    try:
        for statement in body:
            execute(context, scope, statement)
    except ReturnValue as returned:
        return returned.value
    context.fail("N0409", f"the block `{name}` returns nothing", span, "", helps=["end it with `return ...`"])


def execute(context: Context, scope: Scope, statement: syntax.Statement) -> None:
    context.count_statement(statement.span)
    _EXECUTE[type(statement)](context, scope, statement)


def execute_each(context: Context, scope: Scope, statements: Iterable[Any], run: Callable[..., None] = execute) -> None:
    """Run statements, keeping each mistake: a name whose making failed is poisoned, so no mistake follows from it."""
    for statement in statements:
        try:
            run(context, scope, statement)
        except Mistake as mistake:
            context.report(mistake)
            poison(scope, statement)


def poison(scope: Scope, statement: Any) -> None:
    for node in syntax.walk(statement):
        names: tuple[syntax.Name, ...] = ()
        if isinstance(node, (syntax.Assign, syntax.Scan)):
            names = node.targets
        elif isinstance(node, (syntax.Param, syntax.State, syntax.Input, syntax.Const, syntax.Output)):
            names = (node.name,)
        for name in names:
            scope.bind(name.text, POISON, "value", name.span)


def _assign(context: Context, scope: Scope, node: syntax.Assign) -> None:
    in_library = node.span.file.startswith(STANDARD)  # its local names are no part of a path
    paths = context.paths if in_library else context.paths.binding(node.targets[0].text)
    with context.path(paths):
        value = evaluate_binding(context, scope, node.value)
    if len(node.targets) == 1:
        assign_name(context, scope, node.targets[0], value)
        return
    for target, item in zip(node.targets, unpack(context, value, len(node.targets), node.value.span), strict=True):
        assign_name(context, scope, target, item)


def unpack(context: Context, value: Any, count: int, span: syntax.Span) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        context.fail("N0308", f"{count} names need {count} values", span, describe(value))
    if len(value) != count:
        context.fail("N0308", f"{count} names need {count} values", span, f"found {len(value)}")
    return list(value)


def assign_name(context: Context, scope: Scope, target: syntax.Name, value: Any) -> None:
    """Give a name its value; assigning to a state gives its next value."""
    name = target.text
    owner, binding = _owner(scope, name)
    if binding is None or owner is None:
        scope.bind(name, value, "value", target.span)
        return
    if binding.kind in ("constant", "setting", "dimension", "input", "parameter"):
        words = {"input": "an input", "parameter": "a parameter"}.get(binding.kind, f"a {binding.kind}")
        places = [(binding.span, "made here")] if binding.span else []
        context.fail("N0203", f"`{name}` is {words} and cannot be given another value", target.span, "",
                     others=places, helps=["use another name"])  # fmt: skip
    if binding.kind == "state":
        _next_state(context, binding.value, target, value)
        return
    owner.bind(name, value, binding.kind if not isinstance(binding.value, Poison) else "value", target.span)


def _owner(scope: Scope, name: str) -> tuple[Scope | None, Any]:
    """The body that binds a name: rebinding inside a loop or branch carries out of it; names of the file do not change."""
    current: Scope | None = scope
    while current is not None:
        binding = current.names.get(name)
        if binding is not None:
            if current.of_file and binding.kind != "constant":
                return None, None
            return current, binding
        current = current.parent
    return None, None


def _next_state(context: Context, key: Any, target: syntax.Name, value: Any) -> None:
    spec = context.variables[key]
    if not context.training:
        context.fail("N0410", f"the state `{target.text}` changes outside of training", target.span, "",
                     helps=["assign it inside `if training { ... }`"])  # fmt: skip
    if not isinstance(value, Tensor):
        with context.at(target.span):
            made = context.builder.constant(value, spec.value.dtype)
        value = Tensor(made, target.span, target.text)
    if value.dtype != spec.value.dtype:
        context.fail("N0302", f"the next value of `{target.text}` has another element type", target.span,
                     f"{describe(value)}, declared {spec.value.type}")  # fmt: skip
    if value.shape != spec.value.shape:
        made = _spread_state(context, value, spec, target)
        value = Tensor(made, target.span, target.text)
    context.current[key] = value


def _spread_state(context: Context, value: Tensor, spec: VariableSpec, target: syntax.Name) -> Any:
    if value.shape != ():
        context.fail("N0309", f"the next value of `{target.text}` has another shape", target.span,
                     f"{describe(value)}, declared {spec.value.type}")  # fmt: skip
    with context.at(target.span):
        return context.builder.emit("broadcast_to", value.value, shape=spec.value.shape)


def _variable(context: Context, scope: Scope, node: syntax.Param | syntax.State) -> None:
    kind = "parameter" if isinstance(node, syntax.Param) else "state"
    if node.name.text in scope.names:
        context.fail("N0202", f"`{node.name.text}` exists already", node.name.span, "made again here",
                     others=[(p, "first here") for p in [scope.names[node.name.text].span] if p])  # fmt: skip
    dtype, shape = shape_of_type(context, scope, node.type)
    for size in shape:
        if not isinstance(size, int):
            context.fail(
                "N0304", f"the shape of `{node.name.text}` must be known when compiling", node.type.span,
                f"{shape_text(shape)}: {size} is known only when the network is called",
                helps=["declare that dimension of the input as a number"],
            )  # fmt: skip
    if kind == "parameter" and dtype not in ("f32", "f64"):
        context.fail("N0314", f"a parameter is learned, so it must be f32 or f64, not {dtype}", node.type.span)
    initializer: Any = 0
    if node.initializer is not None:
        initializer = defer(context, scope, node.initializer)
    name = context.paths.join(node.name.text)
    if context.variable_kind:
        kind = context.variable_kind
    value = declare(context, name, kind, dtype, shape, initializer, node)
    if isinstance(node, syntax.Param):
        scope.bind(node.name.text, value, "parameter", node.name.span)
    else:
        context.current.setdefault(name, value)
        scope.bind(node.name.text, name, "state", node.name.span)


def declare(
    context: Context, name: str, kind: str, dtype: str, shape: tuple[int, ...], initializer: Any,
    node: syntax.Param | syntax.State,
) -> Tensor:  # fmt: skip
    """The variable `name`: made on its first declaration, met again by a shared instance."""
    from ..graph import Type

    known = context.variables.get(name)
    if known is None:
        total = 1
        for size in shape:
            total *= size
        if total > 2**31:
            context.fail("N0304", f"`{name}` would have {total:,} elements", node.type.span, "too large")
        value = context.builder.value(Type(dtype, shape))
        known = VariableSpec(name, kind, value, initializer, node.span)
        context.variables[name] = known
    return Tensor(known.value, node.name.span, node.name.text)


def _return(context: Context, scope: Scope, node: syntax.Return) -> None:
    raise ReturnValue(evaluate(context, scope, node.value))


def _if(context: Context, scope: Scope, node: syntax.If) -> None:
    chosen = node.then if condition(context, scope, node.condition, "if") else node.otherwise
    for statement in chosen or ():
        execute(context, scope, statement)


def _for(context: Context, scope: Scope, node: syntax.For) -> None:
    items = evaluate(context, scope, node.iterable)
    if not isinstance(items, (list, tuple, range)):
        context.fail("N0306", "`for` runs over a list or a tuple", node.iterable.span, describe(items),
                     helps=["count with `for i in range(n)`, repeat with `repeat n { ... }`"])  # fmt: skip
    for item in items:
        bind_pattern(context, scope, node.pattern, item, node.iterable.span)
        for statement in node.body:
            execute(context, scope, statement)


def bind_pattern(context: Context, scope: Scope, pattern: Any, value: Any, span: syntax.Span) -> None:
    if isinstance(pattern, syntax.Name):
        assign_name(context, scope, pattern, value)
        return
    for part, item in zip(pattern.items, unpack(context, value, len(pattern.items), span), strict=True):
        bind_pattern(context, scope, part, item, span)


def _repeat(context: Context, scope: Scope, node: syntax.Repeat) -> None:
    count = evaluate(context, scope, node.count)
    if not isinstance(count, int) or isinstance(count, bool):
        symbolic = is_dim(count) and not isinstance(count, int)
        context.fail("N0304" if symbolic else "N0306", "`repeat` needs a known whole number", node.count.span,
                     describe(count))  # fmt: skip
    if count < 0:
        context.fail("N0306", "`repeat` cannot run a negative number of times", node.count.span, f"{count}")
    for _ in range(count):
        for statement in node.body:
            execute(context, scope, statement)


def _assert(context: Context, scope: Scope, node: syntax.Assert) -> None:
    if condition(context, scope, node.condition, "assert"):
        return
    text = "an assertion does not hold"
    if node.message is not None:
        message = evaluate(context, scope, node.message)
        text = message if isinstance(message, str) else text
    context.fail("N0406", text, node.condition.span, "this is false")


def _const(context: Context, scope: Scope, node: syntax.Const) -> None:
    known = scope.find(node.name.text)
    if known is not None and known.kind == "constant":
        context.fail("N0203", f"the constant `{node.name.text}` exists already", node.name.span, "made again here",
                     others=[(known.span, "first here")] if known.span else [])  # fmt: skip
    scope.bind(node.name.text, evaluate(context, scope, node.value), "constant", node.name.span)


def _scan(context: Context, scope: Scope, node: syntax.Scan) -> None:
    context.fail("N0411", "this version of nnc compiles no `scan`", node.span, "",
                 helps=["unroll a short sequence with `for t in range(n)` and `x[:, t]`"])  # fmt: skip


def _misplaced(context: Context, scope: Scope, node: Any) -> None:
    word = type(node).__name__.lower()
    places = {"input": "a net or a training section", "output": "a net", "carry": "a `scan`", "yield": "a `scan`"}
    context.fail("N0114", f"`{word}` belongs in {places[word]}", node.span)


_EXECUTE: dict[type, Callable[[Context, Scope, Any], None]] = {
    syntax.Assign: _assign,
    syntax.Param: _variable,
    syntax.State: _variable,
    syntax.Return: _return,
    syntax.If: _if,
    syntax.For: _for,
    syntax.Repeat: _repeat,
    syntax.Assert: _assert,
    syntax.Const: _const,
    syntax.Scan: _scan,
    syntax.Input: _misplaced,
    syntax.Output: _misplaced,
    syntax.Carry: _misplaced,
    syntax.Yield: _misplaced,
}
