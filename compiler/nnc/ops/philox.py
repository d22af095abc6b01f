"""Philox4x32-10 (Salmon et al., 2011), the counter-based generator of all random numbers.

Word `i % 4` of block `i / 4` belongs to element i. The runtime computes the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator

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


_CHUNK = 1 << 15  # blocks at a time: what philox needs stays in the cache, and no fresh pages


def _chunks(count: int, seed: int, step: int, stream: int) -> Iterator[tuple[slice, Array]]:
    """The words of elements 0 .. count - 1, a piece at a time, each with its place."""
    key = (seed & _MASK, (seed >> 32) & _MASK)
    for start in range(0, (count + 3) // 4, _CHUNK):
        blocks = np.arange(start, min(start + _CHUNK, (count + 3) // 4), dtype=np.uint64)
        counter = (
            blocks & _LOW,
            blocks >> _HALF,
            np.full_like(blocks, step & _MASK),
            np.full_like(blocks, stream & _MASK),
        )
        place = slice(4 * start, min(4 * (start + _CHUNK), count))
        yield place, philox(counter, key).reshape(-1)[: place.stop - place.start]


def random_words(count: int, seed: int, step: int, stream: int) -> Array:
    """The 32-bit words of elements 0 .. count - 1."""
    words = np.empty(count, np.uint32)
    for place, piece in _chunks(count, seed, step, stream):
        words[place] = piece
    return words


def uniform(shape: tuple[int, ...], seed: int, step: int, stream: int) -> Array:
    """Float64 numbers in [0, 1) on a grid of 2^-24: exact in f32, too."""
    count = int(np.prod(shape, dtype=np.int64))
    numbers = np.empty(count, np.float64)
    for place, piece in _chunks(count, seed, step, stream):
        numbers[place] = (piece >> np.uint32(8)) * 2.0**-24
    return numbers.reshape(shape)


def normal(shape: tuple[int, ...], seed: int, step: int, stream: int) -> Array:
    """Standard normal float64 numbers (Box-Muller on pairs of uniform ones)."""
    count = int(np.prod(shape, dtype=np.int64))
    pairs = uniform((count, 2), seed, step, stream)
    radius = np.sqrt(-2.0 * np.log1p(-pairs[:, 0]))
    return np.asarray(radius * np.cos(2.0 * np.pi * pairs[:, 1])).reshape(shape)
