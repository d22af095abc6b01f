"""Build a net: bind its settings, run its body, gather inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import nnlang
from nnlang import syntax
from nnlang.diagnostics import DiagnosticError, diagnostic, suggest

from ..dims import symbol
from ..graph import Type
from .calls import signature
from .context import Context, Mistake
from .expressions import checked_dtype, dimension, evaluate, evaluate_binding
from .module import Loader, Module
from .scope import Scope
from .statements import execute, execute_each
from .values import POISON, Tensor, describe, is_number


@dataclass(eq=False)
class Network:
    """A net as built in one context: its scope (for the training section) and its outputs."""

    context: Context
    scope: Scope
    outputs: list[tuple[str, Tensor]] = field(default_factory=list)


def choose_net(module: Module, loader: Loader, name: str | None) -> syntax.Net:
    """The net to compile: the only one, or the named one. Raises DiagnosticError."""
    known = ", ".join(f"`{n}`" for n in module.nets)
    if not module.nets:
        found = diagnostic("N0604", f"there is no net in {module.source.name}", module.file.span if module.file.items else None,
                           helps=["declare one: `net Name { input ...  output ... }`"])  # fmt: skip
        raise DiagnosticError([found], loader.sources)
    if name is None:
        if len(module.nets) > 1:
            trained = {t.net.text for t in module.trains} & set(module.nets)
            if len(trained) != 1:
                found = diagnostic("N0512", f"{module.source.name} has several nets", None,
                                   notes=[f"they are {known}"], helps=["say which: `--net NAME`, in Python `net=...`"])  # fmt: skip
                raise DiagnosticError([found], loader.sources)
            name = trained.pop()
        else:
            name = next(iter(module.nets))
    if name not in module.nets:
        meant = suggest(name, module.nets)
        found = diagnostic("N0512", f"there is no net `{name}` in {module.source.name}", None,
                           notes=[f"it has {known}"], helps=[f"did you mean `{meant}`?"] if meant else [])  # fmt: skip
        raise DiagnosticError([found], loader.sources)
    return module.nets[name]


def given_value(loader: Loader, key: str, value: Any, flag: str) -> Any:
    """A setting from Python, or as text from the command line (`Text`), as a value of the language."""
    if not isinstance(value, Text):
        return value
    name = f"{flag} {key}"
    text = f"const value = {value.text}\n"
    source = syntax.Source(name, text)
    loader.sources[name] = source
    try:
        item = nnlang.parse(text, name).items[0]
    except DiagnosticError as error:
        raise DiagnosticError(error.diagnostics, loader.sources) from None
    assert isinstance(item, syntax.Const)
    return item.value


@dataclass(frozen=True)
class Text:
    """The text of an expression given from outside, such as `--set hidden=128`."""

    text: str


def bind_settings(
    context: Context, module: Module, net: syntax.Net, scope: Scope, settings: Mapping[str, Any], loader: Loader
) -> dict[str, Any]:
    """Bind each setting to the given value or its default; gives all of them."""
    names = [parameter.name.text for parameter in net.parameters]
    shown = signature(net, module.source.text)
    for key in settings:
        if key not in names:
            meant = suggest(key, names)
            helps = [f"did you mean `{meant}`?"] if meant else []
            context.fail("N0407", f"the net `{net.name.text}` has no setting `{key}`", net.name.span, "",
                         notes=[f"`{shown}`"], helps=helps)  # fmt: skip
    found: dict[str, Any] = {}
    for parameter in net.parameters:
        key = parameter.name.text
        if key in settings:
            value = given_value(loader, key, settings[key], "--set")
            if isinstance(value, syntax.Node):
                value = evaluate(context, scope, value)  # type: ignore[arg-type]
        elif parameter.default is not None:
            value = evaluate(context, scope, parameter.default)
        else:
            context.fail("N0403", f"the net `{net.name.text}` needs the setting `{key}`", parameter.name.span, "no default",
                         helps=[f"give it: `--set {key}=...`, in Python `{key}=...`"])  # fmt: skip
        if not is_number(value) and not isinstance(value, (bool, str, list, tuple)):
            context.fail("N0404", f"the setting `{key}` must be a number, a text or a list", parameter.name.span,
                         describe(value) if not isinstance(value, object) else f"found {type(value).__name__}")  # fmt: skip
        scope.bind(key, value, "setting", parameter.name.span)
        found[key] = value
    return found


def build_net(
    context: Context, module: Module, net: syntax.Net, settings: Mapping[str, Any], loader: Loader
) -> tuple[Network, dict[str, Any]]:
    """Run the body of a net. Mistakes are kept in the context."""
    scope = Scope(module.scope)
    network = Network(context, scope)
    try:
        found = bind_settings(context, module, net, scope, settings, loader)
    except Mistake as mistake:
        context.report(mistake)
        return network, {}

    def run(context: Context, scope: Scope, statement: syntax.Statement) -> None:
        if isinstance(statement, syntax.Input):
            declare_input(context, scope, statement)
        elif isinstance(statement, syntax.Output):
            declare_output(network, statement)
        elif isinstance(statement, syntax.Return):
            context.fail("N0114", "a net returns nothing", statement.span, "", helps=["name what it gives: `output y = ...`"])
        else:
            execute(context, scope, statement)

    execute_each(context, scope, net.body, run)
    if not network.outputs and not context.diagnostics:
        context.report_failure("N0412", f"the net `{net.name.text}` has no output", net.name.span, "",
                               helps=["name what it gives: `output y = ...`"])  # fmt: skip
    return network, found


def declare_input(context: Context, scope: Scope, node: syntax.Input) -> None:
    """An input; a name in its shape that nothing binds becomes a symbolic dimension."""
    name = node.name.text
    if name in scope.names and scope.names[name].kind != "dimension":
        context.fail("N0202", f"`{name}` exists already", node.name.span, "made again here")
    if isinstance(node.type, syntax.LikeType):
        context.fail("N0306", "an input needs an element type and a shape", node.type.span, "",
                     helps=[f"write `input {name}: f32[N, ...]`"])  # fmt: skip
    if node.type.dtype is None:
        context.fail("N0314", f"the input `{name}` needs an element type", node.type.span, "",
                     helps=["write one before the shape: `f32[...]`"])  # fmt: skip
    shape = []
    for part in node.type.dimensions:
        if isinstance(part, syntax.Spread):
            context.fail("N0306", "an input needs each of its dimensions", part.span)
        if isinstance(part, syntax.Name) and scope.find(part.text) is None:
            scope.bind(part.text, symbol(part.text), "dimension", part.span)
        shape.append(dimension(context, scope, part))
    dtype = checked_dtype(context, node.type.dtype, node.type.span)
    value = context.builder.input(name, Type(dtype, tuple(shape)))
    scope.bind(name, Tensor(value, node.name.span, name), "input", node.name.span)


def declare_output(network: Network, node: syntax.Output) -> None:
    context, scope = network.context, network.scope
    name = node.name.text
    with context.path(context.paths.binding(name)):
        value = evaluate_binding(context, scope, node.value if node.value is not None else node.name)
    if value is POISON:
        raise Mistake(None)
    if not isinstance(value, Tensor):
        context.fail("N0306", f"the output `{name}` must be a tensor", node.span, describe(value))
    if any(name == other for other, _ in network.outputs):
        context.fail("N0202", f"the output `{name}` exists already", node.name.span, "made again here")
    network.outputs.append((name, value))
    if name not in scope.names:
        scope.bind(name, value, "value", node.name.span)
