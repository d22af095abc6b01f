"""Every public block of the library stands in the reference with its signature."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nnc.elaborate.builtins import builtins
from nnc.elaborate.calls import signature
from nnc.elaborate.context import Context
from nnc.elaborate.evaluator import EVALUATOR
from nnc.elaborate.module import LIBRARY, PRELUDE, load_text, prelude
from nnc.elaborate.names import check_names
from nnc.elaborate.values import Block, Builtin
from nnlang import format_source, parse
from nnlang.syntax import Rule, Source

PAGE = (Path(__file__).parents[2] / "dsl" / "REFERENCE.md").read_text(encoding="utf-8")
SECTION = PAGE[PAGE.index("## Standard library\n") :]
SUPPLIED = {"optimizers": 3, "schedules": 3, "regularizers": 1, "initializers": 1}


def public() -> list[tuple[str, str]]:
    """Each public block with its signature, without what the place supplies."""
    found = []
    for part in PRELUDE:
        text = (LIBRARY / f"{part}.nn").read_text(encoding="utf-8")
        for item in parse(text).items:
            name = item.name.text  # type: ignore[union-attr]
            supplied = SUPPLIED.get(part, 0)
            if part == "optimizers" and not isinstance(item, Rule):
                supplied = 1  # clipping
            if name in ("fan_in", "fan_out"):
                supplied = 0
            if not name.startswith("_"):
                found.append((name, signature(item, text, supplied)))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(("name", "shown"), public(), ids=lambda each: each.split("(")[0])
def test_block_is_listed(name: str, shown: str) -> None:
    assert f"`{shown}`" in SECTION


def test_no_other_block_is_listed() -> None:
    names = {name for name, _ in public()} | set(builtins())
    listed = re.findall(r"^\| `(\w+)\(", SECTION, re.MULTILINE)
    assert len(listed) > 60
    assert set(listed) <= names


@pytest.mark.parametrize("name", [name for name in builtins() if name != "op"])
def test_function_is_listed(name: str) -> None:
    functions = SECTION[SECTION.index("### Functions") :]
    assert re.search(rf"`{name}[(`]", functions) or name == "constant"


def test_every_block_of_the_prelude_is_known_without_use() -> None:
    _, loader = load_text(Source("<text>", ""))
    scope = prelude(loader).scope
    for name, _ in public():
        binding = scope.find(name)
        assert binding is not None and isinstance(binding.value, (Block, Builtin))


@pytest.mark.parametrize("part", PRELUDE)
def test_the_library_has_no_unknown_or_unused_names(part: str) -> None:
    _, loader = load_text(Source("<text>", ""))
    name = f"library/{part}.nn"  # not the name by which mistakes move to the caller
    text = (LIBRARY / f"{part}.nn").read_text(encoding="utf-8")
    context = Context({name: Source(name, text)}, EVALUATOR, training=False)
    check_names(context, parse(text, name), prelude(loader).scope)
    assert [found.message for found in context.diagnostics] == []


@pytest.mark.parametrize("part", PRELUDE)
def test_the_library_is_formatted(part: str) -> None:
    text = (LIBRARY / f"{part}.nn").read_text(encoding="utf-8")
    assert format_source(text) == text
    assert max(len(line) for line in text.splitlines()) <= 100
