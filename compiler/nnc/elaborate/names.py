"""What can be said about names before anything is built: unknown ones, unused ones, keys of
training sections.

Takes the items of a file with the names that the file sees; keeps every mistake in the context. It
looks at all branches and at blocks that nothing calls, which building does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

from nnlang import other_tools, syntax
from nnlang.diagnostics import suggest

from .context import Context, Mistake
from .expressions import fail_unknown
from .scope import Scope, bound_names, dimension_names, names_in_list

KEYS = (
    "data",
    "validation",
    "loss",
    "regularizer",
    "optimizer",
    "learning_rate",
    "clip",
    "batch",
    "epochs",
    "seed",
    "shuffle",
)
"""What a training section sets with `key = value`."""


def check_names(context: Context, file: syntax.File, scope: Scope) -> None:
    """Every mistake of this kind in a file."""
    nets = {item.name.text: item for item in file.items if isinstance(item, syntax.Net)}
    trains = [item for item in file.items if isinstance(item, syntax.Train)]
    for item in file.items:
        if isinstance(item, syntax.Train):
            _check_section(context, item, scope, nets)
        elif not isinstance(item, syntax.Use):
            sections = [train for train in trains if train.net.text == item.name.text]
            _check_item(context, item, scope, sections)


def _check_item(
    context: Context,
    item: syntax.Block | syntax.Rule | syntax.Net | syntax.Const,
    scope: Scope,
    sections: list[syntax.Train],
) -> None:
    bound = bound_names(item) if not isinstance(item, syntax.Const) else []
    known = {name.text for name in bound}
    _check_known(context, item, known, scope)
    _check_hidden(context, item, bound, scope)
    if isinstance(item, syntax.Const):
        return
    used = _wanted(item, known, scope)
    for section in sections:
        names = {name.text for name in _section_names(section)}
        used |= _wanted(section, known | names, scope)
    shapes = {name.text for part in (item, *sections) for name in _shape_names(part)}
    for parameter in item.parameters:
        _check_parameter(context, item, parameter, used | shapes)
    for node in syntax.walk(item):
        if (
            isinstance(node, (syntax.Param, syntax.State, syntax.Input))
            and node.name.text not in used
        ):
            _unused(context, node, item.name.text, bound)


def _check_section(
    context: Context, item: syntax.Train, scope: Scope, nets: Mapping[str, syntax.Net]
) -> None:
    if item.net.text not in nets:
        meant = suggest(item.net.text, nets)
        helps = [f"did you mean `{meant or next(iter(nets))}`?"] if nets else []
        helps = helps or [f"declare it: `net {item.net.text} {{ ... }}`"]
        context.report_failure(
            "N0509", f"there is no net `{item.net.text}`", item.net.span, "not known", helps=helps
        )
        return
    bound = _section_names(item)
    of_net = bound_names(nets[item.net.text])
    known = {name.text for name in (*bound, *of_net)}
    named = _check_loss(context, item, nets[item.net.text], known, scope)
    _check_known(context, item, known | named, scope)
    _check_hidden(context, item, bound, scope)
    used = _wanted(item, known, scope)
    for node in item.body:
        if isinstance(node, syntax.Input) and node.name.text not in used and not named:
            _unused(context, node, item.net.text, bound)
    _check_keys(context, item)
    _check_own_names(context, item, of_net, known, scope)


def _check_loss(
    context: Context, item: syntax.Train, net: syntax.Net, known: set[str], scope: Scope
) -> set[str]:
    """The names in a loss that is only named (`"mse"`, `cross_entropy`, `nn.MSELoss()`), as other
    tools do: here it is computed.
    """
    given = (node for node in item.body if isinstance(node, syntax.Assign))
    node = next((n.value for n in given if n.targets[0].text == "loss"), None)
    inner = node.function if isinstance(node, syntax.Call) and not node.arguments else node
    inner = inner.name if isinstance(inner, syntax.Attribute) else inner
    if isinstance(inner, syntax.String):
        name = inner.value
    elif isinstance(inner, syntax.Name) and inner.text not in known:
        name = inner.text
    else:
        return set()
    meant = other_tools.NAMES.get(other_tools.folded(name), name)
    if not meant.isidentifier() or scope.find(meant) is None:
        meant = "cross_entropy"
    made = [bound.text for bound in bound_names(net)]
    outputs = [part.name.text for part in net.body if isinstance(part, syntax.Output)]
    logits = "logits" if "logits" in made else outputs[0] if outputs else "..."
    inputs = [part.name.text for part in item.body if isinstance(part, syntax.Input)]
    assert node is not None
    context.report_failure(
        "N0504",
        "the loss is computed, not named",
        node.span,
        helps=[f"write `loss = {meant}({logits}, {inputs[0] if inputs else '...'})`"],
    )
    return {name.text for name in used_names(node)} | {name}


def own_names(node: syntax.TrainStatement) -> tuple[syntax.Name, ...]:
    """The names that a statement of a training section makes: those that are no keys."""
    if not isinstance(node, syntax.Assign) or any(name.text in KEYS for name in node.targets):
        return ()
    return node.targets


def _section_names(item: syntax.Train) -> list[syntax.Name]:
    found: list[syntax.Name] = []
    for node in item.body:
        found += bound_names(node) if isinstance(node, syntax.Input) else own_names(node)
    return found


def _shape_names(item: syntax.Node) -> list[syntax.Name]:
    """The names in the shapes of inputs and arguments."""
    return [name for node in syntax.walk(item) for name in dimension_names(node)]


def _unknown(item: syntax.Node, bound: set[str], scope: Scope) -> Iterator[syntax.Name]:
    for name in sorted(used_names(item), key=lambda name: name.span.start):
        if name.text not in bound and name.text != "training" and scope.find(name.text) is None:
            yield name


def _wanted(item: syntax.Node, bound: set[str], scope: Scope) -> set[str]:
    """The names that an item uses, and those that its unknown ones were probably meant to be: a
    misspelt use is one mistake, not two."""
    used = {name.text for name in used_names(item)}
    for name in _unknown(item, bound, scope):
        meant = suggest(name.text, [*bound, *scope.visible()])
        if meant is not None:
            used.add(meant)
    return used


def _check_known(context: Context, item: syntax.Item, bound: set[str], scope: Scope) -> None:
    unknown = list(_unknown(item, bound, scope))
    members = _members(item) if unknown else {}
    divisors = _divisors(item) if unknown else set()
    for name in unknown:
        try:
            if id(name) in members and name.text in (*other_tools.LIBRARIES, "self"):
                _fail_member(context, members[id(name)], [*bound, *scope.visible()])
            if id(name) in divisors:
                comment = ["start a comment with `#`; `//` divides and rounds down"]
                message = f"there is no `{name.text}` here"
                context.fail("N0201", message, name.span, "not known", helps=comment)
            fail_unknown(context, name, [*bound, *scope.visible()])
        except Mistake as mistake:
            context.report(mistake)


def _members(item: syntax.Node) -> dict[int, syntax.Attribute]:
    """The longest `a.b.c` by its first name."""
    found: dict[int, syntax.Attribute] = {}
    for node in syntax.walk(item):  # outer ones come first
        first: syntax.Node = node
        while isinstance(first, syntax.Attribute):
            first = first.value
        if isinstance(node, syntax.Attribute):
            found.setdefault(id(first), node)
    return found


def _divisors(item: syntax.Node) -> set[int]:
    """What stands behind `//`."""
    nodes = (node for node in syntax.walk(item) if isinstance(node, syntax.Binary))
    return {id(node.right) for node in nodes if node.operator == "//"}


def _fail_member(context: Context, node: syntax.Attribute, candidates: list[str]) -> NoReturn:
    """`nn.Linear` and `self.hidden`: names of other tools, which stand alone here."""
    name = node.name.text
    known = other_tools.name_help(name)
    if name in candidates:
        known = f"write `{name}`"
    meant = None if known else suggest(name, candidates)
    helps = [known] if known else [f"did you mean `{meant}`?"] if meant else []
    text = context.snippet(node.span)
    context.fail("N0201", f"there is no `{text}` here", node.span, "not known", helps=helps)


def _check_hidden(
    context: Context, item: syntax.Item, bound: Iterable[syntax.Name], scope: Scope
) -> None:
    """No name of a body hides a constant of the file or of the language."""
    shapes = {id(name) for name in _shape_names(item)}  # a constant there is a use
    local = [name for node in syntax.walk(item) for name in names_in_list(node)]
    for name in {id(name): name for name in (*bound, *local)}.values():
        known = scope.find(name.text)
        if id(name) not in shapes and known is not None and known.kind == "constant":
            context.report_failure(
                "N0203",
                f"`{name.text}` is a constant and cannot be given another value",
                name.span,
                "given a value here",
                others=[(known.span, "the constant")] if known.span else [],
                helps=["use another name"],
            )


def _check_parameter(
    context: Context,
    item: syntax.Block | syntax.Rule | syntax.Net,
    parameter: syntax.Parameter,
    used: set[str],
) -> None:
    """Every setting is used; so is every argument of a block that a caller may leave out."""
    name = parameter.name.text
    optional = parameter.default is not None
    if name not in used and (isinstance(item, syntax.Net) or optional):
        context.report_failure(
            "N0204",
            f"the setting `{name}` of `{item.name.text}` is never used",
            parameter.name.span,
            "nothing reads it",
            helps=["use it or remove it"],
        )


def _unused(
    context: Context,
    node: syntax.Param | syntax.State | syntax.Input,
    owner: str,
    bound: Iterable[syntax.Name],
) -> None:
    """An input, parameter or state that no expression reads (a state may also only be assigned)."""
    name = node.name.text
    if sum(other.text == name for other in bound) > 1 and isinstance(node, syntax.State):
        return
    code, word = {
        syntax.Input: ("N0209", "input"),
        syntax.Param: ("N0210", "parameter"),
        syntax.State: ("N0210", "state"),
    }[type(node)]
    context.report_failure(
        code,
        f"the {word} `{name}` of `{owner}` is never used",
        node.name.span,
        "nothing reads it",
        helps=["use it or remove it"],
    )


def _check_keys(context: Context, item: syntax.Train) -> None:
    """Known keys, each once; metrics with names of their own."""
    seen: dict[str, syntax.Span] = {}
    for node in item.body:
        if isinstance(node, syntax.Assign):
            if own_names(node):
                continue
            name, what = node.targets[0], "`{}` is set twice"
            if len(node.targets) > 1:
                context.report_failure(
                    "N0114",
                    "a training section sets one key at a time",
                    node.span,
                    helps=["write one `key = value` a line"],
                )
                continue
        elif isinstance(node, syntax.Metric):
            name, what = node.name, "the metric `{}` exists already"
        else:
            continue
        key = f"metric {name.text}" if isinstance(node, syntax.Metric) else name.text
        if key in seen:
            context.report_failure(
                "N0502",
                what.format(name.text),
                name.span,
                "again here",
                others=[(seen[key], "first here")],
                helps=["remove one of them"]
                if isinstance(node, syntax.Assign)
                else ["give it another name"],
            )
        elif key == "metric loss":
            context.report_failure(
                "N0502",
                "a metric cannot be named `loss`",
                name.span,
                "the loss is shown anyway",
                helps=["give it another name"],
            )
        seen.setdefault(key, name.span)


def _check_own_names(
    context: Context,
    item: syntax.Train,
    of_net: Iterable[syntax.Name],
    known: set[str],
    scope: Scope,
) -> None:
    """Names that are no keys: each made once, nowhere else, and used; else a key is misspelt."""
    made = {name.text: (name.span, "first here, in the net") for name in reversed([*of_net])}
    uses = [(node, _wanted(node, known, scope)) for node in item.body]
    for node in item.body:
        if isinstance(node, syntax.Input):
            made[node.name.text] = (node.name.span, "first here")
    for node in item.body:
        names = own_names(node)
        used = {name for other, found in uses if other is not node for name in found}
        if names and not any(name.text in used for name in names):
            unknown_key(context, names[0].text, names[0].span)
            continue
        for name in names:
            if name.text in made:
                context.report_failure(
                    "N0202",
                    f"`{name.text}` exists already",
                    name.span,
                    "made again here",
                    others=[made[name.text]],
                    helps=["use another name"],
                )
            made.setdefault(name.text, (name.span, "first here"))


def unknown_key(context: Context, key: str, span: syntax.Span) -> None:
    known = other_tools.KEYS.get(key, "")
    meant = suggest(key, (*KEYS, "metric", "freeze", "load", "input"))
    meant = known if known.isidentifier() else None if known else meant
    example = {"metric": f"metric {key} = ...", "freeze": 'freeze "pattern"', "load": 'load "file"'}
    keys = "the keys are " + ", ".join(f"`{name}`" for name in KEYS)
    context.report_failure(
        "N0501",
        f"a training section has no key `{key}`",
        span,
        "not known",
        notes=[]
        if meant or known
        else [keys, "a name of your own is fine where something uses it"],
        helps=[f"did you mean `{example.get(meant, meant)}`?"] if meant else [known][: len(known)],
    )


_NO_USE: dict[type, tuple[str, ...]] = {
    syntax.Argument: ("name",),
    syntax.Attribute: ("name",),
    syntax.Call: ("label",),
    syntax.Assign: ("targets",),
    syntax.Param: ("name",),
    syntax.State: ("name",),
    syntax.Carry: ("name",),
    syntax.Input: ("name",),
    syntax.Const: ("name",),
    syntax.Metric: ("name",),
    syntax.Parameter: ("name",),
    syntax.Block: ("name",),
    syntax.Rule: ("name",),
    syntax.Net: ("name",),
    syntax.Train: ("net", "name"),
    syntax.Use: ("alias",),
    syntax.For: ("pattern",),
    syntax.Scan: ("targets", "pattern"),
}  # The fields whose names are made, or mean something else than a value.


def used_names(item: syntax.Node) -> Iterator[syntax.Name]:
    """The names that something inside an item reads, in no particular order."""
    pending: list[Any] = [item]
    while pending:
        node = pending.pop()
        if isinstance(node, syntax.Name):
            yield node
            continue
        if isinstance(node, syntax.Comprehension):
            pending.append(node.iterable)
            own = {name.text for name in names_in_list(node)}
            for inner in (node.value, node.condition):
                if inner is not None:
                    yield from (name for name in used_names(inner) if name.text not in own)
            continue
        skipped = _NO_USE.get(type(node), ())
        if isinstance(node, syntax.Output) and node.value is not None:
            skipped = ("name",)
        binds = isinstance(node, (syntax.Input, syntax.Parameter))
        for key in node.__dataclass_fields__:
            part = getattr(node, key)
            if key in skipped or not isinstance(part, (syntax.Node, tuple)):
                continue
            if binds and key == "type" and isinstance(part, syntax.TensorType):
                part = tuple(
                    d for d in part.dimensions if not isinstance(d, (syntax.Name, syntax.Spread))
                )
            pending += (
                [part]
                if isinstance(part, syntax.Node)
                else [p for p in part if isinstance(p, syntax.Node)]
            )
