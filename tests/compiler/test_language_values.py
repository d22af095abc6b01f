"""Layers with settings as values, and lists with `for`."""

from __future__ import annotations

import pytest

from .elaborated import VECTORS, mistake, net, operators, parameters, shapes

TOWER = """
block tower(x, widths, act, norm) {
    for width in widths { x = x -> dense(width, bias = false) -> norm -> act }
    return x
}
"""


def refused(body: str, before: str = "") -> str:
    return mistake(f"{before}\n{VECTORS}{body}\n}}")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("layer = dense(units = 4)\noutput y = x -> layer -> layer", ["dense", "dense_2"]),
        ("layer = dense(4)\noutput y = x -> layer -> dense(4)", ["dense", "dense_2"]),
        ("layer = dense(4, true)\noutput y = x -> layer as head -> layer", ["head", "dense"]),
        ("layer = dense(bias = true)\noutput y = x -> layer(4)", ["dense"]),
        ("layer = dense(4)\nlayer = layer(bias = true)\noutput y = layer(x)", ["dense"]),
        ("output y = x -> [dense(5), dense(4)][1]", None),
        ("fs = [dense(units = n) for n in [3, 4]]\nf = fs[1]\noutput y = f(x)", ["dense"]),
        ("layer = if N == N { dense(4) } else { relu }\noutput y = x -> layer", ["dense"]),
    ],
)  # fmt: skip
def test_a_call_without_its_first_argument_is_kept(body: str, expected: list[str] | None) -> None:
    if expected is None:  # what follows `->` is a name
        assert refused(body).startswith("error[N0101]")
        return
    made = net(body)
    assert shapes(made) == {"y": "f32[N, 4]"}
    paths = [name.removesuffix(".weight") for name in parameters(made) if name.endswith("weight")]
    assert paths == [f"y.{name}" for name in expected]


def test_blocks_take_layers() -> None:
    made = net(
        "act = leaky_relu(slope = 0.25)\n"
        "h = x -> tower([4, 5], act = act, norm = layer_norm(epsilon = 1e-3))\n"
        "output y = h -> tower([6], tanh, norm = identity)",
        before=TOWER,
    )
    assert operators(made.graphs["predict"]).count("select") == 2
    assert parameters(made) == [
        "h.tower.x.dense.weight",
        "h.tower.x.layer_norm.scale",
        "h.tower.x.layer_norm.offset",
        "h.tower.x.dense_2.weight",
        "h.tower.x.layer_norm_2.scale",
        "h.tower.x.layer_norm_2.offset",
        "y.tower.x.dense.weight",
    ]


def test_defaults_and_results_may_be_layers() -> None:
    before = """
        block head(x, act = clip_to(low = -1, high = 1)) = x -> dense(3, bias = false) -> act
        block scaled(width) = dense(units = width, bias = false)
    """
    made = net("layer = scaled(7)\noutput y = x -> layer -> head", before=before)
    assert operators(made.graphs["predict"])[-4:] == ["constant", "maximum", "constant", "minimum"]
    assert shapes(made) == {"y": "f32[N, 3]"}


def test_functions_and_operators_are_kept_too() -> None:
    made = net("cut = max(b = 0)\nlast = sum(axes = -1)\noutput y = x -> cut -> last")
    assert operators(made.graphs["predict"]) == ["constant", "maximum", "reduce_sum"]
    made = net("norm = op.log_softmax()\noutput y = x -> norm")
    assert operators(made.graphs["predict"]) == ["log_softmax"]


def test_kept_calls_are_shared_and_shared_ones_are_kept() -> None:
    made = net(
        "layer = dense(units = 4)\ne = share layer()\nflat = e(bias = false)\n"
        "output y = flat(x) + flat(x + 1)"
    )
    assert parameters(made) == ["e.dense.weight"]
    assert "a shared `dense` already" in refused(
        "e = share dense(4)\nf = share e()\noutput y = f(x)"
    )


def test_initializers_of_kept_calls_are_named_for_later() -> None:
    made = net("layer = dense(4)\noutput y = x -> layer(initializer = uniform(2, 3))")
    weight = made.graphs["predict"].variables[0].initial
    assert weight.min() >= 2
    made = net("first = uniform(low = 2, high = 3)\noutput y = x -> dense(4, initializer = first)")
    assert made.graphs["predict"].variables[0].initial.min() >= 2


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("h = dense(4)\noutput y = h\noutput z = x", "N0306", "`dense(4)`, which lacks `x`"),
        ("h = dense(4)\noutput y = h\noutput z = x", "N0306", "its `x`: `x -> dense(4)`"),
        ("output y = x + relu(dense(4))", "N0306", "`dense(4)`, which lacks `x`"),
        ("output y = x + dense(4)", "N0403", "`dense` needs `units`"),
        ("output y = conv(x)", "N0403", "`conv` needs `channels`"),
        ("output y = conv(x = x)", "N0403", "`conv` needs `channels`"),
        ("f = dense(unit = 4)\noutput y = x -> f", "N0402", "did you mean `units`?"),
        ("f = dense(1, 2, 3, 4, 5)\noutput y = x -> f", "N0401", "too many arguments"),
        ("f = dense(4) as head\noutput y = x -> f", "N0402", "`x -> ... as head`"),
        ("f = dense(bias = false)\noutput y = x -> f", "N0403", "`dense` needs `units`"),
        ("f = dense(units = 3)\noutput y = f(x, 4)", "N0405", "given twice"),
        ("const f = dense(4)\noutput y = x -> f", "N0403", "`dense` needs `units`"),
        ("output y = x -> dense(len())", "N0403", "`len` needs `items`"),
    ],
)  # fmt: skip
def test_mistakes(body: str, code: str, words: str) -> None:
    found = refused(body)
    assert found.startswith(f"error[{code}]")
    assert words in found


def test_a_wrong_argument_is_still_no_setting() -> None:
    before = "block f(x: [N, K]) = x"
    assert refused("output y = x + f(3)", before).startswith("error[N0303]")


# Lists with `for`


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[i * i for i in range(4)]", "[0, 1, 4, 9]"),
        ("[i for i in range(9) if i % 3 == 0]", "[0, 3, 6]"),
        ("[a + b for a, b in [(1, 2), (3, 4)]]", "[3, 7]"),
        ("[a + c for (a, (b, c)) in [(1, (2, 3))]]", "[4]"),
        ("[[a * b for b in [1, 2]] for a in [3, 4]]", "[[3, 6], [4, 8]]"),
        ("[f for f in []]", "[]"),
        ("[i for i in (1, 2)] + [3]", "[1, 2, 3]"),
    ],
)
def test_values_of_lists(text: str, expected: str) -> None:
    made = net(f"a = {text}\nassert a == {expected}, text(a)\noutput y = x")
    assert shapes(made) == {"y": "f32[N, 8]"}


def test_layers_of_a_list_have_parameters_of_their_own() -> None:
    made = net("parts = [x -> dense(n, bias = false) for n in [2, 3]]\noutput y = concat(parts)")
    assert parameters(made) == ["parts.dense.weight", "parts.dense_2.weight"]
    assert shapes(made) == {"y": "f32[N, 5]"}


def test_names_of_a_list_stay_inside() -> None:
    made = net("i = 5\na = [i for i in range(3)]\nassert i == 5\noutput y = x * i")
    assert shapes(made) == {"y": "f32[N, 8]"}
    assert "N0208" in refused("a = [i for i in range(3)]\noutput y = x * i")


def test_constants_settings_and_sections_may_use_them() -> None:
    made = net(
        "logits = x -> dense(sum(widths))\noutput y = logits",
        before="const widths = [2 * i for i in [1, 2]]",
        after="train M {\n input t: f32[N, 6]\n loss = mean_squared_error(logits, t)"
        "\n regularizer = [l2(f) for f in [0.1, 0.2]]\n}",
    )
    assert operators(made.graphs["train"]).count("reduce_sum") >= 2
    found = net(
        "output y = x * k", head="net M(k = sum([i for i in [1, 2]])) {\n input x: f32[N]\n"
    )
    assert found.settings == {"k": 3}


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("a = [i for i in x]\noutput y = x * a", "N0306", "`for` runs over a list or a tuple"),
        ("a = [i for i, j in [1, 2]]\noutput y = x * a", "N0308", "2 names need 2 values"),
        ("a = [i for i in [1] if x]\noutput y = x * a", "N0307", "known at compile time"),
        ("a = [k for i in [1]]\noutput y = x * a", "N0201", "there is no `k` here"),
        ("a = [pi for pi in [1]]\noutput y = x * a", "N0203", "`pi` is a constant"),
    ],
)
def test_mistakes_of_lists(body: str, code: str, words: str) -> None:
    found = refused(body)
    assert found.startswith(f"error[{code}]")
    assert words in found
    assert found.count("error[") == 1


def test_a_setting_that_only_a_list_hides_is_not_used() -> None:
    head = "net M(k = 3) {\n    input x: f32[N, 8]\n"
    found = mistake(head + "output y = x * sum([k for k in [1, 2]])\n}")
    assert found.startswith("error[N0204]")
