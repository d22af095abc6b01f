"""The order that is kept while edges are added, against searching the whole graph."""

from __future__ import annotations

import random

import pytest
from nnc.lower.order import Order


def reaches(edges: dict[int, set[int]], first: int, last: int) -> bool:
    stack, seen = [first], set()
    while stack:
        node = stack.pop()
        if node == last:
            return True
        if node not in seen:
            seen.add(node)
            stack.extend(edges[node])
    return False


@pytest.mark.parametrize("seed", range(30))
def test_order_under_random_edges(seed: int) -> None:
    generator = random.Random(seed)
    count = generator.randint(2, 25)
    order = Order([[] for _ in range(count)], list(range(count)))
    edges: dict[int, set[int]] = {node: set() for node in range(count)}
    for _ in range(120):
        first, last = generator.randrange(count), generator.randrange(count)
        circle = reaches(edges, last, first)
        assert order.reaches(last, first) == circle
        assert order.add(first, last) == (not circle)
        if not circle:
            edges[first].add(last)
        assert sorted(order.position) == list(range(count))
        for node, items in edges.items():
            assert all(order.position[node] < order.position[item] for item in items)


def test_priorities_decide_where_edges_do_not() -> None:
    order = Order([[3], [], [1], []], [5, 0, 4, 1])
    assert order.position == [2, 1, 0, 3]


def test_a_circle_at_the_start_is_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        Order([[1], [0]], [0, 1])


def test_new_nodes_come_last() -> None:
    order = Order([[1], []], [0, 1])
    node = order.add_node()
    assert node == 2 and order.position[node] == 2
    assert order.add(2, 0)
    assert order.position == [1, 2, 0]
