"""Build a training section: loss, regularizer, gradients, clipping, schedule, the optimizer's rule, metrics.

Takes a net as built (with `training` true or false) and the section; adds the loss and the metrics to the graph, and for
the training step the gradients and the updates of parameters, slots and states.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnlang import syntax
from nnlang.diagnostics import suggest

from .. import autodiff
from ..graph import FLOATS, Type, Value
from .calls import apply
from .context import Context, Mistake
from .expressions import defer, evaluate
from .module import Loader
from .network import Network, declare_input, given_value
from .scope import Paths, Scope
from .statements import execute_each
from .values import Block, Builtin, Deferred, Tensor, describe, is_number

EXPRESSIONS = ("loss", "regularizer", "optimizer", "learning_rate", "clip")
PLAIN: dict[str, tuple[type, ...]] = {
    "data": (str,), "validation": (str, float, int), "batch": (int,), "epochs": (int,), "seed": (int,), "shuffle": (bool,),
}  # fmt: skip
KEYS = (*EXPRESSIONS, *PLAIN)
DEFAULTS: dict[str, Any] = {"data": None, "validation": None, "batch": 32, "epochs": 10, "seed": 0, "shuffle": True}


@dataclass(eq=False)
class Recipe:
    """A training section sorted out: its expressions by key and its plain settings."""

    section: syntax.Train
    expressions: dict[str, syntax.Expression] = field(default_factory=dict)
    plain: dict[str, Any] = field(default_factory=lambda: dict(DEFAULTS))
    inputs: list[syntax.Input] = field(default_factory=list)
    metrics: list[syntax.Metric] = field(default_factory=list)
    freeze: list[syntax.String] = field(default_factory=list)
    load: list[syntax.String] = field(default_factory=list)
    locals: list[syntax.Assign] = field(default_factory=list)


def read_section(
    context: Context, scope: Scope, section: syntax.Train, overrides: Mapping[str, Any], loader: Loader
) -> Recipe:
    """Sort the statements of a section by key; each mistake is kept in the context."""
    recipe = Recipe(section)
    seen: dict[str, syntax.Span] = {}
    overridden = dict(overrides)

    def read(context: Context, scope: Scope, node: syntax.TrainStatement) -> None:
        if isinstance(node, syntax.Input):
            recipe.inputs.append(node)
        elif isinstance(node, syntax.Metric):
            if any(node.name.text == other.name.text for other in recipe.metrics) or node.name.text == "loss":
                context.fail("N0502", f"the metric `{node.name.text}` exists already", node.name.span, "made again here")
            recipe.metrics.append(node)
        elif isinstance(node, syntax.Freeze):
            recipe.freeze.append(node.pattern)
        elif isinstance(node, syntax.Load):
            recipe.load.append(node.path)
        else:
            key = node.targets[0].text
            if key in seen:
                context.fail("N0502", f"`{key}` is set twice", node.targets[0].span, "again here",
                             others=[(seen[key], "first here")])  # fmt: skip
            seen[key] = node.targets[0].span
            value = given_value(loader, key, overridden.pop(key), "--set") if key in overridden else node.value
            set_key(context, scope, recipe, key, value, node.targets[0].span)

    execute_each(context, scope, section.body, read)
    for key, given in overridden.items():
        value = given_value(loader, key, given, "--set")
        try:
            set_key(context, scope, recipe, key, value, value.span if isinstance(value, syntax.Node) else section.net.span)
        except Mistake as mistake:
            context.report(mistake)
    return recipe


def set_key(context: Context, scope: Scope, recipe: Recipe, key: str, value: Any, span: syntax.Span) -> None:
    if key in EXPRESSIONS:
        if not isinstance(value, syntax.Node):
            if key != "learning_rate" or not is_number(value):
                context.fail("N0506", f"`{key}` cannot be given as {describe(value)}", span, "",
                             helps=[f'give it as text: `"{key}": "..."`'])  # fmt: skip
            value = syntax.Number(float(value), False, span=span)
        recipe.expressions[key] = value  # type: ignore[assignment]
        return
    if key not in PLAIN:
        meant = suggest(key, (*KEYS, "metric", "freeze", "load", "input"))
        context.fail("N0501", f"a training section has no key `{key}`", span, "not known",
                     notes=["the keys are " + ", ".join(f"`{k}`" for k in KEYS)] if not meant else [],
                     helps=[f"did you mean `{meant}`?"] if meant else [])  # fmt: skip
    place = value.span if isinstance(value, syntax.Node) else span
    if isinstance(value, syntax.Node):
        value = evaluate(context, scope, value)  # type: ignore[arg-type]
    recipe.plain[key] = checked(context, key, value, place)


def checked(context: Context, key: str, value: Any, span: syntax.Span) -> Any:
    """The value of a plain key, of the right kind and in its range."""
    wanted = {"data": "a path in quotes", "validation": "a fraction between 0 and 1 or a path in quotes",
              "batch": "a whole number of at least 1", "epochs": "a whole number of at least 0",
              "seed": "a whole number of at least 0", "shuffle": "true or false"}[key]  # fmt: skip
    right = isinstance(value, PLAIN[key]) and (key == "shuffle" or not isinstance(value, bool))
    if right and key == "validation" and not isinstance(value, str):
        right = 0 <= value < 1
    if right and key in ("batch", "epochs", "seed"):
        right = value >= (1 if key == "batch" else 0) and value < 2**31
    if not right:
        context.fail("N0506", f"`{key}` must be {wanted}", span, describe(value))
    return value


@dataclass(eq=False)
class Trained:
    """What a section adds to a net: scalars by name (loss first), and updates of variables."""

    recipe: Recipe
    scalars: list[tuple[str, Tensor]]
    updates: list[tuple[str, Value]]
    frozen: set[str]


def build_section(network: Network, section: syntax.Train, overrides: Mapping[str, Any], loader: Loader) -> Trained:
    """Add a training section to a net. Mistakes are kept in the context."""
    context = network.context
    scope = Scope(network.scope)
    recipe = read_section(context, scope, section, overrides, loader)
    trained = Trained(recipe, [], [], set())
    try:
        execute_each(context, scope, recipe.inputs, declare_input)
        loss = build_loss(context, scope, recipe)
        trained.scalars.append(("loss", loss))
        build_metrics(context, scope, trained)
        trained.frozen = frozen_names(context, recipe)
        if context.training and not context.diagnostics:
            build_updates(context, scope, trained, loss)
    except Mistake as mistake:
        context.report(mistake)
    return trained


def build_loss(context: Context, scope: Scope, recipe: Recipe) -> Tensor:
    node = recipe.expressions.get("loss")
    if node is None:
        context.fail("N0503", f"the training section of `{recipe.section.net.text}` has no loss", recipe.section.net.span,
                     "", helps=["say what to minimize: `loss = cross_entropy(logits, label)`"])  # fmt: skip
    with context.path(Paths("loss")):
        loss = evaluate(context, scope, node)
    if not isinstance(loss, Tensor) or loss.shape != () or loss.dtype not in FLOATS:
        helps = ["average it: `mean(...)`"] if isinstance(loss, Tensor) and loss.shape else []
        context.fail("N0504", "the loss must be one number (a float scalar)", node.span, describe(loss), helps=helps)
    return add_regularizers(context, scope, recipe, loss)


def add_regularizers(context: Context, scope: Scope, recipe: Recipe, loss: Tensor) -> Tensor:
    node = recipe.expressions.get("regularizer")
    if node is None:
        return loss
    rules = defer(context, scope, node)
    with context.path(Paths("regularizer")):
        for rule in rules if isinstance(rules, list) else [rules]:
            need_deferred(context, "regularizer", rule, node, "l2(1e-4)")
            for spec in list(context.variables.values()):
                if spec.kind != "parameter":
                    continue
                penalty = apply(context, rule, [Tensor(spec.value, node.span, spec.name)], node.span)
                if isinstance(penalty, Tensor):
                    loss = context.emit("add", loss, penalty, span=node.span)
                elif penalty != 0:
                    context.fail("N0504", "a regularizer must give one number", node.span, describe(penalty))
    return loss


def need_deferred(context: Context, key: str, value: Any, node: syntax.Expression, example: str) -> None:
    if not isinstance(value, (Deferred, Block, Builtin)):
        context.fail("N0506", f"`{key}` must name a rule", node.span, describe(value),
                     helps=[f"for example `{key} = {example}`"])  # fmt: skip


def build_metrics(context: Context, scope: Scope, trained: Trained) -> None:
    def build(context: Context, scope: Scope, metric: syntax.Metric) -> None:
        with context.path(Paths(metric.name.text)):
            value = evaluate(context, scope, metric.value)
        if not isinstance(value, Tensor) or value.shape != ():
            helps = ["average it: `mean(...)`"] if isinstance(value, Tensor) else []
            context.fail("N0504", f"the metric `{metric.name.text}` must be one number", metric.value.span, describe(value),
                         helps=helps)  # fmt: skip
        if value.dtype not in FLOATS:
            value = context.emit("cast", value, span=metric.value.span, dtype="f32")
        trained.scalars.append((metric.name.text, value))

    execute_each(context, scope, trained.recipe.metrics, build)


def frozen_names(context: Context, recipe: Recipe) -> set[str]:
    names = [spec.name for spec in context.variables.values() if spec.kind == "parameter"]
    frozen: set[str] = set()
    for pattern in recipe.freeze:
        found = fnmatch.filter(names, pattern.value)
        if not found:
            meant = suggest(pattern.value, names)
            context.report_failure(
                "N0507", f'no parameter matches "{pattern.value}"', pattern.span, "",
                notes=["the parameters are " + ", ".join(f"`{n}`" for n in names[:12]) + (", …" if len(names) > 12 else "")],
                helps=[f'did you mean "{meant}"?'] if meant else [],
            )  # fmt: skip
        frozen.update(found)
    return frozen


def build_updates(context: Context, scope: Scope, trained: Trained, loss: Tensor) -> None:
    """Differentiate, clip, and run the optimizer's rule for each parameter; then the states of the net."""
    recipe = trained.recipe
    states = [(spec.name, context.current[spec.name]) for spec in context.variables.values() if spec.kind == "state"]
    trained.updates += [(n, t.value) for n, t in states if t.value is not context.variables[n].value]
    learned = [s for s in context.variables.values() if s.kind == "parameter" and s.name not in trained.frozen]
    if not learned:
        context.fail("N0505", "there is nothing to learn", recipe.section.net.span, "every parameter is frozen"
                     if trained.frozen else "the net has no parameters")  # fmt: skip
    span = recipe.expressions["loss"].span
    try:
        with context.at(span):
            found = autodiff.gradients(context.builder, loss.value, [spec.value for spec in learned])
    except autodiff.AutodiffError as error:
        context.fail("N0510", f"the loss has no gradient: {error}", span)
    pairs = [(spec, Tensor(g, span, f"gradient of {spec.name}")) for spec, g in zip(learned, found, strict=True) if g is not None]
    if not pairs:
        context.fail("N0505", "the loss does not depend on any parameter", span, "nothing to learn from this",
                     helps=["compute the loss from what the net computes"])  # fmt: skip
    gradients = clip(context, scope, recipe, [gradient for _, gradient in pairs])
    rate = learning_rate(context, scope, recipe)
    node = recipe.expressions.get("optimizer")
    rule = default_block(scope, "adam") if node is None else defer(context, scope, node)
    place = node.span if node is not None else recipe.section.net.span
    if node is not None:
        need_deferred(context, "optimizer", rule, node, "sgd(momentum = 0.9)")
    context.variable_kind = "slot"
    for (spec, _), gradient in zip(pairs, gradients, strict=True):
        with context.path(Paths(f"optimizer.{spec.name}")):
            following = apply(context, rule, [Tensor(spec.value, span, spec.name), gradient, rate], place)
        if not isinstance(following, Tensor) or following.value.type != spec.value.type:
            context.fail("N0506", "the optimizer's rule must return the new parameter", place,
                         f"{describe(following)} for `{spec.name}`: {spec.value.type}")  # fmt: skip
        trained.updates.append((spec.name, following.value))
    slots = [s for s in context.variables.values() if s.kind == "slot"]
    trained.updates += [(s.name, context.current[s.name].value) for s in slots if context.current[s.name].value is not s.value]


def default_block(scope: Scope, name: str) -> Any:
    binding = scope.find(name)
    assert binding is not None
    return binding.value


def clip(context: Context, scope: Scope, recipe: Recipe, gradients: list[Tensor]) -> list[Tensor]:
    node = recipe.expressions.get("clip")
    if node is None:
        return gradients
    rule = defer(context, scope, node)
    need_deferred(context, "clip", rule, node, "by_global_norm(1.0)")
    with context.path(Paths("clip")):
        clipped = apply(context, rule, [gradients], node.span)
    if not isinstance(clipped, (list, tuple)) or len(clipped) != len(gradients):
        context.fail("N0506", "a clip rule must return as many gradients as it takes", node.span, describe(clipped))
    for before, after in zip(gradients, clipped, strict=True):
        if not isinstance(after, Tensor) or after.value.type != before.value.type:
            context.fail("N0506", "a clip rule must keep the shapes of the gradients", node.span, describe(after))
    return list(clipped)


def learning_rate(context: Context, scope: Scope, recipe: Recipe) -> Tensor:
    """The rate as a scalar of the graph; a schedule gets the clock: steps done, steps in all, steps an epoch."""
    node = recipe.expressions.get("learning_rate")
    value: Any = 0.001 if node is None else defer(context, scope, node)
    span = node.span if node is not None else recipe.section.net.span
    if isinstance(value, (Deferred, Block)):
        clock = [Tensor(clock_input(context, name), span, name) for name in ("step", "steps", "epoch_steps")]
        with context.path(Paths("learning_rate")):
            value = apply(context, value, list(clock), span)
    if is_number(value):
        if not value >= 0:
            context.fail("N0506", "the learning rate must not be negative", span, describe(value))
        with context.at(span):
            value = Tensor(context.builder.constant(float(value), "f32"), span, "learning_rate")
    if not isinstance(value, Tensor) or value.value.type != Type("f32", ()):
        context.fail("N0506", "`learning_rate` must be a number or a schedule", span, describe(value),
                     helps=["for example `learning_rate = cosine(0.1)`"])  # fmt: skip
    return value


def clock_input(context: Context, name: str) -> Value:
    for item in context.builder.inputs:
        if item.name == name and item.role == "clock":
            return item.value
    return context.builder.input(name, Type("f32", ()), role="clock")


