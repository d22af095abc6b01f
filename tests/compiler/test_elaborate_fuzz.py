"""Whatever a text that parses says, elaboration gives graphs or a DiagnosticError, nothing else.

Good programs are changed at random places with a fixed seed: names, numbers and operators are
replaced, lines deleted, doubled and swapped. The limits are lowered, so that what grows without end
is found soon.
"""

from __future__ import annotations

import random
import re

import pytest
from nnc.elaborate import context, elaborate, statements
from nnlang import DiagnosticError, parse
from nnlang.syntax import Source

PROGRAMS = (
    """
net Digits(hidden = 8, rate = 0.5) {
    input image: u8[N, 4, 4, 1]
    logits = image / 16 -> flatten -> dense(hidden) -> relu -> dropout(rate) -> dense(3)
    output probability = softmax(logits)
}
train Digits {
    input label: i64[N]
    loss          = cross_entropy(logits, label, smoothing = 0.1)
    regularizer   = l2(1e-4)
    optimizer     = sgd(momentum = 0.9, nesterov = true)
    learning_rate = warmup(cosine(0.1, final = 0.01), epochs = 2)
    clip          = by_global_norm(1.0)
    batch         = 32
    validation    = 0.1
    freeze "logits.dense_2.*"
    metric accuracy = accuracy(logits, label)
}
""",
    """
const depth = 2
block norm(x, channels, kernel, stride = 1) =
    x -> conv(channels, kernel, stride = stride, bias = false) -> batch_norm
block bottleneck(x: [N, H, W, C], width, stride = 1) {
    body = x -> norm(width, 1) -> relu -> norm(2 * width, 3, stride = stride)
    skip = if stride == 1 and C == 2 * width { x } else { x -> norm(2 * width, 1, stride = stride) }
    return relu(body + skip)
}
net Res {
    input image: f32[N, H, 8, 2]
    x = image -> norm(4, 3, stride = 2) -> max_pool(2, stride = 1, padding = "same")
    for (width, count, stride) in [(4, depth, 1), (8, 1, 2)] {
        x = x -> bottleneck(width, stride = stride)
        repeat count - 1 { x = x -> bottleneck(width) }
    }
    output y = x -> global_avg_pool -> dense(3)
}
""",
    """
block attend(q: [N, T, K], k: [N, T, K], heads = 2) {
    assert K % heads == 0, ("heads must divide " + text(K), "change it")
    parts = []
    for (a, b) in [(q, k), (k, q)] {
        left, middle, right = split(a * b, heads)
        parts = parts + [left - right, concat(left, middle, right)[:, :, : K // 2]]
    }
    return concat(parts) -> layer_norm
}
block scaled(x: [..., K], factor = 2) {
    param scale: f32[K] = uniform(-1, 1)
    state seen: f32[K] = zeros()
    if training { seen = 0.9 * seen + 0.1 * mean(x, (0, 1)) }
    return x * scale ** factor + seen
}
rule signed(p, gradient, rate, decay = 0.5) {
    state m: like(p) = 0
    m = decay * m + (1 - decay) * gradient
    return p - rate * sign(m)
}
net Seq(words = 20) {
    input ids: i32[N, T]
    encode = share dense(6)
    e = ids -> embedding(words, 6)
    h = attend(encode(e), encode(e) -> scaled, heads = 3)
    k = transpose(h, [0, 2, 1]) @ h
    output y = mean(select(k > 0, k, -k), (1, 2))
    output z = reduce_max(h, -1)[:, 0]
}
train Seq as fast {
    input target: f32[N]
    loss = huber(y, target, delta = max(0.5, 2 ** -1)) + mean(abs(one_hot(ids, 3))) * 0
    optimizer = if training { signed(decay = 0.25) } else { adam() }
    learning_rate = step(0.1, every = 3)
    regularizer = [l1(0.1), l2(0.1, all = true)]
    clip = by_value(0.5)
}
""",
)


def words(text: str) -> list[str]:
    return text.split()


NUMBERS = words(
    "0 1 2 3 -1 0.5 7 64 1000000 2147483648 99999999999999999999 1e300 1e-9 10**9 (1/3) -0.0"
)
NAMES = words(
    """
    x y h N T K C dense conv relu softmax batch_norm dropout flatten max_pool embedding mean sum
    reshape concat split shape rank range len select training op pi f32 i64 bool zeros he_uniform
    sgd adam cosine l2 constant uniform normal product text conv_transpose avg_pool resize pad
    layer_norm cross_entropy hinge accuracy label logits image bernoulli stop_gradient transpose
    broadcast one_hot argmax int is_integer floor exp log sqrt max min prelu
    """
)
OTHERS = words(
    """
    "same" "" true false [] () [1] (2,3) ["a"] op.conv2d op.gather op.slice op.pad op.matmul x[0]
    shape(x)
    """
)
OPERATORS = words("+ - * / // % ** @ == != < <= > >= and or in ->")
TOKEN = re.compile(r'"[^"\n]*"|\d+\.?\d*(?:e-?\d+)?|[A-Za-z_]\w*|->|//|\*\*|[=<>!]=|[-+*/%@<>]')
KEYWORDS = set(
    words(
        """
        net block rule train input output param state const if else for in repeat return share
        metric freeze assert like as and or not load
        """
    )
)


def replaced(choice: random.Random, text: str) -> str:
    """One token replaced by another one, mostly of its kind."""
    found = [match for match in TOKEN.finditer(text) if match.group() not in KEYWORDS]
    match = choice.choice(found)
    token = match.group()
    pool = NUMBERS if token[0].isdigit() else OPERATORS if not token[0].isalpha() else NAMES
    if token[0] == '"' or choice.random() < 0.25:
        pool = choice.choice((NUMBERS, NAMES, OTHERS))
    return text[: match.start()] + choice.choice(pool) + text[match.end() :]


def changed(choice: random.Random, text: str) -> str:
    for _ in range(choice.choice((1, 1, 1, 2, 3))):
        lines = text.split("\n")
        at, other = choice.randrange(len(lines)), choice.randrange(len(lines))
        what = choice.random()
        if what < 0.75:
            text = replaced(choice, text)
            continue
        if what < 0.87:
            del lines[at]
        elif what < 0.94:
            lines.insert(at, lines[other])
        else:
            lines[at], lines[other] = lines[other], lines[at]
        text = "\n".join(lines)
    return text


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "ELEMENT_LIMIT", 100_000)
    monkeypatch.setattr(context, "WORK_LIMIT", 20_000)
    monkeypatch.setattr(context, "NODE_LIMIT", 3_000)


def outcome(text: str) -> str:
    """`syntax`, `mistake` or `good`; an exception of any other kind escapes."""
    try:
        parse(text)
    except DiagnosticError:
        return "syntax"
    try:
        elaborate(Source("<text>", text))
    except DiagnosticError as error:
        assert str(error)
        assert error.diagnostics
        return "mistake"
    return "good"


@pytest.mark.parametrize("program", range(len(PROGRAMS)))
def test_good_program(program: int) -> None:
    elaborate(Source("<text>", PROGRAMS[program]))


@pytest.mark.parametrize("seed", range(8))
def test_changed_programs(seed: int, low_limits: None) -> None:
    choice = random.Random(seed)
    counts = {"syntax": 0, "mistake": 0, "good": 0}
    for _ in range(250):
        text = changed(choice, choice.choice(PROGRAMS))
        try:
            counts[outcome(text)] += 1
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} for this text:\n{text}") from error
    assert counts["mistake"] > 80
    assert counts["good"] > 10
