"""Stores parameters in a narrow element type.

Takes the graphs of a net, all of them, since they share its variables, and gives graphs whose
weights are stored narrow. A graph that changes no variable converts them once and computes with
them in their own type: the conversion depends on variables alone, so lowering prepares it. A graph
that trains keeps each weight in full in a slot, the master, computes with that, and stores it
rounded after each update. Operators say which of their operands are weights: a parameter that is
one, in any of the graphs, is stored narrow. All others stay as they are (offsets, what
normalizations learn, states, slots): there are few of them, and their rounding would be seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..dtypes import DTYPES, FLOATS
from ..graph import Graph, Origin, Type, Value, Variable
from .rewriter import Rewriter


def store_parameters(graphs: Mapping[str, Graph], dtype: str) -> dict[str, Graph]:
    """The graphs with every parameter that is a weight stored as `dtype`."""
    names = {name for graph in graphs.values() for name in weight_parameters(graph)}
    taken = {variable.name for graph in graphs.values() for variable in graph.variables}
    masters = {name: free_name(f"{name}.master", taken) for name in sorted(names)}
    return {name: stored(graph, dtype, masters) for name, graph in graphs.items()}


def free_name(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def weight_parameters(graph: Graph) -> set[str]:
    """The parameters that an operator reads as a weight, as they are or moved (transposed, cut)."""
    sources = {
        variable.value: variable.name
        for variable in graph.variables
        if variable.kind == "parameter" and variable.value.dtype in FLOATS
    }
    found = set()
    for node in graph.nodes:
        if "moves" in node.op.traits and node.operands[0] in sources:
            sources[node.result] = sources[node.operands[0]]
        for name, operand in zip(node.op.operands, node.operands, strict=False):
            if name in node.op.weights and operand in sources:
                found.add(sources[operand])
    return found


def stored(graph: Graph, dtype: str, masters: Mapping[str, str]) -> Graph:
    """`masters`: the parameters to store narrow, and the names of their masters."""
    rewriter = Rewriter(graph)
    variables: list[Variable] = []
    slots: list[Variable] = []
    for variable in graph.variables:
        if variable.name not in masters:
            variables.append(variable)
            continue
        value = rewriter.value(Type(dtype, variable.value.shape))
        initial = variable.initial.astype(DTYPES[dtype])
        variables.append(replace(variable, value=value, initial=initial))
        if graph.updates:
            name = masters[variable.name]
            slot = replace(variable, name=name, kind="slot", trainable=False)
            slots.append(replace(slot, master_of=variable.name))
        else:
            wide = variable.value.dtype
            rewriter.replaced[variable.value] = rewriter.emit("cast", value, dtype=wide)
    made = rewriter.run()
    updates: list[tuple[str, Value]] = []
    for name, value in made.updates:
        if name in masters:
            updates.append((masters[name], value))
            maker = rewriter.producer(value)
            rewriter.origin = maker.origin if maker is not None else Origin()
            value = rewriter.emit("cast", value, dtype=dtype)
        updates.append((name, value))
    nodes = tuple(rewriter.nodes)
    return replace(made, variables=(*variables, *slots), nodes=nodes, updates=tuple(updates))
