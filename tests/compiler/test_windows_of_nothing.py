"""Windows that hold nothing but padding, and sizes of nothing, are mistakes: where the sizes are
known when compiling, with the line, else when the network is called.
"""

from __future__ import annotations

import nnc
import numpy as np
import pytest
from nnlang import DiagnosticError
from nnrt import Error


def net(layers: str, size: str = "8") -> str:
    return f"net X {{\n    input x: f32[N, {size}, {size}, 2]\n    output y = x -> {layers}\n}}\n"


@pytest.mark.parametrize(
    "layer",
    [
        "max_pool(2, padding = 2)",
        "avg_pool(2, padding = 2)",
        "avg_pool(3, padding = (0, 3))",
        "max_pool(3, padding = (0, 0, 0, 3))",
        "max_pool((1, 2), padding = 1)",
    ],
)
def test_windows_of_padding_alone(layer: str) -> None:
    for size in ("8", "S"):
        with pytest.raises(DiagnosticError, match="padding"):
            nnc.compile(net(layer, size))


@pytest.mark.parametrize(
    "layer",
    [
        "max_pool(2, padding = 1)",
        "avg_pool(3, padding = 2)",
        "max_pool(2, dilation = 2, padding = 2)",
    ],
)
def test_windows_that_hold_something(layer: str) -> None:
    result = nnc.compile(net(layer))(np.ones((1, 8, 8, 2), np.float32))
    assert np.isfinite(result).all()


@pytest.mark.parametrize(
    "layers",
    [
        'conv(2, 5, padding = "valid") -> global_avg_pool',
        'conv(2, 5, padding = "valid") -> global_max_pool',
        "max_pool(5) -> global_avg_pool",
        'conv(2, 3, padding = "valid") -> conv(2, 3, padding = "valid") -> global_avg_pool',
        'conv(2, 3, dilation = 2, padding = "valid") -> flatten_all',
    ],
)
def test_images_too_small(layers: str) -> None:
    layers = layers.replace("flatten_all", "global_avg_pool")
    with pytest.raises(DiagnosticError):
        nnc.compile(net(layers, "4"))
    model = nnc.compile(net(layers, "S"))
    assert np.isfinite(model(np.ones((1, 9, 9, 2), np.float32))).all()
    for size in (1, 3, 4):
        with pytest.raises(Error, match=r"<text>:3"):
            model(np.ones((1, size, size, 2), np.float32))
