"""The formatter: equal trees, nothing to do the second time, comments kept, and how it looks."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from nnlang.diagnostics import DiagnosticError
from nnlang.format import WIDTH, format_source
from nnlang.parser import parse

ROOT = Path(__file__).parents[2]
GOOD = sorted((ROOT / "tests" / "dsl" / "good").glob("*.nn"))
LIBRARY = sorted((ROOT / "dsl" / "nnlang" / "std").rglob("*.nn"))


def formatted(text: str) -> str:
    text = dedent(text).strip("\n")
    result = format_source(text)
    assert parse(result) == parse(text)
    assert format_source(result) == result
    return result


def check(before: str, after: str) -> None:
    assert formatted(before) == dedent(after).strip("\n") + "\n"


@pytest.mark.parametrize("path", GOOD + LIBRARY, ids=lambda path: path.stem)
def test_files_keep_their_meaning(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    result = format_source(text, path.name)
    assert parse(result) == parse(text)
    assert format_source(result, path.name) == result
    for line in text.split("\n"):
        if line.lstrip().startswith("#"):
            assert line.strip() in result


def test_the_layers_of_the_plan_are_in_layout() -> None:
    text = (ROOT / "tests" / "dsl" / "good" / "layers.nn").read_text(encoding="utf-8")
    assert format_source(text) == text


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_lines_are_short(path: Path) -> None:
    result = format_source(path.read_text(encoding="utf-8"))
    assert max(len(line) for line in result.split("\n")) <= WIDTH


def test_spaces() -> None:
    check(
        """
        block  f( x:[N,H ,W], k=3 )=x[ : ,0 , - 1:]->g ( a+b*-c , d = not  e )
        block h(x){return (x)**2 - - 1}
        """,
        """
        block f(x: [N, H, W], k = 3) = x[:, 0, -1:] -> g(a + b * -c, d = not e)

        block h(x) { return (x) ** 2 - -1 }
        """,
    )


def test_empty_lines() -> None:
    check(
        """


        # head


        # doc
        net A {


            x = 1



            y = 2

        }
        const a = 1
        const b = 2
        block f(x) = x
        block g(x) {
            return x
        }


        """,
        """
        # head

        # doc
        net A {
            x = 1

            y = 2
        }

        const a = 1
        const b = 2
        block f(x) = x

        block g(x) {
            return x
        }
        """,
    )


def test_training_keys_are_aligned_in_groups() -> None:
    check(
        """
        train A {
            data = "a.npz"
            learning_rate = 0.1
            metric m = f(x)
            batch = 3

            epochs = 2
        }
        """,
        """
        train A {
            data          = "a.npz"
            learning_rate = 0.1
            metric m = f(x)
            batch = 3

            epochs = 2
        }
        """,
    )


def test_comments_stay_beside_what_they_are_about() -> None:
    check(
        """
        net A {# of the net
            # before x
            x = f( # opening
                a, # of a
                # before b
                b # of b
                # closing
            ) # of x
            y = x # start
                # between
                -> f # of f
                -> g
            # last
        } # of A
        # end
        """,
        """
        net A {  # of the net
            # before x
            x = f(
                # opening
                a,  # of a
                # before b
                b,  # of b
                # closing
            )  # of x
            y = x  # start
                # between
                -> f  # of f
                -> g
            # last
        }  # of A
        # end
        """,
    )


def test_comments_on_neighbouring_lines_are_aligned() -> None:
    check(
        """
        net A {
            x = 1 # one
            long = 2 # two
            y = 3

            z = 4 # four
        } # end
        """,
        """
        net A {
            x = 1     # one
            long = 2  # two
            y = 3

            z = 4  # four
        }  # end
        """,
    )


def test_comments_inside_an_expression_move_before_its_statement() -> None:
    check(
        """
        net A {
            x = # why
                a
            if a { x = b } # one
            else { x = c }
        }
        """,
        """
        net A {
            # why
            x = a
            # one
            if a { x = b } else { x = c }
        }
        """,
    )


def test_pipes_keep_the_breaks_of_the_writer_and_get_more() -> None:
    name = "a_block_with_a_long_name"
    check(
        f"""
        net A {{
            y = x -> f
                -> g
            z = x -> {name}(1) -> {name}(2) -> {name}(3) -> {name}(4)
        }}
        """,
        f"""
        net A {{
            y = x -> f
                -> g
            z = x -> {name}(1) -> {name}(2)
                -> {name}(3) -> {name}(4)
        }}
        """,
    )


def test_long_brackets() -> None:
    name = "a_setting_with_a_long_name"
    check(
        f"""
        block f(x, {name}_1, {name}_2, {name}_3, {name}_4) = x
        const a = f(1111, {name}, {name}, {name})
        const b = ({name} + {name} + {name} + {name} + {name})
        const c = [
            1, 2]
        const d = [
            1, 2,]
        """,
        f"""
        block f(
            x,
            {name}_1,
            {name}_2,
            {name}_3,
            {name}_4,
        ) = x
        const a = f(
            1111, {name}, {name}, {name}
        )
        const b = (
            {name} + {name} + {name}
            + {name} + {name}
        )
        const c = [1, 2]
        const d = [
            1,
            2,
        ]
        """,
    )


def test_choices_stay_on_one_line_where_they_fit() -> None:
    long = "a_value_with_quite_a_long_name_that_fills_the_line"
    check(
        f"""
        block f(x) {{
            a = if x {{ 1 }} else {{ 2 }}
            b = if x {{ {long} }} else {{ {long} }}
            c = if x {{ 1 }} else {{
                2 }}
            if x {{}}
            return a
        }}
        """,
        f"""
        block f(x) {{
            a = if x {{ 1 }} else {{ 2 }}
            b = if x {{
                {long}
            }} else {{
                {long}
            }}
            c = if x {{
                1
            }} else {{
                2
            }}
            if x {{}}
            return a
        }}
        """,
    )


def test_tuples_of_one_and_trailing_commas() -> None:
    check(
        "const a = (1 ,)\nconst b = f(1,)\nconst c = [1,]",
        "const a = (1,)\nconst b = f(1)\nconst c = [1]",
    )


def test_nets_always_have_their_body_on_lines_of_its_own() -> None:
    check("net A { x = 1 }\nnet B { }", "net A {\n    x = 1\n}\n\nnet B {}")


def test_windows_line_ends_and_tabs() -> None:
    assert format_source("net A {\r\n\tx = 1\r\n}\r\n") == "net A {\n    x = 1\n}\n"


def test_the_empty_file() -> None:
    assert format_source("") == "" and format_source("\n\n# a\n") == "# a\n"


def test_wrong_text_is_refused() -> None:
    with pytest.raises(DiagnosticError):
        format_source("net A {")
