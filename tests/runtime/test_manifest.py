"""Whatever a manifest holds: it is an `nnrt.Error` that names the key, or the model works."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nnrt
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nnrt import Error, Model, artifact

from .plans import regression_manifest, regression_plan, regression_weights

X = np.ones((20, 3), np.float32)
TARGET = np.ones((20, 2), np.float32)
DATA = {"x": X, "target": TARGET}


def manifest() -> dict[str, Any]:
    """One with every key that a model may have."""
    made = regression_manifest()
    made |= {"step": 7, "precision": "default"}
    made["training"]["classes"] = {"target": ["a", "b"]}
    made["training"]["course"] = {
        "epochs": 3,
        "done": 1,
        "split": {"fraction": 0.2, "seed": 3, "rows": 20},
    }
    return made


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items: Any = value.items() if isinstance(value, dict) else []
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        yield from places(item, (*path, key))


def changed(path: tuple[Any, ...], value: Any, remove: bool = False) -> Any:
    made = manifest()
    if not path:
        return value
    target: Any = made
    for key in path[:-1]:
        target = target[key]
    if remove:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return made


def works(made: Any, folder: Path) -> str:
    """Uses a model in every way; the message where it is refused."""
    try:
        if not isinstance(made, dict):
            artifact.parse_json(json.dumps(made).encode(), "manifest.json")
        made = json.loads(json.dumps(made))
        model = Model(made, regression_plan(), regression_weights(), {})
    except Error as error:
        return str(error)
    assert model(X).shape == (20, 2)
    assert model.predict(X).shape == (20, 2)
    assert repr(model) and model.summary() and isinstance(model.settings, dict)
    if model.training is not None:
        assert set(model.evaluate(DATA)) == {"loss"}
        try:
            model.fit(DATA, epochs=1, progress=False)
        except Error as error:
            assert error.code in ("N0740", "N0741", "N0746", "N0731")  # a path that is no data
        model.fit(DATA, epochs=1, validation=0, progress=False)
    model.save(folder / "m.nnc", training=True)
    assert nnrt.load(folder / "m.nnc").net == model.net
    return ""


ODD = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**70,
    10**29,
    0.5,
    -0.0,
    float("nan"),
    float("inf"),
    "",
    "x",
    "f32",
    "\0",
    [],
    {},
    [1],
    ["a", "a"],
    [[]],
    {"a": 1},
    [{}],
]
PATHS = list(places(manifest()))


@pytest.mark.filterwarnings("ignore::nnrt.errors.Notice")
@pytest.mark.parametrize("path", PATHS, ids=str)
def test_odd_values_everywhere(path: tuple[Any, ...], tmp_path: Path) -> None:
    for value in ODD:
        works(changed(path, value), tmp_path)
    if path:
        works(changed(path, None, remove=True), tmp_path)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@pytest.mark.filterwarnings("ignore::nnrt.errors.Notice")
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(path=st.sampled_from(PATHS), value=VALUES)
def test_random_values_everywhere(path: tuple[Any, ...], value: Any, tmp_path: Path) -> None:
    works(changed(path, value), tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("inputs", 0, "dtype"), ["f32"]),
        (("inputs", 0, "dtype"), "f64"),
        (("inputs", 0, "name"), "z"),
        (("inputs", 0, "shape"), ["N", 4]),
        (("inputs", 0, "shape"), ["N", True]),
        (("inputs",), []),
        (("outputs",), []),
        (("outputs", 0, "name"), "z"),
        (("outputs", 0, "dtype"), "i64"),
        (("outputs", 0, "shape"), ["N"]),
        (("training", "inputs", 1, "name"), "z"),
        (("training", "inputs", 1, "dtype"), "i64"),
        (("training", "inputs"), []),
        (("training", "metrics"), ["accuracy"]),
        (("training", "metrics"), ["loss"]),
        (("training", "batch"), 10**29),
        (("training", "batch"), True),
        (("training", "epochs"), 2.5),
        (("training", "epochs"), -1),
        (("training", "seed"), "1"),
        (("training", "seed"), None),
        (("training", "shuffle"), "no"),
        (("training", "validation"), True),
        (("training", "validation"), 1),
        (("training", "data"), 5),
        (("training", "directory"), []),
        (("training", "course"), []),
        (("training", "course", "done"), -1),
        (("training", "course", "epochs"), 10**29),
        (("training", "course", "split"), {}),
        (("training", "course", "split", "fraction"), 2),
        (("settings",), [1]),
        (("precision",), "quadruple"),
        (("summary",), {}),
        (("step",), -1),
        (("step",), 2**63),
        (("step",), 1.0),
        (("recipe",), 3),
        (("format",), True),
    ],
)
def test_a_wrong_value_names_its_key(path: tuple[Any, ...], value: Any, tmp_path: Path) -> None:
    message = works(changed(path, value), tmp_path)
    assert "`" + str(path[0]) in message and "damaged" in message
    if path[0] == "training":
        assert f"`training.{path[1]}" in message


def test_metrics_that_the_plan_does_not_give_are_refused(tmp_path: Path) -> None:
    plan = regression_plan()
    made = manifest()
    more = copy.deepcopy(plan["programs"]["evaluate"]["outputs"][0])
    plan["programs"]["evaluate"]["outputs"].append({**more, "name": "error"})
    made["training"]["metrics"] = ["error"]
    with pytest.raises(Error, match=r"`training.metrics` of its manifest must be names among"):
        Model(made, plan, regression_weights(), {})


def test_a_newer_format_says_so(tmp_path: Path) -> None:
    assert "reads up to 1: install" in works(changed(("format",), 10**29), tmp_path)
