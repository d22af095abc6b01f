"""Reverse mode on small graphs: values, what is built and what not, what has no gradient."""

from __future__ import annotations

import numpy as np
import pytest
from nnc.autodiff import AutodiffError, gradients
from nnc.builder import Builder
from nnc.dims import symbol
from nnc.errors import InternalError
from nnc.graph import Origin, Type, Value
from nnc.interpret import run
from nnc.ops.base import Array

from .helpers import outputs

N = symbol("N")


def scalar(builder: Builder, name: str = "x") -> Value:
    return builder.input(name, Type("f64", ()))


def value_of(builder: Builder, value: Value | None, **inputs: float) -> Array:
    assert value is not None
    return run(outputs(builder, {"v": value}), inputs)[0]["v"]


def names(builder: Builder) -> list[str]:
    return [node.op.name for node in builder.nodes]


def test_chain_and_accumulation() -> None:
    """x * exp(x) + x"""
    builder = Builder()
    x = scalar(builder)
    y = builder.emit("add", builder.emit("mul", x, builder.emit("exp", x)), x)
    (made,) = gradients(builder, y, [x])
    assert value_of(builder, made, x=0.7) == pytest.approx(1.7 * np.exp(0.7) + 1)


def test_same_operand_twice() -> None:
    builder = Builder()
    x = scalar(builder)
    (made,) = gradients(builder, builder.emit("mul", x, x), [x])
    assert value_of(builder, made, x=3.0) == 6.0


def test_with_respect_to_a_value_between() -> None:
    builder = Builder()
    x = scalar(builder)
    y = builder.emit("exp", x)
    z = builder.emit("square", y)
    dx, dy, dz = gradients(builder, z, [x, y, z])
    assert value_of(builder, dx, x=0.5) == pytest.approx(2 * np.exp(1.0))
    assert value_of(builder, dy, x=0.5) == pytest.approx(2 * np.exp(0.5))
    assert value_of(builder, dz, x=0.5) == 1.0


def test_no_path_gives_none() -> None:
    builder = Builder()
    x, other = scalar(builder), scalar(builder, "other")
    steps = builder.emit("floor", x)
    stopped = builder.emit("stop_gradient", x)
    loss = builder.emit("add", builder.emit("add", steps, stopped), builder.emit("neg", other))
    made = gradients(builder, loss, [x, other])
    assert made[0] is None and made[1] is not None


def test_nothing_is_built_for_what_is_frozen() -> None:
    builder = Builder()
    image = builder.input("image", Type("f64", (N, 8, 8, 3)))
    frozen = builder.variable("frozen", "parameter", np.ones((3, 3, 3, 4)), "f64")
    weight = builder.variable("weight", "parameter", np.ones((3, 3, 4, 2)), "f64")
    hidden = builder.emit("conv2d", image, frozen)
    y = builder.emit("conv2d", hidden, weight)
    loss = builder.emit("reduce_sum", y, axes=(0, 1, 2, 3))
    before = len(builder.nodes)
    (made,) = gradients(builder, loss, [weight])
    assert made is not None and made.type == weight.type
    built = names(builder)[before:]
    assert built.count("conv2d_backward_weight") == 1
    assert "conv2d_backward_data" not in built


def test_first_layer_needs_no_gradient_of_the_image() -> None:
    builder = Builder()
    image = builder.input("image", Type("f64", (N, 8, 8, 3)))
    weight = builder.variable("weight", "parameter", np.ones((3, 3, 3, 4)), "f64")
    loss = builder.emit("reduce_sum", builder.emit("conv2d", image, weight), axes=(0, 1, 2, 3))
    gradients(builder, loss, [weight])
    assert "conv2d_backward_data" not in names(builder)


def test_unused_branches_are_not_differentiated() -> None:
    builder = Builder()
    x = scalar(builder)
    builder.emit("sin", x)
    gradients(builder, builder.emit("exp", x), [x])
    assert "cos" not in names(builder)


def test_nodes_keep_the_origin_of_the_forward_node() -> None:
    builder = Builder()
    x = scalar(builder)
    builder.origin = Origin("features.tanh", "net.nn:7")
    y = builder.emit("tanh", x)
    builder.origin = Origin("head", "net.nn:9")
    loss = builder.emit("square", y)
    before = len(builder.nodes)
    builder.origin = Origin("train", "net.nn:20")
    gradients(builder, loss, [x])
    assert builder.origin == Origin("train", "net.nn:20")
    paths = [node.origin.path for node in builder.nodes[before:]]
    assert paths[0] == "train" and {"features.tanh", "head"} == set(paths[1:])


def test_second_derivative_of_elementwise_operators() -> None:
    builder = Builder()
    x = scalar(builder)
    (first,) = gradients(builder, builder.emit("tanh", x), [x])
    assert first is not None
    (second,) = gradients(builder, first, [x])
    t = np.tanh(0.3)
    assert value_of(builder, second, x=0.3) == pytest.approx(-2 * t * (1 - t * t))


def test_missing_gradient_is_an_error_with_its_reason() -> None:
    builder = Builder()
    x = builder.input("x", Type("f64", (2, 3)))
    y = builder.emit("softmax", x)
    loss = builder.emit("reduce_sum", builder.emit("square", y), axes=(0, 1))
    (first,) = gradients(builder, loss, [x])
    assert first is not None
    builder.origin = Origin("head", "net.nn:3")
    squares = builder.emit("square", first)
    with pytest.raises(AutodiffError) as caught:
        gradients(builder, builder.emit("reduce_sum", squares, axes=(0, 1)), [x])
    assert caught.value.operator == "softmax_backward"
    assert "second derivatives of softmax" in caught.value.reason


def test_gradient_through_statistics_is_refused() -> None:
    builder = Builder()
    x = builder.input("x", Type("f64", (4, 3)))
    scale, offset = (builder.input(name, Type("f64", (3,))) for name in ("scale", "offset"))
    _, mean, _ = builder.emit_all("batch_norm", (x, scale, offset))
    loss = builder.emit("reduce_sum", mean, axes=(0,))
    with pytest.raises(InternalError, match="mean and variance"):
        gradients(builder, loss, [x])


@pytest.mark.parametrize("type", [Type("f64", (3,)), Type("i64", ())])
def test_loss_must_be_one_float(type: Type) -> None:
    builder = Builder()
    x = builder.input("x", type)
    with pytest.raises(AutodiffError, match="one floating point number"):
        gradients(builder, x, [x])


def test_whole_network_against_finite_differences() -> None:
    """Convolution, normalization, pooling, dense layer and cross-entropy, with a symbolic batch."""
    builder = Builder()
    generator = np.random.default_rng(1)
    image = builder.input("image", Type("f64", (N, 6, 6, 2)))
    label = builder.input("label", Type("i64", (N,)))

    def variable(name: str, *shape: int) -> Value:
        return builder.variable(name, "parameter", generator.standard_normal(shape), "f64")

    kernel, scale, offset = variable("kernel", 3, 3, 2, 4), variable("scale", 4), variable("b", 4)
    weight, bias = variable("weight", 36, 5), variable("bias", 5)
    x = builder.emit("conv2d", image, kernel, padding=(1, 1, 1, 1))
    x = builder.emit_all("batch_norm", (x, scale, offset))[0]
    x = builder.emit("tanh", x)
    x = builder.emit("max_pool", x, kernel=(2, 2), stride=(2, 2))
    x = builder.emit("reshape", x, shape=(N, 36))
    logits = builder.emit("add", builder.emit("matmul", x, weight), bias)
    rows = builder.emit("softmax_cross_entropy", logits, label, smoothing=0.1)
    loss = builder.emit("reduce_mean", rows, axes=(0,))
    wrt = [kernel, scale, offset, weight, bias]
    made = gradients(builder, loss, wrt)
    graph = builder.graph(
        outputs=[("loss", loss), *((f"g{i}", g) for i, g in enumerate(made) if g is not None)]
    )
    data = {"image": generator.standard_normal((7, 6, 6, 2)), "label": np.arange(7) % 5}
    found, _ = run(graph, data)
    for index, item in enumerate(graph.variables):
        direction = generator.standard_normal(item.initial.shape)
        values = [
            float(run(graph, data, {item.name: item.initial + sign * 1e-6 * direction})[0]["loss"])
            for sign in (1, -1)
        ]
        slope = (values[0] - values[1]) / 2e-6
        assert float((found[f"g{index}"] * direction).sum()) == pytest.approx(slope, rel=1e-5)
