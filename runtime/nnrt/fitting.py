"""Training and evaluation: from what the user gives to passes of the engine over arrays."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nnrt import errors, validate
from nnrt.batches import least_batch, step_count
from nnrt.course import Course, Split
from nnrt.errors import Error
from nnrt.history import History, Record
from nnrt.measure import Metrics, check_room, measured, running
from nnrt.numbers import MOST_EPOCHS, fraction, plain, shown, switch, whole

if TYPE_CHECKING:
    from nnrt._engine import Fault, Guard, LoopResult
    from nnrt.model import Model
    from nnrt.progress import JsonLog, Progress

Array = np.ndarray[Any, np.dtype[Any]]

EVALUATION_BATCH = 256
SEED_LIMIT = 2**64
GIVEN = ("`data`", "`validation`")  # where data was given, for messages: arguments of `fit`
SECTION = ("`data` of the train section", "`validation` of the train section")


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
    return measure(model, found, whole(batch, "batch"))


def measure(model: Model, data: Columns, batch: int) -> Metrics:
    with model.engine.unchanged("evaluate"):
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
    epochs: int | None = None,
    batch: int | None = None,
    validation: Any = None,
    seed: int | None = None,
    shuffle: bool | None = None,
    restart: bool = False,
    progress: Progress | bool | None = None,
    log: str | os.PathLike[str] | None = None,
    callback: Callable[[Record], Any] | None = None,
    notify: Callable[[str], None],
    given: tuple[str, str] = GIVEN,
    split: Split | None = None,
) -> History:
    """`Model.fit`, for the command line too, which has held out a `split` itself and names what
    was `given` as its options.
    """
    section = training_section(model)
    if not model.trainable:
        raise Error(
            f"`{model.net}` was saved for use only: save it with `training=True` to train it on.",
            "N0721",
        )
    seed = whole(section["seed"] if seed is None else seed, "seed", None, None) % SEED_LIMIT
    if callback is not None and not callable(callback):
        raise Error(
            f"`callback` must be a function that takes a record, and is {shown(callback)}.", "N0731"
        )
    asked = None if epochs is None else whole(epochs, "epochs", 1, MOST_EPOCHS)
    course = Course() if switch(restart, "restart") else Course.of(section)
    parts = choose_data(model, section, data, validation, course.split_seed(seed), course, given)
    split = parts.split or split
    count = whole(course.next_epochs(asked, section["epochs"]), "epochs", 1, MOST_EPOCHS)
    from nnrt.progress import choose

    run = Run(
        model=model,
        train=parts.train,
        held=parts.held,
        epochs=count,
        batch=whole(section["batch"] if batch is None else batch, "batch"),
        seed=seed,
        shuffle=switch(section.get("shuffle") if shuffle is None else shuffle, "shuffle", True),
        course=course.begun(count, split),
        learned=parts.learned,
        progress=choose(progress),
        callback=callback,
    )
    run.least = least_batch(model, run.train.arrays, run.train.rows, run.batch)
    check_room(model, "train", run.train.arrays, run.train.rows)
    if run.held is not None:
        check_room(model, "evaluate", run.held.arrays, run.held.rows)
    if not model.engine.begin_training():
        raise Error(f"`{model.net}` is being trained already, by another call of `fit`.", "N0722")
    try:
        with ExitStack() as stack:
            if log is not None:
                from nnrt.progress import JsonLog

                run.log = stack.enter_context(JsonLog(log, notify))
            for doubt in course.doubts(split):
                notify(doubt)
            return run.train_epochs()
    finally:
        model.engine.end_training()


@dataclass(frozen=True)
class Parts:
    """The rows to train on, those to measure on, what the section keeps of the data, and what was
    held out.
    """

    train: Columns
    held: Columns | None
    learned: Mapping[str, Any]
    split: Split | None = None


def choose_data(
    model: Model,
    section: dict[str, Any],
    data: Any,
    validation: Any,
    seed: int,
    course: Course,
    given: tuple[str, str],
) -> Parts:
    """What is given, else what the train section names; its validation serves other data, too.

    Paths that are given start at the working directory, those of the train section at its file.
    """
    from nnrt.data import learned

    (of_data, of_validation), directory = given, section.get("directory") or ""
    data_directory = validation_directory = ""
    if data is None:
        data, data_directory, of_data = section.get("data"), directory, SECTION[0]
        if data is None:
            raise Error("no data is given, and the train section names none.", "N0701")
    if validation is None:
        validation = course.split.fraction if course.split else section.get("validation")
        validation_directory = directory
        of_validation = f"{SECTION[1]} ({given[1]} replaces it, 0 for none)"
    if isinstance(plain(validation), bool):
        raise Error(
            f"{given[1]} must be a fraction to hold out (0 for none), a path or arrays, and "
            f"is {validation}.",
            "N0731",
        )
    with errors.of(of_data):
        train = resolve(data, section["inputs"], section, data_directory, closed=model.step > 0)
    kept = learned(section, train)
    part = fraction(validation)
    if validation is None or part == 0 or not model.has_program("evaluate"):
        with errors.of(of_data):
            return Parts(columns(model, "train", train, "training"), None, kept)
    if part is not None:
        return hold_out(model, train, part, seed, (of_data, of_validation), kept)
    with errors.of(of_validation):
        held = resolve(validation, section["inputs"], {**section, **kept}, validation_directory)
    with errors.of(of_data):
        rows = columns(model, "train", train, "training")
    with errors.of(of_validation):
        return Parts(rows, columns(model, "evaluate", held, "validation"), kept)


def hold_out(
    model: Model,
    data: Mapping[str, Any],
    part: float,
    seed: int,
    given: tuple[str, str],
    learned: Mapping[str, Any],
) -> Parts:
    from nnrt.data import split

    inputs = model.program_inputs("train")
    also = [item["name"] for item in (model.training or {})["inputs"]]
    with errors.of(given[0]):
        arrays = validate.checked(validate.match(data, inputs, also), inputs)
        rows = validate.row_count(arrays, inputs)
    with errors.of(given[1]):
        named = {item.name: array for item, array in zip(inputs, arrays, strict=True)}
        kept, held = split(named, part, seed)
    with errors.of(given[0]):
        return Parts(
            columns(model, "train", kept, "training"),
            columns(model, "evaluate", held, "validation"),
            learned,
            Split(part, seed, rows),
        )


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
    course: Course
    learned: Mapping[str, Any]
    progress: Progress
    callback: Callable[[Record], Any] | None
    log: JsonLog | None = None
    least: int = 1  # rows of a batch
    start: int = field(init=False)  # the model's step
    steps: int = field(init=False)  # an epoch
    guard: Guard = field(init=False)

    def train_epochs(self) -> History:
        history = History()
        self.start = self.model.step
        self.steps = step_count(self.train.rows, self.batch, self.least)
        self.guard = self.model.engine.guard("train", self.train.arrays)
        self.model.remember(self.course, self.learned)
        self.progress.start(self.epochs, self.train.rows, self.batch)
        fault = None
        try:
            fault = self.run_epochs(history)
        except KeyboardInterrupt:
            history.interrupted = True
        finally:
            self.progress.finish()
            fault = fault or self.guard.check()
            if self.log is not None:
                history.log_error = self.log.finish()
            if fault is not None:
                self.take_back(fault, history)
        if fault is not None:
            raise self.diverged(fault, history)
        return history

    def run_epochs(self, history: History) -> Fault | None:
        for epoch in range(1, self.epochs + 1):
            result = self.train_epoch(epoch)
            if result["fault"] is not None:
                return result["fault"]
            if result["interrupted"]:
                history.interrupted = True
                return None
            record = self.record(epoch, result)
            history.append(record)
            self.model.remember(replace(self.course, done=self.course.done + epoch))
            self.progress.epoch(record)
            if self.log is not None:
                self.log.write(record)
            if self.callback is not None and self.callback(dict(record)):
                history.stopped = True
                return None
        return None

    def train_epoch(self, epoch: int) -> LoopResult:
        def report(done: int, rows: int, means: Sequence[float]) -> None:
            metrics = running(self.model, "train", means)
            self.progress.batch(epoch, done, metrics.pop("loss"), metrics)

        started = time.perf_counter()
        result = self.model.engine.loop(
            "train",
            self.train.arrays,
            self.batch,
            self.shuffle,
            self.seed,
            self.model.step,
            (self.course.done + epoch - 1) * self.steps,
            self.course.epochs * self.steps,
            report,
            self.least,
            self.guard,
        )
        result["seconds"] = time.perf_counter() - started
        return result

    def record(self, epoch: int, result: LoopResult) -> Record:
        record: Record = {"epoch": epoch}
        record.update(measured(self.model, "train", result, self.train.arrays, self.seed))
        if self.held is not None:
            found = measure(self.model, self.held, max(self.batch, EVALUATION_BATCH))
            record.update({f"validation_{name}": value for name, value in found.items()})
        seconds = result["seconds"]
        record["seconds"] = seconds
        record["samples_per_second"] = result["rows"] / seconds if seconds > 0 else math.inf
        return record

    def take_back(self, fault: Fault, history: History) -> None:
        """Records of epochs that the model no longer has behind it go."""
        del history.records[(fault["kept"] - self.start) // self.steps :]
        self.model.remember(replace(self.course, done=self.course.done + len(history)))

    def diverged(self, fault: Fault, history: History) -> Error:
        first = fault["found"] and fault["step"] == self.start
        kept = f"The parameters are those after {fault['kept'] - self.start} steps."
        if not fault["found"]:
            text = (
                "the loss, a parameter or a state is no finite number any more. Its step was not "
                "found: the search was stopped, or weights or data were changed meanwhile."
            )
        elif math.isfinite(fault["loss"]):
            text = f"{wrong_variables(fault)} no longer finite, in {self.place(fault['step'])}."
        else:
            text = f"the loss is no finite number any more, in {self.place(fault['step'])}."
        if fault["found"] and fault["kept"] == fault["step"]:
            kept = "The parameters are those before that step."
        error = Error(f"{text} {kept} {self.advice(first)}", "N0730")
        error.history = history  # type: ignore[attr-defined]
        return error

    def place(self, step: int) -> str:
        epoch, done = divmod(step - self.start, self.steps)
        return f"epoch {epoch + 1}, step {done + 1} of {self.steps}"

    def advice(self, first: bool) -> str:
        usual = "a square root, a logarithm or a division at 0"
        if not first:
            return (
                "A smaller learning rate, or `clip`, usually helps; where the loss was small, look "
                f"for {usual}."
            )
        wrong = validate.not_finite(self.model.parameters.items())
        if wrong:
            return f"`{wrong[0]}` was not finite before the training: set it to finite values."
        return (
            "It is the first step, so look at the scale of the data and of the first weights, and "
            f"for {usual}."
        )


def wrong_variables(fault: Fault) -> str:
    kinds = {"state": "the state", "slot": "the optimizer's state"}
    text = f"{kinds.get(fault['kind'], 'the parameter')} `{fault['variable']}`"
    more = fault["variables"] - 1
    return f"{text} and {more} more are" if more else f"{text} is"
