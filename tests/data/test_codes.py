"""Every code that the runtime gives is in the language's table of codes."""

from __future__ import annotations

import re
from pathlib import Path

from nnlang.codes import CODES

RUNTIME = Path(__file__).resolve().parents[2] / "runtime"


def test_codes_of_data_are_in_the_table() -> None:
    used = set()
    for path in (RUNTIME / "nnrt" / "data").glob("*.py"):
        used |= set(re.findall(r'"(N\d{4})"', path.read_text(encoding="utf-8")))
    assert len(used) > 5 and used <= set(CODES)
