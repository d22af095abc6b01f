"""Reverse-mode differentiation.

`gradients` takes a builder, a scalar loss among the results of its nodes and values to
differentiate with respect to; it appends the nodes of the gradients. `backward` does the work, for
the nodes of a graph or of a body, and any gradients to start from. It knows operators by their
`vjp` only, and tells those that ask where a 0 that flows back must stay 0 (`slopes`). Nothing is
built for parts that reach none of the values asked for, nor for parts the loss does not use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .builder import Builder
from .dtypes import FLOATS, NARROW
from .errors import InternalError
from .graph import Node, Origin, Type, Value
from .ops.base import NotDifferentiable
from .slopes import Flow, Slopes

_FLOWING = (*FLOATS, *NARROW)  # the types of values through which gradients flow


def gradient_type(value: Value) -> Type:
    """The type of a value's gradient, which is always of a type to compute in."""
    return Type("f32" if value.dtype in NARROW else value.dtype, value.shape)


class AutodiffError(Exception):
    """A gradient that is needed does not exist: of which operator, why, and where."""

    def __init__(self, operator: str, reason: str, origin: Origin) -> None:
        super().__init__(f"`{operator}` has no gradient: {reason}")
        self.operator = operator
        self.reason = reason
        self.origin = origin


def gradients(builder: Builder, loss: Value, wrt: Sequence[Value]) -> list[Value | None]:
    """The gradient of `loss` for each value of `wrt`; None where the loss does not depend on it."""
    if loss.shape != () or loss.dtype not in FLOATS:
        reason = f"it must be one floating point number, it is {loss.type}"
        raise AutodiffError("loss", reason, builder.origin)
    forward = list(builder.nodes)
    if loss not in _reached(forward, wrt):
        return [None] * len(wrt)
    return backward(builder, forward, [(loss, builder.constant(1.0, loss.dtype))], wrt)


def backward(
    builder: Builder,
    nodes: Sequence[Node],
    seeds: Iterable[tuple[Value, Value]],
    wrt: Sequence[Value],
    masked: bool = False,
) -> list[Value | None]:
    """The gradient for each value of `wrt`, from those of values that `nodes` lead to; None where
    no gradient flows.

    Works on the nodes of a whole graph and on those of a body. `seeds` are values with their
    gradients; those of a value that comes twice are added up. The values of `nodes` must be known
    to the builder, which appends the nodes of the gradients; each keeps the origin of the node that
    it differentiates. `masked`: the seeds may hold a 0 that must stay 0 (`slopes.Flow`).
    """
    origin = builder.origin
    reached = _reached(nodes, wrt)
    pairs = [(value, gradient) for value, gradient in seeds if value in reached]
    slopes = Slopes(nodes, builder.variables, [value for value, _ in pairs] if masked else ())
    table: dict[Value, Value] = {}
    for value, gradient in pairs:
        _add(builder, table, value, gradient)
    wanted = set(wrt)
    for node in reversed(nodes):
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
    reached = {value for value in wrt if value.dtype in _FLOWING}
    for node in forward:
        rule = node.op.vjp
        if isinstance(rule, NotDifferentiable) and rule.zero:
            continue
        if any(operand in reached for operand in node.operands):
            reached.update(result for result in node.results if result.dtype in _FLOWING)
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
        if gradient.type != gradient_type(operand):
            raise InternalError(
                f"the gradient rule of `{node.op.name}` gives {gradient.type} "
                f"for an operand {operand.type}",
                "differentiate",
            )
        _add(builder, table, operand, gradient)


def _add(builder: Builder, table: dict[Value, Value], value: Value, gradient: Value) -> None:
    before = table.get(value)
    table[value] = gradient if before is None else builder.emit("add", before, gradient)
