"""In place: concat and slice copy nothing that the makers of the columns can store, a residual is
replaced by the sum, and batch norm's gradient replaces that of its result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nnrt import Model, _engine

from .on_engines import check_training, compiled, first

# Makers of every kind. Of those in `more`, nobody makes `image` and a program that no kernel knows
# makes `e`: they are copied.
NET = """
net Columns {{
    input image: f32[N, {height}, {width}, {channels}]

    a = image -> conv({wide}, 3) -> relu
    b = a -> depthwise_conv(3)
    c = a -> conv({small}, 1) -> relu6
    d = c -> conv({small}, 3, stride = 2) -> conv_transpose({wide}, 3, stride = 2)
    e = c -> conv({wide}, 3) -> gelu
    f = a -> conv({small}, 5)
    wide = (a, b, c, d, f{more}) -> concat
    output result = wide -> conv(8, 3)
{outputs}}}
"""


def algorithms(model: Model, program: str, kernel: str, **symbols: int) -> list[str]:
    steps = model.describe(program, **symbols)["steps"]
    return [step["algorithm"] for step in steps if step["kernel"] == kernel]


@pytest.mark.parametrize("isa", ["", "avx2", "generic"])
@pytest.mark.parametrize("more", ["", ", image, a, e"])
@pytest.mark.parametrize(
    ("batch", "height", "width", "channels", "wide", "small"),
    [
        (1, 14, 18, 16, 32, 16),
        (3, 22, 26, 5, 48, 12),
        (2, 30, 14, 3, 70, 33),
        (4, 128, 126, 16, 16, 16),  # the concatenation is too large for the caches
    ],
)
def test_no_bit_changes(
    monkeypatch: pytest.MonkeyPatch,
    isa: str,
    more: str,
    batch: int,
    height: int,
    width: int,
    channels: int,
    wide: int,
    small: int,
) -> None:
    if isa and isa not in _engine.machine()["available_isas"]:
        pytest.skip(f"this CPU has no {isa}")
    sizes: dict[str, Any] = {"height": height, "width": width, "channels": channels}
    sizes |= {"wide": wide, "small": small, "more": more}
    settings: dict[str, Any] = {"ISA": isa} if isa else {}
    x = np.random.default_rng(1).standard_normal((batch, height, width, channels), np.float32)
    shown = "    output all = wide\n"  # an output is nobody's to write early
    apart = compiled(monkeypatch, NET.format(outputs=shown, **sizes), THREADS=2, **settings)
    assert algorithms(apart, "predict", "concat", N=batch) == ["copy"]
    wanted = first(apart(x))
    for threads in (1, 2, 16):
        model = compiled(
            monkeypatch, NET.format(outputs="", **sizes), THREADS=threads, VERIFY=1, **settings
        )
        made = algorithms(model, "predict", "concat", N=batch)
        assert made == (["copy"] if more else ["in place"])
        np.testing.assert_array_equal(first(model(x)), wanted)


GATES = """
net Gates {
    input image: f32[N, 20, 22, 3]

    a = image -> conv(24, 3) -> relu
    b = a -> conv(16, 3, stride = 2) -> relu -> conv_transpose(40, 2, stride = 2)
    both = (a, b, a) -> concat -> conv(64, 3)
    gated = both[:, :, :, :32] * sigmoid(both[:, :, :, 32:])
    logits = gated -> conv(5, 1) -> global_avg_pool

    output probability = softmax(logits)
}
"""


def test_training_writes_gradients_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(2)
    x = random.standard_normal((8, 20, 22, 3), np.float32)
    y = random.integers(0, 5, 8)

    def look(model: Model, isa: str) -> None:
        for kernel in ("concat", "slice"):
            made = algorithms(model, "train", kernel, N=4)
            assert made and (("in place" in made) == (isa == "")), (kernel, made)

    check_training(monkeypatch, GATES, (x, y), 4, look)


RESIDUAL = """
net Residual {{
    input image: f32[N, 18, 22, 16]

    a = image -> conv(32, 3) -> relu
    b = (a + (a -> conv(16, 1) -> relu -> conv(32, {taps}))) -> relu
    half = b -> conv(16, 3, stride = 2)
    c = (b + (half -> conv_transpose(32, 2, stride = 2))) -> relu
    output result = c -> conv(8, 3)
    output small = half  # given, so that no chain takes it
{outputs}}}
"""


@pytest.mark.parametrize("taps", [3, 5])  # 5x5 taps are summed in the result
@pytest.mark.parametrize("isa", ["", "avx2"])
def test_residuals_are_added_in_place(monkeypatch: pytest.MonkeyPatch, isa: str, taps: int) -> None:
    if isa and isa not in _engine.machine()["available_isas"]:
        pytest.skip(f"this CPU has no {isa}")
    settings: dict[str, Any] = {"ISA": isa} if isa else {}
    shown = "    output first = a\n    output second = b\n    output third = c\n"
    x = np.random.default_rng(3).standard_normal((3, 18, 22, 16), np.float32)
    apart = compiled(monkeypatch, RESIDUAL.format(outputs=shown, taps=taps), **settings)
    wanted = first(apart(x))
    model = compiled(monkeypatch, RESIDUAL.format(outputs="", taps=taps), VERIFY=1, **settings)
    np.testing.assert_array_equal(first(model(x)), wanted)
    one = 3 * 18 * 22 * 32 * 4
    # Half of one lies between the convolutions, beside what is added and replaced.
    assert (model.describe("predict", N=3)["arena_bytes"] <= 1.5 * one) == (taps == 3)


NORMS = """
net Norms {
    input image: f32[N, 24, 24, 16]

    y = image -> conv(16, 1, bias = false) -> batch_norm -> tanh
    y = y -> conv(16, 1, bias = false) -> batch_norm -> tanh
    logits = y -> global_avg_pool -> dense(3)

    output probability = softmax(logits)
}
"""


def test_gradients_of_batch_norm_replace_their_results(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(4)
    x = random.standard_normal((8, 24, 24, 16), np.float32)
    y = random.integers(0, 3, 8)

    def look(model: Model, isa: str) -> None:
        one = 4 * 24 * 24 * 16 * 4
        arena = model.describe("train", N=4)["arena_bytes"]
        assert (arena < 4.5 * one) == (isa == "")

    check_training(monkeypatch, NORMS, (x, y), 4, look)
