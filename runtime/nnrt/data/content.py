"""The bytes of a file, unpacked if its name ends in `.gz`, as far as memory holds them."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from nnrt.errors import Error

CHUNK = 1 << 20
UNLIMITED = 1 << 62
GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def read(path: Path, cost: int) -> bytes:
    """All bytes. `cost`: how many bytes of memory one byte of them takes in the end."""
    if not path.is_file():
        raise Error(f"{path} is not a regular file.", "N0741")
    limit = available_memory() // cost
    if path.suffix.lower() != ".gz":
        size = path.stat().st_size
        if size > limit:
            raise too_large(path, f"has {size:,} bytes", limit)
        return path.read_bytes()
    parts = []
    left = limit
    try:
        with gzip.open(path) as file:
            while part := file.read(CHUNK):
                left -= len(part)
                if left < 0:
                    raise too_large(path, f"unpacks to more than {limit:,} bytes", limit)
                parts.append(part)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Error(f"{path} is damaged: {error}. Fetch it again.", "N0741") from error
    return b"".join(parts)


def too_large(path: Path, what: str, limit: int) -> Error:
    return Error(
        f"{path} {what}, and the memory that is free is enough for {limit:,}. Give fewer lines or "
        "columns, or save the arrays as an .npz file.",
        "N0741",
    )


def available_memory() -> int:
    """Bytes that this process can still use; a very large number where the system does not say."""
    free = [UNLIMITED]
    for line in text_of("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            free.append(int(line.split()[1]) * 1024)
    for limit_path, used_path in GROUPS:
        limit, used = text_of(limit_path).strip(), text_of(used_path).strip()
        if limit.isdigit() and used.isdigit():
            free.append(max(int(limit) - int(used), 0))
    return min(free)


def text_of(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
