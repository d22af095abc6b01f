"""Graphs inside nodes: text, verifier, interpreter, passes, cost and gradients go into them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from nnc import interpret, ops
from nnc.autodiff import backward, gradients
from nnc.builder import Builder
from nnc.dims import symbol
from nnc.errors import InternalError
from nnc.fixed_values import fixed_values
from nnc.graph import Graph, Type, Value
from nnc.ops.base import (
    Array,
    Context,
    Cost,
    cost_of_graph,
    cost_of_node,
)
from nnc.passes import PassOptions, common_subexpressions, dead_code, optimize, run_pass
from nnc.rows import Kind, Rows
from nnc.summary import summary
from nnc.text import TextError, constant_arrays, parse_graph, print_graph
from nnc.verify import verify

from .operators_with_bodies import Call, Repeat

CHECKED = PassOptions(verify=True, compare=True)
N = symbol("N")


@pytest.fixture(autouse=True)
def operators(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for made in (Call(), Repeat()):
        monkeypatch.setitem(ops._TABLE, made.name, made)
    yield


NESTED = """\
%0: f32[N,4] = input x
%1: f32[4] = parameter w
%2: f32[N,4] = repeat[times=3](%0, %1) {  # net.nn:7 loop
  %0: f32[N,4] = input x
  %1: f32[4] = input w
  %2: f32[N,4] = mul(%0, %1)  # net.nn:8 loop
  %3: f32[N,4], %4: f32[N,4] = call(%2) {  # net.nn:9 loop.inner
    %0: f32[N,4] = input x
    %1: f32[N,4] = tanh(%0)
    %2: f32[] = constant[value=2.0]()
    %3: f32[N,4] = add(%1, %2)
    output y = %1
    output z = %3
  }
  %5: f32[N,4] = mul(%3, %4)
  output y = %5
}
%3: f32[N,4] = neg(%2)
output y = %3
"""


def nested() -> Graph:
    return parse_graph(NESTED)


def inner(graph: Graph, *path: int) -> Graph:
    """The body of a node, given by the places of the nodes on the way."""
    for place in path:
        body = graph.nodes[place].body
        assert body is not None
        graph = body
    return graph


def names(graph: Graph) -> list[str]:
    return [node.op.name for node in graph.nodes]


def of_body(text: str, head: str = "%0: f32[N,4] = input x", operands: str = "%0") -> Graph:
    """A graph of one `call`, whose body is given without its first input."""
    lines = "\n".join(f"  {line.strip()}" for line in text.strip().splitlines())
    return parse_graph(f"{head}\n%9: f32[N,4] = call({operands}) {{\n{lines}\n}}\noutput y = %9\n")


# ---------------------------------------------------------------- text


def test_text_there_and_back() -> None:
    graph = nested()
    assert print_graph(graph) == NESTED
    loop = graph.nodes[0]
    assert (loop.origin.source, loop.origin.path) == ("net.nn:7", "loop")
    assert names(inner(graph, 0)) == ["mul", "call", "mul"]
    assert names(inner(graph, 0, 1)) == ["tanh", "constant", "add"]


def test_large_constants_of_a_body_go_by_digest() -> None:
    builder = Builder()
    x = builder.input("x", Type("f32", (40,)))
    part = Builder()
    given = part.input("x", Type("f32", (40,)))
    table = np.arange(40, dtype=np.float32)
    body = part.graph([("y", part.emit("add", given, part.constant(table)))])
    (y,) = builder.emit_all("call", (x,), body)
    graph = builder.graph([("y", y)])
    arrays = constant_arrays(graph)
    assert [array.tolist() for array in arrays.values()] == [table.tolist()]
    again = parse_graph(print_graph(graph), arrays)
    assert print_graph(again) == print_graph(graph)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("}\n%3: f32[N,4] = neg(%2)\noutput y = %3\n", "", "ends inside a body"),
        ("output y = %1\n", "output y = %4\n", "line 12: %4 is not defined"),
        ("output y = %3\n", "}\noutput y = %3\n", "line 19"),
        ("(%0, %1) {", "(%0, %1) { {", "unexpected"),
    ],
)
def test_text_that_is_no_graph(old: str, new: str, message: str) -> None:
    with pytest.raises(TextError) as caught:
        parse_graph(NESTED.replace(old, new))
    assert message in str(caught.value)


# ---------------------------------------------------------------- verifier


def with_inner(graph: Graph, path: Sequence[int], body: Graph) -> Graph:
    """The graph with another body at a path."""
    place, *rest = path
    node = graph.nodes[place]
    assert node.body is not None
    made = with_inner(node.body, rest, body) if rest else body
    nodes = [*graph.nodes]
    nodes[place] = replace(node, body=made)
    return replace(graph, nodes=tuple(nodes))


def broken(graph: Graph) -> InternalError:
    with pytest.raises(InternalError) as caught:
        verify(graph, "some_pass")
    return caught.value


def test_verifier_accepts_bodies() -> None:
    verify(nested())


def test_verifier_names_the_way_to_a_node_in_a_body() -> None:
    graph = nested()
    body = inner(graph, 0, 1)
    error = broken(with_inner(graph, [0, 1], replace(body, nodes=body.nodes[::-1])))
    assert error.message.startswith(
        "in the body of `repeat` (net.nn:7 loop): in the body of `call` (net.nn:9 loop.inner): "
        "operand %"
    )
    assert "is used before it is produced" in error.message
    assert error.node == "%1: f32[N,4] = add(%3, %2)"
    assert any("tanh" in line for line in error.lines)


def test_a_body_is_closed() -> None:
    graph = nested()
    body, outer = inner(graph, 0, 1), inner(graph, 0).inputs[0].value
    tanh = body.nodes[0].with_operands((outer,))
    error = broken(with_inner(graph, [0, 1], replace(body, nodes=(tanh, *body.nodes[1:]))))
    assert "what a body captures is an operand" in error.message
    assert "tanh" in error.node
    error = broken(with_inner(graph, [0, 1], replace(body, outputs=(("y", outer),))))
    assert "what a body captures is an operand" in error.message
    assert "call" in error.node


def test_rules_of_bodies() -> None:
    graph = nested()
    loop, negation = graph.nodes
    body = inner(graph, 0)
    error = broken(replace(graph, nodes=(replace(loop, body=None), negation)))
    assert error.message == "`repeat` needs a body"
    error = broken(replace(graph, nodes=(loop, replace(negation, body=body))))
    assert error.message == "`neg` takes no body"
    error = broken(with_inner(graph, [0], replace(body, variables=graph.variables)))
    assert "a body has no variables and no updates" in error.message
    error = broken(with_inner(graph, [0], replace(body, inputs=body.inputs[:1])))
    assert "is used before it is produced" in error.message
    error = broken(with_inner(graph, [0], replace(body, outputs=body.outputs * 2)))
    assert "two outputs are named `y`" in error.message
    error = broken(with_inner(graph, [0], inner(graph, 0, 1)))
    assert error.message == "`repeat` has other operands than its body has inputs"


# ---------------------------------------------------------------- interpreter and cost


@pytest.mark.parametrize("double", [False, True])
def test_interpreter(double: bool) -> None:
    x = np.linspace(-1, 1, 12).reshape(3, 4).astype(np.float32)
    w = np.array([0.5, 1.0, -1.5, 2.0], np.float32)
    outputs, _ = interpret.run(nested(), {"x": x}, {"w": w}, double=double)
    expected = x.astype(np.float64)
    for _ in range(3):
        inside = np.tanh(expected * w)
        expected = inside * (inside + 2)
    assert outputs["y"].dtype == (np.float64 if double else np.float32)
    np.testing.assert_allclose(outputs["y"], -expected, rtol=1e-12 if double else 1e-5)


def test_sizes_and_random_numbers_in_a_body() -> None:
    graph = of_body(
        """
        %0: f32[N,4] = input x
        %1: f32[N,4] = random_uniform[shape=(N,4), stream=7]()
        %2: f32[] = dimension[value=N, dtype=f32]()
        %3: f32[N,4] = mul(%1, %2)
        output y = %3
        """
    )
    verify(graph)
    x = np.zeros((5, 4), np.float32)
    first, second = (
        interpret.run(graph, {"x": x}, context=Context(seed=1, step=step))[0]["y"]
        for step in (1, 2)
    )
    assert (first > 1).any() and not np.array_equal(first, second)


def test_cost_counts_what_the_body_does() -> None:
    graph = nested()
    once = cost_of_graph(inner(graph, 0))
    assert cost_of_node(graph.nodes[0]) == Cost(once.flops * 3, once.bytes * 3)
    inside = cost_of_graph(inner(graph, 0, 1))
    products = [cost_of_node(inner(graph, 0).nodes[place]) for place in (0, 2)]
    assert once.flops == inside.flops + products[0].flops + products[1].flops
    (row, *_) = summary(graph)
    assert (row["path"], row["flops"]) == ("loop", str(once.flops * 3))


# ---------------------------------------------------------------- passes


def test_common_subexpressions_in_a_body() -> None:
    graph = of_body(
        """
        %0: f32[N,4] = input x
        %1: f32[N,4] = tanh(%0)
        %2: f32[N,4] = tanh(%0)
        %3: f32[N,4] = mul(%1, %2)
        output y = %3
        """
    )
    after = run_pass(common_subexpressions, graph, CHECKED)
    assert names(inner(after, 0)) == ["tanh", "mul"]


SAME = """
    %0: f32[N,4] = input x
    %1: f32[] = constant[value=2.0]()
    %2: f32[N,4] = tanh(%0)
    %3: f32[N,4] = mul(%2, %1)
    output y = %3
"""


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (("mul(%2, %1)", "mul(%1, %2)"), 1),  # the order does not matter
        (("output y", "output z"), 1),  # nor does the name
        (("2.0", "3.0"), 2),
        (("tanh", "exp"), 2),
        (("output y = %3", "output y = %2"), 2),
    ],
)
def test_nodes_with_bodies_are_compared(change: tuple[str, str], count: int) -> None:
    bodies = [SAME, SAME.replace(*change)]
    calls = "".join(
        f"%{place}: f32[N,4] = call(%0) {{{body}}}\n" for place, body in enumerate(bodies, 1)
    )
    graph = parse_graph(
        f"%0: f32[N,4] = input x\n{calls}%3: f32[N,4] = add(%1, %2)\noutput y = %3\n"
    )
    after = run_pass(common_subexpressions, graph, CHECKED)
    assert names(after).count("call") == count


def test_dead_code_in_a_body() -> None:
    graph = nested()
    body = inner(graph, 0, 1)
    used = replace(body, outputs=(("y", body.outputs[0][1]), ("z", body.outputs[0][1])))
    graph = with_inner(graph, [0, 1], used)
    after = run_pass(dead_code, graph, CHECKED)
    assert names(inner(after, 0, 1)) == ["tanh"]
    assert [item.name for item in inner(after, 0).inputs] == ["x", "w"]  # the interface stays


def test_a_node_with_a_body_is_dropped_where_nothing_uses_it() -> None:
    graph = nested()
    after = run_pass(dead_code, replace(graph, outputs=(("y", graph.inputs[0].value),)), CHECKED)
    assert after.nodes == ()


def test_rewriting_in_a_body() -> None:
    graph = of_body(
        """
        %0: f32[N,4] = input x
        %1: f32[] = constant[value=1.0]()
        %2: f32[N,4] = mul(%0, %1)
        %3: f32[] = square(%1)
        %4: f32[N,4] = neg(%2)
        %5: f32[N,4] = neg(%4)
        %6: f32[N,4] = add(%5, %3)
        output y = %6
        """
    )
    after = optimize(graph, options=CHECKED)
    assert names(inner(after, 0)) == ["constant", "add"]
    (_, value) = inner(after, 0).outputs[0]
    assert inner(after, 0).nodes[-1].operands[0] is inner(after, 0).inputs[0].value
    assert value.type == Type("f32", (N, 4))


def test_all_passes_keep_nested_bodies() -> None:
    for inference in (False, True):
        after = optimize(nested(), inference=inference, options=CHECKED)
        assert names(inner(after, 0)) == ["mul", "call", "mul"]


def test_double_goes_into_bodies() -> None:
    after = optimize(nested(), double=True, options=PassOptions(verify=True))
    for graph in (after, inner(after, 0), inner(after, 0, 1)):
        assert {value.dtype for value in graph.values()} == {"f64"}
    x = np.linspace(-1, 1, 8).reshape(2, 4)
    found = interpret.run(after, {"x": x}, {"w": np.ones(4)})[0]["y"]
    wanted = interpret.run(nested(), {"x": x}, {"w": np.ones(4)}, double=True)[0]["y"]
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_what_a_body_hides_is_not_fixed() -> None:
    """A body that draws numbers, or reads the batch's size, is not prepared once."""
    parts = {
        "plain": "%1: f32[4] = tanh(%0)",
        "random": "%1: f32[4] = random_uniform[shape=(4), stream=7]()",
        "sized": "%2: f32[] = dimension[value=N, dtype=f32]()\n%1: f32[4] = mul(%0, %2)",
    }
    fixed, kinds = {}, {}
    for name, line in parts.items():
        graph = parse_graph(
            "%0: f32[N,4] = input x\n%1: f32[4] = parameter w\n%2: f32[4] = call(%1) {\n"
            f"%0: f32[4] = input w\n{line}\noutput y = %1\n}}\noutput y = %2\n"
        )
        verify(graph)
        fixed[name] = graph.nodes[0].result in fixed_values(graph)
        kinds[name] = Rows(graph, N, 0)[graph.nodes[0].result]
    assert fixed == {"plain": True, "random": False, "sized": False}
    assert kinds["plain"] is Kind.FIXED and kinds["sized"] is Kind.MIXED


def test_constants_go_through_a_body() -> None:
    text = """
        %0: f32[] = constant[value=0.5]()
        %1: f32[] = call(%0) {
        %0: f32[] = input x
        LINE
        output y = %1
        }
        output y = %1
    """
    known = parse_graph(text.replace("LINE", "%1: f32[] = square(%0)"))
    drawn = parse_graph(text.replace("LINE", "%1: f32[] = random_uniform[shape=(), stream=7]()"))
    assert names(optimize(known, options=CHECKED)) == ["constant"]
    assert names(optimize(drawn, options=CHECKED)) == ["constant", "call"]


# ---------------------------------------------------------------- gradients


def numeric(graph: Graph, given: dict[str, Array], name: str) -> Array:
    """The gradient of the output `loss` by central differences, in float64."""
    step = 1e-6
    found = np.zeros_like(given[name])
    for place in np.ndindex(found.shape):
        ends = []
        for sign in (1, -1):
            moved = {key: array.copy() for key, array in given.items()}
            moved[name][place] += sign * step
            ends.append(float(interpret.run(graph, moved, double=True)[0]["loss"]))
        found[place] = (ends[0] - ends[1]) / (2 * step)
    return found


def loop_loss(builder: Builder) -> tuple[Value, list[Value]]:
    """A loss of a loop over `tanh(x @ w + b) * x`, and the values that it captures."""
    x = builder.input("x", Type("f32", (2, 3)))
    w = builder.input("w", Type("f32", (3, 3)))
    b = builder.input("b", Type("f32", (3,)))
    part = Builder()
    carry, weight, bias = (part.input(f"i{n}", value.type) for n, value in enumerate((x, w, b)))
    made = part.emit("tanh", part.emit("add", part.emit("matmul", carry, weight), bias))
    body = part.graph([("x", part.emit("mul", made, carry))])
    (y,) = builder.emit_all("repeat", (x, w, b), body, times=3)
    return builder.emit("reduce_sum", builder.emit("square", y), axes=(0, 1)), [x, w, b]


def given_arrays() -> dict[str, Array]:
    generator = np.random.default_rng(3)
    shapes = {"x": (2, 3), "w": (3, 3), "b": (3,)}
    return {name: generator.standard_normal(shape) for name, shape in shapes.items()}


def test_gradients_through_a_body() -> None:
    builder = Builder()
    loss, wrt = loop_loss(builder)
    made = gradients(builder, loss, wrt)
    assert all(value is not None for value in made)
    outputs = [("loss", loss), *zip("xwb", (v for v in made if v is not None), strict=True)]
    graph = builder.graph(outputs)
    verify(graph)
    given = given_arrays()
    for checked in (graph, optimize(graph, options=CHECKED)):
        found = interpret.run(checked, given, double=True)[0]
        for name in "xwb":
            np.testing.assert_allclose(found[name], numeric(graph, given, name), rtol=1e-5)


def test_second_gradients_through_a_body() -> None:
    builder = Builder()
    loss, (x, w, _) = loop_loss(builder)
    (slope,) = gradients(builder, loss, [w])
    assert slope is not None
    squares = builder.emit("reduce_sum", builder.emit("square", slope), axes=(0, 1))
    (made,) = gradients(builder, squares, [x])
    assert made is not None
    graph = builder.graph([("loss", squares), ("x", made)])
    verify(graph)
    given = given_arrays()
    found = interpret.run(graph, given, double=True)[0]["x"]
    np.testing.assert_allclose(found, numeric(graph, given, "x"), rtol=1e-4)


def test_only_what_is_needed_is_differentiated() -> None:
    builder = Builder()
    loss, (_, _, b) = loop_loss(builder)
    before = len(builder.nodes)
    (made,) = gradients(builder, loss, [b])
    assert made is not None
    bodies = [node.body for node in builder.nodes[before:] if node.op.name == "call"]
    assert bodies and all(body is not None and len(body.outputs) == 2 for body in bodies)


def test_backward_adds_seeds_of_one_value() -> None:
    builder = Builder()
    x = builder.input("x", Type("f32", ()))
    y = builder.emit("square", x)
    nodes = list(builder.nodes)
    seeds = [(y, builder.constant(number)) for number in (2.0, 5.0)]
    seeds += [(x, builder.constant(10.0)), (builder.constant(1.0), builder.constant(1.0))]
    (made,) = backward(builder, nodes, seeds, [x])
    assert made is not None
    found = interpret.run(builder.graph([("x", made)]), {"x": np.float32(3)})[0]["x"]
    assert found == 7 * 2 * 3 + 10


MASK = """\
  %1: f32[] = constant[value=100.0]()
  %2: bool[4] = less(%0, %1)
  %3: f32[] = constant[value=0.0]()
"""


@pytest.mark.parametrize(
    "text",
    [
        # The choice is in a body, the infinite slope before it.
        "%1: f32[4] = exp(%0)\n%2: f32[4] = call(%1) {\n  %0: f32[4] = input a\n"
        f"{MASK}  %4: f32[4] = select(%2, %0, %3)\n  output y = %4\n}}\n",
        # The infinite slope is in a body, the choice behind it.
        "%1: f32[4] = call(%0) {\n  %0: f32[4] = input a\n  %1: f32[4] = exp(%0)\n"
        "  output y = %1\n}\n%3: f32[] = constant[value=100.0]()\n"
        "%4: bool[4] = less(%1, %3)\n%5: f32[] = constant[value=0.0]()\n"
        "%2: f32[4] = select(%4, %1, %5)\n",
    ],
)
def test_a_zero_stays_zero_through_a_body(text: str) -> None:
    graph = parse_graph(f"%0: f32[4] = input x\n{text}output y = %2\n")
    builder = Builder.over(graph)
    loss = builder.emit("reduce_sum", graph.outputs[0][1], axes=(0,))
    (made,) = gradients(builder, loss, [graph.inputs[0].value])
    assert made is not None
    x = np.array([0, 1, 1000, 2], np.float32)
    found = interpret.run(builder.graph([("x", made)]), {"x": x})[0]["x"]
    np.testing.assert_allclose(found, [1, np.exp(1), 0, np.exp(2)], rtol=1e-6)
