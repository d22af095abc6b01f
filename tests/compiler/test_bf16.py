"""bf16, a type to store: in graphs, in the language, and weights that are stored in it."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import nnc
import numpy as np
import pytest
from nnc import autodiff, interpret, passes
from nnc.builder import Builder
from nnc.driver import Options, compile_source, stage_text
from nnc.dtypes import DTYPES
from nnc.elaborate import read_source
from nnc.graph import Graph, Node, Type, Value
from nnc.lower import combine
from nnc.ops import operator
from nnc.passes import PassOptions
from nnc.passes.checking import largest_difference, random_inputs
from nnc.passes.precision import store_parameters
from nnc.passes.rewriter import Rewriter
from nnc.plan import print_plan
from nnc.text import parse_graph, print_graph
from nnlang.diagnostics import DiagnosticError
from nnrt import _engine
from nnrt.artifact import encoded

from .random_graphs import random_graph
from .test_on_engine import expected, run_on_engine

BF16 = np.dtype(ml_dtypes.bfloat16)
ISAS = _engine.machine()["available_isas"]
Arrays = dict[str, np.ndarray[Any, Any]]


def on_engine(graph: Graph, inputs: Arrays, isa: str, inference: bool = True) -> Arrays:
    better = passes.optimize(graph, inference=inference, options=PassOptions(verify=True))
    plan, weights = combine({"p": better})
    engine = _engine.Engine(encoded(plan.to_dict()), isa=isa)
    engine.set_variables(weights)
    used = {item.name for item in plan.programs["p"].inputs}
    return engine.run("p", {name: inputs[name] for name in used}, seed=1, step=1)


def bits(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array.view({2: np.uint16, 4: np.uint32}[array.itemsize])


# ---------------------------------------------------------------- casts and moves


def special() -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    random = rng.integers(0, 2**32, 5000, dtype=np.uint32)
    edges = np.array([0x3F808000, 0x3F818000, 0x7F7FFFFF, 0x7F800001, 0xFF800001, 0x80000000])
    return np.concatenate([random, edges.astype(np.uint32)]).view(np.float32)


@pytest.mark.parametrize("isa", ISAS)
def test_casts_give_the_bits_of_the_reference(isa: str) -> None:
    """Also of denormals, which are moved as they are, and of NaN."""
    x = special()
    builder = Builder()
    value = builder.input("x", Type("f32", (len(x),)))
    narrow = builder.emit("cast", value, dtype="bf16")
    graph = builder.graph([("y", narrow), ("z", builder.emit("cast", narrow, dtype="f32"))])
    outputs, _ = interpret.run(graph, {"x": x})
    found = on_engine(graph, {"x": x}, isa)
    assert found["y"].dtype == BF16
    np.testing.assert_array_equal(bits(found["y"]), bits(outputs["y"]))
    np.testing.assert_array_equal(bits(found["z"]), bits(outputs["z"]))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["f64", "i32", "i64", "u8", "bool"])
def test_casts_from_and_to_other_types(isa: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    numbers = np.concatenate([rng.normal(0, 90, 300), [0, 255, 256, 257, 65537]])
    x = np.abs(numbers).astype(DTYPES[dtype])
    y = numbers.astype(BF16)
    builder = Builder()
    other = builder.input("x", Type(dtype, (len(x),)))
    narrow = builder.input("y", Type("bf16", (len(y),)))
    graph = builder.graph(
        [
            ("narrow", builder.emit("cast", other, dtype="bf16")),
            ("other", builder.emit("cast", builder.emit("cast", narrow, dtype="f32"), dtype=dtype)),
            ("direct", builder.emit("cast", narrow, dtype=dtype)),
        ]
    )
    inputs = {"x": x, "y": np.abs(y) if dtype == "u8" else y}
    inputs["y"] = np.minimum(inputs["y"], BF16.type(255)) if dtype == "u8" else inputs["y"]
    outputs, _ = interpret.run(graph, inputs)
    found = on_engine(graph, inputs, isa)
    for name, wanted in outputs.items():
        assert found[name].dtype == wanted.dtype
        np.testing.assert_array_equal(found[name], wanted, err_msg=name)


@pytest.mark.parametrize("isa", ISAS)
def test_moves_keep_every_bit(isa: str) -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 2**16, (7, 33), dtype=np.uint16).view(BF16)
    x = np.where(np.isnan(x), BF16.type(0), x)  # NaNs have no bits of their own
    ids = np.array([3, 0, 6], np.int64)
    mask = rng.random(33) < 0.5
    builder = Builder()
    value = builder.input("x", Type("bf16", x.shape))
    rows = builder.input("ids", Type("i64", (3,)))
    choice = builder.input("mask", Type("bool", (33,)))
    first = builder.emit("slice", value, begin=(0, 0), end=(1, 33), step=(1, 1))
    outputs = {
        "chosen": builder.emit("select", choice, value, first),
        "transposed": builder.emit("transpose", value, permutation=(1, 0)),
        "joined": builder.emit_all("concat", [value, value, value], axis=1)[0],
        "cut": builder.emit("slice", value, begin=(1, 2), end=(7, 31), step=(2, 3)),
        "padded": builder.emit("pad", value, low=(1, 0), high=(0, 2), value=1.5),
        "shaped": builder.emit("reshape", value, shape=(33, 7)),
        "taken": builder.emit("gather", value, rows),
        "repeated": builder.emit("broadcast_to", value, shape=(2, *x.shape)),
    }
    graph = builder.graph(list(outputs.items()))
    inputs = {"x": x, "ids": ids, "mask": mask}
    wanted, _ = interpret.run(graph, inputs)
    found = on_engine(graph, inputs, isa)
    for name, array in wanted.items():
        np.testing.assert_array_equal(bits(found[name]), bits(array), err_msg=name)


def test_a_row_that_is_not_there_is_nan() -> None:
    builder = Builder()
    table = builder.input("table", Type("bf16", (2, 3)))
    ids = builder.input("ids", Type("i64", (2,)))
    graph = builder.graph([("y", builder.emit("gather", table, ids))])
    inputs = {"table": np.ones((2, 3), BF16), "ids": np.array([1, 7])}
    wanted, _ = interpret.run(graph, inputs)
    for found in (wanted, on_engine(graph, inputs, "")):
        assert np.isnan(found["y"][1]).all() and (found["y"][0] == 1).all()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", [(5, 7, 3), (64, 40), (3, 1, 1500)])
def test_fused_programs_load_and_store_it(isa: str, shape: tuple[int, ...]) -> None:
    """As a whole tensor, a row, a column and a number."""
    rng = np.random.default_rng(3)
    shapes = {"full": shape, "row": shape[-1:], "column": (*shape[:-1], 1), "one": ()}
    inputs = {name: rng.standard_normal(size).astype(BF16) for name, size in shapes.items()}
    builder = Builder()
    total = None
    for name, size in shapes.items():
        value = builder.emit("cast", builder.input(name, Type("bf16", size)), dtype="f32")
        total = value if total is None else builder.emit("add", total, value)
    assert total is not None
    narrow = builder.emit("cast", total, dtype="bf16")
    graph = builder.graph([("wide", total), ("narrow", narrow)])
    plan, _ = combine({"p": passes.optimize(graph, inference=True)})
    assert [step.kernel for step in plan.programs["p"].steps] == ["tile"]
    wanted, _ = interpret.run(graph, inputs)
    found = on_engine(graph, inputs, isa)
    np.testing.assert_array_equal(found["wide"], wanted["wide"])
    np.testing.assert_array_equal(bits(found["narrow"]), bits(wanted["narrow"]))


@pytest.mark.parametrize("isa", ISAS)
def test_a_narrow_store_rides_on_a_kernel(isa: str) -> None:
    text = """\
%0: f32[N,12] = input x
%1: bf16[12,8] = parameter w
%2: f32[12,8] = cast[dtype=f32](%1)
%3: f32[N,8] = matmul(%0, %2)
%4: f32[] = constant[value=0.0]()
%5: f32[N,8] = maximum(%3, %4)
%6: bf16[N,8] = cast[dtype=bf16](%5)
output y = %6
"""
    rng = np.random.default_rng(4)
    weight = rng.standard_normal((12, 8)).astype(BF16)
    graph = parse_graph(text, {"w": weight})
    plan, _ = combine({"p": graph})
    assert [step.kernel for step in plan.programs["p"].prepare] == ["tile"]
    assert [step.kernel for step in plan.programs["p"].steps] == ["matmul"]
    inputs = {"x": rng.standard_normal((9, 12)).astype(np.float32)}
    wanted, _ = interpret.run(graph, inputs)
    found = on_engine(graph, inputs, isa)
    np.testing.assert_allclose(
        found["y"].astype(np.float32), wanted["y"].astype(np.float32), rtol=2**-7, atol=1e-6
    )


def test_a_cast_to_bf16_is_not_left_out() -> None:
    """Only conversions that lose nothing are."""
    builder = Builder()
    value = builder.input("x", Type("f32", (3,)))
    narrow = builder.emit("cast", value, dtype="bf16")
    graph = builder.graph([("y", builder.emit("cast", narrow, dtype="f32"))])
    assert print_graph(passes.optimize(graph)).count("cast") == 2
    builder = Builder()
    value = builder.input("x", Type("bf16", (3,)))
    wide = builder.emit("cast", value, dtype="f32")
    graph = builder.graph([("y", builder.emit("cast", wide, dtype="f64"))])
    assert print_graph(passes.optimize(graph)).count("cast") == 1


class _Rounding(Rewriter):
    """Every third float of a graph goes through bf16."""

    def add(self, node: Node) -> tuple[Value, ...]:
        results = super().add(node)
        if len(results) != 1 or results[0].dtype != "f32" or results[0].id % 3:
            return results
        narrow = self.value(Type("bf16", results[0].shape))
        wide = self.value(results[0].type)
        cast = operator("cast")
        for source, target in ((results[0], narrow), (narrow, wide)):
            made = Node(cast, (source,), {"dtype": target.dtype}, (target,), node.origin)
            self.nodes.append(made)
            self.producers[target] = made
        return (wide,)


@pytest.mark.parametrize("seed", range(300, 330))
def test_random_graphs(seed: int) -> None:
    """Rounded in between, wherever that falls: in fused programs, epilogues, prologues, updates."""
    graph = _Rounding(random_graph(seed, size=10 + seed % 40, training=seed % 3 != 0)).run()
    assert any(value.dtype == "bf16" for value in graph.values())
    wanted = expected(graph, seed)
    found = run_on_engine(graph, seed, double=True, threads=2)
    for name, array in wanted.items():
        assert largest_difference(array, found[name]) < 1e-9, name


def test_gradients_pass_through_it() -> None:
    builder = Builder()
    x = builder.input("x", Type("f32", (4,)))
    narrow = builder.emit("cast", x, dtype="bf16")
    turned = builder.emit("reshape", narrow, shape=(2, 2))
    wide = builder.emit("cast", turned, dtype="f32")
    loss = builder.emit("reduce_sum", builder.emit("square", wide), axes=(0, 1))
    (gradient,) = autodiff.gradients(builder, loss, [x])
    assert gradient is not None
    graph = builder.graph([("g", gradient)])
    inputs = {"x": np.array([1.0, -2.0, 3.0, 1 + 2**-12], np.float32)}
    outputs, _ = interpret.run(graph, inputs)
    np.testing.assert_array_equal(outputs["g"], [2, -4, 6, 2])
    np.testing.assert_array_equal(on_engine(graph, inputs, "")["g"], [2, -4, 6, 2])


# ---------------------------------------------------------------- the language

TYPED = """
net M {
    input x: bf16[N, 4]
    y = f32(x) * 2
    output y = bf16(y)
    output same = x
}
"""


def test_inputs_and_outputs() -> None:
    model = nnc.compile(TYPED)
    x = np.array([[1.5, -2.25, 0.1, 3e38]], BF16)
    result = model(x)
    assert result.y.dtype == result.same.dtype == BF16
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(result.y, (x.astype(np.float32) * 2).astype(BF16))
    np.testing.assert_array_equal(result.same, x)
    assert "bf16[N, 4]" in repr(model)
    wide = model(x=np.array([[1.003, 0, 0, 0]], np.float32))  # floats are converted, as elsewhere
    assert float(wide.same[0, 0]) == 1.0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("y = x + 1", "`+` does not compute with bf16"),
        ("y = x + x", "`+` does not compute with bf16"),
        ("y = f32(x) * x", "`*` does not compute with bf16"),
        ("y = 2.5 / x", "`/` does not compute with bf16"),
        ("y = x > 0", "`>` does not compute with bf16"),
        ("y = tanh(x)", "`tanh` needs floating point numbers, found bf16[N, 4]"),
        ("y = mean(x)", "needs floating point numbers, found bf16[N, 4]"),
        ("y = x @ transpose(x, [1, 0])", "`@` between bf16 and bf16"),
    ],
)
def test_nothing_computes_with_it(line: str, told: str) -> None:
    text = f"net M {{\n    input x: bf16[N, 4]\n    {line}\n    output y\n}}\n"
    with pytest.raises(DiagnosticError) as caught:
        nnc.compile(text)
    (found,) = caught.value.diagnostics
    assert told in found.message
    assert any("f32(" in help for help in found.helps)


def test_a_parameter_is_not_declared_narrow() -> None:
    text = (
        "net M {\n    input x: f32[N, 3]\n    param w: bf16[3] = zeros()\n    output y = x + w\n}\n"
    )
    with pytest.raises(DiagnosticError) as caught:
        nnc.compile(text)
    (found,) = caught.value.diagnostics
    assert found.code == "N0314"
    assert found.helps == ("write `f32`, and compile with `--store bf16`",)


def test_states_and_first_values() -> None:
    text = """
net M {
    input x: f32[N, 3]
    state s: bf16[3] = [0.5, 1, -2.25]
    output y = x + f32(s)
}
"""
    model = nnc.compile(text)
    assert model.states["s"].dtype == BF16
    np.testing.assert_array_equal(model(np.zeros((1, 3), np.float32)), [[0.5, 1, -2.25]])


# ---------------------------------------------------------------- weights

NET = """
net M {
    input image: f32[N, 8, 8, 1]
    input label: i64[N]
    h = image -> conv(8) -> batch_norm -> relu -> conv(8, stride = 2) -> flatten
    h = h -> dense(16) -> layer_norm -> relu
    output logits = h -> dense(4)
}

train M {
    loss          = cross_entropy(logits, label)
    optimizer     = adam
    learning_rate = 0.01
    batch         = 8
    epochs        = 1
}
"""
NET = NET.replace("    input label: i64[N]\n", "").replace(
    "train M {\n", "train M {\n    input label: i64[N]\n\n"
)


def test_weights_alone_are_stored_narrow() -> None:
    compiled = compile_source(read_source(NET), Options(store="bf16"))
    kinds = {v["name"]: (v["kind"], v["dtype"]) for v in compiled.plan["variables"]}
    for name, (kind, dtype) in kinds.items():
        weight = kind == "parameter" and name.endswith("weight")
        assert dtype == ("bf16" if weight else "f32"), name
    masters = [v for v in compiled.plan["variables"] if "master_of" in v]
    weights = [name for name, (kind, dtype) in kinds.items() if dtype == "bf16"]
    assert len(weights) == 4
    assert [v["master_of"] for v in masters] == weights
    for master in masters:
        assert master["kind"] == "slot" and master["name"] == f"{master['master_of']}.master"
        full, rounded = (compiled.weights[master[key]] for key in ("name", "master_of"))
        np.testing.assert_array_equal(full.astype(BF16), rounded)


def test_inference_converts_once_and_training_not_at_all() -> None:
    options = Options(store="bf16")
    graphs = {
        name: parse_graph(stage_text(NET, "optimized", name, options))
        for name in ("predict", "evaluate", "train")
    }
    casts = {
        name: [
            (node.operands[0].dtype, node.result.dtype)
            for node in graph.nodes
            if node.op.name == "cast" and "bf16" in (node.operands[0].dtype, node.result.dtype)
        ]
        for name, graph in graphs.items()
    }
    assert casts["predict"] == casts["evaluate"] == [("bf16", "f32")] * 4
    assert casts["train"] == [("f32", "bf16")] * 4
    compiled = compile_source(read_source(NET), options)
    predict = compiled.plan["programs"]["predict"]
    narrow = {i for i, buffer in enumerate(predict["buffers"]) if buffer["dtype"] == "bf16"}
    assert len(narrow) == 4
    assert all(narrow.isdisjoint(step["operands"]) for step in predict["steps"])


EMBED = """
net M(words = 50) {
    input ids: i64[N, 5]
    h = ids -> embedding(words, 8)
    output y = mean(h, 1) -> dense(3)
}
"""


def test_a_table_stays_narrow_in_memory() -> None:
    """Its rows are converted after they are taken, not all of them before."""
    compiled = compile_source(read_source(EMBED), Options(store="bf16"))
    predict = compiled.plan["programs"]["predict"]
    (step,) = [step for step in predict["steps"] if step["kernel"] == "gather"]
    table = predict["buffers"][step["operands"][0]]
    assert (table["dtype"], table["kind"]) == ("bf16", "variable")
    wide, narrow = nnc.compile(EMBED, seed=1), nnc.compile(EMBED, seed=1, store="bf16")
    ids = np.random.default_rng(0).integers(0, 50, (7, 5))
    np.testing.assert_allclose(narrow(ids), wide(ids), atol=1e-2)


def test_the_update_stores_the_rounded_weight_itself() -> None:
    compiled = compile_source(read_source(NET), Options(store="bf16"))
    plain = compile_source(read_source(NET), Options())
    count = [len(made.plan["programs"]["train"]["steps"]) for made in (compiled, plain)]
    assert count[0] == count[1]


def test_strict_and_double_store_narrow_too() -> None:
    for precision, wide in (("strict", "f32"), ("double", "f64")):
        options = Options(store="bf16", precision=precision)
        compiled = compile_source(read_source(NET), options)
        dtypes = {v["dtype"] for v in compiled.plan["variables"] if v["kind"] == "parameter"}
        masters = {v["dtype"] for v in compiled.plan["variables"] if "master_of" in v}
        assert dtypes == {"bf16", wide} and masters == {wide}


def test_the_pass_keeps_what_a_graph_means() -> None:
    text = """\
%0: f32[N,4] = input x
%1: f32[4,3] = parameter w
%2: f32[3] = parameter b
%3: f32[3,4] = parameter table
%4: f32[N,3] = matmul(%0, %1)
%5: f32[N,3] = add(%4, %2)
%6: f32[4,3] = transpose[permutation=(1,0)](%3)
%7: f32[N,3] = matmul(%0, %6)
%8: f32[N,3] = add(%5, %7)
%9: f32[4,3] = add(%1, %1)
output y = %8
update w = %9
"""
    rng = np.random.default_rng(5)
    exact = {
        "w": rng.integers(-8, 8, (4, 3)).astype(np.float32),
        "b": rng.standard_normal(3).astype(np.float32),
        "table": rng.integers(-8, 8, (3, 4)).astype(np.float32),
    }
    graph = parse_graph(text, exact)
    made = store_parameters({"p": graph}, "bf16")["p"]
    dtypes = {v.name: v.value.dtype for v in made.variables}
    assert dtypes == {
        **{"w": "bf16", "b": "f32", "table": "bf16"},
        **{"w.master": "f32", "table.master": "f32"},
    }
    passes.optimize(made, options=PassOptions(verify=True, compare=True))
    inputs = random_inputs(graph, 1)
    for before, after in zip(
        interpret.run(graph, inputs), interpret.run(made, inputs), strict=True
    ):
        for name, array in before.items():
            assert largest_difference(array, after[name].astype(array.dtype)) == 0
    printed = print_graph(made)
    assert "= slot w.master frozen master_of w\n" in printed
    values = {v.name: v.initial for v in made.variables}
    assert print_graph(parse_graph(printed, values)) == printed
    assert "slot w.master master of w" in print_plan(combine({"p": made})[0])


def test_a_name_that_is_taken() -> None:
    text = """\
%0: f32[N,4] = input x
%1: f32[4,4] = parameter w
%2: f32[4,4] = parameter w.master
%3: f32[N,4] = matmul(%0, %1)
%4: f32[N,4] = matmul(%3, %2)
output y = %4
update w = %2
"""
    made = store_parameters({"p": parse_graph(text)}, "bf16")["p"]
    assert [v.name for v in made.variables] == ["w", "w.master", "w.master_", "w.master.master"]
    assert [name for name, _ in made.updates] == ["w.master_", "w"]


def test_unknown_types_are_refused() -> None:
    with pytest.raises(ValueError, match="store must be one of bf16, not 'f16'"):
        nnc.compile(NET, store="f16")
