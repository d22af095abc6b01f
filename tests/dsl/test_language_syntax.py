"""Lists with `for`, lines that start with an operator, new axes: the tree, the layout, the dump and
the mistakes.
"""

from __future__ import annotations

from textwrap import dedent, indent

import pytest
from nnlang import syntax
from nnlang.diagnostics import DiagnosticError
from nnlang.dump import dump_syntax
from nnlang.format import WIDTH, format_source
from nnlang.parser import parse


def body(lines: str) -> tuple[syntax.Statement, ...]:
    (net,) = parse(f"net M {{\n{lines}\n}}\n").items
    assert isinstance(net, syntax.Net)
    return net.body


def value(text: str) -> syntax.Expression:
    (statement,) = body(f"y = {text}")
    assert isinstance(statement, syntax.Assign)
    return statement.value


def laid_out(lines: str) -> str:
    text = "net M {\n" + indent(dedent(lines).strip("\n"), "    ") + "\n}\n"
    result = format_source(text)
    assert parse(result) == parse(text)
    assert format_source(result) == result
    return dedent(result.removeprefix("net M {\n").removesuffix("}\n"))


def only_mistake(lines: str) -> str:
    with pytest.raises(DiagnosticError) as caught:
        body(lines)
    return str(caught.value)


# Lines that start with an operator


@pytest.mark.parametrize(
    "sign", ["+", "-", "*", "/", "%", "@", "**", "or", "and", "==", "<=", "in", "not in"]
)
def test_a_line_that_starts_with_an_operator_goes_on(sign: str) -> None:
    assert body(f"y = a\n    {sign} b") == body(f"y = a {sign} b")
    assert laid_out(f"y = a\n{sign}   b") == f"y = a\n    {sign} b\n"


def test_lines_go_on_in_every_statement() -> None:
    lines = "assert a\n  and b\noutput y = a\n  + b\n  # why\n  - c\nif a\n  or b { z = a\n  * b }"
    joined = "assert a and b\noutput y = a + b - c\nif a or b { z = a * b }"
    assert body(lines) == body(joined)
    assert parse("const a = 1\n  + 2\nconst b = 3") == parse("const a = 1 + 2\nconst b = 3")
    assert parse("block f(a) = a\n  - 1") == parse("block f(a) = a - 1")


def test_the_key_of_a_section_goes_on() -> None:
    text = "train M {\n    loss = a\n        + b\n    batch = 3\n}\n"
    assert parse(text) == parse("train M {\n    loss = a + b\n    batch = 3\n}\n")
    assert format_source(text) == "train M {\n    loss  = a\n        + b\n    batch = 3\n}\n"


def test_a_sign_behind_an_equal_is_a_sign() -> None:
    assert body("y =\n    -a\n    - b") == body("y = -a - b")
    assert laid_out("y =\n  -a\n  - b") == "y = -a\n    - b\n"


def test_comments_stay_before_their_operator() -> None:
    lines = "y = a  # first\n    # of the second\n    + b  # second\n    * c\nz = 1\n"
    assert laid_out(lines) == lines


def test_breaks_in_brackets_stay_the_formatter_s() -> None:
    assert laid_out("y = f(a\n  + b)") == "y = f(a + b)\n"


def test_a_value_that_starts_with_a_sign_stands_in_parentheses() -> None:
    found = only_mistake("y = if c {\n    z = a\n    -z\n} else { b }")
    assert "N0116" in found
    assert "goes on with the line above" in found
    assert "`(-x)`" in found
    assert body("y = if c {\n    z = a\n    (-z)\n} else { b }")


def test_slashes_at_the_start_of_a_line_are_no_operator() -> None:
    assert "start a comment with `#`" in only_mistake("y = a\n    // b")


def test_help_of_an_unfinished_line_holds() -> None:
    assert "start the next line with `*`" in only_mistake("y = a *\nb")
    assert body("y = a\n* b") == body("y = a * b")


@pytest.mark.parametrize("lines", ["y = x -> f + z", "y = x -> f\n    + z", "y = x -> f(3) + z"])
def test_an_operator_behind_a_pipe(lines: str) -> None:
    found = only_mistake(lines)
    assert "`->` binds loosest, so `+` cannot follow a pipe" in found
    assert "`(x -> f) + y`" in found
    assert body("y = (x -> f)\n    + z")


# Lists with `for`


def test_a_list_with_for() -> None:
    made = value("[f(x) for x in items]")
    assert isinstance(made, syntax.Comprehension)
    assert made.condition is None
    pairs = value("[a + b for a, (b, c) in pairs if a > 1 and c]")
    assert isinstance(pairs, syntax.Comprehension)
    assert isinstance(pairs.pattern, syntax.Tuple)
    assert isinstance(pairs.condition, syntax.Binary)
    assert value("[[a * b for b in right] for a in left][0]")


def test_it_may_take_several_lines() -> None:
    text = "y = [\n    f(x)\n    for x in items\n    if x > 1\n]\nz = 1"
    assert body(text) == body("y = [f(x) for x in items if x > 1]\nz = 1")


def test_an_open_bracket_before_a_loop_is_still_found() -> None:
    found = only_mistake("y = [a,\nfor x in items { z = x }")
    assert "never closed" in found


def test_dump_of_a_list_with_for() -> None:
    text = dump_syntax(value("[f(x) for x in items if x > 1]"))
    assert text.startswith("Comprehension\n  value: Call\n")
    assert "  pattern: Name x\n  iterable: Name items\n  condition: Binary >\n" in text


def test_layout_of_a_list_with_for() -> None:
    assert laid_out("y=[ f( x )for x,y  in items if x ]") == "y = [f(x) for x, y in items if x]\n"
    long = "y = [leaky_relu(slope = slope) for slope, other in [(1, 2), (3, 4), (5, 6), (7, 8)]"
    wide = laid_out(f"{long} if other > slope * 1000000000]")
    assert wide.splitlines() == [
        "y = [",
        "    leaky_relu(slope = slope)",
        "    for slope, other in [(1, 2), (3, 4), (5, 6), (7, 8)]",
        "    if other > slope * 1000000000",
        "]",
    ]
    deep = laid_out(f"layers = f({long[4:]}], g(1, 2, 3, 4, 5, 6), h(1, 2, 3, 4, 5, 6), abcdefghi)")
    assert max(map(len, deep.splitlines())) <= WIDTH - 4


@pytest.mark.parametrize(
    ("text", "message", "help_text"),
    [
        ("[a for x in xs for y in ys]", "runs over one `for`", "a list in the list"),
        ("sum(a for x in xs)", "makes a list", "`[f(x) for x in items]`"),
        ("(a for x in xs)", "makes a list", "`[f(x) for x in items]`"),
        ("[for x in xs]", "the value comes before", "`[f(x) for x in items]`"),
        ("[a, b for x in xs]", "it is one value", "`[f(x) for x in items]`"),
        ("[a for x in]", "expected a value", ""),
    ],
)
def test_mistakes_in_a_list_with_for(text: str, message: str, help_text: str) -> None:
    found = only_mistake(f"y = {text}")
    assert message in found
    assert help_text in found
    assert found.count("error[") == 1


# New axes


def test_none_in_an_index_is_a_new_axis() -> None:
    made = value("x[:, None, ..., None]")
    assert isinstance(made, syntax.Index)
    kinds = [type(item).__name__ for item in made.items]
    assert kinds == ["Slice", "NewAxis", "Spread", "NewAxis"]
    assert "NewAxis" in dump_syntax(made)
    assert laid_out("y = x[ None,: ,None ]") == "y = x[None, :, None]\n"


@pytest.mark.parametrize("text", ["f(None)", "None", "[None]", "x[None:]", "x[f(None)]"])
def test_none_elsewhere_is_a_mistake(text: str) -> None:
    assert "there is no `None`" in only_mistake(f"y = {text}")


def test_element_types_that_are_suggested_are_available() -> None:
    for other in ("half", "int8", "float16", "uint32", "bfloat16", "f33", "string"):
        found = only_mistake(f"input x: {other}[N]")
        advice = found[found.index("help:") :]
        words = advice.replace("`", " ").replace(",", " ").split(";")[0].split()
        types = [word for word in words if word in syntax.DTYPES]
        assert types
        assert set(types) <= set(syntax.AVAILABLE)
