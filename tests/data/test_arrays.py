"""`.npz` and `.npy` sources, finding files, and holding out a part."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from nnrt import data
from nnrt.errors import Error

IMAGE = {"name": "image", "dtype": "u8", "shape": ["N", 8, 8, 1]}
LABEL = {"name": "label", "dtype": "i64", "shape": ["N"]}


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    path = tmp_path / "digits.npz"
    image = np.arange(5 * 64, dtype=np.uint8).reshape(5, 8, 8, 1)
    np.savez(path, image=image, label=np.arange(5), weight=np.ones(5))
    return path


def test_arrays_meet_inputs_by_name(digits: Path) -> None:
    arrays = data.open(digits.name, [LABEL, IMAGE], directory=digits.parent)
    assert list(arrays) == ["label", "image"]
    assert arrays["image"].shape == (5, 8, 8, 1)
    assert arrays["label"].tolist() == [0, 1, 2, 3, 4]
    assert arrays.notes == ("digits.npz: not used: `weight`",)


def test_arrays_set_aside_are_neither_read_nor_noted(digits: Path) -> None:
    mask = {"name": "mask", "dtype": "bool", "shape": ["N"]}
    arrays = data.open(digits, [IMAGE], aside=[LABEL, mask])
    assert set(arrays) == {"image"} and arrays.notes == ("digits.npz: not used: `weight`",)


def test_a_missing_array_names_those_that_exist(digits: Path) -> None:
    with pytest.raises(Error, match=r"no array for the input `labels`.*mean `label`") as caught:
        data.open(digits, [{**LABEL, "name": "labels"}])
    assert caught.value.code == "N0742"
    with pytest.raises(Error, match=r"holds `image`, `label`, `weight`"):
        data.open(digits, [{**LABEL, "name": "zzz"}])


def test_a_missing_file_names_what_was_meant(digits: Path) -> None:
    with pytest.raises(Error, match=r"digitz\.npz does not exist\. Did you mean `digits\.npz`"):
        data.open("digitz.npz", [IMAGE], directory=digits.parent)
    with pytest.raises(Error, match=r"holds `digits\.npz`"):
        data.open("unlike", [IMAGE], directory=digits.parent)
    with pytest.raises(Error, match=r"there is no folder .*nowhere"):
        data.open("nowhere/at/all.npz", [IMAGE], directory=digits.parent)


def test_pickles_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "objects.npz"
    np.savez(path, image=np.array([{"a": 1}], dtype=object))
    with pytest.raises(Error, match="`image` holds Python objects"):
        data.open(path, [IMAGE])


@pytest.mark.parametrize("keep", [0, 10, 200, 400])
def test_a_truncated_npz_is_an_error(digits: Path, keep: int) -> None:
    digits.write_bytes(digits.read_bytes()[:keep])
    with pytest.raises(Error, match=r"damaged|cannot be read"):
        data.open(digits, [IMAGE, LABEL])


def test_every_flipped_byte_gives_an_error_or_arrays(tmp_path: Path) -> None:
    path = tmp_path / "small.npz"
    np.savez(path, x=np.arange(3, dtype=np.float32))
    whole = path.read_bytes()
    wanted = [{"name": "x", "dtype": "f32", "shape": ["N"]}]
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        with contextlib.suppress(Error):
            assert isinstance(data.open(path, wanted)["x"], np.ndarray)


def test_rows_must_agree(tmp_path: Path) -> None:
    path = tmp_path / "uneven.npz"
    np.savez(path, image=np.zeros((4, 8, 8, 1), np.uint8), label=np.zeros(3, np.int64))
    with pytest.raises(Error, match="`image` has 4 rows but `label` has 3"):
        data.open(path, [IMAGE, LABEL])


def test_npy_meets_a_single_input(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.ones((2, 3)))
    assert data.open(path, [{"name": "x", "dtype": "f32", "shape": ["N", 3]}])["x"].shape == (2, 3)
    with pytest.raises(Error, match="2 are needed: `image`, `label`"):
        data.open(path, [IMAGE, LABEL])


def test_unknown_kinds_and_parts_are_refused(digits: Path) -> None:
    other = digits.with_name("digits.parquet")
    other.write_bytes(b"PAR1")
    with pytest.raises(Error, match="no data that can be read here"):
        data.open(other, [IMAGE])
    with pytest.raises(Error, match="`#test` means nothing"):
        data.open(f"{digits}#test", [IMAGE])


def test_split_holds_out_a_part_without_loss() -> None:
    arrays = {"x": np.arange(100), "y": np.arange(100) * 2}
    kept, held = data.split(arrays, 0.2, seed=3)
    assert len(kept["x"]) == 80 and len(held["x"]) == 20
    assert sorted([*kept["x"], *held["x"]]) == list(range(100))
    assert (held["y"] == 2 * held["x"]).all()
    assert (held["x"] != np.arange(20)).any() and (held["x"] != np.arange(80, 100)).any()


def test_split_is_the_same_for_the_same_seed_only() -> None:
    arrays = {"x": np.arange(100)}
    again = [data.split(arrays, 0.2, seed)[1]["x"].tolist() for seed in (1, 1, 2)]
    assert again[0] == again[1] != again[2]
    # The same on every machine and in every version: these rows are part of the promise.
    assert data.split({"x": np.arange(10)}, 0.3, 0)[1]["x"].tolist() == [0, 8, 9]


@pytest.mark.parametrize(("rows", "fraction", "held"), [(2, 0.01, 1), (2, 0.99, 1), (3, 0.99, 2)])
def test_split_leaves_a_row_on_each_side(rows: int, fraction: float, held: int) -> None:
    kept_part, held_part = data.split({"x": np.arange(rows)}, fraction)
    assert (len(kept_part["x"]), len(held_part["x"])) == (rows - held, held)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, 5, True])
def test_split_refuses_other_fractions(fraction: float) -> None:
    with pytest.raises(Error, match="between 0 and 1"):
        data.split({"x": np.arange(10)}, fraction)


def test_split_refuses_what_cannot_be_split() -> None:
    with pytest.raises(Error, match="two rows or more"):
        data.split({"x": np.arange(1)}, 0.5)
    with pytest.raises(Error, match="`x` has 3, `y` has 2"):
        data.split({"x": np.arange(3), "y": np.arange(2)}, 0.5)
