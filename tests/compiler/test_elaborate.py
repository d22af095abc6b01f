"""What elaboration makes of the language: names, settings, loops, shapes, types, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nnc import interpret
from nnc.elaborate import Text, elaborate, read_source
from nnlang import DiagnosticError, format_source

from .elaborated import SECTION, VECTORS, build, mistake, net, operators, parameters, shapes

# Names of parameters


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("output y = x -> dense(3)", ["y.dense.weight", "y.dense.offset"]),
        ("h = x -> dense(3, bias = false)\noutput y = h", ["h.dense.weight"]),
        (
            "h = x -> dense(3, bias = false) -> dense(4, bias = false)\noutput y = h",
            ["h.dense.weight", "h.dense_2.weight"],
        ),
        (
            "h = x -> dense(3, bias = false)\nh = h -> dense(4, bias = false)\noutput y = h",
            ["h.dense.weight", "h.dense_2.weight"],
        ),
        (
            "h = x -> dense(3, bias = false) as first -> dense(4, bias = false)\noutput y = h",
            ["h.first.weight", "h.dense.weight"],
        ),
        (
            "h = x\nfor i in range(3) { h = h -> dense(8, bias = false) }\noutput y = h",
            ["h.dense.weight", "h.dense_2.weight", "h.dense_3.weight"],
        ),
        (
            "h = x -> dense(8, bias = false) as dense_2 -> dense(8, bias = false)"
            " -> dense(8, bias = false)\noutput y = h",
            ["h.dense_2.weight", "h.dense.weight", "h.dense_3.weight"],
        ),
        ("param w: f32[8, 2] = ones()\noutput y = x @ w", ["w"]),
        (
            "a, b = split(x -> dense(6, bias = false), 2)\noutput y = a * b",
            ["a.dense.weight"],
        ),
    ],
)  # fmt: skip
def test_parameter_names(body: str, expected: list[str]) -> None:
    assert parameters(net(body)) == expected


def test_parameter_names_in_blocks() -> None:
    before = """
        block tower(x, width) {
            body = x -> dense(width, bias = false) -> relu
            return body -> dense(width, bias = false)
        }
        block short(x) = x -> tower(4) -> dense(2, bias = false)
    """
    made = net("a = x -> tower(3)\noutput y = a -> short -> short", before=before)
    assert parameters(made) == [
        "a.tower.body.dense.weight",
        "a.tower.dense.weight",
        "y.short.tower.body.dense.weight",
        "y.short.tower.dense.weight",
        "y.short.dense.weight",
        "y.short_2.tower.body.dense.weight",
        "y.short_2.tower.dense.weight",
        "y.short_2.dense.weight",
    ]


def test_binding_and_block_of_one_name_have_different_paths() -> None:
    before = """
        block f(x) {
            dense = 3
            g = x -> h(dense)
            return g -> h(dense)
        }
        block h(x, n) = x -> dense(n)
    """
    names = parameters(net("output y = x -> f", before=before))
    assert len(names) == len(set(names)) == 4


def test_parameter_in_a_loop_gets_an_index() -> None:
    before = """
        block scaled(x: [..., K]) {
            for i in range(2) {
                param scale: f32[K] = ones()
                x = x * scale
            }
            return x
        }
    """
    assert parameters(net("output y = x -> scaled", before=before)) == [
        "y.scaled.scale",
        "y.scaled.scale_2",
    ]


def test_share_makes_parameters_once() -> None:
    before = "block encoder(x, width) = x -> dense(width, bias = false) -> relu"
    body = "encode = share encoder(width = 8)\na = encode(x)\nb = encode(a)\noutput y = a + b"
    made = net(body, before=before)
    assert parameters(made) == ["encode.encoder.dense.weight"]
    graph = made.graphs["predict"]
    (weight,) = graph.variables
    assert sum(weight.value in node.operands for node in graph.nodes) == 2


def test_two_shared_instances_differ() -> None:
    body = "a = share dense(8)\nb = share dense(8)\noutput y = b(a(a(x)))"
    assert parameters(net(body)) == [
        "a.dense.weight",
        "a.dense.offset",
        "b.dense.weight",
        "b.dense.offset",
    ]


def test_formatting_does_not_change_names() -> None:
    text = (
        "net   M(  k=3 ){\n input x:f32[N,8]\n"
        "  h=x->dense(k)->relu\n     ->dense( 4 )as   last\n\n\n"
        "  repeat 2{h=h->dense(4)}\n output y=h }\n"
    )
    before = build(text)
    after = build(format_source(text))
    assert parameters(before) == parameters(after)
    assert len(parameters(before)) == 8
    for left, right in zip(
        before.graphs["predict"].variables, after.graphs["predict"].variables, strict=True
    ):
        assert np.array_equal(left.initial, right.initial)


# Settings


def test_settings_from_outside() -> None:
    text = """
        net M(hidden = 4, deep = false) {
            input x: f32[N, 8]
            h = x -> dense(hidden)
            output y = if deep { h -> dense(2) } else { h }
        }
    """
    assert shapes(build(text)) == {"y": "f32[N, 4]"}
    assert shapes(build(text, settings={"hidden": 5})) == {"y": "f32[N, 5]"}
    assert shapes(build(text, settings={"hidden": np.int64(6)})) == {"y": "f32[N, 6]"}
    assert shapes(build(text, settings={"hidden": Text("2 + 5"), "deep": True})) == {
        "y": "f32[N, 2]"
    }
    assert build(text, settings={"hidden": 7}).settings == {"hidden": 7, "deep": False}


def test_a_default_may_use_the_settings_before_it() -> None:
    head = "net M(width = 4, wide = 2 * width) {\n    input x: f32[N, 8]\n"
    text = head + "    output y = x -> dense(width + wide)\n}"
    assert shapes(build(text)) == {"y": "f32[N, 12]"}
    assert shapes(build(text, settings={"width": 1})) == {"y": "f32[N, 3]"}


# Compile time


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ("k = 1\nfor i in range(4) { k = k + i }", 7),
        ("k = 1\nrepeat 3 { k = 2 * k }", 8),
        ("k = 3\nif k > 2 { k = 9 } else { k = 1 }", 9),
        ("k = if 2 in [1, 2] and not false { 5 } else { 6 }", 5),
        ("k = 0\nfor (a, (b, c)) in [(1, (2, 3)), (4, (5, 6))] { k = k + a * b - c }", 13),
        ("sizes = [3, 4] + [5]\nk = sizes[-1] + len(sizes) + sum(sizes[:2])", 15),
        ("const k = 7 // 2", 3),
        ("k = 7 % 4 + 2 ** 3", 11),
        ("k = int(3.7) + max(2, 5) - min(1, 4)", 7),
        ("k = shape(x)[1] + rank(x)", 10),
        ("k = 0\nfor i in [] { k = 3 }\nk = k + 1", 1),
        ("assert 1 < 2, \"never said\"\nk = 2", 2),
        ("k = if false or 1 == 1 { m = 4\n m * 2 } else { 1 }", 8),
        ("k = product([2, 3]) + len(\"abc\")", 9),
    ],
)  # fmt: skip
def test_compile_time_values(body: str, size: int) -> None:
    assert shapes(net(f"{body}\noutput y = x -> dense(k)")) == {"y": f"f32[N, {size}]"}


def test_an_untaken_branch_builds_nothing() -> None:
    made = net(
        "h = if 1 > 2 { x -> dense(100) } else { x }\noutput y = h -> dense(3, bias = false)"
    )
    assert parameters(made) == ["y.dense.weight"]


def test_names_of_a_value_branch_stay_inside() -> None:
    text = (
        f"{VECTORS}    h = if true {{ inner = x\n inner }} else {{ x }}\n    output y = inner\n}}"
    )
    assert "N0208" in mistake(text)


def test_rebinding_in_a_block_does_not_reach_the_caller() -> None:
    before = "block f(x) {\n    x = x -> dense(3)\n    return x\n}"
    assert shapes(net("h = x -> f\noutput y = x\noutput z = h", before=before)) == {
        "y": "f32[N, 8]",
        "z": "f32[N, 3]",
    }


def test_training_chooses_branches() -> None:
    body = "logits = x -> dense(3) -> dropout(0.5)\noutput y = logits"
    after = "train M {\n    input label: i64[N]\n    loss = cross_entropy(logits, label)\n}"
    made = net(body, after=after)
    assert "random_uniform" in operators(made.graphs["train"])
    assert "random_uniform" not in operators(made.graphs["evaluate"])
    assert "random_uniform" not in operators(made.graphs["predict"])


# Shapes


def test_patterns_bind_dimensions() -> None:
    before = """
        block half(x: [..., C]) = x -> dense(C // 2)
        block rest(x: [N, ...s, C]) = reshape(x, (N, product(s) * C))
        block square(x: [N, K, K]) = sum(x, (1, 2))
        block joined(a: [N, K], b: [N, 2 * K]) = concat(a, b)
    """
    body = """
        image = reshape(x, (N, 2, 2, 2))
        output a = image -> half
        output b = image -> rest
        output c = reshape(x, (2 * N, 2, 2)) -> square
        output d = joined(x, concat(x, x))
    """
    assert shapes(net(body, before=before)) == {
        "a": "f32[N, 2, 2, 1]",
        "b": "f32[N, 8]",
        "c": "f32[2*N]",
        "d": "f32[N, 24]",
    }


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_convolution_of_symbolic_images(kernel: int, stride: int) -> None:
    head = "net M {\n    input x: f32[N, H, W, 2]\n"
    made = net(f"output y = x -> conv(3, {kernel}, stride = {stride})", head)
    graph = made.graphs["predict"]
    if stride == 1:
        assert shapes(made) == {"y": "f32[N, H, W, 3]"}
    if kernel >= stride or kernel == 1:
        other = net(f'output y = x -> max_pool({stride}, padding = "same")', head)
        assert graph.outputs[0][1].shape[1:3] == other.graphs["predict"].outputs[0][1].shape[1:3]
    for size in (4, 5, 7):
        image = np.ones((2, size, size + 1, 2), np.float32)
        outputs, _ = interpret.run(graph, {"x": image})
        assert outputs["y"].shape == (2, -(-size // stride), -(-(size + 1) // stride), 3)


def test_a_residual_of_symbolic_images_fits() -> None:
    head = "net M {\n    input x: f32[N, H, W, 2]\n"
    body = "a = x -> conv(3, 3, stride = 2)\nb = x -> conv(3, 1, stride = 2)\noutput y = a + b"
    assert shapes(net(body, head)) == {"y": "f32[N, ((H+1)//2), ((W+1)//2), 3]"}


def test_broadcasting_follows_numpy() -> None:
    head = "net M {\n    input a: f32[N, 1, 4]\n    input b: f32[3, 1]\n"
    made = net("output y = a + b\noutput z = a * 2 + b @ transpose(b)[:, :1]", head)
    assert shapes(made) == {"y": "f32[N, 3, 4]", "z": "f32[N, 3, 4]"}


def test_indexing() -> None:
    head = "net M {\n    input x: f32[N, T, 6]\n"
    body = """
        output a = x[:, 0]
        output b = x[:, -1, 2]
        output c = x[..., 1:5:2]
        output d = x[:, 1:]
        output e = x[:, :-1, -2:]
    """
    made = net(body, head)
    assert shapes(made)["a"] == "f32[N, 6]"
    assert shapes(made)["b"] == "f32[N]"
    assert shapes(made)["c"] == "f32[N, T, 2]"
    x = np.arange(2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6)
    outputs, _ = interpret.run(made.graphs["predict"], {"x": x})
    for name, wanted in {
        "a": x[:, 0],
        "b": x[:, -1, 2],
        "c": x[..., 1:5:2],
        "d": x[:, 1:],
        "e": x[:, :-1, -2:],
    }.items():
        assert np.array_equal(outputs[name], wanted)


# Types


def test_literals_adopt_the_type_beside_them() -> None:
    head = "net M {\n    input i: i32[N]\n    input d: f64[N]\n    input u: u8[N]\n"
    made = net(
        "output a = i * 2 + 1\noutput b = 2 * d\noutput c = u / 255\noutput e = i // 2", head
    )
    assert shapes(made) == {"a": "i32[N]", "b": "f64[N]", "c": "f32[N]", "e": "i32[N]"}


def test_true_division_of_integers_gives_fractions() -> None:
    head = "net M {\n    input i: i64[N]\n    input u: u8[N]\n"
    made = net("output a = i / 2\noutput b = i / u", head)
    given = {"i": np.array([3, 5]), "u": np.array([2, 4], np.uint8)}
    outputs, _ = interpret.run(made.graphs["predict"], given)
    assert np.array_equal(outputs["a"], np.float32([1.5, 2.5]))
    assert np.array_equal(outputs["b"], np.float32([1.5, 1.25]))


def test_a_dimension_is_a_number_of_the_graph() -> None:
    made = net("output y = sum(x, 0) / N")
    x = np.arange(24, dtype=np.float32).reshape(3, 8)
    outputs, _ = interpret.run(made.graphs["predict"], {"x": x})
    assert np.allclose(outputs["y"], x.mean(0))


# Files


def test_use_of_files_and_namespaces(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "blocks.nn").write_text(
        'use "units.nn"\nconst width = 5\nblock tower(x) = x -> dense(units.count(width))\n'
    )
    (tmp_path / "parts" / "units.nn").write_text("block count(n) = n + 1\n")
    (tmp_path / "net.nn").write_text(
        'use "parts/blocks.nn"\nuse "parts/units.nn" as u\nuse layers\n'
        f"{VECTORS}    output y = x -> blocks.tower -> layers.dense(u.count(blocks.width))\n}}\n"
    )
    made = elaborate(read_source(tmp_path / "net.nn"))
    assert shapes(made) == {"y": "f32[N, 6]"}
    assert parameters(made)[0] == "y.tower.dense.weight"
    assert {"net.nn", "parts/blocks.nn", "parts/units.nn"} <= set(made.sources)


def test_a_used_file_does_not_see_the_names_of_its_user(tmp_path: Path) -> None:
    (tmp_path / "blocks.nn").write_text("block f(x) = x -> dense(width)\n")
    (tmp_path / "net.nn").write_text(
        f'use "blocks.nn"\nconst width = 3\n{VECTORS}    output y = blocks.f(x)\n}}\n'
    )
    with pytest.raises(DiagnosticError, match="there is no `width` here"):
        elaborate(read_source(tmp_path / "net.nn"))


def test_a_file_that_uses_itself(tmp_path: Path) -> None:
    (tmp_path / "net.nn").write_text(f'use "net.nn"\n{VECTORS}    output y = x\n}}\n')
    with pytest.raises(DiagnosticError, match="N0602"):
        elaborate(read_source(tmp_path / "net.nn"))


def test_a_block_of_the_file_goes_before_the_library() -> None:
    made = net("output y = x -> dense(3)", before="block dense(x, units) = x * units")
    assert not parameters(made)
    assert shapes(made) == {"y": "f32[N, 8]"}


def test_the_order_of_items_does_not_matter() -> None:
    before = "const k = twice(3)\nblock twice(n) = two() * n\nblock two() = 2\n"
    after = "block last(x) = x -> dense(k)\n"
    assert shapes(net("output y = x -> last", before=before, after=after)) == {"y": "f32[N, 6]"}


# First values


def test_initializers_given_by_the_user() -> None:
    before = """
        block halves(shape) = 0.5
        block ramp(shape) = op.iota(shape = shape, axis = 0, dtype = "f32")
    """
    body = """
        param a: f32[3] = 2
        param b: f32[3] = constant(0.25)
        param c: f32[3] = halves()
        param d: f32[3] = ramp()
        param e: f32[64] = uniform(2, 3)
        h = x -> dense(3, initializer = normal(deviation = 0.0, mean = 4))
        output y = h + a + b + c + d + sum(e)
    """
    values = {v.name: v.initial for v in net(body, before=before).graphs["predict"].variables}
    assert values["a"].tolist() == [2, 2, 2]
    assert values["b"].tolist() == [0.25] * 3
    assert values["c"].tolist() == [0.5] * 3
    assert values["d"].tolist() == [0, 1, 2]
    assert 2 <= values["e"].min() < 2.2 < 2.8 < values["e"].max() < 3
    assert np.all(values["h.dense.weight"] == 4)


def test_first_values_depend_on_the_name_only() -> None:
    one = net("a = x -> dense(3)\noutput y = a")
    two = net("b = x -> dense(5)\na = x -> dense(3)\noutput y = a\noutput z = b")
    left = {v.name: v.initial for v in one.graphs["predict"].variables}
    right = {v.name: v.initial for v in two.graphs["predict"].variables}
    assert np.array_equal(left["a.dense.weight"], right["a.dense.weight"])


# Mistakes


def test_all_mistakes_of_a_phase_are_reported_once() -> None:
    body = "a = x -> dense(0)\nb = x + a\nc = x -> conv(3)\noutput y = b + c"
    text = f"{VECTORS}{body}\n}}"
    with pytest.raises(DiagnosticError) as error:
        build(text)
    assert [found.code for found in error.value.diagnostics] == ["N0406", "N0303"]


def test_a_mistake_in_a_branch_of_training_is_found() -> None:
    body = "h = if training { x -> conv(3) } else { x }\nlogits = h -> dense(3)\noutput y = logits"
    text = f"{VECTORS}{body}\n}}\n{SECTION}}}"
    assert "N0303" in mistake(text)


def test_no_message_points_into_the_library() -> None:
    for path in sorted((Path(__file__).parents[1] / "dsl" / "bad").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        assert "--> std/" not in text and "::: std/" not in text, path.name
