"""How many rows a step of training takes, and the steps of an epoch.

Statistics of a batch, as batch normalization takes them, mean nothing where each is of one value. A
batch that is too small for them is an error before training begins; a last batch that is joins the
one before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnrt._engine import evaluate_dimension
from nnrt.errors import Error
from nnrt.programs import open_sizes

if TYPE_CHECKING:
    from nnrt.model import Model

Array = np.ndarray[Any, np.dtype[Any]]

LEAST_VALUES = 2  # of a mean and a variance


def least_batch(model: Model, arrays: Sequence[Array], rows: int, batch: int) -> int:
    """The fewest rows that a step can learn from. Raises an Error where the batch, or the data, has
    fewer.
    """
    inputs = model.program_inputs("train")
    known = open_sizes(inputs, arrays)
    symbol = next((item.batch_symbol for item in inputs if item.batch_symbol), "")
    least = 1
    for place in (model.training or {}).get("statistics", []):
        layer = f"`{place['path']}` ({place['source']})"
        of_one, of_two = (
            evaluate_dimension(place["values"], {**known, symbol: number}) for number in (1, 2)
        )
        if of_two < LEAST_VALUES:
            raise Error(
                f"{layer} takes each mean and variance of {of_two} value"
                f"{'' if of_two == 1 else 's'} in data of this shape, and needs at least 2: "
                f"{_shapes(known, symbol)}.",
                "N0705",
            )
        if of_one < LEAST_VALUES:
            least = 2
            check_rows(layer, rows, batch)
    return least


def check_rows(layer: str, rows: int, batch: int) -> None:
    """Raises an Error unless a step has two rows."""
    if batch < LEAST_VALUES:
        raise Error(
            f"`batch` is 1, and {layer} takes means and variances over the batch: of one row they "
            "mean nothing. Use a batch of at least 2, or `layer_norm`.",
            "N0731",
        )
    if rows < LEAST_VALUES:
        raise Error(
            f"the training data has 1 row, and {layer} takes means and variances over several: "
            "give more rows, or use `layer_norm`.",
            "N0705",
        )


def _shapes(known: Mapping[str, int], symbol: str) -> str:
    return ", ".join(f"`{name}` is {size}" for name, size in known.items() if name != symbol)


def step_count(rows: int, batch: int, least: int) -> int:
    """The steps of an epoch: a last batch of fewer than `least` rows joins the one before it."""
    whole, rest = divmod(rows, batch)
    return whole if rest == 0 or (whole > 0 and rest < least) else whole + 1
