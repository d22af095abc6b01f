"""From a source's text to its arrays: find the file, choose the reader by what it is, check that
the rows agree.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nnrt import reading
from nnrt.data.types import Arrays, Input, Known, check_rows, did_you_mean, quoted
from nnrt.errors import Error

TABLE_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def open(
    source: str | os.PathLike[str],
    inputs: Iterable[Mapping[str, Any] | Input],
    *,
    directory: str | os.PathLike[str] = "",
    aside: Iterable[Mapping[str, Any] | Input] = (),
    classes: Mapping[str, tuple[str, ...]] | None = None,
    columns: Mapping[str, tuple[str, ...]] | None = None,
    closed: bool = False,
    skip_bad: bool = False,
) -> Arrays:
    """The arrays of `source` that meet `inputs`.

    Args:
        directory: where a relative source starts.
        aside: inputs that are not asked for, whose columns no other input takes: the targets, when
            a model only predicts.
        classes: the codes of text columns and class folders, by input.
        columns: the columns of a table that an input takes, by input.
        closed: text is read only where `classes` has its codes. Without it, as for the first
            training data, an input that has no codes gets those of its column or folders.
        skip_bad: leave out images that cannot be read, and name them in the notes.
    """
    wanted = [Input.of(item) for item in inputs]
    names = {item.name for item in wanted}
    others = [item for item in map(Input.of, aside) if item.name not in names]
    known = Known(dict(classes or {}), dict(columns or {}), closed)
    path, part = find(reading.path_text(source, "the data"), directory)
    try:
        arrays = read(path, part, wanted, others, known, skip_bad)
    except OSError as error:
        raise Error(
            f"{error.filename or path} cannot be read: {error.strerror or error}. Check the file "
            "and its permissions.",
            "N0741",
        ) from error
    for item in others:
        arrays.pop(item.name, None)
    check_rows(arrays, wanted, str(path))
    return arrays


def read(
    path: Path,
    part: str,
    wanted: list[Input],
    aside: list[Input],
    known: Known,
    skip_bad: bool,
) -> Arrays:
    from nnrt.data import idx, images, npz, pixels, table

    name = path.name.lower()
    folder = path.is_dir()
    if folder and idx.is_folder(path):
        only_images(path, skip_bad)
        return idx.read(path, part or "train", wanted, aside)
    no_part(path, part)
    if folder:
        return images.read_folder(path, wanted, known, skip_bad)
    reading.check_regular(path.stat().st_mode, str(path))
    if path.suffix.lower() in pixels.SUFFIXES:
        return images.read_file(path, wanted)
    only_images(path, skip_bad)
    if name.endswith(".npz"):
        return npz.read(path, wanted, aside)
    if name.endswith(".npy"):
        return npz.read_single(path, wanted)
    if name.endswith(TABLE_SUFFIXES):
        return table.read(path, wanted, aside, known)
    raise Error(
        f"{path} is no data that can be read here. Give an .npz file, a .csv file with a header, a "
        "folder of IDX files (MNIST), or a folder with one folder of images for each class.",
        "N0746",
    )


def only_images(path: Path, skip_bad: bool) -> None:
    if skip_bad:
        raise Error(
            f"{path} is no folder of images, and only bad images can be skipped. Leave out "
            "`--skip-bad` (in Python `skip_bad`).",
            "N0746",
        )


def find(source: str, directory: str | os.PathLike[str]) -> tuple[Path, str]:
    """The path that exists, and the part named after `#` (empty without one)."""
    whole = Path(directory, source).expanduser()
    if source and whole.exists():
        return whole, ""
    text, mark, part = source.rpartition("#")
    path = Path(directory, text).expanduser() if mark else whole
    if mark and text and path.exists():
        return path, part
    raise Error(missing(path), "N0740")


def missing(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        while not folder.parent.is_dir():
            folder = folder.parent
        return f"{path} does not exist: there is no folder {folder}.{close_to(folder)}"
    return f"{path} does not exist.{close_to(path)}"


def close_to(path: Path) -> str:
    """What lies beside a path that does not exist, and might have been meant."""
    try:
        names = [item.name for item in path.parent.iterdir() if not item.name.startswith(".")]
    except OSError:
        return ""
    if not names:
        return f" The folder {path.parent} is empty."
    meant = did_you_mean(path.name, names)
    return meant or f" {path.parent} holds {quoted(sorted(names))}."


def no_part(path: Path, part: str) -> None:
    if part:
        raise Error(
            f"{path} has no parts, so `#{part}` means nothing: only a folder of IDX files has "
            "`#train` and `#test`.",
            "N0746",
        )
