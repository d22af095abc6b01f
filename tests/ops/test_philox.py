"""Random numbers: the generator's published answers, the layout of counters, distributions."""

from __future__ import annotations

import numpy as np
import pytest
from nnc.ops.base import Context
from nnc.ops.philox import normal, philox, random_words, uniform

from .helpers import call

# Known answers of Random123 for philox4x32, 10 rounds: counter, key, result.
KNOWN = [
    (
        (0, 0, 0, 0),
        (0, 0),
        (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8),
    ),
    (
        (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
    ),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_known_answers(
    counter: tuple[int, ...], key: tuple[int, int], expected: tuple[int, ...]
) -> None:
    c0, c1, c2, c3 = (np.array([word], np.uint64) for word in counter)
    assert tuple(int(word) for word in philox((c0, c1, c2, c3), key)[0]) == expected


def test_counters_hold_block_step_and_stream() -> None:
    seed, step, stream = 0x123456789ABCDEF0, 77, 5
    words = random_words(11, seed, step, stream)
    for index in range(11):
        counter = [np.array([word], np.uint64) for word in (index // 4, 0, step, stream)]
        block = philox((counter[0], counter[1], counter[2], counter[3]), (0x9ABCDEF0, 0x12345678))
        assert words[index] == block[0, index % 4]


def test_uniform_is_on_the_grid_that_f32_holds() -> None:
    made = uniform((100, 100), seed=3, step=0, stream=1)
    assert made.min() >= 0 and made.max() < 1
    np.testing.assert_array_equal(made.astype(np.float32).astype(np.float64), made)
    assert made.mean() == pytest.approx(0.5, abs=0.01)
    assert made.var() == pytest.approx(1 / 12, abs=0.002)


def test_f32_and_f64_get_the_same_numbers() -> None:
    narrow, wide = (
        call("random_uniform", shape=(5, 3), stream=2, dtype=dtype, context=Context(9))[0]
        for dtype in ("f32", "f64")
    )
    assert narrow.dtype == np.float32 and wide.dtype == np.float64
    np.testing.assert_array_equal(narrow.astype(np.float64), wide)


@pytest.mark.parametrize("change", [{"seed": 4}, {"step": 1}, {"seed": 3 + 2**32}])
def test_seed_and_step_change_all(change: dict[str, int]) -> None:
    usual = {"seed": 3, "step": 0}
    first = call("random_uniform", shape=(100,), stream=2, context=Context(**usual))[0]
    again = call("random_uniform", shape=(100,), stream=2, context=Context(**usual))[0]
    other = call("random_uniform", shape=(100,), stream=2, context=Context(**{**usual, **change}))[
        0
    ]
    np.testing.assert_array_equal(first, again)
    assert (first != other).mean() > 0.95


def test_streams_differ() -> None:
    first, other = (call("random_uniform", shape=(100,), stream=s)[0] for s in (0, 1))
    assert (first != other).mean() > 0.95


def test_normal_distribution() -> None:
    made = normal((40_000,), seed=1, step=0, stream=0)
    assert np.isfinite(made).all()
    assert made.mean() == pytest.approx(0, abs=0.02)
    assert made.std() == pytest.approx(1, abs=0.02)
    assert (np.abs(made) < 1).mean() == pytest.approx(0.6827, abs=0.01)


@pytest.mark.parametrize("shape", [(6, 6), (3, 8), (9, 2), (3, 3, 4, 16), (2, 2, 1, 7)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    (made,) = call("orthogonal", shape=shape, stream=1, gain=2.0, dtype="f64", context=Context(5))
    assert made.shape == shape
    matrix = made.reshape(-1, shape[-1])
    square = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(square, 4 * np.eye(len(square)), atol=1e-10)
