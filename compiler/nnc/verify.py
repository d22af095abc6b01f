"""The rules a graph must keep, checked: `verify` gives nothing or raises InternalError.

One producer for each value, producers before users, ids unique, types equal to what `infer` gives,
attributes complete, names unique, variables of a known kind whose arrays fit, and updates that name
a variable and have its type.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .errors import InternalError
from .graph import DTYPES, Graph, Node, Value
from .ops.base import ShapeError
from .text import VARIABLE_KINDS, lines_around, type_text

ROLES = ("data", "clock")


def verify(graph: Graph, pass_name: str = "") -> None:
    """Raise InternalError at the first broken rule. `pass_name`: the pass that made the graph."""

    def fail(message: str, node: Node | None = None) -> InternalError:
        line, around = lines_around(graph, node)
        return InternalError(message, pass_name, line, around)

    try:
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
    except _Broken as broken:
        raise fail(str(broken)) from None
    for node in graph.nodes:
        try:
            _node(node, defined)
        except _Broken as broken:
            raise fail(str(broken), node) from None
        defined.update(node.results)
    for value in graph.roots():
        if value not in defined:
            raise fail(f"an output or update uses {value!r}, which nothing produces")


class _Broken(Exception):
    """A broken rule; `verify` adds where."""


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


def _node(node: Node, defined: set[Value]) -> None:
    for operand in node.operands:
        if operand not in defined:
            raise _Broken(f"operand {operand!r} is used before it is produced")
    try:
        attributes = node.op.check_attributes(node.attributes)
        types = tuple(node.op.infer([operand.type for operand in node.operands], attributes))
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
