"""Groups elementwise nodes into tile programs.

Takes the analysis of a graph; gives groups: nodes of one domain and one compute type, and the
values each stores. Every node that something needs is in a group; a value used in its own group
alone is not materialized; cheap values are recomputed in each group that reads them. Groups never
depend on each other in a circle: a node's stage counts the longest way of edges that cannot be
fused, and only neighbours of one stage share a group, so a path that leaves a group cannot come
back.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from ..dims import Dim
from ..dtypes import NARROW
from ..graph import Node, Type, Value
from .analysis import Analysis

MOST_LOADS = 12
MOST_STORES = 6
MOST_INSTRUCTIONS = 64
# Programs over single numbers may be this many times larger: they only cost their start.
NUMBERS = 16
# Values of at most this many operations an element are recomputed rather than stored: with a load,
# and without one (random masks).
CHEAP = 4
CHEAP_FROM_NOTHING = 48
# To store a value and load it again counts as much as to keep it in memory for this many nodes.
TRAFFIC = 16
# Instructions of an expression over constants and dimensions that are repeated for each element.
SHORT_NUMBER = 3


@dataclass(eq=False)
class Group:
    """Nodes that become one tile program, with what it stores and loads."""

    domain: tuple[Dim, ...]
    compute: str
    prepared: bool
    nodes: list[Node]
    stores: list[Value] = field(default_factory=list)
    loads: dict[Value, None] = field(default_factory=dict)
    copies: dict[Value, None] = field(
        default_factory=dict
    )  # values of other groups that are computed again here
    first: int = 0

    def fits(self, recipes: dict[Value, Recipe | None]) -> bool:
        room = NUMBERS if self.domain == () else 1
        work = len(self.nodes) + len(self.loads) + len(self.stores)
        work += sum(recipe.count for value in self.copies if (recipe := recipes[value]))
        return (
            len(self.loads) <= room * MOST_LOADS
            and len(self.stores) <= room * MOST_STORES
            and work <= room * MOST_INSTRUCTIONS
        )


@dataclass(frozen=True)
class Recipe:
    """How to compute a value again: from which stored values, in how many operations an element and
    instructions.
    """

    leaves: tuple[Value, ...]
    flops: int
    count: int
    random: bool = False


def compute_type(node: Node) -> str | None:
    """What a tile program computes this node in; None where only truth values take part."""
    dtypes = {value.dtype for value in (*node.operands, *node.results)}
    for name in ("f64", "f32"):
        if name in dtypes:
            return name
    if dtypes & set(NARROW):
        return "f32"
    return None if dtypes == {"bool"} else "i64"


class Fusion:
    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.nodes = [node for node in analysis.graph.nodes if analysis.is_fusable(node)]
        self.compute: dict[Node, str] = {}
        self.recipes: dict[Value, Recipe | None] = {}
        self.group_of: dict[Node, Group] = {}
        self._flops: dict[str, int] = {}

    def run(self) -> list[Group]:
        self._choose_compute_types()
        for node in self.nodes:
            self.recipes[node.result] = self._recipe(node)
        self._join_neighbours()
        self._settle()
        if self._sink():
            self._settle()
        return self._groups()

    def _groups(self) -> list[Group]:
        return [group for group in dict.fromkeys(self.group_of.values()) if group.stores]

    # ------------------------------------------------------------ nodes

    def _choose_compute_types(self) -> None:
        wide = any(value.dtype == "f64" for node in self.nodes for value in node.results)
        for node in self.nodes:
            chosen = compute_type(node)
            if chosen is None:
                parents = (self.analysis.producer.get(value) for value in node.operands)
                known = [self.compute[p] for p in parents if p is not None and p in self.compute]
                chosen = known[0] if known else ("f64" if wide else "f32")
            self.compute[node] = chosen

    def _rounds(self, node: Node) -> bool:
        """Whether the value is exact only once stored: it is not of the type computed in."""
        dtype = node.result.dtype
        return bool(node.operands) and dtype != "bool" and dtype != self.compute[node]

    def _fuses(self, value: Value, user: Node) -> Node | None:
        """The node that makes `value`, where it may share a group with `user`."""
        if user not in self.compute:
            return None
        node = self.analysis.producer.get(value)
        if node is None or node not in self.compute:
            return None
        same = (
            node.result.shape == user.result.shape
            and self.compute[node] == self.compute[user]
            and (node.result in self.analysis.fixed) == (user.result in self.analysis.fixed)
            and bool(node.operands)
        )
        return node if same and not self._rounds(node) else None

    def _unit_flops(self, node: Node) -> int:
        name = node.op.name
        if name not in self._flops:
            operands = [Type(value.dtype, ()) for value in node.operands]
            results = [Type(value.dtype, ()) for value in node.results]
            flops = node.op.cost(operands, results, node.attributes).flops
            self._flops[name] = flops if isinstance(flops, int) else CHEAP + 1
        return self._flops[name]

    def _recipe(self, node: Node) -> Recipe | None:
        if self._rounds(node):
            return None
        leaves: dict[Value, None] = {}
        flops, count = self._unit_flops(node), 1
        random = "random" in node.op.traits
        for operand in node.operands:
            if self.is_leaf(operand, node):
                leaves[operand] = None
                continue
            recipe = self.recipes[operand]
            parent = self.analysis.producer[operand]
            if recipe is None or not self._fits_inside(parent, recipe, node):
                return None
            leaves.update(dict.fromkeys(recipe.leaves))
            flops, count = flops + recipe.flops, count + recipe.count
            random |= recipe.random
        wide = [leaf for leaf in leaves if leaf.shape == node.result.shape and leaf.shape]
        if len(wide) > 1 or len(leaves) > 3 or flops > (CHEAP if leaves else CHEAP_FROM_NOTHING):
            return None
        return Recipe(tuple(leaves), flops, count, random)

    def is_leaf(self, value: Value, user: Node) -> bool:
        node = self.analysis.producer.get(value)
        if node is None or node not in self.compute:
            return True
        if not node.operands:
            return False
        fixed = self.analysis.fixed
        prepared = value in fixed and user.result not in fixed
        recipe = self.recipes[value]
        return (value in self.analysis.stored or prepared) and not (recipe and not recipe.leaves)

    def _fits_inside(self, node: Node, recipe: Recipe, user: Node) -> bool:
        """Whether `node` may be computed again inside a program like that of `user`."""
        if node.operands and self.compute[node] != self.compute[user]:
            return False
        return self._fits_domain(node, recipe, user.result.shape)

    def _fits_domain(self, node: Node, recipe: Recipe, domain: tuple[Dim, ...]) -> bool:
        if node.result.shape == domain:
            return True
        if recipe.random:
            return False
        number = not recipe.leaves and self.analysis.elements(node.result.shape) == 1
        return recipe.flops == 0 or (number and recipe.count <= SHORT_NUMBER)

    # ------------------------------------------------------------ groups

    def _join_neighbours(self) -> None:
        """Groups of directly connected nodes of one stage, domain and compute type.

        Two kinds need no connection, as one stage never depends on itself: numbers that wait for no
        kernel (schedules, the optimizer's powers), and what reads several results of one kernel
        (the updates after a normalization).
        """
        stage: dict[Value, int] = {}
        late: set[Value] = set()
        joined: dict[Hashable, Node] = {}
        for node in self.analysis.graph.nodes:
            level = 0
            partners = [self._fuses(operand, node) for operand in node.operands]
            for operand, partner in zip(node.operands, partners, strict=True):
                if operand in stage:
                    level = max(level, stage[operand] + (partner is None))
            stage.update(dict.fromkeys(node.results, level))
            if node not in self.compute or any(operand in late for operand in node.operands):
                late.update(node.results)
            if node in self.compute:
                self._place(node, partners, stage)
                kind = (
                    level,
                    node.result.shape,
                    self.compute[node],
                    node.result in self.analysis.fixed,
                )
                for key in self._meeting_points(node, late):
                    self._meet(joined.setdefault((key, kind), node), node)

    def _meeting_points(self, node: Node, late: set[Value]) -> list[Node | None]:
        if node.operands and node.result.shape == () and node.result not in late:
            return [None]
        makers = dict.fromkeys(self.analysis.producer.get(operand) for operand in node.operands)
        return [maker for maker in makers if maker is not None and len(maker.results) > 1]

    def _meet(self, first: Node, node: Node) -> None:
        one, other = self.group_of[first], self.group_of[node]
        if one is not other:
            self._merge(one, other)

    def _place(self, node: Node, partners: Sequence[Node | None], stage: dict[Value, int]) -> None:
        made: Group | None = None
        for operand, other in zip(node.operands, partners, strict=True):
            if other is None or stage[operand] != stage[node.result]:
                continue
            group = self.group_of[other]
            if made is None:
                made = group
                made.nodes.append(node)
                self.group_of[node] = made
            elif group is not made:
                made = self._merge(made, group)
        if made is None:
            fixed = node.result in self.analysis.fixed
            self.group_of[node] = Group(node.result.shape, self.compute[node], fixed, [node])

    def _merge(self, one: Group, other: Group) -> Group:
        """The smaller joins the larger."""
        if len(one.nodes) < len(other.nodes):
            one, other = other, one
        one.nodes += other.nodes
        for node in other.nodes:
            self.group_of[node] = one
        return one

    def _settle(self) -> None:
        """Decide what each group stores and loads; cut groups that are too large, until all fit."""
        while True:
            self._decide()
            large = [
                group
                for group in dict.fromkeys(self.group_of.values())
                if len(group.nodes) > 1 and not group.fits(self.recipes)
            ]
            for group in large:
                self._cut(group)
            if not large:
                return

    def _cut(self, group: Group) -> None:
        group.nodes.sort(key=self.analysis.index.__getitem__)
        middle = len(group.nodes) // 2
        rest = Group(group.domain, group.compute, group.prepared, group.nodes[middle:])
        group.nodes = group.nodes[:middle]
        for node in rest.nodes:
            self.group_of[node] = rest

    def _decide(self) -> None:
        groups = dict.fromkeys(self.group_of.values())
        for group in groups:
            group.stores, group.loads, group.copies = [], {}, {}
            group.first = min(self.analysis.index[node] for node in group.nodes)
        stored: set[Value] = set(self.analysis.stored)
        used: set[Value] = set()
        for node in reversed(self.nodes):
            group = self.group_of[node]
            if node.result in stored:
                group.stores.append(node.result)
            elif node.result not in used:
                continue
            for operand in node.operands:
                self._decide_operand(operand, group, stored, used)
        for group in groups:
            group.stores.sort(key=lambda value: self.analysis.index[self.analysis.producer[value]])

    def _decide_operand(
        self, operand: Value, group: Group, stored: set[Value], used: set[Value]
    ) -> None:
        parent = self.analysis.producer.get(operand)
        if parent is None or parent not in self.compute:
            group.loads[operand] = None
        elif self.group_of[parent] is group:
            used.add(operand)
        elif self._may_copy(parent, group):
            group.copies[operand] = None
            recipe = self.recipes[operand]
            assert recipe is not None
            for leaf in recipe.leaves:
                group.loads[leaf] = None
                stored.add(leaf)
        else:
            group.loads[operand] = None
            stored.add(operand)

    def _may_copy(self, node: Node, group: Group) -> bool:
        """Whether to compute `node` again in `group`: cheap, and what it reads is there anyway or
        takes no more memory.
        """
        recipe = self.recipes[node.result]
        if recipe is None or not self._fits_domain(node, recipe, group.domain):
            return False
        if node.operands and self.compute[node] != group.compute:
            return False
        if recipe.leaves and node.result in self.analysis.stored:
            return False
        if group.prepared != (node.result in self.analysis.fixed) and recipe.leaves:
            return False
        size = self.analysis.size(node.result.type)
        stay = size * (group.first - self.group_of[node].first + TRAFFIC)
        return all(
            self.analysis.size(leaf.type) <= size
            or self.analysis.size(leaf.type) * self._longer(leaf, group.first) <= stay
            for leaf in recipe.leaves
        )

    def _longer(self, value: Value, place: int) -> float:
        """How many nodes longer than anyway a value would have to stay in memory to be read at
        `place`.
        """
        root = self.analysis.root(value)
        if root not in self.analysis.producer or root in self.analysis.fixed:
            return 0
        until = max(self.analysis.kept_until.get(value, -1), self.analysis.kept_until.get(root, -1))
        return max(
            0, place - (until if until >= 0 else self.analysis.index[self.analysis.producer[root]])
        )

    # ------------------------------------------------------------ sinking

    def _sink(self) -> bool:
        """Join a group into the only group that reads it, unless that keeps more memory alive."""
        readers: dict[Value, set[Group]] = {}
        groups = self._groups()
        for group in groups:
            for value in group.loads:
                readers.setdefault(value, set()).add(group)
        changed = False
        for group in sorted(groups, key=lambda g: -max(self.analysis.index[n] for n in g.nodes)):
            targets = {
                self.group_of[target.nodes[0]]
                for value in group.stores
                for target in readers.get(value, ())
            }
            if len(targets) != 1 or any(value in self.analysis.stored for value in group.stores):
                continue
            (target,) = targets
            if target is not group and self._may_sink(group, target):
                self._join_into(group, target)
                changed = True
        return changed

    def _may_sink(self, group: Group, target: Group) -> bool:
        same = (group.domain, group.compute, group.prepared) == (
            target.domain,
            target.compute,
            target.prepared,
        )
        if not same or any(self._rounds(self.analysis.producer[value]) for value in group.stores):
            return False
        loads = {**target.loads, **group.loads}
        work = (
            len(target.nodes)
            + len(group.nodes)
            + len(target.copies)
            + len(group.copies)
            + len(loads)
        )
        if len(loads) > MOST_LOADS or work > MOST_INSTRUCTIONS // 2:
            return False
        extra = sum(
            self.analysis.size(value.type)
            for value in group.loads
            if value not in target.loads and self._longer(value, target.first) > 0
        )
        return extra <= sum(self.analysis.size(value.type) for value in group.stores)

    def _join_into(self, group: Group, target: Group) -> None:
        target.nodes += group.nodes
        for value in group.stores:
            target.loads.pop(value, None)
        target.loads.update(group.loads)
        target.copies.update(group.copies)
        for node in group.nodes:
            self.group_of[node] = target


def find_groups(analysis: Analysis) -> tuple[list[Group], Fusion]:
    fusion = Fusion(analysis)
    groups = fusion.run()
    for group in groups:
        group.nodes.sort(key=analysis.index.__getitem__)
    return groups, fusion
