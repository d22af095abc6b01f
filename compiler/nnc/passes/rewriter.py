"""Rebuilds a graph front to back while rules replace nodes by simpler values.

Takes a graph and a table of rules by operator name; gives a graph whose outputs and updates have
the same meaning. Values keep their identity unless replaced, a replacement has the type of what it
replaces, and a new node is simplified before it is added, so one walk reaches nearly every
consequence. Nodes that became useless stay: `dead_code` drops them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..dtypes import DTYPES
from ..errors import InternalError
from ..graph import Graph, Node, Origin, Type, Value, with_body
from ..ops import operator
from ..ops.base import Operator
from ..text import lines_around

Array = np.ndarray[Any, Any]
Rule = Callable[[Node, "Rewriter"], "Value | None"]
Rules = Mapping[str, Sequence[Rule]]
Number = float | int | bool
# What makes a value: an operator, by its name; for a constant of one element the number itself;
# None where no node does.
Maker = str | Number | None
Makers = tuple[Maker, ...]  # of each operand
ANY = "*"  # rules under this key are tried on every node


@dataclass(frozen=True)
class Guarded:
    """A rule that can do something only where `fits` holds: asked once for each operator over each
    combination of operators, it saves trying the rule on nearly every node.
    """

    rule: Rule
    fits: Callable[[Operator, Makers], bool]

    def __call__(self, node: Node, rewriter: Rewriter) -> Value | None:
        return self.rule(node, rewriter)


def is_constant(maker: Maker) -> bool:
    return maker == "constant" or not (maker is None or isinstance(maker, str))


class Rewriter:
    def __init__(self, graph: Graph, rules: Rules | None = None) -> None:
        self.graph = graph
        self.rules = rules or {}
        self.nodes: list[Node] = []
        self.replaced: dict[Value, Value] = {}
        self.producers: dict[Value, Node] = {}
        self.makers: dict[Value, Maker] = {}
        self.fitting: dict[tuple[str, Makers], list[Rule]] = {}
        self.origin = Origin()

    @cached_property
    def ids(self) -> Iterator[int]:
        """Ids that no value of the graph has."""
        return itertools.count(max((value.id for value in self.graph.values()), default=-1) + 1)

    # ------------------------------------------------------------ reading

    def current(self, value: Value) -> Value:
        """The value of the new graph that stands for a value of the old one."""
        return self.replaced.get(value, value)

    def producer(self, value: Value, name: str | None = None) -> Node | None:
        """The node that makes a value of the new graph (of operator `name`, if given)."""
        node = self.producers.get(value)
        return node if node is not None and (name is None or node.op.name == name) else None

    def constant(self, value: Value) -> Array | None:
        """The array of a constant, else None."""
        node = self.producers.get(value)
        if node is None or "constant" not in node.op.traits:
            return None
        array: Array = node.attributes["value"]
        return array

    def number(self, value: Value) -> Number | None:
        """The number that a constant of one element holds, else None."""
        maker = self.makers.get(value)
        return None if isinstance(maker, str) else maker

    # ------------------------------------------------------------ writing

    def emit_all(
        self,
        name: str,
        operands: Sequence[Value],
        body: Graph | None = None,
        **attributes: Any,
    ) -> tuple[Value, ...]:
        op = operator(name)
        checked = op.check_attributes(attributes)
        types = op.infer([value.type for value in operands], with_body(checked, body))
        results = tuple(self.value(type) for type in types)
        return self.add(Node(op, tuple(operands), checked, results, self.origin, body))

    def emit(self, name: str, *operands: Value, **attributes: Any) -> Value:
        """A new node with one result, simplified."""
        return self.emit_all(name, operands, **attributes)[0]

    def value(self, type: Type) -> Value:
        return Value(next(self.ids), type)

    def number_like(self, number: Any, like: Value) -> Value:
        """A scalar constant of the element type of `like`."""
        return self.emit("constant", value=np.asarray(number, DTYPES[like.dtype]))

    def shaped(self, value: Value, type: Type) -> Value:
        """`value` reshaped or broadcast to the shape of `type`."""
        if value.shape == type.shape:
            return value
        count = [dim for dim in value.shape if dim != 1]
        if count == [dim for dim in type.shape if dim != 1]:
            return self.emit("reshape", value, shape=type.shape)
        return self.emit("broadcast_to", value, shape=type.shape)

    def add(self, node: Node) -> tuple[Value, ...]:
        """Append a node over values of the new graph, or give the value that replaces it."""
        results = node.results
        if self.rules and len(results) == 1:
            for rule in self._rules_for(node):
                simpler = rule(node, self)
                if simpler is not None and simpler.type == results[0].type:
                    return (simpler,)
        self.nodes.append(node)
        maker: Maker = node.op.name
        if "constant" in node.op.traits and node.attributes["value"].size == 1:
            maker = node.attributes["value"].item()
        for result in results:
            self.producers[result] = node
            self.makers[result] = maker
        return results

    def _rules_for(self, node: Node) -> list[Rule]:
        """The rules that may fire on a node, in their order."""
        makers = tuple([self.makers.get(value) for value in node.operands])
        key = (node.op.name, makers)
        found = self.fitting.get(key)
        if found is None:
            tried = (*self.rules.get(node.op.name, ()), *self.rules.get(ANY, ()))
            found = self.fitting[key] = [
                rule.rule if isinstance(rule, Guarded) else rule
                for rule in tried
                if not isinstance(rule, Guarded) or rule.fits(node.op, makers)
            ]
        return found

    # ------------------------------------------------------------ the walk

    def visit(self, node: Node) -> tuple[Value, ...]:
        """Add a node of the old graph, and note the values that stand for its results."""
        replaced = self.replaced
        moved = node
        for value in node.operands:
            if value in replaced:
                moved = node.with_operands(tuple([replaced.get(v, v) for v in node.operands]))
                break
        self.origin = node.origin
        try:
            made = self.add(moved)
        except InternalError:
            raise
        except Exception as error:
            line, around = lines_around(self.graph, node)
            message = f"{type(error).__name__}: {error}"
            raise InternalError(message, "", line, around) from error
        if made is not node.results:
            for old, new in zip(node.results, made, strict=True):
                if old is not new:
                    self.replaced[old] = new
        return made

    def run(self) -> Graph:
        for node in self.graph.nodes:
            self.visit(node)
        return self.finish()

    def finish(self) -> Graph:
        return replace(
            self.graph,
            nodes=tuple(self.nodes),
            outputs=tuple((name, self.current(value)) for name, value in self.graph.outputs),
            updates=tuple((name, self.current(value)) for name, value in self.graph.updates),
        )
