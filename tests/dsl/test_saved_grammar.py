"""The parser that Lark saved: it is used where it is sound, and does no harm where it is not."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import lark
import pytest
from nnlang import private_cache, saved_grammar
from nnlang.grammar import PreparedTokens
from nnlang.saved_grammar import load_parser

GRAMMAR = 'start: "a" NAME\n%declare NAME\n'
PARSE = "import nnlang; print(nnlang.parse('const k = 1').items[0].name.text)"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".cache" / "nnc"


def saved_in(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def works(parser: lark.Lark) -> bool:
    tokens: Any = [lark.Token("A", "a"), lark.Token("NAME", "x"), lark.Token("$END", "")]
    running = parser.parse_interactive(tokens)
    running.exhaust_lexer()
    return running.result == lark.Tree("start", [lark.Token("NAME", "x")])


def was_made(parser: lark.Lark) -> bool:
    """Whether a parser was made from the grammar, not loaded."""
    return parser.source_path != "<deserialized>"


def test_the_second_use_loads_what_the_first_saved(folder: Path) -> None:
    first = load_parser(GRAMMAR, PreparedTokens)
    assert was_made(first) and works(first)
    assert saved_in(folder).stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    second = load_parser(GRAMMAR, PreparedTokens)
    assert not was_made(second) and works(second)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda content: content[:99] + bytes([content[99] ^ 1]) + content[100:],
        lambda content: b"x" * len(content),
        lambda content: hashlib.sha256(content[32:]).digest() + content[32:],
    ],
    ids=["empty", "short", "cut", "bit", "text", "digest of another key"],
)
def test_a_damaged_file_is_replaced(folder: Path, damage: Any) -> None:
    load_parser(GRAMMAR, PreparedTokens)
    path = saved_in(folder)
    content = path.read_bytes()
    path.write_bytes(damage(content))
    parser = load_parser(GRAMMAR, PreparedTokens)
    assert was_made(parser) and works(parser)
    assert not was_made(load_parser(GRAMMAR, PreparedTokens))
    assert saved_in(folder) == path


def test_a_sound_file_that_this_lark_cannot_load_is_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(self: lark.Lark, file: Any) -> None:
        pickle.dump({"data": {}, "memo": {0: {}}}, file)

    with monkeypatch.context() as patch:
        patch.setattr(lark.Lark, "save", other)
        load_parser(GRAMMAR, PreparedTokens)
    parser = load_parser(GRAMMAR, PreparedTokens)
    assert was_made(parser) and works(parser)
    assert not was_made(load_parser(GRAMMAR, PreparedTokens))


@pytest.mark.parametrize("change", ["grammar", "lark", "python"])
def test_what_was_saved_for_another_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    load_parser(GRAMMAR, PreparedTokens)
    text = GRAMMAR
    if change == "grammar":
        text += "// changed\n"
    elif change == "lark":
        monkeypatch.setattr(lark, "__version__", "0.0")
    else:
        monkeypatch.setattr(saved_grammar.sys.implementation, "cache_tag", "cpython-0")
    assert was_made(load_parser(text, PreparedTokens))
    assert len(list(folder.iterdir())) == 2


class Evil:
    """What a pickle may hold: a call."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("open_to_others", ["folder", "file"])
def test_what_others_can_write_is_not_loaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, open_to_others: str
) -> None:
    evil = tmp_path / "evil"
    with monkeypatch.context() as patch:
        patch.setattr(lark.Lark, "save", lambda self, file: pickle.dump(Evil(evil), file))
        load_parser(GRAMMAR, PreparedTokens)
    opened = folder if open_to_others == "folder" else saved_in(folder)
    opened.chmod(opened.stat().st_mode | 0o022)
    parser = load_parser(GRAMMAR, PreparedTokens)
    assert was_made(parser) and works(parser)
    assert not evil.exists()
    if open_to_others == "folder":
        folder.chmod(0o700)
        saved_in(folder).chmod(0o600)
        load_parser(GRAMMAR, PreparedTokens)
        assert evil.exists(), "nothing was written into a folder that others can write"


def test_what_another_user_owns_is_not_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_parser(GRAMMAR, PreparedTokens)
    monkeypatch.setattr(private_cache.os, "geteuid", lambda: os.stat(folder).st_uid + 1)
    before = saved_in(folder).read_bytes()
    assert was_made(load_parser(GRAMMAR, PreparedTokens))
    assert saved_in(folder).read_bytes() == before


def test_a_place_that_cannot_be_written_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    for _ in range(2):
        parser = load_parser(GRAMMAR, PreparedTokens)
        assert was_made(parser) and works(parser)


def test_a_write_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: str, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(private_cache.os, "replace", full)
    assert works(load_parser(GRAMMAR, PreparedTokens))
    assert list(folder.iterdir()) == []


def test_a_user_without_a_home_has_no_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "relative")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        parser = load_parser(GRAMMAR, PreparedTokens)
        assert was_made(parser) and works(parser)
    assert list(tmp_path.iterdir()) == []


def test_many_processes_at_once_share_one_file(folder: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", PARSE], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert [process.communicate()[0] for process in started] == ["k\n"] * 6
    path = saved_in(folder)
    before = path.stat().st_mtime_ns
    subprocess.run([sys.executable, "-c", PARSE], check=True, stdout=subprocess.DEVNULL)
    assert path.stat().st_mtime_ns == before
