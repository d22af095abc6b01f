"""From a source's text to its arrays: find the file, choose the reader by what it is, check that
the rows agree.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nnrt.data.types import Arrays, Input, check_rows, did_you_mean, quoted
from nnrt.errors import Error

TABLE_SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def open(
    source: str | os.PathLike[str],
    inputs: Iterable[Mapping[str, Any] | Input],
    *,
    directory: str | os.PathLike[str] = "",
    optional: Iterable[Mapping[str, Any] | Input] = (),
    classes: Mapping[str, tuple[str, ...]] | None = None,
) -> Arrays:
    """The arrays of `source` that meet `inputs`, and those of `optional` that it has.

    A relative source starts at `directory`. `classes` gives the codes of text columns and class
    folders, so that a second source (the validation data) uses those of the first.
    """
    wanted = [Input.of(item) for item in inputs]
    names = {item.name for item in wanted}
    extra = [item for item in map(Input.of, optional) if item.name not in names]
    path, part = find(os.fspath(source), directory)
    try:
        arrays = read(path, part, wanted, extra, dict(classes or {}))
    except OSError as error:
        raise Error(
            f"{path} cannot be read: {error.strerror or error}. Check the file and its "
            "permissions.",
            "N0741",
        ) from error
    check_rows(arrays, [*wanted, *extra], str(path))
    return arrays


def read(
    path: Path,
    part: str,
    wanted: list[Input],
    extra: list[Input],
    classes: dict[str, tuple[str, ...]],
) -> Arrays:
    from nnrt.data import idx, images, npz, table

    name = path.name.lower()
    if path.is_dir():
        if idx.is_folder(path):
            return idx.read(path, part or "train", wanted, extra)
        no_part(path, part)
        return images.read_folder(path, wanted, extra, classes)
    no_part(path, part)
    if name.endswith(".npz"):
        return npz.read(path, wanted, extra)
    if name.endswith(".npy"):
        return npz.read_single(path, wanted)
    if name.endswith(TABLE_SUFFIXES):
        return table.read(path, wanted, extra, classes)
    if path.suffix.lower() in images.SUFFIXES:
        return images.read_file(path, wanted)
    raise Error(
        f"{path} is no data that can be read here. Give an .npz file, a .csv file with a header, a "
        "folder of IDX files (MNIST), or a folder with one folder of images for each class.",
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
