"""Philox4x32-10 (Salmon et al., 2011), the counter-based generator of all random numbers.

Word `i % 4` of block `i / 4` belongs to element i. The runtime computes the same bits.
"""

from __future__ import annotations

import numpy as np

from .base import Array

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = 0x9E3779B9
_WEYL_1 = 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MASK = 0xFFFFFFFF


def philox(counter: tuple[Array, Array, Array, Array], key: tuple[int, int]) -> Array:
    """The four words (last axis) of each counter, whose words are 32-bit values in uint64."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0 = c0 * _MULTIPLIER_0
        p1 = c2 * _MULTIPLIER_1
        c0, c1, c2, c3 = (
            (p1 >> _HALF) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _HALF) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0 = (k0 + _WEYL_0) & _MASK
        k1 = (k1 + _WEYL_1) & _MASK
    return np.stack([c0, c1, c2, c3], axis=-1).astype(np.uint32)


def random_words(count: int, seed: int, step: int, stream: int) -> Array:
    """The 32-bit words of elements 0 .. count - 1."""
    blocks = np.arange((count + 3) // 4, dtype=np.uint64)
    counter = (
        blocks & _LOW,
        blocks >> _HALF,
        np.full_like(blocks, step & _MASK),
        np.full_like(blocks, stream & _MASK),
    )
    return philox(counter, (seed & _MASK, (seed >> 32) & _MASK)).reshape(-1)[:count]


def uniform(shape: tuple[int, ...], seed: int, step: int, stream: int) -> Array:
    """Float64 numbers in [0, 1) on a grid of 2^-24: exact in f32, too."""
    words = random_words(int(np.prod(shape, dtype=np.int64)), seed, step, stream)
    return np.asarray((words >> np.uint32(8)).astype(np.float64) * 2.0**-24).reshape(shape)


def normal(shape: tuple[int, ...], seed: int, step: int, stream: int) -> Array:
    """Standard normal float64 numbers (Box-Muller on pairs of uniform ones)."""
    count = int(np.prod(shape, dtype=np.int64))
    pairs = uniform((count, 2), seed, step, stream)
    radius = np.sqrt(-2.0 * np.log1p(-pairs[:, 0]))
    return np.asarray(radius * np.cos(2.0 * np.pi * pairs[:, 1])).reshape(shape)
