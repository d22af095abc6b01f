"""Chains of steps by row bands: made where they should be, and to no other result."""

from __future__ import annotations

from typing import Any

import nnc
import numpy as np
import pytest
from nnrt import Model, _engine

from .on_engines import check_training, compiled, first

NET = """
net Chain {{
    input image: f32[N, H, W, {channels}]

    wide  = image -> conv({wide}, 1) -> relu6
    deep  = wide -> depthwise_conv({kernel}, stride = {stride}) -> relu6
    small = deep -> conv({small}, 1)

    output result = small{more}
{outputs}}}
"""


def chains(model: Model, program: str, **symbols: int) -> list[str]:
    steps = model.describe(program, **symbols)["steps"]
    return [step["kernel"] for step in steps if step["algorithm"] == "chain"]


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize(
    ("height", "width", "channels", "wide", "kernel", "stride", "small"),
    [
        (61, 53, 16, 96, 3, 1, 24),
        (57, 41, 16, 96, 3, 1, 16),  # and the image is added to the result
        (61, 53, 16, 96, 3, 2, 24),
        (56, 56, 24, 144, 5, 1, 32),
        (57, 40, 20, 100, 5, 2, 12),
        (40, 64, 16, 128, 4, 3, 20),
        (48, 48, 12, 84, 1, 2, 16),
        (128, 130, 8, 64, 3, 1, 16),  # 5 images: too large for any cache
    ],
)
def test_chains_change_no_bit(
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    height: int,
    width: int,
    channels: int,
    wide: int,
    kernel: int,
    stride: int,
    small: int,
) -> None:
    sizes: dict[str, Any] = {
        "channels": channels,
        "wide": wide,
        "kernel": kernel,
        "stride": stride,
        "small": small,
    }
    sizes["more"] = " + image" if stride == 1 and small == channels else ""
    # Of an output nothing can be left out: each step by itself.
    shown = "    output first = wide\n    output second = deep\n"
    joined_source = NET.format(outputs="", **sizes)
    x = np.random.default_rng(3).standard_normal((batch, height, width, channels), np.float32)
    apart = compiled(monkeypatch, NET.format(outputs=shown, **sizes), THREADS=2, VERIFY=1)
    wanted = first(apart(x))
    assert not chains(apart, "predict", N=batch, H=height, W=width)
    for threads in (1, 2, 3):
        joined = compiled(monkeypatch, joined_source, THREADS=threads)
        assert chains(joined, "predict", N=batch, H=height, W=width)
        np.testing.assert_array_equal(first(joined(x)), wanted)
    reference = compiled(monkeypatch, joined_source, ISA="reference")
    assert not chains(reference, "predict", N=batch, H=height, W=width)
    np.testing.assert_allclose(first(reference(x)), wanted, rtol=1e-4, atol=1e-4)


def test_no_image_and_one_pixel(monkeypatch: pytest.MonkeyPatch) -> None:
    source = NET.format(outputs="", more="", channels=8, wide=48, kernel=3, stride=1, small=8)
    model = compiled(monkeypatch, source, THREADS=2)
    assert first(model(np.zeros((0, 8, 8, 8), np.float32))).shape == (0, 8, 8, 8)
    assert first(model(np.zeros((1, 1, 1, 8), np.float32))).shape == (1, 1, 1, 8)
    assert first(model(np.zeros((3, 1, 40, 8), np.float32))).shape == (3, 1, 40, 8)


POOL = """
net Pool {{
    input image: f32[N, H, W, {depth}]

    wide   = image -> conv({layer}) -> relu
    pooled = wide -> max_pool({pool})

    output result = pooled
{outputs}}}
"""


# The last gives its rows three at a time.
@pytest.mark.parametrize(
    ("depth", "layer"), [(5, "16, 5"), (5, "33, 5"), (3, "64, 7, stride = 2, padding = 3")]
)
@pytest.mark.parametrize(
    "pool", ["2", "3, stride = 2, padding = 1", "3, stride = 1", "2, stride = 3"]
)
def test_pooling_behind_a_convolution(
    monkeypatch: pytest.MonkeyPatch, depth: int, layer: str, pool: str
) -> None:
    sizes = {"N": 3, "H": 197, "W": 189} if depth == 3 else {"N": 3, "H": 97, "W": 89}
    x = np.random.default_rng(6).standard_normal((*sizes.values(), depth), np.float32)
    kind = {"depth": depth, "layer": layer, "pool": pool}
    shown = POOL.format(**kind, outputs="    output first = wide\n")
    # Winograd's algorithm, which makes no single rows, is not for taps of 5x5.
    apart = compiled(monkeypatch, shown)
    wanted = first(apart(x))
    assert not chains(apart, "predict", **sizes)
    hidden = POOL.format(**kind, outputs="")
    for threads in (1, 2, 3):
        joined = compiled(monkeypatch, hidden, THREADS=threads)
        assert chains(joined, "predict", **sizes) == ["max_pool"]
        np.testing.assert_array_equal(first(joined(x)), wanted)


STATISTICS = """
net Statistics {
    input image: f32[N, 66, 64, 8]

    wide   = image -> conv(256, 1, bias = false) -> batch_norm -> relu
    logits = wide -> conv(6, 1) -> global_avg_pool

    output probability = softmax(logits)
}
"""


def test_statistics_are_taken_on_the_way_to_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    x = random.standard_normal((8, 66, 64, 8), np.float32)
    y = random.integers(0, 6, 8)

    def look(model: Model, isa: str) -> None:
        # 8 images make 34 MB: too large for any cache.
        assert chains(model, "train", N=8) == ([] if isa else ["batch_norm", "batch_norm_backward"])

    check_training(monkeypatch, STATISTICS, (x, y), 8, look)


# The bands of these images do not fit into L2 then, and the model of the engine sees it.
SMALL_CACHE = _engine.machine()["l2_bytes"] < 2**20

GRADIENTS = """
net Gradients {{
    input image: f32[N, {height}, {width}, 4]

    wide   = image -> conv({wide}, 1, bias = false) -> batch_norm -> {activation}
    deep   = wide -> {layer} -> batch_norm -> relu
    logits = deep -> conv(8, 1, bias = false) -> batch_norm -> conv(6, 1) -> global_avg_pool

    output probability = softmax(logits)
}}
"""


# Images of 17 MB and more. What batch norm gives is made for the layer that takes it, and again for
# the gradient of that layer's weights; what its gradient gives, for both gradients of the layer.
@pytest.mark.parametrize(
    ("height", "width", "wide", "activation", "layer", "joined", "again"),
    [
        (61, 57, 208, "relu6", "depthwise_conv(3, bias = false)", 1, 2),
        (62, 60, 208, "relu", "depthwise_conv(5, bias = false)", 1, 2),
        (74, 74, 128, "relu6", "depthwise_conv(3, stride = 2, bias = false)", 0, 1),
        (60, 61, 208, "leaky_relu(0.1)", "conv(64, 1, bias = false)", 0, 0),
        (60, 60, 208, "relu", "conv(208, 3, groups = 13, bias = false)", 1, 1),
        (60, 60, 208, "relu", "batch_norm", 0, 1),
    ],
)
def test_gradients_in_chains(
    monkeypatch: pytest.MonkeyPatch,
    height: int,
    width: int,
    wide: int,
    activation: str,
    layer: str,
    joined: int,
    again: int,
) -> None:
    random = np.random.default_rng(7)
    x = random.standard_normal((6, height, width, 4), np.float32)
    y = random.integers(0, 6, 6)
    source = GRADIENTS.format(
        height=height, width=width, wide=wide, activation=activation, layer=layer
    )

    def look(model: Model, isa: str) -> None:
        notes = [step["note"] for step in model.describe("train", N=6)["steps"]]
        if not isa:
            found = sum("(and" in note for note in notes)
            assert found == joined or (found < joined and SMALL_CACHE)
            assert sum("recomputed" in note for note in notes) == again

    available = _engine.machine()["available_isas"]
    isas = ("", *(isa for isa in ("avx2", "generic") if isa in available))
    check_training(monkeypatch, source, (x, y), 6, look, isas)


@pytest.mark.parametrize(
    "layer",
    ["conv(80, 1)", "conv(80, 1, groups = 4)", "conv(72, 3, groups = 2)", "depthwise_conv(3)"],
)
def test_results_past_the_caches_are_those_of_single_images(layer: str) -> None:
    model = nnc.compile(
        f"net Large {{\n    input x: f32[N, H, W, 80]\n    output y = x -> {layer} -> relu\n}}\n"
    )
    x = np.random.default_rng(5).standard_normal((9, 100, 70, 80), np.float32)
    whole = model(x)
    assert whole.nbytes > 16 * 2**20  # a single image's result is a ninth of it
    for i in range(len(x)):
        np.testing.assert_array_equal(whole[i : i + 1], model(x[i : i + 1]))
