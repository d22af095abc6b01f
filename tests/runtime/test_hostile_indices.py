"""Files that ask for writes outside of tensors, or for work without end: an error or no harm.

Each runs in a process of its own, so that a crash or a hang is a failure and not the end of all
tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .plans import Dict, buffer, step, tile

PATIENCE = 60  # seconds for what takes one or two where nothing else runs

RUN = """
import json, sys, numpy as np
from nnrt import Error, _engine, artifact
plan, shapes, dtypes = json.load(sys.stdin)
try:
    engine = _engine.Engine(artifact.encoded(plan), 2)
    inputs = {name: np.ones(shapes[name], dtypes[name]) for name in shapes}
    for name, found in engine.run("main", inputs).items():
        print(name, float(np.abs(found).max()), found.shape)
except Error as error:
    print("Error", error)
"""


def plan_of(buffers: list[Dict], steps: list[Dict]) -> Dict:
    """One program; buffers of kind input and output are called b0, b1, …"""

    def named(kind: str) -> list[Dict]:
        return [
            {"name": f"b{index}", "buffer": index, "role": "data", "limit": -1}
            for index, spec in enumerate(buffers)
            if spec["kind"] == kind
        ]

    program = {
        "buffers": buffers,
        "prepare": [],
        "steps": steps,
        "inputs": named("input"),
        "outputs": [{"name": n["name"], "buffer": n["buffer"]} for n in named("output")],
    }
    return {
        "version": 3,
        "strict": 0,
        "symbols": ["N"],
        "variables": [],
        "programs": {"main": program},
    }


def run(plan: Dict, rows: int = 1, **environment: str) -> str:
    """What the outputs are, in words, or the error."""
    program = plan["programs"]["main"]
    inputs = [program["buffers"][item["buffer"]] for item in program["inputs"]]
    names = [item["name"] for item in program["inputs"]]
    types = {"f32": "float32", "f64": "float64", "u8": "uint8"}
    shapes = {
        name: [rows if dim == "N" else dim for dim in spec["shape"]]
        for name, spec in zip(names, inputs, strict=True)
    }
    dtypes = {name: types[spec["dtype"]] for name, spec in zip(names, inputs, strict=True)}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input=json.dumps([plan, shapes, dtypes]),
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout


def constant(value: float, to: int, shape: list[Any]) -> Dict:
    return tile([], [to], shape, ["const", value], ["store", 0, 0])


def unpooling(distance: int) -> Dict:
    """A gradient of maxima whose index names taps inside the image, taps `distance` columns before
    it, and none at all. It is made by rows of a chain, in bands that end inside of windows.
    """
    height, width, channels = 448, 64, 16
    small = ["N", height // 7, width // 2, channels]
    window = {
        "kernel": [7, 2],
        "stride": [7, 2],
        "padding": [0, 0, distance, 0],
        "dilation": [1, distance],
    }
    same = {"stride": [1, 1], "padding": [1, 1, 1, 1], "dilation": [1, 1], "groups": 1}
    return plan_of(
        [
            buffer("input", ["N", height, width, 1]),
            buffer("temporary", small),
            buffer("temporary", small, "u8"),
            buffer("temporary", ["N", height, width, channels]),
            buffer("output", [3, 3, 1, channels]),
        ],
        [
            constant(1, 1, small),
            step("iota", [], [2], attributes={"axis": 2}),
            step("max_pool_backward", [2, 1], [3], attributes=window),
            step("conv2d_backward_weight", [0, 3], [4], attributes=same),
        ],
    )


@pytest.mark.parametrize("distance", [64, 1000, 4_000_000, 1_000_000_000])
def test_gradients_of_taps_outside_go_nowhere(distance: int) -> None:
    # 64 rows of windows have 7 taps inside each, odd ones; those of the first row of pixels and of
    # the left column are missed by some weights, so the middle one has the most.
    expected = "b4 448.0 (3, 3, 1, 16)\n"
    for isa in ("reference", "generic"):
        assert run(unpooling(distance), NNC_ISA=isa) == expected
    assert run(unpooling(distance)) == expected


def test_a_file_with_such_a_plan_does_no_harm(tmp_path: Path) -> None:
    import nnrt
    from nnrt import artifact

    plan = unpooling(1_000_000)
    plan["programs"]["predict"] = plan["programs"].pop("main")
    inputs = [{"name": "b0", "dtype": "f32", "shape": ["N", 448, 64, 1]}]
    outputs = [{"name": "b4", "dtype": "f32", "shape": [3, 3, 1, 16]}]
    manifest = {"format": 1, "net": "Far", "inputs": inputs, "outputs": outputs}
    content = artifact.Artifact(
        {**manifest, "training": None, "summary": []}, artifact.encoded(plan), {}, {}
    )
    artifact.write(tmp_path / "far.nnc", content)
    code = (
        "import sys, numpy as np, nnrt\n"
        "found = nnrt.load(sys.argv[1])(np.zeros((1, 448, 64, 1), np.float32))\n"
        "print(np.abs(found).max())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "far.nnc")],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == "0.0\n"
    assert nnrt.load(tmp_path / "far.nnc").net == "Far"


def test_the_index_of_a_pool_may_be_any_input() -> None:
    from nnrt import _engine, artifact

    shape, small = ["N", 6, 6, 3], ["N", 3, 3, 3]
    window = {"kernel": [2, 2], "stride": [2, 2], "padding": [0, 0, 0, 0], "dilation": [1, 1]}
    plan = plan_of(
        [buffer("input", small, "u8"), buffer("input", small), buffer("output", shape)],
        [step("max_pool_backward", [0, 1], [2], attributes=window)],
    )
    random = np.random.default_rng(0)
    index = random.integers(0, 256, (5, 3, 3, 3), np.uint8)
    index[:2] %= 4
    gradient = random.normal(size=index.shape).astype(np.float32)
    expected = np.zeros((5, 6, 6, 3), np.float32)
    for place in np.ndindex(*index.shape):
        if index[place] < 4:
            n, i, j, c = place
            expected[n, 2 * i + index[place] // 2, 2 * j + index[place] % 2, c] = gradient[place]
    engine = _engine.Engine(artifact.encoded(plan), 2)
    found = engine.run("main", {"b0": index, "b1": gradient})["b2"]
    np.testing.assert_array_equal(found, expected)


def pool_plan(kernel: str, window: Dict, dtype: str) -> Dict:
    shape = ["N", 4, 4, 1]
    return plan_of(
        [buffer("input", shape, dtype), buffer("output", shape, dtype)],
        [step(kernel, [0], [1], attributes=window)],
    )


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("reach", [30_000, 1_000_000_000])
def test_padding_takes_no_time(dtype: str, reach: int) -> None:
    window = {"kernel": [2 * reach + 1] * 2, "stride": [1, 1], "padding": [reach] * 4}
    most = pool_plan("max_pool", {**window, "dilation": [1, 1]}, dtype)
    assert run(most, 2) == "b1 1.0 (2, 4, 4, 1)\n"
    for kernel in ("avg_pool", "avg_pool_backward"):
        plan = pool_plan(kernel, {**window, "count_padding": 0}, dtype)
        assert run(plan, 2) == "b1 1.0 (2, 4, 4, 1)\n"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"padding": [0, 0, 2, 0]}, "a padding of 2 is not smaller than the window"),
        ({"padding": [0, 2**40, 0, 0]}, "the padding is 1099511627776"),
        ({"padding": [-1, 0, 0, 0]}, "the padding is -1"),
        ({"stride": [0, 1]}, "the stride is 0"),
        ({"kernel": [2**40, 2]}, "the kernel is 1099511627776"),
        ({"kernel": [2**20, 2], "dilation": [2**20, 1]}, "the extent of the dilated kernel"),
    ],
)
def test_windows_are_refused_when_a_plan_is_loaded(change: Dict, expected: str) -> None:
    from nnrt import Error, _engine, artifact

    window = {"kernel": [2, 2], "stride": [1, 1], "padding": [0, 0, 0, 0], "dilation": [1, 1]}
    with pytest.raises(Error, match=expected):
        _engine.Engine(artifact.encoded(pool_plan("max_pool", {**window, **change}, "f32")), 2)


def reduction(elements: int, dtype: str = "f32") -> Dict:
    attributes = {"axes": [0], "op": "sum", "keepdims": 0}
    code = [["load", 0], ["exp", 0], ["store", 0, 1]]
    program = {"role": "prologue", "compute": dtype, "domain": [elements]}
    program |= {"loads": [0], "stores": [1], "code": code}
    return plan_of(
        [buffer("input", ["N"], dtype), buffer("output", [], dtype)],
        [step("reduce", [0], [1], attributes=attributes, tile=program)],
    )


@pytest.mark.parametrize("plan", [reduction(2**44), reduction(2**47), reduction(2**44, "f64")])
def test_absurd_work_is_refused(plan: Dict) -> None:
    found = run(plan)
    assert found.startswith("Error a call with these sizes would take about ")
    assert "operations" in found and "smaller batch" in found
    assert "step 0 (reduce, reduce)" in found


def test_work_adds_up() -> None:
    """Many steps of which each alone could be done."""
    plan = reduction(2**41)
    program = plan["programs"]["main"]
    for index in range(2, 80):
        program["buffers"].append(buffer("output", []))
        again = json.loads(json.dumps(program["steps"][0]))
        again["results"] = again["tile"]["stores"] = [index]
        program["steps"].append(again)
        program["outputs"].append({"name": f"b{index}", "buffer": index})
    assert "Error a call with these sizes would take about" in run(plan)


def chain(count: int) -> Dict:
    kinds = ["input", *["temporary"] * (count - 1), "output"]
    body = (["load", 0], ["exp", 0], ["store", 0, 1])
    steps = [tile([k], [k + 1], ["N", 64], *body) for k in range(count)]
    return plan_of([buffer(kind, ["N", 64]) for kind in kinds], steps)


def all_live(count: int) -> Dict:
    """`count` tensors that all live at the same time."""
    buffers = [buffer("input", ["N", 64])]
    steps = []
    for k in range(count):
        buffers.append(buffer("temporary", ["N", 64 + k % 7]))
        steps.append(constant(1, k + 1, ["N", 64 + k % 7]))
    attributes = {"axes": [0, 1], "op": "sum", "keepdims": 0}
    for k in range(count):
        buffers.append(buffer("output", []))
        steps.append(step("reduce", [count - k], [count + 1 + k], attributes=attributes))
    return plan_of(buffers, steps)


def concatenation(count: int) -> Dict:
    """Many steps of as many operands as are possible, all of them different."""
    buffers = [buffer("input", ["N", 1])]
    steps = []
    for k in range(4096):
        buffers.append(buffer("temporary", ["N", 1]))
        steps.append(constant(k, k + 1, ["N", 1]))
    for k in range(count):
        buffers.append(buffer("output", ["N", 4096]))
        operands = list(range(1, 4097))
        steps.append(step("concat", operands, [4097 + k], attributes={"axis": 1}))
    return plan_of(buffers, steps)


def wide_tile(count: int) -> Dict:
    """A tile program of many loads and stores of the same shape."""
    buffers = [buffer("input", ["N", 64])]
    buffers += [buffer("temporary", ["N", 64]) for _ in range(2 * count)]
    buffers += [buffer("output", ["N", 64])]
    made = [constant(1, k + 1, ["N", 64]) for k in range(count)]
    code = [["load", k] for k in range(count)] + [["store", k, k] for k in range(count)]
    loads, stores = list(range(1, count + 1)), list(range(count + 1, 2 * count + 1))
    last = tile([2 * count], [2 * count + 1], ["N", 64], ["load", 0], ["store", 0, 0])
    return plan_of(buffers, [*made, tile(loads, stores, ["N", 64], *code), last])


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (chain(30_000), "b30000 "),
        (all_live(12_000), "b24000 "),
        (concatenation(40), "b4136 "),
        (wide_tile(2000), "b4001 "),
    ],
    ids=["chain", "live", "concat", "tile"],
)
def test_long_plans_are_bound_in_seconds(plan: Dict, expected: str) -> None:
    assert expected in run(plan, 2)
