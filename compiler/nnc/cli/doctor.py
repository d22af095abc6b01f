"""`nnc doctor`: what nnc finds on this machine, and what it chooses from that."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import nnc
from nnc import options
from nnc.cli.common import say
from nnc.cli.report import headed

PACKAGES = ("lark", "numpy", "rich", "safetensors", "pillow")


def run(arguments: argparse.Namespace) -> int:
    found, problem = engine()
    sections = [("versions", versions()), ("processor", processor()), ("engine", found)]
    sections += [("threads", threads()), ("memory", memory()), ("environment", environment())]
    if arguments.json:
        facts: dict[str, object] = {title: dict(lines) for title, lines in sections}
        print(json.dumps({**facts, "problem": problem or None}, indent=2))
        return 1 if problem else 0
    for title, lines in sections:
        say(title)
        width = max((len(name) for name, _ in lines), default=0)
        for name, value in lines:
            say(f"  {name:<{width}}  {value}")
    if problem:
        print(headed(problem), file=sys.stderr)
        return 1
    return 0


def engine() -> tuple[list[tuple[str, str]], str]:
    """What the engine chose and why, or why it cannot start."""
    from nnrt.errors import Error

    try:
        from nnrt import _engine
    except ImportError as error:
        return [], f"the engine cannot be loaded: {error}. Install nnc again."
    lines = [("version", str(_engine.version))]
    try:
        machine = _engine.machine()
    except Error as error:
        return lines, str(error)
    lines.append(
        ("device", f"{machine['device']} (this build has {', '.join(machine['devices'])})")
    )
    isa, best = machine["isa"], machine["best_isa"]
    why = (
        "the best one this processor has" if options.read("NNC_ISA") is None else "as NNC_ISA says"
    )
    if isa != best:
        why += f"; the best one is {best}"
    lines.append(("instruction set", f"{isa}: {why}"))
    lines.append(("to choose from", ", ".join(machine["available_isas"])))
    lines.append(("seen", " ".join(machine["cpu_features"])))
    why = "affinity and quota" if options.read("NNC_THREADS") is None else "as NNC_THREADS says"
    lines.append(("threads", f"{machine['threads']}: {why}"))
    return lines, ""


def versions() -> list[tuple[str, str]]:
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    lines = [
        ("nnc", nnc.__version__),
        ("Python", platform.python_version()),
        ("system", system),
    ]
    for package in PACKAGES:
        try:
            lines.append((package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            lines.append((package, "not installed"))
    return lines


def processor() -> list[tuple[str, str]]:
    model = first_line("/proc/cpuinfo", "model name") or platform.processor() or "unknown"
    return [("model", model), ("cores", str(os.cpu_count() or "unknown"))]


def threads() -> list[tuple[str, str]]:
    if hasattr(os, "sched_getaffinity"):
        allowed = str(len(os.sched_getaffinity(0)))
    else:
        allowed = "unknown"
    return [("affinity", f"{allowed} processors"), ("cgroup quota", quota())]


def quota() -> str:
    """The processors that the control group grants, in words."""
    limit = read("/sys/fs/cgroup/cpu.max").split()
    if not limit:
        limit = [
            read(f"/sys/fs/cgroup/cpu/cpu.cfs_{part}_us").strip() for part in ("quota", "period")
        ]
    try:
        granted = float(limit[0]) / float(limit[1])
    except (ValueError, IndexError, ZeroDivisionError):
        return "none"
    return f"{granted:g} processors" if granted > 0 else "none"


def memory() -> list[tuple[str, str]]:
    lines = []
    for title, key in (("total", "MemTotal"), ("available", "MemAvailable")):
        words = first_line("/proc/meminfo", key).split()
        lines.append((title, f"{int(words[0]) / 1048576:.1f} GiB" if words else "unknown"))
    limit = read("/sys/fs/cgroup/memory.max").strip()
    lines.append(("cgroup limit", f"{int(limit) / 2**30:.1f} GiB" if limit.isdigit() else "none"))
    pages = read("/sys/kernel/mm/transparent_hugepage/enabled")
    chosen = pages[pages.find("[") + 1 : pages.find("]")] if "[" in pages else "unknown"
    lines.append(("huge pages", chosen))
    return lines


def environment() -> list[tuple[str, str]]:
    lines = []
    for variable in options.variables():
        name = variable.names[0]
        try:
            value = options.read(name)
        except options.OptionError as error:
            value = f"wrong: {error}"
        lines.append((name, value if value is not None else f"not set: {variable.default}"))
    return lines


def first_line(path: str, key: str) -> str:
    """The value of the first `key : value` line of a file of the system, or nothing."""
    for line in read(path).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
