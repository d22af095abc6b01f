"""A plan as JSON: the engine reads the text itself, and says where it is wrong."""

from __future__ import annotations

import copy
import json
import zipfile
from pathlib import Path
from typing import Any

import nnrt
import numpy as np
import pytest
from nnrt import Error, Model, _engine, artifact

from .plans import make_model, regression_manifest, regression_plan, regression_weights


def with_plan(path: Path, text: bytes) -> Path:
    """A compiled model with another plan, and sound checksums."""
    make_model().save(path)
    members = artifact.unzip(path.read_bytes())
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "plan.json": text}.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (b"{", b'{"version":1,', "byte 0: an object has the key `version` twice"),
        (b"{", b"{,", "byte 1: a key is expected"),
        (b'["N"]', b'["\xff"]', r"byte \d+: this is no UTF-8"),
        (b'["N"]', b'["\\ud800"]', r"byte \d+: half a pair of surrogates"),
        (b'["N"]', b"[" * 65 + b"]" * 65, r"byte \d+: .* nested more than 64 deep"),
        (b'"version":3', b'"version":03', r"byte \d+: a number may not begin with 0"),
    ],
)
def test_a_damaged_plan_is_refused_at_its_place(
    old: bytes, new: bytes, expected: str, tmp_path: Path
) -> None:
    text = artifact.encoded(regression_plan())
    assert old in text
    path = with_plan(tmp_path / "bad.nnc", text.replace(old, new, 1))
    with pytest.raises(Error, match=f"bad.nnc: plan.json cannot be read: {expected}"):
        nnrt.load(path)


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (("strict",), 2, "strict must be 0 or 1"),
        (("symbols",), ["N", None], r"symbols\[1\] must be a string"),
        (("variables", 0, "dtype"), "f8", r"variables\[0\].dtype: there is no element type `f8`"),
        (("variables", 0, "shape", 0), 2**64, r"variables\[0\].shape\[0\] must be a number of 64"),
        (
            ("programs", "train", "steps", 1, "tile", "code", 0),
            [],
            r"programs.train.steps\[1\].tile.code\[0\] must be an instruction",
        ),
        (
            ("programs", "predict", "buffers", 0, "shape", 0),
            "N+",
            r"programs.predict.buffers\[0\].shape\[0\]: no dimension: `N\+`",
        ),
    ],
)
def test_a_value_of_another_type_is_named(
    place: tuple[Any, ...], value: Any, expected: str
) -> None:
    plan = copy.deepcopy(regression_plan())
    holder: Any = plan
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    with pytest.raises(Error, match=f"malformed plan: {expected}"):
        _engine.Engine(artifact.encoded(plan))


def test_whether_a_plan_is_strict_is_its_own_field_and_the_manifest_agrees() -> None:
    for strict, precision in ((1, "strict"), (0, "default"), (0, "double")):
        manifest = {**regression_manifest(), "precision": precision}
        plan = {**regression_plan(), "strict": strict}
        Model(manifest, plan, regression_weights(), {})
        with pytest.raises(Error, match="`precision` of its manifest must be"):
            Model(manifest, {**plan, "strict": 1 - strict}, regression_weights(), {})


def test_a_model_is_the_same_from_text_and_from_an_object() -> None:
    plan = regression_plan()
    x = np.ones((2, 3), np.float32)
    text = json.dumps(plan, indent=1).encode()
    models = [Model(regression_manifest(), p, regression_weights(), {}) for p in (plan, text)]
    assert models[0].plan == models[1].plan
    np.testing.assert_array_equal(models[0](x), models[1](x))


def test_numbers_that_are_not_finite_are_read() -> None:
    """A mask of -inf, the upper bound of a relu's gradient: as Python's json writes them."""
    for number in (np.inf, -np.inf, np.nan):
        plan = regression_plan()
        tile = plan["programs"]["predict"]["steps"][0]["tile"]
        tile["code"] = [["load", 0], ["load", 1], ["const", number], ["add", 0, 1], ["add", 2, 3]]
        tile["code"].append(["store", 0, 4])
        engine = _engine.Engine(artifact.encoded(plan))
        engine.set_variables(regression_weights())
        (found,) = engine.call("predict", [np.ones((2, 3), np.float32)])
        np.testing.assert_array_equal(found, np.full((2, 2), number, np.float32))
