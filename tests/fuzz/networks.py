"""Small networks that use every kernel, and the plans the compiler makes of them."""

from __future__ import annotations

import json
from typing import Any

from nnc.driver import Options, compile_source
from nnc.elaborate import read_source

Plan = dict[str, Any]

BLOCKS = """
block conv_norm(x, channels, kernel, stride = 1) =
    x -> conv(channels, kernel, stride = stride, bias = false) -> batch_norm
block plain(x: [N, H, W, C], width, stride = 1) {
    body = x -> conv_norm(width, 3, stride = stride) -> relu -> conv_norm(width, 3)
    skip = if stride == 1 and C == width { x } else { x -> conv_norm(width, 1, stride = stride) }
    return relu(body + skip)
}
block inverted(x: [N, H, W, C], channels, stride, expansion) {
    wide = if expansion == 1 { x } else { x -> conv_norm(expansion * C, 1) -> relu6 }
    deep = wide -> depthwise_conv(3, stride = stride, bias = false) -> batch_norm -> relu6
    body = deep -> conv_norm(channels, 1)
    return if stride == 1 and C == channels { x + body } else { body }
}
block twice(x, channels) = x -> conv(channels, 3) -> relu -> conv(channels, 3) -> relu
"""

CLASSES = """
train X {
    input label: i64[N]
    loss = cross_entropy(logits, label)
    regularizer = l2(1e-4)
    optimizer = OPTIMIZER
    learning_rate = RATE
    metric accuracy = accuracy(logits, label)
}
"""


def classes(optimizer: str, rate: str) -> str:
    return CLASSES.replace("OPTIMIZER", optimizer).replace("RATE", rate)


NETWORKS = {
    "mlp": """
net X {
    input image: u8[N, 6, 6, 1]
    logits = image / 16 -> flatten -> dense(24) -> relu -> dropout(0.4) -> dense(10)
    output probability = softmax(logits)
}"""
    + classes("sgd(momentum = 0.9)", "cosine(0.1)"),
    "lenet": """
net X {
    input image: u8[N, 14, 14, 1]
    f = image / 255 -> conv(16, 3) -> relu -> max_pool(2) -> conv(32, 3) -> relu -> max_pool(2)
    logits = f -> flatten -> dropout(0.3) -> dense(32) -> relu -> dense(10)
    output probability = softmax(logits)
}"""
    + classes("adam()", "cosine(0.002)"),
    "pools": """
net X {
    input image: f32[N, 14, 12, 3]
    x = image -> conv(16, 3) -> relu -> max_pool(2) -> conv(24, 3) -> max_pool(3, stride = 2)
    y = image -> conv(8, 5, padding = "valid") -> max_pool((3, 2)) -> avg_pool(3, stride = 1)
    z = image -> conv(16, 3, stride = 2) -> relu -> max_pool(2, dilation = 2, stride = 1)
    logits = concat(x -> flatten, y -> flatten, z -> flatten) -> dense(10)
    output probability = softmax(logits)
}"""
    + classes("sgd()", "0.1"),
    "resnet": """
net X {
    input image: f32[N, 16, 16, 3]
    x = image -> conv_norm(16, 3) -> relu
    for (width, stride) in [(16, 1), (32, 2)] {
        x = x -> plain(width, stride = stride) -> plain(width)
    }
    logits = x -> global_avg_pool -> dense(10)
    output probability = softmax(logits)
}"""
    + classes("sgd(momentum = 0.9)", "step(0.1, every = 3)"),
    "unet": """
net X(widths = [16, 32]) {
    input image: f32[N, 16, 16, 3]
    x = image
    skips = []
    for width in widths[:-1] {
        x = x -> twice(width)
        skips = [x] + skips
        x = x -> max_pool(2)
    }
    x = x -> twice(widths[-1])
    for i in range(len(skips)) {
        x = x -> conv_transpose(widths[len(widths) - 2 - i], 2, stride = 2)
        x = (x, skips[i]) -> concat -> twice(widths[len(widths) - 2 - i])
    }
    logits = x -> conv(3, 1)
    output probability = softmax(logits)
}
train X {
    input label: i64[N, 16, 16]
    loss = cross_entropy(logits, label)
    optimizer = adam()
    metric accuracy = accuracy(logits, label)
}""",
    "embed": """
net X(words = 50) {
    input ids: i32[N, T]
    e = ids -> embedding(words, 16) -> layer_norm
    k = e -> conv1d(16, 3) -> gelu
    s = softmax(k @ transpose(e, [0, 2, 1])) @ e
    left, right = split(s, 2)
    h = mean(concat(left * 2, right, k), 1)
    logits = h -> dense(5)
    output probability = softmax(logits)
    output largest = reduce_max(h, -1)
    output which = argmax(h)
}"""
    + classes("adamw()", "warmup(cosine(0.01), epochs = 2)"),
    "mobile": """
net X {
    input image: f32[N, 32, 32, 3]
    x = image -> conv_norm(16, 3, stride = 2) -> relu6
    x = x -> inverted(16, 1, 1) -> inverted(24, 2, 4) -> inverted(24, 1, 4)
    logits = x -> conv_norm(64, 1) -> relu6 -> global_avg_pool -> dropout(0.2) -> dense(10)
    output probability = softmax(logits)
}"""
    + classes("rmsprop(momentum = 0.9)", "exponential(0.045, 0.98)"),
    "stem": """
net X {
    input image: f32[N, 40, 40, 3]
    x = image -> conv_norm(32, 7, stride = 2) -> relu -> max_pool(3, stride = 2, padding = "same")
    x = x -> conv(32, 3, stride = 2) -> relu -> avg_pool(2) -> conv(16, 3, dilation = 2)
    x = x -> conv(16, 3, groups = 4) -> pad(1) -> resize(2) -> max_pool(2, stride = 1)
    logits = x -> global_max_pool -> dense(10)
    output probability = softmax(logits)
}"""
    + classes("sgd(momentum = 0.9, nesterov = true)", "0.1"),
    "symbolic": """
net X {
    input image: f32[N, H, W, 3]
    a = image -> conv(16, 3, stride = 2) -> relu
    b = a -> conv(16, 3) -> relu -> max_pool(2, stride = 1, padding = "same")
    c = concat(a, b) -> conv(32, 3) -> batch_norm -> silu
    d = c[:, 1:, :-1, 4:20]
    logits = d -> global_avg_pool -> dense(10)
    output probability = softmax(logits)
    output map = d
}"""
    + classes("adagrad()", "0.01"),
    "misc": """
net X {
    input x: f32[N, 12]
    input ids: i64[N]
    input flag: bool[N]
    h = x -> dense(16) -> prelu -> batch_norm
    k = one_hot(ids, 16) * h
    m = select(h > 0, k, -h)
    q = transpose(m) @ h
    r = h @ q / 16 -> mish
    z = reduce_max(r, 0, keep = true) + reduce_min(r, 0, keep = true) + sum(m, 0, keep = true)
    logits = (r + z * f32(flag)[0]) -> log_softmax -> dense(7)
    output y = softmax(logits)
    output a = argmax(m, 0)
    output n = floor(h) % 3 // 2 ** 2
    output i = ids * 3 // 2 - 1
    output u = u8(ids)
}"""
    + classes("adam()", "0.01"),
    "segments": """
net X {
    input image: f32[N, 20, 20, 8]
    x = image -> conv(32, 3) -> relu -> conv(32, 1) -> relu
    y = x -> depthwise_conv(5) -> hard_silu -> conv(32, 1)
    z = concat(x, y, image) -> conv(16, 3) -> leaky_relu
    logits = z -> global_avg_pool -> dense(10)
    output probability = softmax(logits)
}"""
    + classes("sgd(momentum = 0.9)", "cosine(0.1)"),
    "regression": """
net X {
    input x: f32[N, 8]
    logits = x -> dense(16) -> tanh -> dense(4) -> softsign
    output y = logits
}
train X {
    input target: f32[N, 4]
    loss = huber(logits, target) + mean_squared_error(logits, target)
    regularizer = [l1(1e-4), l2(1e-4, all = true)]
    optimizer = sgd()
    clip = by_global_norm(1.0)
    metric distance = mean(abs(logits - target))
}""",
}
# Compiled in every precision (kernels of f64, and those that keep to the order of sums), and with
# weights that are stored narrow.
PRECISE = ("lenet", "misc", "embed")


def compile_plans() -> dict[str, Plan]:
    """The plan of each network, as it is read from a file."""
    plans = {}
    for name, text in NETWORKS.items():
        for choice in ("", "double", "strict", "bf16"):
            if choice and name not in PRECISE:
                continue
            options = Options()
            if choice:
                options = Options(store="bf16") if choice == "bf16" else Options(precision=choice)
            compiled = compile_source(read_source(BLOCKS + text), options)
            key = f"{name} in {choice}" if choice else name
            plans[key] = json.loads(json.dumps(compiled.plan))
    return plans
