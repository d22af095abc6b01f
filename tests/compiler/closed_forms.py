"""Values and slopes of the library's functions by formulas of their own, in 60 digits.

`FORMS` names every activation, loss and function of the reference that is differentiated. A form
gives value and slope at a finite number; `low` and `high` are those at the infinities. Where a
function has no slope, or none is defined, the form holds the convention of the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
from mpmath import mp

mp.dps = 60
Pair = tuple[Any, Any]
INF = mp.inf
NAN = mp.nan
PI = mp.pi

TINY = (1e-40, 1.17549435e-38, 1e-30, 1e-8)
COMMON = (*TINY, *(-x for x in TINY), 0.0, 0.3, 1.0, -1.0, 2.0, -2.0, 12.5, -12.5, 88.0, -88.0,
          1e13, -1e13)  # fmt: skip


@dataclass(frozen=True)
class Form:
    """`text`: an expression of x, and of t, a constant; `at`: value and slope; `low`, `high`: at
    minus and plus infinity; `points`: ties and corners besides the common ones; `least`: where the
    domain begins.
    """

    text: str
    at: Callable[[Any], Pair]
    low: Pair = (NAN, NAN)
    high: Pair = (NAN, NAN)
    points: tuple[float, ...] = ()
    least: float = -float("inf")
    t: tuple[float, ...] = ()  # a constant row beside x
    rounded: bool = False  # holds numbers that f32 rounds, as every constant does


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x)) if x >= 0 else mp.exp(x) / (1 + mp.exp(x))


def softplus(x: Any) -> Any:
    return max(x, mp.mpf(0)) + mp.log1p(mp.exp(-abs(x)))


def kept(x: Any, low: float, high: float) -> Pair:
    """x in a range; flat at its ends."""
    return (min(max(x, mp.mpf(low)), mp.mpf(high)), 1 if low < x < high else 0)


def mish(x: Any) -> Pair:
    s, t = sigmoid(x), mp.tanh(softplus(x))
    return x * t, t + x * (1 - t * t) * s


def gelu(x: Any) -> Pair:
    below = mp.ncdf(x)
    return x * below, below + x * mp.npdf(x)


def gelu_tanh(x: Any) -> Pair:
    k = mp.sqrt(2 / PI)
    t = mp.tanh(k * (x + mp.mpf("0.044715") * x**3))
    slope = k * (1 + 3 * mp.mpf("0.044715") * x**2)
    return x * (1 + t) / 2, (1 + t) / 2 + x * (1 - t * t) * slope / 2


def hard_silu(x: Any) -> Pair:
    if -3 < x < 3:
        return x * (x + 3) / 6, (2 * x + 3) / 6
    return (x, 1) if x > 0 else (0, 0)


def elu(x: Any, alpha: Any = 1, scale: Any = 1) -> Pair:
    """At 0 the slope from below."""
    return (scale * x, scale) if x > 0 else (scale * alpha * mp.expm1(x), scale * alpha * mp.exp(x))


SCALE, ALPHA = mp.mpf("1.0507009873554805"), mp.mpf("1.6732632423543772")


def sign(x: Any) -> int:
    return int(x > 0) - int(x < 0)


def huber(d: Any, delta: Any = 1) -> Pair:
    inner = min(abs(d), mp.mpf(delta))
    return inner * (abs(d) - inner / 2), inner * sign(d)


def binary(t: float) -> Callable[[Any], Pair]:
    return lambda x: (softplus(x) * (1 - t) + softplus(-x) * t, sigmoid(x) - t)


def hinge(side: int) -> Callable[[Any], Pair]:
    return lambda x: (max(1 - x * side, 0), -side if x * side < 1 else 0)


def soft(w: float) -> Callable[[Any], Pair]:
    """Cross-entropy of [x, 0] and a distribution [w, 1 - w]."""
    return lambda x: (w * softplus(-x) + (1 - w) * softplus(x), sigmoid(x) - w)


def smoothed(share: float) -> Callable[[Any], Pair]:
    return soft(1 - share / 2)


PAIR = "concat(x, t)"

ACTIVATIONS: dict[str, list[Form]] = {
    "relu": [Form("relu(x)", lambda x: (max(x, 0), int(x > 0)), (0, 0), (INF, 1))],
    "leaky_relu": [
        Form(
            "leaky_relu(x)",
            lambda x: (x, 1) if x > 0 else (x / 100, mp.mpf("0.01")),
            (-INF, 0.01),
            (INF, 1),
            rounded=True,
        )
    ],
    "prelu": [
        Form("prelu(x)", lambda x: (x, 1) if x > 0 else (x / 4, 0.25), (-INF, 0.25), (INF, 1))
    ],
    "elu": [
        Form("elu(x)", elu, (-1, 0), (INF, 1)),
        Form("elu(x, alpha = 0.5)", lambda x: elu(x, mp.mpf("0.5")), (-0.5, 0), (INF, 1)),
    ],
    "selu": [
        Form(
            "selu(x)",
            lambda x: elu(x, ALPHA, SCALE),
            (-SCALE * ALPHA, 0),
            (INF, SCALE),
            rounded=True,
        )
    ],
    "gelu": [
        Form("gelu(x)", gelu, (0, 0), (INF, 1), (1e30, -1e30), rounded=True),
        Form(
            "gelu(x, approximate = true)",
            gelu_tanh,
            (0, 0),
            (INF, 1),
            (1e30, -1e30),
            rounded=True,
        ),
    ],
    "silu": [
        Form(
            "silu(x)",
            lambda x: (x * sigmoid(x), sigmoid(x) + x * sigmoid(x) * sigmoid(-x)),
            (0, 0),
            (INF, 1),
            (1e30, -1e30, 1000.0, -1000.0),
        )
    ],
    "mish": [Form("mish(x)", mish, (0, 0), (INF, 1), (1e30, -1e30))],
    "softplus": [Form("softplus(x)", lambda x: (softplus(x), sigmoid(x)), (0, 0), (INF, 1))],
    "softsign": [
        Form(
            "softsign(x)",
            lambda x: (x / (1 + abs(x)), 1 / (1 + abs(x)) ** 2),
            (-1, 0),
            (1, 0),
            (1e30, -1e30, 1e38),
        )
    ],
    "hard_sigmoid": [
        Form(
            "hard_sigmoid(x)",
            lambda x: (kept(x / 6 + 0.5, 0, 1)[0], mp.mpf(1) / 6 if -3 < x < 3 else 0),
            (0, 0),
            (1, 0),
            (3.0, -3.0),
        )
    ],
    "hard_silu": [Form("hard_silu(x)", hard_silu, (0, 0), (INF, 1), (3.0, -3.0))],
    "hard_tanh": [Form("hard_tanh(x)", lambda x: kept(x, -1, 1), (-1, 0), (1, 0))],
    "relu6": [Form("relu6(x)", lambda x: kept(x, 0, 6), (0, 0), (6, 0), (6.0,))],
    "clip_to": [Form("clip_to(x, -2, 0.5)", lambda x: kept(x, -2, 0.5), (-2, 0), (0.5, 0), (0.5,))],
    "softmax": [
        Form(
            f"softmax({PAIR})[:, :1]",
            lambda x: (sigmoid(x), sigmoid(x) * sigmoid(-x)),
            (0, 0),
            (NAN, NAN),
            t=(0.0,),
        )
    ],
    "log_softmax": [
        Form(
            f"log_softmax({PAIR})[:, :1]",
            lambda x: (-softplus(-x), sigmoid(-x)),
            (-INF, 1),
            (NAN, NAN),
            t=(0.0,),
        ),
        Form(
            f"log_softmax({PAIR})[:, 1:]",
            lambda x: (-softplus(x), -sigmoid(x)),
            (0, 0),
            (NAN, NAN),
            t=(0.0,),
        ),
    ],
}

# Each element alone: the mean is over one.
LOSSES: dict[str, list[Form]] = {
    "mean_squared_error": [
        Form(
            "mean_squared_error(x, t)",
            lambda x: ((x - 2) ** 2, 2 * (x - 2)),
            (INF, -INF),
            (INF, INF),
            t=(2.0,),
        )
    ],
    "mean_absolute_error": [
        Form(
            "mean_absolute_error(x, t)",
            lambda x: (abs(x - 2), sign(x - 2)),
            (INF, -1),
            (INF, 1),
            t=(2.0,),
        )
    ],
    "huber": [
        Form("huber(x, t)", lambda x: huber(x - 1), (INF, -1), (INF, 1), t=(1.0,)),
        Form(
            "huber(x, t, delta = 0.5)",
            lambda x: huber(x, 0.5),
            (INF, -0.5),
            (INF, 0.5),
            (0.5, -0.5),
            t=(0.0,),
        ),
    ],
    "cross_entropy": [
        Form(
            f"cross_entropy({PAIR}, i64(t[:, 0]))",
            lambda x: (softplus(-x), -sigmoid(-x)),
            (INF, -1),
            (NAN, NAN),
            t=(0.0,),
        ),
        Form(
            f"cross_entropy({PAIR}, i64(t[:, 0]) + 1)",
            lambda x: (softplus(x), sigmoid(x)),
            (0, 0),
            (NAN, NAN),
            t=(0.0,),
        ),
        Form(
            f"cross_entropy({PAIR}, i64(t[:, 0]), smoothing = 0.2)",
            smoothed(0.2),
            (INF, -0.9),
            (NAN, NAN),
            t=(0.0,),
        ),
        *(
            Form(
                f"cross_entropy({PAIR}, concat(t + {w}, t + {1 - w}))",
                soft(w),
                (0 if w == 0 else INF, -w),
                (NAN, NAN),
                t=(0.0,),
            )
            for w in (0.0, 0.25, 1.0)
        ),
        Form(
            f"cross_entropy({PAIR}, concat(t, t + 1), smoothing = 0.5)",
            soft(0.25),
            (INF, -0.25),
            (NAN, NAN),
            t=(0.0,),
        ),
    ],
    "binary_cross_entropy": [
        Form("binary_cross_entropy(x, t)", binary(0), (0, 0), (INF, 1), t=(0.0,)),
        Form("binary_cross_entropy(x, t)", binary(1), (INF, -1), (0, 0), t=(1.0,)),
        Form("binary_cross_entropy(x, t)", binary(0.25), (INF, -0.25), (INF, 0.75), t=(0.25,)),
    ],
    "hinge": [
        Form("hinge(x, t)", hinge(1), (INF, -1), (0, 0), t=(1.0,)),
        Form("hinge(x, t)", hinge(-1), (0, 0), (INF, 1), t=(0.0,)),
    ],
}


def steps(f: Callable[[Any], Any]) -> Callable[[Any], Pair]:
    return lambda x: (f(x), 0)


HALVES = (0.5, 1.5, -0.5, -1.5, 2.5)

FUNCTIONS: dict[str, list[Form]] = {
    "exp": [Form("exp(x)", lambda x: (mp.exp(x), mp.exp(x)), (0, 0), (INF, INF))],
    "log": [
        Form(
            "log(x)",
            lambda x: (mp.log(x), 1 / x) if x else (-INF, INF),
            high=(INF, 0),
            least=0,
        )
    ],
    "log1p": [
        Form(
            "log1p(x)",
            lambda x: (mp.log1p(x), 1 / (1 + x)) if x != -1 else (-INF, INF),
            high=(INF, 0),
            least=-1,
        )
    ],
    "expm1": [Form("expm1(x)", lambda x: (mp.expm1(x), mp.exp(x)), (-1, 0), (INF, INF))],
    "sqrt": [
        Form(
            "sqrt(x)",
            lambda x: (mp.sqrt(x), 0.5 / mp.sqrt(x)) if x else (0, INF),
            high=(INF, 0),
            least=0,
        )
    ],
    "rsqrt": [
        Form(
            "rsqrt(x)",
            lambda x: (1 / mp.sqrt(x), -0.5 * x ** mp.mpf(-1.5)) if x else (INF, -INF),
            high=(0, 0),
            least=0,
        )
    ],
    "square": [Form("square(x)", lambda x: (x * x, 2 * x), (INF, -INF), (INF, INF))],
    "abs": [Form("abs(x)", lambda x: (abs(x), sign(x)), (INF, -1), (INF, 1))],
    "sign": [Form("sign(x)", steps(sign), (-1, 0), (1, 0))],
    "sin": [Form("sin(x)", lambda x: (mp.sin(x), mp.cos(x)))],
    "cos": [Form("cos(x)", lambda x: (mp.cos(x), -mp.sin(x)))],
    "tanh": [Form("tanh(x)", lambda x: (mp.tanh(x), 1 / mp.cosh(x) ** 2), (-1, 0), (1, 0))],
    "sigmoid": [
        Form("sigmoid(x)", lambda x: (sigmoid(x), sigmoid(x) * sigmoid(-x)), (0, 0), (1, 0))
    ],
    "erf": [
        Form(
            "erf(x)",
            lambda x: (mp.erf(x), 2 / mp.sqrt(PI) * mp.exp(-x * x)),
            (-1, 0),
            (1, 0),
            (1e30,),
            rounded=True,
        )
    ],
    "floor": [Form("floor(x)", steps(mp.floor), (-INF, 0), (INF, 0), HALVES)],
    "ceil": [Form("ceil(x)", steps(mp.ceil), (-INF, 0), (INF, 0), HALVES)],
    "round": [Form("round(x)", steps(mp.nint), (-INF, 0), (INF, 0), HALVES)],
    "max": [  # the second has the slope where both are equal
        Form("max(x, t)", lambda x: (max(x, 1), int(x > 1)), (1, 0), (INF, 1), t=(1.0,)),
        Form("max(t, x)", lambda x: (max(x, 1), int(x >= 1)), (1, 0), (INF, 1), t=(1.0,)),
        Form("max(0, x)", lambda x: (max(x, 0), int(x >= 0)), (0, 0), (INF, 1)),
    ],
    "min": [
        Form("min(x, t)", lambda x: (min(x, 1), int(x < 1)), (-INF, 1), (1, 0), t=(1.0,)),
        Form("min(t, x)", lambda x: (min(x, 1), int(x <= 1)), (-INF, 1), (1, 0), t=(1.0,)),
    ],
    "select": [
        Form(
            "select(x > 1, 2 * x, -x)",
            lambda x: (2 * x, 2) if x > 1 else (-x, -1),
            (INF, -1),
            (INF, 2),
        )
    ],
    "sum": [
        Form(
            "sum(concat(x, t), -1, keep = true)",
            lambda x: (x + 1, 1),
            (-INF, 1),
            (INF, 1),
            t=(1.0,),
        )
    ],
    "mean": [
        Form(
            "mean(concat(x, t), -1, keep = true)",
            lambda x: ((x + 1) / 2, 0.5),
            (-INF, 0.5),
            (INF, 0.5),
            t=(1.0,),
        )
    ],
    "norm": [
        Form(
            "norm(x, -1, keep = true)",
            lambda x: (abs(x), sign(x)),
            (INF, -1),
            (INF, 1),
            (1e38, -1e-37),
        ),
        Form(
            "norm(concat(x, t), -1)",
            lambda x: (mp.sqrt(x * x + 1), x / mp.sqrt(x * x + 1)),
            (INF, -1),
            (INF, 1),
            (1e38,),
            t=(1.0,),
        ),
    ],
    "reduce_max": [  # shared among those that are equal
        Form(
            "reduce_max(concat(x, t), -1, keep = true)",
            lambda x: (max(x, 1), 0.5 if x == 1 else int(x > 1)),
            (1, 0),
            (INF, 1),
            t=(1.0,),
        )
    ],
    "reduce_min": [
        Form(
            "reduce_min(concat(x, t), -1, keep = true)",
            lambda x: (min(x, 1), 0.5 if x == 1 else int(x < 1)),
            (-INF, 1),
            (1, 0),
            t=(1.0,),
        )
    ],
    "reshape": [Form("reshape(x, (N, 1, 1))", lambda x: (x, 1), (-INF, 1), (INF, 1))],
    "transpose": [Form("transpose(x)", lambda x: (x, 1), (-INF, 1), (INF, 1))],
    "broadcast": [Form("broadcast(x, (3, N, 1))[0]", lambda x: (x, 1), (-INF, 1), (INF, 1))],
    "concat": [Form("concat(x, x)[:, 1:]", lambda x: (x, 1), (-INF, 1), (INF, 1))],
    "split": [Form("split(concat(x, t), 2)[0]", lambda x: (x, 1), (-INF, 1), (INF, 1), t=(1.0,))],
    "stop_gradient": [Form("stop_gradient(x)", lambda x: (x, 0), (-INF, 0), (INF, 0))],
}

# Operators of expressions.
OPERATORS: dict[str, list[Form]] = {
    "/": [
        Form("1 / x", lambda x: (1 / x, -1 / x**2) if x else (INF, -INF), (0, 0), (0, 0)),
        Form("x / t", lambda x: (x / 4, 0.25), (-INF, 0.25), (INF, 0.25), t=(4.0,)),
    ],
    "**": [
        Form("x ** 2", lambda x: (x * x, 2 * x), (INF, -INF), (INF, INF)),
        Form(
            "x ** 0.5",
            lambda x: (mp.sqrt(x), 0.5 / mp.sqrt(x)) if x else (0, INF),
            high=(INF, 0),
            least=0,
        ),
        Form("x ** 1.5", lambda x: (x**1.5, 1.5 * mp.sqrt(x)), high=(INF, INF), least=0),
        Form("2 ** x", lambda x: (mp.mpf(2) ** x, mp.log(2) * mp.mpf(2) ** x), (0, 0), (INF, INF)),
        Form("t ** x", lambda x: (mp.mpf(0.5) ** x, mp.log(0.5) * mp.mpf(0.5) ** x), (INF, -INF),
             (0, 0), t=(0.5,)),
    ],
    "%": [Form("x % t", lambda x: (x - 2 * mp.floor(x / 2), 1), t=(2.0,))],
}  # fmt: skip

FORMS = {**ACTIVATIONS, **LOSSES, **FUNCTIONS, **OPERATORS}

# What the table of functions lists besides: no function of a number that could have a slope.
WITHOUT_SLOPE = {
    "argmax", "one_hot", "bernoulli", "uniform", "normal", "orthogonal_matrix", "shape", "rank",
    "len", "range", "product", "is_tensor", "is_list", "is_number", "is_integer", "is_text", "int",
    "text", "f32", "f64", "bf16", "i32", "i64", "u8", "bool", "pi", "op.name",
}  # fmt: skip


def evaluated(form: Form, x: float) -> tuple[float, float]:
    """Value and slope as floats."""
    if x == float("inf"):
        found = form.high
    elif x == -float("inf"):
        found = form.low
    else:
        found = form.at(mp.mpf(x))
    return float(mpmath.mpf(found[0])), float(mpmath.mpf(found[1]))


def points(form: Form) -> list[float]:
    """Where a form is tried, infinities at the end."""
    inside = [x for x in (*COMMON, *form.points) if x >= form.least]
    return [*inside, *([-float("inf")] if form.least == -float("inf") else []), float("inf")]
