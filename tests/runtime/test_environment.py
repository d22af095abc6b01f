"""The environment variables of the engine, each in its own process; and where they are read."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
from nnrt import Error
from runtime.plans import make_model
try:
    model = make_model()
except Error as error:
    print("error:", error)
    raise SystemExit
x = np.arange(12, dtype=np.float32).reshape(4, 3)
result = model(x)
history = model.fit((x, result), epochs=2, progress=False)
print(model.engine.isa, model.engine.threads, model.parameters["weight"].tobytes().hex())
"""


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    code = PROGRAM.format(tests=str(ROOT / "tests"))
    cleaned = {name: value for name, value in os.environ.items() if not name.startswith("NNC_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**cleaned, **environment},
        capture_output=True,
        text=True,
        check=True,
    )


def test_threads_and_instruction_set_are_obeyed() -> None:
    three = run(NNC_THREADS="3", NNC_ISA="generic").stdout.split()
    assert three[:2] == ["generic", "3"]
    one = run(NNC_THREADS="1", NNC_ISA="generic", NNC_VERIFY="1").stdout.split()
    assert one[:2] == ["generic", "1"]
    assert one[2] == three[2]  # not one bit differs


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("NNC_THREADS", "many", "expected a whole number from 1 to 1024"),
        ("NNC_THREADS", "0", "expected a whole number from 1 to 1024"),
        ("NNC_ISA", "mmx", "unknown instruction set; choose one of reference, generic"),
        ("NNC_DEBUG", "loud", "expected a whole number from 0"),
        ("NNC_VERIFY", "-1", "expected a whole number from 0"),
    ],
)
def test_wrong_values_are_loud(name: str, value: str, expected: str) -> None:
    output = run(**{name: value}).stdout
    assert output.startswith(f"error: {name}={value}: ")
    assert expected in output


def test_an_absent_instruction_set_is_refused() -> None:
    from nnrt import _engine

    available = _engine.machine()["available_isas"]
    absent = next(isa for isa in ("neon", "avx512", "avx2") if isa not in available)
    assert f"this CPU or this build has no {absent}" in run(NNC_ISA=absent).stdout


def test_debugging_prints_phases_and_steps() -> None:
    assert run().stderr == ""
    phases = run(NNC_DEBUG="1").stderr
    assert "bind predict" in phases and "GFLOP/s" not in phases
    steps = run(NNC_DEBUG="2").stderr
    assert re.search(r"train: \d+ runs of .* arena .*lower bound", steps)
    assert re.search(r"matmul .* f32\[4, 2\] .* ms .* GFLOP/s .* GB/s", steps)


def test_the_environment_is_read_in_one_place() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.cpp", "*.h")
        for path in (ROOT / "runtime").rglob(pattern)
        if "getenv" in path.read_text()
    ]
    assert readers == ["runtime/core/options.cpp"]
    python = [
        path.name
        for path in (ROOT / "runtime" / "nnrt").rglob("*.py")
        if re.search(r"os\.environ|getenv", path.read_text())
    ]
    assert python == []
