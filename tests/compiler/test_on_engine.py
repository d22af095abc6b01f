"""Random graphs on the engine: the compiled plan against the interpreter, in both precisions."""

from __future__ import annotations

import numpy as np
import pytest
from nnc import interpret, lower
from nnc.graph import Graph
from nnc.ops.base import Context
from nnc.passes import PassOptions, optimize
from nnc.passes.checking import largest_difference, random_inputs
from nnrt._engine import Engine
from nnrt.artifact import encoded

from .random_graphs import random_graph

SEEDS = range(200, 240)


def run_on_engine(graph: Graph, seed: int, double: bool, threads: int) -> dict[str, np.ndarray]:
    """Outputs, and variables afterwards, by name."""
    options = PassOptions(verify=True)
    better = optimize(graph, inference=not graph.updates, double=double, options=options)
    plan, weights = lower.combine({"p": better})
    engine = Engine(encoded(plan.to_dict()), threads=threads)
    for name, array in weights.items():
        engine.set_variable(name, array)
    clocks = {item.name for item in graph.inputs if item.role == "clock"}
    inputs = {
        name: array.astype(np.float64)
        if double and array.dtype == np.float32 and name not in clocks
        else array
        for name, array in random_inputs(graph, seed).items()
    }
    used = {item.name for item in plan.programs["p"].inputs}
    found = engine.run("p", {n: a for n, a in inputs.items() if n in used}, seed=5, step=7)
    made = {f"output {name}": np.array(array) for name, array in found.items()}
    for variable in graph.variables:
        made[f"variable {variable.name}"] = np.array(engine.variable(variable.name))
    return made


def expected(graph: Graph, seed: int) -> dict[str, np.ndarray]:
    context = Context(seed=5, step=7, double=True)
    outputs, updates = interpret.run(graph, random_inputs(graph, seed), context=context)
    made = {f"output {name}": array for name, array in outputs.items()}
    for variable in graph.variables:
        made[f"variable {variable.name}"] = updates.get(variable.name, variable.initial)
    return made


@pytest.mark.parametrize("seed", SEEDS)
def test_engine_does_what_the_graph_says(seed: int) -> None:
    graph = random_graph(seed, size=10 + seed % 40, training=seed % 3 != 0)
    wanted = expected(graph, seed)
    for double, tolerance in ((True, 1e-9), (False, 5e-4)):
        found = run_on_engine(graph, seed, double, threads=2)
        assert found.keys() == wanted.keys()
        for name, array in wanted.items():
            assert largest_difference(array, found[name]) < tolerance, f"{name}, double={double}"


@pytest.mark.parametrize("seed", range(200, 240, 8))
def test_threads_change_no_bit(seed: int) -> None:
    graph = random_graph(seed, size=30, training=True)
    one, three = (run_on_engine(graph, seed, False, threads) for threads in (1, 3))
    for name, array in one.items():
        assert array.tobytes() == three[name].tobytes(), name
