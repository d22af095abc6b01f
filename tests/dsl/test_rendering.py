"""How diagnostics look: the example of the plan to the letter, and the awkward places."""

from __future__ import annotations

import json
from textwrap import dedent

import pytest
from nnlang.codes import CODES
from nnlang.diagnostics import Diagnostic, DiagnosticError, Label, diagnostic, suggest, to_json
from nnlang.parser import parse
from nnlang.rendering import render, render_all
from nnlang.syntax import Source, Span


def span(text: str, line: int, piece: str, file: str = "resnet.nn") -> Span:
    """Where a piece of text stands in a line."""
    lines = text.split("\n")
    column = lines[line - 1].index(piece) + 1
    start = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
    return Span(file, start, start + len(piece), line, column, line, column + len(piece))


def sources(text: str, file: str = "resnet.nn") -> dict[str, Source]:
    return {file: Source(file, text)}


RESNET = "\n" * 13 + "    return relu(body + skip)\n"


def shapes() -> Diagnostic:
    return Diagnostic(
        "N0312",
        "the two sides of `+` have different shapes",
        (
            Label(
                span(RESNET, 14, "body"),
                "body: [N, 56, 56, 256]   from `conv_norm(4 * width, 1)`, line 11",
                primary=True,
            ),
            Label(span(RESNET, 14, "skip"), "skip: [N, 56, 56, 64]    from `x`, line 12"),
        ),
        notes=("while building `bottleneck(width = 64)`, line 21 → `ResNet50`",),
        helps=("project the shortcut: `x -> conv_norm(4 * width, 1)`",),
    )


EXPECTED = """\
error[N0312]: the two sides of `+` have different shapes
  --> resnet.nn:14:17
   |
14 |     return relu(body + skip)
   |                 ^^^^   ^^^^ skip: [N, 56, 56, 64]    from `x`, line 12
   |                 |
   |                 body: [N, 56, 56, 256]   from `conv_norm(4 * width, 1)`, line 11
   |
   = note: while building `bottleneck(width = 64)`, line 21 → `ResNet50`
   = help: project the shortcut: `x -> conv_norm(4 * width, 1)`"""


def test_the_example_of_the_plan() -> None:
    assert render(shapes(), sources(RESNET)) == EXPECTED


def test_colour_changes_nothing_but_colour() -> None:
    colored = render(shapes(), sources(RESNET), color=True)
    assert colored != EXPECTED and "\x1b[1;31merror[N0312]\x1b[0m" in colored
    plain = ""
    rest = colored
    while "\x1b[" in rest:
        before, _, rest = rest.partition("\x1b[")
        plain += before
        rest = rest.partition("m")[2]
    assert plain + rest == EXPECTED


def check(found: Diagnostic, text: str, expected: str, file: str = "a.nn") -> None:
    assert render(found, sources(text, file)) == dedent(expected).strip("\n")


def label(text: str, line: int, piece: str, words: str, primary: bool = False) -> Label:
    return Label(span(text, line, piece, "a.nn"), words, primary)


def test_three_labels_on_a_line_are_stacked() -> None:
    text = "x = one + two + three"
    labels = (
        label(text, 1, "one", "first\nof two lines", primary=True),
        label(text, 1, "two", "second"),
        label(text, 1, "three", "third"),
    )
    check(
        Diagnostic("N0101", "m", labels),
        text,
        """
        error[N0101]: m
         --> a.nn:1:5
          |
        1 | x = one + two + three
          |     ^^^   ^^^   ^^^^^ third
          |     |     |
          |     |     second
          |     |
          |     first
          |     of two lines
        """,
    )


def test_labels_on_several_lines_with_a_gap() -> None:
    text = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj"
    labels = (
        label(text, 10, "j", "here", primary=True),
        label(text, 1, "a", "first"),
        label(text, 3, "c", "third"),
    )
    check(
        Diagnostic("N0101", "m", labels, helps=("one\ntwo",)),
        text,
        """
        error[N0101]: m
          --> a.nn:10:1
           |
         1 | a
           | ^ first
         2 | b
         3 | c
           | ^ third
        ...
        10 | j
           | ^ here
           |
           = help: one
                   two
        """,
    )


def test_a_span_over_several_lines_marks_the_first_and_the_last() -> None:
    text = "x = f(\n    a,\n    b,\n)\n"
    place = Span("a.nn", 4, 22, 1, 5, 4, 2)
    check(
        Diagnostic("N0101", "m", (Label(place, "this call", primary=True),)),
        text,
        """
        error[N0101]: m
         --> a.nn:1:5
          |
        1 | x = f(
          |     ^^
        ...
        4 | )
          | ^ this call
        """,
    )


def test_marks_stand_below_tabs_and_wide_characters() -> None:
    text = "\tname = 幅 + x"
    labels = (label(text, 1, "幅", "wide", primary=True), label(text, 1, "x", "narrow"))
    check(
        Diagnostic("N0101", "m", labels),
        text,
        """
        error[N0101]: m
         --> a.nn:1:9
          |
        1 |     name = 幅 + x
          |            ^^   ^ narrow
          |            |
          |            wide
        """,
    )


def test_the_end_of_the_file() -> None:
    text = "net X {\n"
    place = Span("a.nn", 8, 8, 2, 1, 2, 1)
    check(
        Diagnostic("N0101", "m", (Label(place, "ends here", primary=True),)),
        text,
        """
        error[N0101]: m
         --> a.nn:2:1
          |
        2 |
          | ^ ends here
        """,
    )


def test_labels_in_two_files() -> None:
    found = Diagnostic(
        "N0101",
        "m",
        (
            Label(Span("b.nn", 0, 1, 1, 1, 1, 2), "defined here"),
            Label(Span("a.nn", 0, 1, 1, 1, 1, 2), "used here", primary=True),
        ),
    )
    both = {"a.nn": Source("a.nn", "x"), "b.nn": Source("b.nn", "y")}
    expected = """
        error[N0101]: m
         --> a.nn:1:1
          |
        1 | x
          | ^ used here
         ::: b.nn:1:1
          |
        1 | y
          | ^ defined here
    """
    assert render(found, both) == dedent(expected).strip("\n")


def test_without_its_source_a_diagnostic_still_tells_the_place() -> None:
    found = diagnostic("N0101", "m", Span("gone.nn", 0, 1, 3, 7, 3, 8), helps=["h"])
    assert render(found, {}) == "error[N0101]: m\n --> gone.nn:3:7\n  = help: h"


def test_without_a_place() -> None:
    assert render(Diagnostic("N0101", "m", helps=("h",)), {}) == "error[N0101]: m\n  = help: h"


def test_control_characters_do_not_reach_the_terminal() -> None:
    text = "x = \x1b[31m\u202e1\ud800"
    found = Diagnostic("N0101", "m\x1b[0m", (label(text, 1, "1", "w\x07", primary=True),))
    shown = render(found, sources(text, "a.nn"))
    assert not set(shown) & {"\x1b", "\x07", "\u202e", "\ud800"}
    shown.encode("utf-8")


def test_several_diagnostics_have_an_empty_line_between_them() -> None:
    shown = render_all([shapes(), shapes()], sources(RESNET))
    assert shown == EXPECTED + "\n\n" + EXPECTED


def test_the_exception_shows_its_diagnostics() -> None:
    with pytest.raises(DiagnosticError) as caught:
        parse("net X {\n    x = f(1 2)\n}", "a.nn")
    assert str(caught.value) == dedent("""\
        error[N0109]: a comma is missing
         --> a.nn:2:12
          |
        2 |     x = f(1 2)
          |            ^ between these two
          |
          = help: write `,`""")


def test_json_says_the_same() -> None:
    data = json.loads(json.dumps(to_json(shapes())))
    assert data["code"] == "N0312" and data["severity"] == "error"
    assert data["labels"][0]["primary"] is True and data["labels"][1]["primary"] is False
    assert (data["labels"][0]["line"], data["labels"][0]["column"]) == (14, 17)
    assert (data["labels"][0]["start"], data["labels"][0]["end"]) == (29, 33)
    assert data["notes"] == list(shapes().notes) and data["helps"] == list(shapes().helps)


def test_a_diagnostic_needs_a_known_code_and_one_primary_label() -> None:
    with pytest.raises(ValueError, match="N9999"):
        Diagnostic("N9999", "m")
    two = label("ab", 1, "a", "", primary=True), label("ab", 1, "b", "", primary=True)
    with pytest.raises(ValueError, match="primary"):
        Diagnostic("N0101", "m", two)


def test_codes_have_titles_and_stand_in_order() -> None:
    assert list(CODES) == sorted(CODES)
    assert all(len(code) == 5 and code[0] == "N" and code[1:].isdigit() for code in CODES)
    assert all(title and title[0] != " " and not title.endswith(".") for title in CODES.values())


@pytest.mark.parametrize(
    ("name", "meant"),
    [("sotfmax", "softmax"), ("ReLU", "relu"), ("dens", "dense"), ("zebra", None), ("", None)],
)
def test_suggestions(name: str, meant: str | None) -> None:
    assert suggest(name, ["softmax", "relu", "dense", "dense_block"]) == meant
