"""The cheapest values to keep, against every choice there is."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from nnc.least_cut import least_cut


def follows(value: int, kept: set[int], made_from: dict[int, list[int]]) -> bool:
    """Whether a value is kept or can be made from what is."""
    if value in kept:
        return True
    return value in made_from and all(follows(v, kept, made_from) for v in made_from[value])


@pytest.mark.parametrize("seed", range(60))
def test_no_other_choice_costs_less(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 9))
    made_from: dict[int, list[int]] = {}
    for value in range(count):
        before = [v for v in range(value) if rng.random() < 0.5]
        if before and rng.random() < 0.8:
            made_from[value] = before
    if seed % 5 == 0:
        made_from[0] = []  # made from nothing
    cost = {value: int(rng.integers(1, 5)) for value in range(count)}
    wanted = {v for v in range(count) if rng.random() < 0.4} | {count - 1}
    kept = least_cut(wanted, made_from, cost)
    assert all(follows(value, kept, made_from) for value in wanted)
    best = min(
        sum(cost[v] for v in choice)
        for size in range(count + 1)
        for choice in combinations(range(count), size)
        if all(follows(value, set(choice), made_from) for value in wanted)
    )
    assert sum(cost[value] for value in kept) == best


def test_among_equals_the_nearest_is_kept() -> None:
    assert least_cut([2], {2: [1], 1: [0]}, {0: 4, 1: 4, 2: 4}) == {2}
    assert least_cut([2], {2: [1], 1: [0]}, {0: 3, 1: 4, 2: 4}) == {0}


def test_what_two_read_is_kept_once() -> None:
    assert least_cut([2, 3], {2: [0], 3: [0]}, {0: 3, 2: 2, 3: 2}) == {0}
