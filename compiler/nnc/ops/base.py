"""What an operator is: one class with everything about it.

A subclass gives operands, attributes (a schema), traits, `infer`, `reference` (NumPy: this is its meaning), `vjp` or the
reason why not, `cost`, `kernel` and `samples`. A missing part fails at import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..dims import Dim, Poly, evaluate
from ..graph import Type

if TYPE_CHECKING:
    from ..graph import Builder, Node, Value

Array = np.ndarray[Any, Any]


class ShapeError(Exception):
    """Operands that do not fit. `operands`: the indices at fault; `expected`: what would fit; `code`: a diagnostic code."""

    def __init__(
        self,
        message: str,
        operands: Sequence[int] = (),
        expected: str = "",
        help: str = "",
        code: str = "N0301",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.operands = tuple(operands)
        self.expected = expected
        self.help = help
        self.code = code


@dataclass(frozen=True)
class NotDifferentiable:
    """In place of `vjp`: why there is no gradient. `zero=True`: the gradient is zero almost everywhere (floor, comparison)."""

    reason: str
    zero: bool = False


@dataclass(frozen=True)
class Attribute:
    """`kind`: int, float, bool, string, ints, dims (tuple of Dim), dim, dtype, array. No default means required."""

    kind: str
    default: Any = None
    required: bool = False


@dataclass(frozen=True)
class Cost:
    flops: Dim
    bytes: Dim


@dataclass(frozen=True)
class Sample:
    """Inputs that tests and benchmarks share. `differentiable`: indices of operands to check against finite differences."""

    arrays: tuple[Array, ...]
    attributes: Mapping[str, Any]
    differentiable: tuple[int, ...] = ()


@dataclass(frozen=True)
class Context:
    """What a reference may know beyond its operands: seed and step of the run (random operators)."""

    seed: int = 0
    step: int = 0


_REQUIRED = ("name", "operands", "attributes", "traits", "infer", "reference", "vjp", "cost", "kernel", "samples")
TRAITS = frozenset({"elementwise", "reduction", "view", "pure", "random", "epilogue", "constant", "commutative"})


class Operator:
    """Base of all operators. Instances hold no data; one of each is made by `nnc.ops`."""

    name: ClassVar[str]
    operands: ClassVar[tuple[str, ...]]  # names; a last name starting with "*" takes any number
    attributes: ClassVar[Mapping[str, Attribute]]
    traits: ClassVar[frozenset[str]]
    kernel: ClassVar[str | None]  # kernel id of the runtime; None: views, constants, tile programs
    language: ClassVar[str | None] = None  # its name in .nn text, where it can be called from there

    def __init_subclass__(cls, abstract: bool = False) -> None:
        if abstract:
            return
        missing = [part for part in _REQUIRED if not hasattr(cls, part)]
        if missing:
            raise TypeError(f"operator {cls.__name__} lacks {', '.join(missing)}")
        unknown = cls.traits - TRAITS
        if unknown:
            raise TypeError(f"operator {cls.__name__} has unknown traits {sorted(unknown)}")

    def check_attributes(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Complete and normalize attributes. Raises ShapeError on unknown, missing or ill-typed ones."""
        unknown = [name for name in given if name not in self.attributes]
        if unknown:
            raise ShapeError(f"`{self.name}` has no attribute `{unknown[0]}`", code="N0402")
        checked: dict[str, Any] = {}
        for name, schema in self.attributes.items():
            if name not in given and schema.required:
                raise ShapeError(f"`{self.name}` needs the attribute `{name}`", code="N0403")
            checked[name] = _normalize(self.name, name, schema, given.get(name, schema.default))
        return checked


def _normalize(op: str, name: str, schema: Attribute, value: Any) -> Any:
    def fail(what: str) -> ShapeError:
        return ShapeError(f"`{name}` of `{op}` must be {what}, found {value!r}", code="N0404")

    def is_int(item: Any) -> bool:
        return isinstance(item, (int, np.integer)) and not isinstance(item, bool)

    if schema.kind == "int":
        if not is_int(value):
            raise fail("an integer")
        return int(value)
    if schema.kind == "float":
        if not is_int(value) and not isinstance(value, (float, np.floating)):
            raise fail("a number")
        return float(value)
    if schema.kind == "bool":
        if not isinstance(value, (bool, np.bool_)):
            raise fail("true or false")
        return bool(value)
    if schema.kind in ("string", "dtype"):
        if not isinstance(value, str):
            raise fail("a string")
        return value
    if schema.kind == "ints":
        if not isinstance(value, (tuple, list)) or not all(is_int(item) for item in value):
            raise fail("a list of integers")
        return tuple(int(item) for item in value)
    if schema.kind == "dim":
        if not is_int(value) and not isinstance(value, Poly):
            raise fail("a dimension")
        return value
    if schema.kind == "dims":
        if not isinstance(value, (tuple, list)) or not all(is_int(i) or isinstance(i, Poly) for i in value):
            raise fail("a list of dimensions")
        return tuple(value)
    if schema.kind == "array":
        return np.asarray(value)
    raise TypeError(f"attribute kind {schema.kind}")


def resolve(attributes: Mapping[str, Any], environment: Mapping[str, int]) -> dict[str, Any]:
    """Attributes with every dimension evaluated to an integer."""

    def one(value: Any) -> Any:
        if isinstance(value, Poly):
            return evaluate(value, environment)
        if isinstance(value, tuple):
            return tuple(one(item) for item in value)
        return value

    return {name: one(value) for name, value in attributes.items()}
