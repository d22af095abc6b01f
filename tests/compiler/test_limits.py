"""A small text cannot ask for much time or memory: every limit is met soon, and says its number."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import nnc
import pytest
from nnc.elaborate import Text, context, elaborate, reading
from nnlang import DiagnosticError
from nnlang.diagnostics import MAX_ERRORS, suggest
from nnlang.syntax import Source

SOON = 60.0  # seconds; each takes one or two, and took from half a minute to days before


@pytest.fixture(autouse=True)
def ends_soon() -> Iterator[None]:
    started = time.monotonic()
    yield
    assert time.monotonic() - started < SOON


@pytest.fixture
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit itself takes a few seconds to meet; one test does."""
    monkeypatch.setattr(context, "WORK_LIMIT", 50_000)


def net(body: str, before: str = "") -> str:
    return f"{before}\nnet X {{\n    input z: f32[N, 8]\n{body}\n}}\n"


def mistakes(text: str) -> str:
    with pytest.raises(DiagnosticError) as error:
        elaborate(Source("<text>", text))
    assert len(error.value.diagnostics) <= MAX_ERRORS
    return str(error.value)


def levels(count: int, value: str, step: str) -> str:
    """Blocks f0 to f<count>, each made of the one before by `step`."""
    lines = [f"block f0(x) = {value}"]
    lines += [f"block f{i}(x) = {step.replace('F', f'f{i - 1}')}" for i in range(1, count + 1)]
    return "\n".join(lines)


TOO_LONG = "the program takes too long to evaluate"


@pytest.mark.parametrize(
    ("value", "step", "use"),
    [
        ("x + 1", "F(x) + F(x)", "z * f28(1)"),
        ("[x]", "[F(x)[0] + F(x)[0]]", "z * f28(1)[0]"),
        ("x", "if F(x) == F(x) { x } else { 2 * x }", "z * f28(1)"),
        ("x", "max(F(x), F(x))", "z * f28(1)"),
        ("1", "(x -> F) + (x -> F)", "z * f28(1)"),
    ],
)
def test_calls_that_double(value: str, step: str, use: str, low_limit: None) -> None:
    found = mistakes(net(f"    output y = {use}", levels(28, value, step)))
    assert f"{TOO_LONG}\n" in found
    assert "after 50,000 expressions and statements" in found


def test_the_limit_as_it_is() -> None:
    text = net("    output y = z * f28(1)", levels(28, "x", "F(x) + F(x)"))
    assert "after 1,000,000 expressions and statements" in mistakes(text)


def test_statements_that_double(low_limit: None) -> None:
    blocks = "block f0(x) {\n    return x + 1\n}\n" + "\n".join(
        f"block f{i}(x) {{\n    a = f{i - 1}(x)\n    b = f{i - 1}(x)\n    return a + b\n}}"
        for i in range(1, 29)
    )
    assert TOO_LONG in mistakes(net("    output y = z * f28(1)", blocks))


def test_defaults_that_double(low_limit: None) -> None:
    blocks = "block f0(x = 1) = x\n" + "\n".join(
        f"block f{i}(x = f{i - 1}() + f{i - 1}()) = x" for i in range(1, 29)
    )
    assert TOO_LONG in mistakes(net("    output y = z * f28()", blocks))


def test_loops_inside_loops(low_limit: None) -> None:
    body = "    a = 0\n    repeat 3000 { repeat 3000 { a = a + 1 } }\n    output y = z + a"
    assert TOO_LONG in mistakes(net(body))


LISTS = "    a = [1]\n    repeat 40 { a = GROWN }\n"


@pytest.mark.parametrize("grown", ["[a, a]", "(a, a)", "[[a], a]", "[a] * 2", "[a] + [a]"])
@pytest.mark.parametrize(
    "use",
    [
        "    b = a\n    assert a == b",
        "    assert 1 in a",
        "    assert false, text(a)",
        "    assert len(a) == 3",
        "    x = z -> dense(a)",
    ],
)
def test_lists_that_double(grown: str, use: str) -> None:
    text = net(LISTS.replace("GROWN", grown) + use + "\n    output y = z + 1")
    assert "the list is too long" in mistakes(text)


def test_a_constant_list_that_doubles() -> None:
    constants = "const a0 = [1, 2]\n" + "\n".join(
        f"const a{i} = [a{i - 1}, a{i - 1}]" for i in range(1, 40)
    )
    assert "the list is too long" in mistakes(net("    output y = z + len(a39)", constants))


def test_texts_that_double() -> None:
    body = '    a = "ab"\n    repeat 60 { a = a + a }\n    assert false, a\n    output y = z'
    assert "the text is too long" in mistakes(net(body))


def test_long_lists_used_again_and_again() -> None:
    """One list of the longest kind is fine; comparing it in a loop costs what it takes."""
    body = "    a = range(900000)\n    b = range(900000)\n    COMPARE\n    output y = z + 1"
    elaborate(Source("<text>", net(body.replace("COMPARE", "assert a == b"))))
    often = body.replace("COMPARE", "repeat 100000 { assert a == b }")
    assert TOO_LONG in mistakes(net(often))


@pytest.mark.parametrize(
    "step", ["(d // 2) * (d // 3)", "(d // 2) + (d // 3)", "max(d // 2, 1) + max(d // 3, 1) * d"]
)
def test_dimensions_that_double(step: str) -> None:
    body = f"    d = shape(z)[0]\n    repeat 40 {{ d = {step} }}\n    output y = z + d"
    assert "the dimension is too complicated" in mistakes(net(body))


def test_a_long_program_meets_the_limit_of_nodes() -> None:
    body = "    x = z\n    repeat 1000000 { x = exp(x) }\n    output y = x"
    assert f"after {context.NODE_LIMIT:,} nodes of the graph" in mistakes(net(body))


@pytest.mark.parametrize(
    "line",
    [
        "    x{i} = unknown{i}(z)",
        "    x{i} = unknown(z)",
        "    x{i} = z -> dens(3)",
        "    param p{i}: f32[3] = zeros()",
        "    x{i} = dense(z, 0)",
        "    x{i} = z + \"a\"",
        "    x{i} = = {i}",
        "    x{i} = $ {i}",
        "    x{i} = {i}e",
    ],
)  # fmt: skip
def test_the_first_of_many_mistakes_are_reported(line: str) -> None:
    """The first twenty, in the order of the text, without looking for thousands."""
    body = "\n".join(line.replace("{i}", str(i)) for i in range(3000)) + "\n    output y = z"
    with pytest.raises(DiagnosticError) as error:
        elaborate(Source("<text>", net(body)))
    lines = [found.primary.span.line for found in error.value.diagnostics if found.primary]
    assert 1 <= len(lines) <= MAX_ERRORS
    assert lines == sorted(lines)
    assert lines[0] <= 5 and lines[-1] <= 30


def test_many_mistakes_in_items() -> None:
    many = "\n".join(f"const a{i} = b{i}" for i in range(2000))
    assert mistakes(net("    output y = z", many)).count("error[N0201]") == MAX_ERRORS
    twice = "\n".join("const a = 1" for _ in range(2000))
    assert mistakes(net("    output y = z", twice)).count("error[N0202]") == MAX_ERRORS


def test_a_suggestion_among_many_names() -> None:
    assert suggest("alpha_2999", [f"alpha_{i}" for i in range(3000)] + ["beta"]) is not None
    assert suggest("labl", [f"name_{i}" for i in range(3000)] + ["label"]) == "label"


def test_only_regular_files_of_sane_size_are_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.nn"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="a regular file is needed"):
        nnc.compile(pipe)
    device = tmp_path / "zero.nn"
    device.symlink_to("/dev/zero")
    with pytest.raises(OSError, match="a regular file is needed"):
        nnc.compile(device)
    large = tmp_path / "large.nn"
    large.write_text("# " + "x" * reading.LARGEST_TEXT)
    with pytest.raises(OSError, match="at most 1,000,000"):
        nnc.compile(large)
    user = tmp_path / "user.nn"
    user.write_text('use "large.nn"\n' + net("    output y = z"))
    with pytest.raises(DiagnosticError, match="cannot be read"):
        nnc.compile(user)


def test_settings_count_too() -> None:
    """An expression given on the command line is evaluated like any other."""
    source = net("    output y = z + len(s)").replace("net X {", "net X(s = [1]) {")
    with pytest.raises(DiagnosticError, match="the list is too long"):
        elaborate(Source("<text>", source), settings={"s": Text("[[[1] * 1000] * 1000] * 1000")})


def test_checking_draws_no_first_values() -> None:
    """2**30 elements are checked in no time and memory; what an initializer gets wrong is found."""
    body = "    output y = z -> dense(65536) -> dense(16384, initializer = INIT)"
    assert nnc.check(net(body.replace("INIT", "he_normal"))) == []
    found = nnc.check(net(body.replace("INIT", "normal(0, true)")))
    assert [mistake.code for mistake in found] == ["N0404"]
