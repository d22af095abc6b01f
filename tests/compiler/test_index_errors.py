"""An index out of range is an error that names line, row and value, also where the net computes
it, in training, evaluation and prediction; training goes back to the weights before the step.
"""

from __future__ import annotations

from typing import Any

import nnc
import numpy as np
import pytest
from nnrt import Error

NET = """
net X {
    input ids: i64[N, 3]
    e = embedding(WHICH, 10, 4)
    y = e -> dense(5)
    output result = y
}
train X {
    input t: i64[N]
    loss = cross_entropy(y, LABEL) + 0 * mean(f32(t))
    optimizer = adam()
}
"""


def model(which: str = "ids[:, 0]", label: str = "t") -> Any:
    return nnc.compile(NET.replace("WHICH", which).replace("LABEL", label))


def data(rows: int = 40) -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {"ids": generator.integers(0, 10, (rows, 3)), "t": generator.integers(0, 5, rows)}


def outside(value: int, row: int, line: int, most: int) -> str:
    return (
        rf"<text>:{line}: the index {value} in row {row} is out of range: "
        rf"it must lie between 0 and {most}"
    )


@pytest.mark.parametrize(("which", "value"), [("ids[:, 0]", 10), ("ids[:, 0]", -1)])
def test_computed_ids(which: str, value: int) -> None:
    net, given = model(which), data()
    given["ids"][17, 0] = value
    wanted = outside(value, 17, 4, 9)
    with pytest.raises(Error, match=wanted):
        net(given["ids"])
    with pytest.raises(Error, match=wanted):
        net.predict({"ids": given["ids"]}, batch=8)
    with pytest.raises(Error, match=wanted):
        net.evaluate(given, batch=8)
    with pytest.raises(Error, match=wanted) as error:
        net.fit(given, epochs=1, batch=8, progress=False)
    assert error.value.code == "N0706"


@pytest.mark.parametrize(
    ("which", "ids", "value"),
    [
        ("ids[:, 1] + 1", 9, 10),
        ("ids[:, 1] - 1", 0, -1),
        ("ids[:, 1] * 2", 5, 10),
        ("i64(f32(ids[:, 1]) * 1.5)", 8, 12),
        ("max(ids[:, 1], ids[:, 2]) + 1", 9, 10),
        ("ids[:, 1] // 1", 11, 11),
    ],
)
def test_ids_that_the_net_computes(which: str, ids: int, value: int) -> None:
    given = data()
    given["ids"][:, 1:] = 4
    given["ids"][5, 1] = ids
    with pytest.raises(Error, match=outside(value, 5, 4, 9)):
        model(which)(given["ids"])


@pytest.mark.parametrize(
    ("label", "given", "value"), [("t - 1", 0, -1), ("t + 1", 4, 5), ("ids[:, 2] + 1", 9, 10)]
)
def test_labels_that_the_section_computes(label: str, given: int, value: int) -> None:
    net, rows = model("ids[:, 0] * 0", label), data()
    rows["t"][:] = 2
    rows["ids"][:, 2] = 2
    rows["t"][11] = given
    rows["ids"][11, 2] = given
    wanted = outside(value, 11, 10, 4)
    with pytest.raises(Error, match=wanted):
        net.evaluate(rows, batch=4)
    for shuffle in (True, False):
        with pytest.raises(Error, match=wanted):
            net.fit(rows, epochs=2, batch=4, shuffle=shuffle, progress=False)


def test_training_keeps_the_weights_before_the_step() -> None:
    """Bit for bit those of a training that ends there."""
    rows = data()
    wrong = {**rows, "ids": rows["ids"].copy()}
    wrong["ids"][30, 0] = 99
    net, twin = model(), model()
    with pytest.raises(Error, match=outside(99, 30, 4, 9)):
        net.fit(wrong, epochs=1, batch=8, shuffle=False, progress=False)
    before = {name: array[:24] for name, array in rows.items()}
    twin.fit(before, epochs=1, batch=8, shuffle=False, progress=False)
    for name, array in twin.weights().items():
        assert np.array_equal(net.weights()[name], array), name
    net.fit(rows, epochs=1, batch=8, progress=False)  # and it goes on


def test_indices_in_range_are_fine() -> None:
    net, rows = model("ids[:, 1] % 10"), data()
    rows["ids"][:, 1] += 1000
    net.fit(rows, epochs=1, progress=False)
    assert np.isfinite(net(rows["ids"])).all()
