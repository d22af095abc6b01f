"""The nodes of the syntax tree are frozen dataclasses, though they share their methods."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from typing import Any

import pytest
from nnlang import parse, syntax
from nnlang.builder import Bare
from nnlang.syntax import Name, Node, Number, Span

PLACE = Span("a.nn", 0, 1, 1, 1, 1, 2)
KINDS: list[Any] = [kind for kind in vars(syntax).values() if isinstance(kind, type)]


def test_a_node_is_made_by_position_and_by_name() -> None:
    assert Name("x", span=PLACE) == Name(text="x", span=PLACE)
    assert Number(2, True, span=PLACE).text == ""
    assert Number(2, True, "2.", span=PLACE).text == "2."
    assert Bare(value=1, span=PLACE).value == 1


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((), {"span": PLACE}),
        (("x",), {}),
        (("x", "y"), {"span": PLACE}),
        (("x",), {"text": "y", "span": PLACE}),
        (("x",), {"colour": 1, "span": PLACE}),
    ],
    ids=["a field is missing", "no place", "too many", "twice", "unknown"],
)
def test_other_values_are_refused(values: tuple[Any, ...], named: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Name(*values, **named)


def test_nothing_is_changed_later() -> None:
    node: Any = Name("x", span=PLACE)
    with pytest.raises(FrozenInstanceError):
        node.text = "y"
    with pytest.raises(FrozenInstanceError):
        node.other = 1
    with pytest.raises(FrozenInstanceError):
        del node.text
    assert node.text == "x"
    assert replace(node, text="y") == Name("y", span=PLACE)


def test_every_kind_of_node_is_a_dataclass_of_its_own_fields() -> None:
    kinds = [kind for kind in KINDS if issubclass(kind, Node) and kind is not Node]
    assert len(kinds) > 40
    for kind in kinds:
        assert is_dataclass(kind)
        names = [entry.name for entry in fields(kind)]
        assert "span" in names and set(kind.__annotations__) <= set(names)


def test_copies_are_equal() -> None:
    tree = parse("block f(x: [N, C], width = 2) = x -> g(width) as h\n")
    for other in (copy.deepcopy(tree), pickle.loads(pickle.dumps(tree))):
        assert other == tree and other is not tree
        assert [n.span for n in syntax.walk(other)] == [n.span for n in syntax.walk(tree)]
