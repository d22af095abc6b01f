"""Philox4x32-10 (Salmon et al., 2011), the counter-based generator of all random numbers.

Word `i % 4` of block `i / 4` belongs to element i. The runtime computes the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..dtypes import DTYPES
from .base import Array

Key = tuple[int, int]

_FACTORS = (0xD2511F53, 0xCD9E8D57)
_MULTIPLIERS = np.array(_FACTORS, np.uint64).reshape(2, 1)
_WEYL_0 = 0x9E3779B9
_WEYL_1 = 0xBB67AE85
_HALF = np.uint64(32)
_MASK = 0xFFFFFFFF


# Blocks at a time: few enough for the caches, enough that each operation of NumPy runs long beside
# what it costs to start, also where several threads draw.
CHUNK = 1 << 16


class Memory:
    """Where words are drawn. Kept from one chunk to the next, as fresh pages would cost more than
    the arithmetic.
    """

    def __init__(self, blocks: int) -> None:
        self.pairs = np.empty((2, blocks), np.uint64)
        self.products = np.empty((2, blocks), np.uint64)
        self.words = np.empty((blocks, 2), "<u8")

    def draw(self, count: int, keys: Sequence[Key]) -> Array:
        """The words of the first `count` counters in `pairs`, which are used up, after a round with
        each key.

        Each counter is two pairs of words, the first word high: a product of 32-bit words then is
        the next pair as it stands, and all happens in place.
        """
        pairs, products = self.pairs[:, :count], self.products[:, :count]
        for k0, k1 in keys:
            np.right_shift(pairs, _HALF, out=products)
            products *= _MULTIPLIERS
            pairs <<= _HALF
            pairs ^= products[::-1]
            pairs ^= np.array([[k0 << 32], [k1 << 32]], np.uint64)
        np.right_shift(pairs, _HALF, out=products)
        pairs <<= _HALF
        words = self.words[:count]
        np.bitwise_or(pairs, products, out=words.T)
        return words.view("<u4")

    def draw_blocks(self, blocks: range, keys: Sequence[Key], step: int, stream: int) -> Array:
        """The words of the counters (block, 0, step, stream).

        After one round one pair is the same for all blocks, so two rounds cost less than one.
        """
        (k0, k1), (next_k0, next_k1), *rest = keys
        left, right = self.pairs[:, : len(blocks)]
        left[:] = np.arange(blocks.start, blocks.stop, dtype=np.uint64)
        same = (step & _MASK) * _FACTORS[1] ^ (k0 << 32)
        np.multiply(left, np.uint64(_FACTORS[0]), out=right)
        right ^= np.uint64((stream & _MASK ^ k1) << 32)
        np.right_shift(right, _HALF, out=left)
        left *= np.uint64(_FACTORS[1])
        left ^= np.uint64((same & _MASK ^ next_k0) << 32)
        right <<= _HALF
        right ^= np.uint64((same >> 32) * _FACTORS[0] ^ (next_k1 << 32))
        return self.draw(len(blocks), rest)


def _keys(key: Key) -> list[Key]:
    """The keys of the ten rounds."""
    k0, k1 = key
    return [((k0 + i * _WEYL_0) & _MASK, (k1 + i * _WEYL_1) & _MASK) for i in range(10)]


def philox(counter: tuple[Array, Array, Array, Array], key: Key) -> Array:
    """The four words (last axis) of each counter, whose words are 32-bit values in uint64."""
    count = len(counter[0])
    memory = Memory(count)
    memory.pairs[0] = (counter[0] << _HALF) | counter[1]
    memory.pairs[1] = (counter[2] << _HALF) | counter[3]
    return memory.draw(count, _keys(key))


def _chunks(count: int, seed: int, step: int, stream: int) -> Iterator[tuple[slice, Array]]:
    """The words of elements 0 .. count - 1, a piece at a time, each with its place; a piece is in
    memory that the next one uses again.
    """
    keys = _keys((seed & _MASK, (seed >> 32) & _MASK))
    end = (count + 3) // 4
    assert end < 2**32, "the counter's second word is never needed"
    memory = Memory(min(CHUNK, end))
    for begin in range(0, end, CHUNK):
        blocks = range(begin, min(begin + CHUNK, end))
        place = slice(4 * begin, min(4 * blocks.stop, count))
        words = memory.draw_blocks(blocks, keys, step, stream).reshape(-1)
        yield place, words[: place.stop - place.start]


def random_words(count: int, seed: int, step: int, stream: int) -> Array:
    """The 32-bit words of elements 0 .. count - 1."""
    words = np.empty(count, np.uint32)
    for place, piece in _chunks(count, seed, step, stream):
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
    for place, piece in _chunks(len(numbers), seed, step, stream):
        piece >>= np.uint32(8)
        # As signed numbers, which they fit: processors convert those faster.
        numbers[place] = piece.view("<i4")
        numbers[place] *= numbers.dtype.type(2.0**-24)
    return numbers.reshape(shape)


def normal(shape: tuple[int, ...], seed: int, step: int, stream: int) -> Array:
    """Standard normal float64 numbers (Box-Muller on pairs of uniform ones)."""
    count = math.prod(shape)
    pairs = uniform((count, 2), seed, step, stream)
    radius = np.sqrt(-2.0 * np.log1p(-pairs[:, 0]))
    return np.asarray(radius * np.cos(2.0 * np.pi * pairs[:, 1])).reshape(shape)
