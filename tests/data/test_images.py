"""Image sources: folders of class folders, folders of images, one image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from nnrt import data
from nnrt.errors import Error
from PIL import Image

GREY = {"name": "image", "dtype": "u8", "shape": ["N", 4, 6, 1]}
COLOUR = {"name": "image", "dtype": "f32", "shape": ["N", 4, 6, 3]}
OPEN = {"name": "image", "dtype": "u8", "shape": ["N", "H", "W", 3]}
LABEL = {"name": "label", "dtype": "i64", "shape": ["N"]}


def save(path: Path, width: int, height: int, colour: tuple[int, int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    save(tmp_path / "dog" / "b.png", 6, 4, (255, 0, 0))
    save(tmp_path / "cat" / "z.png", 6, 4, (0, 0, 255))
    save(tmp_path / "cat" / "a.bmp", 6, 4, (0, 255, 0))
    (tmp_path / "cat" / "notes.txt").write_text("not an image")
    (tmp_path / "cat" / ".hidden").write_text("not seen")
    return tmp_path


def test_class_folders_in_sorted_order(pets: Path) -> None:
    arrays = data.open(pets, [COLOUR, LABEL])
    assert arrays["image"].shape == (3, 4, 6, 3) and arrays["image"].dtype == np.float32
    assert arrays["image"][:, 0, 0].tolist() == [[0, 255, 0], [0, 0, 255], [255, 0, 0]]
    assert arrays["label"].tolist() == [0, 0, 1] and arrays["label"].dtype == np.int64
    assert arrays.classes == {"label": ("cat", "dog")}
    assert arrays.rows == ("cat/a.bmp", "cat/z.png", "dog/b.png")
    assert arrays.notes == (
        "classes of `label`: cat = 0, dog = 1",
        "cat: not images by their names: `notes.txt`",
    )


def test_grey_images_and_other_shapes_of_labels(pets: Path) -> None:
    label = {"name": "label", "dtype": "f32", "shape": ["N", 1]}
    arrays = data.open(pets, [GREY, label])
    assert arrays["image"].shape == (3, 4, 6, 1) and arrays["image"].dtype == np.uint8
    assert arrays["label"].tolist() == [[0], [0], [1]]


def test_a_second_folder_uses_the_classes_of_the_first(pets: Path) -> None:
    known = {"label": ("ant", "cat", "dog")}
    assert data.open(pets, [GREY, LABEL], classes=known)["label"].tolist() == [1, 1, 2]
    with pytest.raises(Error, match=r"dog is none of the classes of the training data: `cat`"):
        data.open(pets, [GREY, LABEL], classes={"label": ("cat",)})


def test_other_sizes_are_scaled_to_cover_and_cut(tmp_path: Path) -> None:
    pixels = np.zeros((8, 20, 3), np.uint8)
    pixels[:, 4:16] = 200
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    image = data.open(tmp_path, [COLOUR])["image"]
    assert image.shape == (1, 4, 6, 3)
    assert (image[0, :, 1:5] == 200).all()


def test_open_sizes_need_images_of_one_size(pets: Path) -> None:
    assert data.open(pets, [OPEN, LABEL])["image"].shape == (3, 4, 6, 3)
    save(pets / "dog" / "c.png", 5, 5, (1, 2, 3))
    with pytest.raises(Error, match=r"c\.png has 5x5 pixels and .*a\.bmp has 4x6"):
        data.open(pets, [OPEN, LABEL])


def test_one_image_and_a_flat_folder(pets: Path) -> None:
    one = data.open(pets / "dog" / "b.png", [GREY], aside=[LABEL])
    assert one["image"].shape == (1, 4, 6, 1) and one.rows == ("b.png",)
    flat = data.open(pets / "cat", [GREY], aside=[LABEL])
    assert list(flat) == ["image"] and flat.rows == ("a.bmp", "z.png")
    with pytest.raises(Error, match="needs a folder of images for each class"):
        data.open(pets / "cat", [GREY, LABEL])


@pytest.mark.parametrize("content", [b"", b"no image at all"])
def test_a_corrupt_image_is_named(pets: Path, content: bytes) -> None:
    (pets / "cat" / "broken.png").write_bytes(content)
    with pytest.raises(Error, match=r"cat/broken\.png cannot be read as an image"):
        data.open(pets, [GREY, LABEL])


def test_a_truncated_image_is_named(pets: Path) -> None:
    path = pets / "cat" / "noise.png"
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(Error, match=r"cat/noise\.png cannot be read as an image"):
        data.open(pets, [GREY, LABEL])


def test_deep_images_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6), 40000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(Error, match=r"deep\.png has pixels of 16 bits"):
        data.open(tmp_path, [GREY])


def test_inputs_that_images_cannot_meet(pets: Path) -> None:
    with pytest.raises(Error, match="its last dimension must be 1"):
        data.open(pets, [{**GREY, "shape": ["N", 4, 6, 2]}])
    with pytest.raises(Error, match="one input of four dimensions"):
        data.open(pets, [{**GREY, "shape": ["N", 24]}])
    with pytest.raises(Error, match="it has nothing for `box`"):
        data.open(pets, [GREY, {"name": "box", "dtype": "f32", "shape": ["N", 4]}])


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(Error, match="has no images"):
        data.open(tmp_path, [GREY])
