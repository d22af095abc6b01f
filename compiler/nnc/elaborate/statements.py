"""Execute statements: bindings, parameters, states, loops. Every loop runs here, at compile time,
and ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from nnlang import syntax

from ..dtypes import FLOATS, NARROW
from ..graph import Type
from .arithmetic import as_tensor
from .context import STANDARD, Context, Limit, Mistake, VariableSpec
from .expressions import (
    Later,
    condition,
    defer,
    evaluate,
    evaluate_binding,
    evaluate_value,
    items_of,
    shape_of_type,
    unpack,
)
from .lists import alone
from .memoize import memoize
from .scope import Scope, bound_names
from .values import (
    POISON,
    Outputs,
    Poison,
    Tensor,
    describe,
    is_dim,
    is_plain,
    shape_text,
    tensor_help,
    written,
)

ELEMENT_LIMIT = 2**31
_FIXED = {
    "constant": "a constant",
    "setting": "a setting of the net",
    "dimension": "a dimension",
    "input": "an input",
    "parameter": "a parameter",
}


class ReturnValue(Exception):
    """Unwinds a body to its block with the value of `return`."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def run_body(
    context: Context, scope: Scope, body: tuple[syntax.Statement, ...], name: str, span: syntax.Span
) -> Any:
    """Run a block's statements and give what it returns; all mistakes of a user's block are
    reported.
    """
    try:
        run_statements(context, scope, body)
    except ReturnValue as returned:
        return returned.value
    context.fail(
        "N0409",
        f"the block `{name}` returns nothing",
        span,
        "no `return` was reached",
        helps=["end it with `return ...`"],
    )


def run_statements(context: Context, scope: Scope, body: tuple[syntax.Statement, ...]) -> None:
    """Run statements; all mistakes in a user's text are reported before it ends with one."""
    failed = False
    for statement in body:
        try:
            execute(context, scope, statement)
        except Limit:
            raise
        except Mistake as mistake:
            if statement.span.file.startswith(STANDARD):
                raise
            context.report(mistake)
            poison(scope, statement)
            failed = True
    if failed:
        raise Mistake(None)


def run_inside(context: Context, scope: Scope, net: syntax.Net) -> Any:
    """Run the body of a net that another one uses as a block, with its inputs and settings bound;
    gives its output, or a tuple of its outputs.
    """
    before = context.outputs, context.output_places
    context.outputs, context.output_places = [], {}
    try:
        body = tuple(item for item in net.body if not isinstance(item, syntax.Input))
        run_statements(context, scope, body)
        found = context.outputs
    finally:
        context.outputs, context.output_places = before
    if not found:
        context.fail(
            "N0412",
            f"the net `{net.name.text}` has no output",
            net.name.span,
            "gives nothing",
            helps=["name what it gives: `output y = ...`"],
        )
    if len(found) == 1:
        return found[0][1]
    return Outputs(found)


def execute(context: Context, scope: Scope, statement: syntax.Statement) -> None:
    context.spend(1, statement.span)
    _EXECUTE[type(statement)](context, scope, statement)


def execute_each(
    context: Context, scope: Scope, statements: Iterable[Any], run: Callable[..., None] = execute
) -> None:
    """Run statements, keeping each mistake: a name whose making failed is poisoned, so none follows
    from it.
    """
    for statement in statements:
        try:
            run(context, scope, statement)
        except Limit:
            raise
        except Mistake as mistake:
            context.report(mistake)
            poison(scope, statement)
        except RecursionError:
            context.report_failure(
                "N0107",
                "this is nested too deeply",
                statement.span,
                helps=["give parts of it names, and build on those"],
            )
            poison(scope, statement)


def poison(scope: Scope, statement: Any) -> None:
    for name in bound_names(statement, local=False):
        scope.bind(name.text, POISON, "value", name.span)


def _assign(context: Context, scope: Scope, node: syntax.Assign) -> None:
    in_library = node.span.file.startswith(STANDARD)  # its local names are no part of a path
    paths = context.paths if in_library else context.paths.binding(node.targets[0].text)
    with context.path(paths):
        if in_library:
            value = memoize(
                context, scope, node.value, lambda: evaluate_binding(context, scope, node.value)
            )
        else:
            value = evaluate_binding(context, scope, node.value)
    if len(node.targets) == 1:
        assign_name(context, scope, node.targets[0], value)
        return
    for target, item in zip(
        node.targets, unpack(context, value, len(node.targets), node.value.span), strict=True
    ):
        assign_name(context, scope, target, item)


def assign_name(context: Context, scope: Scope, target: syntax.Name, value: Any) -> None:
    """Give a name its value; assigning to a state gives its next value."""
    name = target.text
    owner, binding = _owner(scope, name)
    if binding is None or owner is None:
        scope.bind(name, value, "value", target.span)
        return
    if binding.kind in _FIXED:
        context.fail(
            "N0203",
            f"`{name}` is {_FIXED[binding.kind]} and cannot be given another value",
            target.span,
            "given a value here",
            others=[(binding.span, f"{_FIXED[binding.kind]}")] if binding.span else [],
            helps=["use another name"],
        )
    if binding.kind == "state":
        _next_state(context, binding.value, target, value)
        return
    kind = binding.kind if not isinstance(binding.value, Poison) else "value"
    owner.bind(name, value, "value" if kind == "argument" else kind, target.span)


def _owner(scope: Scope, name: str) -> tuple[Scope | None, Any]:
    """The body that binds a name: rebinding inside a loop or branch carries out of it; names of the
    file do not change.
    """
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
        context.fail(
            "N0410",
            f"the state `{target.text}` changes outside of training",
            target.span,
            "given its next value here",
            others=[(spec.node.name.span, "declared here")],
            helps=["assign it inside `if training { ... }`"],
        )
    value = alone(context, value, target.span, spec.value.dtype)
    if not isinstance(value, Tensor):
        value = as_tensor(context, value, spec.value.dtype, target.span)
    declared = (spec.node.type.span, f"declared {spec.value.type}")
    if value.dtype != spec.value.dtype:
        context.fail(
            "N0302",
            f"the next value of `{target.text}` has another element type",
            target.span,
            context.provenance(value),
            others=[declared],
            helps=[f"convert it: `{spec.value.dtype}(...)`"],
        )
    if value.shape != spec.value.shape and value.shape != ():
        context.fail(
            "N0309",
            f"the next value of `{target.text}` has another shape",
            target.span,
            context.provenance(value),
            others=[declared],
        )
    if value.shape != spec.value.shape:
        spread = context.emit("broadcast_to", value, span=target.span, shape=spec.value.shape)
        value = Tensor(spread.value, target.span, target.text)
    context.current[key] = value


def _variable(context: Context, scope: Scope, node: syntax.Param | syntax.State) -> None:
    kind = "parameter" if isinstance(node, syntax.Param) else "state"
    known = scope.names.get(node.name.text)
    if known is not None and known.span is not None and known.span != node.name.span:
        context.fail(
            "N0202",
            f"`{node.name.text}` exists already",
            node.name.span,
            "made again here",
            others=[(known.span, "first here")],
            helps=["give it another name"],
        )
    dtype, shape = shape_of_type(context, scope, node.type)
    for size in shape:
        if not isinstance(size, int):
            context.fail(
                "N0304",
                f"the shape of `{node.name.text}` must be known when compiling",
                node.type.span,
                f"{shape_text(shape)}: {size} is known only when the network is called",
                helps=["declare that dimension of the input as a number"],
            )
    context.check_rank(shape, node.type.span)
    if kind == "parameter" and dtype not in FLOATS:
        context.fail(
            "N0314",
            f"a parameter is learned, so its elements must be f32 or f64, not {dtype}",
            node.type.span,
            helps=[
                f"write `f32`, and compile with `--store {dtype}`"
                if dtype in NARROW
                else f"write `state` for what is not learned: `state {node.name.text}: ...`"
            ],
        )
    initializer: Any = 0
    if node.initializer is not None:
        initializer = defer(context, scope, node.initializer, Later(1))
    spec = declare(context, context.variable_kind or kind, Type(dtype, shape), initializer, node)
    value = Tensor(spec.value, node.span.to(node.type.span), node.name.text)
    if kind == "parameter":
        scope.bind(node.name.text, value, "parameter", node.name.span)
    else:
        context.current.setdefault(spec.name, value)
        scope.bind(node.name.text, spec.name, "state", node.name.span)


def declare(
    context: Context, kind: str, type: Type, initializer: Any, node: syntax.Param | syntax.State
) -> VariableSpec:
    """A variable at the current path: new, or the one that a shared instance made before."""
    name = context.paths.use(node.name.text).prefix
    known = context.variables.get(name)
    if known is None:
        sizes = [size for size in type.shape if isinstance(size, int)]
        context.elements += math.prod(sizes)
        if context.elements > ELEMENT_LIMIT:
            context.exceed(
                f"`{name}: {type}` is too large",
                node.type.span,
                f"all variables together have {context.elements:,} elements",
                f"at most {ELEMENT_LIMIT:,} fit",
            )
        value = context.builder.value(type)
        known = VariableSpec(name, kind, value, initializer, node, tuple(context.frames))
        context.variables[name] = known
    elif known.value.type != type:
        context.fail(
            "N0309",
            f"the shared `{context.shared}` has `{node.name.text}: {known.value.type}` "
            "from an earlier use",
            node.type.span,
            f"{type} in this use",
            helps=["use it on values of the same shape, or make another instance with `share`"],
        )
    return known


def _return(context: Context, scope: Scope, node: syntax.Return) -> None:
    raise ReturnValue(evaluate_value(context, scope, node.value))


def _if(context: Context, scope: Scope, node: syntax.If) -> None:
    chosen = node.then if condition(context, scope, node.condition, "if") else node.otherwise
    for statement in chosen or ():
        execute(context, scope, statement)


def _for(context: Context, scope: Scope, node: syntax.For) -> None:
    for item in items_of(context, scope, node.iterable):
        context.spend(1, node.span)
        bind_pattern(context, scope, node.pattern, item, node.iterable.span)
        for statement in node.body:
            execute(context, scope, statement)


def bind_pattern(
    context: Context, scope: Scope, pattern: Any, value: Any, span: syntax.Span
) -> None:
    if isinstance(pattern, syntax.Name):
        assign_name(context, scope, pattern, value)
        return
    for part, item in zip(
        pattern.items, unpack(context, value, len(pattern.items), span), strict=True
    ):
        bind_pattern(context, scope, part, item, span)


def _repeat(context: Context, scope: Scope, node: syntax.Repeat) -> None:
    count = evaluate(context, scope, node.count)
    if not isinstance(count, int) or isinstance(count, bool):
        symbolic = is_dim(count) and not isinstance(count, int)
        context.fail(
            "N0304" if symbolic else "N0306",
            "`repeat` needs a known whole number",
            node.count.span,
            describe(count),
        )
    if count < 0:
        context.fail(
            "N0306", "`repeat` cannot run a negative number of times", node.count.span, f"{count}"
        )
    for _ in range(count):
        context.spend(1, node.span)
        for statement in node.body:
            execute(context, scope, statement)


def _assert(context: Context, scope: Scope, node: syntax.Assert) -> None:
    """`assert condition, "message"` or `("message", "help")`; shows what arguments it is about."""
    if condition(context, scope, node.condition, "assert"):
        return
    message = None if node.message is None else evaluate(context, scope, node.message)
    parts = list(message) if isinstance(message, tuple) else [message]
    words = [part for part in parts if isinstance(part, str)] or ["an assertion does not hold"]
    places = _arguments_in(context, scope, node.condition)
    block = context.library_block(node.span)
    if block:
        (place, text), *others = places or [(node.condition.span, "")]
        context.fail("N0406", f"`{block}`: {words[0]}", place, text, others=others, helps=words[1:])
    context.fail(
        "N0406", words[0], node.condition.span, "this is false", others=places, helps=words[1:]
    )


def _arguments_in(
    context: Context, scope: Scope, condition: syntax.Expression
) -> list[tuple[syntax.Span, str]]:
    """The arguments of the block that a condition speaks of, where the caller wrote them."""
    found: dict[syntax.Span, str] = {}
    own = context.in_called_block()  # whose names the caller knows
    for part in syntax.walk(condition):
        binding = scope.find(part.text) if isinstance(part, syntax.Name) else None
        if binding is not None and binding.given is not None:
            assert isinstance(part, syntax.Name)
            value = binding.value
            said = f"{part.text}: {describe(value)}"
            if is_plain(value):
                said = f"{part.text} = {written(value)}" if own else f"found {written(value)}"
            if isinstance(value, Tensor) and context.user_span(value.span) is not binding.given:
                said += f"   {context.origin(value)}"
            found.setdefault(binding.given, said)
    return list(found.items())


def _const(context: Context, scope: Scope, node: syntax.Const) -> None:
    known = scope.find(node.name.text)
    if known is not None and known.kind in _FIXED and known.span != node.name.span:
        context.fail(
            "N0203",
            f"the constant `{node.name.text}` hides {_FIXED[known.kind]} of the same name",
            node.name.span,
            "made again here",
            others=[(known.span, "first here")] if known.span else [],
            helps=["use another name"],
        )
    value = evaluate(context, scope, node.value)
    known_constant(context, node, value)
    scope.bind(node.name.text, value, "constant", node.name.span)


def known_constant(context: Context, node: syntax.Const, value: Any) -> None:
    if not is_plain(value):
        context.fail(
            "N0306",
            f"the constant `{node.name.text}` must be a number, a text or a list of such",
            node.value.span,
            describe(value),
            helps=[f"leave out `const`: `{node.name.text} = ...`"]
            if isinstance(value, Tensor)
            else [],
        )


def _scan(context: Context, scope: Scope, node: syntax.Scan) -> None:
    context.fail(
        "N0411",
        "this version of nnc compiles no `scan`",
        node.span,
        "",
        helps=["unroll a short sequence with `for t in range(n)` and `x[:, t]`"],
    )


def _output(context: Context, scope: Scope, node: syntax.Output) -> None:
    name = node.name.text
    source = node.value if node.value is not None else node.name
    with context.path(context.paths.binding(name)):
        value = evaluate_binding(context, scope, source)
    if not isinstance(value, Tensor):
        message, helps = f"the output `{name}` must be a tensor", tensor_help(value)
        if isinstance(value, Outputs):
            text = source.text if isinstance(source, syntax.Name) else "..."
            helps = [f"give out one of them: `{text}.{value.names[0]}`"]
        context.fail("N0306", message, source.span, describe(value), helps=helps)
    if name in context.output_places:
        context.fail(
            "N0202",
            f"the output `{name}` exists already",
            node.name.span,
            "made again here",
            others=[(context.output_places[name], "first here")],
            helps=["give it another name"],
        )
    context.outputs.append((name, value))
    context.output_places[name] = node.name.span
    if scope.of_body(name) is None:
        scope.bind(name, value, "value", node.name.span)


def _misplaced(context: Context, scope: Scope, node: Any) -> None:
    word = type(node).__name__.lower()
    places = {
        "input": "a net or a training section",
        "carry": "a `scan`",
        "yield": "a `scan`",
    }
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
    syntax.Output: _output,
    syntax.Carry: _misplaced,
    syntax.Yield: _misplaced,
}
