"""Images: a folder with a folder for each class, a folder of images, or one image.

The images (see `pixels`) meet the input [N, H, W, C], and the number of their folder meets the
input with one number a row. Folders and files are taken in the order of their names, in which
numbers count by their value. Every visible folder is a class, so that no class's number depends on
whether the images of another can be read; a trained model keeps the classes of its training data.
What cannot be read is an error, or is left out and named in the notes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nnrt.data.pixels import MODES, SUFFIXES, BadImage, decode
from nnrt.data.types import (
    Array,
    Arrays,
    Input,
    Known,
    class_note,
    did_you_mean,
    natural_order,
    quoted,
)
from nnrt.dtypes import numpy_type
from nnrt.errors import Error

SKIPPING = "`--skip-bad` (in Python `nnrt.data.open(…, skip_bad=True)`) leaves such files out."


@dataclass
class Reading:
    """The reading of one source: what its images meet, what was left out, and notes."""

    path: Path
    image: Input
    skip_bad: bool
    notes: list[str] = field(default_factory=list)

    def bad(self, path: Path, problem: BadImage) -> None:
        """Leave a file or folder out, or raise what is wrong with it."""
        if not self.skip_bad:
            raise Error(f"{path} {problem.reason}. {problem.remedy} {SKIPPING}", "N0741")
        self.notes.append(f"skipped {path.relative_to(self.path)}: it {problem.reason}")


def read_folder(path: Path, wanted: list[Input], known: Known, skip_bad: bool) -> Arrays:
    reading = Reading(path, image_input(path, wanted), skip_bad)
    label = label_input(path, reading.image, wanted)
    items = visible(path)
    folders = [item for item in items if item.is_dir() and not is_image(item)]
    if label is None:
        files = listing(reading, path, inside=folders)
        for folder in folders:
            files += listing(reading, folder)
        if not files:
            raise Error(no_images(path), "N0740")
        images, kept = decode_all(reading, files)
        rows = [str(files[place].relative_to(path)) for place in kept]
        return Arrays({reading.image.name: images}, notes=reading.notes, rows=rows)
    if not folders:
        raise Error(
            no_images(path, [item for item in items if is_image(item)])
            + f" The input {label} needs a folder of images for each class.",
            "N0740",
        )
    return read_classes(reading, label, folders, known)


def read_classes(reading: Reading, label: Input, folders: list[Path], known: Known) -> Arrays:
    path = reading.path
    names = class_names(path, label, folders, known)
    reading.notes.append(class_note(label.name, names))
    for item in visible(path):
        if is_image(item):
            remedy = "Move it into the folder of its class."
            reading.bad(item, BadImage("is in no folder of a class", remedy))
    number = {name: code for code, name in enumerate(names)}
    files: list[Path] = []
    codes: list[int] = []
    for folder in folders:
        found = listing(reading, folder)
        if not found:
            others = [item.name for item in visible(folder)]
            what = f"its files: {quoted(others)}" if others else "it is empty"
            reading.bad(
                folder,
                BadImage(
                    f"is the folder of a class and has no image ({what})",
                    "Put images into it or remove it.",
                ),
            )
        files += found
        codes += [number[folder.name]] * len(found)
    images, kept = decode_all(reading, files)
    lost = set(codes) - {codes[place] for place in kept}
    reading.notes += [f"no image of the class `{names[code]}` can be read" for code in sorted(lost)]
    labels = np.array([codes[place] for place in kept], numpy_type(label.dtype))
    return Arrays(
        {
            reading.image.name: images,
            label.name: labels.reshape(-1, *([1] * (len(label.shape) - 1))),
        },
        notes=reading.notes,
        classes={label.name: names},
        rows=[str(files[place].relative_to(path)) for place in kept],
    )


def class_names(path: Path, label: Input, folders: list[Path], known: Known) -> tuple[str, ...]:
    """The names of the classes in the order of their numbers: those of the training data."""
    names = known.classes.get(label.name)
    if names is None:
        if known.closed:
            raise Error(
                f"{path} has folders of classes, and the input {label} has no classes: the "
                "training data gives them, and it had only numbers. Give images and numbers in an "
                ".npz file.",
                "N0745",
            )
        return tuple(folder.name for folder in folders)
    for folder in folders:
        if folder.name not in names:
            raise Error(
                f"{folder} is none of the classes of the training data: {quoted(names)}."
                f"{did_you_mean(folder.name, names)}",
                "N0745",
            )
    return names


def read_file(path: Path, wanted: list[Input]) -> Arrays:
    image = image_input(path, wanted)
    if len(wanted) > 1:
        raise Error(
            f"{path} is one image, but {len(wanted)} inputs are needed: "
            f"{quoted(item.name for item in wanted)}. Use an .npz file.",
            "N0742",
        )
    try:
        pixels = decode(path, image)
    except BadImage as problem:
        raise Error(f"{path} {problem.reason}. {problem.remedy}", "N0741") from problem
    return Arrays({image.name: pixels[None].astype(numpy_type(image.dtype))}, rows=[path.name])


def image_input(path: Path, wanted: list[Input]) -> Input:
    fitting = [item for item in wanted if len(item.shape) == 4]
    if len(fitting) != 1:
        raise Error(
            f"{path} holds images, and they meet one input of four dimensions such as "
            f"u8[N, 224, 224, 3]. The inputs are {', '.join(map(str, wanted))}.",
            "N0742",
        )
    image = fitting[0]
    if image.shape[3] not in MODES or image.dtype == "bool":
        raise Error(
            f"images cannot be read into the input {image}: its last dimension must be 1 (grey), "
            "3 (RGB) or 4 (RGBA), and its type u8 or another number.",
            "N0742",
        )
    return image


def label_input(path: Path, image: Input, wanted: list[Input]) -> Input | None:
    others = [item for item in wanted if item is not image]
    if not others:
        return None
    if len(others) > 1 or others[0].row_size != 1:
        raise Error(
            f"{path} gives images and the number of their class; it has nothing for "
            f"{quoted(item.name for item in others)}. Use an .npz file.",
            "N0742",
        )
    return others[0]


def visible(path: Path) -> list[Path]:
    items = [item for item in path.iterdir() if not item.name.startswith(".")]
    return sorted(items, key=lambda item: natural_order(item.name))


def is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def listing(reading: Reading, folder: Path, inside: list[Path] | None = None) -> list[Path]:
    """The images of one folder; other files are noted. Folders in it that are not in `inside` are
    bad: their images would not be read.
    """
    files, others = [], []
    for item in visible(folder):
        if item.is_dir():
            if item not in (inside or ()):
                reading.bad(
                    item,
                    BadImage(
                        f"is a folder inside {folder}, and only images of that folder itself are "
                        "read",
                        f"Move its images up; if the folders of {folder} are the classes, give "
                        f"{folder} as the data.",
                    ),
                )
        elif not is_image(item):
            others.append(item.name)
        elif item.is_file():
            files.append(item)
        else:
            reading.bad(item, BadImage("is no regular file, or a link that leads nowhere"))
    if others:
        reading.notes.append(f"{folder.name}: not images by their names: {quoted(others)}")
    return files


def no_images(path: Path, found: list[Path] | None = None) -> str:
    if found:
        return f"{path} has {len(found):,} images and no folders."
    return f"{path} has no images ({', '.join(sorted(SUFFIXES))})."


def decode_all(reading: Reading, files: list[Path]) -> tuple[Array, list[int]]:
    """The pixels of all files that can be read, and which of the files these are."""
    item = reading.image
    result: Array | None = None
    kept: list[int] = []
    for place, file in enumerate(files):
        try:
            pixels = decode(file, item)
        except BadImage as problem:
            reading.bad(file, problem)
            continue
        if result is None:
            result = np.empty((len(files), *pixels.shape), np.uint8)
        elif pixels.shape != result.shape[1:]:
            raise Error(
                f"{file} has {size(pixels)} pixels and {files[kept[0]]} has {size(result[0])}: the "
                f"input {item} leaves the size open, so all images must have the same one. Give H "
                "and W as numbers to scale them.",
                "N0745",
            )
        result[len(kept)] = pixels
        kept.append(place)
    if result is None:
        raise Error(f"{reading.path} has no image that can be read.", "N0740")
    result = result[: len(kept)]
    return result if item.dtype == "u8" else result.astype(numpy_type(item.dtype)), kept


def size(image: Array) -> str:
    return f"{image.shape[0]}x{image.shape[1]}"
