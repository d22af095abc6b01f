"""Programs of the language that are nearly right: tokens replaced by others, mostly of their kind,
lines lost, doubled and swapped, statements that ask for much. Each is checked, shown, formatted,
and, where nothing is wrong with it, lowered and run.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnc.driver import Options, compile_source
from nnc.elaborate import context, elaborate, statements
from nnc.elaborate.module import load_text
from nnlang import DiagnosticError, render_all, to_json
from nnlang.format import format_source
from nnlang.syntax import Source

from .mutant import Mutant, Run
from .networks import BLOCKS, NETWORKS

ROOT = Path(__file__).parents[2]

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
    """
    0 1 2 3 -1 0.5 7 16 64 100 1_000 1000000 2147483648 4294967296 9223372036854775807
    9223372036854775808 99999999999999999999 1e-9 1e300 1e308 1e999 10**9 2**63 10**18 10**400
    2**-1 (1/3) -0.0 1//0 1%0 0**0 -(2**63) pi N H*W
    """
)
NAMES = words(
    """
    x y h N T H W K C dense conv relu softmax batch_norm dropout flatten max_pool embedding mean sum
    reshape concat split shape rank range len select training op f32 i64 u8 bool zeros he_uniform
    sgd adam cosine l2 constant uniform normal product text conv_transpose avg_pool resize pad
    layer_norm cross_entropy hinge accuracy label logits image bernoulli stop_gradient transpose
    broadcast one_hot argmax int is_integer floor exp log sqrt max min prelu
    """
)
OTHERS = words(
    """
    "same" "valid" "" "*" "x.nn" true false [] () [1] (2,3) ["a"] [0]*1000 range(10) range(10**9)
    range(0,10,0) product([2]*70) op.conv2d op.gather op.slice op.pad op.matmul op.reduce x[0]
    x[:,::-1] x[...,0] shape(x) len([])
    """
)
OPERATORS = words("+ - * / // % ** @ == != < <= > >= and or in -> = , .")
STATEMENTS = """\
repeat 10**9 { x = x + 1 }
repeat 3 { repeat 3 { repeat 3 { x = x -> relu } } }
for i in range(10**9) { x = x }
for a in [[1, 2], [3]] { for b in a { x = x * b } }
param w: f32[10**6, 10**6] = zeros()
param w: f32[K, 4] = uniform(-1, 1)
state s: f32[4] = zeros()
assert false, "no"
const q = 2**100
a, b = (1, 2)
x = if true { x } else { y }
x = [x]*1000 -> concat
return x
output z = x
input z: f32[N, 4]
x = op.reshape(x, shape = [-1])
x = op.slice(x)
x = share dense(4)
freeze "*"
load "x.safetensors"
metric m = 1
use "../../../../etc/passwd"
edition 2
x = x -> dense(10**12)
x = x -> conv(4, 10**9)
x = x -> reshape([10**18, 10**18])
x = text(10**5000)
x = "a" * 10**9
x = (1,) * 10**12
x = 2 ** (2 ** 40)
x = range(2**62)
x = sum(range(10**8))
x = product(range(1, 10**5))
x = one_hot(x, 10**10)
x = split(x, 10**6)
x = pad(x, 10**12)
x = resize(x, 10**9)
x = x -> max_pool(10**18)
x = broadcast(x, [10**15])
""".splitlines()
CHARACTERS = (
    *("\0", "\ufeff", "\r\n", "\r", "\t", "é", "\u2028", "\x0b", "\x7f", "\ud800", "𝒳", '"'),
    *("\\", "#", ";", "`", "\n\n\n", " " * 1000),
)
NESTINGS = (
    *(("(", ")"), ("[", "]"), ("-", ""), ("not ", ""), ("(", "*1)"), ("abs(", ")"), ("text(", ")")),
    *(("[", "]*2"), ("(", ",)"), ("if true { ", " } else { 0 }")),
)
TOKEN = re.compile(r'"[^"\n]*"|\d[\d_]*\.?\d*(?:e-?\d+)?|[A-Za-z_]\w*|->|//|\*\*|[=<>!]=|[^\s\w]')
KEYWORDS = set(
    words(
        """
        net block rule train input output param state const if else for in repeat return share
        metric freeze assert like as and or not load
        """
    )
)


def corpus() -> dict[str, str]:
    """Good programs by name, with small sizes, so that a check takes milliseconds."""
    found = {f"program {i}": text for i, text in enumerate(PROGRAMS)}
    found |= {name: BLOCKS + text for name, text in NETWORKS.items()}
    reference = (ROOT / "dsl/REFERENCE.md").read_text(encoding="utf-8")
    for i, text in enumerate(re.findall(r"```nn\n(.*?)```", reference, re.S)):
        found[f"reference {i}"] = text
    for large, small in (("4096", "64"), ("1000", "10"), ("224", "32")):
        found = {name: text.replace(large, small) for name, text in found.items()}
    return found


@dataclass(frozen=True)
class Text:
    seed: int
    origin: str
    text: str
    suffix = ".nn"

    def __str__(self) -> str:
        return f"seed {self.seed} ({self.origin})"

    def write(self, path: Path) -> None:
        path.write_bytes(self.text.encode("utf-8", "surrogatepass"))

    @staticmethod
    def read(path: Path) -> Text:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
        return Text(int(path.stem.rpartition("-")[2]), path.name, text)


class Texts:
    """Makes a text of any seed."""

    def __init__(self, programs: dict[str, str]) -> None:
        self.programs = programs
        self.whole = [name for name, text in sorted(programs.items()) if "output " in text]
        self.others = sorted(programs.keys() - self.whole)  # parts of programs

    def make(self, seed: int) -> Text:
        choose = random.Random(seed)
        origin = choose.choice(self.whole if choose.random() < 0.8 else self.others)
        text = self.programs[origin]
        mostly_good = choose.random() < 0.8
        for _ in range(choose.choice((1, 1, 1, 2, 3) if mostly_good else (1, 2, 3, 5))):
            text = changed(choose, text) if mostly_good else self.damaged(choose, text)
        return Text(seed, origin, text)

    def damaged(self, choose: random.Random, text: str) -> str:
        """With little respect for what the text means."""
        match = choose.choice(list(TOKEN.finditer(text)) or [re.match("", text)])
        token, chance = match.group(), choose.random()
        if chance < 0.4:
            new = choose.choice(choose.choice((NUMBERS, NAMES, OTHERS, OPERATORS)))
        elif chance < 0.5:
            new = ""
        elif chance < 0.6:
            new = f"{token} {token}"
        elif chance < 0.75:
            (left, right), count = choose.choice(NESTINGS), choose.choice((1, 2, 5, 40, 200, 2000))
            new = left * count + token + right * count
        elif chance < 0.85:
            new = token + choose.choice(CHARACTERS)
        else:
            lines = self.programs[choose.choice(sorted(self.programs))].split("\n")
            first = choose.randrange(len(lines))
            new = "\n".join([token, *lines[first : first + choose.randrange(1, 12)], ""])
        return text[: match.start()] + new + text[match.end() :]


def replaced(choose: random.Random, text: str) -> str:
    """One token replaced by another one, mostly of its kind."""
    found = [match for match in TOKEN.finditer(text) if match.group() not in KEYWORDS]
    if not found:
        return text
    match = choose.choice(found)
    token = match.group()
    pool = NUMBERS if token[0].isdigit() else OPERATORS if not token[0].isalpha() else NAMES
    if token[0] == '"' or choose.random() < 0.25:
        pool = choose.choice((NUMBERS, NAMES, OTHERS))
    return text[: match.start()] + choose.choice(pool) + text[match.end() :]


def changed(choose: random.Random, text: str) -> str:
    """In one place; most programs stay good enough to be looked at to their end."""
    chance = choose.random()
    if chance < 0.7:
        return replaced(choose, text)
    lines = text.split("\n")
    at, other = choose.randrange(len(lines)), choose.randrange(len(lines))
    if chance < 0.78:
        lines.insert(at, "    " + choose.choice(STATEMENTS))
    elif chance < 0.88:
        del lines[at]
    elif chance < 0.94:
        lines.insert(at, lines[other])
    else:
        lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines)


def lower_limits() -> None:
    """So that what grows without end is found soon."""
    statements.ELEMENT_LIMIT = 100_000
    context.WORK_LIMIT = 20_000
    context.NODE_LIMIT = 3_000


MOST_NUMBERS = 10_000_000  # of parameters, in a program that is run


def try_text(text: Text, engine: Any, report: Callable[[str], None], counts: Counter[str]) -> None:
    """Whatever is no diagnostic escapes."""
    source = Source("<text>", text.text, None)
    report("check")
    try:
        good = check(source)
        counts["good"] += 1
    except DiagnosticError as error:
        show(error)
        good = []
        counts["mistakes"] += 1
    report("format")
    with contextlib.suppress(DiagnosticError):
        formatted = format_source(text.text)
        assert format_source(formatted) == formatted, "formatting twice gives something else"
    for options in good:
        report(f"lower {options.net}")
        plan = compile_source(source, options).plan
        refused = counts["refused"]
        mutant = Mutant(text.seed, str(options.net), [], list(plan["programs"]), plan)
        Run(engine, mutant, report, counts).run()
        assert counts["refused"] == refused, "the engine refuses a plan that the compiler made"


def check(source: Source) -> list[Options]:
    """What to compile: each net with each of its training sections, but for very large ones. Raises
    DiagnosticError.
    """
    module, loader = load_text(source)
    if loader.diagnostics:
        raise DiagnosticError(loader.diagnostics, loader.sources)
    found = []
    for net in module.nets:
        trains = [train.name for train in module.trains if train.net.text == net]
        for recipe in [name.text if name else None for name in trains] or [None]:
            elaborated = elaborate(source, net=net, recipe=recipe, draw=False)
            variables = [v for graph in elaborated.graphs.values() for v in graph.variables]
            numbers = sum(math.prod(variable.initial.shape) for variable in variables)
            if numbers <= MOST_NUMBERS:
                found.append(Options(net=net, recipe=recipe))
    return found


def show(error: DiagnosticError) -> None:
    """In every form that a mistake is shown in."""
    assert str(error)
    assert error.diagnostics
    for colored in (False, True):
        render_all(error.diagnostics, error.sources, colored)
    json.dumps([to_json(diagnostic) for diagnostic in error.diagnostics])
