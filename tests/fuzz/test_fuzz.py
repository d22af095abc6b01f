"""A few mutants with the engine at hand, and that the fuzzer finds what it looks for. The long runs
are those of CONTRIBUTING.md.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from . import children
from .children import Children
from .mutant import Mutant, Mutants, changed
from .mutations import MUTATIONS
from .networks import compile_plans

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def mutants() -> Mutants:
    return Mutants(compile_plans())


def test_networks_use_every_kernel(mutants: Mutants) -> None:
    table = (ROOT / "runtime/include/nnrt/kernels.def").read_text()
    kernels = set(re.findall(r"^NNC_KERNEL\((\w+)", table, re.M))
    assert len(kernels) > 30
    assert {step["kernel"] for step in mutants.steps} == kernels


def test_a_seed_makes_one_mutant_and_every_mutation_changes_plans(mutants: Mutants) -> None:
    changes: Counter[str] = Counter()
    for seed in range(400):
        mutant = mutants.make(seed)
        assert repr(mutant) == repr(mutants.make(seed))
        if len(mutant.mutations) == 1 and mutant.plan != mutants.plans[mutant.network]:
            changes[mutant.mutations[0]] += 1
    assert set(changes) == set(MUTATIONS)


def test_only_programs_that_changed_run(mutants: Mutants) -> None:
    old = mutants.plans["lenet"]
    new = {**old, "programs": dict(old["programs"])}
    assert changed(old, new) == list(old["programs"])
    new["programs"]["train"] = {**old["programs"]["train"], "outputs": []}
    assert changed(old, new) == ["train"]
    assert changed(old, {**new, "variables": []}) == list(old["programs"])


def test_a_mutant_is_kept_as_it_is(mutants: Mutants, tmp_path: Path) -> None:
    for seed in range(100):
        mutant = mutants.make(seed)
        mutant.write(tmp_path / "mutant.json")
        assert repr(Mutant.read(tmp_path / "mutant.json")) == repr(mutant)


def test_mutants_never_crash(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--mutants", "300", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = dict(re.findall(r"'([\w ]+)': (\d+)", done.stdout))
    assert int(numbers["accepted"]) > 75, "most mutants should be worth running"
    assert int(numbers["ran"]) > 150


# What `work` does for some seeds, and what the fuzzer has to say of it.


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def spin() -> None:
    while True:
        pass


def fail() -> None:
    raise TypeError("no answer")


TROUBLES: dict[int, tuple[Callable[[], None], str]] = {
    3: (crash, "signal 11"),
    99: (fail, "exit status 1"),
    100: (spin, "slow"),
    249: (crash, "signal 11"),
}


def test_troubles_are_found_and_the_rest_goes_on(tmp_path: Path) -> None:
    def work(seed: int, report: Callable[[str], None], counts: Counter[str]) -> None:
        report(f"seed {seed}")
        if seed in TROUBLES:
            TROUBLES[seed][0]()
        counts["done"] += 1

    all_children = Children(work, 2, 1, tmp_path)
    problems = list(all_children.run(0, 250))
    found = {problem.seed: (problem.stage, problem.what) for problem in problems}
    assert found == {seed: (f"seed {seed}", what) for seed, (_, what) in TROUBLES.items()}
    assert all_children.counts["done"] == 250 - len(TROUBLES)
    assert [p.reason() for p in problems if p.seed == 99] == ["TypeError: no answer"]
    assert not list(tmp_path.iterdir())


def test_a_child_that_waits_for_ever_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "WAITING", 2)

    def work(seed: int, report: Callable[[str], None], counts: Counter[str]) -> None:
        time.sleep(1000 if seed == 1 else 0)

    problems = list(Children(work, 1, 10, tmp_path).run(0, 3))
    assert [(problem.seed, problem.what) for problem in problems] == [(1, "stuck")]
