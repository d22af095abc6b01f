"""The rooms of the runtime depend one way: public headers on each other, `core/` on no device, a
device on no other device.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

RUNTIME = Path(__file__).parents[1] / "runtime"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
ALLOWED = {
    "include/nnrt": {"nnrt"},
    "core": {"nnrt", "core"},
    "cpu": {"nnrt", "core", "cpu"},
    "null": {"nnrt", "core", "null"},
}


def rooms_included(text: str) -> set[str]:
    return {name.partition("/")[0] for name in INCLUDE.findall(text)}


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_a_room_includes_only_what_it_may(room: str) -> None:
    files = [path for path in (RUNTIME / room).rglob("*") if path.suffix in (".h", ".cpp", ".def")]
    assert files
    found = {
        f"{path.relative_to(RUNTIME)}: {other}"
        for path in files
        for other in rooms_included(path.read_text()) - ALLOWED[room]
    }
    assert found == set()


def test_every_device_is_seen_here() -> None:
    rooms = {path.name for path in RUNTIME.iterdir() if any(path.rglob("*_backend.h"))}
    assert rooms - {"include", "core"} == set(ALLOWED) - {"include/nnrt", "core"}


def test_an_include_is_found() -> None:
    assert rooms_included('#include "cpu/kernel.h"\n  #  include "core/json.h"\n') == {
        "cpu",
        "core",
    }
