"""One image file as an array [H, W, C] of u8, read by Pillow.

C says how it is read: 1 grey, 3 RGB, 4 RGBA. Where H and W are numbers, an image of another size is
scaled, keeping its proportions, until it covers H x W, and what stands out is cut off on both sides
alike. A file whose pixels would lose something else (16 bits, transparency, further pictures) is
refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnrt.data.types import Array, Input
from nnrt.errors import Error

if TYPE_CHECKING:
    from PIL import Image as Pillow

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
SUFFIXES = frozenset(
    [".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm"]
)
# Formats with several pictures; a JPEG with a preview (MPO) counts as one picture.
SEVERAL = ("GIF", "TIFF", "WEBP", "PNG")


@dataclass
class BadImage(Exception):
    """Why a file gives no pixels (a sentence without its subject), and what to do about it."""

    reason: str
    remedy: str = "Replace or remove it."


def decode(path: Path, item: Input) -> Array:
    """The pixels of a file as the input takes them. Raises BadImage."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise Error("reading images needs Pillow: `pip install pillow`.", "N0746") from error
    _, height, width, channels = item.shape
    assert isinstance(channels, int)
    try:
        with Image.open(path) as opened:
            check_one_picture(opened)
            check_depth(opened)
            image: Pillow.Image = ImageOps.exif_transpose(opened)
            image = check_opaque(image, channels).convert(MODES[channels])
            target = (
                width if isinstance(width, int) else image.width,
                height if isinstance(height, int) else image.height,
            )
            if image.size != target:
                image = ImageOps.fit(image, target, Image.Resampling.BILINEAR)
            pixels = np.asarray(image, np.uint8)
    except BadImage:
        raise
    except Exception as error:  # a damaged file makes Pillow raise nearly anything
        what = str(error) or type(error).__name__
        raise BadImage(f"cannot be read as an image ({what})") from error
    return pixels.reshape(*pixels.shape[:2], channels)


def check_one_picture(image: Pillow.Image) -> None:
    if image.format in SEVERAL and getattr(image, "is_animated", False):
        count = getattr(image, "n_frames", 2)
        raise BadImage(
            f"holds {count} pictures, and an image is one", "Save each as a file of its own."
        )


def check_depth(image: Pillow.Image) -> None:
    """Pillow cuts some 16-bit formats down to 8 silently: the way it decodes them tells."""
    tiles: list[Any] = list(getattr(image, "tile", []))
    deep = any("16" in part or part == "65535" for tile in tiles for part in words(*tile[3:]))
    if image.mode.startswith(("I", "F")) or deep:
        raise BadImage(
            "has pixels of 16 bits or more, and images are read with 8",
            "Save it with 8 bits, or put it into an .npz file.",
        )


def words(arguments: Any = ()) -> list[str]:
    return list(map(str, arguments if isinstance(arguments, tuple) else (arguments,)))


def check_opaque(image: Pillow.Image, channels: int) -> Pillow.Image:
    """An image without transparency, where the input has no channel for it."""
    if channels == 4 or not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema() != (255, 255):
        raise BadImage(
            f"has transparent pixels, and the input has {channels} channel"
            f"{'s' if channels > 1 else ''}",
            "Put it on a background, or declare 4 channels.",
        )
    return image
