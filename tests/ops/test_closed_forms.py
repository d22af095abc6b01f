"""References that PyTorch has no equal for, and the corners that the samples only touch."""

from __future__ import annotations

import numpy as np
import pytest
from nnc.autodiff import gradients
from nnc.interpret import run
from nnc.ops.base import Array

from .helpers import build, call, named, outputs, weighted_sum

NAN = np.nan


def gradient(name: str, *arrays: Array, **attributes: object) -> Array:
    builder, node = build(name, arrays, attributes)
    loss = weighted_sum(builder, node.results[0], np.ones(node.results[0].shape))
    (made,) = gradients(builder, loss, [builder.inputs[0].value])
    assert made is not None
    return run(outputs(builder, {"g": made}), named(arrays))[0]["g"]


def test_round_is_half_to_even() -> None:
    (made,) = call("round", np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 0.4]))
    np.testing.assert_array_equal(made, [-2, -2, 0, 0, 2, 2, 0])


def test_maximum_propagates_nan_and_gives_ties_to_the_second() -> None:
    a, b = np.array([NAN, 1.0, 2.0, 0.0]), np.array([1.0, NAN, 1.0, 0.0])
    (made,) = call("maximum", a, b)
    np.testing.assert_array_equal(made, [NAN, NAN, 2.0, 0.0])
    np.testing.assert_array_equal(gradient("maximum", a, b)[2:], [1.0, 0.0])
    np.testing.assert_array_equal(gradient("minimum", a, b)[2:], [0.0, 0.0])


def test_modulo_has_the_sign_of_the_divisor() -> None:
    a, b = np.array([7.0, -7.0, 7.0, -7.0]), np.array([3.0, 3.0, -3.0, -3.0])
    np.testing.assert_array_equal(call("mod", a, b)[0], [1, 2, -2, -1])
    np.testing.assert_array_equal(call("floor_div", a, b)[0], [2, -3, -3, 2])
    whole = call("mod", a.astype(np.int64), b.astype(np.int64))[0]
    np.testing.assert_array_equal(whole, [1, 2, -2, -1])


def test_division_of_integers_gives_f32() -> None:
    (made,) = call("div", np.array([1, 255], np.uint8), np.array(255, np.uint8))
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, np.array([1, 255], np.float32) / np.float32(255))


def test_gradient_of_a_power_at_the_edge() -> None:
    zero = np.array([0.0, 0.0, 2.0])
    np.testing.assert_array_equal(gradient("pow", zero, np.array([2.0, 0.0, 0.0])), [0, 0, 0])
    np.testing.assert_array_equal(gradient("pow", zero, np.array([1.0, 1.0, 3.0])), [1, 1, 12])


def test_sigmoid_neither_overflows_nor_loses_digits() -> None:
    (made,) = call("sigmoid", np.array([-800.0, -30.0, 0.0, 800.0]))
    np.testing.assert_allclose(made, [0.0, 9.357622968839299e-14, 0.5, 1.0], rtol=1e-12)


def test_extremes_share_their_gradient_among_ties() -> None:
    x = np.array([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]])
    made = gradient("reduce_max", x, axes=(1,))
    np.testing.assert_array_equal(made, [[0, 0.5, 0.5], [1, 0, 0]])
    np.testing.assert_array_equal(gradient("reduce_min", x, axes=(0, 1))[1], [0, 1, 0])


def test_reductions_of_nothing() -> None:
    empty = np.zeros((0, 3))
    assert call("reduce_sum", empty, axes=(0,))[0].tolist() == [0, 0, 0]
    assert np.isnan(call("reduce_mean", empty, axes=(0,))[0]).all()
    assert call("reduce_max", empty, axes=(0,))[0].tolist() == [-np.inf] * 3


def test_argmax_takes_the_first() -> None:
    x = np.array([[1.0, 5.0, 5.0], [2.0, 2.0, 2.0]])
    assert call("argmax", x, axis=1)[0].tolist() == [1, 0]


def test_max_pool_backward_gives_ties_to_the_first() -> None:
    x, dy = np.zeros((1, 2, 2, 1)), np.ones((1, 1, 1, 1))
    window = {"kernel": (2, 2), "stride": (2, 2)}
    _, index = call("max_pool_index", x, **window)
    (made,) = call("max_pool_backward", index, dy, shape=x.shape, **window)
    assert made.reshape(-1).tolist() == [1, 0, 0, 0]


def test_padding_never_wins_a_maximum() -> None:
    x = np.full((1, 2, 2, 1), -np.inf)
    window = {"kernel": (2, 2), "stride": (2, 2), "padding": (1, 1, 1, 1)}
    made, index = call("max_pool_index", x, **window)
    assert (made == -np.inf).all()
    (dx,) = call("max_pool_backward", index, np.ones((1, 2, 2, 1)), shape=x.shape, **window)
    assert dx.reshape(-1).tolist() == [1, 1, 1, 1]


def test_max_pool_propagates_nan() -> None:
    x = np.array([1.0, NAN, 2.0, 0.0]).reshape(1, 2, 2, 1)
    assert np.isnan(call("max_pool", x, kernel=(2, 2), stride=(2, 2))[0]).all()


def test_labels_out_of_range_give_nan() -> None:
    logits = np.zeros((4, 3))
    (loss,) = call("softmax_cross_entropy", logits, np.array([0, 3, -1, 2]))
    np.testing.assert_allclose(loss, [np.log(3), NAN, NAN, np.log(3)])


def test_indices_out_of_range() -> None:
    table, ids = np.array([[1.0], [2.0]]), np.array([0, 2, -1, 1])
    np.testing.assert_array_equal(call("gather", table, ids)[0][:, 0], [1, NAN, NAN, 2])
    whole = call("gather", table.astype(np.int32), ids)[0]
    np.testing.assert_array_equal(whole[:, 0], [1, 0, 0, 2])
    back = call("gather_backward", ids, np.ones((4, 1)), rows=2)[0]
    np.testing.assert_array_equal(back, [[1], [1]])


@pytest.mark.parametrize(
    ("begin", "end", "step", "expected"),
    [
        (1, 4, 1, [1, 2, 3]),
        (0, 5, 2, [0, 2, 4]),
        (4, -1, -1, [4, 3, 2, 1, 0]),
        (4, 0, -2, [4, 2]),
        (2, 2, 1, []),
    ],
)
def test_slice(begin: int, end: int, step: int, expected: list[int]) -> None:
    x = np.arange(5.0)
    (made,) = call("slice", x, begin=(begin,), end=(end,), step=(step,))
    assert made.tolist() == expected
    where = {"begin": (begin,), "end": (end,), "step": (step,)}
    (spread,) = call("slice_backward", made + 1, shape=(5,), **where)
    assert spread.tolist() == [i + 1 if i in expected else 0 for i in range(5)]


def test_casts() -> None:
    x = np.array([-1.9, -0.5, 0.0, 1.9])
    assert call("cast", x, dtype="i64")[0].tolist() == [-1, 0, 0, 1]
    assert call("cast", x, dtype="bool")[0].tolist() == [True, True, False, True]


def test_iota() -> None:
    (made,) = call("iota", shape=(2, 3), axis=1, dtype="i32")
    assert made.tolist() == [[0, 1, 2], [0, 1, 2]] and made.dtype == np.int32


def test_softmax_of_large_numbers() -> None:
    x = np.array([[1000.0, 1000.0], [-1e5, 0.0]])
    np.testing.assert_allclose(call("softmax", x)[0], [[0.5, 0.5], [0.0, 1.0]])
    np.testing.assert_allclose(call("log_softmax", x)[0][1], [-1e5, 0.0])
