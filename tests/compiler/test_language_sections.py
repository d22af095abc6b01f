"""Names of one's own in a training section, beside its keys."""

from __future__ import annotations

import nnc
import numpy as np
import pytest

from .elaborated import Elaborated, mistake, net, operators, parameters

BODY = "logits = x -> dense(3)\noutput y = logits"


def section(lines: str) -> str:
    return f"train M {{\n    input label: i64[N]\n{lines}\n}}\n"


def trained(lines: str, **given: object) -> Elaborated:
    return net(BODY, after=section(lines), **given)


def refused(lines: str, before: str = "") -> str:
    head = f"{before}\nnet M {{\n    input x: f32[N, 8]\n{BODY}\n}}\n"
    return mistake(head + section(lines))


def test_numbers_and_tensors() -> None:
    made = trained(
        "w = 0.5\na = cross_entropy(logits, label)\nb = mean(square(logits))\n"
        "loss = w * a + (1 - w) * b\nmetric size = b"
    )
    plain = trained(
        "loss = 0.5 * cross_entropy(logits, label) + (1 - 0.5) * mean(square(logits))\n"
        "metric size = mean(square(logits))"
    )
    for program in ("evaluate", "train"):
        assert set(operators(made.graphs[program])) == set(operators(plain.graphs[program]))
    assert [name for name, _ in made.graphs["evaluate"].outputs] == ["loss", "size"]


def test_keys_see_them_wherever_they_stand() -> None:
    made = trained(
        "loss = cross_entropy(scaled, label)\nbatch = 2 * k\nlearning_rate = warm\n"
        "optimizer = kept\nscaled = logits / 2\nk = 8\nwarm = warmup(cosine(0.1), epochs = 2)\n"
        "kept = sgd(momentum = 0.5)\nregularizer = [l2(f) for f in [1e-3, 1e-4]]"
    )
    assert made.section is not None
    assert made.section.plain["batch"] == 16
    kinds = [variable.kind for variable in made.graphs["train"].variables]
    assert kinds.count("slot") == 2


def test_they_may_hold_layers_that_only_training_uses() -> None:
    made = trained("guess = logits -> dense(1)\nloss = cross_entropy(logits, label) + mean(guess)")
    assert parameters(made) == ["logits.dense.weight", "logits.dense.offset"]
    assert "guess.dense.weight" in parameters(made, "train")


def test_several_names_at_once() -> None:
    made = trained("a, b = split(logits, [1, 2])\nloss = cross_entropy(logits, label) + mean(b)")
    assert "slice" in operators(made.graphs["train"])


def test_overrides_still_replace_keys() -> None:
    made = trained(
        "rate = 0.2\nlearning_rate = rate\nloss = cross_entropy(logits, label)",
        overrides={"learning_rate": 0.5},
    )
    assert made.section is not None


@pytest.mark.parametrize(
    ("lines", "code", "words"),
    [
        ("learnig_rate = 0.1", "N0501", "did you mean `learning_rate`?"),
        ("batchsize = 3", "N0501", "did you mean `batch`?"),
        ("zzz = 0.1", "N0501", "a name of your own is fine where something uses it"),
        ("zzz = 0.1\nqqq = zzz", "N0501", "no key `qqq`"),
        ("logits = logits / 2\nmetric m = mean(logits)", "N0202", "first here, in the net"),
        ("label = 2\nmetric m = label", "N0202", "`label` exists already"),
        ("w = 1\nw = 2\nmetric m = w * mean(logits)", "N0202", "`w` exists already"),
        ("w = 1\nmetric m = ww * mean(logits)", "N0201", "did you mean `w`?"),
        ("w = w + 1\nmetric m = w * mean(logits)", "N0208", "`w` has no value here"),
        ("w = v\nv = 1\nmetric m = w * mean(logits)", "N0208", "further down"),
        ("batch, epochs = 1, 2", "N0114", "one key at a time"),
    ],
)
def test_mistakes(lines: str, code: str, words: str) -> None:
    found = refused(f"{lines}\nloss = cross_entropy(logits, label)")
    assert found.startswith(f"error[{code}]")
    assert words in found
    assert found.count("error[") == 1


def test_a_constant_is_not_hidden() -> None:
    lines = "w = 1\nloss = w * cross_entropy(logits, label)"
    assert refused(lines, before="const w = 3").startswith("error[N0203]")


def test_the_engine_minimizes_what_they_say() -> None:
    text = """
        net M {
            input x: f32[N, 2]
            y = x -> dense(1, bias = false)
            output y
        }
        train M {
            input t: f32[N, 1]
            far  = mean(square(y - t))
            near = mean(square(y))
            w    = 0.75
            loss = w * far
                + (1 - w) * near
            optimizer     = sgd()
            learning_rate = 0.2
        }
    """
    model = nnc.compile(text)
    x = np.eye(2, dtype=np.float32)
    model.fit({"x": x, "t": np.full((2, 1), 4, np.float32)}, epochs=200, batch=2)
    np.testing.assert_allclose(model(x), np.full((2, 1), 3.0), rtol=1e-4)
