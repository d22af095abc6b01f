"""Reverse-mode differentiation.

Takes the nodes of a builder, a scalar loss among their results and values to differentiate with
respect to; appends the nodes of the gradients. It knows operators by their `vjp` only, and tells
those that ask where a 0 that flows back must stay 0 (`slopes`). Nothing is built for parts that
reach none of the values asked for, nor for parts the loss does not use.
"""

from __future__ import annotations

from collections.abc import Sequence

from .errors import InternalError
from .graph import FLOATS, Builder, Node, Origin, Value
from .ops.base import NotDifferentiable
from .slopes import Flow, Slopes


class AutodiffError(Exception):
    """A gradient that is needed does not exist: of which operator, why, and where."""

    def __init__(self, operator: str, reason: str, origin: Origin) -> None:
        super().__init__(f"`{operator}` has no gradient: {reason}")
        self.operator = operator
        self.reason = reason
        self.origin = origin


def gradients(builder: Builder, loss: Value, wrt: Sequence[Value]) -> list[Value | None]:
    """The gradient of `loss` for each value of `wrt`; None where the loss does not depend on it.

    Each node made keeps the origin of the forward node that it differentiates.
    """
    if loss.shape != () or loss.dtype not in FLOATS:
        reason = f"it must be one floating point number, it is {loss.type}"
        raise AutodiffError("loss", reason, builder.origin)
    forward = list(builder.nodes)
    origin = builder.origin
    reached = _reached(forward, wrt)
    slopes = Slopes(forward, builder.variables)
    table: dict[Value, Value] = {}
    if loss in reached:
        table[loss] = builder.constant(1.0, loss.dtype)
    wanted = set(wrt)
    for node in reversed(forward):
        flowing = [table.get(result) for result in node.results]
        if all(gradient is None for gradient in flowing):
            continue
        flow = slopes.flow(node)
        needed = [operand in reached for operand in node.operands]
        if not any(needed):
            continue
        builder.origin = node.origin
        made = _differentiate(builder, node, flowing, needed, flow)
        _accumulate(builder, table, node, made, needed)
        for result in node.results:
            if result not in wanted:
                table.pop(result, None)
    builder.origin = origin
    return [table.get(value) for value in wrt]


def _reached(forward: Sequence[Node], wrt: Sequence[Value]) -> set[Value]:
    """All values through which a change of `wrt` can flow."""
    reached = {value for value in wrt if value.dtype in FLOATS}
    for node in forward:
        rule = node.op.vjp
        if isinstance(rule, NotDifferentiable) and rule.zero:
            continue
        if any(operand in reached for operand in node.operands):
            reached.update(result for result in node.results if result.dtype in FLOATS)
    return reached


def _differentiate(
    builder: Builder, node: Node, flowing: list[Value | None], needed: list[bool], flow: Flow
) -> Sequence[Value | None]:
    rule = node.op.vjp
    if isinstance(rule, NotDifferentiable):
        if rule.zero:
            return [None] * len(node.operands)
        raise AutodiffError(node.op.name, rule.reason, node.origin)
    made: Sequence[Value | None]
    if node.op.guarded_vjp is not None:
        made = node.op.guarded_vjp(builder, node, flowing, needed, flow)
    else:
        made = rule(builder, node, flowing, needed)
    if len(made) != len(node.operands):
        raise InternalError(
            f"the gradient rule of `{node.op.name}` gives {len(made)} values "
            f"for {len(node.operands)} operands",
            "differentiate",
        )
    return made


def _accumulate(
    builder: Builder,
    table: dict[Value, Value],
    node: Node,
    made: Sequence[Value | None],
    needed: Sequence[bool],
) -> None:
    for operand, gradient, wanted in zip(node.operands, made, needed, strict=True):
        if gradient is None or not wanted:
            continue
        if gradient.type != operand.type:
            raise InternalError(
                f"the gradient rule of `{node.op.name}` gives {gradient.type} "
                f"for an operand {operand.type}",
                "differentiate",
            )
        before = table.get(operand)
        table[operand] = gradient if before is None else builder.emit("add", before, gradient)
