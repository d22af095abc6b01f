"""A topological order that is kept while edges are added (Pearce and Kelly's algorithm).

Takes numbered nodes; answers whether one node must come before another, adds edges that make no
cycle, and repairs only the part of the order that an edge contradicts.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence


class Order:
    def __init__(self, successors: Sequence[Iterable[int]], priorities: Sequence[int]) -> None:
        """Smaller priorities come first where the edges leave the choice."""
        self.after: list[set[int]] = [set(items) for items in successors]
        self.before: list[set[int]] = [set() for _ in successors]
        for node, items in enumerate(self.after):
            for item in items:
                self.before[item].add(node)
        self.position = [0] * len(self.after)
        waiting = [len(items) for items in self.before]
        ready = [(priorities[node], node) for node, count in enumerate(waiting) if count == 0]
        heapq.heapify(ready)
        placed = 0
        while ready:
            _, node = heapq.heappop(ready)
            self.position[node] = placed
            placed += 1
            for item in self.after[node]:
                waiting[item] -= 1
                if waiting[item] == 0:
                    heapq.heappush(ready, (priorities[item], item))
        if placed != len(self.after):
            raise ValueError("the steps depend on each other in a circle")

    def add_node(self) -> int:
        """A node without edges, after all others."""
        self.after.append(set())
        self.before.append(set())
        self.position.append(len(self.position))
        return len(self.position) - 1

    def reaches(self, first: int, last: int) -> bool:
        """Whether a path of edges leads from `first` to `last`."""
        return first == last or last in self._region(first, self.after, self.position[last])

    def add(self, first: int, last: int) -> bool:
        """Demand `first` before `last`; False, and no edge, where that would make a circle."""
        if last in self.after[first]:
            return True
        if self.position[first] > self.position[last]:
            forward = self._region(last, self.after, self.position[first])
            if first == last or first in forward:
                return False
            self._reorder(first, last, forward)
        elif first == last:
            return False
        self.after[first].add(last)
        self.before[last].add(first)
        return True

    def _region(self, start: int, edges: Sequence[set[int]], bound: int) -> set[int]:
        """What `start` reaches along `edges` without passing position `bound`."""
        forward = edges is self.after
        position = self.position
        found = {start}
        stack = [start]
        while stack:
            for item in edges[stack.pop()]:
                inside = position[item] <= bound if forward else position[item] >= bound
                if inside and item not in found:
                    found.add(item)
                    stack.append(item)
        return found

    def _reorder(self, first: int, last: int, forward: set[int]) -> None:
        backward = self._region(first, self.before, self.position[last])
        moved = sorted(backward, key=self.position.__getitem__)
        moved += sorted(forward, key=self.position.__getitem__)
        places = sorted(self.position[node] for node in moved)
        for node, place in zip(moved, places, strict=True):
            self.position[node] = place
