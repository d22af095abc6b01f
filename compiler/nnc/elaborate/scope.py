"""Names and paths.

`Scope` maps the names that a body sees to values; `Paths` hands out the paths by which parameters are known
(`features.conv_2.weight`): binding names, block names, and an index only where a name repeats.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nnlang.syntax import Span


@dataclass(eq=False)
class Binding:
    """`kind`: value, constant, setting, parameter, state, dimension, input, loop."""

    value: Any
    kind: str = "value"
    span: Span | None = None


@dataclass(eq=False)
class Scope:
    """The names of one body, over those of the file and the prelude."""

    parent: Scope | None = None
    names: dict[str, Binding] = field(default_factory=dict)
    of_file: bool = False  # names that bodies see but do not change

    def find(self, name: str) -> Binding | None:
        scope: Scope | None = self
        while scope is not None:
            binding = scope.names.get(name)
            if binding is not None:
                return binding
            scope = scope.parent
        return None

    def bind(self, name: str, value: Any, kind: str = "value", span: Span | None = None) -> None:
        self.names[name] = Binding(value, kind, span)

    def visible(self) -> list[str]:
        names: dict[str, None] = {}
        scope: Scope | None = self
        while scope is not None:
            names.update(dict.fromkeys(scope.names))
            scope = scope.parent
        return list(names)


@dataclass(eq=False)
class Paths:
    """A place in the tree of paths: hands out one child a use, with `_2`, `_3`… where a name repeats."""

    prefix: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    bindings: dict[str, Paths] = field(default_factory=dict)
    labels: set[str] = field(default_factory=set)

    def join(self, name: str) -> str:
        return f"{self.prefix}.{name}" if self.prefix else name

    def binding(self, name: str) -> Paths:
        """The scope of a bound name; binding it again goes on counting where it was."""
        return self.bindings.setdefault(name, Paths(self.join(name)))

    def use(self, name: str) -> Paths:
        """The scope of the next use of the block `name`."""
        count = self.counts.get(name, 0) + 1
        while f"{name}_{count}" in self.labels:
            count += 1
        self.counts[name] = count
        return Paths(self.join(name if count == 1 else f"{name}_{count}"))

    def labelled(self, label: str) -> Paths | None:
        """The scope of a use named by `as`; None where the name is taken."""
        if label in self.labels or self.counts.get(label):
            return None
        self.labels.add(label)
        self.counts[label] = 1
        return Paths(self.join(label))
