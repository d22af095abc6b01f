"""What elaboration makes of training sections: programs, state, freezing, loading, seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnc import interpret
from nnc.elaborate import Elaborated, Text, elaborate, read_source
from nnlang import DiagnosticError
from safetensors.numpy import save_file

from .elaborated import SECTION, VECTORS, build, mistake, net, operators, parameters

CLASSIFIER = (
    "hidden = x -> dense(4) -> relu\nlogits = hidden -> dense(3)\noutput y = softmax(logits)"
)


def test_programs_share_variables() -> None:
    made = net(
        CLASSIFIER,
        after=SECTION + "    optimizer = adam()\n    metric a = accuracy(logits, label)\n}",
    )
    assert list(made.graphs) == ["predict", "evaluate", "train"]
    assert [name for name, _ in made.graphs["predict"].outputs] == ["y"]
    assert [name for name, _ in made.graphs["evaluate"].outputs] == ["loss", "a"]
    assert [name for name, _ in made.graphs["train"].outputs] == ["loss", "a"]
    assert parameters(made) == parameters(made, "train")
    slots = [v for v in made.graphs["train"].variables if v.kind == "slot"]
    assert len(slots) == 3 * len(parameters(made))
    assert "optimizer.hidden.dense.weight.adam.first" in {slot.name for slot in slots}
    assert {name for name, _ in made.graphs["train"].updates} == {
        v.name for v in made.graphs["train"].variables
    }
    assert not made.graphs["evaluate"].updates
    for left, right in zip(
        made.graphs["predict"].variables, made.graphs["evaluate"].variables, strict=True
    ):
        assert left.initial is right.initial


def test_the_loss_is_not_in_the_deployed_net() -> None:
    made = net(CLASSIFIER, after=SECTION + "}")
    assert [item.name for item in made.graphs["predict"].inputs] == ["x"]
    assert "softmax_cross_entropy" not in operators(made.graphs["predict"])


def test_state_has_its_next_value_in_training_only() -> None:
    before = """
        block counted(x: [N, K]) {
            state seen: f32[K] = ones()
            if training {
                seen = seen + 1
                seen = 2 * seen + sum(x, 0)
            }
            return x + seen
        }
    """
    after = "train M {\n    input t: f32[N, 8]\n    loss = mean_squared_error(y, t)\n}"
    body = "param w: f32[8] = ones()\noutput y = counted(x) * w"
    made = net(body, before=before, after=after)
    x = np.full((2, 8), 3, np.float32)
    _, updates = interpret.run(made.graphs["train"], {"x": x, "t": x, **clock(made)})
    assert np.array_equal(updates["y.counted.seen"], np.full(8, 2 * 2 + 6, np.float32))
    outputs, none = interpret.run(made.graphs["predict"], {"x": x})
    assert np.array_equal(outputs["y"], np.full((2, 8), 4, np.float32))
    assert not none


def clock(made: Elaborated, step: int = 0) -> dict[str, Any]:
    values = {"step": step, "steps": 10, "epoch_steps": 5}
    inputs = made.graphs["train"].inputs
    return {i.name: np.float32(values[i.name]) for i in inputs if i.role == "clock"}


def test_freeze() -> None:
    made = net(CLASSIFIER, after=SECTION + '    freeze "hidden.*"\n}')
    train = made.graphs["train"]
    frozen = {v.name for v in train.variables if v.kind == "parameter" and not v.trainable}
    assert frozen == {"hidden.dense.weight", "hidden.dense.offset"}
    updated = {name for name, _ in train.updates}
    assert not frozen & updated
    assert "logits.dense.weight" in updated
    assert not any(v.name.startswith("optimizer.hidden") for v in train.variables)


def test_load(tmp_path: Path) -> None:
    weight = np.arange(32, dtype=np.float32).reshape(8, 4)
    save_file({"hidden.dense.weight": weight}, tmp_path / "start.safetensors")
    text = f'{VECTORS}{CLASSIFIER}\n}}\n{SECTION}    load "start.safetensors"\n}}\n'
    (tmp_path / "net.nn").write_text(text)
    made = elaborate(read_source(tmp_path / "net.nn"))
    assert made.loaded == ("hidden.dense.weight",)
    for graph in made.graphs.values():
        values = {v.name: v.initial for v in graph.variables}
        assert np.array_equal(values["hidden.dense.weight"], weight)
        assert not np.array_equal(values["logits.dense.weight"], np.zeros((4, 3)))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"hidden.dense.wieght": np.zeros((8, 4))}, "did you mean `hidden.dense.weight`?"),
        ({"hidden.dense.weight": np.zeros((4, 8))}, "has the shape [4, 8]"),
        ({}, "holds no arrays"),
    ],
)
def test_load_of_wrong_weights(tmp_path: Path, arrays: dict[str, Any], words: str) -> None:
    save_file(arrays, tmp_path / "start.safetensors")
    text = f'{VECTORS}{CLASSIFIER}\n}}\n{SECTION}    load "start.safetensors"\n}}\n'
    (tmp_path / "net.nn").write_text(text)
    with pytest.raises(DiagnosticError, match="N0508") as error:
        elaborate(read_source(tmp_path / "net.nn"))
    assert words in str(error.value)


def test_load_of_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "start.safetensors").write_bytes(b"\xff" * 40)
    text = f'{VECTORS}{CLASSIFIER}\n}}\n{SECTION}    load "start.safetensors"\n}}\n'
    (tmp_path / "net.nn").write_text(text)
    with pytest.raises(DiagnosticError, match="is no safetensors file"):
        elaborate(read_source(tmp_path / "net.nn"))


def test_overrides() -> None:
    made = net(
        CLASSIFIER,
        after=SECTION + "    batch = 16\n    seed = 3\n}",
        overrides={"batch": 64, "epochs": Text("2 * 3"), "optimizer": Text("sgd(momentum = 0.9)")},
    )
    assert made.section is not None
    assert made.section.plain["batch"] == 64
    assert made.section.plain["epochs"] == 6
    assert made.section.plain["seed"] == 3
    slots = [v.name for v in made.graphs["train"].variables if v.kind == "slot"]
    assert "optimizer.logits.dense.weight.sgd.velocity" in slots


def test_an_override_replaces_a_wrong_value() -> None:
    text = f"{VECTORS}{CLASSIFIER}\n}}\n{SECTION}    batch = 0\n}}\n"
    assert "N0506" in mistake(text)
    assert build(text, overrides={"batch": 8}).section is not None


def test_recipes_by_name() -> None:
    after = SECTION + "}\n" + SECTION.replace("train M", "train M as quick") + "    epochs = 1\n}"
    assert net(CLASSIFIER, after=after).recipe is None
    quick = net(CLASSIFIER, after=after, recipe="quick")
    assert quick.recipe == "quick"
    assert quick.section is not None and quick.section.plain["epochs"] == 1


def test_the_seed_decides_first_values() -> None:
    def weight(**given: Any) -> np.ndarray[Any, Any]:
        made = net(CLASSIFIER, after=SECTION + "    seed = 3\n}", **given)
        return made.graphs["predict"].variables[0].initial

    assert np.array_equal(weight(), weight(seed=3))
    assert not np.array_equal(weight(), weight(seed=4))
    assert np.array_equal(weight(seed=5), weight(overrides={"seed": 5}))


def test_every_dropout_draws_its_own_numbers() -> None:
    body = "h = x -> dense(8) -> dropout(0.5) -> dropout(0.5)\noutput y = h -> dropout(0.5)"
    after = "train M {\n    input t: f32[N, 8]\n    loss = mean_squared_error(y, t)\n}"
    made = net(body, after=after)
    streams = [
        node.attributes["stream"]
        for node in made.graphs["train"].nodes
        if node.op.name == "random_uniform"
    ]
    assert len(streams) == len(set(streams)) == 3
