"""The verifier catches every broken rule, and names the node with the graph around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from nnc.errors import InternalError
from nnc.graph import Graph, Input, Type, Value, Variable
from nnc.text import parse_graph
from nnc.verify import verify

GOOD = """\
%0: f32[N,4] = input x
%1: f32[] = input step clock
%2: f32[4,3] = parameter w
%3: f32[N,3] = matmul(%0, %2)  # net.nn:4 dense
%4: f32[N,3] = tanh(%3)
%5: f32[4,3] = neg(%2)
output y = %4
update w = %5
"""


def good() -> Graph:
    graph = parse_graph(GOOD)
    verify(graph)
    return graph


def expect(graph: Graph, message: str) -> InternalError:
    with pytest.raises(InternalError) as caught:
        verify(graph, "some_pass")
    assert message in caught.value.message
    assert "some_pass" in str(caught.value)
    assert len(caught.value.lines) <= 10
    return caught.value


def test_order() -> None:
    graph = good()
    error = expect(replace(graph, nodes=graph.nodes[::-1]), "is used before it is produced")
    assert "tanh" in error.node
    assert any("matmul" in line for line in error.lines)


def test_one_producer() -> None:
    graph = good()
    expect(replace(graph, nodes=(*graph.nodes, graph.nodes[1])), "has two producers")


def test_unique_ids() -> None:
    graph = good()
    node = graph.nodes[2]
    twin = replace(node, results=(Value(3, node.result.type),))
    updates = (("w", twin.result),)
    expect(
        replace(graph, nodes=(*graph.nodes[:2], twin), updates=updates), "two values have the id"
    )


def test_inferred_types() -> None:
    graph = good()
    wrong = Value(77, Type("f32", (2, 3)))
    node = replace(graph.nodes[1], results=(wrong,))
    broken = replace(graph, nodes=(graph.nodes[0], node, graph.nodes[2]), outputs=(("y", wrong),))
    error = expect(broken, "the types are f32[2,3], not f32[N,3] as inferred")
    assert error.node.startswith("%4: f32[2,3] = tanh")


def test_operands_that_do_not_fit() -> None:
    text = GOOD.replace("matmul(%0, %2)", "matmul(%2, %0)")
    expect(parse_graph(text), "cannot multiply")


def test_element_types_must_be_equal() -> None:
    text = "%0: f32[2] = input x\n%1: f64[2] = input y\n%2: f32[2] = add(%0, %1)\noutput z = %2\n"
    expect(parse_graph(text), "different element types")


def test_attributes_in_normal_form() -> None:
    graph = parse_graph(
        "%0: f32[2,3] = input x\n%1: f32[2] = reduce_sum[axes=(1)](%0)\noutput y = %1\n"
    )
    lists = replace(graph.nodes[0], attributes={"axes": [1], "keepdims": False})
    expect(replace(graph, nodes=(lists,)), "not in its normal form")
    missing = replace(graph.nodes[0], attributes={"axes": (1,)})
    expect(replace(graph, nodes=(missing,)), "lacks the attribute `keepdims`")
    unknown = replace(graph.nodes[0], attributes={"axis": (1,)})
    expect(replace(graph, nodes=(unknown,)), "no attribute `axis`")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("update w = %5", "update v = %5", "which is no variable"),
        ("update w = %5", "update w = %4", "update of `w` is f32[N,3]"),
        ("update w = %5", "update w = %5\nupdate w = %5", "two updates are named `w`"),
        ("output y = %4", "output y = %4\noutput y = %3", "two outputs are named `y`"),
        ("input step clock", "input x", "two inputs are named `x`"),
        ("f32[] = input step clock", "f32[2] = input step clock", "no f32 scalar"),
        ("input step clock", "input step watch", "unknown role `watch`"),
    ],
)
def test_interface(old: str, new: str, message: str) -> None:
    assert old in GOOD
    expect(parse_graph(GOOD.replace(old, new)), message)


def test_variables() -> None:
    graph = good()
    (w,) = graph.variables
    expect(replace(graph, variables=(replace_kind(w, "thing"),)), "unknown kind `thing`")
    short = Variable(w.name, w.kind, w.value, np.zeros((4, 2), np.float32))
    expect(replace(graph, variables=(short,)), "the array of `w`")
    other = Variable(w.name, w.kind, Value(50, w.value.type), w.initial)
    expect(replace(graph, variables=(w, other)), "two variables are named `w`")


def replace_kind(variable: Variable, kind: str) -> Variable:
    return Variable(variable.name, kind, variable.value, variable.initial)


def test_roots_must_be_produced() -> None:
    graph = good()
    stray = Value(99, Type("f32", ()))
    expect(replace(graph, outputs=(("y", stray),)), "which nothing produces")


def test_unknown_element_type() -> None:
    graph = good()
    strange = Input("z", Value(60, Type("f16", ())))
    expect(replace(graph, inputs=(*graph.inputs, strange)), "unknown element type")
