"""Copies of a model, for `copy`, `pickle` and other processes; and several outputs by name."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from typing import Any

import numpy as np
import pytest
from nnrt import Model
from nnrt.errors import Error
from nnrt.outputs import Outputs

from .plans import make_model

MAKERS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda m, p=protocol: pickle.loads(pickle.dumps(m, p))
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_copy_is_a_model_of_its_own(make: Any, data: dict[str, Any]) -> None:
    model = make_model()
    model.fit(data, epochs=2, progress=False, seed=1)
    other = make(model)
    assert isinstance(other, Model) and other.step == model.step > 0
    np.testing.assert_array_equal(other(data["x"]), model(data["x"]))
    before = model(data["x"])
    other.fit(data, epochs=1, progress=False, seed=2)
    assert (other(data["x"]) != before).any()
    np.testing.assert_array_equal(model(data["x"]), before)
    other.manifest["training"]["batch"] = 77
    assert model.training is not None and model.training["batch"] != 77
    # The optimizer's memory is copied, too: both go on alike.
    again = make(model)
    model.fit(data, epochs=2, progress=False, seed=3)
    again.fit(data, epochs=2, progress=False, seed=3)
    np.testing.assert_array_equal(again(data["x"]), model(data["x"]))


def test_a_copy_cannot_be_changed_through_what_was_pickled(data: dict[str, Any]) -> None:
    model = make_model()
    stored = pickle.dumps(model)
    model.parameters["line.weight"] = np.zeros((3, 2), np.float32)
    assert (pickle.loads(stored).parameters["line.weight"] != 0).any()


def predict_there(model: Model, x: Any) -> Any:
    return model(x)


def test_a_model_goes_to_another_process(data: dict[str, Any]) -> None:
    model = make_model()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(model, (data["x"],))
    np.testing.assert_array_equal(found, model(data["x"]))


def test_errors_go_to_another_process() -> None:
    error = pickle.loads(pickle.dumps(Error("wrong \x1b", "N0703")))
    assert str(error) == "wrong \\x1b" and error.code == "N0703"


NAMES = ["p", "class", "count", "index", "keys", "_fields", "_names", "self", "class_", "p_"]


def outputs() -> Outputs:
    return Outputs(NAMES, [np.full(2, place) for place in range(len(NAMES))])


def test_outputs_by_place_name_and_attribute() -> None:
    found = outputs()
    for place, name in enumerate(NAMES):
        assert found[place][0] == found[name][0] == place
    assert found.p[0] == 0 and found.p_[0] == 9
    assert found.count_[0] == 2 and found.index_[0] == 3 and found.keys_[0] == 4
    assert found._fields_[0] == 5 and found._names_[0] == 6 and found.self[0] == 7
    assert found.class_[0] == 8  # the output that is written so; the other one is found["class"]
    assert Outputs(["class", "p"], [1, 2]).class_ == 1
    first, *rest = found
    assert first[0] == 0 and len(rest) == len(NAMES) - 1 == len(found) - 1
    assert list(dict(found)) == list(found._asdict()) == NAMES
    assert found[:2] == tuple(found)[:2] and isinstance(found, tuple)
    assert "count_" in dir(found) and repr(found).startswith("Outputs(p=array(")


def test_wrong_names_of_outputs_list_the_right_ones() -> None:
    found = Outputs(["p", "class"], [1, 2])
    with pytest.raises(AttributeError, match="there is no output `q`; there are p, class_"):
        _ = found.q
    with pytest.raises(KeyError, match="there are p, class"):
        _ = found["class_"]
    with pytest.raises(IndexError):
        _ = found[2]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_outputs_can_be_copied(make: Any) -> None:
    found = make(outputs())
    assert isinstance(found, Outputs) and list(found.keys()) == NAMES
    assert found["class"].tolist() == [1, 1]
