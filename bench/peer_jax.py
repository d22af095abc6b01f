"""JAX as a peer: the networks of `networks.py` in NHWC under `jax.jit`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from networks import Network

Step = Callable[[], Any]


class Layers:
    """Takes a list of parameters in order; with `make`, fills it on the first pass."""

    def __init__(self, parameters: list[Any], training: bool, make: bool = False) -> None:
        self.parameters = parameters
        self.training = training
        self.make = make
        self.cursor = 0
        self.random = np.random.default_rng(0)
        self.key = jax.random.PRNGKey(0)

    def parameter(self, shape: tuple[int, ...], fill: float | None = None) -> Any:
        if self.make:
            fan = int(np.prod(shape[:-1])) or 1
            drawn = (
                self.random.normal(size=shape) * np.sqrt(2 / fan)
                if fill is None
                else np.full(shape, fill)
            )
            self.parameters.append(jnp.asarray(drawn, jnp.float32))
        self.cursor += 1
        return self.parameters[self.cursor - 1]

    def dense(self, x: Any, units: int) -> Any:
        return x @ self.parameter((x.shape[1], units)) + self.parameter((units,), 0.0)

    def conv(
        self,
        x: Any,
        channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> Any:
        w = self.parameter((kernel, kernel, x.shape[3] // groups, channels))
        p = (kernel - 1) // 2
        y = lax.conv_general_dilated(
            x,
            w,
            (stride, stride),
            [(p, p), (p, p)],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )
        return y + self.parameter((channels,), 0.0) if bias else y

    def conv_transpose(self, x: Any, channels: int) -> Any:
        w = self.parameter((2, 2, x.shape[3], channels))
        y = lax.conv_transpose(x, w, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
        return y + self.parameter((channels,), 0.0)

    def batch_norm(self, x: Any) -> Any:
        scale, offset = self.parameter((x.shape[3],), 1.0), self.parameter((x.shape[3],), 0.0)
        if self.training:
            mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        else:
            mean, variance = jnp.zeros(x.shape[3]), jnp.ones(x.shape[3])
        return (x - mean) * lax.rsqrt(variance + 1e-5) * scale + offset

    def relu(self, x: Any) -> Any:
        return jnp.maximum(x, 0)

    def relu6(self, x: Any) -> Any:
        return jnp.clip(x, 0, 6)

    def max_pool(self, x: Any, kernel: int, stride: int) -> Any:
        p = (kernel - 1) // 2
        return lax.reduce_window(
            x,
            -jnp.inf,
            lax.max,
            (1, kernel, kernel, 1),
            (1, stride, stride, 1),
            ((0, 0), (p, p), (p, p), (0, 0)),
        )

    def global_avg_pool(self, x: Any) -> Any:
        return x.mean((1, 2))

    def flatten(self, x: Any) -> Any:
        return x.reshape(x.shape[0], -1)

    def concat(self, a: Any, b: Any) -> Any:
        return jnp.concatenate((a, b), 3)

    def dropout(self, x: Any, rate: float) -> Any:
        if not self.training:
            return x
        return jnp.where(jax.random.bernoulli(self.key, 1 - rate, x.shape), x / (1 - rate), 0)

    def channels(self, x: Any) -> int:
        return int(x.shape[-1])


def build(network: Network) -> list[Any]:
    made: list[Any] = []
    network.function(Layers(made, False, make=True), jnp.zeros((1, *network.shape)))
    return made


def inference(network: Network, x: np.ndarray[Any, Any]) -> Step:
    made = build(network)
    data = jnp.asarray(x)
    run = jax.jit(lambda p, t: jax.nn.softmax(network.function(Layers(p, False), t)))
    return lambda: run(made, data).block_until_ready()


def training(network: Network, x: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> Step:
    made = build(network)
    data, target = jnp.asarray(x), jnp.asarray(labels)

    def loss_of(p: Any) -> Any:
        logits = network.function(Layers(p, True), data)
        return -jnp.take_along_axis(jax.nn.log_softmax(logits), target[..., None], -1).mean()

    def advance(p: Any, v: Any) -> Any:
        loss, g = jax.value_and_grad(loss_of)(p)
        v = [0.9 * a + b for a, b in zip(v, g, strict=True)]
        return [a - 0.01 * b for a, b in zip(p, v, strict=True)], v, loss

    run = jax.jit(advance, donate_argnums=(0, 1))
    state = [made, [jnp.zeros_like(p) for p in made]]

    def step() -> Any:
        p, v, loss = run(*state)
        state[:] = [p, v]
        return loss.block_until_ready()

    return step
