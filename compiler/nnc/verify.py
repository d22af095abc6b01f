"""The rules a graph must keep, checked: `verify` gives nothing or raises InternalError.

One producer for each value, producers before users, ids unique, types equal to what `infer` gives,
attributes complete, names unique, variables of a known kind whose arrays fit, and updates that name
a variable and have its type. A graph inside a node keeps the same rules, is closed, and has no
variables and no updates.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .dtypes import DTYPES
from .errors import InternalError
from .graph import Graph, Node, Value, with_body
from .ops.base import ShapeError
from .text import VARIABLE_KINDS, lines_around, type_text

ROLES = ("data", "clock")


def verify(graph: Graph, pass_name: str = "") -> None:
    """Raise InternalError at the first broken rule. `pass_name`: the pass that made the graph."""
    try:
        _graph(graph, set())
    except _Broken as broken:
        line, around = lines_around(graph, broken.node)
        raise InternalError(str(broken), pass_name, line, around) from None


def _graph(graph: Graph, around: set[Value]) -> None:
    """Check a graph. `around`: the values of the graphs that it is inside of."""
    _interface(graph)
    defined = {item.value for item in graph.inputs} | {v.value for v in graph.variables}
    _distinct(graph)
    known = {variable.name: variable.value for variable in graph.variables}
    for name, value in graph.updates:
        if name not in known:
            raise _Broken(f"update of `{name}`, which is no variable")
        if known[name].type != value.type:
            found, expected = type_text(value.type), type_text(known[name].type)
            raise _Broken(f"update of `{name}` is {found}, the variable is {expected}")
    for node in graph.nodes:
        try:
            _node(node, defined, around)
        except _Broken as broken:
            broken.node = broken.node or node
            raise
        defined.update(node.results)
    for value in graph.roots():
        if value in around:
            raise _captured(f"an output is {value!r}")
        if value not in defined:
            raise _Broken(f"an output or update uses {value!r}, which nothing produces")


class _Broken(Exception):
    """A broken rule, and the node that breaks it; None where the graph as a whole does."""

    node: Node | None = None


def _captured(what: str) -> _Broken:
    return _Broken(f"{what} of a graph around the body; what a body captures is an operand")


def _interface(graph: Graph) -> None:
    _unique("input", (item.name for item in graph.inputs))
    _unique("variable", (variable.name for variable in graph.variables))
    _unique("output", (name for name, _ in graph.outputs))
    _unique("update", (name for name, _ in graph.updates))
    for item in graph.inputs:
        if item.role not in ROLES:
            raise _Broken(f"input `{item.name}` has the unknown role `{item.role}`")
        if item.role == "clock" and (item.value.dtype, item.value.shape) != ("f32", ()):
            raise _Broken(f"clock input `{item.name}` is no f32 scalar")
    for variable in graph.variables:
        if variable.kind not in VARIABLE_KINDS:
            raise _Broken(f"variable `{variable.name}` has the unknown kind `{variable.kind}`")
        dtype, shape = variable.initial.dtype, variable.initial.shape
        expected = type_text(variable.value.type)
        if DTYPES[variable.value.dtype] != dtype or tuple(variable.value.shape) != shape:
            raise _Broken(f"the array of `{variable.name}` is {dtype}{shape}, not {expected}")


def _unique(what: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise _Broken(f"two {what}s are named `{name}`")
        seen.add(name)


def _distinct(graph: Graph) -> None:
    """Every value has one producer and an id of its own."""
    values: set[Value] = set()
    ids: set[int] = set()
    for value in graph.values():
        if value in values:
            raise _Broken(f"{value!r} has two producers")
        if value.id in ids:
            raise _Broken(f"two values have the id {value.id}")
        if value.dtype not in DTYPES:
            raise _Broken(f"{value!r} has an unknown element type")
        values.add(value)
        ids.add(value.id)


def _node(node: Node, defined: set[Value], around: set[Value]) -> None:
    for operand in node.operands:
        if operand in around:
            raise _captured(f"operand {operand!r} is a value")
        if operand not in defined:
            raise _Broken(f"operand {operand!r} is used before it is produced")
    _body(node, defined, around)
    try:
        attributes = node.op.check_attributes(node.attributes)
        operands = [operand.type for operand in node.operands]
        types = tuple(node.op.infer(operands, with_body(attributes, node.body)))
    except ShapeError as error:
        raise _Broken(error.message) from None
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise _Broken(f"`{node.op.name}` cannot infer its types: {error}") from None
    if set(attributes) != set(node.attributes):
        raise _Broken(
            f"`{node.op.name}` lacks the attribute `{min(set(attributes) - set(node.attributes))}`"
        )
    for name, value in attributes.items():
        if not isinstance(value, np.ndarray) and value != node.attributes[name]:
            raise _Broken(f"attribute `{name}` is not in its normal form")
    found = tuple(value.type for value in node.results)
    if types != found:
        expected = ", ".join(type_text(t) for t in types)
        raise _Broken(
            f"the types are {', '.join(type_text(t) for t in found)}, not {expected} as inferred"
        )


def _body(node: Node, defined: set[Value], around: set[Value]) -> None:
    """Check the graph inside a node; the message names the nodes that it is inside of."""
    body = node.body
    if (body is not None) != node.op.takes_body:
        raise _Broken(f"`{node.op.name}` {'needs a' if node.op.takes_body else 'takes no'} body")
    if body is None:
        return
    try:
        if body.variables or body.updates:
            raise _Broken("a body has no variables and no updates")
        _graph(body, defined | around)
    except _Broken as broken:
        place = " ".join(part for part in (node.origin.source, node.origin.path) if part)
        inside = _Broken(f"in the body of `{node.op.name}`{place and f' ({place})'}: {broken}")
        inside.node = broken.node
        raise inside from None
