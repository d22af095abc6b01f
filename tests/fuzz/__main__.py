"""Runs mutants of plans, or of texts, in child processes. What ends neither with an answer nor with
an `nnrt.Error` or a diagnostic is a failure.

    NNC_GUARD=1 python -m tests.fuzz --mutants 500000 --seed 1000000
    NNC_GUARD=1 python -m tests.fuzz --replay build/fuzz/mutant-1234.json

NNC_GUARD=1 ends the engine's memory at pages that fault (nnrt/memory.h). `--engine` is a build of
the extension, as one with sanitizers; without it, the engine of the installed package
runs. A failure prints the mutant's seed, and leaves its plan and what it printed in the folder of
`--out`.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nnrt

from .children import Children, Problem, Work
from .mutant import Mutant, Mutants, Run
from .networks import compile_plans
from .texts import Text, Texts, corpus, lower_limits, try_text

SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=4096",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.fuzz", description="Run mutants of plans.")
    parser.add_argument("--engine", type=Path, help="an extension, or the folder it is in")
    parser.add_argument("--texts", action="store_true", help="of the language, instead of plans")
    parser.add_argument("--mutants", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="of the first mutant")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="for failures")
    parser.add_argument("--seconds", type=float, default=10, help="of a processor, for a mutant")
    parser.add_argument("--slow", choices=("fail", "list"), default="list")
    parser.add_argument("--replay", type=Path, help="a mutant that a failure left")
    return parser.parse_args()


def load_engine(path: Path | None) -> Any:
    """The extension at that path takes the place of the package's own."""
    if path is None:
        from nnrt import _engine

        return _engine
    if path.is_dir():
        found = sorted(path.glob("_engine*.so"))
        if not found:
            sys.exit(f"{path} holds no extension `_engine*.so`: build it there first.")
        path = found[0]
    preload_sanitizer(path)
    spec = importlib.util.spec_from_file_location("nnrt._engine", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["nnrt._engine"] = module
    spec.loader.exec_module(module)
    nnrt._engine = module  # type: ignore[attr-defined]
    return module


def preload_sanitizer(path: Path) -> None:
    """Begins again where the extension needs its sanitizer's library to be loaded first."""
    listed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    libraries = re.findall(r"=> (\S*/lib(?:asan|stdc\+\+)\.so\S*)", listed)
    if "libasan" not in " ".join(libraries) or "ASAN_OPTIONS" in os.environ:
        return
    environment = {**os.environ, **SANITIZERS, "LD_PRELOAD": " ".join(sorted(libraries))}
    os.execve(sys.executable, [sys.executable, "-m", "tests.fuzz", *sys.argv[1:]], environment)


def replay(engine: Any, path: Path) -> int:
    faulthandler.enable()
    counts: Counter[str] = Counter()

    def report(stage: str) -> None:
        print(stage, flush=True)

    if path.suffix == Text.suffix:
        lower_limits()
        try_text(Text.read(path), engine, report, counts)
    else:
        Run(engine, Mutant.read(path), report, counts).run()
    print(dict(counts))
    return 0


def plans_at_work(engine: Any) -> tuple[Callable[[int], Mutant], Work]:
    """Makes mutants, and tries the one of a seed."""
    mutants = Mutants(compile_plans())

    def work(seed: int, report: Callable[[str], None], counts: Counter[str]) -> None:
        Run(engine, mutants.make(seed), report, counts).run()

    return mutants.make, work


def texts_at_work(engine: Any) -> tuple[Callable[[int], Text], Work]:
    texts = Texts(corpus())
    lower_limits()

    def work(seed: int, report: Callable[[str], None], counts: Counter[str]) -> None:
        try_text(texts.make(seed), engine, report, counts)

    return texts.make, work


def main() -> int:
    given = arguments()
    engine = load_engine(given.engine)
    if given.replay:
        return replay(engine, given.replay)
    make, work = (texts_at_work if given.texts else plans_at_work)(engine)
    given.out.mkdir(parents=True, exist_ok=True)
    children = Children(work, given.jobs, given.seconds, given.out)
    problems: list[Problem] = []
    for problem in children.run(given.seed, given.seed + given.mutants):
        problems.append(problem)
        mutant = make(problem.seed)
        path = given.out / f"mutant-{problem.seed}{mutant.suffix}"
        mutant.write(path)
        path.with_suffix(".txt").write_text(problem.printed)
        print(f"{problem.what} at `{problem.stage}`: {mutant}\n  {problem.reason()}", flush=True)
        how = f" --engine {given.engine}" if given.engine else ""
        guard = "NNC_GUARD=1 " if os.environ.get("NNC_GUARD") == "1" else ""
        print(f"  {guard}python -m tests.fuzz{how} --replay {path}", flush=True)
    print(f"{given.mutants} mutants: {dict(children.counts)}")
    failed = [p for p in problems if p.what != "slow" or given.slow == "fail"]
    print(f"{len(failed)} failures, {len(problems) - len(failed)} slow ones")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
