"""What would compute something else than was meant, without a word, is a mistake: u8 that wraps
around, rows that meet each other, statistics that move in what is frozen, slices past an end.
"""

from __future__ import annotations

from typing import Any

import nnc
import numpy as np
import pytest
from nnc.elaborate import elaborate
from nnlang import DiagnosticError
from nnlang.syntax import Source
from nnrt import Error


def net(value: str) -> str:
    return (
        "net X {\n    input image: u8[N, 4]\n    input other: u8[N, 4]\n"
        f"    output y = f32({value}) + 0 * f32(other)\n}}\n"
    )


@pytest.mark.parametrize(
    ("value", "instead"),
    [
        ("(image - 128)", "f32(image) - 128"),
        ("(255 - image)", "255 - f32(image)"),
        ("(image + other)", "f32(image) + f32(other)"),
        ("(image * 2)", "f32(image) * 2"),
        ("(image[:, :1] * image)", "f32(image[:, :1]) * f32(image)"),
        ("(image - [1, 2, 3, 4])", "f32(image) - [1, 2, 3, 4]"),
    ],
)
def test_u8_does_not_wrap_around(value: str, instead: str) -> None:
    """The help, typed in, gives what arithmetic gives."""
    with pytest.raises(DiagnosticError) as error:
        nnc.compile(net(value))
    (found,) = error.value.diagnostics
    assert found.code == "N0302" and "wrap around" in found.message
    assert found.helps == (f"convert it first: `{instead}`",)
    model = nnc.compile(net(f"({instead})"))
    pixels = np.array([[0, 100, 200, 255]], np.uint8)
    names = {"image": pixels.astype(np.float32), "other": pixels.astype(np.float32)}
    plain = instead.replace("f32", "")
    expected = eval(plain, {}, names)  # the same expression of NumPy's floats
    np.testing.assert_array_equal(model(pixels, pixels), np.asarray(expected, np.float32))


@pytest.mark.parametrize("value", ["square(image)", "op.add(image, image)", "op.mul(image, other)"])
def test_functions_of_u8_do_not_wrap_around(value: str) -> None:
    with pytest.raises(DiagnosticError, match="of u8 would wrap around"):
        nnc.compile(net(value))


@pytest.mark.parametrize(
    "value", ["image // 3", "image % 7", "max(image, 100)", "select(image > 3, image, other)"]
)
def test_what_cannot_wrap_stays(value: str) -> None:
    nnc.compile(net(value))


PAIRS = """
net X {{
    input x: f32[N, 4]
    y = x -> dense(1)
    output result = y
}}
train X {{
    input t: f32[N]
    loss = {loss}
}}
"""


@pytest.mark.parametrize(
    "loss",
    [
        "mean(square(y - t))",
        "mean(square(t - y))",
        "mean(abs(y * t))",
        "mean(max(y, t))",
        "mean(min(t, y))",
        "mean(select(t > 0, y, 0 * y))",
        "mean(f32((y > 0) == (t > 0))) + mean(y)",
        "mean(square(reshape(y, (N, 1, 1)) - t))",
        "mean(square((y / t)))",
    ],
)
def test_rows_do_not_meet_each_other(loss: str) -> None:
    with pytest.raises(DiagnosticError) as error:
        nnc.compile(PAIRS.format(loss=loss))
    (found,) = error.value.diagnostics
    assert found.code == "N0312"
    assert "each of the N rows with each other" in found.message


@pytest.mark.parametrize(
    "loss", ["mean(square(sum(y, -1) - t))", "mean(square(y - reshape(t, (N, 1))))"]
)
def test_what_the_help_says(loss: str) -> None:
    with pytest.raises(DiagnosticError) as error:
        nnc.compile(PAIRS.format(loss="mean(square(y - t))"))
    helps = " ".join(error.value.diagnostics[0].helps)
    assert "`sum(y, -1)`" in helps and "`reshape(t, (N, 1))`" in helps
    model = nnc.compile(PAIRS.format(loss=loss))
    x = np.ones((3, 4), np.float32)
    t = np.array([1, 2, 3], np.float32)
    expected = np.mean((model(x)[:, 0] - t) ** 2)
    assert model.evaluate({"x": x, "t": t})["loss"] == pytest.approx(float(expected), rel=1e-5)


def test_pairs_that_are_asked_for() -> None:
    """All pairs of rows are fine where both sides have the axes."""
    nnc.compile(PAIRS.format(loss="mean(square(y - reshape(t, (1, N))))"))
    nnc.compile(PAIRS.format(loss="mean(square(reshape(t, (N, 1)) - t[None, :])) + mean(y)"))


FROZEN = """
net X {
    input x: f32[N, 4]
    h = x -> dense(8) -> batch_norm -> relu -> dropout(0.5)
    y = h -> dense(8) -> batch_norm -> dense(1)
    output result = y
}
train X {
    input t: f32[N, 1]
    FREEZE
    loss = mean_squared_error(y, t)
    optimizer = sgd()
    learning_rate = 0.1
}
"""


def trained(freeze: str) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    model = nnc.compile(FROZEN.replace("FREEZE", freeze))
    before = model.weights()
    generator = np.random.default_rng(0)
    x = generator.normal(3, 2, (64, 4)).astype(np.float32)
    model.fit({"x": x, "t": x[:, :1]}, epochs=2, progress=False, batch=16)
    return model, before, model.weights()


@pytest.mark.parametrize("freeze", ['freeze "h.*"', 'freeze "h*"', 'freeze "*h.*"'])
def test_nothing_moves_in_what_is_frozen(freeze: str) -> None:
    model, before, after = trained(freeze)
    moved = {name for name in before if not np.array_equal(before[name], after[name])}
    assert not any(name.startswith("h.") for name in moved)
    assert {"y.batch_norm.mean", "y.batch_norm.variance", "y.dense.weight"} <= moved
    del model


def test_what_is_not_frozen_moves() -> None:
    _, before, after = trained("")
    for name in before:
        assert not np.array_equal(before[name], after[name]), name


def test_frozen_layers_work_as_in_inference() -> None:
    """By the statistics they have, without dropout: a step has the loss that evaluation has."""
    text = FROZEN.replace("FREEZE", 'freeze "h.*"').replace(
        "y = h -> dense(8) -> batch_norm -> dense(1)", "y = h -> dense(1)"
    )
    model = nnc.compile(text)
    x = np.random.default_rng(0).normal(3, 2, (16, 4)).astype(np.float32)
    data = {"x": x, "t": x[:, :1]}
    expected = model.evaluate(data)["loss"]
    history = model.fit(data, epochs=1, batch=16, progress=False)
    assert history[0]["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_frozen_state_of_the_net_itself() -> None:
    text = """
net X {
    input x: f32[N, 4]
    param w: f32[4] = ones()
    param v: f32[4] = ones()
    state seen: f32[] = 0
    if training { seen = seen + 1 }
    output y = x * w * v + 0 * seen
}
train X {
    FREEZE
    loss = mean(y)
}
"""
    data = {"x": np.ones((4, 4), np.float32)}
    moving = nnc.compile(text.replace("FREEZE", ""))
    moving.fit(data, epochs=1, batch=2, progress=False)
    assert moving.states["seen"] == 2
    frozen = nnc.compile(text.replace("FREEZE", 'freeze "seen"\n    freeze "w"'))
    frozen.fit(data, epochs=1, batch=2, progress=False)
    assert frozen.states["seen"] == 0


def test_only_weights_frozen_leave_the_statistics() -> None:
    _, before, after = trained('freeze "h.*.scale"')
    assert not np.array_equal(before["h.batch_norm.mean"], after["h.batch_norm.mean"])
    assert np.array_equal(before["h.batch_norm.scale"], after["h.batch_norm.scale"])


@pytest.mark.parametrize(
    ("part", "rows", "message"),
    [
        ("x[:8]", 2, r"elements 0 to 7 of axis 0, which has 2"),
        ("x[5:9]", 6, r"elements 5 to 8 of axis 0, which has 6"),
        ("x[3]", 2, r"element 3 of axis 0, which has 2"),
        ("x[4:]", 2, r"N-4"),
        ("x[-3:]", 2, r"axis 0, which has 2"),
        ("x[-3]", 2, r"axis 0, which has 2"),
        ("x[7::-1]", 3, r"axis 0, which has 3"),
        ("split(x, [2, N - 2], 0)[0]", 1, r"axis 0, which has 1|N-2"),
    ],
)
def test_slices_past_the_end_of_an_open_axis(part: str, rows: int, message: str) -> None:
    """The size is known when the network is called: the message has the file, line, axis, size."""
    text = f"net X {{\n    input x: f32[N, 3]\n    output y = {part}\n}}\n"
    elaborate(Source("<text>", text))
    model = nnc.compile(text)
    with pytest.raises(Error, match=message) as error:
        model(np.ones((rows, 3), np.float32))
    assert "<text>:3" in str(error.value)
    model(np.ones((9, 3), np.float32))
