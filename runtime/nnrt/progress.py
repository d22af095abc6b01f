"""Progress of training: a live line on a terminal, a plain line an epoch elsewhere, and the log.

`choose(progress)` gives an object with `start`, `batch`, `epoch` and `finish`, which `Model.fit`
calls in this order. Records are those of the history; `JsonLog` writes each as one line of JSON.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TextIO, runtime_checkable

from nnrt.errors import Error, of
from nnrt.numbers import shown
from nnrt.text import visible

if TYPE_CHECKING:
    from nnrt.reading import Path

Record = Mapping[str, Any]

ROOM = 4096  # bytes that a log must have room for at its beginning
REFRESH = 0.1  # seconds between two pictures of the live line

# Shown in their own way, or not at all, in the line of an epoch.
APART = ("epoch", "seconds", "samples_per_second", "learning_rate")


@runtime_checkable
class Progress(Protocol):
    """What `Model.fit` reports to. Epochs count from 1. During an epoch, metrics are means over the
    epoch so far; a metric that is no mean over rows is in the record of the epoch alone.
    """

    def start(self, epochs: int, samples: int, batch: int) -> None: ...

    def batch(self, epoch: int, done_samples: int, loss: float, metrics: Record) -> None: ...

    def epoch(self, record: Record) -> None: ...

    def finish(self) -> None: ...


class Quiet:
    """Says nothing."""

    def start(self, epochs: int, samples: int, batch: int) -> None:
        del epochs, samples, batch

    def batch(self, epoch: int, done_samples: int, loss: float, metrics: Record) -> None:
        del epoch, done_samples, loss, metrics

    def epoch(self, record: Record) -> None:
        del record

    def finish(self) -> None:
        pass


class Lines(Quiet):
    """One plain line for each finished epoch, for files, pipes and notebooks."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.epochs = 0

    def start(self, epochs: int, samples: int, batch: int) -> None:
        self.epochs = epochs

    def epoch(self, record: Record) -> None:
        print(epoch_line(record, self.epochs), file=self.stream, flush=True)


class Live(Quiet):
    """A line for each finished epoch, and below them one that moves with the running epoch."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        self.console = Console(file=stream, highlight=False)
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[values]}"),
            console=self.console,
            transient=True,
            refresh_per_second=1 / REFRESH,
        )
        self.task = self.bars.add_task("", total=1, values="")
        self.epochs = 0
        self.samples = 0
        self.began = 0.0
        self.printed = 0.0
        self.lines: list[str] = []

    def start(self, epochs: int, samples: int, batch: int) -> None:
        self.epochs, self.samples, self.began = epochs, samples, time.perf_counter()
        self.bars.update(self.task, total=samples, description=f"epoch 1/{epochs}")
        self.bars.start()

    def batch(self, epoch: int, done_samples: int, loss: float, metrics: Record) -> None:
        seconds = time.perf_counter() - self.began
        done = (epoch - 1) * self.samples + done_samples
        speed = done / seconds if seconds > 0 else 0.0
        left = (self.epochs * self.samples - done) / speed if speed > 0 else math.nan
        values = values_text({"loss": loss, **metrics})
        self.bars.update(
            self.task,
            completed=done_samples,
            description=f"epoch {epoch}/{self.epochs}",
            values=f"{values}  {speed_text(speed)}  {time_text(left)} left",
        )

    def epoch(self, record: Record) -> None:
        self.lines.append(epoch_line(record, self.epochs))
        # Printing takes longer than an epoch of a small net: many lines go at once.
        if time.perf_counter() - self.printed > REFRESH:
            self.print_lines()

    def print_lines(self) -> None:
        from rich.text import Text

        if self.lines:
            self.console.print(Text("\n".join(self.lines)), soft_wrap=True)
        self.lines.clear()
        self.printed = time.perf_counter()

    def finish(self) -> None:
        self.print_lines()
        self.bars.stop()


def choose(progress: Progress | bool | None = None, stream: TextIO | None = None) -> Progress:
    """None or True chooses by the stream, False is quiet, an object is taken as it is."""
    stream = sys.stdout if stream is None else stream
    if progress is False:
        return Quiet()
    if progress is not None and progress is not True:
        if not isinstance(progress, Progress):
            raise Error(
                "`progress` must be None, True, False or an object with the methods `start`, "
                f"`batch`, `epoch` and `finish`, not {progress!r}."
            )
        return progress
    if stream.isatty():
        try:
            return Live(stream)
        except ImportError:
            pass  # rich is a comfort, not a need
    return Lines(stream)


class JsonLog:
    """A new file with one line of JSON an epoch, written at once so that others can follow it. An
    older log there is replaced, and any other file stays.

    Numbers that are not finite are written as null, which JSON has and they have not. A write that
    fails (the disk is full) is no reason to lose a training: it is told to `notify`, and tried
    again with the next line.
    """

    def __init__(self, path: Path, notify: Callable[[str], None] = lambda text: None) -> None:
        from nnrt.writing import open_log

        if not isinstance(path, (str, bytes, os.PathLike)):
            raise Error(f"`log` must be the path of a file, and is {shown(path)}.", "N0731")
        self.path = os.fsdecode(path)
        self.notify = notify
        self.pending = b""
        self.failed = ""
        with of("the log"):
            self.file = open_log(path)
        try:
            reserve(self.file.fileno(), ROOM)
        except OSError as error:
            self.file.close()
            raise Error(
                f"the log {self.path} cannot be written: {error.strerror or error}. "
                "Name a file in a folder that has room."
            ) from error

    def write(self, record: Record) -> None:
        values = {name: plain(value) for name, value in record.items()}
        self.pending += json.dumps(values, allow_nan=False).encode() + b"\n"
        before = self.failed
        self.flush()
        if self.failed and not before:
            self.notify(
                f"the log {self.path} cannot be written: {self.failed}. The training goes on; the "
                "lines are kept, and written when that is possible."
            )

    def flush(self) -> None:
        try:
            while self.pending:
                self.pending = self.pending[self.file.write(self.pending) :]
            self.failed = ""
        except OSError as error:
            self.failed = error.strerror or str(error)

    def finish(self) -> str | None:
        """Try for the last time, and say what is missing."""
        self.flush()
        self.close()
        if not self.failed:
            return None
        lines = self.pending.count(b"\n")
        missing = "its last line" if lines == 1 else f"its last {lines} lines"
        return f"the log {self.path} lacks {missing}: {self.failed}."

    def close(self) -> None:
        try:
            self.file.close()
        except OSError as error:  # some file systems tell only now
            self.failed = self.failed or error.strerror or str(error)

    def __enter__(self) -> JsonLog:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def reserve(descriptor: int, size: int) -> None:
    """See that a new file has room for so many bytes. Raises OSError where it has not."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return  # a terminal, a pipe: only writing can tell
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
    finally:
        os.ftruncate(descriptor, 0)


def plain(value: Any) -> Any:
    """A NumPy number as Python's, and null for what JSON cannot say."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def epoch_line(record: Record, epochs: int) -> str:
    number = str(record["epoch"]).rjust(len(str(epochs)))
    values = {name: value for name, value in record.items() if name not in APART}
    parts = [f"epoch {number}/{epochs}", values_text(values)]
    if "samples_per_second" in record:
        parts.append(speed_text(record["samples_per_second"]))
    if "seconds" in record:
        parts.append(time_text(record["seconds"]))
    return "  ".join(parts)


def values_text(values: Record) -> str:
    return "  ".join(f"{visible(name)} {number_text(value)}" for name, value in values.items())


def number_text(value: Any) -> str:
    """Four digits after the point while they say something, else the exponent's form."""
    if not isinstance(value, float) and not hasattr(value, "dtype"):
        return str(value)
    small_or_large = value != 0 and not 1e-3 <= abs(value) < 1e6
    return f"{value:.3e}" if small_or_large and math.isfinite(value) else f"{value:.4f}"


def speed_text(samples_per_second: float) -> str:
    return f"{samples_per_second:,.0f} samples/s"


def time_text(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
