"""Masks of clamps behind batch normalization become bounds of its gradient, where they may."""

from __future__ import annotations

import numpy as np
import pytest
from nnc.graph import Node
from nnc.passes import PassOptions, dead_code, mask_gradients, run_pass
from nnc.text import parse_graph

CHECKED = PassOptions(verify=True, compare=True)

HEAD = """\
%0: f32[N,4,5,3] = input x
%1: f32[N,4,5,3] = input dy
%2: f32[3] = parameter scale
%3: f32[3] = parameter offset
%4: f32[] = constant[value=0.0]()
%5: f32[] = constant[value=0.75]()
%6: f32[N,4,5,3], %7: f32[3], %8: f32[3] = batch_norm(%0, %2, %3)
%9: f32[N,4,5,3] = maximum(%6, %4)
%10: f32[N,4,5,3] = minimum(%9, %5)
%11: bool[N,4,5,3] = greater(%10, %4)
%12: f32[N,4,5,3] = select(%11, %1, %4)
%13: bool[N,4,5,3] = less(%10, %5)
%14: f32[N,4,5,3] = select(%13, %12, %4)
%15: f32[N,4,5,3], %16: f32[3], %17: f32[3] = batch_norm_backward(%0, %2, %3, %7, %8, %14)
"""
OUTPUTS = "output z = %10\noutput dx = %15\noutput dscale = %16\noutput doffset = %17\n"


def after(text: str) -> tuple[Node, set[str]]:
    """The gradient's node and the names of all operators."""
    arrays = {"scale": np.array([0.5, -1.5, 0.0]), "offset": np.array([0.1, 0.3, 0.0])}
    graph = run_pass(mask_gradients, parse_graph(text, arrays), CHECKED)
    graph = run_pass(dead_code, graph, CHECKED)
    (found,) = (node for node in graph.nodes if node.op.name == "batch_norm_backward")
    return found, {node.op.name for node in graph.nodes}


def test_two_masks_become_bounds() -> None:
    node, operators = after(HEAD + OUTPUTS)
    assert (node.attributes["low"], node.attributes["high"]) == (0.0, 0.75)
    assert not operators & {"select", "greater", "less"}


def test_a_mask_of_the_normalized_value_itself() -> None:
    text = HEAD.replace("greater(%10, %4)", "greater(%6, %5)").replace("less(%10, %5)", "%13")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("%13"))
    text = text.replace("select(%13, %12, %4)", "select(%11, %1, %4)")
    node, operators = after(text + "\n" + OUTPUTS)
    assert node.attributes["low"] == pytest.approx(0.75)
    assert node.attributes["high"] == np.inf
    assert "select" not in operators


@pytest.mark.parametrize(
    ("before", "instead"),
    [
        ("less(%10, %5)", "less(%10, %4)"),  # the clamp hides what lies below 0
        ("less(%10, %5)", "less(%0, %5)"),  # not the normalized value
        ("select(%13, %12, %4)", "select(%13, %12, %5)"),  # no mask
        ("output z = %10", "output z = %14"),  # the masked gradient is needed, too
    ],
)
def test_what_is_no_mask_of_it_stays(before: str, instead: str) -> None:
    node, operators = after((HEAD + OUTPUTS).replace(before, instead))
    assert (node.attributes["low"], node.attributes["high"]) == (-np.inf, np.inf)
    assert "select" in operators


def test_a_gradient_that_the_mask_repeats_stays_with_it() -> None:
    text = HEAD.replace("%1: f32[N,4,5,3]", "%1: f32[N,1,1,3]") + OUTPUTS
    node, operators = after(text)
    assert (node.attributes["low"], node.attributes["high"]) == (-np.inf, 0.75)
    assert "select" in operators
