"""The saved trees of the library: they are those of the texts, and follow every change."""

from __future__ import annotations

from pathlib import Path

import pytest
from nnlang import parse, saved_library, syntax
from nnlang.diagnostics import DiagnosticError
from nnlang.saved_library import parse_library
from nnlang.syntax import Source

STD = Path(syntax.__file__).parent / "std"
LIBRARY = [Source(f"std/{path.name}", path.read_text("utf-8")) for path in sorted(STD.glob("*.nn"))]
SMALL = [Source("std/a.nn", "# One.\nblock a(x) = x + 1\n"), Source("std/b.nn", "const k = 2\n")]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".cache" / "nnc"


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the texts that are parsed."""
    names: list[str] = []

    def noted(text: str, name: str, directory: str | None) -> syntax.File:
        names.append(name)
        return parse(text, name, directory)

    monkeypatch.setattr(saved_library, "parse", noted)
    return names


def spans(file: syntax.File) -> list[syntax.Span]:
    return [node.span for node in syntax.walk(file)]


def test_saved_trees_are_those_of_the_texts(parsed: list[str]) -> None:
    made = parse_library(LIBRARY)
    assert parsed == [source.name for source in LIBRARY]
    loaded = parse_library(LIBRARY)
    assert len(parsed) == len(LIBRARY), "the second use parses nothing"
    for source, first, second in zip(LIBRARY, made, loaded, strict=True):
        expected = parse(source.text, source.name)
        assert first == second == expected
        assert spans(first) == spans(second) == spans(expected)
        documented = [item.documentation for item in expected.items if hasattr(item, "name")]
        assert [i.documentation for i in second.items if hasattr(i, "name")] == documented


@pytest.mark.parametrize("change", ["text", "name", "code"])
def test_a_change_is_seen_and_replaces_the_file(
    folder: Path, parsed: list[str], monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    parse_library(SMALL)
    first, second = SMALL
    if change == "text":
        first = Source(first.name, first.text.replace("1", "3"))
    elif change == "name":
        first = Source("std/c.nn", first.text)
    else:
        monkeypatch.setattr(saved_library, "_code", lambda: [b"changed"])
    before = len(parsed)
    (made, _) = parse_library([first, second])
    assert parsed[before:] == [first.name, second.name]
    assert made == parse(first.text) and made.span.file == first.name
    assert len(list(folder.glob("library-*"))) == 1


def test_a_mistake_is_reported_each_time(folder: Path) -> None:
    for _ in range(2):
        with pytest.raises(DiagnosticError):
            parse_library([Source("std/a.nn", "block (")])
    assert not list(folder.glob("library-*"))
