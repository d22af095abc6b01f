"""Models made by hand, without the compiler: a plan is plain data."""

from __future__ import annotations

from typing import Any

import numpy as np
from nnrt import Model

Dict = dict[str, Any]


def buffer(kind: str, shape: list[Any], dtype: str = "f32", **more: Any) -> Dict:
    return {"dtype": dtype, "shape": shape, "kind": kind, **more}


def tile(loads: list[int], stores: list[int], domain: list[Any], *code: list[Any]) -> Dict:
    program = {"role": "self", "compute": "f32", "domain": domain}
    program |= {"loads": loads, "stores": stores}
    return step("tile", loads, stores, tile={**program, "code": list(code)})


def step(kernel: str, operands: list[int], results: list[int], **more: Any) -> Dict:
    made = {"kernel": kernel, "operands": operands, "results": results, "attributes": {}}
    return {**made, "path": kernel, **more}


def forward(extra_buffers: list[Dict]) -> tuple[list[Dict], list[Dict]]:
    """y = x @ weight + offset in buffer 3; the buffers given follow as 4, 5, …"""
    buffers = [
        buffer("input", ["N", 3]),
        buffer("variable", [3, 2], variable=0),
        buffer("variable", [2], variable=1),
        buffer("temporary", ["N", 2]),
        *extra_buffers,
    ]
    plus_offset = {
        "role": "epilogue",
        "compute": "f32",
        "domain": ["N", 2],
        "loads": [3, 2],
        "stores": [3],
        "code": [["load", 0], ["load", 1], ["add", 0, 1], ["store", 0, 2]],
    }
    attributes = {"transpose_a": 0, "transpose_b": 0}
    return buffers, [step("matmul", [0, 1], [3], attributes=attributes, tile=plus_offset)]


def loss_part() -> tuple[list[Dict], list[Dict]]:
    """loss = mean((y - target)²) in buffer 6, from target 4 and the difference 5."""
    buffers = [
        buffer("input", ["N", 2]),
        buffer("temporary", ["N", 2]),
        buffer("output", []),
    ]
    square = {
        "role": "prologue",
        "compute": "f32",
        "domain": ["N", 2],
        "loads": [5],
        "stores": [6],
        "code": [["load", 0], ["mul", 0, 0], ["store", 0, 1]],
    }
    attributes = {"axes": [0, 1], "op": "mean", "keepdims": 0}
    steps = [
        tile([3, 4], [5], ["N", 2], ["load", 0], ["load", 1], ["sub", 0, 1], ["store", 0, 2]),
        step("reduce", [5], [6], attributes=attributes, tile=square),
    ]
    return buffers, steps


def update(variable: int, gradient: int, velocity: int, clock: int, shape: list[int]) -> Dict:
    """velocity = 0.9 velocity + gradient; variable -= 0.1 (1 - step / steps / 2) velocity."""
    return tile(
        [variable, gradient, velocity, clock],
        [velocity, variable],
        shape,
        ["load", 0],
        ["load", 1],
        ["load", 2],
        ["load", 3],
        ["const", 0.9],
        ["mul", 2, 4],
        ["add", 5, 1],
        ["const", 0.1],
        ["const", 0.0005],
        ["mul", 3, 8],
        ["sub", 7, 9],
        ["mul", 6, 10],
        ["sub", 0, 11],
        ["store", 0, 6],
        ["store", 1, 12],
    )


def train_program() -> Dict:
    loss_buffers, loss_steps = loss_part()
    buffers, steps = forward(
        [
            *loss_buffers,
            buffer("temporary", ["N", 2]),  # 7: gradient of y
            buffer("temporary", [3, 2]),  # 8: of weight
            buffer("temporary", [2]),  # 9: of offset
            buffer("variable", [3, 2], variable=2),  # 10: velocity
            buffer("variable", [2], variable=3),  # 11
            buffer("input", []),  # 12: step
        ]
    )
    scaled = [["load", 0], ["dim", "N"], ["div", 0, 1], ["store", 0, 2]]
    steps += [
        *loss_steps,
        tile([5], [7], ["N", 2], *scaled),
        step("matmul", [0, 7], [8], attributes={"transpose_a": 1, "transpose_b": 0}),
        step("reduce", [7], [9], attributes={"axes": [0], "op": "sum", "keepdims": 0}),
        update(1, 8, 10, 12, [3, 2]),
        update(2, 9, 11, 12, [2]),
    ]
    inputs = [
        {"name": "x", "buffer": 0, "role": "data", "limit": -1},
        {"name": "target", "buffer": 4, "role": "data", "limit": -1},
        {"name": "step", "buffer": 12, "role": "clock", "limit": -1},
    ]
    outputs = [{"name": "loss", "buffer": 6}]
    return {
        "buffers": buffers,
        "prepare": [],
        "steps": steps,
        "inputs": inputs,
        "outputs": outputs,
    }


def regression_plan() -> Dict:
    buffers, steps = forward([])
    buffers[3]["kind"] = "output"
    predict = {
        "buffers": buffers,
        "prepare": [],
        "steps": steps,
        "inputs": [{"name": "x", "buffer": 0, "role": "data", "limit": -1}],
        "outputs": [{"name": "y", "buffer": 3}],
    }
    loss_buffers, loss_steps = loss_part()
    buffers, steps = forward(loss_buffers)
    evaluate = {
        "buffers": buffers,
        "prepare": [],
        "steps": steps + loss_steps,
        "inputs": train_program()["inputs"][:2],
        "outputs": [{"name": "loss", "buffer": 6}],
    }

    def variable(name: str, shape: list[int], kind: str) -> Dict:
        return {"name": name, "dtype": "f32", "shape": shape, "kind": kind}

    return {
        "version": 3,
        "strict": 0,
        "symbols": ["N"],
        "variables": [
            variable("line.weight", [3, 2], "parameter"),
            variable("line.offset", [2], "parameter"),
            variable("optimizer.line.weight", [3, 2], "slot"),
            variable("optimizer.line.offset", [2], "slot"),
        ],
        "programs": {"predict": predict, "evaluate": evaluate, "train": train_program()},
    }


def regression_manifest() -> Dict:
    x = {"name": "x", "dtype": "f32", "shape": ["N", 3]}
    target = {"name": "target", "dtype": "f32", "shape": ["N", 2]}
    return {
        "format": 1,
        "nnc": "0.1.0",
        "net": "Line",
        "recipe": None,
        "settings": {},
        "inputs": [x],
        "outputs": [{"name": "y", "dtype": "f32", "shape": ["N", 2]}],
        "training": {
            "inputs": [x, target],
            "metrics": [],
            "batch": 8,
            "epochs": 3,
            "seed": 1,
            "shuffle": True,
            "data": None,
            "validation": None,
            "directory": "",
        },
        "summary": [
            {
                "path": "line",
                "layer": "dense",
                "shape": "[N, 2]",
                "parameters": 8,
                "flops": "14*N",
                "activation_bytes": "8*N",
                "source": "line.nn:3",
            }
        ],
    }


def regression_weights() -> dict[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(0)
    return {
        "line.weight": random.normal(size=(3, 2)).astype(np.float32),
        "line.offset": np.array([0.5, -0.5], np.float32),
        "optimizer.line.weight": np.zeros((3, 2), np.float32),
        "optimizer.line.offset": np.zeros(2, np.float32),
    }


def make_model() -> Model:
    sources = {"line.nn": "net Line { input x: f32[N, 3]\n output y = dense(x, 2) }\n"}
    return Model(regression_manifest(), regression_plan(), regression_weights(), sources)
