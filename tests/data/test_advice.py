"""What an error advises is right: each test types the advice, sees the mistake gone, and sees that
the numbers are the ones that were meant.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from nnrt import Error
from nnrt.validate import Input, checked
from PIL import Image

Array = np.ndarray[Any, Any]

PHOTO = Input("image", "u8", ("N", 4, 6, 3))
GREY = Input("image", "u8", ("N", 4, 6, 1))
LABEL = Input("label", "i64", ("N",))
RNG = np.random.default_rng(0)
PHOTOS = RNG.integers(0, 256, (5, 4, 6, 3), np.uint8)
GREYS = RNG.integers(0, 256, (5, 4, 6, 1), np.uint8)


def message(value: Any, item: Input) -> str:
    with pytest.raises(Error) as caught:
        checked([value], [item])
    return str(caught.value)


def expressions(text: str, name: str) -> list[str]:
    """The advised expressions: what stands in backticks and works with the array."""
    found = re.findall(r"`([^`]+)`", text)
    return [part for part in found if part != name and re.search(rf"\b{name}\b", part)]


def followed(value: Any, item: Input, which: int = 0, steps: int = 1) -> Array:
    """The array after the advice is followed, accepted by the input."""
    for _ in range(steps):
        text = message(value, item)
        scope = {item.name: value, "np": np, "Image": Image}
        found = expressions(text, item.name)
        assert len(found) > which, text
        if found[which].startswith("codes = "):
            exec(found[which], scope)
            which += 1
        value = eval(found[which], scope)
        which = 0
    (array,) = checked([value], [item])
    return array


# ---------------------------------------------------------------- axes


def test_channels_first() -> None:
    moved = np.ascontiguousarray(PHOTOS.transpose(0, 3, 1, 2))
    assert "`image.transpose(0, 2, 3, 1)`" in message(moved, PHOTO)
    assert "reshape" not in message(moved, PHOTO)
    np.testing.assert_array_equal(followed(moved, PHOTO), PHOTOS)
    one = GREYS.transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(followed(one, GREY), GREYS)
    opened = Input("image", "u8", ("N", "H", "W", 3))
    np.testing.assert_array_equal(followed(moved, opened), PHOTOS)


@pytest.mark.parametrize("axes", [(1, 2, 3, 0), (3, 1, 2, 0)])
def test_images_counted_by_the_last_axis(axes: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(followed(PHOTOS.transpose(axes), PHOTO), PHOTOS)


def test_one_image_with_its_channels_first() -> None:
    one = PHOTOS[2].transpose(2, 0, 1)
    np.testing.assert_array_equal(followed(one, PHOTO), PHOTOS[2:3])


def test_features_before_steps_and_columns_for_rows() -> None:
    steps = Input("x", "f32", ("N", "T", 7))
    right = RNG.random((5, 9, 7), np.float32)
    np.testing.assert_array_equal(followed(right.transpose(0, 2, 1), steps), right)
    table = Input("x", "f32", ("N", 4))
    rows = RNG.random((9, 4), np.float32)
    np.testing.assert_array_equal(followed(rows.T, table), rows)


# ---------------------------------------------------------------- images


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_images_of_another_size_are_resized(channels: int) -> None:
    item = Input("image", "u8", ("N", 4, 6, channels))
    large = np.zeros((2, 8, 12, channels), np.uint8)
    large[:, :, 6:] = 200  # the right half is bright, and stays so
    text = message(large, item)
    assert "reshape" not in text and "image library" in text
    small = followed(large, item)
    assert (small[:, :, 4:] > 150).all() and (small[:, :, :2] < 50).all()


def test_images_that_need_a_library_have_no_expression() -> None:
    floats = Input("image", "f32", ("N", 4, 6, 3))
    text = message(np.zeros((2, 8, 12, 3), np.float32), floats)
    assert "resize them with an image library" in text and not expressions(text, "image")
    # A reshape would be accepted here, and scramble the pixels.
    text = message(np.zeros((2, 6, 4, 3), np.float32), floats)
    assert "resize" in text and "reshape" not in text and "transpose" not in text


def test_channels_first_and_another_size() -> None:
    large = np.zeros((2, 3, 8, 12), np.uint8)
    large[:, 2] = 90
    small = followed(large, PHOTO, steps=2)
    assert (small[..., 2] == 90).all() and not small[..., :2].any()


def test_other_channels() -> None:
    grey = followed(PHOTOS, GREY, which=1)
    assert abs(grey[..., 0].astype(float) - PHOTOS.mean(-1)).max() <= 0.5
    np.testing.assert_array_equal(followed(GREYS, PHOTO), np.concatenate([GREYS] * 3, -1))
    alpha = np.concatenate([PHOTOS, GREYS], -1)
    np.testing.assert_array_equal(followed(alpha, PHOTO), PHOTOS)
    floats = Input("image", "f32", ("N", 4, 6, 1))
    np.testing.assert_allclose(
        followed(PHOTOS.astype(np.float32), floats)[..., 0], PHOTOS.mean(-1), rtol=1e-6
    )


def test_missing_and_needless_axes() -> None:
    np.testing.assert_array_equal(followed(GREYS[..., 0], GREY), GREYS)
    np.testing.assert_array_equal(followed(GREYS[0, ..., 0], GREY), GREYS[:1])
    np.testing.assert_array_equal(followed(GREYS[0], GREY), GREYS[:1])
    plain = Input("image", "u8", ("N", 4, 6))
    np.testing.assert_array_equal(followed(GREYS, plain), GREYS[..., 0])
    np.testing.assert_array_equal(followed(GREYS.transpose(0, 3, 1, 2), plain), GREYS[..., 0])
    np.testing.assert_array_equal(followed(GREYS[None], GREY), GREYS)


# ---------------------------------------------------------------- rows and labels


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_columns_of_one_number() -> None:
    numbers = np.array([3, 1, 4])
    np.testing.assert_array_equal(followed(numbers[:, None], LABEL), numbers)
    assert "`label[:, 0]`" in message(numbers[:, None], LABEL)
    column = Input("y", "f32", ("N", 1))
    np.testing.assert_array_equal(followed(np.float32([3, 1]), column), [[3], [1]])
    assert "`y[:, None]`" in message(np.float32([3, 1]), column)
    np.testing.assert_array_equal(followed([3.0, 1.0], column), [[3], [1]])
    np.testing.assert_array_equal(followed(5, LABEL), [5])
    matrix: Any = np.matrix([[3], [1]])
    np.testing.assert_array_equal(followed(matrix, LABEL), [3, 1])


def test_one_row() -> None:
    item = Input("x", "f32", ("N", 3))
    np.testing.assert_array_equal(followed(np.float32([1, 2, 3]), item), [[1, 2, 3]])
    np.testing.assert_array_equal(followed([1, 2, 3], item), [[1, 2, 3]])
    np.testing.assert_array_equal(followed(np.arange(6), item), [[0, 1, 2], [3, 4, 5]])


def test_one_hot_labels() -> None:
    numbers = np.array([3, 0, 1])
    for one_hot in (np.eye(4)[numbers], np.eye(4, dtype=np.int64)[numbers], np.eye(4) > 2):
        if one_hot.any():
            assert "reshape" not in message(one_hot, LABEL)
            np.testing.assert_array_equal(followed(one_hot, LABEL), numbers)
    np.testing.assert_array_equal(followed(np.eye(4)[[2]], LABEL), [2])
    pixels = Input("label", "i32", ("N", "H", "W"))
    areas = RNG.integers(0, 5, (2, 3, 4))
    np.testing.assert_array_equal(followed(np.eye(5)[areas], pixels), areas)
    soft = np.float32([[0.1, 0.9], [0.7, 0.3]])
    assert "declare f32[N, 2]" in message(soft, LABEL)
    np.testing.assert_array_equal(followed(soft, LABEL), [1, 0])
    assert not expressions(message(np.array([[3, 4], [5, 6]]), LABEL), "label")


def test_classes_for_rows_of_probabilities() -> None:
    item = Input("label", "f32", ("N", 4))
    numbers = np.array([3, 0, 1])
    np.testing.assert_array_equal(followed(numbers, item), np.eye(4)[numbers])
    assert not expressions(message(np.array([4, 0, 1]), item), "label")


def test_labels_counted_from_1() -> None:
    item = Input("label", "i64", ("N",), limit=3)
    np.testing.assert_array_equal(followed(np.array([1, 3, 2]), item), [0, 2, 1])
    assert not expressions(message(np.array([0, 3, 2]), item), "label")
    assert not expressions(message(np.array([1, 7, 2]), item), "label")


def test_flat_rows_and_rows_to_flatten() -> None:
    flat = Input("image", "u8", ("N", 72))
    np.testing.assert_array_equal(followed(PHOTOS, flat), PHOTOS.reshape(5, 72))
    np.testing.assert_array_equal(followed(GREYS.reshape(5, 24), GREY), GREYS)
    np.testing.assert_array_equal(followed(PHOTOS.reshape(5, 24, 3), PHOTO), PHOTOS)
    # A flat row of colours has one of two orders, and the advice tells them apart.
    np.testing.assert_array_equal(followed(PHOTOS.reshape(5, 72), PHOTO, which=0), PHOTOS)
    planes = PHOTOS.transpose(0, 3, 1, 2).reshape(5, 72)
    np.testing.assert_array_equal(followed(planes, PHOTO, which=1), PHOTOS)
    steps = Input("x", "f32", ("N", 3, 2))
    right = RNG.random((4, 3, 2), np.float32)
    np.testing.assert_array_equal(followed(right.reshape(4, 6), steps), right)
    for shape in ((4, 7), (0, 6), (4, 2, 3, 2)):
        assert not expressions(message(np.zeros(shape, np.float32), steps), "x")


# ---------------------------------------------------------------- types


def test_pixels_between_0_and_1() -> None:
    scaled = PHOTOS.astype(np.float32) / np.float32(255)
    text = message(scaled, PHOTO)
    assert "declare the input as f32" in text and "Round" not in text
    np.testing.assert_array_equal(followed(scaled, PHOTO), PHOTOS)
    black_and_white = (PHOTOS > 99).astype(np.float64)
    np.testing.assert_array_equal(followed(black_and_white, PHOTO), black_and_white * 255)
    np.testing.assert_array_equal(followed(black_and_white, PHOTO, which=1), black_and_white)
    listed = [[0.0, 1.0, 0.2]]
    item = Input("x", "u8", ("N", 3))
    np.testing.assert_array_equal(followed(listed, item), [[0, 255, 51]])


def test_floats_for_whole_numbers() -> None:
    np.testing.assert_array_equal(followed(np.array([0.0, 2.0]), LABEL), [0, 2])
    np.testing.assert_array_equal(followed([0.0, 2.0], LABEL), [0, 2])
    for values, said in [
        ([0.0, 0.5], r"0.5 at [1] is no whole number: declare the input as f32"),
        ([0.0, np.nan], "nan at [1]"),
        ([0.0, 1e30], "1e+30 does not fit i64"),
    ]:
        text = message(np.array(values), LABEL)
        assert said in text and not expressions(text, "label")


def test_numbers_for_truth() -> None:
    item = Input("mask", "bool", ("N",))
    np.testing.assert_array_equal(followed(np.array([0, 1, 0]), item), [False, True, False])
    np.testing.assert_array_equal(followed(np.array([0.0, 7, 1]), item), [False, True, True])


# ---------------------------------------------------------------- what is no plain array


class Sparse:
    """As SciPy's matrices: NumPy makes one object of it."""

    nnz = 2

    def toarray(self) -> Array:
        return np.eye(3, dtype=np.float32)


class Column:
    """As a column of pandas: NumPy gets its values as objects."""

    def __init__(self, *values: Any) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return np.array(self.values, object)


class NAType:
    def __repr__(self) -> str:
        return "<NA>"


ROWS = Input("x", "f32", ("N", 3))
NUMBERS = Input("x", "f32", ("N",))


@pytest.mark.filterwarnings("ignore:.*masked element")
def test_masked_arrays() -> None:
    values = np.ma.MaskedArray(np.float32([[1, 2, 3], [4, -999, 6]]), [[0, 0, 0], [0, 1, 0]])
    text = message(values, ROWS)
    assert "1 masked values" in text
    np.testing.assert_array_equal(followed(values, ROWS, 0), [[1, 2, 3], [4, 0, 6]])
    np.testing.assert_array_equal(followed(values, ROWS, 1), [[1, 2, 3]])
    target = np.ma.masked_equal(np.float32([1, -999, 3]), -999)
    np.testing.assert_array_equal(followed(target, NUMBERS, 1), [1, 3])
    np.testing.assert_array_equal(followed([values[0], values[1]], ROWS, 1), [[1, 2, 3]])
    np.testing.assert_array_equal(followed([1.0, np.ma.masked], NUMBERS, 1), [1])
    # Nothing is lost where nothing is masked.
    np.testing.assert_array_equal(checked([np.ma.array([1.0, 2.0])], [NUMBERS])[0], [1, 2])


def test_missing_values() -> None:
    for missing in (None, NAType(), float("nan")):
        text = message(Column(1, missing, 3), NUMBERS)
        assert "no value at [1]" in text and "drop" in text
    assert "no value at [1]" in message([1, None], NUMBERS)
    assert "no value at [0, 1]" in message([["a", None]], ROWS)


def test_objects_that_are_numbers() -> None:
    np.testing.assert_array_equal(followed(Column(1, 2.5, Decimal("0.5")), NUMBERS), [1, 2.5, 0.5])
    np.testing.assert_array_equal(followed(np.array([1, 2], object), LABEL_X), [1, 2])


LABEL_X = Input("x", "i64", ("N",))


def test_sparse_matrices_and_things_to_iterate() -> None:
    np.testing.assert_array_equal(followed(Sparse(), ROWS), np.eye(3))
    np.testing.assert_array_equal(followed({1.0, 2.0}, NUMBERS), [1, 2])
    text = message((number for number in (1.0, 2.0)), NUMBERS)
    assert "A `generator` is no array" in text and "`np.array(list(x))`" in text
    assert "A `object` is no array" in message(object(), NUMBERS)
    assert "A `NoneType` is no array" in message(None, NUMBERS)
    ragged = np.empty(2, object)
    ragged[:] = [[1, 2], [3]]
    assert "differ in shape" in message(ragged, ROWS)


def test_text() -> None:
    np.testing.assert_array_equal(followed(np.array(["1.5", "2"]), NUMBERS), [1.5, 2])
    np.testing.assert_array_equal(followed(["1", "2"], LABEL_X), [1, 2])
    np.testing.assert_array_equal(followed(np.array(["b", "a", "b"]), LABEL_X), [1, 0, 1])
    np.testing.assert_array_equal(followed(Column("b", "a"), LABEL_X), [1, 0])
    assert "integer input" in message(np.array(["a"]), NUMBERS)


def test_times() -> None:
    days = np.array(["1970-01-02", "1970-01-04T12"], "datetime64[h]")
    np.testing.assert_array_equal(followed(days, NUMBERS), [1, 3.5])
    np.testing.assert_array_equal(followed(days, LABEL_X), [86400, 302400])
    spans = days - days[0]
    np.testing.assert_array_equal(followed(spans, NUMBERS), [0, 216000])
    np.testing.assert_array_equal(followed(spans, LABEL_X), [0, 216000])
    assert "no time at [1]" in message(np.array(["2020", "NaT"], "datetime64[s]"), NUMBERS)


def test_complex_and_structured_arrays() -> None:
    np.testing.assert_array_equal(followed(np.array([1 + 0j, 2]), NUMBERS), [1, 2])
    assert "as two inputs" in message(np.array([1 + 2j]), NUMBERS)
    fields = np.array([(1, 2, 3), (4, 5, 6)], [("a", "f4"), ("b", "i4"), ("c", "f8")])
    np.testing.assert_array_equal(followed(fields, ROWS), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_arrays_that_are_taken_as_they_are(tmp_path: Any) -> None:
    right = np.float32([[1, 2, 3]])
    np.save(tmp_path / "x.npy", right)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for value in (
        mapped,
        right.astype(">f4"),
        np.matrix(right),
        right.astype(np.float16),
        [[1, 2, 3]],
    ):
        (array,) = checked([value], [ROWS])
        assert type(array) is np.ndarray and array.dtype == np.float32 and array.dtype.isnative
        np.testing.assert_array_equal(array, right)
    assert checked([np.array([1, 2], ">i8")], [LABEL_X])[0].dtype.isnative


def test_parameters_lose_no_mask() -> None:
    import nnc

    model = nnc.compile("net A {\n    input x: f32[N, 3]\n    output y = x -> dense(1)\n}\n")
    masked: Any = np.ma.array([[1], [2], [3]], mask=[[0], [1], [0]], dtype=np.float32)
    before = model.parameters["weight"].copy()
    with pytest.raises(Error, match="1 masked values"):
        model.parameters["weight"] = masked
    with pytest.raises(Error, match="1 masked values"):
        model.set_weights({**model.weights(), model.parameters.full_name("weight"): masked})
    np.testing.assert_array_equal(model.parameters["weight"], before)
