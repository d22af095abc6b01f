"""Texts made at random: the parser raises nothing but diagnostics, the formatter keeps every
program.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nnlang.diagnostics import DiagnosticError, to_json
from nnlang.dump import dump_syntax
from nnlang.format import format_source
from nnlang.grammar import load_grammar
from nnlang.parser import parse
from nnlang.rendering import render_all
from nnlang.syntax import Source

GOOD = [
    path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).parent / "good").glob("*.nn"))
]
WORDS = [
    *load_grammar().literals, "x", "f", "metric", "load", "edition", "f32", "like", "1", "0.5",
    '"s"', "\n", "\n    ",
    "#c\n", "'", ";", "\\", '"', "\t", "é", "字", "\ud800", "\x00", "1e999", "3px",
    "->\n", "{\n", "}\n",
]  # fmt: skip


def survives(text: str) -> None:
    """Parses, or is refused with diagnostics that can be shown."""
    try:
        file = parse(text, "fuzz.nn")
    except DiagnosticError as error:
        assert 0 < len(error.diagnostics) <= 20
        sources = {"fuzz.nn": Source("fuzz.nn", text)}
        for plain in (True, False):
            render_all(error.diagnostics, sources, color=plain).encode("utf-8")
        for diagnostic in error.diagnostics:
            assert diagnostic.message and to_json(diagnostic)
            place = diagnostic.primary
            assert place is not None
            assert 0 <= place.span.start <= place.span.end <= len(text)
        return
    dump_syntax(file)
    result = format_source(text)
    assert parse(result) == file
    assert format_source(result) == result


@settings(deadline=None, max_examples=300)
@given(st.text())
def test_any_text(text: str) -> None:
    survives(text)


@settings(deadline=None, max_examples=500)
@given(st.lists(st.sampled_from(WORDS), max_size=40), st.sampled_from(["", " "]))
def test_any_words(words: list[str], joint: str) -> None:
    survives(joint.join(words))
    survives("net X {\n" + joint.join(words) + "\n}")


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(GOOD), st.randoms(use_true_random=False), st.integers(1, 4))
def test_damaged_programs(text: str, chance: random.Random, times: int) -> None:
    for _ in range(times):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice([0, 1, 1, 2, 5, 20, 100]))
        put = chance.choice(
            ["", "", chance.choice(WORDS), text[chance.randrange(len(text) + 1) :][:9]]
        )
        text = text[:start] + put + text[end:] or " "
    survives(text)


@pytest.mark.parametrize(
    "text",
    [
        "net X { y = " + "(" * 5000,
        "net X { y = " + "(" * 5000 + "x" + ")" * 5000 + " }",
        "net X { y = " + "[" * 5000 + "]" * 5000 + "}",
        "net X {" * 5000,
        "}" * 5000,
        "net X { y = " + "- " * 5000 + "x }",
        "net X { y = " + "not " * 5000 + "x }",
        "net X { y = " + "2 ** " * 5000 + "x }",
        "net X { y = " + "x + " * 5000 + "x }",
        "net X { y = x" + ".a" * 5000 + " }",
        "net X { y = x" + "[0]" * 5000 + " }",
        "block f(x) { " + "if a { y = 1 } else " * 5000 + "{ y = 2 } }",
        "block f(x) { " + "if a { " * 5000 + "y = 1" + " }" * 5000 + " }",
    ],
)
def test_deep_nesting_is_a_diagnostic(text: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        parse(text)
    if "}" * 50 not in text or "{" in text:
        assert "N0107" in {diagnostic.code for diagnostic in caught.value.diagnostics}


def test_long_but_flat_programs_are_fine() -> None:
    stages = "net X { y = x" + " -> f" * 3000 + "\n" + "z = 1\n" * 3000 + "}"
    assert len(parse(stages + f"\nconst k = [{'1, ' * 3000}]").items) == 2


# Programs made from a small grammar, with comments and line ends where they are allowed.

NAMES = ["x", "y", "units", "a_name_that_is_rather_long_for_a_name", "conv", "m.f"]


def _chain(chance: random.Random, depth: int) -> str:
    stages = (
        chance.choice([" ", "\n ", "  # note\n "]) + f"-> {_call(chance, depth - 1)}"
        for _ in range(chance.randrange(1, 5))
    )
    return _expression(chance, depth - 1) + "".join(stages)


def _items(chance: random.Random, depth: int, low: int = 0) -> str:
    count = chance.randrange(low, 5)
    parts: list[str] = []
    for position in range(count):
        parts.append(chance.choice(["", "", "\n", " # note\n"]))
        parts.append(_expression(chance, depth - 1))
        last = position == count - 1
        parts.append(
            chance.choice(["", "\n", ",", ",\n"]) if last else chance.choice([", ", ",\n"])
        )
    return "".join(parts)


def _call(chance: random.Random, depth: int) -> str:
    label = chance.choice(["", "", " as part"])
    return f"{chance.choice(NAMES)}({_items(chance, depth)}){label}"


def _choice(chance: random.Random, depth: int) -> str:
    opening, closing = chance.choice([("{ ", " }"), ("{\n", "\n}"), ("{ # note\n", " # note\n}")])
    condition, one, two = (_expression(chance, depth - 1) for _ in range(3))
    return f"if {condition} {opening}{one}{closing} else {opening}{two}{closing}"


def _expression(chance: random.Random, depth: int) -> str:
    if depth <= 0:
        return chance.choice([*NAMES, "1", "0.5", "true", '"text"'])
    match chance.randrange(10):
        case 0 | 1:
            return _call(chance, depth)
        case 2:
            return f"({_chain(chance, depth)})"
        case 3:
            operator = chance.choice(["+", "-", "*", "/", "@", "and", "or", "//", "%", "**"])
            return f"({_expression(chance, depth - 1)}){operator} {_expression(chance, 0)}"
        case 4:
            return f"[{_items(chance, depth)}]"
        case 5:
            return f"({_expression(chance, depth - 1)}, {_items(chance, depth)})"
        case 6:
            return f"(-({_expression(chance, depth - 1)}))"
        case 7:
            return f"x[{chance.choice([':', '1:', '...', '::2'])}, {_items(chance, depth, 1)}]"
        case 8:
            return f"({_choice(chance, depth)})"
    return chance.choice(NAMES)


def _program(chance: random.Random) -> str:
    lines = []
    for _ in range(chance.randrange(1, 6)):
        gap = chance.choice(["", "", "\n", "\n\n", "# note\n", "\n# note\n\n"])
        value = chance.choice([_expression, _chain, _choice])(chance, chance.randrange(4))
        note = chance.choice(["", "", " # note"])
        lines.append(f"{gap}y = {value}{note}\n")
    body = "".join(lines)
    default, chain = _expression(chance, 2), _chain(chance, 2)
    return f"block f(x: [N, ...], k = {default}) {{\n{body}}}\nblock g(x) = {chain}\n"


@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_formatting_keeps_any_program(chance: random.Random) -> None:
    text = _program(chance)
    tree = parse(text)
    result = format_source(text)
    assert parse(result) == tree
    assert format_source(result) == result
    assert result.count("# note") == text.count("# note")
