"""Every setting of the library has a range, and what is outside is refused with its value."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from nnc.elaborate import elaborate
from nnc.elaborate.module import LIBRARY
from nnlang import DiagnosticError, parse
from nnlang.syntax import Block, Name, Rule, Source

# What a block works on, or the place supplies: no settings.
WORKED_ON = {
    "x", "ids", "logits", "label", "prediction", "target", "logit", "score", "p", "gradient",
    "gradients", "shape", "initializer", "step", "steps", "epoch_steps",
}  # fmt: skip
SUPPLIED = {"optimizers.nn": 3, "schedules.nn": 3, "regularizers.nn": 1, "initializers.nn": 1}

NET = """
net M {{
    input x: f32[N, 8, 8, 4]
    input s: f32[N, 8, 4]
    input v: f32[N, 4]
    input ids: i64[N]
    y = {net}
    output result = y
    output rest = sum(x) + sum(s) + sum(v) + sum(f32(ids))
    logits = v -> dense(4, initializer = {initializer})
}}
train M {{
    loss = mean(square(logits)) + {loss}
    optimizer = {optimizer}
    learning_rate = {learning_rate}
    regularizer = {regularizer}
    clip = {clip}
    metric m = {metric}
}}
"""
USUAL = {
    "net": "v",
    "loss": "mean(v)",
    "optimizer": "sgd()",
    "learning_rate": "0.1",
    "regularizer": "l2(0)",
    "clip": "by_value(1)",
    "metric": "mean(v)",
    "initializer": "zeros()",
}

INFINITE = "1e300 * 1e300"
NO_NUMBER = f"{INFINITE} - {INFINITE}"
NO_NUMBERS = (INFINITE, NO_NUMBER, '"0.1"', "[0.1]")
BELOW_ZERO = ("-1", *NO_NUMBERS)
NO_COUNTS = ("0", "-1", "1.5", *NO_NUMBERS)
NO_SHARES = ("1", "1.5", *BELOW_ZERO)
NOT_ABOVE_ZERO = ("0", *BELOW_ZERO)

# Place, block and setting, the call with a hole, and values that are refused.
TABLE: list[tuple[str, str, str, str, tuple[str, ...]]] = [
    ("net", "dense", "units", "v -> dense({})", NO_COUNTS),
    ("net", "conv", "channels", "x -> conv({})", NO_COUNTS),
    ("net", "conv", "kernel", "x -> conv(4, {})", (*NO_COUNTS, "(3, 3, 3)", "(3, 0)")),
    ("net", "conv", "stride", "x -> conv(4, stride = {})", (*NO_COUNTS, "(1, 0)")),
    ("net", "conv", "padding", "x -> conv(4, padding = {})",
     ("-1", "1.5", '"full"', "(1, 2, 3)", "(1, -1)", "[0.5, 1]", INFINITE)),
    ("net", "conv", "dilation", "x -> conv(4, dilation = {})", NO_COUNTS),
    ("net", "conv", "groups", "x -> conv(4, groups = {})", (*NO_COUNTS, "3")),
    ("net", "depthwise_conv", "kernel", "x -> depthwise_conv({})", NO_COUNTS),
    ("net", "depthwise_conv", "stride", "x -> depthwise_conv(stride = {})", NO_COUNTS),
    ("net", "depthwise_conv", "padding", "x -> depthwise_conv(padding = {})", ("-1", '"all"')),
    ("net", "depthwise_conv", "dilation", "x -> depthwise_conv(dilation = {})", NO_COUNTS),
    ("net", "depthwise_conv", "multiplier", "x -> depthwise_conv(multiplier = {})", NO_COUNTS),
    ("net", "conv1d", "channels", "s -> conv1d({})", NO_COUNTS),
    ("net", "conv1d", "kernel", "s -> conv1d(4, {})", (*NO_COUNTS, "(3, 3)")),
    ("net", "conv1d", "stride", "s -> conv1d(4, stride = {})", NO_COUNTS),
    ("net", "conv1d", "padding", "s -> conv1d(4, padding = {})",
     ("-1", "1.5", '"full"', "(1, 2, 3)", "[]", "(1, -1)")),
    ("net", "conv1d", "dilation", "s -> conv1d(4, dilation = {})", NO_COUNTS),
    ("net", "conv1d", "groups", "s -> conv1d(4, groups = {})", (*NO_COUNTS, "3")),
    ("net", "conv_transpose", "channels", "x -> conv_transpose({})", NO_COUNTS),
    ("net", "conv_transpose", "kernel", "x -> conv_transpose(4, {})", NO_COUNTS),
    ("net", "conv_transpose", "stride", "x -> conv_transpose(4, stride = {})", NO_COUNTS),
    ("net", "conv_transpose", "padding", "x -> conv_transpose(4, padding = {})",
     ("-1", '"full"')),
    ("net", "conv_transpose", "dilation", "x -> conv_transpose(4, dilation = {})", NO_COUNTS),
    ("net", "conv_transpose", "groups", "x -> conv_transpose(4, groups = {})", (*NO_COUNTS, "3")),
    ("net", "max_pool", "kernel", "x -> max_pool({})", NO_COUNTS),
    ("net", "max_pool", "stride", "x -> max_pool(stride = {})", ("-1", "1.5", '"2"', "(0, 1)")),
    ("net", "max_pool", "padding", "x -> max_pool(padding = {})", ("-1", '"full"')),
    ("net", "max_pool", "dilation", "x -> max_pool(dilation = {})", NO_COUNTS),
    ("net", "avg_pool", "kernel", "x -> avg_pool({})", NO_COUNTS),
    ("net", "avg_pool", "stride", "x -> avg_pool(stride = {})", ("-1", "1.5", '"2"', "(0, 1)")),
    ("net", "avg_pool", "padding", "x -> avg_pool(padding = {})", ("-1", '"full"')),
    ("net", "avg_pool", "count_padding", "x -> avg_pool(count_padding = {})", ("1", '"true"')),
    ("net", "dense", "bias", "v -> dense(3, bias = {})", ("1", '"true"')),
    ("net", "conv", "bias", "x -> conv(3, bias = {})", ("1", '"true"')),
    ("net", "depthwise_conv", "bias", "x -> depthwise_conv(bias = {})", ("1", '"true"')),
    ("net", "conv1d", "bias", "s -> conv1d(4, bias = {})", ("1", '"true"')),
    ("net", "conv_transpose", "bias", "x -> conv_transpose(4, bias = {})", ("1", '"true"')),
    ("net", "pad", "padding", "x -> pad({})", ("-1", "(1, 2, 3)", "1.5", '"full"')),
    ("net", "pad", "value", "x -> pad(1, value = {})", NO_NUMBERS),
    ("net", "resize", "factor", "x -> resize({})", (*NO_COUNTS, "(1, 2, 3)")),
    ("net", "dropout", "rate", "v -> dropout({})", (*NO_SHARES, "v")),
    ("net", "batch_norm", "momentum", "v -> batch_norm(momentum = {})", ("2", *NO_SHARES, "v")),
    ("net", "batch_norm", "epsilon", "v -> batch_norm(epsilon = {})", NOT_ABOVE_ZERO),
    ("net", "layer_norm", "epsilon", "v -> layer_norm(epsilon = {})", NOT_ABOVE_ZERO),
    ("net", "embedding", "words", "ids -> embedding({}, 4)", NO_COUNTS),
    ("net", "embedding", "features", "ids -> embedding(4, {})", NO_COUNTS),
    ("net", "leaky_relu", "slope", "v -> leaky_relu({})", NO_NUMBERS),
    ("net", "elu", "alpha", "v -> elu({})", BELOW_ZERO),
    ("net", "gelu", "approximate", "v -> gelu({})", ("1", '"tanh"')),
    ("net", "clip_to", "low", "v -> clip_to({}, 3)", NO_NUMBERS),
    ("net", "clip_to", "high", "v -> clip_to(3, {})", ("1", *NO_NUMBERS)),
    ("net", "softmax", "axis", "v -> softmax({})", ("2", "-3", "0.5", '"last"')),
    ("net", "log_softmax", "axis", "v -> log_softmax({})", ("2", "-3", "0.5")),
    ("net", "norm", "axes", "norm(v, {})", ('"last"', "5", "0.5", "[1, 1]")),
    ("net", "norm", "keep", "norm(v, 1, keep = {})", ("1", '"yes"')),
    ("loss", "huber", "delta", "huber(v, v * 2, delta = {})", NOT_ABOVE_ZERO),
    ("loss", "cross_entropy", "smoothing", "cross_entropy(v, ids, smoothing = {})", NO_SHARES),
    ("metric", "top_k_accuracy", "k", "top_k_accuracy(v, ids, k = {})", ("5", *NO_COUNTS)),
    ("optimizer", "sgd", "momentum", "sgd(momentum = {})", NO_SHARES),
    ("optimizer", "sgd", "nesterov", "sgd(momentum = 0.5, nesterov = {})", ("1", '"true"')),
    ("optimizer", "sgd", "weight_decay", "sgd(weight_decay = {})", BELOW_ZERO),
    ("optimizer", "adam", "beta1", "adam(beta1 = {})", NO_SHARES),
    ("optimizer", "adam", "beta2", "adam(beta2 = {})", NO_SHARES),
    ("optimizer", "adam", "epsilon", "adam(epsilon = {})", BELOW_ZERO),
    ("optimizer", "adamw", "beta1", "adamw(beta1 = {})", NO_SHARES),
    ("optimizer", "adamw", "beta2", "adamw(beta2 = {})", NO_SHARES),
    ("optimizer", "adamw", "epsilon", "adamw(epsilon = {})", BELOW_ZERO),
    ("optimizer", "adamw", "weight_decay", "adamw(weight_decay = {})", BELOW_ZERO),
    ("optimizer", "rmsprop", "decay", "rmsprop(decay = {})", NO_SHARES),
    ("optimizer", "rmsprop", "momentum", "rmsprop(momentum = {})", NO_SHARES),
    ("optimizer", "rmsprop", "epsilon", "rmsprop(epsilon = {})", BELOW_ZERO),
    ("optimizer", "adagrad", "epsilon", "adagrad(epsilon = {})", BELOW_ZERO),
    ("clip", "by_value", "limit", "by_value({})", NOT_ABOVE_ZERO),
    ("clip", "by_global_norm", "limit", "by_global_norm({})", NOT_ABOVE_ZERO),
    ("learning_rate", "step", "rate", "step({}, 3)", BELOW_ZERO),
    ("learning_rate", "step", "every", "step(0.1, {})", NOT_ABOVE_ZERO),
    ("learning_rate", "step", "factor", "step(0.1, 3, factor = {})", NOT_ABOVE_ZERO),
    ("learning_rate", "exponential", "rate", "exponential({}, 0.5)", BELOW_ZERO),
    ("learning_rate", "exponential", "factor", "exponential(0.1, {})", NOT_ABOVE_ZERO),
    ("learning_rate", "cosine", "rate", "cosine({})", (*BELOW_ZERO, "logits")),
    ("learning_rate", "cosine", "final", "cosine(0.1, final = {})", ("0.2", *BELOW_ZERO)),
    ("learning_rate", "warmup", "schedule", "warmup({})", (*BELOW_ZERO, "logits")),
    ("learning_rate", "warmup", "epochs", "warmup(0.1, epochs = {})", BELOW_ZERO),
    ("learning_rate", "constant", "value", "constant({})", NO_NUMBERS),
    ("regularizer", "l1", "factor", "l1({})", BELOW_ZERO),
    ("regularizer", "l1", "all", "l1(0.1, all = {})", ("1", '"true"')),
    ("regularizer", "l2", "factor", "l2({})", BELOW_ZERO),
    ("regularizer", "l2", "all", "l2(0.1, all = {})", ("1", '"true"')),
    ("initializer", "glorot_uniform", "gain", "glorot_uniform(gain = {})", BELOW_ZERO),
    ("initializer", "glorot_normal", "gain", "glorot_normal(gain = {})", BELOW_ZERO),
    ("initializer", "orthogonal", "gain", "orthogonal(gain = {})", BELOW_ZERO),
    ("initializer", "uniform", "low", "uniform(low = {})", NO_NUMBERS),
    ("initializer", "uniform", "high", "uniform(1, {})", ("0", "-1", *NO_NUMBERS)),
    ("initializer", "normal", "mean", "normal(mean = {})", NO_NUMBERS),
    ("initializer", "normal", "deviation", "normal(0, {})", BELOW_ZERO),
    ("net", "bernoulli", "probability",
     "if training {{ v * bernoulli(shape(v), {}) }} else {{ v }}",
     ("-0.1", "1.1", *(bad for bad in NO_NUMBERS if bad != "[0.1]"))),  # a list is a tensor there
]  # fmt: skip


def refused(place: str, text: str) -> str:
    with pytest.raises(DiagnosticError) as error:
        elaborate(Source("<text>", NET.format(**{**USUAL, place: text})))
    return str(error.value)


@pytest.mark.parametrize(
    ("place", "setting", "call", "value"),
    [
        pytest.param(place, setting, call, value, id=call.format(value))
        for place, _, setting, call, values in TABLE
        for value in values
    ],
)
def test_a_value_out_of_range(place: str, setting: str, call: str, value: str) -> None:
    found = refused(place, call.format(value))
    assert re.search(rf"`?{setting}`?|axis", found), found
    shown = {INFINITE: "inf", NO_NUMBER: "nan", "v": "f32[N, 4]", "logits": "f32[N, 4]"}
    words = shown.get(value, value).strip('"')
    assert words in found.split("\n")[0] or f"found {words}" in found, found
    assert "std/" not in found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cosine(-1)", "the setting `rate` must be a number of at least 0, and is -1"),
        ("warmup(cosine(-1))", "the setting `rate` must be a number of at least 0, and is -1"),
        ("step(0.1, every = 0)", "the setting `every` must be a number above 0, and is 0"),
        ("cosine(1, final = 2)", "the setting `final` must be a number from 0 to the rate, 1, and"),
        ("constant(-1)", "the learning rate must be a number of at least 0"),
        ("-1", "the learning rate must be a number of at least 0"),
        (INFINITE, "the learning rate must be a number of at least 0"),
    ],
)  # fmt: skip
def test_words(text: str, words: str) -> None:
    assert words in refused("learning_rate", text)


def settings() -> Iterator[tuple[str, str]]:
    """Each setting of a public block of the library, with the block."""
    for path in sorted(LIBRARY.glob("[!_]*.nn")):
        for item in parse(path.read_text("utf-8")).items:
            assert isinstance(item, (Block, Rule))
            name = item.name.text
            supplied = SUPPLIED.get(path.name, 0)
            if name.startswith("by_"):
                supplied = 1
            for parameter in item.parameters[supplied:]:
                is_rule = isinstance(parameter.default, Name)
                if (
                    parameter.name.text not in WORKED_ON
                    and not name.startswith("_")
                    and not is_rule
                ):
                    yield name, parameter.name.text


def test_every_setting_of_the_library_is_in_the_table() -> None:
    found = set(settings())
    assert len(found) > 80
    assert found - {(block, setting) for _, block, setting, _, _ in TABLE} == set()


def test_numbers_with_a_default_are_settings() -> None:
    """No parameter with a number for a default hides among what blocks work on."""
    for path in LIBRARY.glob("[!_]*.nn"):
        for item in parse(path.read_text("utf-8")).items:
            assert isinstance(item, (Block, Rule))
            for parameter in item.parameters:
                if parameter.default is not None and not isinstance(parameter.default, Name):
                    assert parameter.name.text not in WORKED_ON


GOOD = [
    ("net", "v -> leaky_relu(-0.5)"),
    ("net", "v -> leaky_relu(v)"),
    ("net", "v -> elu(v)"),
    ("net", "v -> clip_to(1, 1)"),
    ("net", "v -> clip_to(-1, abs(v))"),
    ("net", "v -> dropout(0)"),
    ("net", "v -> batch_norm(momentum = 0)"),
    ("net", "x -> max_pool(stride = 0)"),
    ("net", "x -> pad(0, value = -3)"),
    ("net", "norm(v, [0, 1])"),
    ("loss", "huber(v, v * 2, delta = abs(v))"),
    ("metric", "top_k_accuracy(v, ids, k = 4)"),
    ("learning_rate", "0"),
    ("learning_rate", "cosine(0.1, final = 0.1)"),
    ("learning_rate", "step(0.1, every = 0.5, factor = 2)"),
    ("learning_rate", "warmup(0.1, epochs = 0)"),
    ("learning_rate", "warmup(step(0.1, 3))"),
    ("optimizer", "adam(beta1 = 0, epsilon = 0)"),
    ("regularizer", "l1(0, all = true)"),
    ("initializer", "uniform(1, 1)"),
    ("initializer", "normal(2, 0)"),
    ("net", "if training { v * bernoulli(shape(v), 1) } else { v }"),
    ("net", "if training { v * bernoulli(shape(v), sigmoid(v)) } else { v }"),
]


@pytest.mark.parametrize(("place", "text"), GOOD)
def test_the_ends_of_the_ranges(place: str, text: str) -> None:
    elaborate(Source("<text>", NET.format(**{**USUAL, place: text})))
