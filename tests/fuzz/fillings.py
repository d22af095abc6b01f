"""What mutated plans are filled with: numbers near limits, dimensions, operators, other things."""

from __future__ import annotations

from typing import Any

from nnc.dtypes import TYPES

SMALL = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65)
BIG = (
    *(-(2**63), -(2**31), -(2**31) - 1, -1000, -7, -1, 100, 127, 128, 255, 256, 257, 1000),
    *(4096, 65535, 65536, 10**6, 2**31 - 1, 2**31, 2**32, 2**33, 2**40, 2**47, 2**48, 2**62),
    *(2**63 - 1, 2**63, 2**64),
)
ATTRIBUTES = (0, 1, 1, 2, 2, 3, 4, 5, 7, -1, 8, 16)
INDICES = (0, 1, 2, 3, 4, 5, -1, -2, 255, 300, 2**31 - 1, -(2**31), 2**40)
FLOATS = (0.0, -0.0, 1.0, -1.0, 3.5, 1e-45, 1e-40, 1e300, -1e308, 2.0**31, 2.0**63)
SPECIAL = (*FLOATS, float("nan"), float("inf"), float("-inf"))

DTYPES = tuple(TYPES)
KINDS = ("input", "variable", "constant", "temporary", "prepared", "output")

DIMENSIONS = (
    *("N", "N*2", "N+1", "N-1", "N//2", "N//4", "max(N,3)", "max(1,N-2)", "(N+13)", "N*N"),
    *("16*N//N", "(N-3)*4+16", "-N", "N*0+8", "N*1000000", "N*N*N*N*N*N*N*N", "((((((N))))))"),
    *("max(N,max(N,max(N,4)))", "N//0", "N//(N-3)", "9223372036854775807", "-(-N)", "N+N+N"),
    *("99999999999999999999", "N*9223372036854775807", "3", "16"),
)

UNARY = (
    *("neg", "abs", "exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "reciprocal", "square"),
    *("tanh", "sigmoid", "erf", "sin", "cos", "floor", "ceil", "round", "sign", "logical_not"),
    "is_finite",
)
BINARY = (
    *("add", "sub", "mul", "div", "pow", "maximum", "minimum", "mod", "floor_div", "equal"),
    *("not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or"),
)

# Instead of anything in a plan.
WEIRD: tuple[Any, ...] = (
    *(None, "", "f64", "i64", "bool", "variable", "constant", "temporary", "output", "prepared"),
    *("input", "tile", "reduce", "softmax", "load", "store", "uniform", "exp", [], {}, [0], [[0]]),
    *(0.5, float("nan"), float("inf"), 1e308, True, "\udc80", "x" * 5000, [1] * 5000),
)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def arguments_of(operator: str) -> int:
    return 3 if operator == "select" else 2 if operator in BINARY else 1
