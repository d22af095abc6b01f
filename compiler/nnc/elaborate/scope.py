"""Names and paths.

`Scope` maps the names that a body sees to values; `Paths` hands out the paths by which parameters
are known (`features.conv_2.weight`): binding names, block names, and an index only where a name
repeats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nnlang import syntax
from nnlang.syntax import Span


@dataclass(eq=False, slots=True)
class Binding:
    """`kind`: value, constant, setting, argument, parameter, state, dimension, input, library, net.

    `given`: for an argument, where the caller wrote it; for a dimension, the argument that fixed
    it.
    """

    value: Any
    kind: str = "value"
    span: Span | None = None
    given: Span | None = None


@dataclass(eq=False)
class Scope:
    """The names of one body, over those of the file and the prelude."""

    parent: Scope | None = None
    names: dict[str, Binding] = field(default_factory=dict)
    of_file: bool = False  # names that bodies see but do not change
    tree: syntax.File | None = None  # of the file

    def find(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            binding = scope.names.get(name)
            if binding is not None:
                return binding
            scope = scope.parent
        return None

    def bind(
        self,
        name: str,
        value: Any,
        kind: str = "value",
        span: Span | None = None,
        given: Span | None = None,
    ) -> None:
        self.names[name] = Binding(value, kind, span, given)

    def of_body(self, name: str) -> Binding | None:
        """What a name means in the body, not in the file."""
        scope: Scope | None = self
        while scope is not None and not scope.of_file:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return None

    def hides_block(self, name: str) -> bool:
        """Whether the file or the library has a block or function of a name that a body binds."""
        scope: Scope | None = self
        while scope is not None:
            binding = scope.names.get(name)
            if scope.of_file and binding is not None and binding.kind == "library":
                return True
            scope = scope.parent
        return False

    def made_elsewhere(self, node: syntax.Name) -> list[syntax.Name]:
        """Where the item of the file that holds `node` binds its name."""
        scope: Scope | None = self
        while scope is not None and scope.tree is None:
            scope = scope.parent
        if scope is None or scope.tree is None:
            return []
        found: list[syntax.Name] = []
        for item in scope.tree.items:
            here = item.span.start <= node.span.start < item.span.end
            if item.span.file == node.span.file and here:
                found += [name for name in bound_names(item) if name.text == node.text]
            elif isinstance(item, (syntax.Block, syntax.Const)) and item.name.text == node.text:
                found.append(item.name)
        return [name for name in found if name.span != node.span]

    def visible(self) -> list[str]:
        names: dict[str, None] = {}
        scope: Scope | None = self
        while scope is not None:
            names.update(dict.fromkeys(scope.names))
            scope = scope.parent
        return [name for name in names if not name.startswith("_")]


def bound_names(item: syntax.Node, local: bool = True) -> list[syntax.Name]:
    """Every name that something inside an item binds, in the order of the text; with `local` also
    those of lists `[f(x) for x in items]`, which nothing outside the list sees.
    """
    found: list[syntax.Name] = []
    for node in syntax.walk(item):
        if isinstance(node, (syntax.Assign, syntax.Scan)):
            found += node.targets
        if isinstance(
            node,
            (
                syntax.Param, syntax.State, syntax.Carry, syntax.Input, syntax.Const, syntax.Output,
                syntax.Parameter,
            ),
        ):  # fmt: skip
            found.append(node.name)
        if isinstance(node, (syntax.For, syntax.Scan)):
            found += [part for part in syntax.walk(node.pattern) if isinstance(part, syntax.Name)]
        if local:
            found += names_in_list(node)
        found += dimension_names(node)
    return found


def names_in_list(node: syntax.Node) -> list[syntax.Name]:
    """The names that a list `[f(x) for x in items]` binds."""
    if not isinstance(node, syntax.Comprehension):
        return []
    return [part for part in syntax.walk(node.pattern) if isinstance(part, syntax.Name)]


def dimension_names(node: syntax.Node) -> list[syntax.Name]:
    """The names in the shape of an input or argument. Those of settings, arguments and constants
    are uses; others are bound by the shape.
    """
    if not isinstance(node, (syntax.Input, syntax.Parameter)):
        return []
    if not isinstance(node.type, syntax.TensorType):
        return []
    parts = [p.value if isinstance(p, syntax.Spread) else p for p in node.type.dimensions]
    return [part for part in parts if isinstance(part, syntax.Name)]


@dataclass(eq=False)
class Paths:
    """A place in the tree of paths: hands out one child a use, with `_2`, `_3`… where a name
    repeats.

    Keeps true: no path is handed out twice, whether for a binding, a use or a label.
    """

    prefix: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    bindings: dict[str, Paths] = field(default_factory=dict)

    def join(self, name: str) -> str:
        return f"{self.prefix}.{name}" if self.prefix else name

    def binding(self, name: str) -> Paths:
        """The scope of a bound name; binding it again goes on counting where it was."""
        if name not in self.bindings:
            self.bindings[name] = self.use(name)
        return self.bindings[name]

    def use(self, name: str) -> Paths:
        """The scope of the next use of the block `name`."""
        count = self.counts.get(name, 0) + 1
        while count > 1 and f"{name}_{count}" in self.counts:
            count += 1
        self.counts[name] = count
        made = name if count == 1 else f"{name}_{count}"
        self.counts.setdefault(made, 1)
        return Paths(self.join(made))

    def labelled(self, label: str) -> Paths | None:
        """The scope of a use named by `as`; None where the name is taken."""
        if label in self.counts:
            return None
        self.counts[label] = 1
        return Paths(self.join(label))
