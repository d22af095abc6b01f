"""What the helps of `bad/*.txt` say is typed in, and the mistake is gone.

Most helps are typed by a few plain edits at the places that a message marks. Where that cannot
express a help, `fixed/NAME.nn` does by hand what it says (`fixed/NAME.2.nn`: a second way).
"""

from __future__ import annotations

import difflib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nnc.elaborate import Text, elaborate, read_source
from nnlang import DiagnosticError
from nnlang.diagnostics import Diagnostic

BAD = Path(__file__).parent / "bad"
FILES = sorted(BAD.glob("*.nn"))
FIXED = Path(__file__).parent / "fixed"
CODE = re.compile(r"`([^`]+)`|(?<=mean )\"([^\"]+)\"|(?<=it: )\"([^\"]+)\"")
TAKES_AWAY = ("remove", "leave out")
# Words of helps that stand for what the writer has there.
PLACEHOLDERS = (
    r"\b(name|Name|value|values|condition|a|b|c|f|g|x|xs|n|d|q|k|v|y|items|units|key|message)\b"
)


def codes_of(found: Diagnostic) -> list[list[str]]:
    """What each help names to type."""
    helps = [["".join(code) for code in CODE.findall(text)] for text in found.helps]
    return [codes for codes in helps if codes]


def mistakes(path: Path, *, text: str | None = None) -> tuple[Diagnostic, ...]:
    """The mistakes of a file, or of a text in its place."""
    if text is not None:
        path.write_text(text, encoding="utf-8")
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    given = re.findall(r"([\w.]+)=([^,]+)", first) if first.startswith("# settings: ") else []
    settings = {key: Text(value) for key, value in given if not key.startswith("train.")}
    overrides = {key[6:]: Text(value) for key, value in given if key.startswith("train.")}
    try:
        elaborate(read_source(path), settings=settings, overrides=overrides)
    except DiagnosticError as error:
        return error.diagnostics
    return ()


def key_of(found: Diagnostic) -> tuple[str, str]:
    return found.code, found.message


def line_of(found: Diagnostic) -> int:
    return found.primary.span.line if found.primary is not None else 0


def variants(code: str, marked: str) -> Iterator[str]:
    """A code as it may be typed: `...` is what is marked, or goes on as the text does."""
    yield code
    for end in ("(...)", "...", " = ..."):
        if code.endswith(end):
            yield code.removesuffix(end)
    if "..." in code and marked:
        yield code.replace("...", marked)


def edits(text: str, found: Diagnostic, file: str) -> Iterator[str]:
    """The text with each code of the helps typed at each place that the message marks."""
    for label in sorted(found.labels, key=lambda label: not label.primary):
        if label.span.file != file:
            continue
        start, end = label.span.start, label.span.end
        line_start = text.rfind("\n", 0, start) + 1
        line_end = (text + "\n").index("\n", end)
        for help_text, codes in zip(
            (text for text in found.helps if CODE.search(text)), codes_of(found), strict=True
        ):
            for code in codes:
                if help_text.startswith(TAKES_AWAY):
                    rest = text[start:end].replace(code, "").rstrip()
                    yield text[:start].rstrip(" ") + rest + text[end:]
                    yield text[:line_start] + text[line_end + 1 :]
                for typed in dict.fromkeys(variants(code, text[start:end])):
                    yield text[:start] + typed + text[end:]
                    yield text[:start] + f"({typed})" + text[end:]
                    yield text[:start] + typed + text[line_end:]
                    yield text[:line_start] + typed + text[line_end:]
                    yield text[:end] + typed + text[end:]
                    yield text[:end] + " " + typed + text[end:]
                    yield text[:start] + typed + " " + text[start:]
                    yield text[:line_end] + "\n" + typed + text[line_end:]
                    yield text[:line_start] + typed + "\n" + text[line_start:]
                    for close in re.finditer(r"^\}", text[end:], re.MULTILINE):
                        place = end + close.start()
                        yield text[:place] + typed + "\n" + text[place:]


def typed_in(path: Path, text: str, found: Diagnostic) -> str | None:
    """The text after an edit that takes the mistake away and makes no other in its line."""
    before = {(key_of(other), line_of(other)) for other in mistakes(path, text=text)}
    for edited in edits(text, found, path.name):
        after = mistakes(path, text=edited)
        moved = edited.count("\n") - text.count("\n")
        lines = {line_of(found), line_of(found) + moved}
        if any(key_of(other) == key_of(found) and line_of(other) in lines for other in after):
            continue
        new = {(key_of(other), line_of(other)) for other in after} - before
        stages = [stage_of(code) for (code, _), _ in new]
        if not any(line in lines for _, line in new) and min(stages, default=9) > stage_of(
            found.code
        ):
            return edited
    return None


def stage_of(code: str) -> int:
    """Text, then names, then what is built; a stage hides the mistakes of the next."""
    return {"N01": 0, "N02": 1}.get(code[:3], 2 if code != "N0501" else 1)


def is_given(path: Path, found: Diagnostic) -> bool:
    """Whether an option of the command line that the help names takes the mistake away."""
    code = next((code for codes in codes_of(found) for code in codes if code[:2] == "--"), "")
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"(?:net|as) (\w+)", text) if code else ():
        given: dict[str, Any] = {"net": name} if code == "--net NAME" else {"recipe": name}
        if code.startswith("--set "):
            given = {"settings": {code[6:].partition("=")[0]: Text("3")}}
        try:
            elaborate(read_source(path), **given)
        except DiagnosticError:
            continue
        return True
    return False


def left_over(path: Path, folder: Path) -> list[Diagnostic]:
    """The mistakes of a bad file whose helps no plain edit can type."""
    shutil.copytree(BAD / "parts", folder / "parts")
    copy = folder / path.name
    text = path.read_text(encoding="utf-8")
    copy.write_text(text, encoding="utf-8")
    left: list[Diagnostic] = []
    first = mistakes(copy)
    for _ in range(2 * len(first)):
        done = {(key_of(found), line_of(found)) for found in left}
        wanted = (
            found
            for found in mistakes(copy, text=text)
            if codes_of(found) and (key_of(found), line_of(found)) not in done
        )
        found = next((found for found in wanted if key_of(found) in map(key_of, first)), None)
        if found is None:
            break
        edited = typed_in(copy, text, found)
        if edited is None and is_given(path, found):
            break
        if edited is None:
            left.append(found)
        else:
            text = edited
    return left


def pattern_of(code: str) -> re.Pattern[str]:
    """A code as it stands in a file: `...` and placeholders are anything, spaces do not count."""
    parts = [re.sub(PLACEHOLDERS, "\0", part) for part in re.split(r"\.\.\.|…", code)]
    whole = "\0".join(re.sub(r"\s+", "", part) for part in parts)
    return re.compile(".*?".join(re.escape(part) for part in whole.split("\0")))


def does_what_is_said(help_text: str, texts: list[str]) -> bool:
    """Whether one of the corrected texts has (or lacks) what the help names."""
    codes = ["".join(code) for code in CODE.findall(help_text)]
    folded = [re.sub(r"\s+", "", text) for text in texts]
    found = [any(pattern_of(code).search(text) for text in folded) for code in codes]
    return any(found) or help_text.startswith(TAKES_AWAY)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_a_help_says_is_typed_and_the_mistake_is_gone(path: Path, tmp_path: Path) -> None:
    left = left_over(path, tmp_path)
    if not left:
        return
    ways = sorted(FIXED.glob(f"{path.stem}.nn")) + sorted(FIXED.glob(f"{path.stem}.[0-9].nn"))
    assert ways, [(found.message, found.helps) for found in left]
    bad = path.read_text(encoding="utf-8").splitlines()
    texts = [way.read_text(encoding="utf-8") for way in ways]
    for way, text in zip(ways, texts, strict=True):
        still = [key_of(found) for found in mistakes(way)]
        assert still == [], f"{way.name}: {still}"
        changed = [line[0] for line in difflib.ndiff(bad, text.splitlines()) if line[0] in "+-"]
        if not changed:  # the mistake is in a file that it uses
            texts = [part.read_text(encoding="utf-8") for part in (FIXED / "parts").glob("*.nn")]
        assert 0 < changed.count("+") + 1 <= 4 * len(left) + 4, way.name
    for found in left:
        for help_text in found.helps:
            if CODE.search(help_text):
                assert does_what_is_said(help_text, texts), (help_text, way.name)


def test_no_corrected_file_is_left_behind() -> None:
    names = {path.stem for path in FILES}
    assert [way.name for way in FIXED.glob("*.nn") if way.name.split(".")[0] not in names] == []
