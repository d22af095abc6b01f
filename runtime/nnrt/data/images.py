"""Images: a folder with a folder for each class, a folder of images, or one image.

The images meet the input [N, H, W, C], and the number of their folder, in sorted order, meets the
input with one number a row. C says how they are read: 1 grey, 3 RGB, 4 RGBA. Where H and W are
numbers, an image of another size is scaled, keeping its proportions, until it covers H x W, and
what stands out is cut off on both sides alike; where they are names, all images must have one size.
Values are 0 to 255 (u8): the net scales them. Pillow reads the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnrt.data.types import DTYPES, Array, Arrays, Input, class_note, quoted
from nnrt.errors import Error

if TYPE_CHECKING:
    from PIL import Image as Pillow

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"]
)


def read_folder(
    path: Path, wanted: list[Input], extra: list[Input], classes: dict[str, tuple[str, ...]]
) -> Arrays:
    image = image_input(path, wanted)
    label = label_input(path, image, wanted, extra)
    folders = sorted(item for item in visible(path) if item.is_dir() and has_images(item))
    if label is None or (label in extra and not folders):
        files, left_out = listing(path) if not folders else every(folders)
        if not files:
            raise Error(no_images(path), "N0740")
        rows = [str(file.relative_to(path)) for file in files]
        return Arrays({image.name: decode_all(files, image)}, notes=left_out, rows=rows)
    if not folders:
        raise Error(
            no_images(path) + f" The input {label} needs a folder of images for each class.",
            "N0740",
        )
    names = classes.get(label.name) or tuple(folder.name for folder in folders)
    files, codes, notes = [], [], [class_note(label.name, names)]
    for folder in folders:
        if folder.name not in names:
            raise Error(
                f"{folder} is none of the classes of the training data: {quoted(names)}.", "N0745"
            )
        found, left_out = listing(folder)
        files += found
        codes += [names.index(folder.name)] * len(found)
        notes += left_out
    labels = np.array(codes, DTYPES[label.dtype]).reshape(-1, *([1] * (len(label.shape) - 1)))
    return Arrays(
        {image.name: decode_all(files, image), label.name: labels},
        notes=notes,
        classes={label.name: names},
        rows=[str(file.relative_to(path)) for file in files],
    )


def read_file(path: Path, wanted: list[Input]) -> Arrays:
    image = image_input(path, wanted)
    if len(wanted) > 1:
        raise Error(
            f"{path} is one image, but {len(wanted)} inputs are needed: "
            f"{quoted(item.name for item in wanted)}. Use an .npz file.",
            "N0742",
        )
    return Arrays({image.name: decode_all([path], image)}, rows=[path.name])


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


def label_input(path: Path, image: Input, wanted: list[Input], extra: list[Input]) -> Input | None:
    others = [item for item in wanted if item is not image] or list(extra)
    if not others:
        return None
    if len(others) > 1 or others[0].row_size != 1:
        if others[0] in extra:
            return None
        raise Error(
            f"{path} gives images and the number of their class; it has nothing for "
            f"{quoted(item.name for item in others)}. Use an .npz file.",
            "N0742",
        )
    return others[0]


def visible(path: Path) -> list[Path]:
    return [item for item in path.iterdir() if not item.name.startswith(".")]


def has_images(folder: Path) -> bool:
    return any(item.suffix.lower() in SUFFIXES for item in visible(folder))


def listing(folder: Path) -> tuple[list[Path], list[str]]:
    """The images of one folder in the order of their names, and a note on what else lies there."""
    items = sorted(item for item in visible(folder) if item.is_file())
    files = [item for item in items if item.suffix.lower() in SUFFIXES]
    others = [item.name for item in items if item.suffix.lower() not in SUFFIXES]
    return files, [f"{folder.name}: not images by their names: {quoted(others)}"] if others else []


def every(folders: list[Path]) -> tuple[list[Path], list[str]]:
    pairs = [listing(folder) for folder in folders]
    files = [file for found, _ in pairs for file in found]
    return files, [note for _, notes in pairs for note in notes]


def no_images(path: Path) -> str:
    return f"{path} has no images ({', '.join(sorted(SUFFIXES))})."


def decode_all(files: list[Path], item: Input) -> Array:
    images = decoded(files, item)
    first = next(images)
    result = np.empty((len(files), *first.shape), np.uint8)
    result[0] = first
    for row, image in enumerate(images, start=1):
        if image.shape != first.shape:
            raise Error(
                f"{files[row]} has {size(image)} pixels and {files[0]} has {size(first)}: the "
                f"input {item} leaves the size open, so all images must have the same one. Give H "
                "and W as numbers to scale them.",
                "N0745",
            )
        result[row] = image
    return result if item.dtype == "u8" else result.astype(DTYPES[item.dtype])


def size(image: Array) -> str:
    return f"{image.shape[0]}x{image.shape[1]}"


def decoded(files: list[Path], item: Input) -> Iterator[Array]:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise Error("reading images needs Pillow: `pip install pillow`.", "N0746") from error
    _, height, width, channels = item.shape
    assert isinstance(channels, int)
    for path in files:
        try:
            with Image.open(path) as opened:
                image: Pillow.Image = ImageOps.exif_transpose(opened)
                check_depth(path, image)
                image = image.convert(MODES[channels])
                target = (
                    width if isinstance(width, int) else image.width,
                    height if isinstance(height, int) else image.height,
                )
                if image.size != target:
                    image = ImageOps.fit(image, target, Image.Resampling.BILINEAR)
                pixels = np.asarray(image, np.uint8)
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            raise Error(
                f"{path} cannot be read as an image ({str(error) or type(error).__name__}). "
                "Replace or remove it.",
                "N0741",
            ) from error
        yield pixels.reshape(*pixels.shape[:2], channels)


def check_depth(path: Path, image: Pillow.Image) -> None:
    if image.mode.startswith(("I", "F")):
        raise Error(
            f"{path} has pixels of 16 bits or more, and images are read with 8. Save it with 8 "
            "bits, or put it into an .npz file.",
            "N0741",
        )
