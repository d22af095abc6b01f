"""The table of operators in the language reference.

`python -m nnc.operator_page dsl/REFERENCE.md` brings the page up to date; a test compares it with
the operators that `op.<name>` gives. An operator without a row here stops it.
"""

from __future__ import annotations

from typing import Any

from .elaborate.builtins import HIDDEN
from .ops import all_operators
from .ops.base import Operator
from .ops.elementwise import ROWS

_START = "<!-- operators: written by `python -m nnc.operator_page dsl/REFERENCE.md` -->\n"
_END = "<!-- end of operators -->\n"

_TAKES = {
    "float": "floats",
    "signed": "f32, f64, i32, i64",
    "number": "numbers",
    "bool": "bool",
    "comparable": "any type",
    "any": "any type",
}

# What elementwise operators without a sign of their own compute.
_FUNCTIONS = {
    "abs": "the magnitude",
    "exp": "e to the power `x`",
    "log": "the natural logarithm",
    "log1p": "`log(1 + x)`, exact near 0",
    "expm1": "`exp(x) - 1`, exact near 0",
    "sqrt": "the square root",
    "rsqrt": "`1 / sqrt(x)`",
    "reciprocal": "`1 / x`",
    "square": "`x * x`",
    "tanh": "the hyperbolic tangent",
    "sigmoid": "`1 / (1 + exp(-x))`",
    "erf": "the error function",
    "sin": "the sine",
    "cos": "the cosine",
    "floor": "the next whole number below",
    "ceil": "the next whole number above",
    "round": "the nearest whole number, ties to even",
    "sign": "-1, 0 or 1",
    "is_finite": "whether `x` is neither infinite nor NaN",
    "maximum": "the larger of two",
    "minimum": "the smaller of two",
    "select": "`a` where the condition is true, else `b`",
}

# Shapes of operands and result, and what the result is.
_OTHERS = {
    "iota": ("→ `shape`", "0, 1, 2, ... along an axis"),
    "cast": (
        "`[...]` → `[...]`",
        "the numbers in another element type; to an integer it truncates",
    ),
    "stop_gradient": ("`[...]` → `[...]`", "`x`, through which no gradient flows"),
    "reshape": ("`[...]` → `shape`", "the same elements in the same order"),
    "broadcast_to": ("`[...]` → `shape`", "repeated along axes that are new or 1"),
    "transpose": ("`[...]` → `[...]`", "axis `i` is axis `permutation[i]` of `x`"),
    "concat": ("`[..., K1, ...]`, `[..., K2, ...]` → `[..., K1 + K2, ...]`", "side by side"),
    "slice": (
        "`[...]` → `[...]`",
        "for each axis from `begin` up to `end` in steps of `step`; backwards with a step below 0,"
        " and then an `end` of -1 is before the first",
    ),
    "slice_backward": ("`[...]` → `shape`", "`dy` at the places that `slice` takes, else 0"),
    "pad": ("`[...]` → `[...]`", "for each axis `low` elements before and `high` after"),
    "resize_nearest": ("`[N, H, W, C]` → `[N, H * factor, W * factor, C]`", "each pixel repeated"),
    "resize_nearest_backward": (
        "`[N, H * factor, W * factor, C]` → `[N, H, W, C]`",
        "the sum over the repetitions of each pixel",
    ),
    "gather": ("`[R, C]`, integers `[...]` → `[..., C]`", "the rows of `table` that `ids` name"),
    "gather_backward": (
        "integers `[...]`, floats `[..., C]` → `[rows, C]`",
        "rows of `dy` added up at the places that `ids` name",
    ),
    "reduce_sum": ("floats `[...]` → `[...]`", "the sum over `axes`"),
    "reduce_mean": ("floats `[...]` → `[...]`", "the mean over `axes`"),
    "reduce_max": ("floats `[...]` → `[...]`", "the largest along `axes`"),
    "reduce_min": ("floats `[...]` → `[...]`", "the smallest along `axes`"),
    "argmax": (
        "`[...]` → i64 `[...]`",
        "the place of the largest along `axis`, the first of equals",
    ),
    "matmul": ("`[..., M, K]`, `[..., K, N]` → `[..., M, N]`", "the product of matrices"),
    "conv2d": (
        "`[N, H, W, C]`, `[h, w, C / groups, K]` → `[N, H', W', K]`",
        "convolution; `padding` is (top, bottom, left, right)",
    ),
    "conv2d_backward_data": (
        "`[N, H', W', K]`, `[h, w, C / groups, K]` → `shape`",
        "its gradient to the image; a transposed convolution",
    ),
    "conv2d_backward_weight": (
        "`[N, H, W, C]`, `[N, H', W', K]` → `[h, w, C / groups, K]`",
        "its gradient to the weight; `kernel` is (h, w)",
    ),
    "max_pool": ("`[N, H, W, C]` → `[N, H', W', C]`", "the largest of each window"),
    "max_pool_index": (
        "`[N, H, W, C]` → two of `[N, H', W', C]`",
        "the largest of each window, and its place in the window",
    ),
    "max_pool_backward": (
        "places `[N, H', W', C]`, `[N, H', W', C]` → `shape`",
        "the gradient of `max_pool`, from the places",
    ),
    "avg_pool": ("`[N, H, W, C]` → `[N, H', W', C]`", "the mean of each window"),
    "avg_pool_backward": ("`[N, H', W', C]` → `shape`", "the gradient of `avg_pool`"),
    "batch_norm": (
        "`[..., C]`, `[C]`, `[C]` → `[..., C]`, `[C]`, `[C]`",
        "normalized over all but the last axis; with the mean and the variance",
    ),
    "batch_norm_backward": (
        "`[..., C]`, four of `[C]`, `[..., C]` → `[..., C]`, `[C]`, `[C]`",
        "its gradients; with bounds only where `low < y < high`",
    ),
    "layer_norm": (
        "`[..., C]`, `[C]`, `[C]` → `[..., C]`, `[...]`, `[...]`",
        "normalized over the last axis; with the mean and the variance",
    ),
    "layer_norm_backward": (
        "`[..., C]`, `[C]`, two of `[...]`, `[..., C]` → `[..., C]`, `[C]`, `[C]`",
        "its gradients",
    ),
    "softmax": ("`[..., K]` → `[..., K]`", "`exp(x)` divided by its sum over the last axis"),
    "log_softmax": ("`[..., K]` → `[..., K]`", "the logarithm of that"),
    "softmax_backward": ("two of `[..., K]` → `[..., K]`", "the gradient, from the result"),
    "log_softmax_backward": ("two of `[..., K]` → `[..., K]`", "the gradient, from the result"),
    "softmax_cross_entropy": (
        "`[..., K]`, integers `[...]` or floats `[..., K]` → `[...]`",
        "minus the logarithm of the probability of the label",
    ),
    "softmax_cross_entropy_backward": (
        "`[..., K]`, labels, `[...]` → `[..., K]`",
        "its gradient to the logits",
    ),
}


def operators() -> list[Operator]:
    """The operators that `op.<name>` gives, in the order of their families."""
    return [op for op in all_operators() if op.name not in HIDDEN]


def call_of(op: Operator) -> str:
    """`op.pad(x, low, high, value = 0.0)`: operands, then attributes with their defaults."""
    parts = [f"{name[1:]}, ..." if name.startswith("*") else name for name in op.operands]
    for name, attribute in op.attributes.items():
        parts.append(name if attribute.required else f"{name} = {_written(attribute.default)}")
    return f"op.{op.name}({', '.join(parts)})"


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def row_of(op: Operator) -> str:
    """One row of the table."""
    rows = {row.name: row for row in ROWS}
    row = rows.get(op.name)
    if row is None:
        shapes, meaning = _OTHERS[op.name]
    else:
        takes = _TAKES[row.takes]
        if op.name == "select":
            takes = "bool, any type"
        gives = " → bool" if row.gives == "bool" and row.takes != "bool" else ""
        if op.name == "div":
            gives = " → floats (f32 of integers)"
        shapes = takes + gives
        sides = op.operands
        signed = f"`{row.symbol}{' ' * row.symbol.isalpha()}{sides[0]}`"
        if len(sides) == 2:
            signed = f"`{sides[0]} {row.symbol} {sides[1]}`"
        meaning = signed if row.symbol else _FUNCTIONS[op.name]
    return f"| `{call_of(op)}` | {shapes} | {meaning} |"


def with_operators(page: str) -> str:
    """A page with the table between its two marks brought up to date."""
    before, _, rest = page.partition(_START)
    _, _, after = rest.partition(_END)
    rows = ["| operator | takes → gives | |", "| --- | --- | --- |", *map(row_of, operators())]
    return f"{before}{_START}\n" + "\n".join(rows) + f"\n\n{_END}{after}"


if __name__ == "__main__":
    import sys
    from pathlib import Path

    path = Path(sys.argv[1])
    path.write_text(with_operators(path.read_text(encoding="utf-8")), encoding="utf-8")
