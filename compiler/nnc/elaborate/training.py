"""Build a training section: loss, regularizer, gradients, clipping, schedule, the optimizer's rule,
metrics.

Takes a net as built (with `training` true or false) and the section; adds the loss and the metrics
to the graph, and for the training step the gradients and the updates of parameters, slots and
states.
"""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nnlang import other_tools, syntax
from nnlang.diagnostics import suggest

from .. import autodiff
from ..dims import Poly, symbol
from ..dtypes import FLOATS
from ..graph import Type, Value
from .arithmetic import as_tensor
from .calls import apply
from .context import STANDARD, Context, Limit, Mistake, VariableSpec
from .expressions import Later, defer, evaluate
from .module import Loader
from .names import KEYS, own_names, unknown_key
from .network import Network, declare_input, given_value
from .outside import as_expression
from .scope import Paths, Scope
from .statements import execute_each
from .values import Block, Deferred, Instance, Tensor, describe, is_number, written

_DECIMAL = re.compile(r"\d+\.?\d*(e-?\d+)?")
PLAIN: dict[str, tuple[tuple[type, ...], str]] = {
    "data": ((str,), "a path in quotes"),
    "validation": ((str, float, int), "a fraction between 0 and 1, or a path in quotes"),
    "batch": ((int,), "a whole number of at least 1"),
    "epochs": ((int,), "a whole number of at least 0"),
    "seed": ((int,), "a whole number of at least 0"),
    "shuffle": ((bool,), "true or false"),
}
DEFAULTS: dict[str, Any] = {
    "data": None,
    "validation": None,
    "batch": 32,
    "epochs": 10,
    "seed": 0,
    "shuffle": True,
}


@dataclass(eq=False)
class Recipe:
    """A training section sorted out: its expressions by key, its plain settings, and names of its
    own.
    """

    section: syntax.Train
    own: list[syntax.Assign] = field(default_factory=list)
    expressions: dict[str, syntax.Expression] = field(default_factory=dict)
    plain: dict[str, Any] = field(default_factory=lambda: dict(DEFAULTS))
    inputs: list[syntax.Input] = field(default_factory=list)
    metrics: list[syntax.Metric] = field(default_factory=list)
    freeze: list[syntax.String] = field(default_factory=list)
    load: list[syntax.String] = field(default_factory=list)

    @property
    def name(self) -> str:
        """`train Digits as finetune`, as messages call the section."""
        named = f" as {self.section.name.text}" if self.section.name else ""
        return f"train {self.section.net.text}{named}"


def read_section(
    context: Context,
    scope: Scope,
    section: syntax.Train,
    overrides: Mapping[str, Any],
    loader: Loader,
) -> Recipe:
    """Sort the statements of a section by key, declare its inputs and make its own names; each
    mistake is kept in the context.
    """
    recipe = Recipe(section)
    overridden = dict(overrides)
    keys: list[syntax.Assign] = []
    for node in section.body:
        if isinstance(node, syntax.Input):
            recipe.inputs.append(node)
        elif isinstance(node, syntax.Metric):
            recipe.metrics.append(node)
        elif isinstance(node, syntax.Freeze):
            recipe.freeze.append(node.pattern)
        elif isinstance(node, syntax.Load):
            recipe.load.append(node.path)
        elif own_names(node):
            recipe.own.append(node)
        elif node.targets[0].text not in overridden:
            keys.append(node)

    def read(context: Context, scope: Scope, node: syntax.Assign) -> None:
        set_key(context, scope, recipe, node.targets[0].text, node.value, node.value.span)

    execute_each(context, scope, recipe.inputs, declare_input)
    execute_each(context, scope, recipe.own)
    execute_each(context, Scope(scope), keys, read)
    for key, given in overridden.items():
        try:
            place = section.net.span
            if key not in KEYS:
                unknown_key(context, key, place)
                continue
            value = given_value(loader, key, given)
            place = value.span if isinstance(value, syntax.Node) else place
            set_key(context, scope, recipe, key, value, place)
        except Mistake as mistake:
            context.report(mistake)
    return recipe


def set_key(
    context: Context, scope: Scope, recipe: Recipe, key: str, value: Any, span: syntax.Span
) -> None:
    if key in PLAIN:
        if isinstance(value, syntax.Node):
            value = evaluate(context, scope, value)  # type: ignore[arg-type]
        recipe.plain[key] = checked(context, key, value, span)
        return
    if not isinstance(value, syntax.Node):
        if key != "learning_rate" or not is_number(value):
            context.fail(
                "N0506",
                f"`{key}` cannot be given as {describe(value)}",
                span,
                helps=[as_expression(key, value)],
            )
        value = syntax.Number(float(value), False, span=span)
    recipe.expressions[key] = value


def checked(context: Context, key: str, value: Any, span: syntax.Span) -> Any:
    """The value of a plain key, of the right kind and in its range."""
    kinds, wanted = PLAIN[key]
    right = isinstance(value, kinds) and (key == "shuffle" or not isinstance(value, bool))
    if right and key == "validation" and not isinstance(value, str):
        right = 0 <= value < 1
    if right and key in ("batch", "epochs", "seed"):
        right = (1 if key == "batch" else 0) <= value < 2**31
    if not right:
        found = describe(value)
        if found == "nothing":
            found = f"a {type(value).__name__}"
        context.fail("N0506", f"`{key}` must be {wanted}", span, found)
    return value


@dataclass(eq=False)
class Trained:
    """What a section adds to a net: scalars by name (loss first), and updates of variables."""

    recipe: Recipe
    scalars: list[tuple[str, Tensor]]
    updates: list[tuple[str, Value]]
    frozen: set[str]


def build_section(
    network: Network, section: syntax.Train, overrides: Mapping[str, Any], loader: Loader
) -> Trained:
    """Add a training section to a net. Mistakes are kept in the context."""
    context = network.context
    scope = Scope(network.scope)
    recipe = read_section(context, scope, section, overrides, loader)
    context.subject = recipe.name
    trained = Trained(recipe, [], [], set())
    loss = None
    try:
        check_batch(context, recipe)
        loss = build_loss(context, scope, recipe)
        trained.scalars.append(("loss", loss))
    except Limit:
        raise
    except Mistake as mistake:
        context.report(mistake)
    build_metrics(context, scope, trained)
    trained.frozen = frozen_names(context, recipe)
    if context.training:
        build_updates(context, scope, trained, loss)
    return trained


def check_batch(context: Context, recipe: Recipe) -> None:
    """The inputs share a first dimension, along which training takes the rows of a batch."""
    first: tuple[Any, syntax.Span | None] = (None, None)
    for item in context.builder.inputs:
        place = context.input_places.get(item.name)
        if item.role != "data" or place is None:
            continue
        size = item.value.shape[0] if item.value.shape else None
        if not isinstance(size, Poly) or size != symbol(str(size)):
            context.fail(
                "N0513",
                f"the first dimension of the input `{item.name}` must be a name",
                place,
                f"{item.value.type}",
                notes=["training goes over the first dimension of its inputs, a batch at a time"],
                helps=[f"write `input {item.name}: {item.value.dtype}[N, ...]`"],
            )
        if first[0] is not None and size != first[0]:
            context.fail(
                "N0513",
                f"the first dimensions of the inputs differ: `{first[0]}` and `{size}`",
                place,
                f"{item.value.type}",
                others=[(first[1], f"`{first[0]}` here")] if first[1] else [],
                notes=["training goes over the first dimension of its inputs, a batch at a time"],
                helps=[f"use `{first[0]}` in both"],
            )
        first = (size, place)


def build_loss(context: Context, scope: Scope, recipe: Recipe) -> Tensor:
    node = recipe.expressions.get("loss")
    if node is None:
        if any(
            isinstance(n, syntax.Assign) and n.targets[0].text == "loss"
            for n in recipe.section.body
        ):
            raise Mistake(None)
        context.fail(
            "N0503",
            f"the training section of `{recipe.section.net.text}` has no loss",
            recipe.section.net.span,
            "nothing to minimize",
            helps=["say what to minimize: `loss = cross_entropy(logits, label)`"],
        )
    with context.path(Paths("loss")):
        loss = evaluate(context, scope, node)
    if not isinstance(loss, Tensor) or loss.shape != () or loss.dtype not in FLOATS:
        context.fail(
            "N0504",
            "the loss must be one number: a tensor f32[]",
            node.span,
            describe(loss),
            helps=_scalar_help(context, node, loss),
        )
    return add_regularizers(context, scope, recipe, loss)


def _scalar_help(context: Context, node: syntax.Expression, value: Any) -> list[str]:
    if isinstance(value, Tensor) and value.shape:
        return [f"average it: `mean({context.snippet(node.span)})`"]
    return ["compute it from the logits and the labels: `cross_entropy(logits, label)`"]


def add_regularizers(context: Context, scope: Scope, recipe: Recipe, loss: Tensor) -> Tensor:
    node = recipe.expressions.get("regularizer")
    if node is None:
        return loss
    rules = defer(context, scope, node, Later(1))
    with context.path(Paths("regularizer")):
        for rule in rules if isinstance(rules, list) else [rules]:
            need_rule(context, "regularizer", rule, node, "l2(1e-4)")
            for spec in list(context.variables.values()):
                if spec.kind != "parameter":
                    continue
                parameter = Tensor(spec.value, node.span, spec.name)
                penalty = apply(context, rule, [parameter], node.span)
                if isinstance(penalty, Tensor) and penalty.value.type == loss.value.type:
                    loss = context.emit("add", loss, penalty, span=node.span)
                elif isinstance(penalty, Tensor) or not is_number(penalty) or penalty != 0:
                    context.fail(
                        "N0504",
                        "a regularizer must give one number for each parameter",
                        node.span,
                        f"{describe(penalty)} for `{spec.name}`",
                    )
    return loss


def written_rule(key: str, value: Any, example: str) -> str:
    """What to type; other tools give names as texts."""
    if isinstance(value, str) and key == "learning_rate" and _DECIMAL.fullmatch(value):
        return f"write `{key} = {value}`"
    known = other_tools.RULES[key].get(value.lower()) if isinstance(value, str) else None
    return f"write `{key} = {known}`" if known else f"for example `{key} = {example}`"


def need_rule(
    context: Context, key: str, value: Any, node: syntax.Expression, example: str
) -> None:
    """Any block or rule of one's own will do; of the library an optimizer is a `rule`, and what the
    other keys name is a block or function.
    """
    helps = [written_rule(key, value, example)]
    if not isinstance(value, Deferred):
        context.fail("N0506", f"`{key}` must name a rule", node.span, describe(value), helps=helps)
    function = value.function
    if _is_own(function):
        return
    is_rule = isinstance(function, Block) and isinstance(function.definition, syntax.Rule)
    if is_rule != (key == "optimizer"):
        wanted = "a rule that updates parameters" if key == "optimizer" else f"a {key}"
        context.fail(
            "N0506",
            f"`{function.name}` is not {wanted}",
            node.span,
            describe(function),
            helps=helps,
        )


def _is_own(function: Any) -> bool:
    """Whether a block or rule is the user's, not the library's."""
    block = function.block if isinstance(function, Instance) else function
    return isinstance(block, Block) and not block.definition.span.file.startswith(STANDARD)


def build_metrics(context: Context, scope: Scope, trained: Trained) -> None:
    def build(context: Context, scope: Scope, metric: syntax.Metric) -> None:
        with context.path(Paths(metric.name.text)):
            value = evaluate(context, scope, metric.value)
        if not isinstance(value, Tensor) or value.shape != ():
            context.fail(
                "N0504",
                f"the metric `{metric.name.text}` must be one number: a tensor f32[]",
                metric.value.span,
                describe(value),
                helps=_scalar_help(context, metric.value, value),
            )
        if value.dtype not in FLOATS:
            value = context.emit("cast", value, span=metric.value.span, dtype="f32")
        trained.scalars.append((metric.name.text, value))

    for metric in trained.recipe.metrics:  # their names are no names of the section
        execute_each(context, Scope(scope), [metric], build)


def frozen_names(context: Context, recipe: Recipe) -> set[str]:
    kinds = ("parameter", "state")
    names = [spec.name for spec in context.variables.values() if spec.kind in kinds]
    frozen: set[str] = set()
    complete = not context.diagnostics  # else parameters may be missing
    for pattern in recipe.freeze:
        found = [name for name in names if fnmatch.fnmatchcase(name, pattern.value)]
        if not found and complete:
            meant = suggest(pattern.value, names)
            helps = [f'did you mean "{meant}"?'] if meant else []
            if any(name.startswith(f"{pattern.value}.") for name in names):
                helps = [f'for everything below it: "{pattern.value}.*"']
            shown = ", ".join(f"`{n}`" for n in names[:12]) + (", …" if len(names) > 12 else "")
            context.report_failure(
                "N0507",
                f'no parameter or state matches "{pattern.value}"',
                pattern.span,
                notes=[f"there are {shown}" if names else "the net has no parameters"],
                helps=helps,
            )
        frozen.update(found)
    return frozen


def build_updates(context: Context, scope: Scope, trained: Trained, loss: Tensor | None) -> None:
    """Differentiate, clip, and run the optimizer's rule for each parameter; then the states of the
    net.
    """
    recipe = trained.recipe
    for spec in context.variables.values():
        moved = spec.kind == "state" and context.current[spec.name].value is not spec.value
        if moved and not context.is_frozen(spec.name):
            trained.updates.append((spec.name, context.current[spec.name].value))
    context.variable_kind = "slot"
    parts = []
    for build in (clip_rule, learning_rate, optimizer_rule):  # their mistakes, whatever the loss
        try:
            parts.append(build(context, scope, recipe))
        except Limit:
            raise
        except Mistake as mistake:
            context.report(mistake)
    if context.diagnostics or loss is None:
        return
    rule, rate, optimizer = parts
    try:
        pairs = differentiate(context, trained, loss)
        gradients = clip(context, recipe, rule, [gradient for _, gradient in pairs])
        update_parameters(context, trained, optimizer, rate, [spec for spec, _ in pairs], gradients)
    except Limit:
        raise
    except Mistake as mistake:
        context.report(mistake)


def differentiate(
    context: Context, trained: Trained, loss: Tensor
) -> list[tuple[VariableSpec, Tensor]]:
    """The parameters that are learned, with their gradients."""
    recipe = trained.recipe
    parameters = [spec for spec in context.variables.values() if spec.kind == "parameter"]
    learned = [spec for spec in parameters if spec.name not in trained.frozen]
    if not learned:
        places = [(pattern.span, "freezes parameters") for pattern in recipe.freeze]
        context.fail(
            "N0505",
            "there is nothing to learn",
            recipe.section.net.span,
            "every parameter is frozen" if parameters else "the net has no parameters",
            others=places if parameters else [],
            helps=["freeze fewer"] if parameters else ["add a layer that has some: `dense(10)`"],
        )
    span = recipe.expressions["loss"].span
    try:
        with context.at(span):
            found = autodiff.gradients(
                context.builder, loss.value, [spec.value for spec in learned]
            )
    except autodiff.AutodiffError as error:
        where = f" in {error.origin.source}" if error.origin.source else ""
        context.fail(
            "N0510",
            f"the loss has no gradient: {error.reason}",
            span,
            notes=[f"`{error.operator}`{where} stands between the loss and the parameters"],
            helps=["keep it out of the gradient: `stop_gradient(...)`"],
        )
    pairs = [
        (spec, Tensor(gradient, span, f"gradient of {spec.name}"))
        for spec, gradient in zip(learned, found, strict=True)
        if gradient is not None
    ]
    if not pairs:
        context.fail(
            "N0505",
            "the loss does not depend on any parameter that is learned",
            span,
            "nothing to learn from this",
            notes=[
                "comparisons, `argmax`, `floor`, `stop_gradient` and the like pass no gradient on"
            ],
            helps=["compute the loss from what the net computes"],
        )
    return pairs


def update_parameters(
    context: Context,
    trained: Trained,
    rule: Any,
    rate: Tensor,
    specs: list[VariableSpec],
    gradients: list[Tensor],
) -> None:
    """Run the optimizer's rule for each parameter."""
    node = trained.recipe.expressions.get("optimizer")
    place = node.span if node is not None else trained.recipe.section.net.span
    for spec, gradient in zip(specs, gradients, strict=True):
        parameter = Tensor(spec.value, place, spec.name)
        with context.path(Paths(f"optimizer.{spec.name}")):
            following = apply(context, rule, [parameter, gradient, rate], place)
        if not isinstance(following, Tensor) or following.value.type != spec.value.type:
            context.fail(
                "N0506",
                "the optimizer's rule must return the new parameter",
                place,
                f"{describe(following)} for `{spec.name}: {spec.value.type}`",
            )
        trained.updates.append((spec.name, following.value))
    for slot in context.variables.values():
        if slot.kind == "slot" and context.current[slot.name].value is not slot.value:
            trained.updates.append((slot.name, context.current[slot.name].value))


def optimizer_rule(context: Context, scope: Scope, recipe: Recipe) -> Any:
    node = recipe.expressions.get("optimizer")
    if node is None:
        return default_block(scope, "adam")
    rule = defer(context, scope, node, Later(3))
    need_rule(context, "optimizer", rule, node, "sgd(momentum = 0.9)")
    return rule


def clip_rule(context: Context, scope: Scope, recipe: Recipe) -> Any:
    node = recipe.expressions.get("clip")
    if node is None:
        return None
    rule = defer(context, scope, node, Later(1))
    need_rule(context, "clip", rule, node, "by_global_norm(1.0)")
    return rule


def default_block(scope: Scope, name: str) -> Any:
    binding = scope.find(name)
    assert binding is not None
    return binding.value


def clip(context: Context, recipe: Recipe, rule: Any, gradients: list[Tensor]) -> list[Tensor]:
    if rule is None:
        return gradients
    place = recipe.expressions["clip"].span
    with context.path(Paths("clip")):
        clipped = apply(context, rule, [gradients], place)
    if not isinstance(clipped, (list, tuple)) or len(clipped) != len(gradients):
        context.fail(
            "N0506",
            "a clip rule must return as many gradients as it takes",
            place,
            f"{describe(clipped)} for {len(gradients)} gradients",
        )
    for before, after in zip(gradients, clipped, strict=True):
        if not isinstance(after, Tensor) or after.value.type != before.value.type:
            context.fail(
                "N0506",
                "a clip rule must keep the types of the gradients",
                place,
                f"{describe(after)} for {describe(before)}",
            )
    return list(clipped)


def learning_rate(context: Context, scope: Scope, recipe: Recipe) -> Tensor:
    """The rate as a scalar of the graph; a schedule gets the clock: steps done, steps in all, steps
    an epoch.
    """
    node = recipe.expressions.get("learning_rate")
    value = 0.001 if node is None else defer(context, scope, node, Later(3, takes_values=True))
    span = node.span if node is not None else recipe.section.net.span
    if isinstance(value, Deferred) and node is not None:
        need_rule(context, "learning_rate", value, node, "cosine(0.1)")
        names = ("step", "steps", "epoch_steps")
        clock = [Tensor(clock_input(context, name), span, name) for name in names]
        with context.path(Paths("learning_rate")):
            value = apply(context, value, clock, span)
    if is_number(value) and not isinstance(value, Poly):
        if not 0 <= value < math.inf:
            context.fail(
                "N0506",
                f"the learning rate must be a number of at least 0, and is {written(value)}",
                span,
                describe(value),
            )
        value = as_tensor(context, float(value), "f32", span)
    if not isinstance(value, Tensor) or value.value.type != Type("f32", ()):
        context.fail(
            "N0506",
            "`learning_rate` must be a number or a schedule",
            span,
            describe(value),
            helps=[written_rule("learning_rate", value, "cosine(0.1)")],
        )
    return value


def clock_input(context: Context, name: str) -> Value:
    for item in context.builder.inputs:
        if item.name == name and item.role == "clock":
            return item.value
    return context.builder.input(name, Type("f32", ()), role="clock")
