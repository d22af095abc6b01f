"""Indexing: parts of lists at once, parts of tensors as `slice` nodes."""

from __future__ import annotations

from typing import Any

from nnlang import syntax

from .context import Context
from .values import Tensor, describe, is_dim, is_integer

IndexPart = Any  # an evaluated expression, a Spread, a NewAxis, or a `slice` of evaluated parts


def index(context: Context, node: syntax.Index, value: Any, parts: list[IndexPart]) -> Any:
    if isinstance(value, Tensor):
        return _index_tensor(context, node, value, parts)
    if not isinstance(value, (list, tuple)):
        context.fail(
            "N0306", "only tensors, lists and tuples have parts", node.value.span, describe(value)
        )
    if len(parts) != 1:
        context.fail("N0305", "a list takes one index", node.span, f"{len(parts)} indices")
    part = parts[0]
    if isinstance(part, syntax.NewAxis):
        helps = ["write the list in square brackets: `[items]`"]
        context.fail(
            "N0305", "only a tensor gets a new axis", part.span, describe(value), helps=helps
        )
    if isinstance(part, slice):
        ends = (part.start, part.stop, part.step)
        if not all(end is None or is_integer(end) for end in ends) or part.step == 0:
            context.fail(
                "N0305", "the ends of a slice of a list must be known integers", node.items[0].span
            )
        return value[part]
    if not is_integer(part):
        context.fail("N0305", "an index must be an integer", node.items[0].span, describe(part))
    if not -len(value) <= part < len(value):
        context.fail(
            "N0305",
            f"index {part} is outside a list of {len(value)}",
            node.items[0].span,
            describe(value),
        )
    return value[part]


def _index_tensor(
    context: Context, node: syntax.Index, value: Tensor, parts: list[IndexPart]
) -> Tensor:
    rank = len(value.shape)
    given = sum(not isinstance(part, (syntax.Spread, syntax.NewAxis)) for part in parts)
    spreads = sum(isinstance(part, syntax.Spread) for part in parts)
    if given > rank or spreads > 1:
        context.fail(
            "N0305",
            f"{given} indices for {rank} axes",
            node.span,
            notes=[f"`{context.snippet(node.value.span)}` is {context.provenance(value)}"],
        )
    axes: list[tuple[IndexPart, syntax.Span]] = []
    for part, item in zip(parts, node.items, strict=True):
        if isinstance(part, syntax.Spread):
            axes += [(slice(None), item.span)] * (rank - given)
        else:
            axes.append((part, item.span))
    old = sum(not isinstance(part, syntax.NewAxis) for part, _ in axes)
    axes += [(slice(None), node.span)] * (rank - old)
    made = _cut(context, node, value, axes)
    sizes = iter(made.shape)
    kept: list[Any] = []
    for part, _ in axes:
        size = 1 if isinstance(part, syntax.NewAxis) else next(sizes)
        if isinstance(part, (slice, syntax.NewAxis)):
            kept.append(size)
    if len(axes) > rank or len(kept) != rank:
        made = context.emit("reshape", made, span=node.span, shown="[ ]", shape=tuple(kept))
    if made is value:
        return value
    return Tensor(made.value, node.span, context.snippet(node.span))


def _cut(
    context: Context, node: syntax.Index, value: Tensor, axes: list[tuple[IndexPart, syntax.Span]]
) -> Tensor:
    """The part of a tensor that the indices keep, with all its axes."""
    own = [(part, span) for part, span in axes if not isinstance(part, syntax.NewAxis)]
    begin, end, step = [], [], []
    for (part, span), size in zip(own, value.shape, strict=True):
        if isinstance(part, slice):
            first, last, stride = _extent(context, part, size, span)
        else:
            first = _position(context, part, size, span, value)
            last, stride = first + 1, 1
        begin.append(first)
        end.append(last)
        step.append(stride)
    if all(isinstance(part, slice) and part == slice(None) for part, _ in own):
        return value
    cut = {"begin": tuple(begin), "end": tuple(end), "step": tuple(step)}
    return context.emit("slice", value, span=node.span, shown="[ ]", **cut)


def _position(context: Context, part: Any, size: Any, span: syntax.Span, value: Tensor) -> Any:
    if not is_dim(part):
        context.fail("N0305", "an index must be an integer or a slice", span, describe(part))
    negative = isinstance(part, int) and part < 0
    position = size + part if negative else part
    if isinstance(size, int) and isinstance(position, int) and not 0 <= position < size:
        context.fail(
            "N0305",
            f"index {part} is outside an axis of {size}",
            span,
            notes=[f"the tensor is {context.provenance(value)}"],
        )
    return position


def _extent(context: Context, part: slice, size: Any, span: syntax.Span) -> tuple[Any, Any, int]:
    """Where a slice begins, where it ends (excluded, -1 is before the first) and its step."""
    stride = 1 if part.step is None else part.step
    if not is_integer(stride) or stride == 0:
        context.fail(
            "N0305",
            "the step of a slice must be a whole number other than 0",
            span,
            describe(stride),
        )
    backwards = stride < 0
    lowest, highest = (-1, size - 1) if backwards else (0, size)
    defaults = (highest, lowest) if backwards else (lowest, highest)
    bounds = []
    for bound, default in zip((part.start, part.stop), defaults, strict=True):
        if bound is None:
            bounds.append(default)
            continue
        if not is_dim(bound):
            context.fail("N0305", "the ends of a slice must be integers", span, describe(bound))
        position = size + bound if isinstance(bound, int) and bound < 0 else bound
        if isinstance(position, int):
            position = max(position, lowest)
            if isinstance(highest, int):
                position = min(position, highest)
        bounds.append(position)
    return bounds[0], bounds[1], stride
