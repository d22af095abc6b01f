"""How much memory is left, so that what a file asks for is refused before the work begins."""

from __future__ import annotations

from nnrt.errors import Error
from nnrt.text import bytes_text

# A file that unpacks to more than this and to more than this many times its size is refused:
# a small file must not fill the memory. Stored without compression, the same data is read.
LARGE = 10**9
RATIO = 100


def require(count: int, what: str, code: str) -> None:
    """Raise unless `count` bytes are left. `what` begins the sentence."""
    left = available()
    if left is not None and count > left:
        raise Error(
            f"{what} needs {bytes_text(count)} of memory, and {bytes_text(left)} are available.",
            code,
        )


def check_ratio(packed: int, unpacked: int, what: str, remedy: str) -> None:
    """Raise where a compressed file is much smaller than what it unpacks to."""
    if unpacked > LARGE and unpacked > RATIO * packed:
        raise Error(
            f"{what} unpacks {bytes_text(packed)} to {bytes_text(unpacked)}; above "
            f"{bytes_text(LARGE)} at most {RATIO} times the size is unpacked. {remedy}",
            "N0741",
        )


def available() -> int | None:
    """Bytes that this process can still get, or None where the system does not say."""
    limits = [value for value in (of_system(), of_group(), of_process()) if value is not None]
    return max(min(limits), 0) if limits else None


def of_system() -> int | None:
    for line in read("/proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    return None


def of_group() -> int | None:
    """What the control group leaves; pages of files it can drop count as free."""
    limit, used = read("/sys/fs/cgroup/memory.max"), read("/sys/fs/cgroup/memory.current")
    if not limit.strip().isdigit() or not used.strip().isdigit():
        return None
    droppable = 0
    for line in read("/sys/fs/cgroup/memory.stat").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "active_file"):
            droppable += int(value)
    return int(limit) - int(used) + droppable


def of_process() -> int | None:
    """What `ulimit -v` leaves."""
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    used = read("/proc/self/statm").split()
    if limit == resource.RLIM_INFINITY or not used:
        return None
    return limit - int(used[0]) * resource.getpagesize()


def read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""
