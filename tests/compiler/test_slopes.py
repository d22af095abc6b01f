"""Every activation, loss and function of the reference against closed forms: values and slopes.

At 0, tiny and large numbers, ties and infinities; by the interpreter and the engine in float64, and
by the engine's fused programs in f32 on each instruction set of this machine.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnc import lower
from nnc.autodiff import gradients
from nnc.builder import Builder
from nnc.dims import symbol
from nnc.elaborate import elaborate
from nnc.graph import Graph
from nnc.interpret import run
from nnc.ops.base import Context
from nnc.passes import optimize
from nnlang.syntax import Source
from nnrt import _engine
from nnrt.artifact import encoded

from .closed_forms import (
    ACTIVATIONS,
    FORMS,
    FUNCTIONS,
    LOSSES,
    WITHOUT_SLOPE,
    Form,
    evaluated,
    points,
)

Array = np.ndarray[Any, Any]
ISAS = ("reference", *_engine.machine()["available_isas"])
PAGE = (Path(__file__).parents[2] / "dsl" / "REFERENCE.md").read_text(encoding="utf-8")
CASES = [
    pytest.param(name, form, id=f"{name}-{number}" if number else name)
    for name, forms in FORMS.items()
    for number, form in enumerate(forms)
]
SMALLEST = float(np.finfo(np.float32).tiny)


def listed(section: str) -> set[str]:
    """The names that a table of the reference lists in its first column."""
    part = PAGE[PAGE.index(f"\n### {section}\n") :]
    part = part[: part.find("\n###", 5)]
    cells = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([\w.]+)[^`]*`", cell)}


@pytest.mark.parametrize(
    ("section", "forms"),
    [
        ("Activations", set(ACTIVATIONS)),
        ("Losses", set(LOSSES)),
        ("Functions", set(FUNCTIONS) | WITHOUT_SLOPE),
    ],
)
def test_every_function_of_the_reference_has_a_closed_form(section: str, forms: set[str]) -> None:
    assert listed(section) == forms


def with_slope(text: str) -> Graph:
    """An expression of x and t, and the gradient of its sum with respect to x."""
    wide = "t" in re.findall(r"\bt\b", text)
    inputs = "    input x: f32[N, 1]\n" + ("    input t: f32[N, 1]\n" if wide else "")
    net = f"net M {{\n{inputs}    y = {text}\n    output value = y\n}}\n"
    graph = elaborate(Source("<text>", net)).graphs["predict"]
    builder = Builder.over(graph)
    value = dict(graph.outputs)["value"]
    axes = tuple(range(len(value.shape)))
    total = builder.emit("reduce_sum", value, axes=axes) if axes else value
    x = next(item.value for item in graph.inputs if item.name == "x")
    (slope,) = gradients(builder, total, [x])
    if slope is None:
        nothing = builder.constant(0.0)
        slope = builder.emit("broadcast_to", nothing, shape=(symbol("N"), 1))
    return builder.graph(outputs=[("value", value), ("slope", slope)])


def by_interpreter(graph: Graph, inputs: dict[str, Array]) -> dict[str, Array]:
    names = {item.name for item in graph.inputs}
    given = {name: array for name, array in inputs.items() if name in names}
    return run(graph, given, context=Context(double=True))[0]


class OnEngine:
    def __init__(self, graph: Graph, isa: str, double: bool = False) -> None:
        plan, weights = lower.combine({"p": optimize(graph, double=double)})
        self.engine = _engine.Engine(encoded(plan.to_dict()), threads=1, isa=isa)
        for name, array in weights.items():
            self.engine.set_variable(name, array)
        self.dtype = np.float64 if double else np.float32
        self.used = {item.name for item in plan.programs["p"].inputs}

    def __call__(self, inputs: dict[str, Array]) -> dict[str, Array]:
        given = {n: a.astype(self.dtype) for n, a in inputs.items() if n in self.used}
        return {n: np.array(a) for n, a in self.engine.run("p", given).items()}


def batches(name: str, form: Form) -> list[list[float]]:
    """A loss is a mean, so each point alone; the others at once, more than fit into a register."""
    found = points(form)
    if name in LOSSES:
        return [[x] for x in found]
    return [found * 3]


def inputs_of(form: Form, xs: list[float]) -> dict[str, Array]:
    x = np.array(xs, np.float32).astype(np.float64).reshape(-1, 1)
    return {"x": x, "t": np.full_like(x, form.t[0])} if form.t else {"x": x}


def check(
    form: Form, xs: list[float], found: dict[str, Array], tolerance: float, single: bool
) -> None:
    values, slopes = found["value"].reshape(-1), found["slope"].reshape(-1)
    values = values[: len(xs)]
    for x, value, slope in zip(xs, values, slopes, strict=True):
        x = float(np.float32(x))
        wanted = [evaluated(form, x)]
        if single and 0 < abs(x) < SMALLEST:  # may count as 0
            wanted.append(evaluated(form, 0.0))
        for what, number, place in (("value", value, 0), ("slope", slope, 1)):
            right = [pair[place] for pair in wanted]
            if what == "slope" and np.isnan(wanted[0][0]):
                continue
            assert any(
                near(number, r, tolerance * max(abs(r), min(abs(x), 1)), single) for r in right
            ), f"{what} of {form.text} at {x}: {number}, not {right}"


def near(found: float, wanted: float, error: float, single: bool) -> bool:
    if single:
        with np.errstate(over="ignore"):
            wanted = float(np.float32(wanted))
        error += SMALLEST
    if np.isnan(wanted) or np.isinf(wanted):
        return bool(np.array_equal(np.float64(found), np.float64(wanted), equal_nan=True))
    return bool(abs(found - wanted) <= error)


@pytest.mark.parametrize(("name", "form"), CASES)
def test_in_float64(name: str, form: Form) -> None:
    graph = with_slope(form.text)
    engine = OnEngine(graph, "", double=True)
    tolerance = 1e-7 if form.rounded else 1e-13
    for xs in batches(name, form):
        inputs = inputs_of(form, xs)
        check(form, xs, by_interpreter(graph, inputs), tolerance, False)
        check(form, xs, engine(inputs), tolerance, False)


@pytest.mark.parametrize(("name", "form"), CASES)
def test_in_f32_on_each_instruction_set(name: str, form: Form) -> None:
    graph = with_slope(form.text)
    for isa in ISAS:
        engine = OnEngine(graph, isa)
        for xs in batches(name, form):
            check(form, xs, engine(inputs_of(form, xs)), 2e-6, True)
