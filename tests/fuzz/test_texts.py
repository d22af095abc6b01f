"""Whatever a text that parses says, elaboration gives graphs or a DiagnosticError, nothing else; a
text without mistakes is lowered and runs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from nnc.elaborate import context, elaborate, statements
from nnlang.syntax import Source
from nnrt import _engine

from .networks import NETWORKS
from .texts import PROGRAMS, STATEMENTS, Texts, check, corpus, lower_limits, try_text

TEXTS = Texts(corpus())


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (statements, "ELEMENT_LIMIT"),
        (context, "WORK_LIMIT"),
        (context, "NODE_LIMIT"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))
    lower_limits()


@pytest.mark.parametrize("program", range(len(PROGRAMS)))
def test_good_program(program: int) -> None:
    elaborate(Source("<text>", PROGRAMS[program]))


def test_the_corpus_is_good_and_stays_good_under_low_limits(low_limits: None) -> None:
    nets = 0
    for name, text in TEXTS.programs.items():
        if not name.startswith("reference"):
            nets += len(check(Source(name, text)))
    assert nets == len(PROGRAMS) + len(NETWORKS)


@pytest.mark.parametrize("seed", range(0, 600, 100))
def test_changed_programs(seed: int, low_limits: None) -> None:
    counts: Counter[str] = Counter()
    for one in range(seed, seed + 100):
        text = TEXTS.make(one)
        try:
            try_text(text, _engine, lambda stage: None, counts)
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} for {text}:\n{text.text}") from error
    assert counts["mistakes"] > 30
    assert counts["good"] > 2
    assert counts["ran"] > 2


def test_a_seed_makes_one_text() -> None:
    made: list[Any] = [TEXTS.make(seed) for seed in range(500)]
    assert made == [TEXTS.make(seed) for seed in range(500)]
    everything = "".join(text.text for text in made)
    assert sum(statement in everything for statement in STATEMENTS) > len(STATEMENTS) / 2
