"""References against PyTorch in float64, forward and backward, on all samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from nnc.ops import operator
from nnc.ops.base import Array, Context, Sample

from .helpers import sample_id

torch = pytest.importorskip("torch")
F = torch.nn.functional
Tensor = Any
Check = Callable[[list[Tensor], Mapping[str, Any]], Any]


def image(x: Tensor) -> Tensor:
    """[N, H, W, C] as PyTorch's [N, C, H, W]."""
    return x.permute(0, 3, 1, 2)


def back(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1)


def padded(x: Tensor, padding: tuple[int, ...], value: float = 0.0) -> Tensor:
    top, bottom, left, right = padding
    return F.pad(image(x), (left, right, top, bottom), value=value)


def conv2d(t: list[Tensor], a: Mapping[str, Any]) -> Tensor:
    x, weight = t
    window = {name: a[name] for name in ("stride", "dilation", "groups")}
    return back(F.conv2d(padded(x, a["padding"]), weight.permute(3, 2, 0, 1), **window))


def max_pool(t: list[Tensor], a: Mapping[str, Any]) -> Tensor:
    x = padded(t[0], a["padding"], -float("inf"))
    return back(F.max_pool2d(x, a["kernel"], a["stride"], dilation=a["dilation"]))


def max_pool_index(t: list[Tensor], a: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """PyTorch counts the pixels of the image, we the taps of the window."""
    x = padded(t[0], a["padding"], -float("inf"))
    (rows, columns), (down, across) = a["kernel"], a["stride"]
    dilation = a["dilation"]
    y, pixel = F.max_pool2d(
        x, (rows, columns), (down, across), dilation=dilation, return_indices=True
    )
    row = pixel // x.shape[3] - down * torch.arange(y.shape[2])[:, None]
    column = pixel % x.shape[3] - across * torch.arange(y.shape[3])
    number = row // dilation[0] * columns + column // dilation[1]
    return back(y), back(number).to(torch.uint8 if rows * columns <= 256 else torch.int32)


def avg_pool(t: list[Tensor], a: Mapping[str, Any]) -> Tensor:
    x = padded(t[0], a["padding"])
    if a["count_padding"]:
        return back(F.avg_pool2d(x, a["kernel"], a["stride"]))
    ones = padded(torch.ones_like(t[0]), a["padding"])
    total, count = (F.avg_pool2d(v, a["kernel"], a["stride"]) for v in (x, ones))
    return back(total / count)


def batch_norm(t: list[Tensor], a: Mapping[str, Any]) -> Tensor:
    x, scale, offset = t
    rows = x.reshape(-1, x.shape[-1])
    y = F.batch_norm(rows, None, None, scale, offset, training=True, eps=a["epsilon"])
    return y.reshape(x.shape), rows.mean(0), rows.var(0, unbiased=False)


def layer_norm(t: list[Tensor], a: Mapping[str, Any]) -> Tensor:
    x, scale, offset = t
    y = F.layer_norm(x, x.shape[-1:], scale, offset, a["epsilon"])
    return y, x.mean(-1), x.var(-1, unbiased=False)


def cross_entropy(t: list[Tensor], a: Mapping[str, Any]) -> Tensor:
    logits, labels = t
    flat = F.cross_entropy(
        logits.reshape(-1, logits.shape[-1]),
        labels.reshape(-1).long(),
        reduction="none",
        label_smoothing=a["smoothing"],
    )
    return flat.reshape(labels.shape)


def matmul(t: list[Tensor], a: Mapping[str, Any]) -> Tensor:
    left, right = t
    left = left.transpose(-1, -2) if a["transpose_a"] else left
    return left @ (right.transpose(-1, -2) if a["transpose_b"] else right)


def reduce(name: str) -> Check:
    def run(t: list[Tensor], a: Mapping[str, Any]) -> Tensor:
        if not a["axes"]:
            return t[0]
        return getattr(torch, name)(t[0], a["axes"], keepdim=a["keepdims"])

    return run


def resize(t: list[Tensor], a: Mapping[str, Any]) -> Tensor:
    scale = tuple(float(factor) for factor in a["factor"])
    return back(F.interpolate(image(t[0]), scale_factor=scale, mode="nearest"))


def pad(t: list[Tensor], a: Mapping[str, Any]) -> Tensor:
    pairs = list(zip(a["low"], a["high"], strict=True))[::-1]
    return F.pad(t[0], [width for pair in pairs for width in pair], value=a["value"])


def embedding(t: list[Tensor], a: Mapping[str, Any]) -> Tensor:
    return t[0][t[1].long()]


FORWARD: dict[str, Check] = {
    "conv2d": conv2d,
    "max_pool": max_pool,
    "max_pool_index": max_pool_index,
    "avg_pool": avg_pool,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "softmax": lambda t, a: F.softmax(t[0], -1),
    "log_softmax": lambda t, a: F.log_softmax(t[0], -1),
    "softmax_cross_entropy": cross_entropy,
    "matmul": matmul,
    "reduce_sum": reduce("sum"),
    "reduce_mean": reduce("mean"),
    "reduce_max": reduce("amax"),
    "reduce_min": reduce("amin"),
    "argmax": lambda t, a: torch.argmax(t[0], a["axis"], keepdim=a["keepdims"]),
    "resize_nearest": resize,
    "pad": pad,
    "concat": lambda t, a: torch.cat(t, a["axis"]),
    "transpose": lambda t, a: t[0].permute(a["permutation"]),
    "gather": embedding,
    "neg": lambda t, a: -t[0],
    "round": lambda t, a: torch.round(t[0]),
    "mod": lambda t, a: torch.remainder(t[0], t[1]),
    "reciprocal": lambda t, a: torch.reciprocal(t[0]),
    "logical_not": lambda t, a: torch.logical_not(t[0]),
    "is_finite": lambda t, a: torch.isfinite(t[0]),
    "sub": lambda t, a: t[0] - t[1],
    "mul": lambda t, a: t[0] * t[1],
    "floor_div": lambda t, a: torch.floor_divide(t[0], t[1]),
    "equal": lambda t, a: t[0] == t[1],
    "sign": lambda t, a: torch.where(torch.isnan(t[0]), t[0], torch.sign(t[0])),  # NaN stays
    "select": lambda t, a: torch.where(t[0], t[1], t[2]),
}
# fmt: off
SAME_NAME = (
    "abs", "exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "square", "tanh", "sigmoid", "erf",
    "sin", "cos", "floor", "ceil", "add", "div", "pow", "maximum", "minimum", "not_equal", "less",
    "less_equal", "greater", "greater_equal", "logical_and", "logical_or",
)
# fmt: on


def same_name(name: str) -> Check:
    function = getattr(torch, name)
    return lambda t, a: function(*t)


FORWARD.update({name: same_name(name) for name in SAME_NAME})

# name of the backward operator: forward operator, whose operands and attributes it shares
BACKWARD = {
    "conv2d_backward_data": "conv2d",
    "conv2d_backward_weight": "conv2d",
    "max_pool_backward": "max_pool",
    "avg_pool_backward": "avg_pool",
    "batch_norm_backward": "batch_norm",
    "layer_norm_backward": "layer_norm",
    "softmax_backward": "softmax",
    "log_softmax_backward": "log_softmax",
    "softmax_cross_entropy_backward": "softmax_cross_entropy",
    "resize_nearest_backward": "resize_nearest",
    "gather_backward": "gather",
}


def in_range(name: str, sample: Sample) -> bool:
    """PyTorch does not take indices out of range."""
    if name == "gather":
        table, ids = sample.arrays
        return bool(((ids >= 0) & (ids < len(table))).all())
    if name == "softmax_cross_entropy":
        logits, labels = sample.arrays
        return bool(((labels >= 0) & (labels < logits.shape[-1])).all())
    return True


CASES = [
    pytest.param(name, sample, id=sample_id(name, sample))
    for name in FORWARD
    for sample in operator(name).samples()
    if in_range(name, sample)
]


def tensors(arrays: tuple[Array, ...]) -> list[Tensor]:
    return [torch.tensor(array) for array in arrays]


def check(name: str, results: tuple[Array, ...], expected: Any) -> None:
    expected = expected if isinstance(expected, tuple) else (expected,)
    for array, tensor in zip(results, expected, strict=True):
        other = tensor.detach().numpy()
        assert array.shape == other.shape
        if name != "div":  # integers: PyTorch divides in f32, too, but rounds the operands later
            assert array.dtype == other.dtype
        np.testing.assert_allclose(array, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "sample"), CASES)
def test_forward(name: str, sample: Sample) -> None:
    op = operator(name)
    attributes = op.check_attributes(sample.attributes)
    results = op.reference(sample.arrays, attributes, Context())
    check(name, results, FORWARD[name](tensors(sample.arrays), attributes))


@pytest.mark.parametrize(("name", "sample"), [c for c in CASES if c.values[1].differentiable])
def test_backward(name: str, sample: Sample) -> None:
    """What flows back through a backward operator is what PyTorch's autograd gives."""
    backward = next((b for b, forward in BACKWARD.items() if forward == name), None)
    if backward is None:
        return
    op = operator(name)
    attributes = op.check_attributes(sample.attributes)
    operands = tensors(sample.arrays)
    for index in sample.differentiable:
        operands[index].requires_grad_()
    made = FORWARD[name](operands, attributes)
    y = made[0] if isinstance(made, tuple) else made
    dy = torch.tensor(np.random.default_rng(3).standard_normal(tuple(y.shape)))
    (y * dy).sum().backward()
    expected = [operands[index].grad.numpy() for index in sample.differentiable]
    results = op.reference(sample.arrays, attributes, Context())
    found = _gradients(name, sample.arrays, attributes, results, dy.numpy())
    for array, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, other, rtol=1e-8, atol=1e-9)


def _gradients(
    name: str,
    arrays: tuple[Array, ...],
    attributes: Mapping[str, Any],
    results: tuple[Array, ...],
    dy: Array,
) -> list[Array]:
    def run(backward: str, *operands: Array, **extra: Any) -> list[Array]:
        op = operator(backward)
        checked = op.check_attributes({**attributes, **extra})
        return list(op.reference(operands, checked, Context()))

    x = arrays[0]
    if name == "conv2d":
        weight = arrays[1]
        return [
            *run("conv2d_backward_data", dy, weight, shape=x.shape),
            *run("conv2d_backward_weight", x, dy, kernel=weight.shape[:2]),
        ]
    if name == "max_pool":
        _, index = run("max_pool_index", x)
        return run("max_pool_backward", index, dy, shape=x.shape)
    if name == "avg_pool":
        return run("avg_pool_backward", dy, shape=x.shape)
    if name == "batch_norm":
        return run("batch_norm_backward", *arrays, results[1], results[2], dy)
    if name == "layer_norm":
        return run("layer_norm_backward", x, arrays[1], results[1], results[2], dy)
    if name in ("softmax", "log_softmax"):
        return run(f"{name}_backward", results[0], dy)
    if name == "softmax_cross_entropy":
        return run("softmax_cross_entropy_backward", *arrays, dy)
    if name == "resize_nearest":
        return run("resize_nearest_backward", dy)
    assert name == "gather"
    return run("gather_backward", arrays[1], dy, rows=len(x))


def test_transposed_convolution() -> None:
    """conv2d_backward_data is the forward of conv_transpose."""
    generator = np.random.default_rng(0)
    x, weight = generator.standard_normal((2, 5, 4, 3)), generator.standard_normal((3, 3, 6, 3))
    op = operator("conv2d_backward_data")
    attributes = op.check_attributes(
        {"stride": (2, 2), "padding": (1, 1, 1, 1), "shape": (2, 10, 8, 6)}
    )
    (y,) = op.reference([x, weight], attributes, Context())
    expected = F.conv_transpose2d(
        image(torch.tensor(x)),
        torch.tensor(weight).permute(3, 2, 0, 1),
        stride=2,
        padding=1,
        output_padding=1,
    )
    np.testing.assert_allclose(y, back(expected).numpy(), rtol=1e-10, atol=1e-10)
