"""The parse tables in the package are those of the grammar."""

from __future__ import annotations

from pathlib import Path

import nnlang
from nnlang.grammar import make_tables
from nnlang.tables import decoded, encoded, load_tables


def test_the_tables_are_those_of_the_grammar() -> None:
    path = Path(nnlang.__file__).with_name("tables.json")
    assert path.read_text(encoding="utf-8") == encoded(make_tables()), (
        "run python -m nnlang.grammar > dsl/nnlang/tables.json"
    )


def test_tables_survive_their_text() -> None:
    assert decoded(encoded(load_tables())) == load_tables()
