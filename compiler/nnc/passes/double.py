"""Computes everything in double precision: every f32 becomes f64, of values, constants and
variables.

Takes a graph and gives the same graph over f64. Clock inputs stay f32, as the runtime gives them,
and are cast.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..graph import Graph, Input, Type, Value, Variable, with_body
from .rewriter import Rewriter


def run(graph: Graph) -> Graph:
    rewriter = Rewriter(graph)
    inputs = tuple(_input(item, rewriter) for item in graph.inputs)
    variables = tuple(_variable(variable, rewriter) for variable in graph.variables)
    for node in graph.nodes:
        rewriter.origin = node.origin
        operands = [rewriter.current(value) for value in node.operands]
        attributes = {
            name: _attribute(node.op.attributes[name].kind, value)
            for name, value in node.attributes.items()
        }
        types = node.op.infer([value.type for value in operands], with_body(attributes, node.body))
        if any(type.dtype == "f32" for type in types):  # of integers, as their quotient
            operands = [rewriter.emit("cast", value, dtype="f64") for value in operands]
        made = rewriter.emit_all(node.op.name, operands, node.body, **attributes)
        rewriter.replaced.update(zip(node.results, made, strict=True))
    return replace(rewriter.finish(), inputs=inputs, variables=variables)


def _wide(dtype: str) -> str:
    return "f64" if dtype == "f32" else dtype


def _replacement(value: Value, rewriter: Rewriter) -> Value:
    made = rewriter.value(Type(_wide(value.dtype), value.shape))
    rewriter.replaced[value] = made
    return made


def _input(item: Input, rewriter: Rewriter) -> Input:
    if item.role == "clock":
        rewriter.replaced[item.value] = rewriter.emit("cast", item.value, dtype="f64")
        return item
    return replace(item, value=_replacement(item.value, rewriter))


def _variable(variable: Variable, rewriter: Rewriter) -> Variable:
    initial = variable.initial
    if initial.dtype == np.float32:
        initial = initial.astype(np.float64)
    return replace(variable, value=_replacement(variable.value, rewriter), initial=initial)


def _attribute(kind: str, value: Any) -> Any:
    if kind == "dtype":
        return _wide(value)
    if kind == "array" and value.dtype == np.float32:
        return value.astype(np.float64)
    return value
