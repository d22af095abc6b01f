"""Plans that are nearly right: each mutation changes one thing of a plan and keeps what hangs
together with it, most times, so that many mutants pass the engine's checks and run.
"""

from __future__ import annotations

import contextlib
import copy
import random
from typing import Any

from .fillings import (
    ATTRIBUTES,
    BIG,
    DIMENSIONS,
    DTYPES,
    INDICES,
    KINDS,
    SMALL,
    SPECIAL,
    WEIRD,
    is_integer,
)
from .tile_mutations import change_epilogue, change_tile

Plan = dict[str, Any]
Program = dict[str, Any]
Step = dict[str, Any]


def steps_of(program: Program) -> list[Step]:
    return [*program["steps"], *program["prepare"]]


def lists_of(step: Step) -> list[list[Any]]:
    """Every list of buffers that a step has."""
    lists = [step["operands"], step["results"]]
    if step.get("tile"):
        lists += [step["tile"]["loads"], step["tile"]["stores"]]
    return lists


def replaced(values: list[Any], old: Any, new: Any) -> list[Any]:
    return [new if value == old else value for value in values]


class Mutator:
    """Changes plans at random; `steps` are those of all networks, to put into others."""

    def __init__(self, choose: random.Random, steps: list[Step]) -> None:
        self.choose = choose
        self.steps = steps

    def mutate(self, plan: Plan) -> list[str]:
        """Changes the plan; gives the names of the mutations."""
        names = []
        for _ in range(self.choose.choice((1, 1, 1, 1, 2, 2, 3))):
            name = self.choose.choices(list(MUTATIONS), list(MUTATIONS.values()))[0]
            names.append(name)
            with contextlib.suppress(*GONE):
                getattr(self, name)(plan)
        return names

    # What a mutation works on.

    def program(self, plan: Plan) -> Program:
        programs = sorted(plan["programs"])
        often = [3 if name == "train" else 1 for name in programs]
        return plan["programs"][self.choose.choices(programs, often)[0]]

    def step(self, program: Program) -> Step:
        return self.choose.choice(steps_of(program))

    def step_by_kernel(self, steps: list[Step]) -> Step:
        """Each kernel is as likely as any other."""
        kernel = self.choose.choice(sorted({step["kernel"] for step in steps}))
        return self.choose.choice([step for step in steps if step["kernel"] == kernel])

    def likely(self, probability: float) -> bool:
        return self.choose.random() < probability

    # Numbers and anything else.

    def number(self, plan: Plan) -> None:
        """Any whole number."""
        leaves: list[tuple[Any, Any]] = []

        def walk(value: Any, holder: Any, key: Any) -> None:
            if is_integer(value):
                leaves.append((holder, key))
            elif isinstance(value, dict):
                for name, item in value.items():
                    walk(item, value, name)
            elif isinstance(value, list):
                for position, item in enumerate(value):
                    walk(item, value, position)

        walk(self.program(plan) if self.likely(0.9) else plan, None, None)
        holder, key = self.choose.choice(leaves)
        old = holder[key]
        near = (old + 1, old - 1, old * 2, -old, old + self.choose.choice(SMALL))
        small = (self.choose.choice(SMALL), self.choose.choice(SMALL))
        holder[key] = self.choose.choice((*near, *small, self.choose.choice(BIG)))

    def anything(self, plan: Plan) -> None:
        """Any place of the plan gets something that does not belong there."""
        places: list[tuple[Any, Any]] = []

        def walk(value: Any) -> None:
            items: Any = ()
            if isinstance(value, dict):
                items = value.items()
            elif isinstance(value, list):
                items = enumerate(value)
            for key, item in list(items):
                places.append((value, key))
                walk(item)

        walk(plan)
        holder, key = self.choose.choice(places)
        chance = self.choose.random()
        if chance < 0.35:
            holder[key] = copy.deepcopy(self.choose.choice(WEIRD))
        elif chance < 0.5:
            holder[key] = self.choose.choice(BIG)
        elif chance < 0.6:
            del holder[key]
        elif chance < 0.7 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(self.choose.choice(holder)))
        elif chance < 0.75 and isinstance(holder, list):
            self.choose.shuffle(holder)
        elif chance < 0.8:
            deep: list[Any] = []
            for _ in range(self.choose.choice((5, 100, 800))):
                deep = [deep]
            holder[key] = deep
        elif chance < 0.83 and isinstance(holder, list):
            holder.extend(copy.deepcopy(holder) * self.choose.choice((1, 3, 50)))
        else:
            other, name = self.choose.choice(places)
            holder[key] = copy.deepcopy(other[name])

    # Steps.

    def kernel(self, plan: Plan) -> None:
        """Another kernel's name, or its attributes too."""
        step = self.step(self.program(plan))
        other = self.choose.choice(self.steps)
        step["kernel"] = other["kernel"]
        if self.likely(0.5):
            step["attributes"] = copy.deepcopy(other["attributes"])
            if self.likely(0.3):
                step["tile"] = copy.deepcopy(other["tile"])
            elif self.likely(0.3):
                step["tile"] = None

    def operand(self, plan: Plan) -> None:
        """A step reads or writes another buffer, mostly one of the same type and shape."""
        program = self.program(plan)
        lists = [items for items in lists_of(self.step(program)) if items]
        chosen = self.choose.choice(lists)
        position = self.choose.randrange(len(chosen))
        old = chosen[position]
        buffers = program["buffers"]
        dtype, shape = buffers[old]["dtype"], buffers[old]["shape"]
        same = [i for i, b in enumerate(buffers) if b["dtype"] == dtype and i != old]
        shaped = [i for i in same if buffers[i]["shape"] == shape]
        chance = self.choose.random()
        if shaped and chance < 0.6:
            new = self.choose.choice(shaped)
        elif same and chance < 0.85:
            new = self.choose.choice(same)
        else:
            count = len(buffers)
            any_buffer = self.choose.randrange(count)
            new = self.choose.choice((any_buffer, count, -1, self.choose.choice(BIG)))
        for items in lists:  # what a tile loads are mostly its step's operands
            for i, item in enumerate(items):
                here = items is chosen and i == position
                if item == old and (here or self.likely(0.8)):
                    items[i] = new

    def order(self, plan: Plan) -> None:
        """Steps are lost, doubled, swapped, moved or come from elsewhere."""
        program = self.program(plan)
        key = "prepare" if program["prepare"] and self.likely(0.25) else "steps"
        steps, others = program[key], program["prepare" if key == "steps" else "steps"]
        at, to = self.choose.randrange(len(steps)), self.choose.randrange(len(steps))
        chance = self.choose.random()
        if chance < 0.25:
            del steps[at]
        elif chance < 0.4:
            steps.insert(to, copy.deepcopy(steps[at]))
        elif chance < 0.6:
            steps[at], steps[to] = steps[to], steps[at]
        elif chance < 0.75:
            others.append(steps.pop(at))
        elif chance < 0.85:
            steps.insert(at, copy.deepcopy(self.choose.choice(self.steps)))
        else:
            self.double_step(program, steps, at)

    def double_step(self, program: Program, steps: list[Step], at: int) -> None:
        """A copy of a step with results of its own, which some later steps read instead."""
        step = copy.deepcopy(steps[at])
        new = {}
        for result in step["results"]:
            buffer = {**program["buffers"][result], "kind": "temporary"}
            buffer.pop("variable", None)
            buffer.pop("alias", None)
            new[result] = len(program["buffers"])
            program["buffers"].append(copy.deepcopy(buffer))
        for items in lists_of(step)[1:]:
            items[:] = [new.get(item, item) for item in items]
        steps.insert(at + 1, step)
        for later in steps[at + 2 :]:
            if self.likely(0.5):
                reads = [later["operands"]]
                if later.get("tile"):
                    reads.append(later["tile"]["loads"])
                for items in reads:
                    items[:] = [new.get(item, item) for item in items]

    # Sizes.

    def extent_everywhere(self, plan: Plan) -> None:
        """One extent changes wherever it stands."""
        program = self.program(plan)
        extents = [d for b in program["buffers"] for d in b["shape"] if is_integer(d) and d > 0]
        old = self.choose.choice(extents)
        near = (old + 1, max(0, old - 1), old * 2)
        small = (self.choose.choice(SMALL), self.choose.choice(SMALL))
        new = self.choose.choice((*near, *small, self.choose.choice(DIMENSIONS)))
        programs = list(plan["programs"].values()) if self.likely(0.7) else [program]
        for one in programs:
            for buffer in one["buffers"]:
                buffer["shape"] = replaced(buffer["shape"], old, new)
            for step in steps_of(one):
                if step.get("tile"):
                    step["tile"]["domain"] = replaced(step["tile"]["domain"], old, new)
        if is_integer(new):
            for variable in plan["variables"]:
                variable["shape"] = replaced(variable["shape"], old, new)

    def extent(self, plan: Plan) -> None:
        """One buffer's shape changes."""
        program = self.program(plan)
        buffer = self.choose.choice(program["buffers"])
        shape = buffer["shape"]
        if not shape or self.likely(0.1):
            shape.insert(
                self.choose.randrange(len(shape) + 1), self.choose.choice((1, 1, 2, "N", 0))
            )
            return
        axis = self.choose.randrange(len(shape))
        chance = self.choose.random()
        if chance < 0.15:
            del shape[axis]
        elif chance < 0.3:
            self.choose.shuffle(shape)
        elif chance < 0.65:
            shape[axis] = self.choose.choice(DIMENSIONS)
        else:
            shape[axis] = self.choose.choice(SMALL if self.likely(0.8) else BIG)
        if self.likely(0.5) and buffer.get("variable") is not None:
            plan["variables"][buffer["variable"]]["shape"] = list(shape)

    def attribute(self, plan: Plan) -> None:
        steps = [step for step in steps_of(self.program(plan)) if step["attributes"]]
        attributes = self.step_by_kernel(steps)["attributes"]
        name = self.choose.choice(sorted(attributes))
        value = attributes[name]
        number = self.choose.choice(ATTRIBUTES if self.likely(0.85) else BIG)
        if isinstance(value, list) and value:
            chance = self.choose.random()
            if chance < 0.7:
                value[self.choose.randrange(len(value))] = number
            elif chance < 0.8:
                value[:] = [number] * len(value)
            elif chance < 0.85:
                value.append(number)
            elif chance < 0.9:
                value.pop()
            else:
                self.choose.shuffle(value)
        elif is_integer(value):
            attributes[name] = number
        elif isinstance(value, float):
            attributes[name] = self.choose.choice(SPECIAL)
        elif isinstance(value, str):
            attributes[name] = self.choose.choice(("sum", "mean", "max", "min", "same", ""))
        if self.likely(0.05):
            del attributes[name]

    def window(self, plan: Plan) -> None:
        """Another window, and extents of what it makes that fit it."""
        program = self.program(plan)
        buffers = program["buffers"]
        steps = [step for step in steps_of(program) if "padding" in step["attributes"]]
        step = self.step_by_kernel(steps)
        attributes, kernel = step["attributes"], step["kernel"]
        for key, values in WINDOWS.items():
            if key in attributes and self.likely(0.6):
                each = [self.choose.choice(values) for _ in attributes[key]]
                attributes[key] = each if self.likely(0.6) else [each[0]] * len(each)
        if kernel.startswith("conv2d_backward"):
            return
        if "backward" in kernel:
            large, small = buffers[step["results"][0]], buffers[step["operands"][-1]]
        else:
            large, small = buffers[step["operands"][0]], buffers[step["results"][0]]
        window = attributes.get("kernel") or buffers[step["operands"][1]]["shape"][:2]
        dilation, padding = attributes.get("dilation", [1, 1]), attributes["padding"]
        old, new = list(small["shape"]), list(small["shape"])
        for axis in (0, 1):
            room = large["shape"][1 + axis] + padding[2 * axis] + padding[2 * axis + 1]
            reach = dilation[axis] * (window[axis] - 1) + 1
            new[1 + axis] = (room - reach) // attributes["stride"][axis] + 1
        small["shape"] = new
        if self.likely(0.7):  # and all that has the same shape, which may read it
            for buffer in buffers:
                if buffer["shape"] == old:
                    buffer["shape"] = list(new)
            for other in steps_of(program):
                if other.get("tile") and other["tile"]["domain"] == old:
                    other["tile"]["domain"] = list(new)

    def far_window(self, plan: Plan) -> None:
        """Taps far apart, and so much more padding that no extent changes."""
        program = self.program(plan)
        steps = [step for step in steps_of(program) if "dilation" in step["attributes"]]
        step = self.step_by_kernel(steps)
        attributes = step["attributes"]
        buffers = [program["buffers"][i] for i in step["operands"] + step["results"]]
        weights = [b["shape"] for b in buffers if len(b["shape"]) == 4 and b["shape"][0] != "N"]
        window = attributes.get("kernel") or weights[0][:2]
        axis, far = self.choose.choice((0, 1)), self.choose.choice(FAR)
        more = (far - attributes["dilation"][axis]) * (window[axis] - 1)
        before = self.choose.choice((0, more, more // 2))
        attributes["dilation"][axis] = far
        attributes["padding"][2 * axis] += before
        attributes["padding"][2 * axis + 1] += more - before

    # Buffers.

    def buffer(self, plan: Plan) -> None:
        program = self.program(plan)
        buffers = program["buffers"]
        position = self.choose.randrange(len(buffers))
        buffer = buffers[position]
        chance = self.choose.random()
        if chance < 0.35:
            buffer["dtype"] = self.choose.choice(DTYPES)
        elif chance < 0.6:
            buffer["kind"] = self.choose.choice(KINDS)
        elif chance < 0.8:
            any_buffer = self.choose.randrange(len(buffers))
            before = max(0, position - 1)
            buffer["alias"] = self.choose.choice((any_buffer, before, -1, position, None))
            if self.likely(0.6):
                buffer["kind"] = "temporary"
        elif chance < 0.92:
            count = len(plan["variables"])
            buffer["variable"] = self.choose.choice((0, 1, count - 1, count, -1, None))
        else:
            old, new = self.choose.choice(DTYPES), self.choose.choice(DTYPES)
            for item in [*buffers, *plan["variables"]]:
                if item["dtype"] == old:
                    item["dtype"] = new

    def view(self, plan: Plan) -> None:
        """A view of a buffer, in another shape, instead of it in some places."""
        program = self.program(plan)
        buffers = program["buffers"]
        position = self.choose.randrange(len(buffers))
        buffer = buffers[position]
        shape = list(buffer["shape"])
        chance = self.choose.random()
        if 0.3 <= chance < 0.5:
            self.choose.shuffle(shape)
        elif chance < 0.7:
            shape = ["*".join(f"({d})" for d in shape)] if shape else [1]
        elif chance < 0.85:
            shape = [1, *shape] if len(shape) < 8 else shape
        elif len(shape) >= 2:
            shape = [*shape[:-2], "*".join(f"({d})" for d in shape[-2:])]
        kind = self.choose.choice(("temporary", buffer["kind"]))
        view = len(buffers)
        buffers.append({"dtype": buffer["dtype"], "shape": shape, "kind": kind, "alias": position})
        uses: list[tuple[Any, Any]] = [
            (items, i)
            for step in steps_of(program)
            for items in lists_of(step)
            for i, item in enumerate(items)
            if item == position
        ]
        uses += [(o, "buffer") for o in program["outputs"] if o["buffer"] == position]
        self.choose.shuffle(uses)
        for holder, key in uses[: self.choose.choice((1, 1, 2, 9))]:
            holder[key] = view

    def interface(self, plan: Plan) -> None:
        """Another input or output."""
        program = self.program(plan)
        any_buffer = self.choose.randrange(len(program["buffers"]))
        chance = self.choose.random()
        if chance < 0.25:
            name = f"extra{self.choose.randrange(9)}"
            program["outputs"].append({"name": name, "buffer": any_buffer})
        elif chance < 0.5:
            self.choose.choice(program["outputs"])["buffer"] = any_buffer
        else:
            key = self.choose.choice(("buffer", "role", "limit", "name"))
            values = {
                "buffer": any_buffer,
                "role": self.choose.choice(("data", "clock", "x")),
                "limit": self.choose.choice(BIG),
                "name": self.choose.choice(("step", "steps", "epoch", "epoch_steps", "", "image")),
            }
            self.choose.choice(program["inputs"])[key] = values[key]

    def indices(self, plan: Plan) -> None:
        """Whole numbers that a kernel takes come from outside, or from a step that makes them."""
        program = self.program(plan)
        buffers = program["buffers"]

        def whole(step: Step) -> list[int]:
            types = [buffers[item]["dtype"] for item in step["operands"]]
            return [i for i, dtype in enumerate(types) if dtype in ("u8", "i32", "i64")]

        takers = [step for step in program["steps"] if step["kernel"] != "tile" and whole(step)]
        step = self.step_by_kernel(takers)
        position = self.choose.choice(whole(step))
        buffer, new = buffers[step["operands"][position]], len(buffers)
        made = {"dtype": buffer["dtype"], "shape": list(buffer["shape"])}
        if self.likely(0.5):
            buffers.append({**made, "kind": "input"})
            program["inputs"].append({"name": f"extra_in{new}", "buffer": new})
        else:
            buffers.append({**made, "kind": "temporary"})
            maker = self.maker_of_indices(program, new)
            program["steps"].insert(program["steps"].index(step), maker)
        step["operands"][position] = new
        attributes = step["attributes"]
        if "padding" in attributes and self.likely(0.8):
            far = self.choose.choice(FAR)
            for axis in self.choose.choice(((0,), (1,), (1,), (0, 1))):
                attributes["padding"][2 * axis] = far
                if "dilation" in attributes:
                    attributes["dilation"][axis] = far

    def maker_of_indices(self, program: Program, result: int) -> Step:
        """A step that writes one number everywhere, or some numbers of the plan many times over."""
        shape = program["buffers"][result]["shape"]
        loads = []
        code: list[list[Any]] = [["const", self.choose.choice(INDICES)]]
        if self.likely(0.4):
            like = [i for i, b in enumerate(program["buffers"][:result]) if b["shape"] == shape]
            loads = [self.choose.choice(like)]
            code += [["load", 0], [self.choose.choice(("mul", "add", "sub")), 1, 0]]
        compute = self.choose.choice(("f32", "i64", "f64"))
        code.append(["store", 0, len(code) - 1])
        tile = {"role": "self", "compute": compute, "domain": list(shape)}
        tile |= {"loads": loads, "stores": [result]}
        step = {"kernel": "tile", "operands": loads, "results": [result], "attributes": {}}
        return {**step, "tile": {**tile, "code": code}}

    # Tile programs.

    def tile(self, plan: Plan) -> None:
        program = self.program(plan)
        steps = [step for step in steps_of(program) if step.get("tile")]
        change_tile(self.choose, program, self.choose.choice(steps))

    def epilogue(self, plan: Plan) -> None:
        program = self.program(plan)
        change_epilogue(self.choose, program, self.step(program))


FAR = (1, 2, 3, 5, 100, 10**5, 10**8, 2 * 10**9)
WINDOWS = {
    "stride": (1, 1, 2, 3, 4, 5),
    "padding": (0, 0, 1, 2, 3, 5, 9),
    "dilation": (1, 1, 2, 3),
    "kernel": (1, 2, 3, 4, 5, 7),
}

# An earlier mutation took away what this one changes.
GONE = (
    *(IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError),
    RecursionError,
)

# Methods of Mutator, and how often each is taken.
MUTATIONS = {
    "number": 3,
    "anything": 2,
    "kernel": 2,
    "operand": 4,
    "order": 4,
    "extent_everywhere": 4,
    "extent": 3,
    "attribute": 4,
    "window": 4,
    "far_window": 2,
    "buffer": 3,
    "view": 3,
    "interface": 2,
    "indices": 5,
    "tile": 5,
    "epilogue": 4,
}
