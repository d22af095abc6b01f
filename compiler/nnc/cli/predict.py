"""`nnc predict`: the outputs of a compiled model, as CSV or .npz."""

from __future__ import annotations

import argparse
import csv
import io
import sys
import zipfile
from collections.abc import Iterator, Mapping
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from nnrt.dtypes import kind_of
from nnrt.kinds import ARRAYS, TABLE, Kind
from nnrt.text import visible
from nnrt.writing import target

from nnc.cli import datasets
from nnc.cli.common import artifact, check_writable, say
from nnc.options import OptionError

if TYPE_CHECKING:
    from nnrt import Model

Array = np.ndarray[Any, np.dtype[Any]]


def run(arguments: argparse.Namespace) -> int:
    import nnrt
    from nnrt import data

    kind = output_kind(arguments.output)
    if arguments.output:
        check_writable(arguments.output, kind, files_read(arguments))
    if kind is ARRAYS and arguments.top is not None:
        raise OptionError("--top makes a table: write it to a .csv file or to standard output.")
    if arguments.top == 0:
        raise OptionError("--top 0 shows nothing: give 1 or more.")
    model = nnrt.load(artifact(arguments.model), arguments.device)
    training = model.training or {}
    arrays = data.open(
        arguments.input,
        model.inputs,
        aside=training.get("inputs") or (),
        classes=data.known_classes(training),
        columns=data.known_columns(training),
        closed=True,
        skip_bad=arguments.skip_bad,
    )
    for note in arrays.notes:
        print(note, file=sys.stderr)
    batch = arguments.batch if arguments.batch is not None else 256
    result = model.predict(dict(arrays), batch=batch)
    names = [item["name"] for item in model.outputs]
    outputs = dict(zip(names, result if len(names) > 1 else (result,), strict=True))
    text = ""
    if kind is TABLE:
        text = as_csv(outputs, arrays.rows, arguments.top, class_names(model, outputs))
    if not arguments.output:
        print(visible(text, keep="\n"), end="")
        return 0
    output = target(arguments.output, kind, files_read(arguments, model))
    if kind is ARRAYS:
        output.write(lambda file: write_arrays(file, outputs))
    else:
        output.write_text(text)
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in outputs.items())
    say(f"{output.given}: {shapes}")
    return 0


def output_kind(name: str | None) -> Kind:
    """Arrays where the name ends so, else a table; a stream has no such name and takes a table."""
    return ARRAYS if name and name.lower().endswith(ARRAYS.suffixes) else TABLE


def files_read(arguments: argparse.Namespace, model: Model | None = None) -> list[str]:
    """What the output must not destroy: the model, the data, and what the model was made of."""
    training = (model.training if model is not None else None) or {}
    directory = training.get("directory") or ""
    places = [datasets.Place(arguments.input)]
    if model is not None and directory:
        places += [datasets.Place(name, directory) for name in model.sources]
    for key in ("data", "validation"):
        if isinstance(training.get(key), str):
            places.append(datasets.Place(training[key], directory))
    return [arguments.model, *datasets.files(places)]


def write_arrays(file: BinaryIO, arrays: Mapping[str, Array]) -> None:
    """An .npz file. `numpy.savez` cannot have an array named `file`, and NumPy cannot read bf16
    that it wrote: such arrays are written as f32, which holds the same numbers.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            if kind_of(array.dtype) == "f" and array.dtype.kind != "f":
                array = array.astype(np.float32)
            entry = zipfile.ZipInfo(f"{name}.npy")  # without today's date: the same bytes again
            with archive.open(entry, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def class_names(model: Model, outputs: Mapping[str, Array]) -> dict[str, tuple[str, ...]]:
    """The names of the classes that an output tells apart, where the training data named them.

    Of an output with a number for each class, one target has as many classes; an output of whole
    numbers means the classes of the only target.
    """
    from nnrt.data import known_classes

    inputs = {item["name"] for item in model.inputs}
    known = known_classes(model.training or {})
    targets = [texts for name, texts in known.items() if name not in inputs]
    named = {}
    for name, array in outputs.items():
        if array.ndim == 2 and array.shape[1] > 1 and kind_of(array.dtype) == "f":
            fitting = [texts for texts in targets if len(texts) == array.shape[1]]
        else:
            fitting = [texts for texts in targets if is_codes(array, len(texts))]
            fitting = fitting if len(targets) == 1 else []
        if len(fitting) == 1:
            named[name] = fitting[0]
    return named


def is_codes(array: Array, classes: int) -> bool:
    """Whether there is one whole number a row, each the number of a class."""
    one_a_row = array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)
    if not one_a_row or array.dtype.kind not in "iu" or not array.size:
        return False
    return bool(array.min() >= 0 and array.max() < classes)


def as_csv(
    outputs: Mapping[str, Array],
    rows: tuple[str, ...],
    top: int | None,
    classes: Mapping[str, tuple[str, ...]],
) -> str:
    """One line a row of the data: the values of each output, or the largest with their places.

    An output with named classes gives the name of the largest, and then the values under the names.
    """
    columns: list[Iterator[list[str]]] = []
    header: list[str] = []
    if rows:
        header.append("file")
        columns.append([row] for row in rows)
    for name, array in outputs.items():
        shape = (len(array), prod(array.shape[1:])) if array.ndim else (1, 1)
        values = array.reshape(shape)
        width = values.shape[1]
        names = classes.get(name, ())
        if top is not None and width > 1:
            count = min(top, width)
            for place in range(1, count + 1):
                header += [f"{name}.top_{place}", f"{name}.value_{place}"]
            columns.append(largest(values, count, names))
        elif width == 1:
            header.append(name)
            columns.append(single(values, names))
        elif names:
            header += [name, *(f"{name}.{label}" for label in names)]
            columns.append(every(values, names))
        else:
            header += [f"{name}.{index}" for index in range(width)]
            columns.append(every(values, ()))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for parts in zip(*columns, strict=True):
        writer.writerow([cell for part in parts for cell in part])
    return text.getvalue()


def single(values: Array, names: tuple[str, ...]) -> Iterator[list[str]]:
    for (value,) in values:
        yield [names[value] if names else str(value)]


def every(values: Array, names: tuple[str, ...]) -> Iterator[list[str]]:
    for row in values:
        yield [*([best(row, names)] if names else []), *map(str, row)]


def best(row: Array, names: tuple[str, ...]) -> str:
    """The name of the largest value: the first one of equal values, as `argmax` decides."""
    return "nan" if np.isnan(row).any() else names[int(np.argmax(row))]


def largest(values: Array, count: int, names: tuple[str, ...]) -> Iterator[list[str]]:
    for row in values:
        order = np.argsort(-row.astype(np.float64), kind="stable")[:count]
        cells = []
        for place in order:
            cells += [names[place] if names else str(place), str(row[place])]
        yield cells
