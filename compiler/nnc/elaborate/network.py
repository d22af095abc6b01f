"""Build a net: bind its settings, run its body, gather inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nnlang
import numpy as np
from nnlang import syntax
from nnlang.diagnostics import DiagnosticError, diagnostic, suggest

from ..dims import symbol
from ..graph import Type
from .calls import signature
from .context import Context, Mistake
from .expressions import checked_dtype, dimension, evaluate
from .module import Loader, Module
from .outside import unknown_setting
from .scope import Scope
from .statements import execute, execute_each
from .values import POISON, Tensor, describe, is_number, is_plain


@dataclass(eq=False)
class Network:
    """A net as built in one context, with its scope (for the training section), and how many nodes,
    inputs and variables are the net's own.
    """

    context: Context
    scope: Scope
    nodes: int = 0
    inputs: int = 0
    variables: int = 0


def choose_net(module: Module, loader: Loader, name: str | None) -> syntax.Net:
    """The net to compile: the only one, the only one with a training section, or the named one."""
    known = ", ".join(f"`{n}`" for n in module.nets)
    file = module.source.name
    if not module.nets:
        start = syntax.Span(file, 0, 0, 1, 1, 1, 1)
        raise _choice(
            loader,
            "N0604",
            f"there is no net in {file}",
            start,
            helps=["declare one: `net Name { input x: f32[N, 4] ... output y = ... }`"],
        )
    if name is None:
        trained = {train.net.text for train in module.trains} & set(module.nets)
        if len(module.nets) > 1 and len(trained) != 1:
            places = [(net.name.span, "") for net in module.nets.values()]
            raise _choice(
                loader,
                "N0512",
                f"{file} has several nets",
                *places[0],
                others=places[1:],
                helps=["say which: `--net NAME`, in Python `net=...`"],
            )
        name = trained.pop() if len(trained) == 1 else next(iter(module.nets))
    if name not in module.nets:
        meant = suggest(name, module.nets)
        first = next(iter(module.nets.values()))
        raise _choice(
            loader,
            "N0512",
            f"there is no net `{name}` in {file}",
            first.name.span,
            notes=[f"it has {known}"],
            helps=[f"did you mean `{meant}`?"] if meant else [],
        )
    return module.nets[name]


def _choice(loader: Loader, code: str, message: str, *place: Any, **parts: Any) -> DiagnosticError:
    return DiagnosticError([diagnostic(code, message, *place, **parts)], loader.sources)


def given_value(loader: Loader, key: str, value: Any) -> Any:
    """A value from outside: `Text` as an expression, anything else as plain values."""
    if not isinstance(value, Text):
        return plain_value(value)
    name = f"<--set {key}>"
    shown = f"--set {key}={value.text}"
    text = f"const k{' ' * (len(key) - 1)}={value.text}"  # as long as what is shown
    loader.sources[name] = syntax.Source(name, shown)
    try:
        items = nnlang.parse(text, name).items
    except DiagnosticError as error:
        raise DiagnosticError(error.diagnostics, loader.sources) from None
    if len(items) != 1 or not isinstance(items[0], syntax.Const):
        whole = syntax.Span(name, 0, len(text), 1, 1, 1, len(text) + 1)
        raise _choice(loader, "N0101", f"`--set {key}=...` needs one value", whole)
    return items[0].value


def plain_value(value: Any) -> Any:
    """A Python value with NumPy's numbers as Python's."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if isinstance(value, (list, tuple)):
        return type(value)(plain_value(item) for item in value)
    return value


@dataclass(frozen=True)
class Text:
    """The text of an expression given from outside, such as `--set hidden=128`."""

    text: str


def bind_settings(
    context: Context,
    module: Module,
    net: syntax.Net,
    scope: Scope,
    settings: Mapping[str, Any],
    loader: Loader,
) -> dict[str, Any]:
    """Bind each setting to the given value or its default; gives all of them. Mistakes are kept."""
    names = [parameter.name.text for parameter in net.parameters]
    shown = signature(net, module.source.text)
    for key in settings:
        if key not in names:
            meant, value = suggest(key, names), settings[key]
            text = value.text if isinstance(value, Text) else None
            context.report_failure(
                "N0407",
                f"the net `{net.name.text}` has no setting `{key}`",
                net.name.span,
                notes=[f"`{shown}`" if names else "it has no settings"],
                helps=[f"did you mean `{meant}`?"]
                if meant
                else unknown_setting(key, plain_value(value), text),
            )
    found: dict[str, Any] = {}
    for parameter in net.parameters:
        key, place = parameter.name.text, parameter.name.span
        try:
            value = _setting(context, scope, parameter, settings, loader)
        except Mistake as mistake:
            context.report(mistake)
            scope.bind(key, POISON, "value", place)
            continue
        scope.bind(key, value, "setting", place)
        found[key] = value
    return found


def _setting(
    context: Context,
    scope: Scope,
    parameter: syntax.Parameter,
    settings: Mapping[str, Any],
    loader: Loader,
) -> Any:
    key, place = parameter.name.text, parameter.name.span
    if parameter.type is not None:
        context.fail(
            "N0404",
            f"the setting `{key}` has a shape, as only tensors have",
            parameter.type.span,
            helps=[f"make it an input: `input {key}: ...`"],
        )
    default = parameter.default
    if key in settings:
        value = given_value(loader, key, settings[key])
        if isinstance(value, syntax.Node):
            place = value.span
            value = evaluate(context, scope, value)  # type: ignore[arg-type]
    elif default is not None:
        place = default.span
        value = evaluate(context, scope, default)
    else:
        context.fail(
            "N0403",
            f"the net `{context.subject}` needs the setting `{key}`",
            place,
            "no default",
            helps=[f"give it: `--set {key}=...`, in Python `{key}=...`"],
        )
    if not is_plain(value):
        found = f"a {type(value).__name__}" if describe(value) == "nothing" else describe(value)
        context.fail(
            "N0404", f"the setting `{key}` must be a number, a text or a list of such", place, found
        )
    if isinstance(default, syntax.Number) and not is_number(value):
        context.fail(
            "N0404",
            f"the setting `{key}` must be a number",
            place,
            describe(value),
            others=[(default.span, "its default is a number")],
        )
    return value


def build_net(
    context: Context,
    module: Module,
    net: syntax.Net,
    settings: Mapping[str, Any],
    loader: Loader,
) -> tuple[Network, dict[str, Any]]:
    """Run the body of a net. Mistakes are kept in the context."""
    scope = Scope(module.scope)
    network = Network(context, scope)
    found = bind_settings(context, module, net, scope, settings, loader)

    def run(context: Context, scope: Scope, statement: syntax.Statement) -> None:
        if isinstance(statement, syntax.Input):
            declare_input(context, scope, statement)
        else:
            execute(context, scope, statement)

    context.answering = not context.training
    execute_each(context, scope, net.body, run)
    context.answering = False
    if not context.outputs and not context.diagnostics:
        context.report_failure(
            "N0412",
            f"the net `{net.name.text}` has no output",
            net.name.span,
            "gives nothing",
            helps=["name what it gives: `output y = ...`"],
        )
    network.nodes, network.inputs = len(context.builder.nodes), len(context.builder.inputs)
    network.variables = len(context.variables)
    return network, found


def declare_input(context: Context, scope: Scope, node: syntax.Input) -> None:
    """An input; a name in its shape that nothing binds becomes a symbolic dimension."""
    name = node.name.text
    known = scope.of_body(name)
    if known is not None:
        context.fail(
            "N0202",
            f"`{name}` exists already",
            node.name.span,
            "made again here",
            others=[(known.span, "first here")] if known.span else [],
            helps=["give the input another name"],
        )
    if isinstance(node.type, syntax.LikeType):
        context.fail(
            "N0306",
            "an input needs an element type and a shape",
            node.type.span,
            "`like` takes them from a value",
            helps=[f"write `input {name}: f32[N, ...]`"],
        )
    if node.type.dtype is None:
        written = context.snippet(node.type.span)
        context.fail(
            "N0314",
            f"the input `{name}` needs an element type",
            node.type.span,
            "only a shape",
            helps=[f"write one before the shape: `f32{written}`"],
        )
    shape = []
    for part in node.type.dimensions:
        if isinstance(part, syntax.Spread):
            context.fail(
                "N0306",
                "an input needs each of its dimensions",
                part.span,
                "any number of them",
                helps=["name each one: `f32[N, T, 64]`"],
            )
        if isinstance(part, syntax.Name) and _is_free(scope, part.text):
            scope.bind(part.text, symbol(part.text), "dimension", part.span)
        shape.append(dimension(context, scope, part))
    dtype = checked_dtype(context, node.type.dtype, node.type.span)
    context.check_rank(shape, node.type.span)
    value = context.builder.input(name, Type(dtype, tuple(shape)))
    context.input_places[name] = node.name.span
    scope.bind(name, Tensor(value, node.span, name), "input", node.name.span)


def _is_free(scope: Scope, name: str) -> bool:
    """Whether a name in a shape makes a dimension: nothing has it, or only a block or net, which
    is no number.
    """
    binding = scope.find(name)
    return binding is None or binding.kind in ("library", "net")
