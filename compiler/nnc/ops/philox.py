"""Philox4x32-10 (Salmon et al., 2011), the counter-based generator of all random numbers.

Word `i % 4` of block `i / 4` belongs to element i. The runtime computes the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..graph import DTYPES
from .base import Array

_MULTIPLIERS = np.array([[0xD2511F53], [0xCD9E8D57]], np.uint64)
_WEYL_0 = 0x9E3779B9
_WEYL_1 = 0xBB67AE85
_HALF = np.uint64(32)
_MASK = 0xFFFFFFFF


# Blocks at a time: few enough for the caches, enough that each operation of NumPy runs long beside
# what it costs to start, also where several threads draw.
CHUNK = 1 << 16


class Memory:
    """Where words are drawn. Kept from one chunk to the next, as fresh pages would cost more than
    the arithmetic; of one thread at a time.
    """

    def __init__(self, blocks: int = CHUNK) -> None:
        self.blocks = blocks
        self.pairs = np.empty((2, blocks), np.uint64)
        self.products = np.empty((2, blocks), np.uint64)
        self.words = np.empty((blocks, 2), "<u8")

    def draw(self, count: int, key: tuple[int, int]) -> Array:
        """The words of the first `count` counters in `pairs`, which are used up.

        Each counter is two pairs of words, the first word high: a product of 32-bit words then is
        the next pair as it stands, and all happens in place.
        """
        pairs, products = self.pairs[:, :count], self.products[:, :count]
        k0, k1 = key
        for _ in range(10):
            np.right_shift(pairs, _HALF, out=products)
            products *= _MULTIPLIERS
            pairs <<= _HALF
            pairs ^= products[::-1]
            pairs ^= np.array([[k0 << 32], [k1 << 32]], np.uint64)
            k0 = (k0 + _WEYL_0) & _MASK
            k1 = (k1 + _WEYL_1) & _MASK
        np.right_shift(pairs, _HALF, out=products)
        pairs <<= _HALF
        words = self.words[:count]
        np.bitwise_or(pairs, products, out=words.T)
        return words.view("<u4")


def philox(counter: tuple[Array, Array, Array, Array], key: tuple[int, int]) -> Array:
    """The four words (last axis) of each counter, whose words are 32-bit values in uint64."""
    count = len(counter[0])
    memory = Memory(count)
    memory.pairs[0] = (counter[0] << _HALF) | counter[1]
    memory.pairs[1] = (counter[2] << _HALF) | counter[3]
    return memory.draw(count, key)


def _chunks(
    count: int, seed: int, step: int, stream: int, start: int, memory: Memory
) -> Iterator[tuple[slice, Array]]:
    """The words of `count` elements from `start`, a piece at a time, each with its place; a piece
    lies in `memory` until the next one.
    """
    key = (seed & _MASK, (seed >> 32) & _MASK)
    counter = np.uint64((step & _MASK) << 32 | (stream & _MASK))
    first, end = start // 4, (start + count + 3) // 4
    for begin in range(first, end, memory.blocks):
        blocks = min(memory.blocks, end - begin)
        left, high = memory.pairs[:, :blocks]
        left[:] = np.arange(begin, begin + blocks, dtype=np.uint64)
        np.right_shift(left, _HALF, out=high)
        left <<= _HALF
        left |= high
        memory.pairs[1, :blocks] = counter
        place = slice(4 * (begin - first), min(4 * (begin - first + blocks), count))
        yield place, memory.draw(blocks, key).reshape(-1)[: place.stop - place.start]


def random_words(count: int, seed: int, step: int, stream: int) -> Array:
    """The 32-bit words of elements 0 .. count - 1."""
    words = np.empty(count, np.uint32)
    for place, piece in _chunks(count, seed, step, stream, 0, Memory(min(CHUNK, count))):
        words[place] = piece
    return words


def uniform(
    shape: tuple[int, ...],
    seed: int,
    step: int,
    stream: int,
    dtype: np.dtype[Any] = DTYPES["f64"],
) -> Array:
    """Numbers in [0, 1) on a grid of 2^-24: exact in f32, too."""
    numbers = np.empty(math.prod(shape), dtype)
    memory = Memory(min(CHUNK, len(numbers) // 4 + 1))
    fill_uniform(numbers, seed, step, stream, 0, memory)
    return numbers.reshape(shape)


def fill_uniform(
    numbers: Array, seed: int, step: int, stream: int, start: int, memory: Memory
) -> None:
    """Put what `uniform` gives from element `start` on, a multiple of 4, into an array."""
    for place, piece in _chunks(len(numbers), seed, step, stream, start, memory):
        piece >>= np.uint32(8)
        # As signed numbers, which they fit: processors convert those faster.
        numbers[place] = piece.view("<i4")
        numbers[place] *= numbers.dtype.type(2.0**-24)


def normal(shape: tuple[int, ...], seed: int, step: int, stream: int) -> Array:
    """Standard normal float64 numbers (Box-Muller on pairs of uniform ones)."""
    count = math.prod(shape)
    pairs = uniform((count, 2), seed, step, stream)
    radius = np.sqrt(-2.0 * np.log1p(-pairs[:, 0]))
    return np.asarray(radius * np.cos(2.0 * np.pi * pairs[:, 1])).reshape(shape)
