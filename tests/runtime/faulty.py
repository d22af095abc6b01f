"""Models that go wrong in a chosen step, and what their weights were before it."""

from __future__ import annotations

from typing import Any

import nnc
import numpy as np
from nnrt import Model, _engine

from .plans import buffer, regression_manifest, regression_plan, regression_weights, tile

Array = np.ndarray[Any, Any]
Data = dict[str, Array]

# `spoil` is infinite in one step, and 1 in all others.
SPOILED = """
block spoil(step, at) = exp(100 * select(step == at, 1.0, 0.0))
block spoiled(step, steps, epoch_steps, rate, at) = rate * spoil(step, at)
"""

NET = (
    """
net Wide {
    input x: f32[N, 3]
    y = x -> dense(%(hidden)d) -> batch_norm -> relu -> dropout(0.2) -> dense(2)
    output out = y
}

train Wide {
    input target: f32[N, 2]
    loss = mean(square(y - target))
    optimizer = %(optimizer)s
    learning_rate = spoiled(0.001, at = %(at)d)
    batch = 8
    epochs = 3
}
"""
    + SPOILED
)


def wide(at: int, hidden: int = 8, optimizer: str = "adam()") -> Model:
    """Makes its parameters infinite in step `at` (from 0), while the loss is finite."""
    return nnc.compile(NET % {"at": at, "hidden": hidden, "optimizer": optimizer})


def line(at: int, spoiled: str) -> Model:
    """Makes a slot, or the loss, NaN in step `at`: adds 0 / (step - at) to it."""
    plan = regression_plan()
    train = plan["programs"]["train"]
    if spoiled == "slot":
        update = train["steps"][-1]["tile"]  # of the offset
        update["code"] = [
            *update["code"][:-2],
            ["const", 0.0],
            ["const", float(at)],
            ["sub", 3, 14],
            ["div", 13, 15],
            ["add", 6, 16],
            ["store", 0, 17],
            ["store", 1, 12],
        ]
    else:
        change_loss(
            train,
            *([12], ["load", 0], ["load", 1], ["const", 0.0], ["const", float(at)]),
            *(["sub", 1, 3], ["div", 2, 4], ["add", 0, 5], ["store", 0, 6]),
        )
    return Model(regression_manifest(), plan, regression_weights(), {})


def change_loss(train: Any, clocks: list[int], *code: list[Any]) -> None:
    """Another value for the loss, from it (load 0) and from clocks."""
    raw = len(train["buffers"])
    train["buffers"].append(buffer("temporary", []))
    reduce = next(step for step in train["steps"] if step["kernel"] == "reduce")
    reduce["results"] = reduce["tile"]["stores"] = [raw]
    train["steps"].append(tile([raw, *clocks], [6], [], *code))


def after(model: Model, data: Data, steps: int, seed: int) -> dict[str, Array]:
    """The variables of a fresh model after so many steps, one by one, with a batch of 8."""
    rows = len(data["x"])
    per_epoch = -(-rows // 8)
    for step in range(steps):
        epoch, place = divmod(step, per_epoch)
        order = np.array(_engine.shuffled_rows(seed, epoch * per_epoch, rows))
        chosen = order[place * 8 : (place + 1) * 8]
        batch: dict[str, Any] = {name: array[chosen] for name, array in data.items()}
        for clock in ("step", "epoch_steps", "steps", "epoch"):
            batch[clock] = float(
                {"epoch_steps": per_epoch, "steps": 3 * per_epoch}.get(clock, step)
            )
        model.engine.run("train", batch, seed, step)
    return model.weights()


def same(found: dict[str, Array], expected: dict[str, Array]) -> bool:
    return all(found[name].tobytes() == array.tobytes() for name, array in expected.items())
