"""Folders of images: no file and no class is lost silently, and no class's number shifts."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnrt import data
from nnrt.errors import Error
from PIL import Image

GREY = {"name": "image", "dtype": "u8", "shape": ["N", 4, 4, 1]}
COLOUR = {"name": "image", "dtype": "u8", "shape": ["N", 4, 4, 3]}
CLEAR = {"name": "image", "dtype": "u8", "shape": ["N", 4, 4, 4]}
LABEL = {"name": "label", "dtype": "i64", "shape": ["N"]}


def save(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), value).save(path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    path = tmp_path / "pets"
    for value, name in enumerate(["ant/a.png", "cat/a.png", "cat/b.png", "dog/a.png"]):
        save(path / name, value)
    return path


def read(path: Path, **options: Any) -> data.Arrays:
    return data.open(path, [GREY, LABEL], **options)


@pytest.mark.parametrize("files", [[], ["notes.txt", "photo.heic"]])
def test_a_class_folder_without_images_is_an_error(pets: Path, files: list[str]) -> None:
    (pets / "bee").mkdir()
    for name in files:
        (pets / "bee" / name).write_text("no image")
    with pytest.raises(Error, match=r"bee is the folder of a class and has no image") as caught:
        read(pets)
    assert "`--skip-bad`" in str(caught.value)
    assert all(name in str(caught.value) for name in files)
    arrays = read(pets, skip_bad=True)
    assert arrays.classes == {"label": ("ant", "bee", "cat", "dog")}
    assert arrays["label"].tolist() == [0, 2, 2, 3]
    assert any(note.startswith("skipped bee: ") for note in arrays.notes)


def test_a_class_whose_images_are_all_bad_keeps_its_number(pets: Path) -> None:
    (pets / "ant" / "a.png").write_bytes(b"")
    with pytest.raises(Error, match=r"ant/a\.png cannot be read as an image"):
        read(pets)
    arrays = read(pets, skip_bad=True)
    assert arrays["label"].tolist() == [1, 1, 2]
    assert arrays["image"][:, 0, 0, 0].tolist() == [1, 2, 3]
    assert arrays.rows == ("cat/a.png", "cat/b.png", "dog/a.png")
    assert "no image of the class `ant` can be read" in arrays.notes
    assert any(note.startswith("skipped ant/a.png: it cannot be read") for note in arrays.notes)
    (pets / "cat" / "a.png").write_bytes(b"GIF89a")
    assert read(pets, skip_bad=True)["image"][:, 0, 0, 0].tolist() == [2, 3]


def test_nothing_that_can_be_read(pets: Path) -> None:
    for path in pets.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(Error, match="has no image that can be read"):
        read(pets, skip_bad=True)


def test_numbers_in_names_count_by_their_value(tmp_path: Path) -> None:
    for name in ("10", "2", "1", "02", "x10", "x9"):
        for file in ("img10.png", "img2.png"):
            save(tmp_path / name / file)
    arrays = read(tmp_path)
    assert arrays.classes == {"label": ("1", "02", "2", "10", "x9", "x10")}
    assert arrays.rows[:2] == ("1/img2.png", "1/img10.png")
    flat = data.open(tmp_path / "10", [GREY])
    assert flat.rows == ("img2.png", "img10.png")


def test_a_trained_model_keeps_its_classes(tmp_path: Path) -> None:
    for name in ("2", "10"):
        save(tmp_path / name / "a.png")
    assert read(tmp_path, classes={"label": ("10", "2")})["label"].tolist() == [1, 0]
    with pytest.raises(Error, match="has no classes"):
        read(tmp_path, closed=True)


def test_images_outside_of_class_folders(pets: Path) -> None:
    save(pets / "lost.png", 9)
    with pytest.raises(Error, match=r"lost\.png is in no folder of a class"):
        read(pets)
    assert len(read(pets, skip_bad=True)["label"]) == 4
    images = data.open(pets, [GREY])  # to predict, all images count
    assert images.rows == ("lost.png", "ant/a.png", "cat/a.png", "cat/b.png", "dog/a.png")
    assert images["image"][:, 0, 0, 0].tolist() == [9, 0, 1, 2, 3]


def test_folders_inside_class_folders(pets: Path) -> None:
    save(pets / "cat" / "more" / "c.png")
    with pytest.raises(Error, match=r"cat/more is a folder inside .*cat, and only images of"):
        read(pets)
    with pytest.raises(Error, match=r"cat/more is a folder inside"):
        data.open(pets, [GREY])
    arrays = read(pets, skip_bad=True)
    assert len(arrays["label"]) == 4 and any("skipped cat/more" in note for note in arrays.notes)
    with pytest.raises(Error, match=r"give .*pets as the data"):  # the parts of a data set
        read(pets.parent)


def test_links_and_hidden_files(pets: Path) -> None:
    (pets / ".cache").mkdir()
    (pets / "cat" / "._a.png").write_bytes(b"hidden")
    (pets / "dog" / "link.png").symlink_to(pets / "cat" / "b.png")
    assert read(pets)["image"][:, 0, 0, 0].tolist() == [0, 1, 2, 3, 2]
    (pets / "dog" / "nowhere.png").symlink_to(pets / "nothing.png")
    with pytest.raises(Error, match=r"dog/nowhere\.png is no regular file, or a link"):
        read(pets)
    (pets / "dog" / "nowhere.png").unlink()
    (pets / "dog" / "loop.png").symlink_to("loop.png")
    with pytest.raises(Error, match=r"dog/loop\.png is no regular file"):
        read(pets)
    (pets / "dog" / "loop.png").unlink()
    (pets / "dog" / "up").symlink_to(pets)
    with pytest.raises(Error, match=r"dog/up is a folder inside"):
        read(pets)
    (pets / "dog" / "up").unlink()
    os.mkfifo(pets / "dog" / "pipe.png")
    with pytest.raises(Error, match=r"dog/pipe\.png is no regular file"):
        read(pets)
    assert len(read(pets, skip_bad=True)["label"]) == 5


def sixteen_bits(path: Path) -> None:
    """A PNG of 16 bits a colour, which Pillow reads as 8 silently."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    lines = b"".join(b"\0" + b"\x12\x34" * 12 for _ in range(4))
    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def animated(path: Path) -> None:
    frames = [Image.new("L", (4, 4), value) for value in (0, 255)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def transparent_palette(path: Path) -> None:
    image = Image.new("P", (4, 4))
    image.putpalette([0, 255, 0, 255, 0, 0])
    image.save(path, transparency=0)


def transparent(path: Path) -> None:
    Image.new("RGBA", (4, 4), (9, 9, 9, 100)).save(path)


def cut_short(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:2000])


def deep_ppm(path: Path) -> None:
    path.write_bytes(b"P6 4 4 65535\n" + b"\x12\x34" * 48)


@pytest.mark.parametrize(
    ("write", "name", "message"),
    [
        (sixteen_bits, "deep.png", "has pixels of 16 bits"),
        (deep_ppm, "deep.ppm", "has pixels of 16 bits"),
        (animated, "moving.gif", "holds 2 pictures"),
        (animated, "pages.tiff", "holds 2 pictures"),
        (transparent_palette, "clear.png", "has transparent pixels"),
        (transparent, "clear.png", "has transparent pixels"),
        (cut_short, "cut.png", "cannot be read as an image"),
        (lambda path: path.write_bytes(b""), "empty.jpg", "cannot be read as an image"),
        (lambda path: path.write_text("<svg/>"), "text.png", "cannot be read as an image"),
        (lambda path: path.mkdir(), "folder.png", "is a folder inside"),
    ],
)
def test_pictures_that_would_lose_something(
    pets: Path, write: Any, name: str, message: str
) -> None:
    write(pets / "cat" / name)
    for inputs in ([COLOUR, LABEL], [COLOUR]):
        with pytest.raises(Error, match=f"cat/{name} {message}"):
            data.open(pets, inputs)
    arrays = data.open(pets, [COLOUR, LABEL], skip_bad=True)
    assert arrays["label"].tolist() == [0, 1, 1, 2]
    assert any(note.startswith(f"skipped cat/{name}: it {message}") for note in arrays.notes)


def test_pictures_of_other_kinds_are_converted(tmp_path: Path) -> None:
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "cmyk.jpg", quality=100)
    Image.new("RGBA", (4, 4), (250, 5, 5, 255)).save(tmp_path / "opaque.png")
    palette = Image.new("P", (4, 4))
    palette.putpalette([250, 5, 5])
    palette.save(tmp_path / "palette.png")
    image = data.open(tmp_path, [COLOUR])["image"].astype(int)
    assert (abs(image - [250, 5, 5]) <= 6).all()
    Image.new("RGBA", (4, 4), (9, 9, 9, 100)).save(tmp_path / "clear.png")
    assert data.open(tmp_path / "clear.png", [CLEAR])["image"][0, 0, 0].tolist() == [9, 9, 9, 100]


def test_a_photo_is_turned_as_its_camera_was(tmp_path: Path) -> None:
    pixels = np.zeros((4, 4), np.uint8)
    pixels[0] = 200
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x0112] = 6  # the top of the scene is at the right
    image.save(tmp_path / "a.png", exif=exif)
    assert (data.open(tmp_path, [GREY])["image"][0, :, 3, 0] == 200).all()


def test_only_images_can_be_skipped(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x\n1\n")
    with pytest.raises(Error, match="only bad images can be skipped"):
        data.open(
            tmp_path / "t.csv", [{"name": "x", "dtype": "f32", "shape": ["N"]}], skip_bad=True
        )


NET = """\
net Pets {
    input image: u8[N, 4, 4, 1]
    logits = flatten(f32(image)) -> dense(3)
    output p = softmax(logits)
}
train Pets {
    input label: i64[N]
    loss = cross_entropy(logits, label)
}
"""


def test_the_commands_list_what_they_skip(
    pets: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnc.cli import main

    monkeypatch.chdir(pets.parent)
    Path("pets.nn").write_text(NET)
    (pets / "cat" / "b.png").write_bytes(b"")
    (pets / "bad").mkdir()
    train = ["train", "pets.nn", "--data", "pets", "--set", "epochs=1", "-o", "m.nnc"]
    assert main(train) == 1
    assert "bad is the folder of a class" in capsys.readouterr().err
    (pets / "bad").rmdir()
    assert main(train) == 1
    assert "cat/b.png cannot be read" in capsys.readouterr().err
    assert main([*train, "--skip-bad"]) == 0
    assert "skipped cat/b.png" in capsys.readouterr().out
    for command in (["evaluate", "m.nnc", "--data", "pets"], ["predict", "m.nnc", "pets"]):
        assert main(command) == 1
        assert "cat/b.png cannot be read" in capsys.readouterr().err
        assert main([*command, "--skip-bad"]) == 0
        captured = capsys.readouterr()
        assert "skipped cat/b.png" in captured.err
        assert "3 rows" in captured.out or captured.out.count("\n") == 4
