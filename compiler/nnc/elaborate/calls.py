"""Calls: meet arguments and parameters, match shape patterns, build the body of a block."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from nnlang import other_tools, syntax
from nnlang.diagnostics import suggest

from .context import STANDARD, Context, Frame
from .expressions import checked_dtype, evaluate_value
from .patterns import match_type
from .scope import Binding, Paths, Scope
from .statements import run_body, run_inside
from .values import (
    Arguments,
    Block,
    Builtin,
    Deferred,
    Instance,
    describe,
    is_number,
    is_plain,
    joined,
    missing,
    written,
)

__all__ = ["apply", "call", "checked_dtype", "keep", "signature"]


def call(context: Context, function: Any, given: Arguments, span: syntax.Span) -> Any:
    """Call a block, a function, a shared instance or something named for later. Raises Mistake."""
    if isinstance(function, Block):
        return call_block(context, function, given, span)
    if isinstance(function, Instance):
        return call_instance(context, function, given, span)
    if isinstance(function, Deferred):
        whole = function.arguments.after(given, span)
        return call(context, function.function, whole, span)
    assert isinstance(function, Builtin)
    if given.label is not None:
        context.fail(
            "N0402",
            f"`as {given.label}` names a use of a block; `{function.name}` is a function",
            span,
            helps=[f"leave out `as {given.label}`"],
        )
    return function.implementation(context, given)


def keep(context: Context, function: Any, given: Arguments, span: syntax.Span) -> Deferred:
    """A call that lacks its first argument, as a value. Raises Mistake."""
    block, whole = joined(function, given)
    if given.label is not None:
        context.fail(
            "N0402",
            f"`as {given.label}` names a use of `{block.name}`, and this is none yet",
            span,
            "lacks " + " and ".join(f"`{name}`" for name in missing(function, given)),
            helps=[f"name the use: `x -> ... as {given.label}`"],
        )
    if isinstance(block, Block):
        names = [name for name, _ in block.needs]
        check_arguments(context, block.name, names, whole, span, lambda: shown_call(block))
    if isinstance(function, Deferred):
        return Deferred(function.function, function.arguments.after(given, span))
    return Deferred(function, given)


def apply(context: Context, function: Any, leading: Sequence[Any], span: syntax.Span) -> Any:
    """Call something named for later use with the leading arguments its place supplies."""
    supplied = tuple((value, span) for value in leading)
    return call(context, function, Arguments(supplied, span=span, supplied=len(supplied)), span)


def signature(
    definition: syntax.Block | syntax.Rule | syntax.Net, source: str, supplied: int = 0
) -> str:
    """`dense(x, units, bias = true)`, from the text; without the leading ones that a place
    supplies.
    """
    return _signature(definition.name.text, definition.parameters[supplied:], source)


def _signature(name: str, parameters: Sequence[syntax.Parameter], source: str) -> str:
    parts = []
    for parameter in parameters:
        default = ""
        if parameter.default is not None:
            text = source[parameter.default.span.start : parameter.default.span.end]
            default = f" = {' '.join(text.split())}"
        parts.append(parameter.name.text + default)
    return f"{name}({', '.join(parts)})"


def shown_call(function: Block, supplied: int = 0) -> str:
    """The signature of what is called: of a net its inputs, then its settings."""
    return _signature(function.name, function.parameters[supplied:], function.module.source.text)


def call_block(context: Context, function: Block, given: Arguments, span: syntax.Span) -> Any:
    paths = context.use_paths(function.name, given.label, span)
    return build(context, function, given, span, paths)


def call_instance(context: Context, instance: Instance, given: Arguments, span: syntax.Span) -> Any:
    """Use a shared instance: its paths start afresh, so parameters are met again."""
    whole = instance.arguments.after(given, span)
    before, context.shared = context.shared, instance.block.name
    try:
        return build(context, instance.block, whole, span, Paths(instance.paths.prefix))
    finally:
        context.shared = before


def build(
    context: Context, function: Block, given: Arguments, span: syntax.Span, paths: Paths
) -> Any:
    definition = function.definition
    scope = Scope(function.module.scope)
    bind_arguments(context, function, given, span, scope)
    words = functools.partial(_call_text, function, given, dict(scope.names))
    context.enter(Frame(function.name, words, span, definition, function.kind))
    try:
        with context.path(paths), context.as_in_inference(paths):
            if isinstance(definition, syntax.Net):
                return run_inside(context, scope, definition)
            if not isinstance(definition.body, tuple):
                return evaluate_value(context, scope, definition.body)
            return run_body(context, scope, definition.body, function.name, definition.name.span)
    finally:
        context.leave()


def _call_text(function: Block, given: Arguments, names: Mapping[str, Binding]) -> str:
    """`bottleneck(width = 64)`: the compile-time arguments that differ from their defaults, by
    name.
    """
    parts = []
    for position, parameter in enumerate(function.parameters):
        key = parameter.name.text
        if position >= len(given.positional) and key not in given.named:
            continue
        value, default = names[key].value, parameter.default
        usual = isinstance(default, (syntax.Number, syntax.Bool, syntax.String))
        if is_plain(value) and not (usual and default.value == value):  # type: ignore[union-attr]
            parts.append(f"{key} = {written(value)}")
    return f"{function.name}({', '.join(parts)})" if parts else function.name


def bind_arguments(
    context: Context, function: Block, given: Arguments, span: syntax.Span, scope: Scope
) -> None:
    """Bind each parameter to its argument or default, in order, and match the shape patterns; a
    parameter that a pattern names comes before the pattern.
    """
    parameters = function.parameters
    name = function.name

    def shown() -> str:
        return shown_call(function, given.supplied)

    if function.kind == "net":
        _check_settings(context, function, given, span, shown)
    check_arguments(context, name, function.names, given, span, shown)
    missing = [
        key
        for key, required in function.needs[len(given.positional) :]
        if required and key not in given.named
    ]
    if missing:
        words = " and ".join(f"`{key}`" for key in missing)
        if given.supplied and parameters.index(_named(parameters, missing[0])) < given.supplied:
            not_a_rule(context, name, shown, span)
        context.fail(
            "N0403",
            f"`{name}` needs {words}",
            span,
            f"{words} not given",
            notes=[f"`{shown()}`"],
            helps=[f"give it by name: `{', '.join(f'{key} = ...' for key in missing)}`"],
        )
    for position in function.binding_order:
        parameter = parameters[position]
        key = parameter.name.text
        if position < len(given.positional):
            value, place = given.positional[position]
        elif key in given.named:
            value, place = given.named[key]
        else:
            assert parameter.default is not None
            value, place = evaluate_value(context, scope, parameter.default), parameter.default.span
        if parameter.type is not None:
            value = match_type(context, scope, parameter, value, place, name, span)
        own = None if place.file.startswith(STANDARD) or position < given.supplied else place
        scope.bind(key, value, "argument", parameter.name.span, own)


def _check_settings(
    context: Context,
    function: Block,
    given: Arguments,
    span: syntax.Span,
    shown: Callable[[], str],
) -> None:
    """A net takes its inputs by position, its settings by name, each of the kind of its default."""
    for parameter in function.definition.parameters:
        value, place = given.named.get(parameter.name.text, (0, span))
        if isinstance(parameter.default, syntax.Number) and not is_number(value):
            context.fail(
                "N0404",
                f"the setting `{parameter.name.text}` must be a number",
                place,
                describe(value),
                others=[(parameter.default.span, "its default is a number")],
            )
    inputs = len(function.parameters) - len(function.definition.parameters)
    if len(given.positional) > inputs:
        takes = f"{inputs} input" + "s" * (inputs != 1)
        setting = next((p.name.text for p in function.definition.parameters), "")
        context.fail(
            "N0401",
            f"too many inputs for the net `{function.name}`",
            given.positional[inputs][1],
            f"it takes {takes}",
            notes=[f"`{shown()}`"],
            helps=[f"give settings by name: `{setting} = ...`"] if setting else [],
        )


def _named(parameters: Sequence[syntax.Parameter], name: str) -> syntax.Parameter:
    return next(parameter for parameter in parameters if parameter.name.text == name)


def check_arguments(
    context: Context,
    name: str,
    names: Sequence[str],
    given: Arguments,
    span: syntax.Span,
    shown: Callable[[], str],
) -> None:
    """No argument too many, unknown or given twice."""
    if len(given.positional) > len(names):
        if given.supplied > len(names):
            not_a_rule(context, name, shown, span)
        extra = given.positional[len(names)][1]
        takes = len(names) - given.supplied
        counted = f"{takes} argument" + "s" * (takes != 1) if takes else "no arguments"
        if given.supplied:
            counted += " here"
        context.fail(
            "N0401",
            f"too many arguments for `{name}`",
            extra,
            f"it takes {counted}",
            notes=[f"`{shown()}`"],
        )
    for key, (_, value_place) in given.named.items():
        place = given.keys.get(key, value_place)
        if key not in names:
            context.fail(
                "N0402",
                f"`{name}` has no argument `{key}`",
                place,
                "not known",
                notes=[f"`{shown()}`"],
                helps=argument_helps(key, names[given.supplied :]),
            )
        if names.index(key) < given.supplied:
            context.fail(
                "N0405",
                f"`{key}` of `{name}` is not given here: the training step supplies it",
                place,
                notes=[f"`{shown()}`"],
                helps=["set `learning_rate = ...` in the training section"]
                if key == "rate"
                else [],
            )
        if names.index(key) < len(given.positional):
            first = given.positional[names.index(key)][1]
            context.fail(
                "N0405",
                f"`{key}` of `{name}` is given twice",
                place,
                "again here",
                others=[(first, f"`{key}` by position")],
                notes=[f"`{shown()}`"],
            )


def argument_helps(key: str, names: Sequence[str]) -> list[str]:
    """What to type in place of an argument that does not exist."""
    known = other_tools.ARGUMENTS.get(key, ())
    if isinstance(known, str):
        return [known]
    meant = next((name for name in known if name in names), None) or suggest(key, names)
    return [f"did you mean `{meant}`?"] if meant else []


def not_a_rule(
    context: Context, name: str, shown: Callable[[], str], span: syntax.Span
) -> NoReturn:
    context.fail(
        "N0506",
        f"`{name}` cannot be used as a rule here",
        span,
        "takes other arguments",
        notes=[f"`{shown()}`"],
    )
