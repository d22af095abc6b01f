"""The cheapest set of values to keep so that others can be computed again from them alone.

`least_cut` is a minimum vertex cut: by maximum flow along shortest paths (Edmonds, Karp 1972), each
value a pair of vertices with an edge of its cost between them.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

V = TypeVar("V", bound=Hashable)
_BEGIN, _END = "begin", "end"


def least_cut(
    wanted: Iterable[V], made_from: Mapping[V, Sequence[V]], cost: Mapping[V, int]
) -> set[V]:
    """The values to keep, of least total cost; among equals those nearest to what is wanted.

    `made_from`: the values that each one can be computed from; those that it lacks must be kept
    themselves, or be behind others that are.
    """
    unlimited = sum(cost.values()) + 1
    room: dict[Hashable, dict[Hashable, int]] = defaultdict(dict)

    def join(left: Hashable, right: Hashable, size: int) -> None:
        room[left][right] = room[left].get(right, 0) + size
        room[right].setdefault(left, 0)

    for value, size in cost.items():
        join((value, False), (value, True), size)
        if value not in made_from:
            join(_BEGIN, (value, False), unlimited)
        for source in made_from.get(value, ()):
            join((source, True), (value, False), unlimited)
    for value in wanted:
        join((value, True), _END, unlimited)
    while path := _shortest(room):
        size = min(room[left][right] for left, right in path)
        for left, right in path:
            room[left][right] -= size
            room[right][left] += size
    behind = _reaching(room)
    return {value for value in cost if (value, True) in behind and (value, False) not in behind}


def _shortest(
    room: Mapping[Hashable, Mapping[Hashable, int]],
) -> list[tuple[Hashable, Hashable]]:
    """The edges of a shortest path with room from begin to end; none where there is none."""
    came: dict[Hashable, Hashable] = {_BEGIN: _BEGIN}
    queue = deque([_BEGIN])
    while queue and _END not in came:
        at: Hashable = queue.popleft()
        for following, size in room.get(at, {}).items():
            if size > 0 and following not in came:
                came[following] = at
                queue.append(following)  # type: ignore[arg-type]
    if _END not in came:
        return []
    path: list[tuple[Hashable, Hashable]] = []
    at = _END
    while at != _BEGIN:
        path.append((came[at], at))
        at = came[at]
    return path


def _reaching(room: Mapping[Hashable, Mapping[Hashable, int]]) -> set[Hashable]:
    """The vertices from which there is room to the end."""
    found: set[Hashable] = {_END}
    queue: deque[Hashable] = deque(found)
    while queue:
        at = queue.popleft()
        for before in room.get(at, {}):
            if before not in found and room[before][at] > 0:
                found.add(before)
                queue.append(before)
    return found
