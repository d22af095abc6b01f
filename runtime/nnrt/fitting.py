"""Training and evaluation: from what the user gives to passes of the engine over arrays."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nnrt import validate
from nnrt.batches import least_batch, step_count
from nnrt.errors import Error
from nnrt.history import History, Record
from nnrt.measure import Metrics, check_room, measured, running

if TYPE_CHECKING:
    from nnrt.model import Model
    from nnrt.progress import JsonLog, Progress

Array = np.ndarray[Any, np.dtype[Any]]

EVALUATION_BATCH = 256
SEED_LIMIT = 2**64


def positive(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise Error(f"`{name}` must be a whole number of at least 1, and is {value!r}.", "N0731")
    return int(value)


def resolve(
    data: Any,
    inputs: Sequence[Mapping[str, Any]],
    section: Mapping[str, Any],
    directory: str = "",
    aside: Sequence[Mapping[str, Any]] = (),
    closed: bool = True,
) -> Mapping[str, Any]:
    """Data in any of its forms as values by name. A relative path starts at `directory`.

    Files are read as the training data of `section` was; see `nnrt.data.open` for the others.
    """
    names = [item["name"] for item in inputs]
    if isinstance(data, (str, os.PathLike)):
        from nnrt.data import known_classes, known_columns
        from nnrt.data import open as open_data

        return open_data(
            data,
            inputs,
            directory=directory,
            aside=aside,
            classes=known_classes(section),
            columns=known_columns(section),
            closed=closed,
        )
    if isinstance(data, Mapping):
        from nnrt.data import check_learned

        check_learned(data, section, closed)
        return data
    if hasattr(data, "files") and hasattr(data, "__getitem__"):  # an open .npz
        return {name: data[name] for name in data.files}
    if isinstance(data, tuple) or (isinstance(data, list) and len(names) > 1):
        if len(data) != len(names):
            expected = ", ".join(f"`{name}`" for name in names)
            raise Error(f"{len(data)} arrays were given; needed are {expected}.", "N0701")
        return dict(zip(names, data, strict=True))
    if len(names) == 1:
        return {names[0]: data}
    expected = ", ".join(f"`{name}`" for name in names)
    raise Error(f"the arrays {expected} are needed: give them by name, in a dict.", "N0701")


@dataclass(frozen=True)
class Columns:
    """Arrays in the order of a program's inputs, and how many rows they have."""

    arrays: list[Array]
    rows: int


def columns(model: Model, program: str, given: Mapping[str, Any], what: str) -> Columns:
    inputs = model.program_inputs(program)
    section = model.training or {}
    also = [item["name"] for item in section.get("inputs", [])]
    arrays = validate.checked(validate.match(given, inputs, also), inputs, finite=True)
    arrays = [np.asarray(array, order="C") for array in arrays]  # copied once, and not every epoch
    rows = validate.row_count(arrays, inputs)
    if rows == 0:
        raise Error(f"the {what} data is empty: it has no rows.", "N0705")
    return Columns(arrays, rows)


def evaluate(model: Model, data: Any, batch: int) -> Metrics:
    section = training_section(model)
    if not model.has_program("evaluate"):
        raise Error(f"`{model.net}` was saved without its evaluate program.", "N0721")
    given = resolve(data, section["inputs"], section)
    found = columns(model, "evaluate", given, "evaluation")
    check_room(model, "evaluate", found.arrays, found.rows)
    return measure(model, found, positive(batch, "batch"))


def measure(model: Model, data: Columns, batch: int) -> Metrics:
    result = model.engine.loop("evaluate", data.arrays, batch)
    if result["interrupted"]:
        raise KeyboardInterrupt
    return measured(model, "evaluate", result, data.arrays)


def training_section(model: Model) -> dict[str, Any]:
    if model.training is None:
        raise Error(f"`{model.net}` has no train section, so there is no loss to go by.", "N0721")
    return model.training


def fit(
    model: Model,
    data: Any,
    *,
    epochs: int | None,
    batch: int | None,
    validation: Any,
    seed: int | None,
    shuffle: bool | None,
    progress: Progress | bool | None,
    log: str | os.PathLike[str] | None,
    callback: Callable[[Record], Any] | None,
) -> History:
    section = training_section(model)
    if not model.trainable:
        raise Error(
            f"`{model.net}` was saved for use only: save it with `training=True` to train it on.",
            "N0721",
        )
    seed = section["seed"] if seed is None else seed
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise Error(f"`seed` must be a whole number, and is {seed!r}.", "N0731")
    seed = int(seed) % SEED_LIMIT
    train, held, kept = choose_data(model, section, data, validation, seed)
    from nnrt.progress import choose

    run = Run(
        model=model,
        train=columns(model, "train", train, "training"),
        held=None if held is None else columns(model, "evaluate", held, "validation"),
        epochs=positive(section["epochs"] if epochs is None else epochs, "epochs"),
        batch=positive(section["batch"] if batch is None else batch, "batch"),
        seed=seed,
        shuffle=bool(section.get("shuffle", True) if shuffle is None else shuffle),
        progress=choose(progress),
        callback=callback,
    )
    run.least = least_batch(model, run.train.arrays, run.train.rows, run.batch)
    check_room(model, "train", run.train.arrays, run.train.rows)
    if run.held is not None:
        check_room(model, "evaluate", run.held.arrays, run.held.rows)
    if not model.engine.begin_training():
        raise Error(f"`{model.net}` is being trained already, by another call of `fit`.", "N0722")
    section.update(kept)
    try:
        with ExitStack() as stack:
            if log is not None:
                from nnrt.progress import JsonLog

                run.log = stack.enter_context(JsonLog(log))
            return run.train_epochs()
    finally:
        model.engine.end_training()


def choose_data(
    model: Model, section: dict[str, Any], data: Any, validation: Any, seed: int
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None, dict[str, Any]]:
    """The arrays to train on, those to measure on, and what the section keeps of the data.

    Paths that are given start at the working directory, those of the train section at its file.
    """
    from nnrt.data import learned

    data_directory = validation_directory = ""
    if data is None:
        data, data_directory = section.get("data"), section.get("directory") or ""
        if data is None:
            raise Error("no data is given, and the train section names none.", "N0701")
        if validation is None:
            validation, validation_directory = section.get("validation") or None, data_directory
    train = resolve(data, section["inputs"], section, data_directory, closed=model.step > 0)
    kept = learned(section, train)
    fraction = validation if isinstance(validation, (int, float)) else None
    if validation is None or fraction == 0 or not model.has_program("evaluate"):
        return train, None, kept
    if fraction is not None:
        from nnrt.data import split

        inputs = model.program_inputs("train")
        also = [item["name"] for item in section["inputs"]]
        arrays = validate.checked(validate.match(train, inputs, also), inputs)
        named = {item.name: array for item, array in zip(inputs, arrays, strict=True)}
        return *split(named, float(fraction), seed), kept
    held = resolve(validation, section["inputs"], {**section, **kept}, validation_directory)
    return train, held, kept


@dataclass
class Run:
    """One call of `fit`."""

    model: Model
    train: Columns
    held: Columns | None
    epochs: int
    batch: int
    seed: int
    shuffle: bool
    progress: Progress
    callback: Callable[[Record], Any] | None
    log: JsonLog | None = None
    least: int = 1  # rows of a batch

    def train_epochs(self) -> History:
        history = History()
        self.progress.start(self.epochs, self.train.rows, self.batch)
        try:
            for epoch in range(1, self.epochs + 1):
                record = self.train_epoch(epoch, history)
                if record is None:
                    break
                history.append(record)
                self.progress.epoch(record)
                if self.log is not None:
                    self.log.write(record)
                if self.callback is not None and self.callback(dict(record)):
                    history.stopped = True
                    break
        except KeyboardInterrupt:
            history.interrupted = True
        finally:
            self.progress.finish()
        return history

    def train_epoch(self, epoch: int, history: History) -> Record | None:
        """The record of an epoch, or None where Ctrl-C ended it."""
        model = self.model
        steps = step_count(self.train.rows, self.batch, self.least)

        def report(done: int, rows: int, means: Sequence[float]) -> None:
            metrics = running(model, "train", means)
            self.progress.batch(epoch, done, metrics.pop("loss"), metrics)

        started = time.perf_counter()
        result = model.engine.loop(
            "train",
            self.train.arrays,
            self.batch,
            self.shuffle,
            self.seed,
            model.step,
            (epoch - 1) * steps,
            self.epochs * steps,
            report,
            self.least,
        )
        model.step += result["steps"]
        seconds = time.perf_counter() - started
        if result["not_finite_step"] >= 0:
            raise diverged(epoch, result["not_finite_step"] + 1, steps, history)
        if result["interrupted"]:
            history.interrupted = True
            return None
        record: Record = {"epoch": epoch}
        record.update(measured(model, "train", result, self.train.arrays, self.seed))
        if self.held is not None:
            for name, value in measure(model, self.held, max(self.batch, EVALUATION_BATCH)).items():
                record[f"validation_{name}"] = value
        record["seconds"] = seconds
        record["samples_per_second"] = result["rows"] / seconds if seconds > 0 else math.inf
        return record


def diverged(epoch: int, step: int, steps: int, history: History) -> Error:
    error = Error(
        f"the loss is no finite number any more, in epoch {epoch}, step {step} of {steps}. "
        "A smaller learning rate, or `clip`, usually helps; the parameters are now of no use.",
        "N0730",
    )
    error.history = history  # type: ignore[attr-defined]
    return error
