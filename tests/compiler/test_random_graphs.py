"""Random graphs: text, passes and lowering keep their meaning."""

from __future__ import annotations

import types
from dataclasses import replace
from pathlib import Path

import pytest
from nnc import interpret, lower
from nnc.errors import InternalError
from nnc.graph import Graph
from nnc.ops.base import Context
from nnc.passes import PassOptions, double, optimize, pipeline, run_pass
from nnc.passes.checking import largest_difference, random_inputs
from nnc.text import constant_arrays, parse_graph, print_graph
from nnc.verify import verify

from .plan_oracle import PlanOracle
from .random_graphs import random_graph

STRICT = PassOptions(verify=True)
SEEDS = range(60)


def graph_of(seed: int) -> Graph:
    return random_graph(seed, size=10 + seed % 40, training=seed % 3 != 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_text_reads_back(seed: int) -> None:
    graph = graph_of(seed)
    verify(graph)
    text = print_graph(graph)
    again = parse_graph(text, constant_arrays(graph))
    verify(again)
    assert print_graph(again) == text


@pytest.mark.parametrize("seed", SEEDS)
def test_every_pass_keeps_the_meaning(seed: int) -> None:
    graph = graph_of(seed)
    for module in pipeline(inference=not graph.updates):
        graph = run_pass(module, graph, PassOptions(verify=True, compare=True))


def compare_with_oracle(before: Graph, after: Graph, seed: int) -> None:
    """The plan of `after` in NumPy against the interpreter on `before`, in float64."""
    plan, weights = lower.combine({"p": after})
    oracle = PlanOracle(plan, weights, seed=5)
    inputs = random_inputs(before, seed)
    context = Context(seed=5, step=7, double=True)
    outputs, updates = interpret.run(before, inputs, context=context)
    found = oracle.run("p", inputs, step=7)
    assert list(found) == list(outputs)
    for name, expected in outputs.items():
        assert largest_difference(expected, found[name]) < 1e-9, f"output {name}"
    for variable in before.variables:
        expected = updates.get(variable.name, variable.initial)
        difference = largest_difference(expected, oracle.variable(variable.name))
        assert difference < 1e-9, f"variable {variable.name}"


@pytest.mark.parametrize("seed", SEEDS)
def test_lowering_as_written(seed: int) -> None:
    graph = graph_of(seed)
    compare_with_oracle(graph, double.run(graph), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_lowering_after_the_passes(seed: int) -> None:
    graph = graph_of(seed)
    better = optimize(graph, inference=not graph.updates, double=True, options=STRICT)
    compare_with_oracle(graph, better, seed)


@pytest.mark.parametrize("seed", range(0, 60, 5))
def test_lowering_is_deterministic(seed: int) -> None:
    plans = []
    for _ in range(2):
        graph = optimize(graph_of(seed), options=STRICT)
        plans.append(lower.combine({"p": graph})[0].to_dict())
    assert plans[0] == plans[1]


def test_a_wrong_pass_is_named(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def drop_update(graph: Graph) -> Graph:
        (name, _), *others = graph.outputs
        return replace(graph, outputs=((name, graph.variables[0].value), *others))

    monkeypatch.chdir(str(tmp_path))
    module = types.ModuleType("nnc.passes.wrong")
    module.run = drop_update  # type: ignore[attr-defined]
    with pytest.raises(InternalError, match="wrong") as caught:
        run_pass(module, graph_of(1), PassOptions(compare=True))
    assert caught.value.reproducer.startswith("crash-")
    text = Path(caught.value.reproducer).read_text(encoding="utf-8")
    assert "# pass: wrong" in text
    parse_graph(text)
