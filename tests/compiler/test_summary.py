"""The rows of a summary: layers in order, their parameters and costs."""

from __future__ import annotations

from nnc.passes import PassOptions, optimize
from nnc.summary import summary
from nnc.text import parse_graph

NET = """\
%0: f32[N,8,8,1] = input image
%1: f32[3,3,1,4] = parameter features.conv.weight
%2: f32[4] = parameter features.conv.offset
%3: f32[4] = parameter features.batch_norm_2.scale
%4: f32[4] = state features.batch_norm_2.mean
%5: f32[7] = parameter unused.weight
%6: f32[N,6,6,4] = conv2d(%0, %1)  # net.nn:4 features.conv
%7: f32[N,6,6,4] = add(%6, %2)  # net.nn:4 features.conv
%8: f32[4] = exp(%3)  # net.nn:5 features.batch_norm_2
%9: f32[N,6,6,4] = sub(%7, %4)  # net.nn:5 features.batch_norm_2
%10: f32[N,6,6,4] = mul(%9, %8)  # net.nn:5 features.batch_norm_2
%11: f32[N,144] = reshape[shape=(N,144)](%10)  # net.nn:6 flatten
output y = %11
"""


def test_rows() -> None:
    rows = summary(parse_graph(NET))
    assert [row["path"] for row in rows] == [
        "features.conv",
        "features.batch_norm_2",
        "flatten",
        "unused",
    ]
    assert [row["layer"] for row in rows] == ["conv", "batch_norm", "flatten", "unused"]
    assert [row["parameters"] for row in rows] == [40, 4, 0, 7]
    conv = rows[0]
    assert conv["shape"] == "[N, 6, 6, 4]"
    assert conv["flops"] == "2736*N"  # 36 places, 4 channels: 18 operations and the addition
    assert conv["activation_bytes"] == "576*N"
    assert conv["source"] == "net.nn:4"


def test_no_parameter_is_lost_in_optimizing() -> None:
    graph = parse_graph(NET)
    better = optimize(graph, inference=True, options=PassOptions(verify=True))
    total = sum(row["parameters"] for row in summary(better))
    assert total == sum(row["parameters"] for row in summary(graph)) == 51
