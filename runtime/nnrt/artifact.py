"""The compiled model as one file: an uncompressed zip of manifest, plan, weights and sources.

`write` makes it as a whole or not at all; `read` gives back exactly what was written, or raises
`nnrt.Error`: every part carries a checksum, and everything read is checked before it is used.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnrt.errors import Error
from nnrt.validate import DTYPES

Array = np.ndarray[Any, np.dtype[Any]]

FORMAT = 1
SOURCES = "sources/"
SAFETENSORS = {"f32": "F32", "f64": "F64", "i32": "I32", "i64": "I64", "u8": "U8", "bool": "BOOL"}
DATE = (1980, 1, 1, 0, 0, 0)  # always the same, so that equal models are equal files


@dataclass(frozen=True)
class Artifact:
    """The parts of a compiled model."""

    manifest: dict[str, Any]
    plan: dict[str, Any]
    weights: dict[str, Array]
    sources: dict[str, str]


def write(path: str | os.PathLike[str], artifact: Artifact) -> None:
    import tempfile  # when it is used: a model that is only made and run writes no file

    target = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise Error(f"{target} cannot be written: {error.strerror or error}.", "N0713") from error
    try:
        with os.fdopen(handle, "wb") as file:
            write_zip(file, artifact)
        mode = target.stat().st_mode & 0o7777 if target.exists() else 0o666 & ~current_umask()
        os.chmod(name, mode)
        os.replace(name, target)
    except OSError as error:
        os.unlink(name)
        raise Error(f"{target} cannot be written: {error.strerror or error}.", "N0713") from error
    except BaseException:
        os.unlink(name)
        raise


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_zip(file: Any, artifact: Artifact) -> None:
    import zipfile

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:

        def add(name: str, content: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name, DATE), content)

        add("manifest.json", json.dumps(artifact.manifest, indent=1).encode())
        add("plan.json", json.dumps(artifact.plan, separators=(",", ":")).encode())
        add("weights.safetensors", pack_weights(artifact.weights))
        for name, text in artifact.sources.items():
            add(SOURCES + name, text.encode())


def pack_weights(weights: Mapping[str, Array]) -> bytes:
    """The safetensors format: length of the header, header in JSON, data."""
    header: dict[str, Any] = {}
    offset = 0
    names = {dtype: name for name, dtype in DTYPES.items()}
    for name, array in weights.items():
        header[name] = {
            "dtype": SAFETENSORS[names[array.dtype]],
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
        output.write(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return output.getvalue()


def read(path: str | os.PathLike[str]) -> Artifact:
    source = Path(path)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise Error(f"{source} cannot be read: {error.strerror or error}.", "N0711") from error
    try:
        return parse(content)
    except Error as error:
        raise Error(f"{source}: {error}", error.code) from error


def parse(content: bytes) -> Artifact:
    if content[:4] != b"PK\x03\x04":
        raise Error("this is not a compiled model (.nnc), or its beginning is damaged.", "N0710")
    members = unzip(content)
    missing = [
        name
        for name in ("manifest.json", "plan.json", "weights.safetensors")
        if name not in members
    ]
    if missing:
        raise Error(f"the compiled model is damaged: it has no {missing[0]}.", "N0710")
    manifest = parse_json(members["manifest.json"], "manifest.json")
    check_manifest(manifest)
    plan = parse_json(members["plan.json"], "plan.json")
    weights = unpack_weights(members["weights.safetensors"])
    sources = {
        name[len(SOURCES) :]: text.decode(errors="replace")
        for name, text in members.items()
        if name.startswith(SOURCES)
    }
    return Artifact(manifest, plan, weights, sources)


def unzip(content: bytes) -> dict[str, bytes]:
    import zipfile

    members: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for info in archive.infolist():
                if info.compress_type != zipfile.ZIP_STORED or info.file_size > len(content):
                    raise Error(
                        "the compiled model is damaged: its table of parts is wrong.", "N0710"
                    )
                members[info.filename] = archive.read(info)
    except Error:
        raise
    except Exception as error:  # zipfile raises many kinds for damaged files
        raise Error(f"the compiled model is damaged ({error}).", "N0710") from error
    return members


def parse_json(content: bytes, name: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Error(f"the compiled model is damaged: {name} cannot be read.", "N0710") from error
    if not isinstance(value, dict):
        raise Error(f"the compiled model is damaged: {name} holds no object.", "N0710")
    return value


def unpack_weights(content: bytes) -> dict[str, Array]:
    damaged = Error("the compiled model is damaged: weights.safetensors cannot be read.", "N0710")
    if len(content) < 8:
        raise damaged
    length = int.from_bytes(content[:8], "little")
    if length > len(content) - 8:
        raise damaged
    header = parse_json(content[8 : 8 + length], "weights.safetensors")
    types = {text: DTYPES[name] for name, text in SAFETENSORS.items()}
    data = memoryview(content)[8 + length :]
    weights: dict[str, Array] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        try:
            dtype = types[entry["dtype"]]
            shape = tuple(int(size) for size in entry["shape"])
            begin, end = (int(offset) for offset in entry["data_offsets"])
            if not 0 <= begin <= end <= len(data) or any(size < 0 for size in shape):
                raise damaged
            weights[name] = np.frombuffer(data[begin:end], dtype).reshape(shape)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise damaged from error
    return weights


def check_manifest(manifest: Mapping[str, Any]) -> None:
    """The form of what the runtime uses of it."""
    version = manifest.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise Error(
            f"this compiled model has format {version}, and this nnrt reads up to {FORMAT}: "
            "install a newer one.",
            "N0712",
        )

    def require(condition: bool, what: str) -> None:
        if not condition:
            raise Error(
                f"the compiled model is damaged: its manifest has no sound {what}.", "N0710"
            )

    require(version == FORMAT, "`format`")
    require(isinstance(manifest.get("net"), str), "`net`")
    for key in ("inputs", "outputs"):
        require(is_interface(manifest.get(key)), f"`{key}`")
    training = manifest.get("training")
    require(training is None or isinstance(training, dict), "`training`")
    if training is not None:
        require(is_interface(training.get("inputs")), "`training.inputs`")
        metrics = training.get("metrics")
        require(is_list_of(metrics, str), "`training.metrics`")
        for key in ("batch", "epochs"):
            require(isinstance(training.get(key), int) and training[key] > 0, f"`training.{key}`")
        require(isinstance(training.get("seed"), int), "`training.seed`")
        places = training.get("statistics", [])
        require(is_list_of(places, dict), "`training.statistics`")
        for key in ("values", "path", "source"):
            texts = [place.get(key) for place in places]
            require(is_list_of(texts, str), "`training.statistics`")
    require(is_list_of(manifest.get("summary", []), dict), "`summary`")
    require(isinstance(manifest.get("step", 0), int), "`step`")


def is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def is_interface(value: Any) -> bool:
    return is_list_of(value, dict) and all(
        isinstance(item.get("name"), str)
        and item.get("dtype") in DTYPES
        and isinstance(item.get("shape"), list)
        and all(isinstance(dim, (int, str)) for dim in item["shape"])
        for item in value
    )
