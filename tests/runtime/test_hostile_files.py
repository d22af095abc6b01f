"""Files that ask for more than they have: models, arrays and IDX files are measured before they are
read, and only regular files are read at all.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import socket
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import nnrt
import numpy as np
import pytest
from nnrt import artifact, data, memory
from nnrt.errors import Error
from nnrt.text import visible

from .plans import make_model


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    make_model().save(tmp_path / "line.nnc")
    return (tmp_path / "line.nnc").read_bytes()


def zipped(parts: list[tuple[str, bytes]], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, part in parts:
            archive.writestr(zipfile.ZipInfo(name), part, options.get("compression"))
    return buffer.getvalue()


def with_table(content: bytes, change: Any) -> bytes:
    """The zip with its table of parts, a list of entries, changed."""
    end = content.rfind(b"PK\x05\x06")
    start = struct.unpack_from("<I", content, end + 16)[0]
    table, entries = content[start:end], []
    while table:
        size = 46 + sum(struct.unpack_from("<3H", table, 28))
        entries.append(table[:size])
        table = table[size:]
    entries = change(entries)
    table = b"".join(entries)
    count = min(len(entries), 0xFFFF)
    record = (b"PK\x05\x06", 0, 0, count, count, len(table), start, 0)
    return content[:start] + table + struct.pack("<4s4H2LH", *record)


def refused(content: bytes, message: str) -> None:
    with pytest.raises(Error, match=message) as caught:
        artifact.parse(content)
    assert caught.value.code in ("N0710", "N0711")


def test_one_part_named_many_times_is_refused_at_once(content: bytes) -> None:
    began = time.monotonic()
    big = zipped([*artifact.unzip(content).items(), ("sources/a", bytes(1 << 24))])
    for count in (2, 60_000):
        damaged = with_table(big, lambda entries, n=count: entries[:-1] + entries[-1:] * n)
        refused(damaged, "two of its parts are named|at most 4,096")
    assert time.monotonic() - began < 10


def test_a_second_part_of_one_name_is_refused(content: bytes) -> None:
    parts = list(artifact.unzip(content).items())
    plan = dict(parts)["plan.json"]
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped([*parts, ("plan.json", plan)])
    refused(twice, "two of its parts are named `plan.json`")


def test_parts_may_not_overlap_or_hide_bytes(content: bytes) -> None:
    refused(with_table(content, lambda entries: entries[::-1]), "overlap|table of parts")
    refused(with_table(content, lambda entries: entries[1:]), "overlap|table of parts")
    refused(with_table(content, lambda entries: entries[:-1]), "overlap|table of parts")
    first = struct.unpack_from("<I", content, len(content) - 6)[0]
    refused(content[:first] + b"more" + content[first:], "damaged")
    refused(content + b"more", "damaged")
    refused(b"PK\x03\x04" + content, "damaged")

    def larger(entries: list[bytes]) -> list[bytes]:
        sizes = struct.pack("<2L", len(content), len(content))
        return [entries[0][:20] + sizes + entries[0][28:], *entries[1:]]

    refused(with_table(content, larger), "overlap|table of parts|ends early")


def test_only_the_parts_of_a_model_and_only_stored_ones(content: bytes) -> None:
    parts = list(artifact.unzip(content).items())
    refused(zipped([*parts, ("extra.bin", b"")]), "a part `extra.bin`")
    refused(zipped([*parts, ("../plan.json", b"")]), r"a part `../plan.json`")
    refused(zipped(parts, compression=zipfile.ZIP_DEFLATED), "table of parts")
    refused(zipped(parts[:1] + parts[2:]), "it has no plan.json")


def test_large_files_have_wide_records_and_are_read(
    content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `zipfile` writes beyond 4 GB, made small."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    wide = zipped(list(artifact.unzip(content).items()))
    assert b"PK\x06\x06" in wide
    assert artifact.unzip(wide) == artifact.unzip(content)
    for place in range(len(wide) - 98, len(wide)):
        damaged = bytearray(wide)
        damaged[place] ^= 0xFF
        try:
            assert artifact.unzip(bytes(damaged)) == artifact.unzip(content)
        except Error as error:
            assert error.code == "N0710"


@pytest.mark.parametrize("part", ["manifest.json", "weights.safetensors"])
def test_a_key_with_two_values_is_refused(content: bytes, part: str) -> None:
    parts = artifact.unzip(content)
    text = parts[part]
    if part == "weights.safetensors":
        length = int.from_bytes(text[:8], "little")
        header = b'{"__metadata__":{},"__metadata__":{},' + text[9 : 8 + length].lstrip()
        parts[part] = len(header).to_bytes(8, "little") + header + text[8 + length :]
    else:
        parts[part] = text.replace(b"{", b'{"version": 1, "version": 1,', 1)
    refused(zipped(list(parts.items())), f"{part} has two values for one key")


def packed(header: dict[str, Any], body: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def entry(shape: list[Any], begin: Any, end: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    "weights",
    [
        packed({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, bytes(8)),  # twice the same bytes
        packed({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, bytes(12)),
        packed({"a": entry([2], 0, 8), "b": entry([2], 12, 20)}, bytes(20)),
        packed({"a": entry([2], 0, 8)}, bytes(12)),
        packed({"a": entry([3], 0, 8)}, bytes(8)),
        packed({"a": entry(["2"], 0, 8)}, bytes(8)),
        packed({"a": entry([2.0], 0, 8)}, bytes(8)),
        packed({"a": entry([-2, -1], 0, 8)}, bytes(8)),
        packed({"a": entry([2**70, 0], 0, 0)}, b""),
        packed({"a": entry([2], 0.0, 8)}, bytes(8)),
        packed({"a": entry([2], 0, 8, ["F32"])}, bytes(8)),
        packed({"a": entry([2], 0, 8, "F16")}, bytes(8)),
        packed({"a": [2, 0, 8]}, bytes(8)),
        packed({"a": {**entry([2], 0, 8), "shape": 2}}, bytes(8)),
        (2**63).to_bytes(8, "little") + b"{}",
        b"{}",
    ],
)
def test_weights_must_be_what_their_header_says(weights: bytes) -> None:
    with pytest.raises(Error, match=r"weights\.safetensors cannot be read"):
        artifact.unpack_weights(weights)


def test_sound_weights_are_read_back() -> None:
    arrays = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "empty": np.zeros((0, 3), np.int64),
        "scalar": np.array(True),
    }
    found = artifact.unpack_weights(artifact.pack_weights(arrays))
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert (found[name] == array).all()


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.nnc")
    os.symlink("/dev/zero", tmp_path / "zero.nnc")
    with pytest.raises(Error, match="a pipe, and a regular file is needed"):
        nnrt.load(tmp_path / "pipe.nnc")
    with pytest.raises(Error, match="a device, and a regular file is needed"):
        nnrt.load(tmp_path / "zero.nnc")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.nnc"))
        with pytest.raises(Error, match="cannot be read"):
            nnrt.load(tmp_path / "s.nnc")
    for name in ("pipe.npz", "pipe.npy", "pipe.csv", "pipe.png"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(Error, match="a pipe, and a regular file is needed"):
            data.open(tmp_path / name, [X])


def test_a_sparse_file_is_not_read_whole(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "sparse.nnc"
    with path.open("wb") as file:
        file.write(content[:100])
        file.truncate(1 << 40)
    began = time.monotonic()
    with pytest.raises(Error, match="damaged"):
        nnrt.load(path)
    assert time.monotonic() - began < 5


X = {"name": "x", "dtype": "f32", "shape": ["N", 4]}


def npy(shape: tuple[int, ...], body: bytes, dtype: str = "<f4") -> bytes:
    buffer = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + body


def limited(function: Any, *arguments: Any) -> Any:
    """A call with 1 GB more than this process has: what is allocated first and checked then fails
    with a MemoryError.
    """
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 10**9, limits[1]))
    try:
        return function(*arguments)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def test_a_small_npz_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy((190_000_000, 4), b""))
        for _ in range(95):
            member.write(bytes(32_000_000))
    assert path.stat().st_size < 4_000_000
    with pytest.raises(Error, match=r"`x` unpacks 3.0 MB to 3.0 GB.*numpy\.savez") as caught:
        data.open(path, [X])
    assert caught.value.code == "N0741"


def test_arrays_larger_than_the_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.ones((1000, 4), np.float32)
    np.savez(tmp_path / "x.npz", x=array, other=np.ones(10**6))
    np.save(tmp_path / "x.npy", array)
    monkeypatch.setattr(memory, "available", lambda: 16_000)
    for name in ("x.npz", "x.npy"):
        assert data.open(tmp_path / name, [X])["x"].shape == (1000, 4)
    monkeypatch.setattr(memory, "available", lambda: 15_999)
    for name in ("x.npz", "x.npy"):
        with pytest.raises(Error, match=r"needs 16.0 kB of memory, and 16.0 kB are available"):
            data.open(tmp_path / name, [X])
    make_model().save(tmp_path / "m.nnc")
    monkeypatch.setattr(memory, "available", lambda: 1000)
    with pytest.raises(Error, match=r"m\.nnc: the compiled model needs .* 1\.0 kB are available"):
        nnrt.load(tmp_path / "m.nnc")


@pytest.mark.parametrize(
    "content",
    [
        npy((10**12, 4), bytes(64)),
        npy((4, 4), bytes(63)),
        npy((4, 4), bytes(65)),
        npy((-4, 4), bytes(64)),
        npy((2**62, 2**62, 0), b"x"),
        b"\x93NUMPY\x01\x00\xff\xff{",
        b"\x93NUMPY\x09\x00" + npy((4, 4), bytes(64))[8:],
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
    ],
)
def test_arrays_must_have_what_their_header_says(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", content)
    for name in ("x.npy", "x.npz"):
        with pytest.raises(Error, match=r"is damaged") as caught:
            limited(data.open, tmp_path / name, [X])
        assert caught.value.code == "N0741"


def test_an_npz_with_two_arrays_of_one_name_is_refused(tmp_path: Path) -> None:
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(tmp_path / "x.npz", "w") as archive,
    ):
        archive.writestr("x.npy", npy((1, 4), bytes(16)))
        archive.writestr("x.npy", npy((1, 4), bytes(16)))
    with pytest.raises(Error, match="two arrays named `x`"):
        data.open(tmp_path / "x.npz", [X])


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
        archive.writestr("x.npy", npy((1, 4), bytes(16)))
    with pytest.raises(Error, match="compressed in another way"):
        data.open(tmp_path / "x.npz", [X])


def test_all_kinds_of_arrays_are_still_read(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    for order in ("C", "F"):
        np.savez_compressed(tmp_path / "x.npz", x=np.asarray(array, order=order))
        assert (data.open(tmp_path / "x.npz", [X])["x"] == array).all()
    np.save(tmp_path / "x.npy", array.astype(">f4"))
    assert (data.open(tmp_path / "x.npy", [X])["x"] == array).all()
    np.savez_compressed(tmp_path / "zeros.npz", x=np.zeros((1_000_000, 4), np.float32))
    assert data.open(tmp_path / "zeros.npz", [X])["x"].shape == (1_000_000, 4)


def idx(shape: tuple[int, ...], body: bytes) -> bytes:
    return struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + body


IMAGE = {"name": "image", "dtype": "u8", "shape": ["N", 4, 3, 1]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx((2, 4, 3), bytes(23)), "need 40 bytes, and it has 39"),
        (idx((2, 4, 3), bytes(25)), "need 40 bytes, and it has (41|more)"),
        (idx((2**32 - 1,) * 3, bytes(8)), "damaged|of memory|unpacks"),
        (idx((1 << 30, 4, 3), bytes(8)), "damaged|of memory|unpacks"),
        (idx((2, 4, 3), b"")[:9], "ends within its header"),
        (b"", "first four bytes"),
    ],
)
def test_idx_files_must_have_what_their_header_says(
    tmp_path: Path, content: bytes, message: str
) -> None:
    plain, squeezed = tmp_path / "plain", tmp_path / "squeezed"
    for folder in (plain, squeezed):
        folder.mkdir()
    (plain / "train-images-idx3-ubyte").write_bytes(content)
    (squeezed / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
    for folder in (plain, squeezed):
        with pytest.raises(Error, match=message) as caught:
            limited(data.open, folder, [IMAGE])
        assert caught.value.code == "N0741"


def test_a_small_idx_file_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(idx((170_000_000, 4, 3), b""))
        for _ in range(51):
            file.write(bytes(40_000_000))
    with pytest.raises(Error, match=r"unpacks .* MB to 2\.0 GB"):
        limited(data.open, tmp_path, [IMAGE])


def test_what_is_left_of_the_memory_counts_every_limit() -> None:
    left = memory.available()
    assert left is not None and 0 < left < 1 << 50
    assert limited(memory.available) <= 10**9


def test_text_of_files_shows_its_control_characters() -> None:
    text = "a\x1b[31mb\x00\r\n\x9b\u202e\u2028\udcff é 🙂 ‍"
    shown = visible(text)
    assert shown == "a\\x1b[31mb\\x00\\r\\n\\x9b\\u202e\\u2028\\udcff é 🙂 ‍"
    assert visible("a\nb\x07", keep="\n") == "a\nb\\x07"
    assert "\\x1b" in str(Error("\x1b[2J"))


def renamed(model: Any, names: dict[str, str]) -> None:
    """Other names of inputs, outputs and metrics, in the manifest and in the plan alike."""
    model.manifest = json.loads(json.dumps(model.manifest))
    model.plan = json.loads(json.dumps(model.plan))
    items = [*model.manifest["inputs"], *model.manifest["outputs"]]
    items += model.manifest["training"]["inputs"]
    for program in model.plan["programs"].values():
        items += [*program["inputs"], *program["outputs"]]
    for item in items:
        item["name"] = names.get(item["name"], item["name"])
    metrics = model.manifest["training"]["metrics"]
    model.manifest["training"]["metrics"] = [names.get(name, name) for name in metrics]


def test_a_model_with_control_characters_cannot_reach_the_terminal(tmp_path: Path) -> None:
    model = make_model()
    evil = "\x1b]0;owned\x07\x9b2J\r"
    metrics = {name: f"{evil}{place}" for place, name in enumerate(model.training["metrics"])}
    renamed(model, {"x": evil, model.outputs[0]["name"]: f"{evil}y", **metrics})
    model.manifest["net"] = evil
    keys = ("path", "layer", "shape", "parameters", "flops", "activation_bytes", "source")
    model.manifest["summary"] = [dict.fromkeys(keys, evil)]
    model.save(tmp_path / "evil.nnc", training=True)
    loaded = nnrt.load(tmp_path / "evil.nnc")
    history = loaded.fit(
        {evil: np.ones((4, 3)), "target": np.ones((4, 2))}, epochs=1, progress=False
    )
    for text in (loaded.summary(), repr(loaded), repr(history), repr(loaded.parameters)):
        assert not {"\x1b", "\x07", "\x9b", "\r"} & set(text)
    assert "\\x1b]0;owned\\x07" in loaded.summary()
