"""Two operators with bodies, for tests: they stand for the operators of loops.

`call` runs its body once, `repeat` applies it to its own result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nnc.autodiff import backward
from nnc.builder import Builder
from nnc.graph import Graph, Node, Type, Value
from nnc.ops.base import (
    Array,
    Attribute,
    Context,
    Cost,
    Operator,
    Sample,
    ShapeError,
    cost_of_graph,
    schema,
)
from nnc.slopes import Flow


def gradient_body(
    body: Graph, needed: Sequence[bool], given: Sequence[bool], masked: bool
) -> tuple[Graph, list[bool]]:
    """The body of the gradients of the inputs, from the inputs and the given gradients of the
    outputs; and which of the inputs have one.
    """
    builder = Builder.over(body)
    seeds = [
        (value, builder.input(f"gradient of {name}", value.type))
        for (name, value), flows in zip(body.outputs, given, strict=True)
        if flows
    ]
    wrt = [item.value for item, asked in zip(body.inputs, needed, strict=True) if asked]
    made = dict(zip(wrt, backward(builder, body.nodes, seeds, wrt, masked), strict=True))
    found = [(item.name, made.get(item.value)) for item in body.inputs]
    outputs = [(f"to {name}", value) for name, value in found if value is not None]
    return builder.graph(outputs), [value is not None for _, value in found]


class Call(Operator):
    """The outputs of its body, whose inputs are the operands."""

    name = "call"
    operands = ("*values",)
    attributes = schema()
    traits = frozenset({"pure"})
    kernel = None
    takes_body = True

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        body: Graph = attributes["body"]
        if list(operands) != [item.value.type for item in body.inputs]:
            raise ShapeError(f"`{self.name}` has other operands than its body has inputs")
        return tuple(value.type for _, value in body.outputs)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        run: Callable[[Sequence[Array]], tuple[Array, ...]] = attributes["body"]
        return run(operands)

    def guarded_vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
        flow: Flow,
    ) -> list[Value | None]:
        assert node.body is not None
        flowing = [gradient for gradient in gradients if gradient is not None]
        given = [gradient is not None for gradient in gradients]
        body, has = gradient_body(node.body, needed, given, flow.masked)
        made = iter(builder.emit_all("call", (*node.operands, *flowing), body))
        return [next(made) if exists else None for exists in has]

    vjp = guarded_vjp

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of_graph(attributes["body"])

    def samples(self) -> list[Sample]:
        return []


class Repeat(Call):
    """Its body applied `times` times to its own result; the other operands stay the same."""

    name = "repeat"
    operands = ("x", "*captured")
    attributes = schema(times=Attribute("int", required=True))

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        types = super().infer(operands, attributes)
        if list(types) != [operands[0]]:
            raise ShapeError("`repeat` needs a body that gives what it takes")
        return types

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        x, *captured = operands
        for _ in range(attributes["times"]):
            (x,) = attributes["body"]([x, *captured])
        return (x,)

    def guarded_vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
        flow: Flow,
    ) -> list[Value | None]:
        assert node.body is not None
        (gradient,) = gradients
        body, has = gradient_body(node.body, [True, *needed[1:]], [True], flow.masked)
        start, *captured = node.operands
        sums: list[Value | None] = [None] * len(captured)
        for before in reversed(range(node.attributes["times"])):
            (x,) = builder.emit_all("repeat", node.operands, node.body, times=before)
            assert gradient is not None and x.type == start.type
            made = iter(builder.emit_all("call", (x, *captured, gradient), body))
            found = [next(made) if exists else None for exists in has]
            gradient = found[0]
            for index, part in enumerate(found[1:]):
                total = sums[index]
                both = total is not None and part is not None
                sums[index] = builder.emit("add", total, part) if both else part  # type: ignore[arg-type]
        return [gradient, *sums]

    vjp = guarded_vjp

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        once, times = cost_of_graph(attributes["body"]), attributes["times"]
        return Cost(once.flops * times, once.bytes * times)
