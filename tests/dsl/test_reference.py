"""The language reference is true: its programs parse, and it lists every code and reserved word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nnlang.codes import CODES, with_codes
from nnlang.format import format_source
from nnlang.grammar import load_grammar
from nnlang.parser import parse

PAGE = (Path(__file__).parents[2] / "dsl" / "REFERENCE.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```nn\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", PROGRAMS, ids=lambda text: text.split("{")[0][:30].strip())
def test_programs_parse(text: str) -> None:
    assert parse(format_source(text)) == parse(text)


def test_there_are_programs() -> None:
    assert len(PROGRAMS) > 10


def test_every_reserved_word_is_listed_and_no_other() -> None:
    listed = re.search(r"are \*\*reserved\*\*:\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    assert listed is not None
    assert set(listed[1].split()) == load_grammar().keywords


def test_the_table_of_codes_is_up_to_date() -> None:
    assert with_codes(PAGE) == PAGE, "run python -m nnlang.codes dsl/REFERENCE.md"
    assert all(f"| {code} | {title} |" in PAGE for code, title in CODES.items())
