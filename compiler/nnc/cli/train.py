"""`nnc train`: compile (or go on with) a net, train it on its data, keep it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from nnrt.kinds import LOG, MODEL

from nnc.cli import datasets
from nnc.cli.common import (
    check_writable,
    compiled,
    existing,
    given,
    is_artifact,
    say,
    size_text,
)
from nnc.cli.room import check_room
from nnc.options import OptionError

if TYPE_CHECKING:
    from nnrt import History, Model

INTERRUPTED = 130
# What can be changed for an artifact, whose train program is fixed.
OPEN_KEYS = ("batch", "epochs")


def run(arguments: argparse.Namespace) -> int:
    for key in OPEN_KEYS:
        if getattr(arguments, key) == 0:
            raise OptionError(f"--{key} 0 trains nothing: give 1 or more.")
    path = existing(arguments.file)
    check_outputs(arguments, [path])
    if is_artifact(path):
        model, changes = continued(path, arguments)
    else:
        overrides = {key: value for key in OPEN_KEYS if (value := getattr(arguments, key))}
        model, changes = compiled(path, arguments, overrides), {}
    training = model.training
    if training is None:
        raise OptionError(
            f"{path} has no train section for `{model.net}`, so nothing says what to learn: "
            f"`train {model.net} {{ loss = … }}`."
        )
    from nnrt.course import Course
    from nnrt.errors import Error
    from nnrt.fitting import fit

    if arguments.restart:
        model.remember(Course())
        training = model.training or {}
    plan = datasets.choose(training, arguments.data, arguments.validation, arguments.seed)
    output = check_outputs(arguments, [path, *model.files, *datasets.files(datasets.places(plan))])
    if output is not None:
        check_room(output, model.saved_bytes(arguments.training))
    parts = datasets.load(plan, training, closed=model.step > 0, skip_bad=arguments.skip_bad)
    batch = changes.get("batch", training["batch"])
    epochs = Course.of(training).next_epochs(changes.get("epochs"), training["epochs"])
    if not arguments.quiet:
        say(describe(model, path, plan, parts, batch, epochs))
    training.update(datasets.kept_with_model(plan, parts))
    keep = partial(save, model, output, arguments)
    try:
        history = fit(
            model,
            dict(parts.data),
            epochs=epochs,
            batch=batch,
            validation=0 if parts.validation is None else dict(parts.validation),
            seed=arguments.seed,
            progress=False if arguments.quiet else None,
            log=arguments.log,
            notify=note,
            given=(plan.data.given, plan.held_given),
            split=parts.split,
        )
    except Error as error:
        if getattr(error, "history", None):  # whole epochs, and the weights that are still good
            keep()
        raise
    if history.interrupted:
        print(f"stopped after {len(history)} whole epochs", file=sys.stderr)
    tell(history)
    keep()
    if history.log_error is not None:
        raise OptionError(history.log_error)
    return INTERRUPTED if history.interrupted else 0


def check_outputs(arguments: argparse.Namespace, inputs: list[str | Path]) -> Path | None:
    """The file for the model. Neither it nor the log may destroy an input, or each other."""
    output = None
    if arguments.output:
        output = check_writable(arguments.output, MODEL, inputs)
        inputs = [*inputs, output]
    if arguments.log:
        check_writable(arguments.log, LOG, inputs)
    return output


def note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def continued(path: Path, arguments: argparse.Namespace) -> tuple[Model, dict[str, int]]:
    """A model saved with --training, and the few things about its training that can change."""
    import nnrt

    for option in ("net", "recipe", "precision", "store"):
        if getattr(arguments, option) is not None:
            raise OptionError(f"{path} is compiled: --{option} needs the .nn file.")
    chosen = given(arguments.set)
    changes: dict[str, int] = {}
    for key, text in [*chosen.settings.items(), *chosen.overrides.items()]:
        if key not in OPEN_KEYS or key in chosen.settings:
            raise OptionError(
                f"{path} is compiled: only {' and '.join(OPEN_KEYS)} can still be set, and "
                f"`{key}` needs the .nn file."
            )
        try:
            changes[key] = int(text.text)
        except ValueError:
            changes[key] = 0
        if changes[key] < 1:
            raise OptionError(f"--set {key}={text.text}: expected a whole number, 1 or more.")
    changes.update({key: getattr(arguments, key) for key in OPEN_KEYS if getattr(arguments, key)})
    model = nnrt.load(path, arguments.device)
    if model.training is not None and not model.trainable:
        raise OptionError(
            f"{path} was saved for use only. Train the .nn file, or save with `--training`."
        )
    return model, changes


def describe(
    model: Model,
    path: Path,
    plan: datasets.Plan,
    parts: datasets.Parts,
    batch: int,
    epochs: int,
) -> str:
    """What is about to happen, in a few lines."""
    from nnrt.course import Course

    count = model.parameters.elements
    samples = datasets.rows(parts.data)
    lines = [f"{model.net} of {path}: {count:,} parameters"]
    data = f"{plan.data.source}: {samples:,} rows to learn from"
    if isinstance(plan.validation, datasets.Place) and parts.validation is not None:
        data += f"; {plan.validation.source}: {datasets.rows(parts.validation):,} to measure on"
    elif parts.validation is not None:
        data += f", {datasets.rows(parts.validation):,} held out to measure on"
    lines.append(data)
    lines += parts.notes
    course = Course.of(model.training or {})
    planned = max(course.epochs, course.done + epochs)
    after = f"goes on after epoch {course.done} of {planned}: " if course.done else ""
    lines.append(f"{after}{epochs} epochs in batches of {batch}")
    return "\n".join(lines)


def tell(history: History) -> None:
    """How it ended: the last epoch's numbers."""
    from nnrt.progress import APART, values_text

    if len(history):
        values = {name: value for name, value in history[-1].items() if name not in APART}
        say(f"trained: {values_text(values)}")


def save(model: Model, output: Path | None, arguments: argparse.Namespace) -> None:
    """Keep the model, elsewhere where its place cannot be written any more."""
    from nnrt.errors import Error

    if output is None:
        print("nothing was written: `-o OUT.nnc` keeps the trained model")
        return
    options = {"training": arguments.training, "allow_not_finite": arguments.allow_not_finite}
    try:
        model.save(output, **options)
    except Error as error:
        if error.code != "N0713":
            raise
        handle, spare = tempfile.mkstemp(prefix=f"{output.stem}-", suffix=".nnc")
        os.close(handle)
        model.save(spare, **options)
        raise Error(f"{error} The trained model was written to {spare}.", error.code) from error
    say(f"{output}: {size_text(output)}")
