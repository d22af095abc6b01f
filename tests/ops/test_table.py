"""The table of operators: complete, explicit, and checked at import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nnc.ops
import pytest
from nnc.errors import InternalError
from nnc.ops import all_operators, operator
from nnc.ops.base import Attribute, NotDifferentiable, Operator, ShapeError, schema

PARTS: dict[str, Any] = {
    "name": "twice",
    "operands": ("x",),
    "attributes": schema(),
    "traits": frozenset({"pure"}),
    "kernel": None,
    "infer": lambda self, operands, attributes: (operands[0],),
    "reference": lambda self, operands, attributes, context: (operands[0] * 2,),
    "vjp": NotDifferentiable("a test"),
    "cost": lambda self, operands, results, attributes: None,
    "samples": lambda self: [],
}


def test_whole_operator_can_be_made() -> None:
    assert type("Twice", (Operator,), PARTS).name == "twice"  # type: ignore[attr-defined]


@pytest.mark.parametrize("part", PARTS)
def test_missing_part_fails_when_the_class_is_made(part: str) -> None:
    rest = {name: value for name, value in PARTS.items() if name != part}
    with pytest.raises(TypeError, match=f"operator Twice lacks {part}"):
        type("Twice", (Operator,), rest)


def test_unknown_trait_fails_when_the_class_is_made() -> None:
    with pytest.raises(TypeError, match="unknown traits"):
        type("Twice", (Operator,), {**PARTS, "traits": frozenset({"quick"})})


def test_two_operators_of_one_name_fail() -> None:
    made = type("Twice", (Operator,), PARTS)()
    with pytest.raises(TypeError, match="two operators are named twice"):
        nnc.ops._make_table(((made,), (made,)))


def test_every_class_is_in_the_table() -> None:
    """No operator is forgotten: every name given in a family's file is in the table."""
    names = {op.name for op in all_operators()}
    for path in Path(nnc.ops.__file__).parent.glob("*.py"):
        for line in path.read_text().splitlines():
            if line.startswith("    name = "):
                assert line.split('"')[1] in names


def test_unknown_operator_gives_a_suggestion() -> None:
    with pytest.raises(InternalError, match="no operator `conv2`; did you mean `conv2d`"):
        operator("conv2")


@pytest.mark.parametrize(
    ("name", "given", "code", "text"),
    [
        ("matmul", {"transpose": True}, "N0402", "no attribute `transpose`"),
        ("cast", {}, "N0403", "needs the attribute `dtype`"),
        ("cast", {"dtype": "f16"}, "N0404", "must be an element type"),
        ("transpose", {"permutation": (0.5,)}, "N0404", "list of integers"),
        ("matmul", {"transpose_a": 1}, "N0404", "true or false"),
        ("reshape", {"shape": ("N",)}, "N0404", "list of dimensions"),
        ("batch_norm", {"epsilon": "small"}, "N0404", "must be a number"),
    ],
)
def test_attributes_are_checked(name: str, given: dict[str, Any], code: str, text: str) -> None:
    with pytest.raises(ShapeError) as caught:
        operator(name).check_attributes(given)
    assert caught.value.code == code
    assert text in caught.value.message


def test_kernel_attributes() -> None:
    mean = operator("reduce_mean")
    checked = mean.check_attributes({"axes": [1, 0]})
    assert mean.kernel_attributes(checked) == {"axes": (0, 1), "keepdims": False, "op": "mean"}
    cut = operator("slice")
    checked = cut.check_attributes({"begin": (0,), "end": (4,), "step": (2,)})
    assert cut.kernel_attributes(checked) == {"begin": (0,), "step": (2,)}


def test_schemas_cannot_change() -> None:
    with pytest.raises(TypeError):
        operator("cast").attributes["other"] = Attribute("int")  # type: ignore[index]
