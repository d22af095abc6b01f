"""Simplifications of shapes and element types: views, casts, broadcasts, transposes, reductions
over nothing, and what may come before a larger image is made.

Each rule takes a node over values of the new graph and gives what may stand in its place, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..dims import Dim, product
from ..dtypes import FLOATS, NARROW, kind_of
from ..graph import Node, Type, Value
from ..ops.base import Operator, ShapeError
from .rewriter import ANY, Guarded, Makers, Rewriter, Rule

Shape = tuple[Dim, ...]
_REPEATS = ("broadcast_to", "reshape")

# Conversions that lose nothing, so that one before another cast can be left out.
_LOSSLESS = {
    "bool": ("u8", "i32", "i64", "f32", "f64"),
    "u8": ("i32", "i64", "f32", "f64"),
    "bf16": FLOATS,
    "i32": ("i64", "f64"),
    "f32": ("f64",),
}


def without_leading_ones(shape: Shape) -> Shape:
    begin = next((i for i, dim in enumerate(shape) if dim != 1), len(shape))
    return shape[begin:]


def same_value(node: Node, rewriter: Rewriter) -> Value | None:
    """An operand that the node does not change: a reshape to its own shape, a sum over no axes, a
    full slice.
    """
    return node.operands[0] if node.operands[0].type == node.result.type else None


def single_operand(node: Node, rewriter: Rewriter) -> Value | None:
    """Concat of one value."""
    return node.operands[0] if len(node.operands) == 1 else None


def full_slice(node: Node, rewriter: Rewriter) -> Value | None:
    if all(step == 1 for step in node.attributes["step"]):
        return same_value(node, rewriter)
    return None


def double_reshape(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.producer(node.operands[0], "reshape")
    if inner is None:
        return None
    return rewriter.emit("reshape", inner.operands[0], shape=node.result.shape)


def reshape_of_broadcast(node: Node, rewriter: Rewriter) -> Value | None:
    """One number repeated stays one number repeated."""
    inner = rewriter.producer(node.operands[0], "broadcast_to")
    if inner is None or product(inner.operands[0].shape) != 1:
        return None
    number = rewriter.shaped(inner.operands[0], Type(node.result.dtype, ()))
    return rewriter.emit("broadcast_to", number, shape=node.result.shape)


def double_broadcast(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.producer(node.operands[0], "broadcast_to")
    if inner is None:
        inner = rewriter.producer(node.operands[0], "reshape")
        if inner is None:
            return None
        source, view = inner.operands[0].shape, inner.result.shape
        if without_leading_ones(source) != without_leading_ones(view):
            return None
        if len(source) > len(node.result.shape):
            return None
    return rewriter.emit("broadcast_to", inner.operands[0], shape=node.result.shape)


def double_cast(node: Node, rewriter: Rewriter) -> Value | None:
    inner = rewriter.producer(node.operands[0], "cast")
    if inner is None:
        return None
    (source,) = inner.operands
    if inner.result.dtype not in _LOSSLESS.get(source.dtype, ()):
        return None
    if source.dtype == node.result.dtype:
        return source
    return rewriter.emit("cast", source, dtype=node.result.dtype)


def gather_of_cast(node: Node, rewriter: Rewriter) -> Value | None:
    """Rows of a table that is stored narrow are converted after they are taken."""
    table, ids = node.operands
    inner = rewriter.producer(table, "cast")
    if inner is None or inner.operands[0].dtype not in NARROW or table.dtype not in FLOATS:
        return None
    rows = rewriter.emit("gather", inner.operands[0], ids)
    return rewriter.emit("cast", rows, dtype=table.dtype)


def double_transpose(node: Node, rewriter: Rewriter) -> Value | None:
    outer = node.attributes["permutation"]
    inner = rewriter.producer(node.operands[0], "transpose")
    if inner is None:
        return None
    permutation = tuple(inner.attributes["permutation"][axis] for axis in outer)
    return rewriter.emit("transpose", inner.operands[0], permutation=permutation)


def idle_transpose(node: Node, rewriter: Rewriter) -> Value | None:
    """Only axes of size 1 move: a reshape."""
    shape = node.operands[0].shape
    moving = [axis for axis in node.attributes["permutation"] if shape[axis] != 1]
    if moving != sorted(moving):
        return None
    return rewriter.shaped(node.operands[0], node.result.type)


def implicit_broadcast(node: Node, rewriter: Rewriter) -> Value | None:
    """Elementwise operators broadcast by themselves: use what was broadcast, where another operand
    gives the shape.
    """
    operands = list(node.operands)
    changed = False
    for index, operand in enumerate(node.operands):
        inner = rewriter.producer(operand)
        if inner is None or inner.op.name not in _REPEATS:
            continue
        (source,) = inner.operands
        if inner.op.name == "reshape" and (
            without_leading_ones(source.shape) != without_leading_ones(operand.shape)
        ):
            continue
        trial = [*operands[:index], source, *operands[index + 1 :]]
        if _shape_of(node, trial) == node.result.shape:
            operands, changed = trial, True
    return rewriter.emit(node.op.name, *operands, **node.attributes) if changed else None


def late_broadcast(node: Node, rewriter: Rewriter) -> Value | None:
    """Compute before repeating, where every operand is repeated or a number."""
    sources = []
    for operand in node.operands:
        inner = rewriter.producer(operand, "broadcast_to")
        sources.append(inner.operands[0] if inner else operand)
    if _shape_of(node, sources) == node.result.shape:
        return None
    small = rewriter.emit(node.op.name, *sources, **node.attributes)
    return rewriter.emit("broadcast_to", small, shape=node.result.shape)


def _on_repeated(op: Operator, makers: Makers) -> bool:
    """Where `implicit_broadcast` may find something."""
    repeated = any(maker in _REPEATS for maker in makers)
    return "elementwise" in op.traits and len(makers) >= 2 and repeated


def _on_broadcast(op: Operator, makers: Makers) -> bool:
    """Where `late_broadcast` may find something."""
    return "elementwise" in op.traits and "repeats" not in op.traits and "broadcast_to" in makers


def _shape_of(node: Node, operands: Sequence[Value]) -> Shape | None:
    try:
        (type,) = node.op.infer([operand.type for operand in operands], node.attributes)
    except ShapeError:
        return None
    return type.shape


def constant_condition(node: Node, rewriter: Rewriter) -> Value | None:
    """Select by a constant takes one side."""
    condition = rewriter.number(node.operands[0])
    if condition is None:
        return None
    chosen = node.operands[1 if condition else 2]
    return chosen if chosen.type == node.result.type else rewriter.shaped(chosen, node.result.type)


def uniform_constant(node: Node, rewriter: Rewriter) -> Value | None:
    """An array of equal numbers is one number repeated."""
    array = node.attributes["value"]
    if array.size <= 1:
        return None
    first = array.reshape(-1)[:1]
    if array.reshape(-1)[-1:].tobytes() != first.tobytes() or not (array == first[0]).all():
        return None
    if kind_of(array.dtype) == "f" and first[0] == 0 and array.tobytes().count(0) != array.nbytes:
        return None
    number = rewriter.emit("constant", value=first[0].reshape(()))
    return rewriter.emit("broadcast_to", number, shape=array.shape)


def reduce_single(node: Node, rewriter: Rewriter) -> Value | None:
    """Over axes of size 1: a reshape."""
    shape = node.operands[0].shape
    if any(shape[axis] != 1 for axis in node.attributes["axes"]):
        return None
    return rewriter.shaped(node.operands[0], node.result.type)


def reduce_broadcast(node: Node, rewriter: Rewriter) -> Value | None:
    """Over repeated axes alone: the value itself, times their count for a sum."""
    inner = rewriter.producer(node.operands[0], "broadcast_to")
    if inner is None:
        return None
    (source,) = inner.operands
    shape, axes = inner.result.shape, node.attributes["axes"]
    full = (1,) * (len(shape) - len(source.shape)) + source.shape
    count = product(tuple(shape[axis] for axis in axes))
    if any(full[axis] != 1 for axis in axes) or count == 0:
        return None
    kept = full
    if not node.attributes["keepdims"]:
        kept = tuple(dim for axis, dim in enumerate(full) if axis not in axes)
    value = source if source.shape == kept else rewriter.emit("reshape", source, shape=kept)
    if node.op.name == "reduce_sum":
        if isinstance(count, int):
            factor = rewriter.number_like(count, value)
        else:
            factor = rewriter.emit("dimension", value=count, dtype=value.dtype)
        value = rewriter.emit("mul", value, factor)
    if value.shape == node.result.shape:
        return value
    return rewriter.emit("broadcast_to", value, shape=node.result.shape)


def sum_before_unpooling(node: Node, rewriter: Rewriter) -> Value | None:
    """Each gradient of a maximum goes to one pixel, so their sum is that of the smaller image."""
    backward = rewriter.producer(node.operands[0], "max_pool_backward")
    if backward is None or not {1, 2} <= set(node.attributes["axes"]):
        return None
    kernel, padding = backward.attributes["kernel"], backward.attributes["padding"]
    sides = zip(padding, (kernel[0], kernel[0], kernel[1], kernel[1]), strict=True)
    # Then no window lies outside of the image.
    near = all(isinstance(side, int) and side < size for side, size in sides)
    if not near or any(step != 1 for step in backward.attributes["dilation"]):
        return None
    return rewriter.emit(node.op.name, backward.operands[1], **node.attributes)


def mask_before_unpooling(node: Node, rewriter: Rewriter) -> Value | None:
    """Where the pooled image decides which gradients pass, its maxima decide the same for those
    that flow to them. The image need not be kept for it.
    """
    condition, flowing, other = node.operands
    backward = rewriter.producer(flowing, "max_pool_backward")
    compared = rewriter.producer(condition)
    if backward is None or compared is None or compared.op.name not in ("greater", "less"):
        return None
    index, gradient = backward.operands
    pool = rewriter.producer(index, "max_pool_index")
    image, bound = compared.operands
    if pool is None or image is not pool.operands[0]:
        return None
    if rewriter.number(bound) is None or rewriter.number(other) != 0:
        return None
    passes = rewriter.emit(compared.op.name, pool.results[0], bound)
    masked = rewriter.emit("select", passes, gradient, other)
    return rewriter.emit("max_pool_backward", index, masked, **backward.attributes)


def transposed_operand(node: Node, rewriter: Rewriter) -> Value | None:
    """A matmul reads its operands either way."""
    operands, attributes = list(node.operands), dict(node.attributes)
    changed = False
    for index, name in enumerate(("transpose_a", "transpose_b")):
        inner = rewriter.producer(operands[index], "transpose")
        if inner is None:
            continue
        rank = len(inner.result.shape)
        if inner.attributes["permutation"] == (*range(rank - 2), rank - 1, rank - 2):
            operands[index] = inner.operands[0]
            attributes[name] = not attributes[name]
            changed = True
    return rewriter.emit(node.op.name, *operands, **attributes) if changed else None


_REDUCE: tuple[Rule, ...] = (same_value, reduce_single, reduce_broadcast)
_Table = dict[str, tuple[Callable[[Node, Rewriter], "Value | None"], ...]]

RULES: _Table = {
    ANY: (Guarded(implicit_broadcast, _on_repeated), Guarded(late_broadcast, _on_broadcast)),
    "stop_gradient": (same_value,),
    "reshape": (same_value, double_reshape, reshape_of_broadcast),
    "broadcast_to": (same_value, double_broadcast),
    "cast": (same_value, double_cast),
    "gather": (gather_of_cast,),
    "transpose": (double_transpose, idle_transpose),
    "concat": (single_operand,),
    "slice": (full_slice,),
    "pad": (same_value,),
    "resize_nearest": (same_value,),
    "select": (constant_condition, mask_before_unpooling),
    "constant": (uniform_constant,),
    "reduce_sum": (*_REDUCE, sum_before_unpooling),
    "reduce_mean": _REDUCE,
    "reduce_max": _REDUCE,
    "reduce_min": _REDUCE,
    "matmul": (transposed_operand,),
}
