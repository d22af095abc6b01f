"""The seam between devices: the null device binds every example and runs nothing; a device that is
not there is an error; a model stays on its device.
"""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import nnc
import nnrt
import numpy as np
import pytest
from nnc.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
NETS = [
    ("breast_cancer.nn", {}),
    ("diabetes.nn", {}),
    ("digits.nn", {}),
    ("fashion.nn", {}),
    ("lenet.nn", {}),
    ("mlp.nn", {}),
    ("mobilenet.nn", {}),
    ("resnet.nn", {}),
    ("resnet_small.nn", {"net": "ResNet18"}),
    ("resnet_small.nn", {"net": "ResNet20"}),
    ("unet.nn", {}),
    ("vgg.nn", {}),
]
TINY = "net Tiny {\n    input x: f32[N, 3]\n    output y = x -> dense(2)\n}\n"


def test_every_example_is_named_here() -> None:
    assert {name for name, _ in NETS} == {path.name for path in EXAMPLES.glob("*.nn")}


@pytest.mark.parametrize(
    ("example", "settings"), NETS, ids=[" ".join([n, *s.values()]) for n, s in NETS]
)
def test_the_null_device_binds_every_example(example: str, settings: dict[str, Any]) -> None:
    path = EXAMPLES / example
    planned = nnc.compile(path, device="null", **settings)
    assert planned.device == "null"
    for program, content in planned.plan["programs"].items():
        symbols = dict.fromkeys(planned.plan["symbols"], 64)
        symbols["N"] = 2
        found = planned.describe(program, **symbols)
        kernels = [step["kernel"] for step in content["steps"]]
        assert [step["kernel"] for step in found["steps"]] == kernels
        assert found["arena_bytes"] >= found["lower_bound_bytes"] > 0
        assert {step["algorithm"] for step in found["steps"]} == {"none"}


def test_the_null_device_runs_nothing() -> None:
    model = nnc.compile(EXAMPLES / "digits.nn", device="null")
    before = model.weights()
    generator = np.random.default_rng(0)
    data = {
        item["name"]: generator.integers(0, 9, [70 if d == "N" else d for d in item["shape"]])
        for item in model.training["inputs"]  # type: ignore[index]
    }
    kinds = {item["name"]: item["dtype"] for item in model.training["inputs"]}  # type: ignore[index]
    names = {"u8": "u1", "i64": "i8", "f32": "f4"}
    arrays = {name: value.astype(names[kinds[name]]) for name, value in data.items()}
    history = model.fit(arrays, epochs=2, batch=32, validation=0, progress=False)
    assert history[-1]["loss"] == 0
    after = model.weights()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_null_device_sees_shapes_that_do_not_fit() -> None:
    model = nnc.compile(TINY, device="null")
    with pytest.raises(nnrt.Error, match=r"expected f32\[N, 3\]"):
        model(np.zeros((4, 2), np.float32))
    assert np.array_equal(model(np.ones((4, 3), np.float32)), np.zeros((4, 2)))


def test_a_device_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    model = nnc.compile(TINY)
    path = tmp_path / "tiny.nnc"
    model.save(path)
    with pytest.raises(nnrt.Error, match=r"there is no device `gpu`: choose cpu, cuda or auto"):
        nnrt.load(path, device="gpu")
    with pytest.raises(nnrt.Error, match=r"tiny.nnc: .*`cuda` is not in this build"):
        nnrt.load(path, device="cuda")
    assert nnrt.load(path, device="auto").device == "cpu"


def test_the_environment_chooses_and_an_argument_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = nnc.compile(TINY).parameters["y.dense.weight"]
    monkeypatch.setenv("NNC_DEVICE", "null")
    model = nnc.compile(TINY)
    assert model.device == "null"
    assert np.array_equal(model.parameters["y.dense.weight"], expected)  # drawn on the CPU
    assert nnc.compile(TINY, device="cpu").device == "cpu"


def test_copies_stay_on_the_device() -> None:
    model = nnc.compile(TINY, device="null")
    assert copy.copy(model).device == "null"
    assert pickle.loads(pickle.dumps(model)).device == "null"


def test_commands_take_a_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = nnc.compile(TINY)
    path, rows = tmp_path / "tiny.nnc", tmp_path / "rows.npy"
    model.save(path)
    np.save(rows, np.ones((2, 3), np.float32))
    assert main(["predict", str(path), str(rows), "--device", "cpu"]) == 0
    capsys.readouterr()
    assert main(["predict", str(path), str(rows), "--device", "cuda"]) == 1
    assert "`cuda` is not in this build" in capsys.readouterr().err
