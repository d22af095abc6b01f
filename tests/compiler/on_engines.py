"""Nets compiled under settings of the environment, and the same training on several engines."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import nnc
import numpy as np
import pytest
from nnrt import Model

Array = np.ndarray[Any, Any]

# Of a net that gives logits of classes.
CLASSIFY = """
train {net} {{
    input label: i64[N]

    loss          = cross_entropy(logits, label)
    optimizer     = sgd
    learning_rate = constant(0.1)
    batch         = 4
    epochs        = 1
}}
"""


def compiled(monkeypatch: pytest.MonkeyPatch, source: str, **environment: object) -> Model:
    """With NNC_ISA, NNC_THREADS, NNC_VERIFY and NNC_FUSE as given, the others unset."""
    for name in ("ISA", "THREADS", "VERIFY", "FUSE"):
        monkeypatch.delenv(f"NNC_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(f"NNC_{name}", str(value))
    return nnc.compile(source)


def first(result: Any) -> Array:
    found: Array = result[0] if isinstance(result, tuple) else result
    return found


def check_training(
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    data: tuple[Array, Array],
    batch: int,
    look: Callable[[Model, str], None],
    isas: tuple[str, ...] = ("",),
) -> None:
    """A net learns to classify: three epochs end at the same bits on one and two threads, and near
    the reference kernels'.

    `isas`: instruction sets that there are ("": the best). `look` sees each model and its own
    before.
    """
    net = re.search(r"net (\w+)", source)
    assert net is not None
    source += CLASSIFY.format(net=net[1])
    found = {}
    for isa, threads in (("reference", 2), *((isa, count) for isa in isas for count in (1, 2))):
        settings = {"ISA": isa} if isa else {}
        model = compiled(monkeypatch, source, THREADS=threads, VERIFY=1, **settings)
        look(model, isa)
        model.fit(data, epochs=3, batch=batch, progress=False)
        found[isa, threads] = {name: np.array(value) for name, value in model.parameters.items()}
    for name, wanted in found["reference", 2].items():
        for isa in isas:
            one, two = found[isa, 1][name], found[isa, 2][name]
            np.testing.assert_array_equal(one, two)
            np.testing.assert_allclose(one, wanted, rtol=2e-3, atol=2e-5, err_msg=name)
