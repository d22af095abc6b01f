"""A setting, argument or constant in a shape is used; and each name means one thing there."""

from __future__ import annotations

import pytest

from .elaborated import build, mistake, net, shapes

WIDE = "net M(features = 8) {\n    input x: f32[N, features]\n"


@pytest.mark.parametrize(
    "text",
    [
        f"{WIDE}output y = x\n}}",
        "net M(a = 8) {\n input x: f32[N, 2 * a]\n output y = x\n}",
        "net M(a = 8) {\n input x: f32[N, 8]\n param w: f32[a] = ones()\n output y = x * w\n}",
        "net M(a = 8) {\n input x: f32[N, 8]\n state s: f32[a]\n output y = x * s\n}",
        "net M(a = 8, b = a) {\n input x: f32[N, b]\n output y = x\n}",
        "net M(a = 8) {\n input x: f32[N, 8]\n assert a > 1\n output y = x\n}",
        "net M(a = 8) {\n input x: f32[N, 8]\n output y = x * sum([a for i in [1]])\n}",
        "net M(a = 8) {\n input x: f32[N, 8]\n output y = x -> f(k = a)\n}\nblock f(x, k) = x * k",
        "net M(a = 8) {\n input x: f32[N, 8]\n output y = x\n}\n"
        "train M {\n input t: f32[N, a]\n loss = mean(square(y * (x -> dense(1)) - t))\n}",
        "net M(a = 8) {\n input x: f32[N, 8]\n output y = x -> dense(1)\n}\n"
        "train M {\n w = a\n loss = w * mean(square(y))\n}",
        "net M(a = 8) {\n input x: f32[N, 8]\n output y = x -> dense(1)\n}\n"
        "train M {\n loss = mean(square(y))\n batch = a\n}",
        "const T = 13\nnet M {\n input x: f32[N, T]\n output y = x\n}",
        "const T = 13\nnet M {\n input x: f32[N, 13]\n output y = x -> f\n}\n"
        "block f(x: [N, T]) = x",
        "const T = (2, 3)\nnet M {\n input x: f32[N, 2, 3]\n output y = x -> f\n}\n"
        "block f(x: [N, ...T]) = x",
        "net M {\n input x: f32[N, 8]\n output y = x -> f\n}\nblock f(x: [N, k], k = 8) = x",
        "const c = 3\nnet M {\n input x: f32[N, 8]\n output y = x -> dense(1)\n}\n"
        "train M {\n input t: i64[N, c]\n loss = mean(square(y)) + mean(f32(t))\n}",
    ],
)
def test_uses(text: str) -> None:
    assert shapes(build(text))["y"].startswith("f32[N")


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (f"{WIDE.replace(', features]', ', 8]')}output y = x\n}}", "N0204", "`features`"),
        ("net M(a = 8, b = a) {\n input x: f32[N, a]\n output y = x\n}", "N0204", "`b`"),
        (
            "const T = 13\nnet M {\n input x: f32[N, 12]\n output y = x -> f\n}\n"
            "block f(x: [N, T]) = x",
            "N0303",
            "`T` of `f` is 13, found 12",
        ),
        (
            "const T = (2, 4)\nnet M {\n input x: f32[N, 2, 3]\n output y = x -> f\n}\n"
            "block f(x: [N, ...T]) = x",
            "N0303",
            "must be [N, ...T], found [N, 2, 3]",
        ),
        (
            "net M {\n input x: f32[N, 8]\n output y = x -> f(7)\n}\nblock f(x: [N, k], k) = x * k",
            "N0303",
            "`k` of `f` is 7, found 8",
        ),
        (
            "const T = 13\nnet M {\n input x: f32[N, 8]\n T = 3\n output y = x * T\n}",
            "N0203",
            "`T`",
        ),
        ("const T = 3\nnet M(T = 4) {\n input x: f32[N, T]\n output y = x\n}", "N0203", "`T`"),
    ],
)
def test_mistakes(text: str, code: str, words: str) -> None:
    found = mistake(text)
    assert found.startswith(f"error[{code}]")
    assert words in found


def test_a_setting_gives_the_size() -> None:
    assert shapes(net("output y = x", WIDE, settings={"features": 5})) == {"y": "f32[N, 5]"}
