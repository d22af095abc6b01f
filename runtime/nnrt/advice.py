"""What to type where an array does not fit its input. Each expression is the array as it was meant:
it never puts numbers into places that they do not belong to, as a reshape of images would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from nnrt.dtypes import kind_of

if TYPE_CHECKING:
    from nnrt.validate import Input

Array = np.ndarray[Any, np.dtype[Any]]
Shape = Sequence[int | str]
Advice = Callable[[Array, "Input", str], str]

CHANNELS = (1, 3, 4)


def fits(shape: Sequence[int], declared: Shape) -> bool:
    """Whether a shape has the declared sizes, where these are numbers."""
    pairs = zip(shape, declared, strict=False)
    return len(shape) == len(declared) and all(
        found == size for found, size in pairs if isinstance(size, int)
    )


def for_shape(array: Array, item: Input, name: str) -> str:
    """A sentence for an array of another shape than the input's, or nothing to advise."""
    kinds: tuple[Advice, ...]
    kinds = (one_row, one_hot, extra_axis, classes, moved_axes, images, flat)
    for advise in kinds:
        text = advise(array, item, name)
        if text:
            return f" {text}"
    return ""


def one_row(array: Array, item: Input, name: str) -> str:
    shape, declared = array.shape, item.shape
    if item.batch_symbol and fits(shape, declared[1:]):
        return f"One row needs its own dimension: `{name}[None]`."
    if len(declared) < 2 or declared[-1] != 1:
        return ""
    if fits(shape, declared[:-1]):
        index = ":, None" if len(shape) == 1 else "..., None"
        return f"The last dimension of 1 is missing: `{name}[{index}]`."
    if item.batch_symbol and fits(shape, declared[1:-1]):
        return f"One row needs its own dimension, and the last one is 1: `{name}[None, ..., None]`."
    return ""


def one_hot(array: Array, item: Input, name: str) -> str:
    """Rows with a number for each class, where the number of the class is wanted."""
    shape = array.shape
    if item.dtype[0] not in "iu" or not shape or shape[-1] < 2 or not array.size:
        return ""
    if not fits(shape[:-1], item.shape):
        return ""
    if ((array == 0) | (array == 1)).all() and (array.sum(-1) == 1).all():
        return f"Its rows are one-hot, with a 1 at the class: `{name}.argmax(-1)`."
    if (
        kind_of(array.dtype) == "f"
        and (array >= 0).all()
        and np.allclose(array.sum(-1), 1, atol=1e-3)
    ):
        sizes = ", ".join(map(str, [*item.shape, shape[-1]]))
        return (
            f"Its rows are probabilities: `{name}.argmax(-1)` is the likeliest class; to learn "
            f"from all of them declare f32[{sizes}]."
        )
    return ""


def extra_axis(array: Array, item: Input, name: str) -> str:
    shape = array.shape
    for axis in reversed(range(len(shape))):
        if shape[axis] == 1 and fits([*shape[:axis], *shape[axis + 1 :]], item.shape):
            if axis + 1 < len(shape):
                index = f".squeeze({axis})"
            else:
                index = "[:, 0]" if axis == 1 else "[..., 0]"
            return f"Its dimension of 1 is one too many: `{name}{index}`."
    return ""


def classes(array: Array, item: Input, name: str) -> str:
    """Numbers of classes, where a row with a number for each class is wanted."""
    declared = item.shape
    if item.dtype[0] != "f" or array.dtype.kind not in "iu" or not declared or not array.size:
        return ""
    count = declared[-1]
    if not isinstance(count, int) or count < 2 or not fits(array.shape, declared[:-1]):
        return ""
    if array.min() < 0 or array.max() >= count:
        return ""
    return (
        f"If these are classes, one-hot rows of them: `np.eye({count}, dtype=np.float32)[{name}]`."
    )


def moved_axes(array: Array, item: Input, name: str) -> str:
    """The same data with its axes in the order of another system."""
    shape, declared = array.shape, item.shape
    orders: dict[tuple[int, int], list[tuple[tuple[int, ...], str]]] = {
        (4, 4): [
            ((0, 2, 3, 1), "Its channels come first, and here they come last"),
            ((3, 0, 1, 2), "Its images are counted by the last dimension, and here by the first"),
            ((3, 1, 2, 0), "Its images are counted by the last dimension, and here by the first"),
        ],
        (3, 3): [((0, 2, 1), "If its last two dimensions are swapped")],
        (2, 2): [((1, 0), "Its rows are columns here")],
    }
    for order, what in orders.get((len(shape), len(declared)), []):
        if fits([shape[axis] for axis in order], declared):
            axes = ", ".join(map(str, order))
            return f"{what}: `{name}.transpose({axes})`."
    if len(shape) == 3 and fits([shape[axis] for axis in (1, 2, 0)], declared[1:]):
        return (
            "Its channels come first, and here they come last; one image needs its own dimension: "
            f"`{name}.transpose(1, 2, 0)[None]`."
        )
    return ""


def images(array: Array, item: Input, name: str) -> str:
    """Images of another size, or with other channels."""
    shape, declared = array.shape, item.shape
    if len(shape) != 4 or len(declared) != 4 or declared[3] not in CHANNELS:
        return ""
    channels = int(declared[3])
    if shape[3] != channels and shape[1] == channels:
        return (
            "Its channels come first, and here they come last: "
            f"`{name}.transpose(0, 2, 3, 1)`. Its images have another size, too."
        )
    if shape[3] != channels:
        return other_channels(array, channels, name) if fits(shape[:3], declared[:3]) else ""
    _, height, width, _ = declared
    text = (
        f"Its images are {shape[1]}x{shape[2]}, and {height}x{width} are needed: resize them with "
        "an image library"
    )
    if array.dtype != np.uint8 or not isinstance(height, int) or not isinstance(width, int):
        return f"{text}, before they become an array."
    one, end = ("one[..., 0]", "[..., None]") if channels == 1 else ("one", "")
    resized = f"np.asarray(Image.fromarray({one}).resize(({width}, {height})))"
    return (
        f"{text}, as in `np.stack([{resized} for one in {name}]){end}` (`from PIL import Image`)."
    )


def other_channels(array: Array, channels: int, name: str) -> str:
    found = array.shape[3]
    if channels == 1 and found == 3:
        return f"Its images have colours; grey ones: `{name}.mean(-1, keepdims=True)`." + (
            f" Rounded: `{name}.mean(-1, keepdims=True).round().astype(np.uint8)`."
            if array.dtype == np.uint8
            else ""
        )
    if channels == 3 and found == 1:
        return f"Its images are grey; with three equal channels: `{name}.repeat(3, axis=-1)`."
    if channels == 3 and found == 4:
        return f"Its images have an alpha channel; without it: `{name}[..., :3]`."
    return ""


def flat(array: Array, item: Input, name: str) -> str:
    """Rows that are flat here or there. The order of numbers in a flat row is not known."""
    shape, declared = array.shape, item.shape
    sizes = [size for size in declared[1:] if isinstance(size, int)]
    if not item.batch_symbol or len(sizes) + 1 != len(declared) or not sizes or not array.size:
        return ""
    row = prod(sizes)
    whole = ", ".join(["-1", *map(str, sizes)])
    if len(declared) == 2 and len(shape) > 2 and prod(shape[1:]) == row:
        return f"Each row flat: `{name}.reshape(len({name}), -1)`."
    if len(shape) == 1 and len(declared) == 2 and row > 1 and array.size % row == 0:
        return f"If it holds one row after another, `{name}.reshape({whole})` would fit."
    if len(shape) == 3 and len(declared) == 4 and shape[1:] == (sizes[0] * sizes[1], sizes[2]):
        return f"If its pixels come line by line: `{name}.reshape({whole})`."
    if len(shape) != 2 or len(declared) < 3 or shape[1] != row:
        return ""
    if len(sizes) == 2:
        return f"If a row holds one step after another: `{name}.reshape({whole})`."
    if len(sizes) == 3 and sizes[2] > 1:
        height, width, channels = sizes
        return (
            f"If a row holds one pixel after another: `{name}.reshape({whole})`; if it holds one "
            f"channel after another, as CIFAR does: "
            f"`{name}.reshape(-1, {channels}, {height}, {width}).transpose(0, 2, 3, 1)`."
        )
    return f"If a row holds one line after another: `{name}.reshape({whole})`."


def for_type(array: Array, dtype: str, wanted: np.dtype[Any], name: str) -> str:
    """A sentence for numbers of a type that the input does not take as they are."""
    if wanted.kind == "b":
        if ((array == 0) | (array == 1)).all():
            return f" `{name}.astype(np.bool_)` takes 1 as true."
        return f" If all but 0 is true: `{name} != 0`."
    if not np.isfinite(array).all():
        where = [int(index) for index in np.argwhere(~np.isfinite(array))[0]]
        return f" It holds {array[tuple(where)]} at {where}: remove or replace such values."
    if not array.size:
        return f" `{name}.astype(np.{wanted.name})` makes whole numbers of them."
    low, high = float(array.min()), float(array.max())
    limits = np.iinfo(wanted)
    if low < limits.min or high > limits.max:
        value = low if low < limits.min else high
        return f" The value {value:g} does not fit {dtype}: declare the input as f32."
    parts = np.argwhere(array != np.floor(array))
    scaled = f"`({name} * 255).round().astype(np.{wanted.name})`"
    pixels = dtype == "u8" and low >= 0 and high <= 1 and array.ndim > 1
    if not len(parts):
        whole = f"`{name}.astype(np.{wanted.name})`"
        if pixels:
            return f" If 1 is full brightness: {scaled}; else: {whole}."
        return f" All are whole numbers: {whole}."
    if pixels:
        return f" If 1 is full brightness: {scaled}; or declare the input as f32."
    where = [int(index) for index in parts[0]]
    return f" {array[tuple(where)]} at {where} is no whole number: declare the input as f32."


def for_limit(array: Array, limit: int, name: str) -> str:
    """A sentence for indices that are out of range together."""
    if int(array.min()) == 1 and int(array.max()) == limit:
        return f" If they are counted from 1: `{name} - 1`."
    return ""
