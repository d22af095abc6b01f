"""Every wrong file of `bad/` gives exactly the message that stands beside it.

`pytest --accept` writes the messages anew. A first line `# settings: hidden=3, train.batch=0` gives
settings of the net and overrides of the training section, as the command line does.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from nnc.elaborate import Text, elaborate, read_source
from nnlang import DiagnosticError

BAD = Path(__file__).parent / "bad"
FILES = sorted(BAD.glob("*.nn"))


@pytest.fixture(autouse=True)
def in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages name files from the working directory."""
    monkeypatch.chdir(BAD)


def settings_of(text: str) -> tuple[dict[str, Text], dict[str, Text]]:
    """Settings and overrides that the first line of a file asks for."""
    first = text.partition("\n")[0]
    if not first.startswith("# settings: "):
        return {}, {}
    pairs = [part.split("=", 1) for part in first.removeprefix("# settings: ").split(", ")]
    settings = {key: Text(value) for key, value in pairs if not key.startswith("train.")}
    overrides = {key[6:]: Text(value) for key, value in pairs if key.startswith("train.")}
    return settings, overrides


def message_of(path: Path) -> str:
    settings, overrides = settings_of(path.read_text(encoding="utf-8"))
    with pytest.raises(DiagnosticError) as error:
        elaborate(read_source(path), settings=settings, overrides=overrides)
    return str(error.value) + "\n"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_message(path: Path, accept: bool) -> None:
    found = message_of(path)
    expected = path.with_suffix(".txt")
    if accept:
        expected.write_text(found, encoding="utf-8")
    assert found == expected.read_text(encoding="utf-8")


def test_every_expectation_has_its_file() -> None:
    assert [path.stem for path in sorted(BAD.glob("*.txt"))] == [path.stem for path in FILES]


def test_every_area_is_covered() -> None:
    """Codes of every phase before data appear among the messages."""
    texts = [path.with_suffix(".txt").read_text(encoding="utf-8") for path in FILES]
    areas = {text[len("error[") :][:3] for text in texts}
    assert areas >= {"N01", "N02", "N03", "N04", "N05", "N06"}
    assert len(FILES) >= 80
