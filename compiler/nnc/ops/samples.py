"""Arrays for the operators' samples: fixed by their seed, float64, well spread."""

from __future__ import annotations

import numpy as np

from .base import Array


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def positive(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).uniform(0.25, 3.0, shape)


def nonzero(*shape: int, seed: int = 0) -> Array:
    generator = np.random.default_rng([seed, *shape])
    return np.asarray(generator.uniform(0.5, 3.0, shape) * generator.choice([-1.0, 1.0], shape))


def integers(low: int, high: int, *shape: int, dtype: str = "int64", seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).integers(low, high, shape).astype(dtype)


def booleans(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).random(shape) < 0.5


def distinct(*shape: int, seed: int = 0) -> Array:
    """Values at least 0.01 apart, so that no maximum is a tie and finite differences cross none."""
    count = int(np.prod(shape))
    order = np.random.default_rng([seed, *shape]).permutation(count)
    return ((order - count / 2) * 0.01).reshape(shape)
