"""Folders of IDX files with the names of MNIST."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from nnrt import data
from nnrt.errors import Error

IMAGE = {"name": "image", "dtype": "u8", "shape": ["N", 4, 3, 1]}
LABEL = {"name": "label", "dtype": "i64", "shape": ["N"]}


def idx_bytes(array: np.ndarray, code: int = 8) -> bytes:
    header = struct.pack(">BBBB", 0, 0, code, array.ndim)
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    image = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
    label = np.array([3, 1, 4, 1, 5], np.uint8)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(image))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx_bytes(label))
    packed = gzip.compress(idx_bytes(image[:2] + 100))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(packed)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(label[:2])))
    return tmp_path


def test_the_training_part(folder: Path) -> None:
    for source in (str(folder), f"{folder}#train"):
        arrays = data.open(source, [LABEL, IMAGE])
        assert arrays["image"].shape == (5, 4, 3, 1) and arrays["image"].dtype == np.uint8
        assert arrays["image"].ravel().tolist() == list(range(60))
        assert arrays["label"].tolist() == [3, 1, 4, 1, 5]
        assert arrays["label"].dtype == np.int64


def test_the_test_part_is_named_after_a_hash(folder: Path) -> None:
    arrays = data.open(f"{folder.name}#test", [IMAGE, LABEL], directory=folder.parent)
    assert arrays["image"].ravel().tolist() == list(range(100, 124))
    assert arrays["label"].tolist() == [3, 1]


def test_files_meet_inputs_of_other_names_by_their_dimensions(folder: Path) -> None:
    x = {"name": "x", "dtype": "u8", "shape": ["N", "H", "W"]}
    y = {"name": "y", "dtype": "i32", "shape": ["N"]}
    arrays = data.open(folder, [x, y])
    assert arrays["x"].shape == (5, 4, 3)
    assert arrays["y"].dtype == np.int32


def test_an_input_without_a_file(folder: Path) -> None:
    with pytest.raises(Error, match=r"no file for the input `w`.*`images`, `labels`"):
        data.open(folder, [IMAGE, {"name": "w", "dtype": "f32", "shape": ["N", 2]}])
    with pytest.raises(Error, match=r"no part `tset`: write `#train` or `#test`"):
        data.open(f"{folder}#tset", [IMAGE])


def test_a_part_without_files(folder: Path) -> None:
    for path in folder.glob("t10k-*"):
        path.unlink()
    with pytest.raises(Error, match="no files of the part `test`"):
        data.open(f"{folder}#test", [IMAGE])


@pytest.mark.parametrize("keep", [0, 3, 4, 15, 16, 75])
def test_truncated_files(folder: Path, keep: int) -> None:
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(Error, match=r"train-images-idx3-ubyte is (damaged|not an IDX file)"):
        data.open(folder, [IMAGE])


@pytest.mark.parametrize("keep", [0, 5, 12, 40])
def test_truncated_gzip(folder: Path, keep: int) -> None:
    path = folder / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(Error, match=r"t10k-images-idx3-ubyte.gz is (damaged|not an IDX file)"):
        data.open(f"{folder}#test", [IMAGE])


def test_a_header_that_promises_too_much_allocates_nothing(folder: Path) -> None:
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(struct.pack(">BBBBIII", 0, 0, 8, 3, 2**31, 2**31, 2**31))
    with pytest.raises(Error, match="is damaged"):
        data.open(folder, [IMAGE])


@pytest.mark.parametrize(
    ("code", "dtype", "expected"),
    [(0x0B, ">i2", np.int32), (0x0C, ">i4", np.int32), (0x0D, ">f4", np.float32)],
)
def test_other_element_types(folder: Path, code: int, dtype: str, expected: type) -> None:
    values = np.array([[1, 2], [3, -4]], dtype)
    (folder / "train-features-idx2-short").write_bytes(idx_bytes(values, code))
    wanted = [{"name": "features", "dtype": "f32", "shape": ["N", 2]}]
    array = data.open(folder, wanted)["features"]
    assert array.dtype == expected and array.tolist() == [[1, 2], [3, -4]]
