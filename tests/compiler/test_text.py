"""The text form of graphs: printing, reading back, and what is no graph."""

from __future__ import annotations

import numpy as np
import pytest
from nnc.builder import Builder
from nnc.graph import Origin, Type
from nnc.text import TextError, constant_arrays, digest, parse_graph, print_graph

LENET = """\
%0: u8[N,8,8,1] = input image
%1: f32[] = input step clock
%2: f32[3,3,1,4] = parameter conv.weight
%3: f32[4] = state "strange name" frozen
%4: f32[4] = slot conv.m
%5: f32[N,8,8,1] = cast[dtype=f32](%0)  # lenet.nn:3
%6: f32[N,6,6,4] = conv2d[dilation=(1,1)](%5, %2)  # lenet.nn:4 features.conv
%7: f32[] = constant[value=0.1]()
%8: f32[2,2] = constant[value=[[1.0,-2.5],[inf,nan]]]()
%9: bool[2] = constant[value=[true,false]]()
%10: f32[N,6,6,4] = mul(%6, %7)  # - features
%11: f32[N,144] = reshape[shape=(N,144)](%10)
%12: f32[] = dimension[value=3*((N+1)//2), dtype=f32]()
output "a b" = %11
output y = %12
update "strange name" = %3
"""


def test_a_page_reads_back() -> None:
    once = print_graph(parse_graph(LENET))
    assert print_graph(parse_graph(once)) == once
    assert once == LENET.replace("[dilation=(1,1)]", "")


def test_values_are_numbered_in_the_order_of_printing() -> None:
    text = "%7: f32[2] = input x\n%3: f32[2] = neg(%7)\noutput y = %3\n"
    assert print_graph(parse_graph(text)) == text.replace("%7", "%0").replace("%3", "%1")


def test_origins_and_roles_survive() -> None:
    graph = parse_graph(LENET)
    assert [item.role for item in graph.inputs] == ["data", "clock"]
    assert graph.variables[1].trainable is False
    assert graph.nodes[0].origin == Origin("", "lenet.nn:3")
    assert graph.nodes[1].origin == Origin("features.conv", "lenet.nn:4")
    assert graph.nodes[5].origin == Origin("features", "")


def test_big_constants_are_kept_by_digest() -> None:
    builder = Builder()
    array = np.arange(600, dtype=np.float32).reshape(30, 20)
    value = builder.constant(array)
    graph = builder.graph([("y", value)])
    text = print_graph(graph)
    assert f"constant[value=<f32[30,20] {digest(array)}>]()" in text
    again = parse_graph(text, constant_arrays(graph))
    np.testing.assert_array_equal(again.nodes[0].attributes["value"], array)
    with pytest.raises(TextError, match="is not given"):
        parse_graph(text)
    assert "0.0,1.0,2.0" in print_graph(graph, inline_limit=1000)


def test_numbers_keep_every_bit() -> None:
    numbers = np.array([0.1, 1e-30, 3.4e38, -0.0, 1 / 3], np.float32)
    builder = Builder()
    graph = builder.graph([("y", builder.constant(numbers))])
    again = parse_graph(print_graph(graph)).nodes[0].attributes["value"]
    assert again.tobytes() == numbers.tobytes()


def test_variables_take_given_arrays() -> None:
    text = "%0: f32[2] = parameter w\noutput y = %0\n"
    assert parse_graph(text).variables[0].initial.tolist() == [0, 0]
    given = parse_graph(text, {"w": np.ones(2)})
    assert given.variables[0].initial.tolist() == [1, 1]
    assert given.variables[0].initial.dtype == np.float32


def test_empty_arrays_and_shapes() -> None:
    builder = Builder()
    empty = builder.constant(np.zeros((0, 3)))
    graph = builder.graph([("y", builder.emit("reshape", empty, shape=(3, 0)))])
    text = print_graph(graph)
    assert print_graph(parse_graph(text)) == text


def test_dimensions_with_commas() -> None:
    text = "%0: f32[max(H-1,0),W] = input x\noutput y = %0\n"
    graph = parse_graph(text)
    assert isinstance(graph.inputs[0].value.type, Type)
    assert print_graph(graph) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("%0: f32[2] = neg(%1)", "line 1: %1 is not defined"),
        ("%0: f32[2] = input x\n%0: f32[2] = neg(%0)", "line 2: %0 is defined twice"),
        ("%0: f31[2] = input x", "no element type `f31`"),
        ("%0: f32[2] = input x\n%1: f32[2] = conv2d[size=3](%0, %0)", "no attribute `size`"),
        ("%0: f32[2] = parameter", "expected more"),
        ("%0: f32[N] = parameter w", "symbolic shape"),
        ("0: f32[2] = input x", "expected a value"),
        ("%0: f32[2] = input x data extra", "unexpected `extra`"),
        ("output y = %4", "%4 is not defined"),
        ("%0: f32[2 = input x", "no `]`"),
        ("%0: f32[2] = input x\n%1: f32[] = reduce_sum[](%0)", "needs the attribute `axes`"),
    ],
)
def test_what_is_no_graph_is_said_with_its_line(text: str, message: str) -> None:
    with pytest.raises(TextError) as caught:
        parse_graph(text)
    assert message in str(caught.value)
