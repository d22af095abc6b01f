"""`nnc train`: compile (or go on with) a net, train it on its data, keep it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from nnc.options import OptionError

if TYPE_CHECKING:
    from nnrt import Model

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
    plan = datasets.choose(training, arguments.data, arguments.validation, arguments.seed)
    output = check_outputs(arguments, [path, *model.files, *datasets.files(datasets.places(plan))])
    parts = datasets.load(plan, training, closed=model.step > 0, skip_bad=arguments.skip_bad)
    batch = changes.get("batch", training["batch"])
    epochs = changes.get("epochs", training["epochs"])
    if not arguments.quiet:
        say(describe(model, path, plan, parts, batch, epochs))
    training.update(datasets.remembered(plan, parts))
    history = model.fit(
        dict(parts.data),
        epochs=epochs,
        batch=batch,
        validation=None if parts.validation is None else dict(parts.validation),
        seed=arguments.seed,
        progress=False if arguments.quiet else None,
        log=arguments.log,
    )
    finish(model, history, output, arguments.training)
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


def continued(path: Path, arguments: argparse.Namespace) -> tuple[Model, dict[str, int]]:
    """A model saved with --training, and the few things about its training that can change."""
    import nnrt

    for option in ("net", "recipe", "precision"):
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
    model = nnrt.load(path)
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
    count = sum(array.size for array in model.parameters.values())
    samples = datasets.rows(parts.data)
    lines = [f"{model.net} of {path}: {count:,} parameters"]
    data = f"{plan.data.source}: {samples:,} rows to learn from"
    if isinstance(plan.validation, datasets.Place) and parts.validation is not None:
        data += f"; {plan.validation.source}: {datasets.rows(parts.validation):,} to measure on"
    elif parts.validation is not None:
        data += f", {datasets.rows(parts.validation):,} held out to measure on"
    lines.append(data)
    lines += parts.notes
    lines.append(f"{epochs} epochs in batches of {batch}")
    return "\n".join(lines)


def finish(model: Model, history: Any, output: Path | None, training: bool) -> None:
    """Keep the model, and say how it ended: the last epoch's numbers, and the file."""
    from nnrt.progress import APART, values_text

    if output is not None:
        model.save(output, training=training)
    if history.interrupted:
        print(f"stopped after {len(history)} whole epochs", file=sys.stderr)
    if len(history):
        values = {name: value for name, value in history[-1].items() if name not in APART}
        say(f"trained: {values_text(values)}")
    if output is not None:
        say(f"{output}: {size_text(output)}")
    else:
        print("nothing was written: `-o OUT.nnc` keeps the trained model")
