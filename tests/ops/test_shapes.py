"""Types: what `infer` gives for symbolic dimensions, and what it says where operands do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nnc.dims import Dim, evaluate, symbol
from nnc.graph import Type
from nnc.ops.base import ShapeError
from nnc.ops.shapes import normalize_axes

from .helpers import call, infer

N, H, W = symbol("N"), symbol("H"), symbol("W")


def f32(*shape: Dim) -> Type:
    return Type("f32", shape)


def cut(begin: Dim, end: Dim, step: int) -> dict[str, Any]:
    return {"begin": (begin,), "end": (end,), "step": (step,)}


def i64(*shape: Dim) -> Type:
    return Type("i64", shape)


def test_broadcasting_of_symbols() -> None:
    assert infer("add", f32(N, 1, H), f32(W, 1)) == (f32(N, W, H),)
    assert infer("add", f32(N + 1, 3), f32(1 + N, 1)) == (f32(N + 1, 3),)
    assert infer("less", f32(N), f32()) == (Type("bool", (N,)),)
    assert infer("div", i64(N), i64()) == (f32(N),)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
def test_symbolic_windows_agree_with_actual_ones(stride: int, dilation: int) -> None:
    attributes: dict[str, Any] = {
        "stride": (stride, 1),
        "padding": (1, 0, 2, 1),
        "dilation": (dilation, 1),
    }
    (general,) = infer("conv2d", f32(N, H, W, 3), f32(3, 2, 3, 8), **attributes)
    for height, width in ((7, 5), (8, 6), (13, 9)):
        x, weight = np.zeros((2, height, width, 3)), np.zeros((3, 2, 3, 8))
        (made,) = call("conv2d", x, weight, **attributes)
        environment = {"N": 2, "H": height, "W": width}
        assert tuple(evaluate(dim, environment) for dim in general.shape) == made.shape
    (data,) = infer(
        "conv2d_backward_data", general, f32(3, 2, 3, 8), shape=(N, H, W, 3), **attributes
    )
    assert data.shape == (N, H, W, 3)
    (weights,) = infer(
        "conv2d_backward_weight", f32(N, H, W, 3), general, kernel=(3, 2), **attributes
    )
    assert weights.shape == (3, 2, 3, 8)


def test_same_padding_of_a_symbolic_image() -> None:
    """Stride 2 on an unknown height: the padding is a dimension, too."""
    from nnc.dims import dim_max

    total = dim_max(((H + 1) // 2 - 1) * 2 + 3 - H, 0)
    padding = (total // 2, total - total // 2, 1, 1)
    (made,) = infer("conv2d", f32(N, H, 9, 3), f32(3, 3, 3, 4), stride=(2, 1), padding=padding)
    for height in range(1, 20):
        assert evaluate(made.shape[1], {"H": height}) == -(-height // 2)


def test_symbolic_slices() -> None:
    (last,) = infer("slice", f32(N, H, 3), begin=(0, H - 1, 0), end=(N, H, 3), step=(1, 1, 1))
    assert last.shape == (N, 1, 3)
    (flipped,) = infer("slice", f32(N), begin=(N - 1,), end=(-1,), step=(-1,))
    assert flipped.shape == (N,)
    (half,) = infer("slice", f32(N), begin=(0,), end=(N,), step=(2,))
    assert half.shape == ((N + 1) // 2,)


def test_reshape_of_symbols() -> None:
    assert infer("reshape", f32(N, H, 4), shape=(N, 4 * H)) == (f32(N, 4 * H),)
    assert infer("reshape", f32(N, 8, 8, 1), shape=(N, 64)) == (f32(N, 64),)


def test_other_symbolic_shapes() -> None:
    assert infer("concat", f32(N, H), f32(N, 3), axis=1) == (f32(N, H + 3),)
    assert infer("pad", f32(N, H), low=(0, 1), high=(0, W)) == (f32(N, H + 1 + W),)
    assert infer("gather", f32(100, 8), i64(N, H)) == (f32(N, H, 8),)
    assert infer("matmul", f32(N, H, 4), f32(4, 5)) == (f32(N, H, 5),)
    assert infer("resize_nearest", f32(N, H, W, 3), factor=(2, 3)) == (f32(N, H * 2, W * 3, 3),)
    assert infer("batch_norm", f32(N, H, 3), f32(3), f32(3)) == (f32(N, H, 3), f32(3), f32(3))
    assert infer("layer_norm", f32(N, H, 3), f32(3), f32(3))[1] == f32(N, H)
    assert infer("reduce_mean", f32(N, H), axes=(0,), keepdims=True) == (f32(1, H),)


IMAGE, SMALL, KERNEL = f32(N, 5, 5, 3), f32(N, 2, 2, 3), f32(3, 3, 3, 8)
NOTHING = {"kernel": (0, 1), "stride": (1, 1)}
THREES = {"kernel": (3, 3), "stride": (1, 1)}
OUTSIDE = {"padding": (0, -1, 0, 0)}

# fmt: off
WRONG: list[tuple[str, tuple[Type, ...], dict[str, Any], str, str, tuple[int, ...]]] = [
    ("add", (f32(N, 4), f32(N, 5)), {}, "N0312", "two sides of `+` have different", (0, 1)),
    ("add", (f32(N), f32(H)), {}, "N0312", "different shapes", (0, 1)),
    ("add", (f32(N), i64(N)), {}, "N0302", "different element types: f32 and i64", (0, 1)),
    ("exp", (i64(N),), {}, "N0302", "`exp` needs floating point numbers, found i64[N]", (0,)),
    ("neg", (Type("u8", (3,)),), {}, "N0302", "needs signed numbers", (0,)),
    ("logical_and", (f32(3), f32(3)), {}, "N0302", "needs true or false", (0,)),
    ("select", (f32(3), f32(3), f32(3)), {}, "N0302", "needs true or false", (0,)),
    ("select", (Type("bool", (3,)), f32(3), f32(4)), {}, "N0312", "different shapes", (0, 2)),
    ("matmul", (f32(N, 4), f32(5, 6)), {}, "N0301", "cannot multiply [N, 4] by [5, 6]", (0, 1)),
    ("matmul", (f32(4), f32(4, 6)), {}, "N0301", "needs matrices, found [4]", (0,)),
    ("matmul", (f32(2, 3, 4), f32(5, 4, 6)), {}, "N0301", "leading dimensions", (0, 1)),
    ("conv2d", (IMAGE, f32(3, 3, 4, 8)), {}, "N0301", "needs 4 input", (0, 1)),
    ("conv2d", (IMAGE, f32(7, 7, 3, 8)), {}, "N0301", "covers 7 in height", (0,)),
    ("conv2d", (IMAGE, KERNEL), {"stride": (0, 1)}, "N0404", "at least 1", ()),
    ("conv2d", (IMAGE, KERNEL), {"stride": (1,)}, "N0404", "2 numbers", ()),
    ("conv2d", (IMAGE, KERNEL), OUTSIDE, "N0404", "negative", ()),
    ("conv2d", (IMAGE, f32(3, 3, 1, 8)), {"groups": 2}, "N0301", "cannot split 3 input", (0,)),
    ("conv2d", (f32(N, 5, 5, 4), f32(3, 3, 2, 7)), {"groups": 2}, "N0301", "7 output", (1,)),
    ("conv2d", (f32(N, 5, 3), f32(3, 3, 3, 8)), {}, "N0301", "[N, H, W, C], found [N, 5, 3]", (0,)),
    ("max_pool", (SMALL,), THREES, "N0301", "image has only 2", (0,)),
    ("avg_pool", (SMALL,), NOTHING, "N0404", "the kernel", ()),
    ("reshape", (f32(N, 3),), {"shape": (N, 4)}, "N0301", "3*N elements are not 4*N", (0,)),
    ("reshape", (f32(N, H),), {"shape": (N, N)}, "N0301", "cannot reshape", (0,)),
    ("broadcast_to", (f32(3),), {"shape": (N, 4)}, "N0312", "cannot broadcast [3] to [N, 4]", (0,)),
    ("transpose", (f32(3, 4),), {"permutation": (0, 0)}, "N0404", "no order of the 2 axes", (0,)),
    ("concat", (f32(N, 3), f32(H, 3)), {"axis": 1}, "N0301", "cannot join [N, 3] and", (0, 1)),
    ("concat", (), {"axis": 0}, "N0301", "at least one", ()),
    ("slice", (f32(5),), cut(2, 9, 1), "N0301", "outside axis 0, which has 5", (0,)),
    ("slice", (f32(5),), cut(0, 3, 0), "N0404", "must not be 0", ()),
    ("slice", (f32(N),), cut(0, N + 1, 1), "N0301", "outside", (0,)),
    ("reduce_sum", (f32(3),), {"axes": (1,)}, "N0404", "no axis 1", (0,)),
    ("reduce_sum", (f32(3, 4),), {"axes": (1, 1)}, "N0404", "an axis twice", ()),
    ("reduce_mean", (i64(3),), {"axes": (0,)}, "N0302", "floating point", (0,)),
    ("softmax", (f32(),), {}, "N0301", "found a scalar", (0,)),
    ("softmax_cross_entropy", (f32(N, 3), f32(N)), {}, "N0302", "needs integers", (1,)),
    ("softmax_cross_entropy", (f32(N, 3), i64(N, 1)), {}, "N0301", "the label", (1,)),
    ("softmax_cross_entropy", (f32(N, 3), i64(N)), {"smoothing": 1.5}, "N0404", "from 0 to 1", ()),
    ("gather", (f32(), i64(3)), {}, "N0301", "table of rows", (0,)),
    ("gather", (f32(4), f32(3)), {}, "N0302", "needs integers", (1,)),
    ("batch_norm", (f32(N, 3), f32(4), f32(3)), {}, "N0301", "the scale", (1,)),
    ("layer_norm", (f32(3), f32(3), f32(3)), {}, "N0301", "found f32[3]", (0,)),
    ("resize_nearest", (SMALL,), {"factor": (2, 0)}, "N0404", "at least 1", ()),
    ("iota", (), {"shape": (3,), "axis": 1}, "N0404", "no axis 1", (0,)),
    ("random_uniform", (), {"shape": (3,), "stream": 0, "dtype": "i64"}, "N0302", "not i64", ()),
    ("orthogonal", (), {"shape": (3,), "stream": 0}, "N0301", "two or more", ()),
]
# fmt: on


@pytest.mark.parametrize(("name", "types", "attributes", "code", "text", "at_fault"), WRONG)
def test_what_does_not_fit(
    name: str,
    types: tuple[Type, ...],
    attributes: dict[str, Any],
    code: str,
    text: str,
    at_fault: tuple[int, ...],
) -> None:
    with pytest.raises(ShapeError) as caught:
        infer(name, *types, **attributes)
    error = caught.value
    assert text in error.message
    assert (error.code, error.operands) == (code, at_fault)


def test_broadcast_error_says_which_axis() -> None:
    with pytest.raises(ShapeError) as caught:
        infer("add", f32(N, 56, 56, 64), f32(N, 56, 56, 256))
    assert caught.value.expected == (
        "the last axis equal, or 1 on one side: "
        "it is 64 in [N, 56, 56, 64] and 256 in [N, 56, 56, 256]"
    )


def test_axes_from_the_end() -> None:
    assert normalize_axes("sum", (-1, 0), 3) == (0, 2)
    with pytest.raises(ShapeError, match="no axis 3"):
        normalize_axes("sum", (3,), 3)
    with pytest.raises(ShapeError, match="twice"):
        normalize_axes("sum", (-1, 2), 3)
