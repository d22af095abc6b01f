"""The whole way on the example nets: the same bits for any number of threads, the same accuracy on
every instruction set, every batch size from one file, every stage shown.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nnc
import nnrt
import numpy as np
import pytest
from nnc.cli import main
from nnrt import _engine

EXAMPLES = Path(__file__).parents[1] / "examples"
ISAS = _engine.machine()["available_isas"]

TRAIN = """
import hashlib, json, sys
import numpy as np, nnc
model = nnc.compile(sys.argv[1], **json.loads(sys.argv[2]))
generator = np.random.default_rng(0)
def draw(item):
    shape = [70 if d == "N" else d for d in item["shape"]]
    kinds = {"u8": "u1", "i64": "i8", "f32": "f4"}
    return generator.integers(0, 10, shape).astype(kinds[item["dtype"]])
data = {item["name"]: draw(item) for item in model.training["inputs"]}
history = model.fit(data, epochs=2, batch=32, validation=0, progress=False)
digest = hashlib.sha256()
for name in sorted(model.parameters):
    digest.update(np.asarray(model.parameters[name]).tobytes())
print(digest.hexdigest(), history[-1]["loss"])
"""


def run(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("example", "settings"),
    [
        ("digits.nn", {}),
        ("fashion.nn", {"width": 8}),
        ("resnet_small.nn", {"net": "ResNet20", "depth": 1}),
    ],
)
def test_threads_do_not_change_training(example: str, settings: dict[str, Any]) -> None:
    found = {
        run({"NNC_THREADS": str(n)}, str(EXAMPLES / example), json.dumps(settings))
        for n in (1, 2, 3)
    }
    assert len(found) == 1


@pytest.mark.parametrize("isa", [isa for isa in ISAS if isa != "reference"])
def test_every_instruction_set_trains_digits(isa: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nnc", "train", str(EXAMPLES / "digits.nn"), "--quiet"]
    log = tmp_path / "run.jsonl"
    environment = {**os.environ, "NNC_ISA": isa}
    subprocess.run([*command, "--log", str(log)], env=environment, check=True, capture_output=True)
    last = json.loads(log.read_text().splitlines()[-1])
    assert last["validation_accuracy"] >= 0.97


def test_one_file_runs_every_batch_size(tmp_path: Path) -> None:
    model = nnc.compile(EXAMPLES / "fashion.nn", width=8)
    model.save(tmp_path / "fashion.nnc")
    loaded = nnrt.load(tmp_path / "fashion.nnc")
    images = np.random.default_rng(0).integers(0, 256, (128, 28, 28, 1)).astype(np.uint8)
    for batch in (1, 7, 128, 0):
        found = loaded(images[:batch])
        assert found.shape == (batch, 10)
        assert found.tobytes() == model(images[:batch]).tobytes()


@pytest.mark.parametrize("stage", ["syntax", "graph", "gradient", "optimized", "plan"])
@pytest.mark.parametrize("example", ["fashion.nn", "resnet.nn"])
def test_dump_shows_every_stage(
    example: str, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dump", "--stage", stage, str(EXAMPLES / example)]) == 0
    first = hashlib.sha256(capsys.readouterr().out.encode()).hexdigest()
    assert main(["dump", "--stage", stage, str(EXAMPLES / example)]) == 0
    shown = capsys.readouterr().out
    assert hashlib.sha256(shown.encode()).hexdigest() == first
    assert ("Net" if stage == "syntax" else "conv2d") in shown


def test_resnet50_takes_a_training_step() -> None:
    model = nnc.compile(EXAMPLES / "resnet.nn")
    generator = np.random.default_rng(0)
    data = {
        "image": generator.random((1, 224, 224, 3), dtype=np.float32),
        "label": np.array([3], np.int64),
    }
    before = np.array(model.parameters["logits.dense.weight"])
    history = model.fit(data, epochs=1, batch=1, progress=False)
    assert np.isfinite(history[-1]["loss"])
    assert not np.array_equal(before, model.parameters["logits.dense.weight"])
