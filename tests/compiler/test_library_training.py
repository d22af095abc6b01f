"""Optimizers, schedules, clipping, regularizers and initializers of the standard library.

The train graph is interpreted step by step in float64, beside PyTorch's optimizer on the same loss.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nnc import interpret
from nnc.elaborate import elaborate
from nnlang.syntax import Source

torch = pytest.importorskip("torch")

Array = np.ndarray[Any, Any]
STEPS = 6

NET = """
net M {
    input x: f32[N, 4]
    param w: f32[4, 3] = constant(0.5)
    param b: f32[3] = constant(-0.25)
    y = x @ w + b
    output z = y
}
train M {
    input t: f32[N, 3]
    loss = mean((y - t) * (y - t))
"""


def steps(keys: str, count: int = STEPS, before: str = "") -> list[dict[str, Array]]:
    """Parameters after each of some steps of training, by name."""
    made = elaborate(Source("<text>", f"{before}{NET}{keys}\n}}\n"))
    graph = made.graphs["train"]
    variables: dict[str, Array] = {v.name: v.initial for v in graph.variables}
    x, t = data()
    found = []
    for step in range(count):
        clock = {"step": float(step), "steps": float(count), "epoch_steps": 2.0}
        given = {item.name: clock[item.name] for item in graph.inputs if item.role == "clock"}
        _, updates = interpret.run(graph, {"x": x, "t": t, **given}, variables, double=True)
        variables = {**variables, **updates}
        found.append({name: variables[name] for name in ("w", "b")})
    return found


def data() -> tuple[Array, Array]:
    generator = np.random.default_rng(5)
    return generator.standard_normal((7, 4)), generator.standard_normal((7, 3))


def torch_steps(
    make: Callable[[list[torch.Tensor]], torch.optim.Optimizer],
    change: Callable[[list[torch.Tensor]], Any] = lambda parameters: None,
    penalty: Callable[[torch.Tensor, torch.Tensor], torch.Tensor | float] = lambda w, b: 0.0,
) -> list[dict[str, Array]]:
    w = torch.full((4, 3), 0.5, dtype=torch.float64, requires_grad=True)
    b = torch.full((3,), -0.25, dtype=torch.float64, requires_grad=True)
    x, t = (torch.from_numpy(array) for array in data())
    optimizer = make([w, b])
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = (x @ w + b - t).square().mean() + penalty(w, b)
        loss.backward()  # type: ignore[no-untyped-call]
        change([w, b])
        optimizer.step()
        found.append({"w": w.detach().numpy().copy(), "b": b.detach().numpy().copy()})
    return found


def agree(found: list[dict[str, Array]], wanted: list[dict[str, Array]]) -> None:
    for left, right in zip(found, wanted, strict=True):
        for name in ("w", "b"):
            np.testing.assert_allclose(left[name], right[name], rtol=1e-6, atol=1e-6)


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd()": lambda p: torch.optim.SGD(p, 0.1),
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "sgd(momentum = 0.9)": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9),
    "sgd(0.9, nesterov = true)": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "sgd(momentum = 0.5, weight_decay = 0.1)": lambda p: torch.optim.SGD(
        p, 0.1, momentum=0.5, weight_decay=0.1
    ),
    "adam()": lambda p: torch.optim.Adam(p, 0.1),
    "adam(beta1 = 0.5, beta2 = 0.9, epsilon = 1e-4)": lambda p: torch.optim.Adam(
        p, 0.1, betas=(0.5, 0.9), eps=1e-4
    ),
    "adam(beta1 = 0)": lambda p: torch.optim.Adam(p, 0.1, betas=(0.0, 0.999)),
    "adamw(weight_decay = 0.3)": lambda p: torch.optim.AdamW(p, 0.1, weight_decay=0.3),
    "rmsprop()": lambda p: torch.optim.RMSprop(p, 0.1, alpha=0.9),
    "rmsprop(decay = 0.99, momentum = 0.8)": lambda p: torch.optim.RMSprop(
        p, 0.1, alpha=0.99, momentum=0.8
    ),
    "adagrad()": lambda p: torch.optim.Adagrad(p, 0.1),
}


@pytest.mark.parametrize("rule", OPTIMIZERS)
def test_optimizer(rule: str) -> None:
    found = steps(f"    optimizer = {rule}\n    learning_rate = 0.1")
    agree(found, torch_steps(OPTIMIZERS[rule]))


def test_the_default_is_adam_of_a_thousandth() -> None:
    agree(steps(""), torch_steps(lambda p: torch.optim.Adam(p, 0.001)))


def test_momentum_applies_the_rate_after_the_sum() -> None:
    """As PyTorch does: a change of the rate acts at once on the whole velocity."""
    rates = [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    found = steps("    optimizer = sgd(momentum = 0.9)\n    learning_rate = step(0.1, every = 1)")

    def make(parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD(parameters, 0.1, momentum=0.9)
        return optimizer

    optimizers: list[torch.optim.Optimizer] = []

    def keep(parameters: list[torch.Tensor]) -> torch.optim.Optimizer:
        optimizers.append(make(parameters))
        return optimizers[-1]

    count = iter(rates)

    def change(parameters: list[torch.Tensor]) -> None:
        optimizers[-1].param_groups[0]["lr"] = next(count)

    agree(found, torch_steps(keep, change))


# Schedules: with plain descent of a loss whose gradient is known, a step shows the rate.


def rates(schedule: str, count: int = 6) -> list[float]:
    text = f"""
net M {{
    input x: f32[N, 1]
    param w: f32[1] = zeros()
    y = x * w
    output z = y
}}
train M {{
    loss = mean(y)
    optimizer = sgd()
    learning_rate = {schedule}
}}
"""
    graph = elaborate(Source("<text>", text)).graphs["train"]
    found = []
    for step in range(count):
        clock = {"step": float(step), "steps": float(count), "epoch_steps": 2.0}
        given = {item.name: clock[item.name] for item in graph.inputs if item.role == "clock"}
        _, updates = interpret.run(graph, {"x": np.ones((1, 1)), **given}, double=True)
        found.append(-float(updates["w"][0]))
    return found


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ("0.25", lambda s: 0.25),
        ("constant(0.25)", lambda s: 0.25),
        ("0.5 / 2", lambda s: 0.25),
        ("step(0.8, every = 2, factor = 0.5)", lambda s: 0.8 * 0.5 ** (s // 4)),
        ("step(0.8, 1)", lambda s: 0.8 * 0.1 ** (s // 2)),
        ("exponential(0.8, 0.25)", lambda s: 0.8 * 0.25 ** (s / 2)),
        ("cosine(0.8)", lambda s: 0.4 + 0.4 * math.cos(math.pi * s / 6)),
        ("cosine(0.8, final = 0.2)", lambda s: 0.5 + 0.3 * math.cos(math.pi * s / 5)),
        ("warmup(0.8, epochs = 2)", lambda s: 0.8 * min((s + 1) / 4, 1)),
        (
            "warmup(cosine(0.8))",
            lambda s: (0.4 + 0.4 * math.cos(math.pi * s / 6)) * min((s + 1) / 2, 1),
        ),
        ("warmup(exponential(0.8, factor = 0.5), 3)", lambda s: 0.8 * 0.5 ** (s / 2) * (s + 1) / 6),
        ("if 1 < 2 { cosine(0.8) } else { 0.1 }", lambda s: 0.4 + 0.4 * math.cos(math.pi * s / 6)),
    ],
)
def test_schedule(schedule: str, wanted: Callable[[int], float]) -> None:
    assert rates(schedule) == pytest.approx([wanted(step) for step in range(6)], rel=1e-6)


def test_a_schedule_of_the_user() -> None:
    text = "block ramp(step, steps, epoch_steps, top) = top * step / steps\n"
    found = steps("    optimizer = sgd()\n    learning_rate = ramp(0.3)", 2, text)
    assert np.all(found[0]["w"] == 0.5)
    assert not np.any(found[1]["w"] == 0.5)


# Clipping


def test_clip_by_global_norm() -> None:
    keys = "    optimizer = sgd()\n    learning_rate = 0.1\n    clip = by_global_norm(0.2)"

    def change(parameters: list[torch.Tensor]) -> None:
        norm = torch.sqrt(sum((p.grad.square().sum() for p in parameters), torch.tensor(0.0)))
        assert norm > 0.2
        for p in parameters:
            p.grad *= 0.2 / norm

    agree(steps(keys), torch_steps(lambda p: torch.optim.SGD(p, 0.1), change))


def test_a_norm_below_the_limit_is_kept() -> None:
    keys = "    optimizer = sgd()\n    learning_rate = 0.1\n"
    agree(steps(keys + "    clip = by_global_norm(1000)"), steps(keys))


def test_clip_by_value() -> None:
    keys = "    optimizer = sgd()\n    learning_rate = 0.1\n    clip = by_value(0.05)"
    wanted = torch_steps(
        lambda p: torch.optim.SGD(p, 0.1), lambda p: torch.nn.utils.clip_grad_value_(p, 0.05)
    )
    agree(steps(keys), wanted)


# Regularizers


@pytest.mark.parametrize(
    ("regularizer", "penalty"),
    [
        ("l2(0.1)", lambda w, b: 0.1 * w.square().sum()),
        ("l1(0.1)", lambda w, b: 0.1 * w.abs().sum()),
        ("l2(0.1, true)", lambda w, b: 0.1 * (w.square().sum() + b.square().sum())),
        (
            "[l1(0.1), l2(0.2, all = true)]",
            lambda w, b: 0.1 * w.abs().sum() + 0.2 * (w.square().sum() + b.square().sum()),
        ),
    ],
)  # fmt: skip
def test_regularizer(regularizer: str, penalty: Any) -> None:
    keys = f"    optimizer = sgd()\n    learning_rate = 0.1\n    regularizer = {regularizer}"
    agree(steps(keys), torch_steps(lambda p: torch.optim.SGD(p, 0.1), penalty=penalty))


# Initializers


def first_value(initializer: str, shape: str) -> Array:
    parameter = f"param w: f32{shape} = {initializer}"
    text = f"net M {{\n    input x: f32[N, 1]\n    {parameter}\n    output y = x * sum(w)\n}}"
    return elaborate(Source("<text>", text)).graphs["predict"].variables[0].initial


@pytest.mark.parametrize(
    ("initializer", "shape", "bound"),
    [
        ("uniform(-0.5, 2)", "[400, 50]", (-0.5, 2.0)),
        ("glorot_uniform()", "[300, 60]", math.sqrt(6 / 360)),
        ("glorot_uniform(gain = 2)", "[3, 3, 20, 60]", 2 * math.sqrt(6 / (9 * 80))),
        ("he_uniform()", "[300, 60]", math.sqrt(6 / 300)),
        ("he_uniform()", "[3, 3, 20, 60]", math.sqrt(6 / 180)),
    ],
)
def test_uniform_initializers(initializer: str, shape: str, bound: Any) -> None:
    low, high = bound if isinstance(bound, tuple) else (-bound, bound)
    found = first_value(initializer, shape).astype(np.float64)
    assert low <= found.min() and found.max() <= high
    assert found.min() < low + 0.01 * (high - low)
    assert found.max() > high - 0.01 * (high - low)
    assert found.mean() == pytest.approx((low + high) / 2, abs=0.02 * (high - low))
    assert found.std() == pytest.approx((high - low) / math.sqrt(12), rel=0.02)


@pytest.mark.parametrize(
    ("initializer", "shape", "mean", "deviation"),
    [
        ("normal()", "[200, 100]", 0, 1),
        ("normal(3, 0.5)", "[200, 100]", 3, 0.5),
        ("unit_normal()", "[200, 100]", 0, 1),
        ("glorot_normal()", "[300, 60]", 0, math.sqrt(2 / 360)),
        ("he_normal()", "[300, 60]", 0, math.sqrt(2 / 300)),
        ("he_normal()", "[5, 5, 12, 40]", 0, math.sqrt(2 / 300)),
    ],
)
def test_normal_initializers(initializer: str, shape: str, mean: float, deviation: float) -> None:
    found = first_value(initializer, shape).astype(np.float64)
    assert found.mean() == pytest.approx(mean, abs=0.03 * deviation)
    assert found.std() == pytest.approx(deviation, rel=0.03)
    inside = np.mean(np.abs(found - mean) < deviation)
    assert inside == pytest.approx(0.6827, abs=0.02)


def test_constant_initializers() -> None:
    assert np.all(first_value("zeros()", "[3, 2]") == 0)
    assert np.all(first_value("ones()", "[3, 2]") == 1)
    assert np.all(first_value("constant(0.5)", "[3, 2]") == 0.5)


@pytest.mark.parametrize("shape", ["[6, 6]", "[9, 4]", "[4, 9]", "[3, 3, 2, 8]"])
def test_orthogonal(shape: str) -> None:
    found = first_value("orthogonal(gain = 2)", shape).astype(np.float64)
    matrix = found.reshape(-1, found.shape[-1]) / 2
    rows, columns = matrix.shape
    product = matrix @ matrix.T if rows < columns else matrix.T @ matrix
    np.testing.assert_allclose(product, np.eye(min(rows, columns)), atol=1e-5)


def test_parameters_of_layers_start_as_their_initializers_say() -> None:
    text = "net M {\n    input x: f32[N, 100]\n    output y = x -> dense(200) -> batch_norm\n}"
    graph = elaborate(Source("<text>", text)).graphs["predict"]
    values = {
        v.name.rsplit(".", 2)[-2:][0] + "." + v.name.rsplit(".", 1)[-1]: v.initial
        for v in graph.variables
    }
    limit = math.sqrt(6 / 100)
    assert np.abs(values["dense.weight"]).max() == pytest.approx(limit, rel=0.01)
    assert not values["dense.offset"].any()
    assert np.all(values["batch_norm.scale"] == 1) and not values["batch_norm.offset"].any()
    assert np.all(values["batch_norm.variance"] == 1) and not values["batch_norm.mean"].any()
