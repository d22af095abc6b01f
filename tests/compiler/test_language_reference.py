"""What the language reference says of operators, element types and chance is so; its programs
compile.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from nnc.dtypes import DTYPES
from nnc.elaborate import elaborate
from nnc.elaborate.builtins import builtins
from nnc.operator_page import operators, with_operators
from nnlang import parse
from nnlang.syntax import AVAILABLE, Net, Source

from .elaborated import SECTION, VECTORS, build, mistake, net
from .elaborated import operators as used_operators

PAGE = (Path(__file__).parents[2] / "dsl" / "REFERENCE.md").read_text(encoding="utf-8")
PROGRAMS = [
    text
    for text in re.findall(r"```nn\n(.*?)```", PAGE, re.DOTALL)
    if any(isinstance(item, Net) for item in parse(text).items) and "use " not in text
]


def test_the_table_of_operators_is_up_to_date() -> None:
    assert with_operators(PAGE) == PAGE, "run python -m nnc.operator_page dsl/REFERENCE.md"


def test_every_operator_of_the_language_is_listed_and_no_other() -> None:
    table = PAGE[PAGE.index("<!-- operators:") :]
    listed = set(re.findall(r"^\| `op\.(\w+)\(", table, re.MULTILINE))
    assert listed == set(builtins()["op"].members)
    assert len(listed) == len(operators()) > 70


def test_every_attribute_is_listed() -> None:
    for op in operators():
        row = re.search(rf"^\| `op\.{op.name}\((.*?)\)` \|", PAGE, re.MULTILINE)
        assert row is not None
        for name in (*(operand.lstrip("*") for operand in op.operands), *op.attributes):
            assert re.search(rf"\b{name}\b", row[1]), (op.name, name)


@pytest.mark.parametrize("text", PROGRAMS, ids=lambda text: text.split("{")[0][-20:].strip())
def test_programs_compile(text: str) -> None:
    nets = [item.name.text for item in parse(text).items if isinstance(item, Net)]
    for name in nets:
        assert elaborate(Source("<text>", text), net=name).graphs["predict"].outputs


def test_element_types() -> None:
    assert tuple(DTYPES) == AVAILABLE
    sentence = re.search(r"The element types are (.*?);", PAGE, re.DOTALL)
    assert sentence is not None
    assert re.findall(r"`(\w+)`", sentence[1]) == list(AVAILABLE)
    found = mistake("net M {\n input x: f16[N]\n output y = x\n}")
    assert found.startswith("error[N0314]")
    assert ", ".join(AVAILABLE) in found


@pytest.mark.parametrize("call", ["uniform(shape(x))", "bernoulli(shape(x), 0.5)"])
def test_a_net_draws_no_numbers_in_inference(call: str) -> None:
    head = f"{VECTORS}logits = x -> dense(3)\n"
    for text in (
        f"{head}output y = x * {call}\n}}",
        f"{head}output y = logits\noutput z = x * {call}\n}}\n{SECTION}}}",
        f"block noisy(x) = x + {call}\n{head}output y = x -> noisy\n}}",
    ):
        found = mistake(text)
        assert found.startswith("error[N0415]")
        assert "`if training { ... } else { ... }`" in found
        assert found.count("error[") == 1


def test_what_the_help_says_is_right() -> None:
    made = net(
        "h = if training { x + uniform(shape(x)) } else { x }\n"
        "logits = h -> dense(3)\noutput y = logits",
        after=f"{SECTION}}}",
    )
    assert "random_uniform" in used_operators(made.graphs["train"])
    assert "random_uniform" not in used_operators(made.graphs["evaluate"])
    build("net M {\n input x: f32[N, 8]\n input noise: f32[N, 8]\n output y = x + noise\n}")


def test_first_values_and_sections_may_draw() -> None:
    net("param w: f32[8] = uniform(-1, 1)\noutput y = x * w")
    section = SECTION.replace("(logits,", "(logits + uniform(shape(logits)),")
    made = net("logits = x -> dense(3)\noutput y = logits", after=f"{section}}}")
    assert "random_uniform" in used_operators(made.graphs["evaluate"])
