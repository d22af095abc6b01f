"""Mistakes of two operands that do not fit each other: their descriptions, and help."""

from __future__ import annotations

from typing import Any, NoReturn

from nnlang import syntax

from .context import Context
from .values import Tensor, describe, shape_text


def operand_mismatch(
    context: Context,
    code: str,
    message: str,
    node: syntax.Binary,
    left: Tensor,
    right: Tensor,
    helps: list[str],
    dtype: bool = False,
) -> NoReturn:
    """A mistake of both operands: each is labelled with its shape and where it came from."""
    first, second = _described(context, [(node.left, left), (node.right, right)], dtype)
    if context.user_span(node.span) is not node.span:
        sign = node.operator
        notes = [f"left of `{sign}`: {first.strip()}", f"right of `{sign}`: {second.strip()}"]
        context.fail(code, message, node.span, notes=notes, helps=helps)
    context.fail(
        code, message, node.left.span, first, others=[(node.right.span, second)], helps=helps
    )


def _described(
    context: Context, parts: list[tuple[syntax.Expression, Tensor]], dtype: bool
) -> list[str]:
    """`body: [N, 56, 56, 256]   from `conv_norm(4 * width, 1)`, line 11`, with the origins below
    each other.
    """
    shapes = []
    for part, tensor in parts:
        name = f"{part.text}: " if isinstance(part, syntax.Name) else ""
        shapes.append(name + (describe(tensor) if dtype else shape_text(tensor.shape)))
    width = max(len(text) for text in shapes)
    found = []
    for text, (part, tensor) in zip(shapes, parts, strict=True):
        origin = context.origin(tensor)
        known = tensor.span == part.span  # then the origin is the text that the label marks
        found.append(text if known or not origin else f"{text:<{width}}   {origin}")
    return found


def shape_help(context: Context, node: syntax.Binary, left: Tensor, right: Tensor) -> list[str]:
    """What to type to make two shapes equal, where there is something."""
    pairs = ((node.left, left, node.right, right), (node.right, right, node.left, left))
    for _, made, _, other in pairs:
        if made.before == other.shape and _is_plain_name(other) and made.text.endswith(")"):
            return [f"project the shortcut: `{other.text} -> {made.text}`"]
    for _, made, other_node, other in pairs:
        name = _operand_name(other_node, other)
        layer = _projection(made.shape, other.shape)
        if name and layer and (made.before is not None or _is_plain_name(other)):
            return [f"project one side: `{name} -> {layer}`"]
    a, b = left.shape, right.shape
    if len(a) != len(b):
        return [
            "shapes meet from the right: each pair of dimensions must be equal, or one of them 1",
            *_axis_help(node, left, right),
        ]
    return ["each pair of dimensions must be equal, or one of them 1"]


def _is_plain_name(tensor: Tensor) -> bool:
    """Whether a tensor is what a name stands for, not what a call gave."""
    return tensor.before is None and tensor.text.isidentifier()


def _operand_name(node: syntax.Expression, tensor: Tensor) -> str:
    if isinstance(node, syntax.Name):
        return node.text
    return tensor.text if _is_plain_name(tensor) else ""


def _projection(wanted: tuple[Any, ...], found: tuple[Any, ...]) -> str:
    """The layer that brings a shape to another one: `conv(256, 1)` of an image, `dense(256)` of
    vectors.
    """
    if len(wanted) != len(found) or len(wanted) < 2 or not isinstance(wanted[-1], int):
        return ""
    if wanted[:-1] == found[:-1]:
        return f"conv({wanted[-1]}, 1)" if len(wanted) == 4 else f"dense({wanted[-1]})"
    sizes = [*wanted[1:3], *found[1:3]]
    if (
        len(wanted) != 4
        or wanted[0] != found[0]
        or not all(isinstance(size, int) for size in sizes)
    ):
        return ""
    strides = {-(-b // a) for a, b in zip(wanted[1:3], found[1:3], strict=True) if a > 0}
    stride = strides.pop() if len(strides) == 1 else 1
    if stride < 2 or any(
        -(-b // stride) != a for a, b in zip(wanted[1:3], found[1:3], strict=True)
    ):
        return ""
    return f"conv({wanted[-1]}, 1, stride = {stride})"


def _axis_help(node: syntax.Binary, left: Tensor, right: Tensor) -> list[str]:
    """[N] beside [N, 1]: the axis that is missing."""
    for part, small, large in ((node.left, left, right), (node.right, right, left)):
        if (*small.shape, 1) == large.shape and isinstance(part, syntax.Name):
            whole = ", ".join(str(dim) for dim in large.shape)
            return [f"give `{part.text}` the last axis: `reshape({part.text}, ({whole}))`"]
    return []
