"""The summary says which convolutions round relative to the largest value of a tile."""

from __future__ import annotations

import nnc
import numpy as np
import pytest

IMAGE = (
    "net X {{ input image: f32[N, {size}, {size}, 32]\n output y = image -> conv(32, {kernel}) }}"
)


def test_the_summary_names_winograd() -> None:
    text = IMAGE.format(size=14, kernel=3)
    summary = nnc.compile(text).summary()
    assert "rounding: 1 of 1 convolutions (y.conv) run by Winograd's algorithm" in summary
    assert "Winograd" not in nnc.compile(text, precision="strict").summary()


@pytest.mark.parametrize("kernel", [1, 5])
def test_what_sums_directly_is_not_named(kernel: int) -> None:
    assert "Winograd" not in nnc.compile(IMAGE.format(size=14, kernel=kernel)).summary()


def test_open_sizes() -> None:
    summary = nnc.compile(IMAGE.format(size="S", kernel=3)).summary()
    assert "up to 1 convolutions, depending on the sizes," in summary


def test_what_the_summary_says_is_true() -> None:
    """The error beside an outlier, and that the advice helps."""
    text = IMAGE.format(size=14, kernel=3)
    image = np.random.default_rng(0).normal(size=(1, 14, 14, 32)).astype(np.float32)
    image[0, 6, 6, 0] = 1e6
    exact = nnc.compile(text, precision="double")(image.astype(np.float64))
    far = np.ones((14, 14), bool)
    far[5:8, 5:8] = False  # whose sums hold the outlier itself
    errors = {}
    for precision in ("default", "strict"):
        found = nnc.compile(text, precision=precision)(image)
        errors[precision] = float(np.abs(found - exact)[0][far].max())
    assert errors["strict"] < 1e-4
    assert errors["default"] < 2
