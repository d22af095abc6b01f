"""Work on many seeds in child processes that may crash or never end."""

from __future__ import annotations

import faulthandler
import json
import mmap
import os
import re
import resource
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CHUNK = 100  # seeds of a child
PAUSE = 0.01
TELL = 60.0  # seconds between two lines of progress
WAITING = 60.0  # seconds after which a child counts as stuck that has used a processor for less
WORKING = 1.0  # than these
STAGE_BYTES = 64
COUNTS_BYTES = 1 << 14
HEADER = struct.Struct(f"q{STAGE_BYTES}s{COUNTS_BYTES}s")
TICKS = os.sysconf("SC_CLK_TCK")
TELLING = re.compile(
    r"ERROR: AddressSanitizer|runtime error|terminate called|^\w*(?:Error|Exc)|Fatal"
)

Work = Callable[[int, Callable[[str], None], "Counter[str]"], None]


@dataclass(frozen=True)
class Problem:
    seed: int
    stage: str
    what: str  # "slow", "stuck", "signal 11", "exit status 1"
    printed: str

    def reason(self) -> str:
        """The line of what was printed that says most, and the first place in the engine."""
        lines = [line.strip() for line in self.printed.splitlines()]
        telling = [line for line in lines if TELLING.search(line)]
        frames = [line for line in lines if line.startswith("#") and "nnrt::" in line]
        return " | ".join(line[:200] for line in telling[:1] + frames[:2])


@dataclass
class Child:
    pid: int
    slot: int
    end: int
    seed: int = -1
    since: float = field(default_factory=time.monotonic)
    used: float = 0.0  # processor seconds when it came to that seed


class Slot:
    """Memory that a child shares with its parent: the seed, what is being done, and counts."""

    def __init__(self, path: Path) -> None:
        self.memory = mmap.mmap(-1, HEADER.size)
        self.path = path  # of what the child prints

    def write(self, seed: int, stage: str, counts: Counter[str]) -> None:
        text = json.dumps(counts).encode()
        HEADER.pack_into(self.memory, 0, seed, stage.encode()[:STAGE_BYTES], text)

    def progress(self) -> tuple[int, str]:
        """The seed and the stage, also while the child writes: then a mixture of old and new."""
        seed, stage, _ = HEADER.unpack_from(self.memory, 0)
        return seed, stage.rstrip(b"\0").decode(errors="replace")

    def counts(self) -> Counter[str]:
        """Of a child that has ended; none where its end came while it wrote them."""
        *_, counts = HEADER.unpack_from(self.memory, 0)
        try:
            return Counter(json.loads(counts.rstrip(b"\0") or b"{}"))
        except ValueError:
            return Counter()


class Children:
    """Calls `work(seed, report, counts)` for many seeds, `jobs` at a time, each for at most so many
    seconds of a processor.
    """

    def __init__(self, work: Work, jobs: int, seconds: float, out: Path) -> None:
        self.work, self.seconds = work, seconds
        self.slots = [Slot(out / f"child-{i}.txt") for i in range(jobs)]
        self.counts: Counter[str] = Counter()

    def run(self, first: int, last: int) -> Iterator[Problem]:
        told = time.monotonic()
        waiting = [(begin, min(begin + CHUNK, last)) for begin in range(first, last, CHUNK)][::-1]
        running: dict[int, Child] = {}  # by slot
        while waiting or running:
            for slot in range(len(self.slots)):
                if slot not in running and waiting:
                    running[slot] = self.start(slot, *waiting.pop())
            for slot, child in list(running.items()):
                problem = self.look_at(child)
                if problem is None:
                    continue
                del running[slot]
                seed, _ = self.slots[slot].progress()
                self.counts += self.slots[slot].counts()
                if problem is not DONE:
                    yield problem
                    if seed + 1 < child.end:
                        waiting.append((seed + 1, child.end))
            if time.monotonic() - told > TELL:
                told = time.monotonic()
                left = sum(end - begin for begin, end in waiting)
                print(f"{last - first - left} of {last - first} begun", flush=True)
            time.sleep(PAUSE)
        for slot_of_child in self.slots:
            slot_of_child.path.unlink(missing_ok=True)

    def start(self, slot: int, first: int, end: int) -> Child:
        shared = self.slots[slot]
        shared.write(first, "begin", Counter())
        pid = os.fork()
        if pid == 0:
            try:
                self.be_child(shared, first, end)
            finally:
                os._exit(1)
        return Child(pid, slot, end)

    def be_child(self, shared: Slot, first: int, end: int) -> None:
        printed = os.open(shared.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if "ASAN_OPTIONS" not in os.environ:  # which reserves terabytes, and prints more
            resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
            faulthandler.enable(2)
        counts: Counter[str] = Counter()
        for seed in range(first, end):
            shared.write(seed, "begin", counts)
            try:
                self.work(seed, lambda stage, s=seed: shared.write(s, stage, counts), counts)
            except MemoryError:
                counts["out of memory"] += 1
            except Exception:
                traceback.print_exc()
                sys.stderr.flush()
                return  # the parent sees the exit status
        shared.write(end - 1, "done", counts)
        os._exit(0)

    def look_at(self, child: Child) -> Problem | None:
        """What became of the child; None while all is well."""
        shared = self.slots[child.slot]
        ended, status = os.waitpid(child.pid, os.WNOHANG)
        seed, stage = shared.progress()
        if ended:
            if status == 0:
                return DONE
            number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
            what = f"{'signal' if os.WIFSIGNALED(status) else 'exit status'} {number}"
            return Problem(seed, stage, what, shared.path.read_text(errors="replace")[-20000:])
        now, used = time.monotonic(), processor_seconds(child.pid)
        if seed != child.seed:
            child.seed, child.since, child.used = seed, now, used
        slow = used - child.used > self.seconds
        stuck = now - child.since > WAITING and used - child.used < WORKING
        if not slow and not stuck:
            return None
        os.kill(child.pid, signal.SIGKILL)
        os.waitpid(child.pid, 0)
        return Problem(seed, stage, "slow" if slow else "stuck", "")


DONE = Problem(-1, "", "done", "")


def processor_seconds(pid: int) -> float:
    text = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(text[11]) + int(text[12])) / TICKS
