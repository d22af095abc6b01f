"""Every operator on the engine, for every instruction set of this machine, against its NumPy
reference.

One graph per sample is lowered to a plan and run. Reference kernels run in float64 too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from nnc import interpret, passes
from nnc.builder import Builder
from nnc.dtypes import DTYPES
from nnc.graph import Graph, Type
from nnc.lower import combine
from nnc.ops import all_operators
from nnc.ops.base import Operator, Sample
from nnc.passes import PassOptions
from nnrt import _engine
from nnrt.artifact import encoded

ISAS = [
    name
    for name in ("reference", "generic", "avx2", "avx512", "neon")
    if name in _engine.machine()["available_isas"]
]
OPERATORS = [op for op in all_operators() if not op.compile_time]
QUIET = PassOptions()
Arrays = dict[str, Any]


def dtype_name(array: np.ndarray[Any, Any]) -> str:
    if array.dtype == np.float64:
        return "f32"
    return next(name for name, dtype in DTYPES.items() if dtype == array.dtype)


def graph_of(
    op: Operator, sample: Sample, double: bool
) -> tuple[Graph, dict[str, np.ndarray[Any, Any]]]:
    builder = Builder()
    values, inputs = [], {}
    for index, array in enumerate(sample.arrays):
        dtype = dtype_name(array)
        values.append(builder.input(f"x{index}", Type(dtype, tuple(array.shape))))
        inputs[f"x{index}"] = np.asarray(array, DTYPES[dtype])
    results = builder.emit_all(op.name, values, **sample.attributes)
    graph = builder.graph([(f"y{i}", value) for i, value in enumerate(results)])
    if double:
        graph = passes.run_pass(passes.double, graph, QUIET)
        inputs = {
            k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in inputs.items()
        }
    return graph, inputs


def run(
    graph: Graph, inputs: dict[str, np.ndarray[Any, Any]], isa: str, threads: int
) -> dict[str, Any]:
    plan, weights = combine({"predict": graph})
    engine = _engine.Engine(encoded(plan.to_dict()), threads=threads, isa=isa)
    for name, array in weights.items():
        engine.set_variable(name, array)
    return dict(engine.run("predict", inputs))


def largest(arrays: Iterable[np.ndarray[Any, Any]]) -> float:
    finite = [np.abs(a[np.isfinite(a)]) for a in map(np.asarray, arrays) if a.dtype.kind == "f"]
    return max((float(a.max()) for a in finite if a.size), default=0.0)


def check(op: Operator, found: Arrays, expected: Arrays, inputs: Arrays, tolerance: float) -> None:
    """Floats: to `tolerance`, relative to the value or to the largest of operands and result
    (cancellation).
    """
    for name, want in expected.items():
        got = np.asarray(found[name])
        assert got.shape == want.shape
        if want.dtype.kind != "f":
            np.testing.assert_array_equal(got, want)
            continue
        scale = max(largest([want]), largest(inputs.values()))
        np.testing.assert_allclose(
            got, want, rtol=tolerance, atol=tolerance * scale, err_msg=f"{op.name} {name}"
        )


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name)
def test_kernel_equals_reference(op: Operator, isa: str) -> None:
    for sample in op.samples():
        graph, inputs = graph_of(op, sample, double=False)
        with np.errstate(all="ignore"):
            expected, _ = interpret.run(graph, inputs, double=True)
        check(op, run(graph, inputs, isa, 2), expected, inputs, 2e-5)


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name)
def test_reference_kernel_in_double(op: Operator) -> None:
    for sample in op.samples():
        graph, inputs = graph_of(op, sample, double=True)
        with np.errstate(all="ignore"):
            expected, _ = interpret.run(graph, inputs)
        check(op, run(graph, inputs, "reference", 1), expected, inputs, 1e-10)


@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.name)
def test_threads_do_not_change_bits(op: Operator) -> None:
    for sample in op.samples():
        graph, inputs = graph_of(op, sample, double=False)
        one = run(graph, inputs, "", 1)
        for threads in (2, 3):
            other = run(graph, inputs, "", threads)
            for name, array in one.items():
                assert np.asarray(array).tobytes() == np.asarray(other[name]).tobytes()
