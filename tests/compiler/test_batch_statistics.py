"""Statistics of one value: refused before training, and no last batch is too small for them."""

from __future__ import annotations

from typing import Any

import nnc
import nnrt
import numpy as np
import pytest
from nnc.dims import is_at_least, parse_dim
from nnrt.batches import step_count

Array = np.ndarray[Any, Any]
TRAIN = """
train M {
    input t: f32[N]
    loss = mean_squared_error(p, t)
    optimizer = sgd()
    learning_rate = cosine(0.1)
    batch = 4
    epochs = 2
}
"""


def vectors(body: str, features: str = "3", before: str = "") -> str:
    return f"{before}net M {{\n    input x: f32[N, {features}]\n{body}\n}}\n{TRAIN}"


NORMED = vectors("    output p = x -> batch_norm as norm -> dense(1)")
IMAGES = f"""
net M {{
    input x: f32[N, H, W, 2]
    h = x -> conv(4, stride = 2) -> batch_norm as norm -> relu
    output p = h -> global_avg_pool -> dense(1)
}}
{TRAIN}"""


def data(rows: int, *shape: int) -> dict[str, Array]:
    rng = np.random.default_rng(rows)
    return {
        "x": rng.normal(size=(rows, *(shape or (3,)))).astype(np.float32),
        "t": rng.normal(size=rows).astype(np.float32),
    }


def fit(model: Any, given: dict[str, Array], **more: Any) -> Any:
    return model.fit(given, progress=False, **more)


def test_a_batch_of_one_is_refused_before_anything_is_learned() -> None:
    model = nnc.compile(NORMED)
    before = model.weights()
    with pytest.raises(nnrt.Error) as error:
        fit(model, data(8), batch=1)
    assert error.value.code == "N0731"
    text = str(error.value)
    assert "`batch` is 1" in text and "`p.norm` (<text>:3)" in text and "at least 2" in text
    assert all(np.array_equal(array, before[name]) for name, array in model.weights().items())
    assert model.step == 0


def test_what_the_error_advises_helps() -> None:
    assert len(fit(nnc.compile(NORMED), data(8), batch=2)) == 2
    layered = nnc.compile(NORMED.replace("batch_norm", "layer_norm"))
    assert len(fit(layered, data(8), batch=1)) == 2


def test_one_row_of_data_is_refused() -> None:
    with pytest.raises(nnrt.Error, match=r"the training data has 1 row, and `p\.norm`") as error:
        fit(nnc.compile(NORMED), data(1))
    assert error.value.code == "N0705"


@pytest.mark.parametrize(("rows", "batch"), [(5, 4), (9, 4), (3, 2), (101, 100), (13, 3)])
@pytest.mark.parametrize("shuffle", [False, True])
def test_a_last_batch_of_one_joins_the_one_before(rows: int, batch: int, shuffle: bool) -> None:
    model, given = nnc.compile(NORMED), data(rows)
    history = fit(model, given, batch=batch, epochs=3, shuffle=shuffle)
    steps = (rows - 1) // batch
    assert model.step == 3 * steps == 3 * step_count(rows, batch, 2)
    assert len(history) == 3
    loss = model.evaluate(given)["loss"]
    assert loss < 20
    assert all(np.isfinite(array).all() for array in model.weights().values())


@pytest.mark.parametrize("clock", ["steps", "epoch_steps", "step"])
def test_clocks_count_the_steps_that_are_made(clock: str) -> None:
    """The loss is the parameter, so each step takes the rate away from it."""
    text = f"""
block counted(step, steps, epoch_steps) = {clock}
net M {{
    input x: f32[N, 3]
    param w: f32[1] = zeros()
    output p = w + 0 * sum(x -> batch_norm, -1, keep = true)
}}
train M {{
    input t: f32[N]
    loss = mean(p) + 0 * mean(t)
    optimizer = sgd()
    learning_rate = counted()
}}
"""
    model = nnc.compile(text)
    fit(model, data(9), batch=4, epochs=3)  # 2 steps an epoch, of 4 rows and of 5
    wanted = {"steps": 6 * 6, "epoch_steps": 6 * 2, "step": sum(range(6))}[clock]
    assert model.parameters["w"] == pytest.approx(-wanted)


def test_the_steps_are_those_of_numpy() -> None:
    """5 rows in batches of 2: a step of 2 rows and one of 3."""
    model = nnc.compile(
        NORMED.replace("cosine(0.1)", "0.125").replace("batch = 4", "batch = 2"),
        precision="double",
    )
    given = {name: array.astype(np.float64) for name, array in data(5).items()}
    start = {
        name.split(".")[-2] + "." + name.split(".")[-1]: array.copy()
        for name, array in model.weights().items()
        if "optimizer" not in name
    }
    scale, offset = start["norm.scale"], start["norm.offset"]
    w, b = start["dense.weight"], start["dense.offset"]
    mean, variance = start["norm.mean"], start["norm.variance"]
    losses = []
    for rows in (slice(0, 2), slice(2, 5)):
        x, t = given["x"][rows], given["t"][rows][:, None]
        mu, var = x.mean(0), x.var(0)
        spread = 1 / np.sqrt(var + float(np.float32(1e-5)))
        normal = (x - mu) * spread
        y = normal * scale + offset
        p = y @ w + b
        losses.append((np.mean((p - t) ** 2), len(x)))
        dp = 2 * (p - t) / len(x)
        dy = dp @ w.T
        momentum = float(np.float32(0.9))
        mean = momentum * mean + (1 - momentum) * mu
        variance = momentum * variance + (1 - momentum) * var
        w, b = w - 0.125 * y.T @ dp, b - 0.125 * dp.sum(0)
        scale, offset = scale - 0.125 * (dy * normal).sum(0), offset - 0.125 * dy.sum(0)
    history = fit(model, given, epochs=1, shuffle=False)
    total = sum(loss * rows for loss, rows in losses) / 5
    assert history[-1]["loss"] == pytest.approx(total, rel=1e-6)
    for ending, wanted in (("weight", w), ("scale", scale), ("mean", mean), ("variance", variance)):
        name = next(n for n in model.weights() if n.startswith("p.") and n.endswith(ending))
        np.testing.assert_allclose(model.weights()[name], wanted, rtol=1e-6)


def test_nets_without_statistics_take_any_batch() -> None:
    model = nnc.compile(vectors("    output p = x -> dense(1)"))
    assert model.training is not None and model.training["statistics"] == []
    fit(model, data(5), batch=2)
    assert model.step == 2 * 3
    fit(model, data(5), batch=1)
    assert model.step == 2 * 3 + 2 * 5


def test_measuring_one_row_stays_possible() -> None:
    model = nnc.compile(NORMED)
    one = data(1)
    history = fit(model, data(9), batch=4, validation=one)
    assert np.isfinite(history[-1]["validation_loss"])
    assert model.evaluate(one, batch=1)["loss"] == history[-1]["validation_loss"]
    assert model(one["x"]).shape == (1, 1)


def test_images_of_one_pixel() -> None:
    """Whether one image is enough depends on its size."""
    model = nnc.compile(IMAGES)
    assert [place["values"] for place in model.training["statistics"]] != []
    assert len(fit(model, data(3, 4, 4, 2), batch=1)) == 2  # 2x2 pixels behind the convolution
    assert len(fit(model, data(3, 2, 3, 2), batch=1)) == 2  # 1x2
    with pytest.raises(nnrt.Error, match=r"`h\.norm`.*batch of at least 2"):
        fit(model, data(3, 2, 2, 2), batch=1)  # 1x1
    before = model.step
    fit(model, data(5, 1, 1, 2), batch=2, epochs=1)
    assert model.step == before + 2


def test_statistics_over_time_alone() -> None:
    """Of a table [T, C] without N: no batch helps."""
    text = (
        """
net M {
    input x: f32[N, T]
    h = reshape(mean(x, 0), (T, 1)) -> dense(2) -> batch_norm as norm
    output p = x @ reshape(mean(h, 1), (T, 1))
}
"""
        + TRAIN
    )
    model = nnc.compile(text)
    with pytest.raises(nnrt.Error, match=r"mean and variance of 1 value .*`T` is 1"):
        fit(model, data(8, 1))
    fit(model, data(8, 5), batch=1)


SINGLE = [
    ("x -> layer_norm", "1"),
    ("mean(x, 0, keep = true) -> batch_norm", "3"),
    ("x[0:1] -> batch_norm", "3"),
    ("mean(x, -1, keep = true) -> layer_norm", "3"),
]


@pytest.mark.parametrize(("expression", "features"), SINGLE)
def test_known_statistics_of_one_value_do_not_compile(expression: str, features: str) -> None:
    text = vectors(f"    h = {expression}\n    output p = (x -> dense(1)) + sum(h)", features)
    with pytest.raises(nnc.DiagnosticError) as error:
        nnc.compile(text)
    (found,) = error.value.diagnostics
    assert found.code == "N0301" and found.primary is not None and found.primary.span.line == 3
    assert "each mean and variance of 1 value" in found.message
    nnc.compile(text[: text.index("train M")])  # to use it takes no statistics of a batch


def test_which_sizes_are_certain() -> None:
    for text, certain in (
        ("N", False),
        ("2*N", True),
        ("N*H*W", False),
        ("N+1", True),
        ("49*N", True),
        ("N*((H+1)//2)", False),
        ("N*((H+3)//2)", True),
        ("3*N-2", False),
        ("N*((H-4)//2)", False),
        ("N*max(H,3)", True),
        ("5*N-H", False),
    ):
        assert is_at_least(parse_dim(text), 2) == certain, text


def test_a_manifest_with_wrong_statistics_is_refused() -> None:
    model = nnc.compile(NORMED)
    for wrong in (5, ["N"], [{"values": 3, "path": "", "source": ""}], [{"values": "N"}]):
        training = {**model.training, "statistics": wrong}
        with pytest.raises(nnrt.Error, match=r"`training\.statistics"):
            nnrt.Model({**model.manifest, "training": training}, model.plan, model.weights(), {})
    training = {**model.training, "statistics": [{"values": "N*Q*", "path": "a", "source": "b"}]}
    with pytest.raises(nnrt.Error, match=r"`training\.statistics"):
        nnrt.Model({**model.manifest, "training": training}, model.plan, model.weights(), {})
    del training["statistics"]  # a model compiled before they were noted
    old = nnrt.Model({**model.manifest, "training": training}, model.plan, model.weights(), {})
    assert len(fit(old, data(8))) == 2
