"""Files that are written: as a whole or not at all, and never over something else.

`target(path, kind, inputs)` looks at what stands at a path before anything is written:

- an output that is one of the inputs, through links too, is refused;
- the name must be of the output's kind, and so must the content of a file that is replaced;
- a symbolic link is followed: the file that it names is written, and the link stays;
- a pipe or a character device gets the bytes; folders, sockets and disks are refused.

`Target.write` makes a draft in the same folder, syncs it, and renames it over the old file, whose
mode and owner it takes. A draft has no name until it is whole, so a process that is killed leaves
nothing; where the system cannot do that, and in the moment before the rename, the draft has a name,
and the next save in the folder removes it once the process that held its lock is gone. A file with
several names (hard links) is written in place, after its draft is whole and its space is reserved,
so that all names go on meaning one file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from nnrt.errors import Error
from nnrt.kinds import HEAD, LOG, OTHER_SUFFIXES, Kind
from nnrt.reading import Path, kind_text, path_text

DRAFT = re.compile(r"\.nnc-[0-9a-f]{16}\.draft")
DESCRIPTOR = re.compile(r"/proc/(\d+)/(?:task/\d+/)?fd/(\d+)")
LINKS_LIMIT = 40
PROBE = 1 << 12
DEPTH = 3  # folders of data: the folder, its classes, their images

Produce = Callable[[BinaryIO], object]


@dataclass(frozen=True)
class Target:
    """An output that may be written. `path`: the file itself, links followed; `descriptor`: the
    open file of this process that it is, as for `/dev/stdout`; `old`: what stands there now.
    """

    given: str
    path: str
    kind: Kind
    inputs: tuple[str, ...]
    old: os.stat_result | None
    descriptor: int | None = None

    @property
    def folder(self) -> str:
        """Where relative paths in the file start; a stream has none, so the working directory."""
        return os.getcwd() if self.is_stream else os.path.dirname(self.path)

    @property
    def is_stream(self) -> bool:
        """Whether it takes bytes as they come and cannot be replaced."""
        regular = self.old is None or stat.S_ISREG(self.old.st_mode)
        return self.descriptor is not None or not regular

    def probe(self) -> None:
        """Raise where a file cannot be made now: before the work whose result it is to keep."""
        if not self.is_stream:
            with reporting(self.given), draft(os.path.dirname(self.path)) as (file, _):
                file.write(bytes(PROBE))
                file.flush()

    def write(self, produce: Produce) -> None:
        """Write what `produce` writes to a file that it is given."""
        now = target(self.given, self.kind, self.inputs)
        with reporting(now.given):
            if now.is_stream:
                content = io.BytesIO()
                produce(content)
                with now.open_stream() as file:
                    file.write(content.getbuffer())
            else:
                now.replace(produce)

    def write_text(self, text: str) -> None:
        self.write(lambda file: file.write(text.encode(errors="surrogateescape")))

    def open_stream(self, buffering: int = -1) -> BinaryIO:
        if self.descriptor is not None:
            return os.fdopen(os.dup(self.descriptor), "wb", buffering)
        return open(self.path, "wb", buffering)

    def replace(self, produce: Produce) -> None:
        folder = os.path.dirname(self.path)
        remove_abandoned(folder)
        with draft(folder, 0o666 if self.old is None else 0o600) as (file, name):
            produce(file)
            file.flush()
            if self.old is not None:
                keep_attributes(file.fileno(), self.path, self.old)
            os.fsync(file.fileno())
            if self.old is not None and self.old.st_nlink > 1:
                overwrite(self.path, file, self.old.st_size)
                return
            if name is not None:
                os.replace(name, self.path)
            elif self.old is not None or not link(file, self.path):
                rename_unnamed(file, self.path)
        sync_folder(folder)


def target(path: Path, kind: Kind, inputs: Iterable[Path] = ()) -> Target:
    """What a path means as an output. Raises `nnrt.Error` where writing it would be a mistake."""
    given = path_text(path, "the output")
    sources = tuple(path_text(item) for item in inputs)
    with reporting(given):
        final, descriptor = follow(given)
        try:
            old = os.stat(final) if descriptor is None else os.fstat(descriptor)
        except FileNotFoundError:
            old = None
    found = Target(given, final, kind, sources, old, descriptor)
    if old is not None:
        check_place(found, old)
    elif not os.path.isdir(os.path.dirname(final)):
        named = os.path.dirname(given)
        missing = named if named and not os.path.isdir(named) else os.path.dirname(final)
        raise refused(given, f"there is no folder {missing}.")
    if not found.is_stream:
        check_name(found)
        with reporting(given):
            check_writable(found)
            if old is not None:
                check_content(found)
    return found


def follow(given: str) -> tuple[str, int | None]:
    """The file that a path means, links followed, or the descriptor of this process that it is."""
    path = os.path.join(os.getcwd(), given)  # `..` behind a link is resolved below, not cut here
    for _ in range(LINKS_LIMIT):
        folder, name = os.path.split(path)
        folder = os.path.realpath(folder)
        path = os.path.join(folder, name)
        match = DESCRIPTOR.fullmatch(path)
        if match is not None and int(match[1]) == os.getpid():
            return path, int(match[2])
        if not os.path.islink(path):
            return path, None
        path = os.path.join(folder, os.readlink(path))
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def is_standard_output(path: str) -> bool:
    """Whether what is written to a path comes out where this process prints."""
    with contextlib.suppress(OSError, ValueError):
        final, descriptor = follow(path)
        status = os.stat(final) if descriptor is None else os.fstat(descriptor)
        if descriptor is not None or stat.S_ISFIFO(status.st_mode):
            return os.path.samestat(status, os.fstat(1))
    return False


def check_place(found: Target, old: os.stat_result) -> None:
    """That it is no input, and that something can be written there."""
    mode = old.st_mode
    if stat.S_ISDIR(mode):
        raise refused(found.given, "it is a folder: name a file in it.")
    for source in found.inputs:
        same = same_file(source, old)
        if same is not None:
            raise refused(found.given, f"it is the file {same}, in use here. Name another file.")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
        raise refused(found.given, f"it is {kind_text(mode)}. Name another file.")


def same_file(source: str, old: os.stat_result) -> str | None:
    """The input, or the file in that folder of inputs, that is this file."""
    try:
        status = os.stat(source)
    except OSError:
        return None
    if stat.S_ISCHR(old.st_mode):
        return None  # what is written to a device does not change it
    if os.path.samestat(status, old):
        return source
    if stat.S_ISDIR(status.st_mode) and stat.S_ISREG(old.st_mode):
        for file, its_status in files_in(source, DEPTH):
            if os.path.samestat(its_status, old):
                return file
    return None


def files_in(folder: str, depth: int) -> Iterator[tuple[str, os.stat_result]]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if not entry.is_dir():
                    yield entry.path, entry.stat()
                elif depth > 1:
                    yield from files_in(entry.path, depth - 1)


def check_name(found: Target) -> None:
    kind = found.kind
    name = os.path.basename(found.given)
    if kind.suffixes and not name.lower().endswith(kind.suffixes):
        stem = found.given if name.startswith(".") else os.path.splitext(found.given)[0]
        suffix = kind.suffixes[0]
        raise refused(
            found.given, f"{kind.noun} has a name that ends in {suffix}: `{stem}{suffix}`."
        )
    for path in (found.given, found.path):
        suffix = os.path.splitext(path)[1].lower()
        if not kind.any_name and suffix in OTHER_SUFFIXES and suffix not in kind.suffixes:
            raise refused(
                found.given,
                f"`{os.path.basename(path)}` is not the name of {kind.noun}. Name another file.",
            )


def check_writable(found: Target) -> None:
    """The permissions: replacing a file needs its folder, but a file that may not be written
    must stay.
    """
    if found.old is not None and not os.access(found.path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def check_content(found: Target) -> None:
    """A file that is replaced must be of the kind that is written, or empty."""
    with open(found.path, "rb") as file:
        head = file.read(HEAD)
    if head and not found.kind.matches(head):
        raise refused(
            found.given,
            f"the file there is not {found.kind.noun}. Name another file, or remove that one.",
        )


def refused(given: str, why: str) -> Error:
    return Error(f"{given} cannot be written: {why}", "N0713")


@contextlib.contextmanager
def reporting(given: str) -> Iterator[None]:
    """Errors of the system as `nnrt.Error`. A reader that goes away is no mistake."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise refused(given, f"{error.strerror or error}.") from error


@contextlib.contextmanager
def draft(folder: str, mode: int = 0o600) -> Iterator[tuple[BinaryIO, str | None]]:
    """A new file in a folder, locked: without a name where the system can do that (the name is
    None), else with one, which is gone in the end.
    """
    handle, name = open_draft(folder, mode)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file, name
    finally:
        if name is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)


def open_draft(folder: str, mode: int) -> tuple[int, str | None]:
    unnamed = getattr(os, "O_TMPFILE", 0)
    if unnamed and os.path.isdir("/proc/self/fd"):
        try:
            handle = os.open(folder, unnamed | os.O_RDWR | os.O_CLOEXEC, mode)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT):
                raise
        else:
            lock(handle)
            return handle, None
    while True:
        name = draft_name(folder)
        handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        lock(handle)
        if os.fstat(handle).st_nlink:  # nobody took it for abandoned before it was locked
            return handle, name
        os.close(handle)


def draft_name(folder: str) -> str:
    return os.path.join(folder, f".nnc-{secrets.token_hex(8)}.draft")


def lock(handle: int) -> None:
    """Say that the draft is in use. A file system without locks keeps what is abandoned."""
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)


def rename_unnamed(file: BinaryIO, path: str) -> None:
    """Put a draft without a name over a file. Only in between the draft has a name."""
    name = draft_name(os.path.dirname(path))
    try:
        link(file, name)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def link(file: BinaryIO, name: str) -> bool:
    """Give a draft its name; False where that name is taken."""
    handle = file.fileno()
    try:
        # With a `src_dir_fd` Python follows the link of /proc to the file, as `linkat` can.
        os.link(f"/proc/self/fd/{handle}", name, src_dir_fd=handle, follow_symlinks=True)
    except FileExistsError:
        return False
    return True


def remove_abandoned(folder: str) -> None:
    """Remove drafts whose process is gone: nobody holds their lock any more."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = [entry.path for entry in entries if DRAFT.fullmatch(entry.name)]
        for name in names:
            with contextlib.suppress(OSError):
                remove_unlocked(name)


def remove_unlocked(name: str) -> None:
    """Remove a draft, or raise OSError where its lock is held."""
    handle = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name)
    finally:
        os.close(handle)


def keep_attributes(handle: int, path: str, old: os.stat_result) -> None:
    """Owner, mode and extended attributes of the file that is replaced, as far as allowed."""
    now = os.fstat(handle)
    if (now.st_uid, now.st_gid) != (old.st_uid, old.st_gid):
        with contextlib.suppress(PermissionError):
            os.fchown(handle, old.st_uid, old.st_gid)
    os.fchmod(handle, stat.S_IMODE(old.st_mode))
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(path):
                with contextlib.suppress(OSError):
                    os.setxattr(handle, name, os.getxattr(path, name))


def overwrite(path: str, source: BinaryIO, old_size: int) -> None:
    """Write a file in place, with the space that it needs reserved first."""
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    with open(path, "r+b") as file:
        try:
            if size > old_size:
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError:
            file.truncate(old_size)
            raise
        shutil.copyfileobj(source, file)
        file.truncate(size)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: str) -> None:
    """Make the new name durable. Some file systems have no such thing for folders."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(handle)


def open_log(path: Path) -> BinaryIO:
    """A log to write to from its beginning, without a buffer; what stood there must have been a
    log.
    """
    found = target(path, LOG)
    with reporting(found.given):
        return found.open_stream(buffering=0)
