"""Each pass on a small graph in text form: what goes in, what must come out."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from nnc.errors import InternalError
from nnc.graph import Graph, Node, Value
from nnc.options import OptionError
from nnc.passes import (
    PassOptions,
    canonicalize,
    common_subexpressions,
    dead_code,
    double,
    fold_batch_norm,
    fold_constants,
    optimize,
    reuse_masks,
    run_pass,
)
from nnc.passes.rewriter import Rewriter
from nnc.text import parse_graph, print_graph
from nnc.verify import verify

CHECKED = PassOptions(verify=True, compare=True)
HEAD = "%0: f32[N,4] = input x\n%1: f32[N,4] = input y\n"


def apply(module: ModuleType, text: str) -> str:
    """A pass, checked by verifier and interpreter, then without its useless nodes."""
    graph = parse_graph(text)
    rng = np.random.default_rng(0)
    arrays = {v.name: rng.random(v.initial.shape) + 0.5 for v in graph.variables}
    graph = parse_graph(text, arrays)
    after = run_pass(module, graph, CHECKED)
    return print_graph(run_pass(dead_code, after, CHECKED))


def simplified(expression: str, *constants: str, head: str = HEAD) -> str:
    """Nodes from `expression` lines over %0 and %1, with constants %10, %11, ...; gives the nodes'
    part.
    """
    lines = [f"%{10 + i}: f32[] = constant[value={c}]()" for i, c in enumerate(constants)]
    made = expression.strip().splitlines()
    last = made[-1].split(":")[0].strip()
    text = head + "\n".join([*lines, *(line.strip() for line in made), f"output z = {last}"]) + "\n"
    printed = apply(canonicalize, text)
    return "\n".join(printed.splitlines()[len(head.splitlines()) :])


A = "f32[N,4]"


@pytest.mark.parametrize(
    ("expression", "constants"),
    [
        (f"%20: {A} = add(%0, %10)", ["0"]),
        (f"%20: {A} = add(%10, %0)", ["0"]),
        (f"%20: {A} = sub(%0, %10)", ["0"]),
        (f"%20: {A} = mul(%10, %0)", ["1"]),
        (f"%20: {A} = div(%0, %10)", ["1"]),
        (f"%20: {A} = pow(%0, %10)", ["1"]),
        (f"%20: {A} = neg(%0)\n%21: {A} = neg(%20)", []),
        (f"%20: {A} = reshape[shape=(N,4)](%0)", []),
        (f"%20: {A} = broadcast_to[shape=(N,4)](%0)", []),
        (f"%20: {A} = stop_gradient(%0)", []),
        (f"%20: {A} = cast[dtype=f32](%0)", []),
        (f"%20: {A} = concat[axis=1](%0)", []),
        (f"%20: {A} = slice[begin=(0,0), end=(N,4), step=(1,1)](%0)", []),
        (f"%20: {A} = pad[low=(0,0), high=(0,0)](%0)", []),
        (f"%20: {A} = reduce_sum[axes=()](%0)", []),
        (f"%20: f64[N,4] = cast[dtype=f64](%0)\n%21: {A} = cast[dtype=f32](%20)", []),
        (
            "%20: f32[4,N] = transpose[permutation=(1,0)](%0)\n"
            f"%21: {A} = transpose[permutation=(1,0)](%20)",
            [],
        ),
        (
            f"%20: f32[2*N,2] = reshape[shape=(2*N,2)](%0)\n%21: {A} = reshape[shape=(N,4)](%20)",
            [],
        ),
        (f"%20: bool[N,4] = greater(%0, %1)\n%21: {A} = select(%20, %0, %0)", []),
    ],
)
def test_becomes_the_operand(expression: str, constants: list[str]) -> None:
    assert simplified(expression, *constants) == "output z = %0"


@pytest.mark.parametrize(
    ("expression", "constants", "expected"),
    [
        (f"%20: {A} = sub(%10, %0)", ["0"], f"%2: {A} = neg(%0)"),
        (f"%20: {A} = neg(%1)\n%21: {A} = add(%0, %20)", [], f"%2: {A} = sub(%0, %1)"),
        (f"%20: {A} = neg(%1)\n%21: {A} = add(%20, %0)", [], f"%2: {A} = sub(%0, %1)"),
        (f"%20: {A} = neg(%1)\n%21: {A} = sub(%0, %20)", [], f"%2: {A} = add(%0, %1)"),
        (
            f"%20: {A} = neg(%0)\n%21: {A} = neg(%1)\n%22: {A} = mul(%20, %21)",
            [],
            f"%2: {A} = mul(%0, %1)",
        ),
        (
            f"%20: {A} = div(%0, %10)",
            ["4"],
            f"%2: f32[] = constant[value=0.25]()\n%3: {A} = mul(%0, %2)",
        ),
        (
            f"%20: {A} = div(%0, %10)",
            ["3"],
            f"%2: f32[] = constant[value=3.0]()\n%3: {A} = div(%0, %2)",
        ),
        (
            f"%20: {A} = mul(%0, %10)\n%21: {A} = mul(%11, %20)",
            ["2", "3"],
            f"%2: f32[] = constant[value=6.0]()\n%3: {A} = mul(%0, %2)",
        ),
        (
            f"%20: {A} = mul(%0, %10)\n%21: {A} = mul(%20, %11)",
            ["1e-30", "1e-30"],  # their product vanishes: kept
            "%2: f32[] = constant[value=1e-30]()\n%3: f32[] = constant[value=1e-30]()\n"
            f"%4: {A} = mul(%0, %2)\n%5: {A} = mul(%4, %3)",
        ),
        (
            f"%20: {A} = sub(%0, %10)",
            ["3"],
            f"%2: f32[] = constant[value=-3.0]()\n%3: {A} = add(%0, %2)",
        ),
        (f"%20: {A} = mul(%0, %0)", [], f"%2: {A} = square(%0)"),
        (f"%20: {A} = pow(%0, %10)", ["2"], f"%2: {A} = square(%0)"),
        (
            f"%20: {A} = square(%0)\n%21: {A} = sqrt(%20)\n%22: {A} = div(%10, %21)",
            ["1"],
            f"%2: {A} = square(%0)\n%3: {A} = rsqrt(%2)",
        ),
        # Not simplified: infinities and NaN would become numbers.
        (
            f"%20: {A} = mul(%0, %10)",
            ["0"],
            f"%2: f32[] = constant[value=0.0]()\n%3: {A} = mul(%0, %2)",
        ),
        (f"%20: {A} = sub(%0, %0)", [], f"%2: {A} = sub(%0, %0)"),
    ],
)
def test_algebra(expression: str, constants: list[str], expected: str) -> None:
    found = simplified(expression, *constants).splitlines()
    assert "\n".join(found[:-1]) == expected


def test_a_constant_of_a_larger_shape_is_not_neutral() -> None:
    text = (
        "%0: f32[] = input x\n%1: f32[1] = constant[value=[0.0]]()\n"
        "%2: f32[1] = add(%0, %1)\noutput z = %2\n"
    )
    assert "add" in apply(canonicalize, text)


def test_broadcasts_become_implicit() -> None:
    found = simplified(
        "%20: f32[N,4] = broadcast_to[shape=(N,4)](%10)\n%21: f32[N,4] = mul(%0, %20)", "3"
    )
    assert "broadcast_to" not in found
    found = simplified(
        "%20: f32[1,N,4] = reshape[shape=(1,N,4)](%0)\n"
        "%21: f32[2,N,4] = broadcast_to[shape=(2,N,4)](%1)\n"
        "%22: f32[2,N,4] = add(%20, %21)"
    )
    assert "reshape" not in found and "= add(%0" in found


def test_broadcasts_come_late() -> None:
    head = "%0: f32[4] = input x\n%1: f32[4] = input y\n"
    found = simplified(
        "%20: f32[N,4] = broadcast_to[shape=(9,4)](%0)".replace("N", "9")
        + "\n%21: f32[9,4] = broadcast_to[shape=(9,4)](%1)\n%22: f32[9,4] = mul(%20, %21)\n"
        "%23: f32[9,4] = exp(%22)",
        head=head,
    )
    assert found.splitlines() == [
        "%2: f32[4] = mul(%0, %1)",
        "%3: f32[4] = exp(%2)",
        "%4: f32[9,4] = broadcast_to[shape=(9,4)](%3)",
        "output z = %4",
    ]


def test_reductions() -> None:
    head = "%0: f32[N,1,4] = input x\n%1: f32[] = input y\n"
    found = simplified("%20: f32[N,4] = reduce_max[axes=(1)](%0)", head=head)
    assert found.splitlines()[0] == "%2: f32[N,4] = reshape[shape=(N,4)](%0)"
    found = simplified(
        "%20: f32[N,3] = broadcast_to[shape=(N,3)](%1)\n%21: f32[] = reduce_sum[axes=(0,1)](%20)",
        head=head,
    )
    assert found.splitlines()[:2] == [
        "%2: f32[] = dimension[value=3*N, dtype=f32]()",
        "%3: f32[] = mul(%1, %2)",
    ]
    found = simplified(
        "%20: f32[5,3] = broadcast_to[shape=(5,3)](%1)\n%21: f32[5] = reduce_mean[axes=(1)](%20)",
        head=head,
    )
    assert found.splitlines()[0] == "%2: f32[5] = broadcast_to[shape=(5)](%1)"


def test_matmul_reads_transposed_operands() -> None:
    head = "%0: f32[N,4] = input x\n%1: f32[3,4] = parameter w\n"
    found = simplified(
        "%20: f32[4,3] = transpose[permutation=(1,0)](%1)\n%21: f32[N,3] = matmul(%0, %20)",
        head=head,
    )
    assert found.splitlines()[0] == "%2: f32[N,3] = matmul[transpose_b=true](%0, %1)"
    found = simplified(
        "%20: f32[4,3] = transpose[permutation=(1,0)](%1)\n"
        "%21: f32[4,N] = transpose[permutation=(1,0)](%0)\n"
        "%22: f32[N,3] = matmul[transpose_a=true](%21, %20)",
        head=head,
    )
    assert found.splitlines()[0] == "%2: f32[N,3] = matmul[transpose_b=true](%0, %1)"


def test_idle_transposes_are_views() -> None:
    found = simplified(
        "%20: f32[N,1,4] = reshape[shape=(N,1,4)](%0)\n"
        "%21: f32[1,N,4] = transpose[permutation=(1,0,2)](%20)"
    )
    assert found.splitlines()[0] == "%2: f32[1,N,4] = reshape[shape=(1,N,4)](%0)"


WINDOW = "kernel=(3,3), stride=(2,2), padding=(0,1,0,1)"
UNPOOL = f"""\
%0: f32[N,6,6,4] = input x
%1: f32[N,3,3,4] = input dy
%2: f32[] = constant[value=0.0]()
%3: f32[] = constant[value=0.6]()
%4: f32[N,6,6,4] = minimum(%0, %3)
%5: f32[N,3,3,4], %6: u8[N,3,3,4] = max_pool_index[{WINDOW}](%4)
%7: f32[N,6,6,4] = max_pool_backward[{WINDOW}, shape=(N,6,6,4)](%6, %1)
%8: bool[N,6,6,4] = less(%4, %3)
%9: f32[N,6,6,4] = select(%8, %7, %2)
"""


def test_masks_come_before_the_image_is_made_large() -> None:
    """Windows overlap, and a clamped pixel is the largest of some of them."""

    def operators(text: str) -> list[str]:
        graph = parse_graph(apply(canonicalize, text + "output dx = %9\n"))
        return [node.op.name for node in graph.nodes]

    assert operators(UNPOOL)[-3:] == ["less", "select", "max_pool_backward"]
    other = UNPOOL.replace("less(%4, %3)", "less(%0, %3)")
    assert operators(other)[-3:] == ["max_pool_backward", "less", "select"]


def test_sums_come_before_the_image_is_made_large() -> None:
    def summed(text: str, axes: str, shape: str) -> str:
        line = f"%10: f32[{shape}] = reduce_sum[axes={axes}](%7)\n"
        return apply(canonicalize, text + line + "output sum = %10\n")

    assert "max_pool_backward" not in summed(UNPOOL, "(0,1,2)", "4")
    assert "max_pool_backward" in summed(UNPOOL, "(0,1)", "6,4")
    # A whole window may lie in the padding: its gradient goes nowhere.
    wide = UNPOOL.replace("padding=(0,1,0,1)", "padding=(3,1,0,1)").replace("N,3,3", "N,4,3")
    assert "max_pool_backward" in summed(wide, "(0,1,2)", "4")


def test_select_by_a_constant() -> None:
    found = simplified("%20: bool[] = constant[value=false]()\n%21: f32[N,4] = select(%20, %0, %1)")
    assert found == "output z = %1"


def test_arrays_of_one_number_become_numbers() -> None:
    found = simplified(
        "%20: f32[2,4] = constant[value=[[7,7,7,7],[7,7,7,7]]]()\n%21: f32[2,4] = neg(%20)"
    )
    assert found.splitlines()[0] == "%2: f32[] = constant[value=7.0]()"


# ---------------------------------------------------------------- the other passes


def test_dead_code() -> None:
    text = HEAD + "%2: f32[N,4] = exp(%0)\n%3: f32[N,4] = neg(%1)\noutput z = %3\n"
    assert "exp" not in apply(dead_code, text) and "neg" in apply(dead_code, text)


def test_dead_code_keeps_updates() -> None:
    text = "%0: f32[2] = state s\n%1: f32[2] = exp(%0)\nupdate s = %1\n"
    assert apply(dead_code, text) == text


def test_common_subexpressions() -> None:
    text = (
        HEAD + "%2: f32[N,4] = mul(%0, %1)\n%3: f32[N,4] = mul(%1, %0)\n"
        "%4: f32[N,4] = sub(%0, %1)\n%5: f32[N,4] = sub(%1, %0)\n"
        "%6: f32[N,4] = random_uniform[shape=(N,4), stream=1]()\n"
        "%7: f32[N,4] = random_uniform[shape=(N,4), stream=2]()\n"
        "%8: f32[N,4] = random_uniform[shape=(N,4), stream=1]()\n"
        "%9: f32[3] = constant[value=[1,2,3]]()\n%10: f32[3] = constant[value=[1,2,3]]()\n"
        "output a = %2\noutput b = %3\noutput c = %4\noutput d = %5\n"
        "output e = %6\noutput f = %7\noutput g = %8\noutput h = %9\noutput i = %10\n"
    )
    found = apply(common_subexpressions, text).splitlines()
    outputs = dict(line.split()[1::2] for line in found if line.startswith("output"))
    assert outputs["a"] == outputs["b"] and outputs["h"] == outputs["i"]
    assert outputs["e"] == outputs["g"] != outputs["f"]
    assert outputs["c"] != outputs["d"]


def test_zero_and_minus_zero_are_different_constants() -> None:
    text = (
        "%0: f32[] = constant[value=0.0]()\n%1: f32[] = constant[value=-0.0]()\n"
        "output a = %0\noutput b = %1\n"
    )
    assert apply(common_subexpressions, text) == text


def test_fold_constants() -> None:
    text = (
        "%0: f32[3] = constant[value=[1,2,3]]()\n%1: f32[] = constant[value=2]()\n"
        "%2: f32[3] = pow(%0, %1)\n%3: f32[] = reduce_sum[axes=(0)](%2)\noutput z = %3\n"
    )
    assert apply(fold_constants, text) == "%0: f32[] = constant[value=14.0]()\noutput z = %0\n"


def test_folding_leaves_symbols_and_random_numbers() -> None:
    text = (
        "%0: f32[N] = input x\n%1: f32[] = constant[value=2.0]()\n"
        "%2: f32[N] = broadcast_to[shape=(N)](%1)\n%3: f32[N] = exp(%2)\n"
        "%4: f32[3] = random_uniform[shape=(3), stream=0]()\n%5: f32[3] = exp(%4)\n"
        "output z = %3\noutput r = %5\n"
    )
    assert apply(fold_constants, text) == text


def test_reuse_masks() -> None:
    text = (
        HEAD + "%2: f32[N,4] = mul(%0, %1)\n%3: f32[] = constant[value=0.0]()\n"
        "%4: f32[N,4] = maximum(%2, %3)\n%5: bool[N,4] = greater(%2, %3)\n"
        "output z = %4\noutput m = %5\n"
    )
    assert "greater(%4, %3)" in apply(reuse_masks, text)


def test_reuse_masks_of_two_clamps() -> None:
    text = (
        HEAD + "%2: f32[] = constant[value=0.0]()\n%3: f32[] = constant[value=0.5]()\n"
        "%4: f32[N,4] = maximum(%0, %2)\n%5: f32[N,4] = minimum(%4, %3)\n"
        "%6: bool[N,4] = greater(%0, %2)\n%7: bool[N,4] = less(%4, %3)\n"
        "%8: bool[N,4] = less(%0, %2)\n%9: bool[N,4] = greater(%4, %3)\n"
        "output y = %5\noutput a = %6\noutput b = %7\noutput c = %8\noutput d = %9\n"
    )
    found = apply(reuse_masks, text)
    assert "= greater(%5, %2)" in found and "= less(%5, %3)" in found
    assert "= less(%0, %2)" in found and "= greater(%4, %3)" in found  # those would change


CONV_NORM = """\
%0: f32[N,5,5,3] = input x
%1: f32[3,3,3,8] = parameter conv.weight
%2: f32[8] = state norm.mean
%3: f32[8] = state norm.variance
%4: f32[8] = parameter norm.scale
%5: f32[8] = parameter norm.offset
%6: f32[N,3,3,8] = conv2d(%0, %1)
%7: f32[N,3,3,8] = sub(%6, %2)
%8: f32[] = constant[value=1e-05]()
%9: f32[8] = add(%3, %8)
%10: f32[8] = rsqrt(%9)
%11: f32[N,3,3,8] = mul(%7, %10)
%12: f32[N,3,3,8] = mul(%11, %4)
%13: f32[N,3,3,8] = add(%12, %5)
output y = %13
"""


def users_of_input(printed: str) -> list[str]:
    """The operators from the first input to the last output, along the way of the data."""
    names, data = [], {"%0"}
    for line in printed.splitlines():
        head, _, rest = line.partition(" = ")
        if "(" in rest and any(f"{value}," in rest or f"{value})" in rest for value in data):
            data = {head.split(":")[0]}
            names.append(rest.split("(")[0].split("[")[0])
    return names


def test_batch_norm_goes_into_the_convolution() -> None:
    assert users_of_input(apply(fold_batch_norm, CONV_NORM)) == ["conv2d", "add"]


def test_batch_norm_after_a_bias_and_around_a_matmul() -> None:
    text = """\
%0: f32[N,4] = input x
%1: f32[3,4] = parameter w
%2: f32[3] = parameter b
%3: f32[1,3] = parameter s
%4: f32[] = parameter t
%5: f32[N,3] = matmul[transpose_b=true](%0, %1)
%6: f32[N,3] = add(%2, %5)
%7: f32[N,3] = sub(%4, %6)
%8: f32[N,3] = div(%7, %3)
%9: f32[N,3] = neg(%8)
output y = %9
"""
    assert users_of_input(apply(fold_batch_norm, text)) == ["matmul", "add"]


def test_batch_norm_goes_into_a_transposed_convolution() -> None:
    text = """\
%0: f32[N,3,3,4] = input x
%1: f32[2,2,5,4] = parameter w
%2: f32[5] = parameter s
%3: f32[N,6,6,5] = conv2d_backward_data[stride=(2,2), shape=(N,6,6,5)](%0, %1)
%4: f32[N,6,6,5] = mul(%3, %2)
output y = %4
"""
    assert users_of_input(apply(fold_batch_norm, text)) == ["conv2d_backward_data"]


def test_batch_norm_stays_where_the_raw_value_is_used_too() -> None:
    text = CONV_NORM + "output raw = %6\n"
    assert users_of_input(apply(fold_batch_norm, text))[:3] == ["conv2d", "mul", "add"]


def test_batch_norm_stays_in_training() -> None:
    text = CONV_NORM + "update norm.mean = %2\n"
    assert apply(fold_batch_norm, text) == text


def test_scales_per_pixel_are_left_alone() -> None:
    text = CONV_NORM.replace("%4: f32[8]", "%4: f32[3,1,8]")
    assert users_of_input(apply(fold_batch_norm, text)) == ["conv2d", "add", "mul", "add"]


def test_double() -> None:
    text = """\
%0: u8[N,4] = input bytes
%1: f32[] = input step clock
%2: f32[4] = parameter w
%3: u8[] = constant[value=255]()
%4: f32[N,4] = div(%0, %3)
%5: f32[N,4] = mul(%4, %2)
%6: f32[N,4] = add(%5, %1)
%7: f32[4] = neg(%2)
output y = %6
update w = %7
"""
    graph = double.run(parse_graph(text, {"w": np.ones(4)}))
    verify(graph)
    assert [item.value.dtype for item in graph.inputs] == ["u8", "f32"]
    assert graph.variables[0].initial.dtype == np.float64
    floats = {value.dtype for value in graph.values()} - {"u8"}
    assert floats == {"f64", "f32"}
    assert [v for node in graph.nodes for v in node.results if v.dtype == "f32"] == []


def test_the_limit_stops_the_passes() -> None:
    graph = parse_graph(HEAD + "%2: f32[N,4] = neg(%0)\n%3: f32[N,4] = neg(%2)\noutput z = %3\n")
    assert len(optimize(graph, options=PassOptions(limit=1)).nodes) == 2
    assert len(optimize(graph, options=PassOptions()).nodes) == 0


def test_passes_report_what_they_change() -> None:
    graph = parse_graph(HEAD + "%2: f32[N,4] = neg(%0)\n%3: f32[N,4] = neg(%2)\noutput z = %3\n")
    seen: list[str] = []

    def observe(name: str, before: Graph, after: Graph) -> None:
        seen.append(name if print_graph(before) != print_graph(after) else "")

    optimize(graph, options=PassOptions(observe=observe))
    assert seen[:2] == ["", "canonicalize"]


def test_options_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNC_VERIFY", "1")
    monkeypatch.setenv("NNC_CHECK_PASSES", "1")
    monkeypatch.setenv("NNC_PASS_LIMIT", "3")
    assert PassOptions.from_environment() == PassOptions(verify=True, compare=True, limit=3)


def test_canonical_form_is_stable() -> None:
    once = optimize(parse_graph(CONV_NORM), inference=True, options=CHECKED)
    assert print_graph(optimize(once, inference=True, options=CHECKED)) == print_graph(once)


def test_a_rule_that_fails_names_pass_and_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(node: Node, rewriter: Rewriter) -> Value | None:
        raise ZeroDivisionError("no such luck")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(canonicalize._RULES, "tanh", [fail])
    graph = parse_graph(HEAD + "%2: f32[N,4] = neg(%0)\n%3: f32[N,4] = tanh(%2)\noutput z = %3\n")
    with pytest.raises(InternalError) as caught:
        optimize(graph, options=PassOptions())
    text = str(caught.value)
    assert "in pass `canonicalize`: ZeroDivisionError: no such luck" in text
    assert "at node: %3: f32[N,4] = tanh(%2)" in text
    assert (tmp_path / caught.value.reproducer).exists()


def test_a_wrong_limit_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNC_PASS_LIMIT", "few")
    with pytest.raises(OptionError, match="NNC_PASS_LIMIT=few"):
        PassOptions.from_environment()
