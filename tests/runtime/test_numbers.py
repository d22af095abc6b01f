"""Numbers from Python: every kind that means a whole number counts, all others are named."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import nnc
import numpy as np
import pytest
from nnrt import Error

from .plans import make_model


def named(value: Any) -> str:
    """A value in the name of a test, the same in every process."""
    return repr(value).partition(" object at ")[0]


Data = dict[str, np.ndarray[Any, Any]]

WHOLE = [
    3,
    3.0,
    np.int64(3),
    np.uint8(3),
    np.int8(3),
    np.float32(3),
    np.float16(3),
    np.array(3),
    np.array(3.0),
]
NOT_WHOLE = [
    True,
    np.bool_(True),
    2.5,
    np.float32(2.5),
    float("nan"),
    float("inf"),
    -float("inf"),
    "3",
    b"3",
    [3],
    np.array([3]),
    np.array(2.5),
    3j,
    Fraction(3),
    object(),
    np.datetime64("2020-01-01"),
    int,
]


@pytest.mark.parametrize("value", WHOLE, ids=named)
def test_whole_numbers_of_every_kind(value: Any, data: Data) -> None:
    expected = make_model()
    expected.fit(data, epochs=3, batch=3, seed=3, progress=False)
    model = make_model()
    history = model.fit(data, epochs=value, batch=value, seed=value, progress=False)
    assert len(history) == 3 and model.step == expected.step
    assert model.parameters["weight"].tobytes() == expected.parameters["weight"].tobytes()
    assert (model.predict(data["x"], batch=value) == model.predict(data["x"], batch=3)).all()
    assert model.evaluate(data, batch=value) == model.evaluate(data, batch=3)


@pytest.mark.parametrize("value", NOT_WHOLE, ids=named)
@pytest.mark.parametrize("name", ["epochs", "batch", "seed"])
def test_others_are_refused_by_name(name: str, value: Any, data: Data) -> None:
    model = make_model()
    with pytest.raises(Error, match=f"`{name}` must be a whole number.*, and is") as caught:
        model.fit(data, progress=False, **{name: value})
    assert caught.value.code == "N0731" and model.step == 0


@pytest.mark.parametrize("value", [0, -1, 2**70, 10**400, np.int64(-3), -(2**70), 1e300])
def test_numbers_out_of_range_are_refused(value: Any, data: Data) -> None:
    model = make_model()
    for name in ("epochs", "batch"):
        with pytest.raises(Error, match=f"`{name}` must be a whole number of at") as caught:
            model.fit(data, progress=False, **{name: value})
        assert caught.value.code == "N0731" and len(str(caught.value)) < 200
    with pytest.raises(Error, match="`batch` must be a whole number of at"):
        model.predict(data["x"], batch=value)
    with pytest.raises(Error, match="`batch` must be a whole number of at"):
        model.evaluate(data, batch=value)


@pytest.mark.parametrize("value", [-1, 2**70, -(2**70), np.uint64(2**64 - 1)])
def test_every_whole_number_is_a_seed(value: Any, data: Data) -> None:
    make_model().fit(data, epochs=1, validation=0.2, seed=value, progress=False)


NET = """
net Small {
    input x: f32[N, 3]
    y = dense(x, 2)
    output out = y
}
train Small {
    input target: f32[N, 2]
    loss = mean(square(y - target))
}
"""


@pytest.mark.parametrize("value", [*WHOLE, -3, 2**70])
def test_seeds_for_the_compiler(value: Any, data: Data) -> None:
    model = nnc.compile(NET, seed=value)
    assert (model.training or {})["seed"] == int(value)
    expected = nnc.compile(NET, seed=int(value))
    assert (model.parameters["weight"] == expected.parameters["weight"]).all()


@pytest.mark.parametrize("value", NOT_WHOLE, ids=named)
def test_other_seeds_for_the_compiler_are_refused(value: Any) -> None:
    with pytest.raises(Error, match="`seed` must be a whole number, and is"):
        nnc.compile(NET, seed=value)


def test_keys_of_the_section_in_numpy(data: Data) -> None:
    overrides = {"seed": np.int64(3), "batch": np.array(8), "validation": np.float32(0.25)}
    model = nnc.compile(NET, overrides=overrides)
    section = model.training or {}
    assert (section["seed"], section["batch"], section["validation"]) == (3, 8, 0.25)
    assert "validation_loss" in model.fit(data, epochs=1, progress=False)[0]


@pytest.mark.parametrize(
    "value", [0.25, np.float32(0.25), np.float64(0.25), np.float16(0.25), np.array(0.25)], ids=named
)
def test_fractions_of_every_kind(value: Any, data: Data) -> None:
    model = make_model()
    assert "validation_loss" in model.fit(data, epochs=1, validation=value, progress=False)[0]
    assert model.step == 5  # 38 rows in batches of 8


@pytest.mark.parametrize("value", [0, 0.0, np.float32(0), np.int64(0), np.array(0)], ids=named)
def test_nothing_held_out(value: Any, data: Data) -> None:
    model = make_model()
    assert "validation_loss" not in model.fit(data, epochs=1, validation=value, progress=False)[0]


@pytest.mark.parametrize("value", [1, -0.5, 1.5, float("nan"), np.int64(10), 10**400, np.inf])
def test_fractions_out_of_range(value: Any, data: Data) -> None:
    with pytest.raises(Error, match="`validation`: the part to hold out must lie between 0 and 1"):
        make_model().fit(data, validation=value, progress=False)


@pytest.mark.parametrize("value", [True, False, np.bool_(True), 3j, object(), {1, 2}], ids=named)
def test_validation_of_another_kind(value: Any, data: Data) -> None:
    with pytest.raises(Error, match="`validation`"):
        make_model().fit(data, validation=value, progress=False)


@pytest.mark.parametrize("value", [5, "print", [], np.float32(1)])
def test_a_callback_must_be_a_function(value: Any, data: Data) -> None:
    model = make_model()
    with pytest.raises(Error, match="`callback` must be a function") as caught:
        model.fit(data, callback=value, progress=False)
    assert caught.value.code == "N0731" and model.step == 0


@pytest.mark.parametrize("name", ["shuffle", "restart"])
@pytest.mark.parametrize("value", ["no", 0, 1, 2.0, np.int64(1), [], object()], ids=named)
def test_switches(name: str, value: Any, data: Data) -> None:
    with pytest.raises(Error, match=f"`{name}` must be True or False") as caught:
        make_model().fit(data, progress=False, **{name: value})
    assert caught.value.code == "N0731"


def test_numpys_switches(data: Data) -> None:
    a, b = make_model(), make_model()
    a.fit(data, epochs=1, progress=False, shuffle=np.bool_(False))
    b.fit(data, epochs=1, progress=False, shuffle=False)
    assert a.parameters["weight"].tobytes() == b.parameters["weight"].tobytes()


def test_an_epoch_number_of_zero_is_no_damage() -> None:
    model = nnc.compile(NET, overrides={"epochs": 0})
    with pytest.raises(Error, match="`epochs` must be a whole number of at least 1"):
        model.fit(
            {"x": np.ones((4, 3), np.float32), "target": np.ones((4, 2), np.float32)},
            progress=False,
        )
