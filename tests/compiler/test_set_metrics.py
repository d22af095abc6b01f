"""Metrics do not depend on the batch: what is averaged, what is collected, and the values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nnc
import nnrt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nnc import interpret, set_metrics
from nnc.elaborate import Elaborated, elaborate, read_source
from nnc.graph import Graph
from nnlang.syntax import Source
from nnrt import Model

Array = np.ndarray[Any, Any]
EXAMPLES = Path(__file__).parents[2] / "examples"

LINE = """
net Line {
    input x: f32[N, 3]
    param w: f32[3, 2] = normal()
    output p = x @ w
}
"""


def section(*metrics: str, loss: str = "mean_squared_error(p, t)") -> str:
    lines = "".join(f"    metric m{i} = {metric}\n" for i, metric in enumerate(metrics))
    return f"train Line {{\n    input t: f32[N, 2]\n    loss = {loss}\n{lines}}}\n"


def elaborated(*metrics: str, net: str = LINE, **more: str) -> Elaborated:
    return elaborate(Source("<text>", net + section(*metrics, **more)))


def names(graph: Graph) -> list[str]:
    return [name for name, _ in graph.outputs]


def line_data(rows: int = 23, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    return {"x": x, "t": rng.normal(size=(rows, 2)).astype(np.float32)}


def over_set(text: str, model: Model, data: dict[str, Array]) -> dict[str, Any]:
    """What the formulas of a section give for all rows in one piece, by the interpreter."""
    original, set_metrics.split = set_metrics.split, lambda graph, *_: (graph, None)
    try:
        graph = elaborate(Source("<text>", text)).graphs["evaluate"]
    finally:
        set_metrics.split = original
    known = {variable.name for variable in graph.variables}
    weights = {name: array for name, array in model.weights().items() if name in known}
    return interpret.run(graph, data, weights, double=True)[0]


# ---------------------------------------------------------------- what is averaged

MEANS = [
    "mean(abs(p - t))",
    "mean((p > 0) == (t > 0))",
    "1 - 2 * mean(p) / 3",
    "mean(p, 0)[1] - mean(t[:, 0])",
    "sum(mean(p, 0)) + sum(w * w)",
    "mean(softmax(p)[:, 0]) * sum(w)",
    "mean(reshape(p, (-1,)))",
    "mean(reduce_max(p, -1))",
    "accuracy(p, t)",
    "binary_accuracy(p, f32(t > 0))",
    "sum(w * w)",
]


@pytest.mark.parametrize("metric", MEANS)
def test_means_over_rows_are_averaged_as_ever(metric: str) -> None:
    made = elaborated(metric)
    assert list(made.graphs) == ["predict", "evaluate", "train"]
    assert names(made.graphs["evaluate"]) == names(made.graphs["train"]) == ["loss", "m0"]


def test_the_examples_collect_only_what_they_must() -> None:
    for name, net in (
        ("breast_cancer", None),
        ("diabetes", None),
        ("digits", None),
        ("fashion", None),
        ("resnet_small", "ResNet20"),
    ):
        made = elaborate(read_source(EXAMPLES / f"{name}.nn"), net=net)
        collecting = [program for program in made.graphs if program.endswith("_metrics")]
        wanted = ["evaluate_metrics", "train_metrics"] if name == "diabetes" else []
        assert collecting == wanted, name


def test_only_the_metrics_that_need_it_are_collected() -> None:
    made = elaborated("mean(p)", "r_squared(p, t)", "reduce_max(p)")
    assert names(made.graphs["evaluate"]) == ["loss", "m0", "rows.0", "rows.1", "rows.2"]
    assert names(made.graphs["evaluate_metrics"]) == ["m1", "m2"]
    assert names(made.graphs["train_metrics"]) == ["m1", "m2"]


def collected(made: Elaborated, program: str = "evaluate") -> list[str]:
    return [str(v.type) for name, v in made.graphs[program].outputs if name.startswith("rows.")]


@pytest.mark.parametrize(
    ("metric", "rows"),
    [
        ("sqrt(mean_squared_error(p, t))", ["f32[N, 1]"]),  # summed within rows first
        ("sum(abs(p)) / sum(abs(t))", ["f32[N, 1]", "f32[N, 1]"]),
        ("reduce_max(reshape(p, (-1,)))", ["f32[N]"]),
        # Less than the [N, 500] of each factor: the numbers of the classes.
        (
            "reduce_max(sum(one_hot(argmax(p), 500) * one_hot(argmax(t), 500), 0))",
            ["i64[N, 1]", "i64[N, 1]"],
        ),
        ("sum(w) * N", []),
    ],
)
def test_little_is_collected(metric: str, rows: list[str]) -> None:
    assert sorted(collected(elaborated(metric))) == rows


def test_layers_run_batch_by_batch() -> None:
    """What a net's layers give is collected, even behind batch normalization of the net's own."""
    net = """
net Line {
    input x: f32[N, 3]
    h = x -> dense(4)
    centred = h - mean(h, 0)
    n = centred * rsqrt(mean(square(centred), 0) + 1e-5)
    output p = n -> relu -> dense(2)
}
"""
    made = elaborated("accuracy(p, t)", "r_squared(p, t)", net=net)
    assert names(made.graphs["train"])[:2] == ["loss", "m0"]
    for program in ("evaluate_metrics", "train_metrics"):
        assert names(made.graphs[program]) == ["m1"]
        assert not made.graphs[program].variables


# ---------------------------------------------------------------- values

FORMULAS = [
    "r_squared(p, t)",
    "sqrt(mean_squared_error(p, t))",
    "sum(p * t) / sum(p * p)",
    "sum(p) / N",
    "exp(mean(abs(p)))",
    "reduce_max(abs(p - t)) - reduce_min(p)",
    "reduce_max(mean(p, 0))",
    "mean((p - mean(p)) * t) / sqrt(mean(square(p - mean(p))) * mean(square(t - mean(t))))",
    "2 * sum(f32((p > 0) and (t > 0))) / (sum(f32(p > 0)) + sum(f32(t > 0)))",
    "sum(square(transpose(p - mean(p, 0), (1, 0)) @ (t - mean(t, 0))))",
    "mean(abs(p[:, 0:1] - reshape(p[:, 1], (1, N))))",
    "p[0, 0] - t[3, 1]",
    "sum(p[::2] * t[::2])",
    "sqrt(sum(w * w)) * reduce_max(p @ transpose(w, (1, 0)))",
    "sum(f32(op.iota(shape = (N,))) * p[:, 0])",
    "f32(sum(f32(p > t)) > 11)",
    "sqrt(mean(select(p > 0, p, 0.0)))",
    "mean(p) / max(mean(abs(t)), 1e-6)",
    "mean(p) * mean(t)",
    "sum(w) * N",
]


@pytest.fixture(scope="module")
def formulas() -> tuple[str, Model, Model]:
    text = LINE + section(*FORMULAS, loss="sqrt(mean_squared_error(p, t)) + sum(w * w)")
    double = nnc.compile(text, precision="double")
    single = nnc.compile(text)
    return text, single, double


@given(batch=st.integers(1, 30), rows=st.integers(4, 29), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_no_batch_changes_a_metric(
    formulas: tuple[str, Model, Model], batch: int, rows: int, seed: int
) -> None:
    text, single, double = formulas
    data = line_data(rows, seed)
    wanted = over_set(text, double, data)
    for model, tolerance in ((single, 2e-5), (double, 1e-12)):
        found = model.evaluate(data, batch=batch)
        assert list(found) == ["loss", *[f"m{i}" for i in range(len(FORMULAS))]]
        for number, (name, value) in enumerate(wanted.items()):
            shown = (["loss", *FORMULAS][number], batch, found[name], float(value))
            assert found[name] == pytest.approx(float(value), rel=tolerance, abs=tolerance), shown


def test_every_formula_here_is_collected(formulas: tuple[str, Model, Model]) -> None:
    _, model, _ = formulas
    programs = model.plan["programs"]
    outputs = [item["name"] for item in programs["evaluate_metrics"]["outputs"]]
    assert outputs == ["loss", *[f"m{i}" for i in range(len(FORMULAS))]]
    # In training the pairs of a step are what such a metric compares.
    pairs = (
        f"m{next(i for i, metric in enumerate(FORMULAS) if 'reshape(p[:, 1], (1, N))' in metric)}"
    )
    found = [item["name"] for item in programs["train_metrics"]["outputs"]]
    assert found == [name for name in outputs[1:] if name != pairs]


def test_r_squared_of_five_rows_in_batches_of_two() -> None:
    model = nnc.compile(LINE + section("r_squared(p, t)"))
    data = line_data(5)
    p = (data["x"].astype(float) @ model.parameters["w"]).astype(float)
    t = data["t"].astype(float)
    wanted = 1 - np.mean((t - p) ** 2) / np.mean((t - t.mean()) ** 2)
    for batch in range(1, 7):
        assert model.evaluate(data, batch=batch)["m0"] == pytest.approx(wanted, rel=1e-5)


def test_r_squared_of_a_target_that_does_not_vary() -> None:
    model = nnc.compile(LINE + section("r_squared(p, t)"))
    data = {"x": line_data(7)["x"], "t": np.full((7, 2), np.float32(0.1))}
    one = {name: array[:1] for name, array in data.items()}
    one["t"] = np.full((1, 2), np.float32(3))
    for batch in (1, 3, 7):
        assert model.evaluate(data, batch=batch)["m0"] == -np.inf
    assert model.evaluate(one)["m0"] == -np.inf
    exact = {"x": np.zeros((4, 3), np.float32), "t": np.zeros((4, 2), np.float32)}
    assert np.isnan(model.evaluate(exact, batch=3)["m0"])


def test_r_squared_of_a_target_in_small_units() -> None:
    model = nnc.compile(LINE + section("r_squared(p, t)"), precision="double")
    data = line_data(9)
    tiny = {name: array * np.float32(1e-8) for name, array in data.items()}
    wanted = model.evaluate(data, batch=4)["m0"]
    assert model.evaluate(tiny, batch=4)["m0"] == pytest.approx(wanted, rel=1e-5)


def test_diabetes_in_any_batch() -> None:
    model = nnc.compile(EXAMPLES / "diabetes.nn")
    model.fit(epochs=2, progress=False)
    table = np.genfromtxt(EXAMPLES / "data/diabetes.csv", delimiter=",", names=True)
    columns = [name for name in table.dtype.names if name != "target"]
    features = np.stack([table[name] for name in columns], 1).astype(np.float32)
    target = table["target"].astype(np.float32)
    data = {"features": features, "target": target}
    whole = model.evaluate(data, batch=442)
    p, t = model(features)[:, 0].astype(float), target.astype(float)
    assert whole["explained"] == pytest.approx(1 - np.mean((t - p) ** 2) / np.var(t), rel=1e-4)
    for batch in (1, 7, 63, 100, 441):
        found = model.evaluate(data, batch=batch)
        assert found == pytest.approx(whole, rel=1e-5), batch


# ---------------------------------------------------------------- other sizes and types


def test_rows_of_open_length() -> None:
    """A row has T parts along the first axis, and the metric asks how many."""
    text = """
net Tokens {
    input ids: i32[N, T]
    logits = ids -> embedding(11, 6) -> dense(11)
    output y = softmax(logits)
}
train Tokens {
    input label: i64[N, T]
    loss = cross_entropy(reshape(logits, (N * T, 11)), reshape(label, (N * T,)))
    metric perplexity = exp(cross_entropy(logits, label))
    metric flat = exp(mean(op.softmax_cross_entropy(
        reshape(logits, (N * T, 11)), reshape(label, (N * T,)), smoothing = 0.0)))
    metric hits = sum(f32(argmax(logits) == label)) / (N * T) + T
    metric largest = reduce_max(reshape(logits, (N * T, 11)), 0)[3]
    metric length = sum(f32(ids)) * 0 + T
}
"""
    model = nnc.compile(text, precision="double")
    rng = np.random.default_rng(4)
    data = {
        "ids": rng.integers(0, 11, (13, 5)).astype(np.int32),
        "label": rng.integers(0, 11, (13, 5)),
    }
    wanted = {name: float(value) for name, value in over_set(text, model, data).items()}
    for batch in (1, 4, 6, 12, 13):
        assert model.evaluate(data, batch=batch) == pytest.approx(wanted, rel=1e-12), batch


def test_images_of_open_size() -> None:
    text = """
net Mask {
    input image: u8[N, H, W, 3]
    logit = f32(image) / 255 -> conv(4) -> relu -> conv(1)
    output y = sigmoid(logit)
}
train Mask {
    input mask: bool[N, H, W, 1]
    loss = binary_cross_entropy(logit, f32(mask))
    metric iou = sum(f32((logit > 0) and mask)) / max(sum(f32((logit > 0) or mask)), 1)
    metric brightest = reduce_max(f32(image)) / (H * W)
    metric contrast = r_squared(f32(mask), mean(f32(image), -1, keep = true))
}
"""
    model = nnc.compile(text)
    rng = np.random.default_rng(5)
    data = {
        "image": rng.integers(0, 256, (9, 6, 5, 3)).astype(np.uint8),
        "mask": rng.random((9, 6, 5, 1)) < 0.4,
    }
    wanted = {name: float(value) for name, value in over_set(text, model, data).items()}
    for batch in (1, 2, 4, 8, 9):
        assert model.evaluate(data, batch=batch) == pytest.approx(wanted, rel=1e-5), batch


def test_a_loss_that_compares_rows() -> None:
    text = LINE + section(
        "mean(p)", loss="cross_entropy(p @ transpose(t, (1, 0)), op.iota(shape = (N,)))"
    )
    model = nnc.compile(text, precision="double")
    data = line_data(12)
    wanted = {name: float(value) for name, value in over_set(text, model, data).items()}
    for batch in (1, 5, 12):
        assert model.evaluate(data, batch=batch) == pytest.approx(wanted, rel=1e-12)
    history = model.fit(data, batch=4, epochs=1, validation=data, progress=False)
    assert history[-1]["loss"] < history[-1]["validation_loss"]  # of 4 rows each, and of 12


# ---------------------------------------------------------------- training


def test_training_shows_metrics_of_the_epoch() -> None:
    """With a rate of 0 an epoch sees the same net throughout."""
    text = LINE + section("r_squared(p, t)", "mean(p)", "reduce_max(p) * sum(w)").replace(
        "    loss", "    optimizer = sgd()\n    learning_rate = 0.0\n    loss"
    )
    model = nnc.compile(text)
    data = line_data(23)
    wanted = model.evaluate(data)
    seen: list[set[str]] = []

    class Watcher:
        def start(self, *_: Any) -> None: ...
        def batch(self, epoch: int, done: int, loss: float, metrics: Any) -> None:
            seen.append(set(metrics))

        def epoch(self, *_: Any) -> None: ...
        def finish(self) -> None: ...

    for shuffle in (False, True):
        for batch in (1, 5, 22, 23):
            history = model.fit(
                data, batch=batch, shuffle=shuffle, epochs=2, validation=data, progress=Watcher()
            )
            for record in history:
                assert {n: record[n] for n in wanted} == pytest.approx(wanted, rel=1e-5)
                held = {n: record[f"validation_{n}"] for n in wanted}
                assert held == pytest.approx(wanted, rel=1e-5)
    assert seen and all(shown == {"m1"} for shown in seen)  # of a part of an epoch: means alone


def test_training_metrics_are_of_what_the_steps_gave() -> None:
    """Parameters move: the rows of each step are those that it computed."""
    text = LINE + section("reduce_max(abs(p))").replace(
        "    loss", "    optimizer = sgd()\n    learning_rate = 0.25\n    loss"
    )
    model = nnc.compile(text, precision="double")
    data = {name: array.astype(np.float64) for name, array in line_data(10).items()}
    w = model.parameters["w"].copy()
    largest = 0.0
    for start in range(0, 10, 4):
        x, t = (data[name][start : start + 4] for name in ("x", "t"))
        p = x @ w
        largest = max(largest, float(np.abs(p).max()))
        w -= 0.25 * x.T @ (2 * (p - t) / p.size)
    history = model.fit(data, batch=4, epochs=1, shuffle=False, progress=False)
    np.testing.assert_allclose(model.parameters["w"], w, rtol=1e-12)
    assert history[-1]["m0"] == pytest.approx(largest, rel=1e-12)


def test_a_metric_with_dropout_and_batch_norm() -> None:
    net = """
net Line {
    input x: f32[N, 3]
    output p = x -> dense(8) -> batch_norm -> relu -> dropout(0.5) -> dense(2)
}
"""
    made = elaborate(Source("<text>", net + section("r_squared(p, t)")))
    assert not made.graphs["train_metrics"].variables
    assert len(collected(made, "train")) == 2
    model = nnc.compile(net + section("r_squared(p, t)"))
    history = model.fit(line_data(50), batch=7, epochs=3, progress=False)
    assert all(-20 < record["m0"] < 1 for record in history)


# ---------------------------------------------------------------- saving, errors


def test_saved_models_measure_the_same(tmp_path: Path) -> None:
    model = nnc.compile(LINE + section("r_squared(p, t)", "sqrt(mean(p * p))"))
    data = line_data(11)
    wanted = model.evaluate(data, batch=4)
    for training in (False, True):
        model.save(tmp_path / "m.nnc", training=training)
        loaded = nnrt.load(tmp_path / "m.nnc")
        assert loaded.evaluate(data, batch=3) == pytest.approx(wanted, rel=1e-6)
        assert loaded.has_program("train_metrics") == training
    again = nnrt.load(tmp_path / "m.nnc").fit(data, batch=5, epochs=1, progress=False)
    assert again[-1]["m0"] <= 1


def test_models_without_the_program_of_the_set_are_averaged() -> None:
    """A model that was compiled before metrics were collected."""
    model = nnc.compile(LINE + section("mean(p)"))
    assert not model.has_program("evaluate_metrics")
    assert set(model.evaluate(line_data(), batch=7)) == {"loss", "m0"}


def test_a_model_whose_programs_do_not_fit_is_refused() -> None:
    model = nnc.compile(LINE + section("r_squared(p, t)"))
    for broken in ("remove", "rename"):
        plan = {**model.plan, "programs": dict(model.plan["programs"])}
        if broken == "remove":
            del plan["programs"]["evaluate_metrics"]
        else:
            rest = dict(plan["programs"]["evaluate_metrics"])
            rest["inputs"] = [{**rest["inputs"][0], "name": "rows.9"}, *rest["inputs"][1:]]
            plan["programs"]["evaluate_metrics"] = rest
        with pytest.raises(nnrt.Error, match="damaged") as error:
            Model(model.manifest, plan, model.weights(), {}).evaluate(line_data(), batch=3)
        assert error.value.code == "N0710"


def test_too_many_rows_at_once_are_an_error_before_anything_runs() -> None:
    model = nnc.compile(LINE + section("mean(log_softmax(p @ transpose(t, (1, 0))))"))
    data = line_data(1_500_000)
    with pytest.raises(nnrt.Error, match=r"of 1,500,000 rows at once need|smaller inputs"):
        model.evaluate(data, batch=1000)
    before = model.weights()
    with pytest.raises(nnrt.Error, match=r"Give fewer rows|smaller inputs"):
        model.fit(line_data(100), validation=data, epochs=1, progress=False)
    assert all(np.array_equal(array, before[name]) for name, array in model.weights().items())


def test_infinite_rows_do_not_end_an_evaluation() -> None:
    model = nnc.compile(LINE + section("reduce_min(p)", "sum(p) / sum(t)"))
    data = line_data(9)
    data["t"][0, 0] = 3e38  # its square is infinite
    found = model.evaluate(data, batch=2)
    assert found["loss"] == np.inf
    p = data["x"] @ model.parameters["w"]
    assert found["m0"] == pytest.approx(p.min(), rel=1e-5)
