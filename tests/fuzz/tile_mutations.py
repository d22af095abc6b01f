"""Changes of tile programs: of what a step computes element by element."""

from __future__ import annotations

import copy
import random
from typing import Any

from .fillings import (
    BINARY,
    DIMENSIONS,
    DTYPES,
    SMALL,
    SPECIAL,
    UNARY,
    arguments_of,
    is_integer,
)

Instruction = list[Any]
TERNARY = ("select",)
OTHERS = ("load", "store", "const", "dim", "uniform")


def change_tile(choose: random.Random, program: dict[str, Any], step: dict[str, Any]) -> None:
    tile = step["tile"]
    code, domain = tile["code"], tile["domain"]
    at = choose.randrange(len(code))
    chance = choose.random()
    if chance < 0.3:
        change_operator(choose, code[at])
    elif chance < 0.45:
        values = (0, 1, at - 1, at, at + 1, -1, len(code), choose.randrange(len(code)))
        code[at][choose.randrange(1, len(code[at]))] = choose.choice(values)
    elif chance < 0.5:
        del code[at]
    elif chance < 0.55:
        code.insert(at, copy.deepcopy(code[at]))
    elif chance < 0.62:
        to = choose.randrange(len(code))
        code[at], code[to] = code[to], code[at]
    elif chance < 0.7:
        tile["compute"] = choose.choice(DTYPES)
    elif chance < 0.78:
        domain[choose.randrange(len(domain))] = choose.choice(SMALL + DIMENSIONS)
    elif chance < 0.82:
        choose.shuffle(domain)
    elif chance < 0.92:
        lengthen(choose, tile)
    else:
        load_another(choose, program, step)


def change_operator(choose: random.Random, instruction: Instruction) -> None:
    name = instruction[0]
    if name in UNARY:
        instruction[0] = choose.choice(UNARY)
    elif name in BINARY:
        instruction[0] = choose.choice(BINARY)
    elif name == "const":
        instruction[1] = choose.choice(SPECIAL)
    elif name == "load":
        instruction[1] = choose.choice((0, 1, 2, 3, -1, 2**31))
    else:
        instruction[0] = choose.choice(UNARY + BINARY + TERNARY + OTHERS)


def new_instruction(choose: random.Random, registers: list[int]) -> Instruction:
    operator = choose.choice((*UNARY, *BINARY, *TERNARY, "uniform", "dim", "const"))
    if operator == "dim":
        return [operator, "N"]
    if operator == "uniform":
        return [operator, choose.randrange(2**32)]
    if operator == "const":
        return [operator, choose.choice((0.5, 2.0, float("nan")))]
    return [operator, *(choose.choice(registers) for _ in range(arguments_of(operator)))]


def lengthen(choose: random.Random, tile: dict[str, Any]) -> None:
    """More operators before the last store."""
    *body, last = tile["code"]
    if last[0] != "store":
        return
    for _ in range(choose.choice((1, 2, 5, 40))):
        registers = [i for i, instruction in enumerate(body) if instruction[0] != "store"]
        body.append(new_instruction(choose, registers))
    tile["code"] = [*body, ["store", last[1], len(body) - 1]]


def load_another(choose: random.Random, program: dict[str, Any], step: dict[str, Any]) -> None:
    """A load of any buffer before all others, which nothing uses yet."""
    tile = step["tile"]
    tile["loads"].append(choose.randrange(len(program["buffers"])))
    if step["kernel"] in ("tile", "reduce"):
        step["operands"] = list(tile["loads"])

    def shifted(instruction: Instruction) -> Instruction:
        name, *arguments = instruction
        if name in ("load", "uniform", "const", "dim"):
            return instruction
        fixed = 1 if name == "store" else 0  # a store's first argument is no register
        return [
            name,
            *arguments[:fixed],
            *(a + 1 if is_integer(a) else a for a in arguments[fixed:]),
        ]

    tile["code"] = [["load", len(tile["loads"]) - 1], *map(shifted, tile["code"])]


def change_epilogue(choose: random.Random, program: dict[str, Any], step: dict[str, Any]) -> None:
    """Another tile program on the step's first result, or none."""
    if choose.random() < 0.3:
        step["tile"] = None
        return
    buffers = program["buffers"]
    result = step["results"][0]
    shape, dtype = list(buffers[result]["shape"]), buffers[result]["dtype"]
    broadcast = [i for i, b in enumerate(buffers) if b["shape"] in (shape, shape[-1:], [])]
    loads = [result, *(choose.choice(broadcast) for _ in range(choose.choice((0, 1, 2, 3))))]
    stores = [result]
    if choose.random() < 0.4:
        stores.append(len(buffers))
        other = choose.choice((dtype, dtype, "u8", "i64", "bool", "f64", "bf16"))
        buffers.append({"dtype": other, "shape": list(shape), "kind": "temporary"})
    code: list[Instruction] = [["load", i] for i in range(len(loads))]
    for _ in range(choose.choice((1, 2, 3, 6))):
        operator = choose.choice(UNARY + BINARY + TERNARY)
        arguments = (choose.randrange(len(code)) for _ in range(arguments_of(operator)))
        code.append([operator, *arguments])
    top = len(code) - 1
    for i in range(len(stores)):
        code.append(["store", i, top if choose.random() < 0.8 else choose.randrange(top + 1)])
    step["tile"] = {
        "role": "epilogue",
        "compute": choose.choice(("f32", "f32", "f64", "i64")),
        "domain": shape,
        "loads": loads,
        "stores": stores,
        "code": code,
    }
