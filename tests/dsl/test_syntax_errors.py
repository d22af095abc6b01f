"""What is wrong: for each mistake the code, the place, the words; and that one mistake hides no
other.
"""

from __future__ import annotations

from textwrap import dedent

import pytest
from nnlang.codes import CODES
from nnlang.diagnostics import Diagnostic, DiagnosticError
from nnlang.parser import parse


def mistakes(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(DiagnosticError) as caught:
        parse(text, "t.nn", "/somewhere")
    assert caught.value.sources["t.nn"].text == text
    assert caught.value.sources["t.nn"].directory == "/somewhere"
    return caught.value.diagnostics


def places(text: str) -> list[tuple[str, int, int]]:
    return [
        (found.code, found.primary.span.line, found.primary.span.column)
        for found in mistakes(text)
        if found.primary
    ]


def only(text: str) -> Diagnostic:
    found = mistakes(text)
    assert len(found) == 1, [each.message for each in found]
    return found[0]


# In a body: the line, code, column (from 1), a piece of the message, a piece of the help.
IN_A_NET = [
    ("x = f(1 2)", "N0109", 8, "comma", "write `,`"),
    ("x = [a b]", "N0109", 7, "comma", "write `,`"),
    ("x = f(a\n b)", "N0109", 8, "comma", "write `,`"),
    ("if a = 3 { x = 1 }", "N0110", 6, "`==`", "write `==`"),
    ("x = (a = 3)", "N0110", 8, "`==`", "write `==`"),
    ("assert a = 3", "N0110", 10, "`==`", "write `==`"),
    ("input = 3", "N0111", 1, "`input` is a reserved word", "`input_`"),
    ("x = f(repeat = 3)", "N0111", 7, "`repeat` is a reserved word", "`repeat_`"),
    ("x = f(if = 3)", "N0111", 7, "`if` is a reserved word", "`if_`"),
    ("x = block + 1", "N0111", 5, "`block` is a reserved word", "`block_`"),
    ("for in in x { y = 1 }", "N0111", 5, "`in` is a reserved word", "`in_`"),
    ('x = "abc', "N0103", 5, "does not end", "close it"),
    ('x = f("abc)', "N0103", 7, "does not end", "close it"),
    (r'x = "a\"', "N0103", 5, "does not end", "close it"),
    (r'x = "a\q"', "N0119", 7, r"`\q`", r"`\n`"),
    ("x = 'abc'", "N0112", 5, "double quotes", '`"abc"`'),
    ("x = “abc”", "N0102", 5, "no quote", 'write strings with `"`'),
    ("x = a $ b", "N0102", 7, "`$` means nothing", "letters"),
    ("x = a\x07", "N0102", 6, "U+0007", "remove it"),
    ("x = 1.", "N0104", 5, "`1.` cannot be read", "`1.0`"),
    ("x = .5", "N0104", 5, "`.5` cannot be read", "`0.5`"),
    ("x = 0x1F", "N0104", 5, "`0x1F`", "base ten"),
    ("x = 12px", "N0104", 5, "`12px`", "`1_000`"),
    ("x = 1__0", "N0104", 5, "`1__0`", "`1_000`"),
    ("x = 1e999", "N0104", 5, "`1e999`", "1.8e308"),
    ("x = 9223372036854775808", "N0104", 5, "922337", "9223372036854775807"),
    ("x = " + "9" * 9000, "N0104", 5, "999...", "9223372036854775807"),
    ("input x: float32[N]", "N0113", 10, "`float32`", "write `f32`"),
    ("input x: int[N]", "N0113", 10, "`int`", "write `i64`"),
    ("input x: f33[N]", "N0113", 10, "`f33`", "write `f32`"),
    ("input x: string[N]", "N0113", 10, "`string`", "f32"),
    ("state x: liek(p)", "N0113", 10, "`liek(...)`", "`like(x)`"),
    ("input x", "N0101", 8, "type of `x` is missing", "`input x: "),
    ("param w = zeros()", "N0101", 9, "type of `w` is missing", "`param w: "),
    ("param w f32[3]", "N0101", 9, "type of `w` is missing", "`param w: "),
    ("param w: f32[3] zeros()", "N0101", 17, "`=` is missing", "write `=`"),
    ("x: f32[3] = y", "N0112", 2, "takes no type", "`x = ...`"),
    ("x = a +", "N0121", 7, "missing after `+`", "start the next line with `+`"),
    ("x =", "N0121", 3, "missing after `=`", "write the value"),
    ("x = a ->", "N0121", 9, "missing after `->`", "write the call"),
    ("x = a -> 3", "N0101", 10, "not the number `3`", "`x -> relu`"),
    ("x = a -> (b)", "N0101", 10, "not `(`", "`x -> relu`"),
    ("x = a - > f", "N0112", 7, "one word", "write `->`"),
    ("a < b < c", "N0120", 7, "chained", "`a < b and b < c`"),
    ("x = a not b", "N0101", 11, "expected `in`", None),
    ("(a, b) = c", "N0101", 1, "only a name", "`a, b = ...`"),
    ("x[0] = 3", "N0101", 1, "only a name", "never change"),
    ("f(x) = 3", "N0101", 1, "only a name", "before the `=`"),
    ("x = a b", "N0101", 7, "the name `b` cannot follow", "operator"),
    ("x = a y = b", "N0101", 7, "the name `y` cannot follow", "new line"),
    ("parm w: f32[3]", "N0101", 1, "no statement starts with `parm`", "write `param`"),
    ("outptu x", "N0101", 1, "`outptu`", "write `output`"),
    ("output softmax(x)", "N0101", 8, "output has no name", "`output name = softmax(...)`"),
    ("for x y { z = 1 }", "N0101", 7, "`in` is missing", "write `in`"),
    ("for x in y z = 1", "N0108", 12, "`{` is missing", "write `{`"),
    ("h = f(scan a in b { yield a })", "N0101", 7, "`scan` stands alone", "`h = scan ...`"),
    ("y = x.relu()", "N0112", 5, "no methods", "`x -> relu`"),
    ("y = x.shape", "N0112", 5, "no methods", "`shape(x)`"),
    ("y = f(x).relu()", "N0112", 9, "no methods", "`-> relu`"),
    ("y = a if b else c", "N0112", 7, "comes first", "`if condition"),
    ("y = True", "N0112", 5, "`True` is spelt `true`", "write `true`"),
    ("y = f(None)", "N0112", 7, "no `None`", "leave the argument out"),
    ("y = f(**k)", "N0112", 7, "`**k` arguments", "by its name"),
    ("y = f(a, *k)", "N0112", 10, "`*k` arguments", "by its name"),
    ("y = f(a: 3)", "N0112", 8, "named with `=`", "`a = ...`"),
    ("y = {a: 3}", "N0112", 5, "braces hold no values", "list"),
    ("y = f(lambda a: 3)", "N0112", 7, "no `lambda`", "block"),
    ("y = a is b", "N0112", 7, "`==`", "in place of `is`"),
    ("y = a is not b", "N0112", 7, "`!=`", "in place of `is not`"),
    ("y = a mod b", "N0112", 7, "`mod`", "write `%`"),
    ("y = a && b", "N0112", 7, "`&&`", "write `and`"),
    ("y = a || b", "N0112", 7, "`||`", "write `or`"),
    ("y = !a", "N0112", 5, "`!`", "write `not`"),
    ("y = a ^ 2", "N0112", 7, "`^`", "write `**`"),
    ("y = a |> f", "N0112", 7, "`|>`", "write `->`"),
    ("y := a", "N0112", 3, "`:=`", "write `=`"),
    ("y += a", "N0112", 3, "`+=`", "`y = y + ...`"),
    ("y = a;", "N0112", 6, "`;`", "with the line"),
    ("// note", "N0112", 1, "starts no comment", "`#`"),
    ("y = 3 // the note", "N0112", 7, "starts no comment", "`#`"),
    ("/* note */", "N0112", 1, "starts no comment", "`#`"),
    ("y = a \\", "N0102", 7, "means nothing", "starts with the operator"),
    ("let y = 3", "N0112", 1, "no `let`", "`name = value`"),
    ("while a { y = 1 }", "N0112", 1, "no `while`", "`repeat n"),
    ("print(y)", "N0112", 1, "no `print`", "remove"),
    ("pass", "N0112", 1, "no `pass`", "`{}`"),
    ("if a: y = 1", "N0112", 5, "body of `if` stands in braces", "write `{`"),
    ("for a in b:", "N0112", 11, "body of `for` stands in braces", "write `{`"),
    ("if a: { y = 1 }", "N0112", 5, "body of `if` stands in braces", "remove the `:`"),
    ("if a y = 1", "N0108", 6, "`{` is missing", "write `{`"),
    ("elif a { y = 1 }", "N0112", 1, "no `elif`", "else if"),
    ("else { y = 1 }", "N0112", 1, "before this `else`", "`if condition"),
    ("else: y = 1", "N0112", 1, "body of `else`", "`} else {`"),
    ("y = f(a = 1, b)", "N0117", 14, "after one by name", "name it"),
    ("y = if a { b }", "N0116", 5, "needs an `else`", "else"),
    ("y = if a { b } else { c = 1 }", "N0116", 5, "gives no value", "end each branch"),
    ("relu(x)", "N0115", 1, "nothing uses", "`output name"),
    ("scan a in b { yield a }", "N0115", 1, "nothing uses", "`h = scan"),
    ("return x", "N0114", 1, "`return` has no place in a net", "output"),
    ("carry h: f32 = 0", "N0114", 1, "`carry` has no place", "scan"),
    ("if a { input x: f32[N] }", "N0114", 8, "`input` has no place", "top of a net"),
    ("metric a = b", "N0114", 1, "`metric` has no place", "training section"),
    ("output", "N0101", 7, "expected a name", None),
    ("const a", "N0101", 8, "expected `=`", None),
    ("@", "N0121", 1, "a value is missing after `@`", "write the value"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "column", "message", "help_text"), IN_A_NET)
def test_mistakes_in_a_net(
    line: str, code: str, column: int, message: str, help_text: str | None
) -> None:
    found = only(f"net X {{\n    x = 1\n{line}\n    y = 2\n}}\n")
    place = found.primary
    assert place is not None
    assert (found.code, place.span.line, place.span.column) == (code, 3, column)
    assert message in found.message
    assert CODES[found.code]
    if help_text is None:
        assert place.text
    else:
        assert help_text in "\n".join(found.helps)


IN_A_TRAINING_SECTION = [
    ("return x", "N0114", "has no place in a training section"),
    ("if a { batch = 1 }", "N0114", "has no place in a training section"),
    ("param w: f32[3]", "N0114", "has no place in a training section"),
    ("metric", "N0115", "nothing uses"),
    ("metric accuracy", "N0101", "expected `=`"),
    ("metric accuracy(a, b)", "N0101", "metric has no name"),
    ("freeze features", "N0101", "`freeze` takes a string"),
    ("load 3", "N0101", "`load` takes a string"),
    ("batch 32", "N0101", "`=` is missing"),
    ("batch: 32", "N0112", "takes no type"),
    ("optimizer.rate = 3", "N0101", "only a name"),
]


@pytest.mark.parametrize(("line", "code", "message"), IN_A_TRAINING_SECTION)
def test_mistakes_in_a_training_section(line: str, code: str, message: str) -> None:
    found = only(f"train X {{\n    epochs = 1\n{line}\n    seed = 2\n}}\n")
    assert found.code == code and message in found.message
    assert found.primary is not None and found.primary.span.line == 3


IN_A_FILE = [
    ("b = 4", "N0101", 1, "no place for `b`", "`const b = ...`"),
    ("netz Y { }", "N0101", 1, "no place for `netz`", "write `net`"),
    ("print(3)", "N0101", 1, "no place for `print`", "consists of"),
    ("input x: f32[N]", "N0101", 1, "no place for `input`", "put it into"),
    ("edition 1", "N0101", 1, "no place for `edition`", "consists of"),
    ("def f(x):\n    return x", "N0112", 1, "no `def`", "block"),
    ("class Net:\n    x = 1\n\n    y = 2", "N0112", 1, "no `class`", "`net Name"),
    ("import numpy as np", "N0112", 1, "no `import`", "use"),
    ("from a import b", "N0112", 1, "no `from`", "use"),
    ("net Y:\n    x = 1", "N0112", 6, "body of `net` stands in braces", "write `{`"),
    ("net Y", "N0108", 6, "body in braces is missing", "write `{`"),
    ("block f(x)", "N0108", 11, "body in braces is missing", "write `{`"),
    ("block f(x) return x", "N0108", 12, "body in braces is missing", "write `{`"),
    ("block f(x) -> f32[N] { return x }", "N0112", 12, "no type of their result", "remove"),
    ("block f x = 3", "N0101", 9, "`(` is missing", "write `(`"),
    ("block f(x [N, K]) = x", "N0101", 11, "`:` is missing", "write `:`"),
    ("block f(x y) = x", "N0109", 10, "comma", "write `,`"),
    ("block f(in) = x", "N0111", 9, "`in` is a reserved word", "`in_`"),
    ("block f(x) { x }", "N0115", 14, "nothing uses", "write `return`"),
    ("block f(x) { output y\n return x }", "N0114", 14, "`output` has no place", "in a net"),
    ("rule f(p) { param w: f32\n return p }", "N0114", 13, "`param` has no place", "blocks"),
    ("block f(x) = x.relu()", "N0112", 14, "no methods", "`x -> relu`"),
    ("block f(x) { yield x\n return x }", "N0114", 14, "`yield` has no place", "scan"),
    ("use 3", "N0101", 5, "a name or a string", None),
    ("use a.", "N0101", 7, "expected a name", None),
    ("train { }", "N0101", 7, "expected a name, found `{`", None),
    ("const k = a(", "N0105", 12, "never closed", "write the `)`"),
    ("}", "N0106", 1, "closes nothing", "remove it"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "column", "message", "help_text"), IN_A_FILE)
def test_mistakes_in_a_file(
    text: str, code: str, column: int, message: str, help_text: str | None
) -> None:
    found = only(f"const a = 3\n{text}\nblock last(x) = x\n")
    place = found.primary
    assert place is not None
    assert (found.code, place.span.line, place.span.column) == (code, 2, column)
    assert message in found.message
    if help_text is None:
        assert place.text
    else:
        assert help_text in "\n".join(found.helps)


def test_an_unclosed_bracket_shows_where_it_opened_and_where_it_should_close() -> None:
    found = only("net X {\n    x = f(a, [b,\n        c]\n    y = 2\n}")
    assert found.code == "N0105"
    opened, expected = found.labels
    assert (opened.span.line, opened.span.column, opened.primary) == (2, 10, True)
    assert (expected.span.line, expected.span.column) == (3, 11)
    assert "`)`" in expected.text


def test_an_unclosed_body_is_found_by_the_indentation() -> None:
    text = """
        net X {
            if a {
                x = 3
            z = 4
        }
        net Y {
            z = 4
        }
    """
    found = only(dedent(text).strip())
    assert found.code == "N0105"
    assert [label.span.line for label in found.labels] == [2, 3]


def test_a_body_without_its_opening_brace() -> None:
    found = only("net X\n    input x: f32[N, 4]\n    y = x -> f\n}\nblock f(x) = x")
    assert found.code == "N0108"
    assert found.primary is not None
    assert (found.primary.span.line, found.primary.span.column) == (1, 6)
    assert found.labels[1].span.line == 4


def test_a_parenthesis_that_is_missing_before_a_body() -> None:
    found = only("net X(a = 1 {\n    input x: f32[N, 4]\n}")
    assert found.code == "N0105"
    assert found.labels[1].span.column == 12


def test_the_wrong_closing_bracket() -> None:
    found = only("const a = [1, 2)")
    assert found.code == "N0106" and found.helps == ("write `]`",)
    assert [label.span.column for label in found.labels] == [16, 11]


def test_an_edition_that_does_not_exist() -> None:
    found = only("edition 7\nconst a = 1")
    assert found.code == "N0118" and "edition 7" in found.message


def test_every_mistake_is_reported_and_nothing_that_follows_from_it() -> None:
    text = """
        net X(in = 3) {
            input x: float32[N, 4]
            y = x -> dense(10 3)
            if y = 3 { z = }
            w = (1 + )
            for a of b {
                v = a.b.
                u = True
            }
            output softmax(y)
        }

        netz Y { x = 1 }

        block f(x) {
            return x;
        }
    """
    assert places(dedent(text).strip()) == [
        ("N0111", 1, 7),
        ("N0113", 2, 14),
        ("N0109", 3, 22),
        ("N0110", 4, 10),
        ("N0121", 4, 18),
        ("N0101", 5, 14),
        ("N0101", 6, 11),
        ("N0101", 7, 17),
        ("N0112", 8, 13),
        ("N0101", 10, 12),
        ("N0101", 13, 1),
        ("N0112", 16, 13),
    ]


def test_a_python_file_gets_one_message_for_each_habit() -> None:
    text = """
        block f(x, n) {
            if n == 1:
                x = relu(x)
            elif n == 2:
                x = tanh(x)
            else:
                x = x
            for i in range(3):
                x = relu(x)
            return x
        }
    """
    assert places(dedent(text).strip()) == [
        ("N0112", 2, 14),
        ("N0112", 4, 5),
        ("N0112", 6, 5),
        ("N0112", 8, 22),
    ]


def test_there_are_at_most_twenty() -> None:
    text = "net X {\n" + "    x = @\n" * 100 + "}"
    assert len(mistakes(text)) == 20


def test_mistakes_come_in_the_order_of_the_text() -> None:
    text = "net X {\n    a = f(1 2)\n    b = $b\n    c = True\n    d = (\n    return 1\n}"
    starts = [found.primary.span.start for found in mistakes(text) if found.primary]
    assert starts == sorted(starts) and len(starts) == 5
