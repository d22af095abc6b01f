"""The compiled model as one file: an uncompressed zip of manifest, plan, weights and sources.

`write` makes it as a whole or not at all; `read` gives back exactly what was written, or raises
`nnrt.Error`: every part carries a checksum, and everything read is checked before it is used.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, BinaryIO

import numpy as np

from nnrt import archive, reading
from nnrt.dtypes import STORED, TYPES, name_of, numpy_type
from nnrt.errors import Error
from nnrt.manifest import check_manifest, is_list_of
from nnrt.memory import require

Array = np.ndarray[Any, np.dtype[Any]]

PARTS = ("manifest.json", "plan.json", "weights.safetensors")
SOURCES = "sources/"
HEADER_LIMIT = 100_000_000  # bytes of the names and shapes of weights, as in safetensors itself
DATE = (1980, 1, 1, 0, 0, 0)  # always the same, so that equal models are equal files


@dataclass(frozen=True)
class Artifact:
    """The parts of a compiled model. `plan` is JSON, which the engine reads and checks."""

    manifest: dict[str, Any]
    plan: bytes
    weights: dict[str, Array]
    sources: dict[str, str]


def write(path: reading.Path, artifact: Artifact, inputs: Iterable[str] = ()) -> None:
    """Write a compiled model, but never over one of the inputs."""
    from nnrt import kinds, writing  # when it is used: most models are only made and run

    target = writing.target(path, kinds.MODEL, inputs)
    placed = replace(artifact, manifest=leaving(artifact.manifest, target.folder))
    target.write(lambda file: write_zip(file, placed))


def leaving(manifest: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """The manifest as a file in `folder` keeps it: the directory of the data starts at the file,
    and is left out where no path starts at it.
    """
    section = manifest.get("training")
    if not isinstance(section, dict) or "directory" not in section:
        return dict(manifest)
    kept = dict(section)
    paths = [kept.get(key) for key in ("data", "validation")]
    if not kept["directory"] or not any(isinstance(path, str) for path in paths):
        del kept["directory"]
    else:
        kept["directory"] = os.path.relpath(kept["directory"], folder)
    return {**manifest, "training": kept}


def arriving(manifest: dict[str, Any], folder: str) -> dict[str, Any]:
    """The manifest of a file in `folder`: the directory of its data in full."""
    section = manifest.get("training")
    if not isinstance(section, dict) or not isinstance(section.get("directory"), str):
        return manifest
    directory = os.path.normpath(os.path.join(folder, section["directory"]))
    return {**manifest, "training": {**section, "directory": directory}}


def encoded(plan: Mapping[str, Any]) -> bytes:
    """A plan as the artifact stores it and the engine reads it."""
    return json.dumps(plan, separators=(",", ":")).encode()


def bytes_of(
    plan: Mapping[str, Any], manifest: Mapping[str, Any], sources: Mapping[str, str]
) -> int:
    """How large the file gets, with room for what a training adds to the manifest."""
    weights = sum(
        prod(variable["shape"]) * TYPES[variable["dtype"]].bytes + len(variable["name"]) + 200
        for variable in plan["variables"]
    )
    texts = sum(len(json.dumps(part)) for part in (plan, manifest, dict(sources)))
    return int(weights) + 2 * texts + 2**16


def write_zip(file: Any, artifact: Artifact) -> None:
    import zipfile

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:

        def add(name: str, content: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name, DATE), content)

        add("manifest.json", json.dumps(artifact.manifest, indent=1).encode())
        add("plan.json", artifact.plan)
        add("weights.safetensors", pack_weights(artifact.weights))
        for name, text in artifact.sources.items():
            add(SOURCES + name, text.encode())


def pack_weights(weights: Mapping[str, Array]) -> bytes:
    """The safetensors format: length of the header, header in JSON, data."""
    header: dict[str, Any] = {}
    offset = 0
    for name, array in weights.items():
        dtype = name_of(array.dtype)
        assert dtype is not None
        header[name] = {
            "dtype": TYPES[dtype].stored,
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    output = io.BytesIO()
    output.write(len(text).to_bytes(8, "little"))
    output.write(text)
    for array in weights.values():
        output.write(
            np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else b""
        )
    return output.getvalue()


def read(path: reading.Path) -> Artifact:
    source = reading.path_text(path)
    try:
        with reading.open_regular(source) as file:
            found = parse_file(file, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise Error(f"{source} cannot be read: {error.strerror or error}.", "N0711") from error
    except Error as error:
        raise Error(f"{source}: {error}", error.code) from error
    folder = os.path.dirname(os.path.realpath(source))
    return replace(found, manifest=arriving(found.manifest, folder))


def parse(content: bytes) -> Artifact:
    return parse_file(io.BytesIO(content), len(content))


def parse_file(file: BinaryIO, size: int) -> Artifact:
    """The parts of a compiled model in a file of `size` bytes, each read once."""
    if file.read(len(archive.MAGIC)) != archive.MAGIC:
        raise Error("this is not a compiled model (.nnc), or its beginning is damaged.", "N0710")
    members = archive.members(file, size)
    for name in PARTS:
        if name not in members:
            raise archive.damaged(f"it has no {name}")
    require(sum(member.size for member in members.values()), "the compiled model", "N0711")
    manifest = parse_json(archive.content(file, members["manifest.json"]), "manifest.json")
    check_manifest(manifest)
    for name in members:
        if name not in PARTS and not name.startswith(SOURCES):
            raise archive.damaged(f"it has a part `{name}`, which no compiled model has")
    plan = archive.content(file, members["plan.json"])
    weights = unpack_weights(archive.content(file, members["weights.safetensors"]))
    sources = {
        name[len(SOURCES) :]: archive.content(file, member).decode(errors="replace")
        for name, member in members.items()
        if name.startswith(SOURCES)
    }
    return Artifact(manifest, plan, weights, sources)


def unzip(content: bytes) -> dict[str, bytes]:
    """The parts of a file as they are, by name."""
    file = io.BytesIO(content)
    members = archive.members(file, len(content))
    return {name: archive.content(file, member) for name, member in members.items()}


def parse_json(content: bytes, name: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise archive.damaged(f"{name} has two values for one key")
        return found

    try:
        value = json.loads(content, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise archive.damaged(f"{name} cannot be read") from error
    if not isinstance(value, dict):
        raise archive.damaged(f"{name} holds no object")
    return value


def unpack_weights(content: bytes) -> dict[str, Array]:
    """The arrays of the safetensors format, which cover its data without gaps and overlaps."""
    damaged = archive.damaged("weights.safetensors cannot be read")
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, HEADER_LIMIT):
        raise damaged
    header = parse_json(content[8 : 8 + length], "weights.safetensors")
    header.pop("__metadata__", None)
    data = memoryview(content)[8 + length :]
    places: list[tuple[int, int]] = []
    weights: dict[str, Array] = {}
    for name, entry in header.items():
        if not isinstance(entry, dict) or not is_list_of(entry.get("shape"), int):
            raise damaged
        offsets, kind = entry.get("data_offsets"), entry.get("dtype")
        if not isinstance(offsets, list) or not isinstance(kind, str):
            raise damaged
        if len(offsets) != 2 or not is_list_of(offsets, int):
            raise damaged
        known, shape = STORED.get(kind), entry["shape"]
        begin, end = offsets
        if known is None or min([0, *shape]) < 0 or not 0 <= begin <= end <= len(data):
            raise damaged
        if end - begin != prod(shape) * TYPES[known].bytes:
            raise damaged
        places.append((begin, end))
        try:
            weights[name] = np.frombuffer(data[begin:end], numpy_type(known)).reshape(shape)
        except (ValueError, OverflowError) as error:  # a shape that NumPy cannot have
            raise damaged from error
    places.sort()
    if [begin for begin, _ in places] != [0, *(end for _, end in places)][: len(places)]:
        raise damaged
    if sum(end - begin for begin, end in places) != len(data):
        raise damaged
    return weights
