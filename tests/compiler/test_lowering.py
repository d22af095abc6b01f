"""Lowering: what becomes one step, what is stored where, and in which order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nnc import interpret, lower
from nnc.errors import InternalError
from nnc.graph import Graph
from nnc.ops.base import Context
from nnc.passes import PassOptions, optimize, rerun
from nnc.plan import Plan, Program, Step, print_plan
from nnc.text import parse_graph

from .plan_oracle import PlanOracle, root_of

N = 3


def lowered(
    text: str, inference: bool = False, arrays: dict[str, np.ndarray] | None = None
) -> Plan:
    """The plan of a graph, which computes what the interpreter does."""
    graph = parse_graph(text, arrays)
    rng = np.random.default_rng(1)
    if arrays is None:
        made = {v.name: rng.standard_normal(v.initial.shape) for v in graph.variables}
        graph = parse_graph(text, made)
    better = optimize(graph, inference=inference, options=PassOptions(verify=True, compare=True))
    plan, weights = lower.combine({"p": better})
    check(graph, plan, weights, rng)
    return plan


def check(
    graph: Graph, plan: Plan, weights: dict[str, np.ndarray], rng: np.random.Generator
) -> None:
    inputs = {
        item.name: random_input(
            item.value.dtype, [N if not isinstance(d, int) else d for d in item.value.shape], rng
        )
        for item in graph.inputs
    }
    outputs, updates = interpret.run(graph, inputs, context=Context(seed=2, step=1))
    oracle = PlanOracle(plan, weights, seed=2)
    found = oracle.run("p", inputs, step=1)
    for name, expected in outputs.items():
        np.testing.assert_allclose(found[name], expected, rtol=2e-5, atol=1e-5, err_msg=name)
    for variable in graph.variables:
        expected = updates.get(variable.name, variable.initial)
        np.testing.assert_allclose(oracle.variable(variable.name), expected, rtol=2e-5, atol=1e-5)


def random_input(dtype: str, shape: list[int], rng: np.random.Generator) -> np.ndarray:
    if dtype in ("f32", "f64"):
        return rng.standard_normal(shape).astype(np.float32)
    return rng.integers(0, 3, shape).astype(np.int64 if dtype == "i64" else np.uint8)


def program(text: str, inference: bool = False) -> Program:
    return lowered(text, inference).programs["p"]


def kernels(steps: tuple[Step, ...]) -> list[str]:
    """Kernel names; `+` where a tile program rides along."""
    return [s.kernel + ("+" if s.tile and s.kernel != "tile" else "") for s in steps]


def operations(step: Step) -> list[str]:
    assert step.tile
    return [code[0] for code in step.tile.code]


CONV = """\
%0: f32[N,5,5,3] = input x
%1: f32[3,3,3,8] = parameter w
%2: f32[8] = parameter b
%3: f32[N,3,3,8] = conv2d(%0, %1)
%4: f32[N,3,3,8] = add(%3, %2)
%5: f32[] = constant[value=0.0]()
%6: f32[N,3,3,8] = maximum(%4, %5)
"""


def test_bias_and_relu_ride_on_the_convolution_in_place() -> None:
    made = program(CONV + "output y = %6\n")
    assert kernels(made.steps) == ["conv2d+"]
    (step,) = made.steps
    assert operations(step) == ["load", "load", "add", "const", "maximum", "store"]
    assert step.tile and step.tile.stores == step.results
    assert made.outputs[0].buffer == step.results[0]


def test_a_raw_result_that_is_needed_stays() -> None:
    made = program(CONV + "output y = %6\noutput raw = %3\n")
    assert kernels(made.steps) == ["conv2d+"]
    (step,) = made.steps
    assert step.tile and step.results[0] not in step.tile.stores
    assert [o.buffer for o in made.outputs] == [step.tile.stores[0], step.results[0]]


def test_a_residual_rides_on_the_later_branch() -> None:
    made = program(
        CONV
        + "%7: f32[N,3,3,8] = conv2d(%0, %1)\n"
        + "%8: f32[8,8] = parameter v\n%9: f32[N,3,3,8] = matmul(%6, %8)\n"
        + "%10: f32[N,3,3,8] = add(%9, %7)\n%11: f32[N,3,3,8] = maximum(%10, %5)\noutput y = %11\n"
    )
    assert kernels(made.steps) == ["conv2d+", "matmul+"]


def test_a_program_waits_for_its_last_operand() -> None:
    made = program(
        "%0: f32[N,4] = input x\n%1: f32[4,4] = parameter w\n"
        "%2: f32[N,4] = matmul(%0, %1)\n%3: f32[N,4] = softmax(%2)\n"
        "%4: f32[N,4] = mul(%2, %3)\noutput y = %4\n"
    )
    assert kernels(made.steps) == ["matmul", "softmax", "tile"]


def test_reductions_compute_what_they_consume() -> None:
    made = program(
        "%0: f32[N,4] = input x\n%1: f32[N,4] = input t\n%2: f32[N,4] = sub(%0, %1)\n"
        "%3: f32[N,4] = square(%2)\n%4: f32[] = reduce_mean[axes=(0,1)](%3)\noutput loss = %4\n"
    )
    assert kernels(made.steps) == ["reduce+"]
    (step,) = made.steps
    assert step.attributes["op"] == "mean" and len(step.operands) == 2
    assert step.tile and step.tile.domain == made.buffers[0].shape


def test_what_a_reduction_shares_is_stored() -> None:
    made = program(
        "%0: f32[N,4] = input x\n%1: f32[N,4] = exp(%0)\n"
        "%2: f32[N] = reduce_sum[axes=(1)](%1)\n%3: f32[N,1] = reshape[shape=(N,1)](%2)\n"
        "%4: f32[N,4] = div(%1, %3)\noutput y = %4\n"
    )
    assert kernels(made.steps) == ["tile", "reduce", "tile"]


def test_work_per_channel_is_done_once_per_channel() -> None:
    text = """\
%0: f32[N,6,4] = input x
%1: f32[4] = state v
%2: f32[4] = parameter s
%3: f32[] = constant[value=0.001]()
%4: f32[4] = add(%1, %3)
%5: f32[4] = rsqrt(%4)
%6: f32[4] = mul(%5, %2)
%7: f32[N,6,4] = mul(%0, %6)
%8: f32[4] = neg(%1)
output y = %7
update v = %8
"""
    made = program(text)
    domains = [step.tile.domain for step in made.steps if step.tile]
    assert [len(domain) for domain in domains] == [1, 3, 1]
    assert operations(made.steps[1]) == ["load", "load", "mul", "store"]


def test_fixed_work_is_prepared_once() -> None:
    text = """\
%0: f32[N,4] = input x
%1: f32[4,3] = parameter w
%2: f32[3] = parameter s
%3: f32[N,3] = matmul(%0, %1)
%4: f32[N,3] = mul(%3, %2)
output y = %4
output w2 = %1
"""
    made = program(text, inference=True)
    assert kernels(made.prepare) == ["tile"]
    assert kernels(made.steps) == ["tile", "matmul"] or kernels(made.steps) == ["matmul", "tile"]
    prepared = made.buffers[made.prepare[0].results[0]]
    assert prepared.kind == "prepared"


def test_training_prepares_nothing() -> None:
    text = "%0: f32[4] = parameter w\n%1: f32[4] = exp(%0)\noutput y = %1\nupdate w = %1\n"
    assert program(text).prepare == ()


# ---------------------------------------------------------------- updates

SGD = """\
%0: f32[N,4] = input x
%1: f32[4,3] = parameter w
%2: f32[4,3] = slot w.velocity
%3: f32[] = input step clock
%4: f32[N,3] = matmul(%0, %1)
%5: f32[N,3] = tanh(%4)
%6: f32[N,4] = matmul[transpose_b=true](%5, %1)
%7: f32[4,3] = matmul[transpose_a=true](%0, %5)
%8: f32[] = constant[value=0.9]()
%9: f32[4,3] = mul(%8, %2)
%10: f32[4,3] = add(%9, %7)
%11: f32[] = constant[value=0.1]()
%12: f32[] = mul(%11, %3)
%13: f32[] = exp(%12)
%14: f32[4,3] = mul(%13, %10)
%15: f32[4,3] = sub(%1, %14)
output back = %6
update w = %15
update w.velocity = %10
"""


def test_an_update_rides_on_its_gradient_after_all_readers() -> None:
    made = program(SGD)
    names = kernels(made.steps)
    assert names == ["tile", "matmul+", "matmul", "matmul+"]
    last = made.steps[-1]
    assert last.tile
    kinds = [made.buffers[index].kind for index in last.tile.stores]
    assert kinds == ["variable", "variable"]
    # The readers of the old weight come first, whatever the order of the text.
    moved = SGD.replace("%6: f32[N,4] = matmul[transpose_b=true](%5, %1)\n", "").replace(
        "output back", "%6: f32[N,4] = matmul[transpose_b=true](%5, %1)\noutput back"
    )
    assert kernels(program(moved).steps) == names


def test_an_update_with_a_late_reader_is_stored_in_place_afterwards() -> None:
    text = """\
%0: f32[3] = parameter p
%1: f32[3] = neg(%0)
%2: f32[3] = softmax(%1)
%3: f32[3] = mul(%2, %0)
output y = %3
update p = %1
"""
    made = program(text)
    variable = next(i for i, b in enumerate(made.buffers) if b.kind == "variable")
    writers = [i for i, step in enumerate(made.steps) if variable in step.results]
    assert writers == [len(made.steps) - 1]


def test_variables_that_change_places() -> None:
    text = """\
%0: f32[3] = parameter a
%1: f32[3] = parameter b
%2: f32[3] = state c
%3: f32[3] = add(%0, %1)
output y = %3
update a = %1
update b = %0
update c = %3
"""
    made = program(text)
    assert len(made.steps) >= 5  # the sum, two temporaries, two copies


def test_one_value_for_two_variables_and_an_output() -> None:
    text = """\
%0: f32[3] = parameter a
%1: f32[3] = parameter b
%2: f32[3] = exp(%0)
output y = %2
output z = %2
update a = %2
update b = %2
"""
    made = program(text)
    roots = [root_of(made, item.buffer) for item in made.outputs]
    assert len(set(roots)) == 2
    assert all(made.buffers[root].kind == "output" for root in roots)


def test_broadcast_reads_forbid_storing_in_place() -> None:
    text = """\
%0: f32[3,3] = state m
%1: f32[3] = reduce_max[axes=(0)](%0)
%2: f32[3] = state v
%3: f32[3,3] = mul(%0, %2)
%4: f32[3,3] = sub(%3, %1)
update m = %4
update v = %1
"""
    program(text)


def test_a_matmul_that_reads_the_variable_it_changes() -> None:
    text = """\
%0: f32[3,3] = parameter w
%1: f32[3,3] = matmul(%0, %0)
%2: f32[3,3] = tanh(%1)
update w = %2
"""
    made = program(text)
    assert kernels(made.steps) == ["matmul+", "tile"]


def test_a_variable_that_stays() -> None:
    made = program("%0: f32[3] = state s\n%1: f32[3] = neg(%0)\noutput y = %1\nupdate s = %0\n")
    assert kernels(made.steps) == ["tile"]


# ---------------------------------------------------------------- interface


def test_outputs_of_every_origin() -> None:
    text = """\
%0: f32[N,4] = input x
%1: f32[4] = parameter w
%2: f32[3] = constant[value=[1,2,3]]()
%3: f32[] = constant[value=5]()
%4: f32[N,2,2] = reshape[shape=(N,2,2)](%0)
%5: f32[N,4] = exp(%0)
%6: f32[4*N] = reshape[shape=(4*N)](%5)
%7: f32[4] = exp(%1)
output input = %0
output variable = %1
output array = %2
output number = %3
output view = %4
output fresh = %5
output again = %5
output flat = %6
output fixed = %7
"""
    made = program(text, inference=True)
    roots = [root_of(made, item.buffer) for item in made.outputs]
    assert len(set(roots)) == len(roots)


def test_big_constants_are_kept_once() -> None:
    text = """\
%0: f32[N,3] = input x
%1: f32[3] = constant[value=[1,2,3]]()
%2: f32[N,3] = mul(%0, %1)
output y = %2
"""
    graphs = {name: parse_graph(text) for name in ("predict", "evaluate")}
    plan, weights = lower.combine(graphs)
    assert [(v.name, v.kind) for v in plan.variables] == [("constant.0", "constant")]
    assert weights["constant.0"].tolist() == [1, 2, 3]
    kinds = [b.kind for b in plan.programs["evaluate"].buffers if b.variable is not None]
    assert kinds == ["constant"]


def test_variables_are_numbered_over_all_programs() -> None:
    one = parse_graph("%0: f32[2] = parameter a\noutput y = %0\n", {"a": np.ones(2)})
    two = parse_graph("%0: f32[3] = slot s\n%1: f32[2] = parameter a\noutput y = %1\n")
    plan, weights = lower.combine({"predict": one, "train": two})
    assert [v.name for v in plan.variables] == ["a", "s"]
    assert weights["a"].tolist() == [1, 1]
    other = parse_graph("%0: f32[3] = parameter a\noutput y = %0\n")
    with pytest.raises(InternalError, match="disagree"):
        lower.combine({"predict": one, "train": other})


def test_indices_have_a_limit() -> None:
    text = """\
%0: f32[N,4] = input x
%1: u8[N] = input label
%2: i64[N] = input word
%3: i64[N] = cast[dtype=i64](%1)
%4: f32[N] = softmax_cross_entropy(%0, %3)
%5: f32[7,2] = parameter table
%6: f32[N,2] = gather(%5, %2)
output loss = %4
output embedded = %6
"""
    made = program(text)
    assert [(item.name, item.limit) for item in made.inputs] == [
        ("x", -1),
        ("label", 4),
        ("word", 7),
    ]


def test_clocks_appear_only_where_they_are_used() -> None:
    text = (
        "%0: f32[N] = input x\n%1: f32[] = input step clock\n%2: f32[] = input epoch clock\n"
        "%3: f32[N] = mul(%0, %1)\noutput y = %3\n"
    )
    assert [(item.name, item.role) for item in program(text).inputs] == [
        ("x", "data"),
        ("step", "clock"),
    ]


def test_initializers_do_not_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "%0: f32[3] = random_normal[shape=(3), stream=1]()\noutput y = %0\n"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InternalError, match="compile time"):
        lower.combine({"p": parse_graph(text)})


# ---------------------------------------------------------------- element types


def test_integers_are_computed_as_integers() -> None:
    text = """\
%0: i64[N] = input a
%1: i64[] = constant[value=9007199254740993]()
%2: i64[N] = add(%0, %1)
%3: i64[] = constant[value=7]()
%4: i64[N] = mod(%2, %3)
%5: bool[N] = equal(%4, %3)
%6: f32[N] = cast[dtype=f32](%4)
output y = %4
output z = %5
output f = %6
"""
    made = program(text)
    assert {step.tile.compute for step in made.steps if step.tile} == {"i64", "f32"}


def test_narrowing_goes_through_memory() -> None:
    text = """\
%0: f32[N] = input x
%1: i32[N] = cast[dtype=i32](%0)
%2: f32[N] = cast[dtype=f32](%1)
%3: f32[N] = add(%2, %0)
output y = %3
"""
    made = program(text)
    assert [operations(step) for step in made.steps] == [
        ["load", "store"],
        ["load", "load", "add", "store"],
    ]


def test_truth_values_are_compared_with_zero() -> None:
    made = program("%0: f32[N] = input x\n%1: bool[N] = cast[dtype=bool](%0)\noutput y = %1\n")
    assert operations(made.steps[0]) == ["load", "const", "not_equal", "store"]


def test_random_masks_are_computed_again() -> None:
    text = """\
%0: f32[N,4] = input x
%1: f32[N,4] = random_uniform[shape=(N,4), stream=3]()
%2: f32[] = constant[value=0.5]()
%3: bool[N,4] = less(%1, %2)
%4: f32[N,4] = cast[dtype=f32](%3)
%5: f32[N,4] = mul(%0, %4)
%6: f32[N,4] = softmax(%5)
%7: f32[N,4] = mul(%6, %4)
output y = %7
"""
    made = program(text)
    assert kernels(made.steps) == ["tile", "softmax", "tile"]
    assert all("uniform" in operations(step) for step in (made.steps[0], made.steps[2]))
    assert len(made.buffers) == 4


def test_random_numbers_of_another_shape_are_stored() -> None:
    text = """\
%0: f32[N,2,4] = input x
%1: f32[N,1,4] = random_uniform[shape=(N,1,4), stream=3]()
%2: f32[N,2,4] = mul(%0, %1)
output y = %2
"""
    made = program(text)
    assert [len(step.tile.domain) for step in made.steps if step.tile] == [3, 3]
    assert len(made.steps) == 2


def test_long_sums_are_cut() -> None:
    lines = ["%0: f32[N,4] = input x0"]
    lines += [f"%{i}: f32[N,4] = input x{i}" for i in range(1, 40)]
    total = "%0"
    for i in range(1, 40):
        lines.append(f"%{100 + i}: f32[N,4] = add({total}, %{i})")
        total = f"%{100 + i}"
    made = program("\n".join([*lines, f"output y = {total}"]) + "\n")
    assert 4 <= len(made.steps) <= 8


def test_a_sum_of_very_many_numbers() -> None:
    lines = [f"%{i}: f32[] = slot s{i}" for i in range(900)]
    total = "%0"
    for i in range(1, 900):
        lines.append(f"%{1000 + i}: f32[] = add({total}, %{i})")
        total = f"%{1000 + i}"
    made = program("\n".join([*lines, f"output y = {total}", "update s0 = %0"]) + "\n")
    assert 4 <= len(made.steps) <= 16


def test_scalars_of_a_schedule_share_one_program() -> None:
    lines = ["%0: f32[] = input step clock"]
    for i in range(20):
        lines.append(f"%{i + 1}: f32[] = slot power{i}")
    updates = []
    for i in range(20):
        lines.append(f"%{i + 30}: f32[] = mul(%{i + 1}, %0)")
        updates.append(f"update power{i} = %{i + 30}")
    made = program("\n".join([*lines, *updates]) + "\n")
    assert len(made.steps) == 1


def test_the_text_of_a_plan_is_stable() -> None:
    assert (
        print_plan(lowered(CONV + "output y = %6\n"))
        == """\
plan 3
symbols N
v0: f32[3,3,3,8] = parameter w
v1: f32[8] = parameter b

program p
  b0: f32[N,5,5,3] input
  b1: f32[N,3,3,8] output
  b2: f32[8] variable v1
  b3: f32[3,3,3,8] variable v0
  input x = b0 data
  step 0: conv2d[stride=(1,1), padding=(0,0,0,0), dilation=(1,1), groups=1](b0, b3) -> b1
    tile f32[N,3,3,8]
      r0 = load b1
      r1 = load b2
      r2 = add r0 r1
      r3 = const 0.0
      r4 = maximum r2 r3
      store b1 r4
  output y = b1
"""
    )


def test_a_failure_leaves_a_file_to_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "%0: f32[3] = random_normal[shape=(3), stream=1]()\noutput y = %0\n"
    with pytest.raises(InternalError) as caught:
        lower.combine({"p": parse_graph(text)})
    written = tmp_path / caught.value.reproducer
    assert parse_graph(written.read_text(encoding="utf-8")).outputs
    good = tmp_path / "good.nnir"
    good.write_text(CONV + "output y = %6\n", encoding="utf-8")
    assert rerun.main(["lower", str(good)]) == 0
    assert "step 0: conv2d" in capsys.readouterr().out
    assert rerun.main(["canonicalize", str(good)]) == 0
    assert "conv2d(%0, %1)" in capsys.readouterr().out
