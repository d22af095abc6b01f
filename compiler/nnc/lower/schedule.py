"""The order of steps: what must come first, then what keeps little memory alive.

Takes units and their order; gives a list. Of the units that are ready, the one goes next that frees
the most memory over what it takes (at nominal sizes), so branches are finished before others begin
and updates follow their gradients at once; ties keep the order of the text. Deterministic.
"""

from __future__ import annotations

import heapq
from collections import Counter

from ..graph import Value
from .placement import Placement
from .units import Unit, Work, edges


def schedule(work: Work, placement: Placement) -> tuple[list[Unit], list[Unit]]:
    """The units of preparation and those of each run, in order."""
    after = edges(work)
    position = work.order.position
    prepare = [unit for unit in work.in_order() if unit.prepared]
    memory = _Memory(work, placement, [unit for unit in after if not unit.prepared])
    waiting = Counter(item for unit, items in after.items() if not unit.prepared for item in items)
    ready = [
        (-memory.gain[unit], position[unit.number], unit.number, unit)
        for unit in memory.gain
        if waiting[unit] == 0
    ]
    heapq.heapify(ready)
    done: list[Unit] = []
    finished: set[Unit] = set()
    while ready:
        _, _, _, unit = heapq.heappop(ready)
        if unit in finished:
            continue
        finished.add(unit)
        done.append(unit)
        better = memory.run(unit)
        for item in after[unit]:
            waiting[item] -= 1
            if waiting[item] == 0:
                better.append(item)
        for item in better:
            if waiting[item] == 0 and item not in finished:
                heapq.heappush(
                    ready, (-memory.gain[item], position[item.number], item.number, item)
                )
    assert len(done) == len(memory.gain), "the steps depend on each other in a circle"
    return prepare, done


class _Memory:
    """What each unit frees over what it takes, kept up to date as units run."""

    def __init__(self, work: Work, placement: Placement, units: list[Unit]) -> None:
        analysis = work.analysis
        lasting = {analysis.root(value) for value in placement.outputs.values()}
        self.sizes: dict[Value, int] = {}
        self.users: dict[Value, set[Unit]] = {}
        self.needs: dict[Unit, list[Value]] = {}
        self.gain: dict[Unit, int] = {}

        def home(value: Value) -> Value:
            value = analysis.root(value)
            while value in placement.home:
                value = placement.home[value]
            return value

        made = {
            unit: [v for v in dict.fromkeys(map(home, unit.writes())) if v in work.writer]
            for unit in units
        }
        for unit in units:
            self.sizes.update((value, analysis.size(value.type)) for value in made[unit])
            needs = dict.fromkeys(home(value) for value in unit.reads())
            self.needs[unit] = [
                value for value in needs if value in self.sizes and value not in lasting
            ]
            for value in self.needs[unit]:
                self.users.setdefault(value, set()).add(unit)
        for unit in units:
            # What only the unit itself uses, or units that keep nothing (updates), is soon free.
            taken = [v for v in made[unit] if any(made[user] for user in self.users.get(v, ()))]
            self.gain[unit] = -sum(self.sizes[value] for value in taken)
        for value, users in self.users.items():
            if len(users) == 1:
                self.gain[next(iter(users))] += self.sizes[value]

    def run(self, unit: Unit) -> list[Unit]:
        """Note that a unit ran; gives the units that now free more."""
        better = []
        for value in self.needs[unit]:
            users = self.users[value]
            users.discard(unit)
            if len(users) == 1:
                (last,) = users
                self.gain[last] += self.sizes[value]
                better.append(last)
        return better
