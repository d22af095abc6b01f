"""Hold out a part of the data: drawn at random, the same for the same seed on every machine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnrt.data.types import Array
from nnrt.errors import Error

SEED_MASK = 2**64 - 1


def split(
    arrays: Mapping[str, Array], fraction: float, seed: int = 0
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The rows to train on and the rows held out, each at least one, each in their first order."""
    if isinstance(fraction, bool) or not 0.0 < fraction < 1.0:
        raise Error(
            f"the part to hold out must lie between 0 and 1, and {fraction} does not: "
            "0.2 holds out a fifth.",
            "N0747",
        )
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) != 1:
        listed = ", ".join(f"`{name}` has {size:,}" for name, size in sizes.items())
        raise Error(f"only arrays with the same number of rows can be split: {listed}.", "N0748")
    rows = next(iter(sizes.values()))
    if rows < 2:
        raise Error(
            f"a part can only be held out of two rows or more, and there are {rows}.", "N0747"
        )
    held = min(max(round(rows * fraction), 1), rows - 1)
    # Sorting raw numbers, and not `permutation`: NumPy keeps only the raw stream the same for ever.
    order = np.argsort(np.random.Philox(seed & SEED_MASK).random_raw(rows), kind="stable")
    kept_rows, held_rows = np.sort(order[held:]), np.sort(order[:held])
    kept = {name: array[kept_rows] for name, array in arrays.items()}
    return kept, {name: array[held_rows] for name, array in arrays.items()}
