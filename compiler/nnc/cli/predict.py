"""`nnc predict`: the outputs of a compiled model, as CSV or .npz."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from nnc.cli.common import artifact, check_writable, write_text
from nnc.options import OptionError

Array = np.ndarray[Any, np.dtype[Any]]


def run(arguments: argparse.Namespace) -> int:
    import nnrt
    from nnrt import data

    output = check_writable(arguments.output) if arguments.output else None
    if output is not None and output.suffix not in (".npz", ".csv"):
        raise OptionError(f"{output}: outputs are written as .npz or .csv.")
    if output is not None and output.suffix == ".npz" and arguments.top is not None:
        raise OptionError("--top makes a table: write it to a .csv file or to standard output.")
    if arguments.top == 0:
        raise OptionError("--top 0 shows nothing: give 1 or more.")
    model = nnrt.load(artifact(arguments.model))
    training = model.training or {}
    arrays = data.open(arguments.input, model.inputs, optional=training.get("inputs") or ())
    inputs = {item["name"]: arrays[item["name"]] for item in model.inputs}
    result = model.predict(inputs, batch=arguments.batch if arguments.batch is not None else 256)
    names = [item["name"] for item in model.outputs]
    outputs = dict(zip(names, result if len(names) > 1 else (result,), strict=True))
    if output is not None and output.suffix == ".npz":
        np.savez(output, **outputs)
    else:
        text = as_csv(outputs, arrays.rows, arguments.top, only_classes(training))
        if output is None:
            print(text, end="")
        else:
            write_text(Path(output), text)
    if output is not None:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
        print(f"{output}: {shapes}")
    return 0


def only_classes(training: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the classes, where the training data named those of one input."""
    from nnrt.data import known_classes

    named = list(known_classes(training).values())
    return named[0] if len(named) == 1 else ()


def as_csv(
    outputs: Mapping[str, Array], rows: tuple[str, ...], top: int | None, classes: tuple[str, ...]
) -> str:
    """One line a row of the data: the values of each output, or the largest with their places."""
    columns: list[Iterator[list[str]]] = []
    header: list[str] = []
    if rows:
        header.append("file")
        columns.append([row] for row in rows)
    for name, array in outputs.items():
        shape = (len(array), prod(array.shape[1:])) if array.ndim else (1, 1)
        values = array.reshape(shape)
        width = values.shape[1]
        if top is not None and width > 1:
            count = min(top, width)
            for place in range(1, count + 1):
                header += [f"{name}.top_{place}", f"{name}.value_{place}"]
            columns.append(largest(values, count, classes if len(classes) == width else ()))
        else:
            header += [name] if width == 1 else [f"{name}.{index}" for index in range(width)]
            columns.append([str(value) for value in row] for row in values)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for parts in zip(*columns, strict=True):
        writer.writerow([cell for part in parts for cell in part])
    return text.getvalue()


def largest(values: Array, count: int, classes: tuple[str, ...]) -> Iterator[list[str]]:
    for row in values:
        order = np.argsort(-row, kind="stable")[:count]
        cells = []
        for place in order:
            cells += [classes[place] if classes else str(place), str(row[place])]
        yield cells
