"""Layers, activations, losses and metrics of the library against PyTorch or a closed form.

Each runs in float64 through the interpreter: `predict` for values, one step of `train` with plain
gradient descent of rate 1 for what training adds (batch statistics, gradients).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nnc import interpret
from nnc.elaborate import Elaborated, elaborate
from nnlang.syntax import Source

torch = pytest.importorskip("torch")
functional = torch.nn.functional

Array = np.ndarray[Any, Any]
CLOCK = {"step": 0.0, "steps": 10.0, "epoch_steps": 5.0}
TYPES = {"float64": "f32", "int64": "i64", "uint8": "u8", "bool": "bool"}


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def build(
    expression: str, arrays: dict[str, Array], after: str = "", before: str = ""
) -> Elaborated:
    inputs = ""
    for name, array in arrays.items():
        dims = ", ".join(["N", *map(str, array.shape[1:])])
        inputs += f"    input {name}: {TYPES[array.dtype.name]}[{dims}]\n"
    text = f"{before}\nnet M {{\n{inputs}    y = {expression}\n    output result = y\n}}\n{after}"
    return elaborate(Source("<text>", text))


def values_of(made: Elaborated, program: str, given: dict[str, Array]) -> dict[str, Array]:
    """Variables by the last parts of their names; those that are not given are drawn."""
    found = {}
    for position, variable in enumerate(made.graphs[program].variables):
        ending = variable.name.rsplit(".", 1)[-1]
        if ending in given:
            found[variable.name] = given[ending]
        elif variable.kind == "parameter":
            found[variable.name] = normal(*variable.initial.shape, seed=position + 7)
    return found


def run(
    expression: str, before: str = "", given: dict[str, Array] | None = None, **arrays: Array
) -> Array:
    """The value of an expression over inputs, in float64."""
    made = build(expression, arrays, before=before)
    variables = values_of(made, "predict", given or {})
    outputs, _ = interpret.run(made.graphs["predict"], arrays, variables, double=True)
    return outputs["result"]


def train(
    expression: str, given: dict[str, Array] | None = None, metrics: str = "", **arrays: Array
) -> tuple[dict[str, Array], dict[str, Array], Array]:
    """One step of descent of mean(y * factor), rate 1: outputs, updates by ending, the factor."""
    shape = run(expression, **arrays).shape
    factor = normal(*shape, seed=3)
    dims = ", ".join(["N", *map(str, shape[1:])])
    after = f"""
train M {{
    input factor: f32[{dims}]
    loss = mean(y * factor)
    optimizer = sgd()
    learning_rate = 1
{metrics}}}
"""
    made = build(expression, arrays, after)
    graph = made.graphs["train"]
    clock = {item.name: CLOCK[item.name] for item in graph.inputs if item.role == "clock"}
    variables = values_of(made, "train", given or {})
    inputs = {**arrays, "factor": factor, **clock}
    outputs, updates = interpret.run(graph, inputs, variables, double=True)
    if "train_metrics" in made.graphs:
        rest = made.graphs["train_metrics"]
        rows = {item.name: outputs.pop(item.name) for item in rest.inputs}
        outputs.update(interpret.run(rest, rows, double=True)[0])
    return outputs, {name.rsplit(".", 1)[-1]: value for name, value in updates.items()}, factor


def close(found: Array, expected: Any, tolerance: float = 1e-6) -> None:
    wanted = (
        expected.detach().numpy() if isinstance(expected, torch.Tensor) else np.asarray(expected)
    )
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def nchw(x: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x)).permute(0, 3, 1, 2)


def nhwc(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 3, 1)


def oihw(weight: Array) -> torch.Tensor:
    return torch.from_numpy(weight).permute(3, 2, 0, 1)


def same_padding(size: int, reach: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


# Layers


def test_dense() -> None:
    x, weight, offset = normal(5, 2, 4), normal(4, 3, seed=1), normal(3, seed=2)
    given = {"weight": weight, "offset": offset}
    close(run("x -> dense(3)", given=given, x=x), x @ weight + offset)
    close(run("x -> dense(3, bias = false)", given=given, x=x), x @ weight)


CONVOLUTIONS = [
    ("conv(6)", (3, 3), (1, 1), "same", (1, 1), 1),
    ("conv(6, 3, padding = 1)", (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1),
    ("conv(6, 3, padding = \"valid\")", (3, 3), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    ("conv(6, (2, 3), stride = (2, 1), padding = (1, 2))", (2, 3), (2, 1), (1, 1, 2, 2), (1, 1), 1),
    ("conv(6, 3, stride = 2)", (3, 3), (2, 2), "same", (1, 1), 1),
    ("conv(6, 2, stride = 2)", (2, 2), (2, 2), "same", (1, 1), 1),
    ("conv(6, 1, stride = 2)", (1, 1), (2, 2), "same", (1, 1), 1),
    ("conv(6, 4, stride = 3)", (4, 4), (3, 3), "same", (1, 1), 1),
    ("conv(6, 3, dilation = 2)", (3, 3), (1, 1), "same", (2, 2), 1),
    ("conv(6, 3, padding = (1, 0, 2, 1))", (3, 3), (1, 1), (1, 0, 2, 1), (1, 1), 1),
    ("conv(6, 3, groups = 2)", (3, 3), (1, 1), "same", (1, 1), 2),
    ("conv(6, 3, padding = \"valid\", dilation = (1, 2))", (3, 3), (1, 1), (0, 0, 0, 0), (1, 2), 1),
]  # fmt: skip


@pytest.mark.parametrize("case", CONVOLUTIONS, ids=lambda case: case[0])
def test_conv(case: Any) -> None:
    call, kernel, stride, padding, dilation, groups = case
    x = normal(2, 7, 8, 4)
    weight = normal(*kernel, 4 // groups, 6, seed=1)
    offset = normal(6, seed=2)
    if padding == "same":
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        padding = same_padding(7, reach[0], stride[0]) + same_padding(8, reach[1], stride[1])
    top, bottom, left, right = padding
    padded = functional.pad(nchw(x), (left, right, top, bottom))
    bias = torch.from_numpy(offset)
    wanted = functional.conv2d(padded, oihw(weight), bias, stride, 0, dilation, groups)
    close(run(f"x -> {call}", given={"weight": weight, "offset": offset}, x=x), nhwc(wanted))


def test_depthwise_conv() -> None:
    x, weight = normal(2, 5, 5, 3), normal(3, 3, 1, 6, seed=1)
    wanted = functional.conv2d(nchw(x), oihw(weight), padding=1, groups=3)
    close(
        run("x -> depthwise_conv(3, multiplier = 2, bias = false)", given={"weight": weight}, x=x),
        nhwc(wanted),
    )


@pytest.mark.parametrize(
    ("call", "padding", "stride"),
    [
        ("conv1d(5, 3)", (1, 1), 1),
        ("conv1d(5, 3, padding = 2)", (2, 2), 1),
        ("conv1d(5, 3, padding = \"valid\", stride = 2)", (0, 0), 2),
        ("conv1d(5, 4, stride = 2)", (1, 1), 2),
    ],
)  # fmt: skip
def test_conv1d(call: str, padding: tuple[int, int], stride: int) -> None:
    kernel = 4 if "(5, 4" in call else 3
    x, weight, offset = normal(2, 8, 4), normal(1, kernel, 4, 5, seed=1), normal(5, seed=2)
    inner = functional.pad(torch.from_numpy(x).permute(0, 2, 1), padding)
    matrix = torch.from_numpy(weight[0]).permute(2, 1, 0)
    wanted = functional.conv1d(inner, matrix, torch.from_numpy(offset), stride).permute(0, 2, 1)
    close(run(f"x -> {call}", given={"weight": weight, "offset": offset}, x=x), wanted)


@pytest.mark.parametrize(
    ("call", "kernel", "stride", "padding", "dilation", "groups"),
    [
        ("conv_transpose(6)", 3, 2, "same", 1, 1),
        ("conv_transpose(6, 2)", 2, 2, "same", 1, 1),
        ("conv_transpose(6, 4)", 4, 2, "same", 1, 1),
        ("conv_transpose(6, 2, stride = 3)", 2, 3, "same", 1, 1),
        ("conv_transpose(6, 3, stride = 1)", 3, 1, "same", 1, 1),
        ("conv_transpose(6, 3, padding = \"valid\")", 3, 2, 0, 1, 1),
        ("conv_transpose(6, 3, padding = 1)", 3, 2, 1, 1, 1),
        ("conv_transpose(6, 3, padding = 1, dilation = 2)", 3, 2, 1, 2, 1),
        ("conv_transpose(6, 3, padding = 1, groups = 2)", 3, 2, 1, 1, 2),
    ],
)  # fmt: skip
def test_conv_transpose(
    call: str, kernel: int, stride: int, padding: Any, dilation: int, groups: int
) -> None:
    x = normal(2, 5, 6, 4)
    weight, offset = normal(kernel, kernel, 6 // groups, 4, seed=1), normal(6, seed=2)
    image, filters, bias = nchw(x), oihw(weight), torch.from_numpy(offset)
    if padding == "same":
        full = functional.conv_transpose2d(image, filters, None, stride)
        grown = functional.pad(full, (0, stride, 0, stride))
        top, _ = same_padding(5 * stride, kernel, stride)
        left, _ = same_padding(6 * stride, kernel, stride)
        wanted = grown[:, :, top : top + 5 * stride, left : left + 6 * stride]
        wanted = wanted + bias[:, None, None]
    else:
        wanted = functional.conv_transpose2d(
            image, filters, bias, stride, padding, groups=groups, dilation=dilation
        )
    close(run(f"x -> {call}", given={"weight": weight, "offset": offset}, x=x), nhwc(wanted))


def test_conv_transpose_is_the_gradient_of_conv() -> None:
    x = torch.from_numpy(normal(1, 8, 8, 3))
    weight = normal(3, 3, 3, 5, seed=1)
    image = x.clone().requires_grad_()
    padded = functional.pad(image.permute(0, 3, 1, 2), (0, 1, 0, 1))
    y = nhwc(functional.conv2d(padded, oihw(weight), stride=2))
    dy = normal(*y.shape, seed=2)
    y.backward(torch.from_numpy(dy))
    assert image.grad is not None
    close(run("dy -> conv_transpose(3, bias = false)", given={"weight": weight}, dy=dy), image.grad)


@pytest.mark.parametrize(
    ("call", "kernel", "stride", "padding", "dilation"),
    [
        ("max_pool", (2, 2), (2, 2), (0, 0, 0, 0), 1),
        ("max_pool(3)", (3, 3), (3, 3), (0, 0, 0, 0), 1),
        ("max_pool(3, stride = 2, padding = \"same\")", (3, 3), (2, 2), "same", 1),
        ("max_pool((2, 3), stride = (1, 2), padding = (1, 1))", (2, 3), (1, 2), (1, 1, 1, 1), 1),
        ("max_pool(2, stride = 1, dilation = 2)", (2, 2), (1, 1), (0, 0, 0, 0), 2),
    ],
)  # fmt: skip
def test_max_pool(call: str, kernel: Any, stride: Any, padding: Any, dilation: int) -> None:
    x = normal(2, 7, 8, 3)
    if padding == "same":
        padding = same_padding(7, kernel[0], stride[0]) + same_padding(8, kernel[1], stride[1])
    top, bottom, left, right = padding
    padded = functional.pad(nchw(x), (left, right, top, bottom), value=float("-inf"))
    wanted = functional.max_pool2d(padded, kernel, stride, 0, dilation)
    close(run(f"x -> {call}", x=x), nhwc(wanted))


@pytest.mark.parametrize("count_padding", [False, True])
@pytest.mark.parametrize(
    ("call", "kernel", "stride", "padding"),
    [
        ("avg_pool(2", 2, 2, (0, 0, 0, 0)),
        ("avg_pool(3, stride = 2, padding = \"same\"", 3, 2, (1, 1, 0, 1)),
        ("avg_pool(3, stride = 1, padding = 1", 3, 1, (1, 1, 1, 1)),
    ],
)  # fmt: skip
def test_avg_pool(call: str, kernel: int, stride: int, padding: Any, count_padding: bool) -> None:
    x = normal(2, 7, 8, 3)
    top, bottom, left, right = padding
    sides = (left, right, top, bottom)
    total = functional.avg_pool2d(
        functional.pad(nchw(x), sides), kernel, stride, divisor_override=1
    )
    ones = functional.pad(torch.ones(1, 1, 7, 8, dtype=torch.float64), sides)
    count = functional.avg_pool2d(ones, kernel, stride, divisor_override=1)
    if count_padding:
        count = torch.full_like(count, kernel * kernel)
    found = run(f"x -> {call}, count_padding = {str(count_padding).lower()})", x=x)
    close(found, nhwc(total / count))


def test_shapes_of_images() -> None:
    x = normal(2, 4, 6, 3)
    close(run("x -> global_avg_pool", x=x), x.mean((1, 2)))
    close(run("x -> global_max_pool", x=x), x.max((1, 2)))
    close(run("x -> flatten", x=x), x.reshape(2, -1))
    close(run("x -> pad(1)", x=x), np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))
    close(
        run("x -> pad((1, 0, 2, 3), value = 0.5)", x=x),
        np.pad(x, ((0, 0), (1, 0), (2, 3), (0, 0)), constant_values=0.5),
    )
    close(run("x -> resize(2)", x=x), x.repeat(2, 1).repeat(2, 2))
    close(run("x -> resize((1, 3))", x=x), x.repeat(3, 2))
    wanted = nhwc(functional.interpolate(nchw(x), scale_factor=2, mode="nearest"))
    close(run("x -> resize", x=x), wanted)
    close(run("concat(x, 2 * x, axis = 1)", x=x), np.concatenate([x, 2 * x], 1))
    close(run("x -> identity", x=x), x)


def test_embedding() -> None:
    table = normal(10, 4, seed=1)
    ids = np.array([[1, 2, 9], [0, 0, 3]])
    close(run("ids -> embedding(10, 4)", given={"table": table}, ids=ids), table[ids])


def test_layer_norm() -> None:
    x, scale, offset = normal(3, 4, 6), normal(6, seed=1), normal(6, seed=2)
    wanted = functional.layer_norm(
        torch.from_numpy(x), (6,), torch.from_numpy(scale), torch.from_numpy(offset), 1e-5
    )
    close(run("x -> layer_norm", given={"scale": scale, "offset": offset}, x=x), wanted)


@pytest.mark.parametrize("shape", [(6, 5), (3, 4, 4, 5)])
def test_batch_norm(shape: tuple[int, ...]) -> None:
    x = 3 * normal(*shape) + 1
    names = ("scale", "offset", "mean", "variance")
    given = {name: np.abs(normal(5, seed=seed)) + 0.1 for seed, name in enumerate(names)}
    scale, offset = (torch.from_numpy(given[n]).requires_grad_() for n in ("scale", "offset"))
    inner = torch.from_numpy(np.moveaxis(x, -1, 1).copy())
    mean, variance = torch.from_numpy(given["mean"]), torch.from_numpy(given["variance"])
    inference = functional.batch_norm(inner, mean, variance, scale, offset, False, eps=1e-5)
    close(run("x -> batch_norm", given=given, x=x), torch.movedim(inference, 1, -1))

    outputs, updates, factor = train("x -> batch_norm", given, x=x)
    y = torch.movedim(
        functional.batch_norm(inner, None, None, scale, offset, True, eps=1e-5), 1, -1
    )
    loss = (y * torch.from_numpy(factor)).mean()
    loss.backward()
    close(outputs["loss"], loss)
    assert scale.grad is not None and offset.grad is not None
    close(updates["scale"], scale - scale.grad)
    close(updates["offset"], offset - offset.grad)
    axes = tuple(range(x.ndim - 1))
    close(updates["mean"], 0.9 * given["mean"] + 0.1 * x.mean(axes))
    # Running variances take the variance of the batch as it is; PyTorch count / (count - 1) of it.
    close(updates["variance"], 0.9 * given["variance"] + 0.1 * x.var(axes))


def test_gradient_of_conv_and_dense() -> None:
    x, weight, offset = normal(2, 5, 5, 3), normal(3, 3, 3, 4, seed=1), normal(4, seed=2)
    given = {"weight": weight, "offset": offset}
    outputs, updates, factor = train("x -> conv(4, 3, stride = 2)", given, x=x)
    filters = torch.from_numpy(weight).requires_grad_()
    y = functional.conv2d(nchw(x), filters.permute(3, 2, 0, 1), torch.from_numpy(offset), 2, 1)
    loss = (nhwc(y) * torch.from_numpy(factor)).mean()
    loss.backward()
    assert filters.grad is not None
    close(outputs["loss"], loss)
    close(updates["weight"], filters - filters.grad)


def test_dropout() -> None:
    x = np.ones((500, 40))
    close(run("x -> dropout(0.3)", x=x), x)
    metrics = "".join(
        f"    metric {name} = {value}\n"
        for name, value in {
            "average": "mean(y)",
            "largest": "reduce_max(y)",
            "smallest": "reduce_min(y)",
            "kept": "mean(f32(y > 0))",
        }.items()
    )
    outputs, _, _ = train(
        "(x -> dropout(0.3)) * (x -> prelu)", {"slope": np.ones(40)}, metrics, x=x
    )
    assert abs(outputs["kept"] - 0.7) < 0.02
    assert abs(outputs["average"] - 1) < 0.03
    close(outputs["largest"], np.array(1 / 0.7))
    assert outputs["smallest"] == 0


# Activations

ACTIVATIONS = {
    "relu": torch.relu,
    "leaky_relu": functional.leaky_relu,
    "elu": functional.elu,
    "selu": functional.selu,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "softsign": functional.softsign,
    "mish": functional.mish,
    "hard_sigmoid": functional.hardsigmoid,
    "hard_silu": functional.hardswish,
    "hard_tanh": functional.hardtanh,
    "relu6": functional.relu6,
    "softmax": lambda x: functional.softmax(x, -1),
    "log_softmax": lambda x: functional.log_softmax(x, -1),
    "gelu(approximate = true)": lambda x: functional.gelu(x, approximate="tanh"),
    "leaky_relu(0.3)": lambda x: functional.leaky_relu(x, 0.3),
    "elu(alpha = 0.5)": lambda x: functional.elu(x, 0.5),
    "softmax(axis = 1)": lambda x: functional.softmax(x, 1),
    "log_softmax(axis = 0)": lambda x: functional.log_softmax(x, 0),
    "clip_to(-0.5, 0.25)": lambda x: torch.clamp(x, -0.5, 0.25),
}


@pytest.mark.parametrize("call", ACTIVATIONS)
def test_activation(call: str) -> None:
    x = 3 * normal(4, 5, 6)
    x[0, 0, :4] = (0, 30, -30, 1e-9)
    close(run(f"x -> {call}", x=x), ACTIVATIONS[call](torch.from_numpy(x)))


def test_prelu() -> None:
    x, slope = normal(4, 3), normal(3, seed=1)
    wanted = functional.prelu(torch.from_numpy(x), torch.from_numpy(slope))
    close(run("x -> prelu", given={"slope": slope}, x=x), wanted)


@pytest.mark.parametrize(
    "call", ["softplus", "sigmoid", "elu", "gelu", "softmax", "mish", "log_softmax"]
)
def test_activations_of_large_numbers_are_finite(call: str) -> None:
    x = np.array([[-1000.0, 1000.0, 0.0, 88.0]])
    assert np.all(np.isfinite(run(f"x -> {call}", x=x)))


# Losses


def test_regression_losses() -> None:
    prediction, target = normal(6, 3), normal(6, 3, seed=1)
    p, t = torch.from_numpy(prediction), torch.from_numpy(target)
    arrays = {"p": prediction, "t": target}
    for call, wanted in {
        "mean_squared_error(p, t)": functional.mse_loss(p, t),
        "mean_absolute_error(p, t)": functional.l1_loss(p, t),
        "huber(p, t)": functional.huber_loss(p, t),
        "huber(p, t, delta = 0.3)": functional.huber_loss(p, t, delta=0.3),
    }.items():
        close(run(call, **arrays), wanted)


def test_a_target_may_lack_the_last_axis_and_hold_integers() -> None:
    prediction, target = normal(6, 1), np.arange(6)
    wanted = np.square(prediction[:, 0] - target).mean()
    close(run("mean_squared_error(p, t)", p=prediction, t=target), wanted)
    close(run("mean_squared_error(p, t)", p=prediction[:, 0], t=target.astype(np.uint8)), wanted)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy(smoothing: float) -> None:
    logits, label = 3 * normal(5, 2, 7), np.random.default_rng(0).integers(0, 7, (5, 2))
    flat, kinds = torch.from_numpy(logits.reshape(-1, 7)), torch.from_numpy(label.reshape(-1))
    wanted = functional.cross_entropy(flat, kinds, label_smoothing=smoothing)
    call = f"cross_entropy(z, label, smoothing = {smoothing})"
    close(run(call, z=logits, label=label), wanted)
    close(run(call, z=logits, label=np.eye(7)[label]), wanted)
    close(run(call, z=logits, label=label.astype(np.uint8)), wanted)


def test_cross_entropy_of_distributions() -> None:
    logits, chance = normal(5, 4), functional.softmax(torch.from_numpy(normal(5, 4, seed=1)), 1)
    wanted = functional.cross_entropy(torch.from_numpy(logits), chance)
    close(run("cross_entropy(z, chance)", z=logits, chance=chance.numpy()), wanted)


def test_binary_losses() -> None:
    logit, target = 4 * normal(9, 1), np.random.default_rng(1).integers(0, 2, 9)
    z, t = torch.from_numpy(logit[:, 0]), torch.from_numpy(target).double()
    wanted = functional.binary_cross_entropy_with_logits(z, t)
    close(run("binary_cross_entropy(z, t)", z=logit, t=target), wanted)
    close(run("binary_cross_entropy(z, t)", z=logit[:, 0], t=target.astype(np.float64)), wanted)
    hinge = np.maximum(0, 1 - logit[:, 0] * (2 * target - 1)).mean()
    close(run("hinge(z, t)", z=logit, t=target), hinge)
    close(run("hinge(z, t)", z=logit, t=2.0 * target - 1), hinge)


def test_gradient_of_losses() -> None:
    """The loss of a step through an added offset: its gradient is the sum of that of the logits."""
    logits, label = normal(6, 4), np.array([0, 3, 1, 1, 2, 0])
    after = """
train M {
    loss = cross_entropy(y, label, smoothing = 0.1)
    optimizer = sgd()
    learning_rate = 1
}
"""
    before = """
block bias_of(z: [N, K]) {
    param bias: f32[K] = zeros()
    return bias
}
"""
    made = build("z + bias_of(z)", {"z": logits, "label": label}, after, before)
    graph = made.graphs["train"]
    _, updates = interpret.run(graph, {"z": logits, "label": label}, double=True)
    z = torch.from_numpy(logits).requires_grad_()
    functional.cross_entropy(z, torch.from_numpy(label), label_smoothing=0.1).backward()
    assert z.grad is not None
    close(next(iter(updates.values())), -z.grad.sum(0))


# Metrics


def test_metrics() -> None:
    logits = np.array([[3.0, 1, 0], [0, 2, 1], [1, 5, 4], [9, 8, 7]])
    label = np.array([0, 2, 2, 1])
    close(run("accuracy(z, label)", z=logits, label=label), 0.25)
    close(run("accuracy(z, label)", z=logits, label=np.eye(3)[label]), 0.25)
    close(run("top_k_accuracy(z, label, k = 2)", z=logits, label=label), 1.0)
    close(run("top_k_accuracy(z, label, k = 1)", z=logits, label=label), 0.25)
    logit, target = np.array([[1.0], [-2], [3], [-1]]), np.array([1, 1, 1, 0])
    close(run("binary_accuracy(z, t)", z=logit, t=target), 0.75)
    p, t = normal(20), normal(20, seed=1)
    wanted = 1 - np.square(t - p).sum() / np.square(t - t.mean()).sum()
    close(run("r_squared(p, t)", p=p, t=t), wanted)
