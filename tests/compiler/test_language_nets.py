"""Parts of what is shared (`e.table`), and nets used as blocks."""

from __future__ import annotations

from pathlib import Path

import nnc
import numpy as np
import pytest
from nnc.elaborate import elaborate, read_source

from .elaborated import VECTORS, mistake, net, operators, parameters, shapes

TIED = "e = share embedding(words = 10, features = 8)\nh = e(i64(x[:, 0])) -> dense(8)\n"
ENCODER = """
net Encoder(width = 4) {
    input image: f32[B, 8]
    h = image -> dense(width)
    output code = h -> relu
}
"""
TWO = """
net Two {
    input a: f32[B, 8]
    input b: f32[B, K]
    output s = a -> dense(2)
    output t = b + 1
}
"""


def refused(body: str, before: str = "") -> str:
    return mistake(f"{before}\n{VECTORS}{body}\n}}", net="M")


# What is shared


def test_parameters_and_states_of_what_is_shared() -> None:
    made = net(TIED + "output y = h @ transpose(e.table)")
    assert shapes(made) == {"y": "f32[N, 10]"}
    assert parameters(made) == ["e.embedding.table", "h.dense.weight", "h.dense.offset"]
    made = net("n = share batch_norm()\noutput y = n(x) + n.mean")
    assert operators(made.graphs["predict"])[-1] == "add"


def test_paths_inside() -> None:
    before = """
        block inner(x) = x -> dense(8, bias = false) as first -> dense(8, bias = false)
        block outer(x) {
            h = x -> inner
            return h
        }
    """
    made = net(
        "e = share outer()\nh = e(x)\np = e.h.inner\n"
        "output y = h @ p.first.weight @ p.dense.weight",
        before=before,
    )
    assert parameters(made) == ["e.outer.h.inner.first.weight", "e.outer.h.inner.dense.weight"]


def test_blocks_take_what_is_shared() -> None:
    before = "block tied(h, e) = h @ transpose(e.table)"
    assert shapes(net(TIED + "output y = h -> tied(e)", before=before)) == {"y": "f32[N, 10]"}


def test_training_sections_see_parts_too() -> None:
    made = net(
        TIED + "logits = h @ transpose(e.table)\noutput y = softmax(logits)",
        after="train M {\n input label: i64[N]\n size = mean(square(e.table))\n"
        " loss = cross_entropy(logits, label) + size\n}",
    )
    assert "square" in operators(made.graphs["train"])


def test_tied_weights_learn_from_both_uses() -> None:
    text = """
        net M {
            input ids: i64[N]
            e = share embedding(words = 3, features = 2)
            output y = e(ids) @ transpose(e.table)
        }
        train M {
            input t: f32[N, 3]
            loss          = mean(square(y - t))
            optimizer     = sgd()
            learning_rate = 0.5
        }
    """
    model = nnc.compile(text)
    table = model.parameters["e.embedding.table"].astype(np.float64)
    ids, target = np.array([0, 2, 2]), np.eye(3, dtype=np.float32)
    slope = 2 / 9 * (table[ids] @ table.T - target)
    expected = slope.T @ table[ids]
    np.add.at(expected, ids, slope @ table)
    model.fit({"ids": ids, "t": target}, epochs=1, batch=3, shuffle=False)
    moved = model.parameters["e.embedding.table"]
    np.testing.assert_allclose(moved, table - 0.5 * expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (TIED + "output y = h @ e.tabel", "N0205", "did you mean `table`?"),
        (TIED + "output y = h @ e.tabel", "N0205", "it has `table`"),
        (
            "e = share dense(8)\nw = e.weight\noutput y = e(x) @ w",
            "N0208",
            "use it before this place",
        ),
        (TIED + "output y = h @ e.table.weight", "N0112", "no methods or attributes"),
        ("h = x -> dense(3)\noutput y = h.shape", "N0112", "write `shape(h)`"),
        ("output y = x.shape", "N0112", "write `shape(x)`"),
        ("output y = x.relu()", "N0112", "write `x -> relu`"),
    ],
)
def test_mistakes_with_points(body: str, code: str, words: str) -> None:
    found = refused(body)
    assert found.startswith(f"error[{code}]")
    assert words in found


# Nets as blocks


def test_a_net_is_a_block() -> None:
    body = "h = Encoder(x, width = 3)\noutput y = h -> dense(2)"
    made = net(body, before=ENCODER, net="M")
    assert parameters(made)[:2] == ["h.Encoder.h.dense.weight", "h.Encoder.h.dense.offset"]
    assert shapes(made) == {"y": "f32[N, 2]"}
    assert [name for name, _ in made.graphs["predict"].outputs] == ["y"]
    assert [item.name for item in made.graphs["predict"].inputs] == ["x"]


def test_inputs_by_position_by_name_and_by_pipe() -> None:
    for call in ("Encoder(x)", "Encoder(image = x)", "x -> Encoder", "x -> Encoder(width = 4)"):
        assert shapes(net(f"output y = {call}", before=ENCODER, net="M")) == {"y": "f32[N, 4]"}


def test_several_outputs_are_a_tuple_with_names() -> None:
    for body in (
        "p = Two(x, x)\noutput y = p.s + p.t[:, :2]",
        "p, q = (x, x) -> Two\noutput y = p + q[:, :2]",
        "p = Two(b = x, a = x)\noutput y = p[0] + p.t[:, :2]",
    ):
        made = net(body, before=TWO, net="M")
        assert shapes(made) == {"y": "f32[N, 2]"}
        assert len(parameters(made)) == 2


def test_nets_are_shared_and_kept() -> None:
    made = net(
        "e = share Encoder(width = 8)\noutput y = e(e(x)) @ e.h.dense.weight",
        before=ENCODER,
        net="M",
    )
    assert parameters(made) == ["e.Encoder.h.dense.weight", "e.Encoder.h.dense.offset"]
    made = net("f = Encoder(width = 8)\noutput y = x -> f -> f", before=ENCODER, net="M")
    assert len(parameters(made)) == 4


def test_a_net_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "parts.nn").write_text(ENCODER)
    text = 'use "parts.nn"\nnet M {\n input x: f32[N, 8]\n output y = x -> parts.Encoder\n}\n'
    (tmp_path / "main.nn").write_text(text)
    made = elaborate(read_source(tmp_path / "main.nn"))
    assert parameters(made) == ["y.Encoder.h.dense.weight", "y.Encoder.h.dense.offset"]


def test_statistics_of_a_net_as_a_block_move() -> None:
    before = "net Inner {\n input a: f32[B, 8]\n output b = a -> batch_norm\n}"
    after = "train M {\n loss = mean(square(y))\n}"
    made = net("output y = x -> Inner -> dense(2)", before=before, after=after)
    updated = [name for name, _ in made.graphs["train"].updates]
    assert "y.Inner.b.batch_norm.mean" in updated


def test_it_learns_like_the_same_layers_in_place() -> None:
    body = "h = x -> {first}\n    logits = h -> dense(3)\n    output y = softmax(logits)\n"
    section = (
        "train M {\n    input label: i64[N]\n    loss = cross_entropy(logits, label)\n"
        "    optimizer = sgd()\n    learning_rate = 0.1\n    regularizer = l2(0.01)\n}\n"
    )
    nested = nnc.compile(f"{ENCODER}\n{VECTORS}{body.format(first='Encoder')}}}\n{section}")
    before = "block Encoder(image, width = 4) {\n h = image -> dense(width)\n code = h -> relu\n"
    flat = nnc.compile(
        f"{before} return code\n}}\n{VECTORS}{body.format(first='Encoder')}}}\n{section}"
    )
    rng = np.random.default_rng(0)
    data = {"x": rng.standard_normal((20, 8)).astype(np.float32), "label": rng.integers(0, 3, 20)}
    for model in (nested, flat):
        model.fit(data, epochs=2, batch=5, seed=1)
    for name, value in nested.parameters.items():
        np.testing.assert_array_equal(value, flat.parameters[name])


@pytest.mark.parametrize(
    ("body", "before", "code", "words"),
    [
        ("output y = Encoder(x, 3)", ENCODER, "N0401", "give settings by name: `width = ...`"),
        ("output y = x + Encoder()", ENCODER, "N0403", "`Encoder` needs `image`"),
        ("output y = Encoder(x[:, :4])", ENCODER, "N0303", "must be f32[B, 8], found f32[N, 4]"),
        ("output y = Encoder(i32(x))", ENCODER, "N0303", "convert it: `f32(...)`"),
        ("output y = Encoder(x, depth = 3)", ENCODER, "N0402", "`Encoder(image, width = 4)`"),
        ('output y = Encoder(x, width = "a")', ENCODER, "N0404", "must be a number"),
        ("output y = x -> M", "", "N0207", "the net `M` is used inside itself"),
        ("p = Two(x, x)\noutput y = p.u", TWO, "N0205", "it has `s`, `t`"),
        ("p = Two(x, x)\noutput y = p", TWO, "N0306", "give out one of them: `p.s`"),
        ("output y = Two(x, x[:1])", TWO, "N0303", "`B` of `Two` is N, found 1 in `b`"),
        ("output y = x -> Encodr", ENCODER, "N0201", "did you mean `Encoder`?"),
        ("output y = x + Encoder", ENCODER, "N0306", "the net `Encoder`"),
    ],
)  # fmt: skip
def test_mistakes_with_nets(body: str, before: str, code: str, words: str) -> None:
    found = refused(body, before)
    assert found.startswith(f"error[{code}]")
    assert words in found


def test_mistakes_inside_a_net_are_all_reported() -> None:
    before = "net Inner {\n input a: f32[B, 8]\n p = a + a[:, :3]\n q = a @ a\n output r = p + q\n}"
    found = refused("output y = x -> Inner", before)
    assert found.count("error[") == 2
    assert "while building `Inner`" in found


def test_a_dimension_may_have_the_name_of_a_net() -> None:
    made = net("output y = x", before="net N {\n input a: f32[B]\n output b = a\n}", net="M")
    assert shapes(made) == {"y": "f32[N, 8]"}
