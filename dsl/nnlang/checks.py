"""What the grammar allows and the language does not.

Takes a tree that `builder` made, gives diagnostics: statements out of their place, values that
nothing uses, `if`s without a value, names used as objects with methods.
"""

from __future__ import annotations

from typing import Any

from nnlang import other_tools, syntax
from nnlang.builder import Bare, PartialIf
from nnlang.diagnostics import Diagnostic, diagnostic
from nnlang.syntax import Node, Span

_NAMES = {
    syntax.Return: "return",
    syntax.Yield: "yield",
    syntax.Carry: "carry",
    syntax.Input: "input",
    syntax.Output: "output",
    syntax.Param: "param",
    syntax.State: "state",
    syntax.Metric: "metric",
    syntax.Freeze: "freeze",
    syntax.Load: "load",
    syntax.For: "for",
    syntax.Repeat: "repeat",
    syntax.Scan: "scan",
    syntax.If: "if",
    syntax.Assert: "assert",
    syntax.Const: "const",
}
_EVERYWHERE = frozenset(
    {syntax.Assign, syntax.If, syntax.For, syntax.Repeat, syntax.Assert, syntax.Const, syntax.Scan}
)
_ALLOWED: dict[str, frozenset[type]] = {
    "net": _EVERYWHERE | {syntax.Input, syntax.Output, syntax.Param, syntax.State},
    "block": _EVERYWHERE | {syntax.Param, syntax.State, syntax.Return},
    "rule": _EVERYWHERE | {syntax.State, syntax.Return},
    "scan": _EVERYWHERE | {syntax.Param, syntax.State, syntax.Carry, syntax.Yield},
    "value": _EVERYWHERE | {syntax.Param, syntax.State},
    "train": frozenset(
        {syntax.Assign, syntax.Input, syntax.Metric, syntax.Freeze, syntax.Load},
    ),
}
_PLACES = {
    "net": "a net",
    "block": "a block",
    "rule": "a rule",
    "scan": "a `scan`",
    "value": "a branch that gives a value",
    "train": "a training section",
}
_WHERE_IT_BELONGS: dict[type, str] = {
    syntax.Return: "`return` gives the value of a block or rule; a net has `output name = value`",
    syntax.Yield: "`yield` gives the value of a step of a `scan`",
    syntax.Carry: "`carry` stands in a `scan`",
    syntax.Input: "inputs stand at the top of a net, or in its training section",
    syntax.Output: "outputs stand in a net",
    syntax.Param: "parameters stand in blocks and nets",
    syntax.State: "states stand in blocks, rules and nets",
    syntax.Metric: "metrics stand in a training section",
    syntax.Freeze: "`freeze` stands in a training section",
    syntax.Load: "`load` stands in a training section",
}


def check(file: syntax.File) -> list[Diagnostic]:
    """All mistakes of this kind in a file."""
    checker = _Checker()
    namespaces = {item.namespace for item in file.items if isinstance(item, syntax.Use)}
    partial: list[PartialIf] = []
    for item in file.items:
        checker.item(item)
        nodes = list(syntax.walk(item))
        checker.objects(nodes, namespaces)
        checker.nones(nodes)
        partial += [node for node in nodes if isinstance(node, PartialIf)]
    for node in partial:
        checker.partial_if(node)
    return checker.diagnostics


class _Checker:
    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def report(self, code: str, span: Span, message: str, *helps: str, label: str = "") -> None:
        self.diagnostics.append(diagnostic(code, message, span, label, helps=helps))

    def item(self, item: syntax.Item) -> None:
        if isinstance(item, syntax.Net):
            self.body(item.body, "net")
        elif isinstance(item, syntax.Train):
            self.body(item.body, "train")
        elif isinstance(item, syntax.Block | syntax.Rule):
            place = "block" if isinstance(item, syntax.Block) else "rule"
            if isinstance(item.body, tuple):
                self.body(item.body, place)
            else:
                self.suites(item.body)
            for parameter in item.parameters:
                self.suites(parameter)
        else:
            self.suites(item)

    def body(self, statements: tuple[Any, ...], place: str, top: bool = True) -> None:
        for position, statement in enumerate(statements):
            last = position == len(statements) - 1
            if isinstance(statement, Bare):
                self.bare(statement, place, last)
            elif type(statement) not in _ALLOWED[place]:
                self.misplaced(statement, place)
            elif isinstance(statement, syntax.Input) and not top:
                self.misplaced(statement, place, nested=True)
            elif isinstance(statement, syntax.Scan) and not statement.targets:
                self.unnamed_scan(statement, place, last)
            self.nested_bodies(statement, place)
            self.suites(statement)

    def nested_bodies(self, statement: Any, place: str) -> None:
        if isinstance(statement, syntax.If):
            self.body(statement.then, place, top=False)
            self.body(statement.otherwise or (), place, top=False)
        elif isinstance(statement, syntax.For | syntax.Repeat):
            self.body(statement.body, place, top=False)
        elif isinstance(statement, syntax.Scan):
            self.body(statement.body, "scan", top=False)

    def suites(self, node: Node) -> None:
        """The branches of the `if` values below a node, down to the statements that have bodies of
        their own.
        """
        for child in syntax.children(node):
            if isinstance(child, syntax.Suite):
                self.body(child.statements, "value", top=False)
                self.suites(child.value)
                if isinstance(child.value, syntax.IfExpression):
                    continue
            elif not _has_own_check(child):
                self.suites(child)

    def misplaced(self, statement: Node, place: str, nested: bool = False) -> None:
        word = _NAMES[type(statement)]
        where = "a nested body" if nested else _PLACES[place]
        if place == "train" and type(statement) not in _WHERE_IT_BELONGS:
            help_text = (
                "a training section holds `key = value`, `metric`, `freeze`, `load` and `input`"
            )
        else:
            help_text = _WHERE_IT_BELONGS.get(type(statement), "remove it")
        self.report("N0114", statement.span, f"`{word}` has no place in {where}", help_text)

    def unnamed_scan(self, scan: syntax.Scan, place: str, last: bool) -> None:
        if place == "block" and last:
            return
        self.report(
            "N0115",
            scan.span,
            "nothing uses the value of this `scan`",
            "give it a name: `h = scan ...`",
        )

    def bare(self, statement: Bare, place: str, last: bool) -> None:
        value = statement.value
        if isinstance(value, syntax.Name) and value.text == "pass":
            self.report("N0112", value.span, "there is no `pass`", "leave the body empty: `{}`")
            return
        function = value.function if isinstance(value, syntax.Call) else None
        if isinstance(function, syntax.Name) and function.text == "print":
            self.report("N0112", value.span, "there is no `print`", "remove the line")
            return
        helps = "give it a name: `name = ...`"
        if place in ("block", "rule") and last:
            helps = "write `return` before it to make it the block's value, or give it a name"
        elif place == "train":
            helps = "a training section holds `key = value`, `metric name = value`, "
            helps += '`freeze "pattern"`, `load "file"` and `input name: type`'
        elif place == "net":
            helps = "write `output name = ...` to give it out, or `name = ...` to use it later"
        elif place == "scan":
            helps = "write `yield` before it, or give it a name"
        self.report("N0115", value.span, "nothing uses this value", helps)

    def partial_if(self, node: PartialIf) -> None:
        if node.otherwise is None:
            self.report(
                "N0116",
                node.span,
                "an `if` used as a value needs an `else`",
                "write `if condition { a } else { b }`",
            )
        else:
            helps = ["end each branch with the value: `{ y = f(x)` ... `y }`"]
            for branch in (node.then, node.otherwise):
                sign = _leading_sign(branch)
                if sign is not None:
                    helps.insert(
                        0,
                        f"a line that starts with `{sign.operator}` goes on with the line above; "
                        f"write a value that starts so in parentheses: `({sign.operator}x)`",
                    )
            self.report("N0116", node.span, "a branch of this `if` gives no value", *helps[:1])

    def nones(self, nodes: list[Node]) -> None:
        """`None` where it is no new axis of an index; `nodes` are those of an item."""
        types = (node for node in nodes if isinstance(node, syntax.TensorType))
        sizes = {id(size) for node in types for size in node.dimensions}
        for node in nodes:
            if isinstance(node, syntax.Name) and node.text == "None":
                if id(node) in sizes:
                    help_text = "write `N`: a size that is not fixed has a name"
                    self.report("N0112", node.span, "there is no `None`", help_text)
                    continue
                help_text = "leave the argument out, or give a value that stands for none"
                self.report("N0112", node.span, "there is no `None`", help_text)

    def objects(self, nodes: list[Node], namespaces: set[str]) -> None:
        """`x.relu()` where `x` is a value, as in languages with methods; `nodes` are those of an
        item. What is no call may be a part of something shared, `e.table`.
        """
        attributes = [node for node in nodes if isinstance(node, syntax.Attribute)]
        if not attributes:
            return
        bound: set[str] = set()
        unknown: set[str] = set()  # may be something shared, or what a net gives
        for node in nodes:
            names = {name.text for name in _bound_names(node)} - namespaces
            bound |= names
            if not _is_certain(node):
                unknown |= names
        called = {id(node.function) for node in nodes if isinstance(node, syntax.Call)}
        for node in attributes:
            if not isinstance(node.value, syntax.Name):
                continue
            value, name = node.value.text, node.name.text
            if value not in bound:
                continue
            known = other_tools.MEMBERS.get(name)
            if known is not None and (id(node) in called or value not in unknown):
                help_text = known.format(value)
            elif id(node) in called:
                help_text = f"write `{value} -> {name}`"
            elif value not in unknown:
                help_text = f"write `{name}({value})`"
            else:
                continue
            self.report("N0112", node.span, "values have no methods or attributes", help_text)


def _has_own_check(node: Node) -> bool:
    """Whether a node is a statement, which `body` looks at by itself."""
    return isinstance(node, Bare) or type(node) in _NAMES or isinstance(node, syntax.Assign)


def _is_certain(node: Node) -> bool:
    """Whether a node that binds a name gives it a number, a list or a tensor for certain."""
    if isinstance(node, syntax.Assign):
        return isinstance(
            node.value,
            (syntax.Number, syntax.String, syntax.Bool, syntax.List, syntax.Unary, syntax.Binary),
        )
    return isinstance(node, (syntax.Input, syntax.Param, syntax.State))


def _leading_sign(branch: tuple[Any, ...] | None) -> syntax.Binary | None:
    """The sign that starts the last line of a branch, where it goes on with the line above."""
    last = branch[-1] if branch else None
    value = last.value if isinstance(last, syntax.Assign) else None
    if not isinstance(value, syntax.Binary) or value.operator not in ("+", "-"):
        return None
    return value if value.operator_span.line > value.left.span.end_line else None


def _bound_names(node: Node) -> tuple[syntax.Name, ...]:
    if isinstance(node, syntax.Assign):
        return node.targets
    if isinstance(node, syntax.Input | syntax.Parameter | syntax.Param | syntax.State):
        return (node.name,)
    return ()
