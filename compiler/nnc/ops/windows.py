"""Windows that slide over images [N, H, W, C]: output sizes, checks, taps.

For convolution and pooling.
Window attributes: `stride` (2), `padding` (top, bottom, left, right), `dilation` (2).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dims import Dim, lower_bound
from .base import Array, ShapeError
from .shapes import require_no_negative, require_positive


@dataclass(frozen=True)
class Window:
    """Where a convolution or a pooling looks: sizes by height and width."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[Dim, Dim, Dim, Dim]
    dilation: tuple[int, int] = (1, 1)

    @staticmethod
    def of(attributes: Mapping[str, Any], kernel: Sequence[Any]) -> Window:
        rows, columns = kernel
        return Window(
            (rows, columns),
            attributes["stride"],
            attributes["padding"],
            attributes.get("dilation", (1, 1)),
        )

    def check(self, op: str) -> None:
        require_positive(op, "the kernel", self.kernel, 2)
        require_positive(op, "the stride", self.stride, 2)
        require_positive(op, "the dilation", self.dilation, 2)
        require_no_negative(op, "the padding", self.padding, 4)

    def extents(self) -> tuple[int, int]:
        """Height and width that a dilated kernel covers."""
        rows, columns = (
            dilation * (size - 1) + 1
            for dilation, size in zip(self.dilation, self.kernel, strict=True)
        )
        return rows, columns

    def output(self, op: str, height: Dim, width: Dim) -> tuple[Dim, Dim]:
        """Height and width of the result. Raises ShapeError where the window does not fit once."""
        self.check(op)
        made: list[Dim] = []
        sizes = zip(("height", "width"), (height, width), self.extents(), self.stride, strict=True)
        for axis, (name, size, extent, stride) in enumerate(sizes):
            padded = size + self.padding[2 * axis] + self.padding[2 * axis + 1]
            room = padded - extent
            if -lower_bound(room * -1) < 0:
                raise ShapeError(
                    f"the window of `{op}` covers {extent} in {name}, "
                    f"but the padded image has only {padded}",
                    operands=(0,),
                    expected=f"a {name} of at least {extent}, padding included",
                    help='use a smaller kernel, or padding = "same"',
                )
            made.append(room // stride + 1)
        return made[0], made[1]

    def taps(self, height: int, width: int) -> Iterator[tuple[int, int, slice, slice]]:
        """For each place of the kernel: row, column, and the slices of a padded image it meets."""
        rows, columns = self.kernel
        for i in range(rows):
            for j in range(columns):
                yield (
                    i,
                    j,
                    _reach(i * self.dilation[0], self.stride[0], height),
                    _reach(j * self.dilation[1], self.stride[1], width),
                )

    def pad(self, x: Array, value: float = 0.0) -> Array:
        top, bottom, left, right = self.padding
        if not (top or bottom or left or right):
            return x
        widths: Any = ((0, 0), (top, bottom), (left, right), (0, 0))
        return np.pad(x, widths, constant_values=value)

    def crop(self, x: Array, height: int, width: int) -> Array:
        top, left = self.padding[0], self.padding[2]
        return np.ascontiguousarray(x[:, top : top + height, left : left + width])

    def padded_zeros(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        top, bottom, left, right = self.padding
        batch, height, width, channels = shape
        return np.zeros((batch, height + top + bottom, width + left + right, channels), dtype)


def _reach(start: int, stride: int, count: int) -> slice:
    return slice(start, start + stride * (count - 1) + 1, stride)
