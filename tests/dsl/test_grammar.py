"""The language is parsed by Lark, from the grammar in the package."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import lark
import nnlang
import pytest
from lark.parsers.lalr_interactive_parser import InteractiveParser
from nnlang.diagnostics import DiagnosticError
from nnlang.grammar import PreparedTokens, load_grammar
from nnlang.layout import lay_out
from nnlang.lexer import lex
from nnlang.parser import parse

PACKAGE = Path(nnlang.__file__).parent
TEXT = "net X {\n    y = (a + b) -> f(1)\n}\n"


def modules_after(code: str) -> set[str]:
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_parsing_brings_in_lark() -> None:
    loaded = modules_after("import nnlang; nnlang.parse('const k = 1')")
    assert {"lark", "lark.parsers.lalr_parser"} <= loaded
    assert not {"nnlang.recovery", "nnlang.errors"} & loaded, "a good text needs no recovery"


@pytest.mark.parametrize("package", ["nnrt", "nnlang", "nnc"])
def test_importing_a_package_does_not(package: str) -> None:
    assert not {name for name in modules_after(f"import {package}") if name.startswith("lark")}


def test_larks_parser_takes_every_token(monkeypatch: pytest.MonkeyPatch) -> None:
    fed: list[str] = []
    feed = InteractiveParser.feed_token

    def recording(self: InteractiveParser, token: lark.Token) -> object:
        fed.append(token.type)
        return feed(self, token)

    monkeypatch.setattr(InteractiveParser, "feed_token", recording)
    parse(TEXT)
    tokens, _ = lay_out(lex(TEXT, "", load_grammar().literals).tokens, "")
    assert fed == [token.type for token in tokens]
    fed.clear()
    with pytest.raises(DiagnosticError):
        parse("net X {\n    y = )\n    z = 1\n}\n")
    assert fed.count("NET") > 1, "recovery reads with Lark's parser, too"


def test_the_package_has_no_tables_of_its_own() -> None:
    kinds = {path.suffix for path in PACKAGE.rglob("*") if path.is_file()}
    assert kinds <= {".py", ".pyc", ".nn", ".lark", ".typed", ".md"}
    assert (PACKAGE / "grammar.lark").is_file()


def test_the_grammar_has_no_conflict(caplog: pytest.LogCaptureFixture) -> None:
    """Lark takes the shift where a grammar is in doubt, and says so only to its log."""
    text = (PACKAGE / "grammar.lark").read_text(encoding="utf-8")
    level = lark.logger.level
    lark.logger.addHandler(caplog.handler)
    try:
        lark.logger.setLevel(logging.DEBUG)
        lark.Lark(text, parser="lalr", lexer=PreparedTokens, debug=True)
        assert caplog.messages == []
        doubtful = text + '\n!doubtful: "if" body | "if" body "else" body | doubtful doubtful\n'
        doubtful = doubtful.replace("?item: net", "?item: doubtful | net")
        lark.Lark(doubtful, parser="lalr", lexer=PreparedTokens, debug=True)
        assert any("conflict" in message.lower() for message in caplog.messages)
    finally:
        lark.logger.setLevel(level)
        lark.logger.removeHandler(caplog.handler)


def test_each_action_of_the_grammar_has_a_method() -> None:
    from nnlang.builder import Builder

    shapes = load_grammar().shapes.values()
    actions = {shape.action for shape in shapes if not shape.is_list and not shape.passes_on}
    methods = {name.removeprefix("make_") for name in vars(Builder) if name.startswith("make_")}
    assert actions == methods
