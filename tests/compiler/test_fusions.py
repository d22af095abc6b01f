"""Each fusion that is made when a program is bound can be left out (NNC_FUSE), and the results stay
the same within rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nnrt import Error, Model

from .on_engines import compiled

NET = """
net Fused {
    input image: f32[N, 48, 48, 16]

    wide  = image -> conv(96, 1) -> relu6
    deep  = wide -> depthwise_conv(3) -> batch_norm -> relu6
    small = deep -> conv(24, 1)
    both  = (small, small -> conv(16, 3) -> relu) -> concat
    next  = both -> conv(24, 3) -> batch_norm -> relu
    sum   = (next -> conv(24, 3) -> batch_norm) + small
    logits = sum -> avg_pool(8) -> flatten -> dense(1024) -> relu -> dense(10)
    output result = logits
}

train Fused {
    input label: i64[N]

    loss          = cross_entropy(logits, label)
    optimizer     = sgd(momentum = 0.9)
    learning_rate = constant(0.05)
    batch         = 8
    epochs        = 1
}
"""
FUSIONS = ("chains", "sums", "columns", "held", "in_place")


def shape_of(model: Model) -> list[Any]:
    """What bindings of both programs look like: memory, and the algorithm of each step and why."""
    found = []
    for program, batch in (("predict", 8), ("train", 1), ("train", 64)):
        about = model.describe(program, N=batch)
        steps = [(step["kernel"], step["algorithm"], step["note"]) for step in about["steps"]]
        found.append((about["arena_bytes"], steps))
    return found


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    random = np.random.default_rng(5)
    images = random.standard_normal((16, 48, 48, 16), np.float32)
    return images, random.integers(0, 10, 16)


def trained(model: Model, data: tuple[Any, Any]) -> tuple[Any, dict[str, Any]]:
    model.fit(data, progress=False)
    values = {name: np.array(value) for name, value in model.parameters.items()}
    return model(data[0])[0], values


@pytest.mark.parametrize("off", [*FUSIONS, "chains,-sums,-columns,-held,-in_place"])
def test_results_stay_without_a_fusion(
    monkeypatch: pytest.MonkeyPatch, data: tuple[Any, Any], off: str
) -> None:
    # Which fusions are made follows from the instruction set: `generic` is on every machine.
    fused = compiled(monkeypatch, NET, THREADS=2, ISA="generic")
    shapes, (wanted, weights) = shape_of(fused), trained(fused, data)
    apart = compiled(monkeypatch, NET, THREADS=2, VERIFY=1, ISA="generic", FUSE=f"-{off}")
    assert shape_of(apart) != shapes
    found, values = trained(apart, data)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
    for name, value in weights.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("wrong", ["chains", "-chain", "-chains;-sums", "-chains,"])
def test_other_names_are_refused(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    with pytest.raises(Error, match="expected -chains, -sums, -columns, -held or -in_place"):
        compiled(monkeypatch, NET, FUSE=wrong)
