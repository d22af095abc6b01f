"""Calls: meet arguments and parameters, match shape patterns, build the body of a block."""

from __future__ import annotations

from typing import Any

from nnlang import syntax
from nnlang.diagnostics import suggest

from .context import Context, Frame
from .expressions import checked_dtype, evaluate
from .scope import Paths, Scope
from .values import Arguments, Block, Builtin, Deferred, Instance, Tensor, describe, is_dim, shape_text


def call(context: Context, function: Any, given: Arguments, span: syntax.Span, function_span: syntax.Span) -> Any:
    """Call anything that can be called. Raises Mistake."""
    if isinstance(function, Block):
        return call_block(context, function, given, span)
    if isinstance(function, Builtin):
        if given.label is not None:
            context.fail("N0402", f"`as` names a use of a block, `{function.name}` is a function", span)
        return function.implementation(context, given)
    if isinstance(function, Instance):
        return call_instance(context, function, given, span)
    if isinstance(function, Deferred):
        kept = function.arguments
        joined = Arguments(given.positional + kept.positional, {**kept.named, **given.named}, span, given.label)
        return call(context, function.function, joined, span, function_span)
    if callable_name := getattr(function, "name", None):
        context.fail("N0408", f"`{callable_name}` cannot be called", function_span, describe(function))
    context.fail("N0408", "this cannot be called", function_span, describe(function),
                 helps=["only blocks and functions can be called"])  # fmt: skip


def apply(context: Context, function: Any, leading: list[Any], span: syntax.Span) -> Any:
    """Call something named for later use with the leading arguments its place supplies."""
    given = Arguments(tuple((value, span) for value in leading), {}, span)
    return call(context, function, given, span, span)


def signature(definition: syntax.Block | syntax.Rule | syntax.Net, source: str) -> str:
    """`dense(x, units, bias = true)`, from the text of the definition."""
    parts = []
    for parameter in definition.parameters:
        default = ""
        if parameter.default is not None:
            text = source[parameter.default.span.start : parameter.default.span.end]
            default = f" = {' '.join(text.split())}"
        parts.append(parameter.name.text + default)
    return f"{definition.name.text}({', '.join(parts)})"


def lacks_leading(function: Any, given: int) -> bool:
    """Whether a call with so many arguments leaves room for leading ones: then it is named for later."""
    if isinstance(function, Builtin):
        return function.deferred
    if not isinstance(function, Block):
        return False
    required = sum(parameter.default is None for parameter in function.definition.parameters)
    return required > 0 and given < len(function.definition.parameters) and _short(function, given, required)


def _short(function: Block, given: int, required: int) -> bool:
    return given < required or isinstance(function.definition, syntax.Rule)


def call_block(context: Context, function: Block, given: Arguments, span: syntax.Span) -> Any:
    definition = function.definition
    if given.label is not None:
        paths = context.paths.labelled(given.label)
        if paths is None:
            context.fail("N0206", f"the name `{given.label}` is taken in `{context.paths.prefix or 'the net'}`", span,
                         "named again here", helps=["give this use another name"])  # fmt: skip
    else:
        paths = context.paths.use(definition.name.text)
    return build(context, function, given, span, paths)


def call_instance(context: Context, instance: Instance, given: Arguments, span: syntax.Span) -> Any:
    """Use a shared instance: its paths start afresh, so each parameter meets the one made before."""
    kept = instance.arguments
    joined = Arguments(given.positional + kept.positional, {**kept.named, **given.named}, span)
    return build(context, instance.block, joined, span, Paths(instance.paths.prefix))


def build(context: Context, function: Block, given: Arguments, span: syntax.Span, paths: Paths) -> Any:
    from .statements import run_body

    definition = function.definition
    frame = Frame(definition.name.text, span, definition)
    scope = Scope(function.module.scope)
    bind_arguments(context, function, given, span, scope)
    shown = Frame(_shown(context, frame, given), span, definition)
    with context.frame(shown), context.path(paths):
        if not isinstance(definition.body, tuple):
            return evaluate(context, scope, definition.body)
        return run_body(context, scope, definition.body, definition.name.text, definition.span)


def _shown(context: Context, frame: Frame, given: Arguments) -> str:
    """`bottleneck(width = 64)`: the call with its compile-time arguments."""
    parts = [str(v) for v, _ in given.positional if not isinstance(v, (Tensor, Block, Deferred, Instance, list, tuple))]
    parts += [f"{name} = {v}" for name, (v, _) in given.named.items() if not isinstance(v, (Tensor, list, tuple))]
    text = f"{frame.text}({', '.join(parts)})"
    return text.replace("True", "true").replace("False", "false") if parts else frame.text


def bind_arguments(context: Context, function: Block, given: Arguments, span: syntax.Span, scope: Scope) -> None:
    """Bind each parameter to its argument or default, in order; then match the shape patterns."""
    parameters = function.definition.parameters
    names = [parameter.name.text for parameter in parameters]
    name = function.name
    shown = signature(function.definition, function.module.source.text)
    if len(given.positional) > len(parameters):
        extra = given.positional[len(parameters)][1]
        context.fail("N0401", f"too many arguments for `{name}`", extra, f"takes {len(parameters)}",
                     notes=[f"`{shown}`"])  # fmt: skip
    for key, (_, place) in given.named.items():
        if key not in names:
            meant = suggest(key, names)
            context.fail("N0402", f"`{name}` has no argument `{key}`", place, "", notes=[f"`{shown}`"],
                         helps=[f"did you mean `{meant}`?"] if meant else [])  # fmt: skip
        if names.index(key) < len(given.positional):
            context.fail("N0405", f"`{key}` is given twice", place, "again here",
                         others=[(given.positional[names.index(key)][1], "first here")], notes=[f"`{shown}`"])  # fmt: skip
    missing = []
    for position, parameter in enumerate(parameters):
        key = parameter.name.text
        if position < len(given.positional):
            value, place = given.positional[position]
        elif key in given.named:
            value, place = given.named[key]
        elif parameter.default is not None:
            value, place = evaluate(context, scope, parameter.default), parameter.default.span
        else:
            missing.append(key)
            continue
        if parameter.type is not None:
            match_type(context, scope, parameter, value, place, name)
        scope.bind(key, value, "argument", parameter.name.span)
    if missing:
        words = " and ".join(f"`{key}`" for key in missing)
        context.fail("N0403", f"`{name}` needs {words}", span, "not given", notes=[f"`{shown}`"],
                     helps=[f"give it: `{name}({', '.join(f'{key} = ...' for key in missing)})`"])  # fmt: skip


def match_type(
    context: Context, scope: Scope, parameter: syntax.Parameter, value: Any, span: syntax.Span, block: str
) -> None:
    """Match a tensor with the shape in a signature; names in it are bound, or must agree when they are."""
    pattern = parameter.type
    assert pattern is not None
    key = parameter.name.text
    if not isinstance(value, Tensor):
        context.fail("N0303", f"`{key}` of `{block}` must be a tensor", span, describe(value))
    if isinstance(pattern, syntax.LikeType):
        other = evaluate(context, scope, pattern.value)
        if not isinstance(other, Tensor) or (other.dtype, other.shape) != (value.dtype, value.shape):
            _mismatch(context, key, block, describe(other), value, span)
        return
    written = context.sources[pattern.span.file].text[pattern.span.start : pattern.span.end]
    if pattern.dtype is not None and checked_dtype(context, pattern.dtype, pattern.span) != value.dtype:
        _mismatch(context, key, block, written, value, span, [f"convert it: `{pattern.dtype}(...)`"])
    match_dimensions(context, scope, pattern.dimensions, value, key, block, written, span)


def match_dimensions(
    context: Context, scope: Scope, pattern: tuple[Any, ...], value: Tensor, key: str, block: str, written: str,
    span: syntax.Span,
) -> None:  # fmt: skip
    shape = value.shape
    spreads = [i for i, part in enumerate(pattern) if isinstance(part, syntax.Spread)]
    fixed = len(pattern) - len(spreads)
    if len(spreads) > 1:
        context.fail("N0303", "a shape can have one `...`", pattern[spreads[1]].span)
    if len(shape) < fixed or (not spreads and len(shape) != fixed):
        _mismatch(context, key, block, written, value, span, _rank_help(fixed, len(shape)))
    if spreads:
        at = spreads[0]
        spread = pattern[at]
        middle = shape[at : len(shape) - (len(pattern) - at - 1)]
        if isinstance(spread.value, syntax.Name) and scope.names.get(spread.value.text) is None:
            scope.bind(spread.value.text, tuple(middle), "dimension", spread.span)
        pairs = list(zip(pattern[:at], shape[:at], strict=True))
        pairs += list(zip(pattern[at + 1 :], shape[at + len(middle) :], strict=True))
    else:
        pairs = list(zip(pattern, shape, strict=True))
    for part, size in pairs:
        if isinstance(part, syntax.Name) and scope.names.get(part.text) is None:
            scope.bind(part.text, size, "dimension", part.span)
            continue
        expected = evaluate(context, scope, part)
        if not is_dim(expected):
            context.fail("N0303", "a dimension must be an integer or a name of one", part.span, describe(expected))
        if expected != size:
            note = [f"`{context.snippet(part.span)}` is {expected} here, found {size}"]
            _mismatch(context, key, block, written, value, span, [], note)


def _rank_help(expected: int, found: int) -> list[str]:
    if expected == 4:
        return ["images are [N, height, width, channels]; give the tensor four axes with `reshape`"]
    if expected == 2 and found > 2:
        return ["flatten the tensor first: `x -> flatten`"]
    return []


def _mismatch(
    context: Context, key: str, block: str, written: str, value: Tensor, span: syntax.Span,
    helps: list[str] | None = None, notes: list[str] | None = None,
) -> None:  # fmt: skip
    context.fail(
        "N0303", f"`{block}` expects `{key}: {written}`", span, f"found {value.dtype}{shape_text(value.shape)}",
        notes=[f"it is {context.provenance(value)}", *(notes or [])], helps=helps or [],
    )  # fmt: skip
