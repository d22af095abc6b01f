"""The bounds of inputs that hold indices, also behind operators that move or convert elements."""

from __future__ import annotations

import pytest
from nnc.index_bounds import index_bounds
from nnc.text import parse_graph


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("%3: i64[N,2] = cast[dtype=i64](%0)", {"ids": 7}),
        ("%3: i32[N,2] = reshape[shape=(N,2)](%0)", {"ids": 7}),
        ("%3: i32[2,N] = transpose[permutation=(1,0)](%0)", {"ids": 7}),
        ("%3: i32[N,2] = add(%0, %0)", {}),  # other numbers than those of the input
        ("%4: f32[N,2] = cast[dtype=f32](%0)\n%3: i32[N,2] = cast[dtype=i32](%4)", {}),
    ],
)
def test_the_bound_of_ids(way: str, expected: dict[str, int]) -> None:
    shape = "2,N" if "transpose" in way else "N,2"
    graph = parse_graph(
        "%0: i32[N,2] = input ids\n%1: f32[7,4] = parameter table\n"
        f"{way}\n%5: f32[{shape},4] = gather(%1, %3)\noutput y = %5\n"
    )
    assert index_bounds(graph) == expected


def test_the_smallest_bound_counts() -> None:
    graph = parse_graph(
        "%0: i32[N] = input ids\n%1: f32[7,4] = parameter table\n%2: f32[N,5] = input logits\n"
        "%3: f32[N,4] = gather(%1, %0)\n%4: f32[N] = softmax_cross_entropy(%2, %0)\n"
        "output y = %3\noutput loss = %4\n"
    )
    assert index_bounds(graph) == {"ids": 5}
