"""What the Python side reads from a plan: the data inputs of a program, and fewer programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from nnrt.validate import Input


def data_inputs(plan: Mapping[str, Any], program: str) -> list[Input]:
    """The arrays that a program takes, in its order. The plan has passed the engine's check."""
    source = plan["programs"][program]
    return [
        Input(
            item["name"],
            source["buffers"][item["buffer"]]["dtype"],
            tuple(source["buffers"][item["buffer"]]["shape"]),
            item.get("limit", -1),
        )
        for item in source["inputs"]
        if item.get("role", "data") == "data"
    ]


def numbers(plan: Mapping[str, Any], program: str) -> list[str]:
    """The outputs of a program that are numbers, in its order: what a pass averages."""
    source = plan["programs"][program]
    return [
        item["name"] for item in source["outputs"] if not source["buffers"][item["buffer"]]["shape"]
    ]


def open_sizes(inputs: Sequence[Input], arrays: Sequence[Any]) -> dict[str, int]:
    """What the open dimensions of the inputs are in these arrays."""
    return {
        dim: size
        for item, array in zip(inputs, arrays, strict=True)
        for dim, size in zip(item.shape, array.shape, strict=True)
        if isinstance(dim, str) and dim.isidentifier()
    }


def rest_of(program: str) -> str:
    """The program that computes, from the rows of a whole set, the metrics that are no means."""
    return f"{program}_metrics"


def with_parameters(plan: Mapping[str, Any], used: Set[int]) -> list[int]:
    """The variables, and the parameters of the masters among them."""
    masters = {plan["variables"][index].get("master_of") for index in used}
    named = [i for i, variable in enumerate(plan["variables"]) if variable["name"] in masters]
    return sorted({*used, *named})


def pruned(plan: Mapping[str, Any], programs: Sequence[str]) -> dict[str, Any]:
    """The plan with these programs alone, and only the variables that they use."""
    used = with_parameters(
        plan,
        {
            buffer["variable"]
            for name in programs
            for buffer in plan["programs"][name]["buffers"]
            if buffer.get("variable") is not None and buffer["variable"] >= 0
        },
    )
    number = {old: new for new, old in enumerate(used)}

    def renumbered(buffer: Mapping[str, Any]) -> dict[str, Any]:
        changed = dict(buffer)
        if changed.get("variable") in number:
            changed["variable"] = number[changed["variable"]]
        return changed

    kept = {}
    for name in programs:
        program = dict(plan["programs"][name])
        program["buffers"] = [renumbered(buffer) for buffer in program["buffers"]]
        kept[name] = program
    variables = [plan["variables"][index] for index in used]
    return {**plan, "variables": variables, "programs": kept}
