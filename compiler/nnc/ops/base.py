"""The base class of operators: one class holds everything about an operator.

A subclass gives operands, attributes (a schema), traits, `infer`, `reference` (NumPy: this is its
meaning), `vjp` or the reason why not, `cost`, `kernel` and `samples`. A missing part fails at
import.

`infer` gets types and checked attributes with symbolic dimensions. `reference` gets arrays and
resolved attributes (every dimension an integer) and computes in the element types of its operands;
where an attribute names a dtype it asks `Context.dtype`, so that float64 can stand for f32 in a
whole graph.

An operator with `takes_body` has a graph inside each of its nodes, which `infer` and `cost` get
beside the attributes, as `body`. `reference` gets a function in its place, from the arrays of the
body's inputs to those of its outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..dims import Dim, Poly, evaluate, product
from ..dtypes import DTYPES
from ..graph import Graph, Node, Type
from ..slopes import Size

Array = np.ndarray[Any, Any]


class ShapeError(Exception):
    """Operands that do not fit.

    `operands`: the indices at fault; `expected`: what would fit; `code`: a diagnostic code.
    """

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
    """In place of `vjp`: why there is no gradient.

    `zero=True`: it is zero almost everywhere (floor, comparison).
    """

    reason: str
    zero: bool = False


@dataclass(frozen=True)
class Attribute:
    """`kind`: int, float, bool, string, ints, dims (tuple of Dim), dim, dtype or array."""

    kind: str
    default: Any = None
    required: bool = False


def schema(*parents: Mapping[str, Attribute], **own: Attribute) -> Mapping[str, Attribute]:
    """The attributes of an operator: those of `parents`, then its own."""
    made = {name: attribute for parent in parents for name, attribute in parent.items()}
    return MappingProxyType({**made, **own})


@dataclass(frozen=True)
class Cost:
    """The cost of a node: operations, and bytes read and written."""

    flops: Dim
    bytes: Dim


@dataclass(frozen=True)
class Sample:
    """Inputs that tests and benchmarks share.

    `differentiable`: the operands whose gradients can be checked against finite differences.
    """

    arrays: tuple[Array, ...]
    attributes: Mapping[str, Any]
    differentiable: tuple[int, ...] = ()


@dataclass(frozen=True)
class Context:
    """What a reference may know beyond its operands: seed and step of the run (random operators).

    `double`: every f32 is computed as float64.
    """

    seed: int = 0
    step: int = 0
    double: bool = False

    def dtype(self, name: str) -> np.dtype[Any]:
        """The NumPy dtype that stands for a dtype of the graph."""
        return DTYPES["f64"] if self.double and name == "f32" else DTYPES[name]


_REQUIRED = (
    "name",
    "operands",
    "attributes",
    "traits",
    "infer",
    "reference",
    "vjp",
    "cost",
    "kernel",
    "samples",
)

# The traits that passes may ask an operator for:
TRAITS = {
    "elementwise": "becomes instructions of a tile program: needs the same place of each operand",
    "commutative": "the order of its two operands does not matter",
    "reduction": "its kernel takes a tile program as prologue",
    "epilogue": "its kernel takes a tile program on its first result",
    "view": "its result holds the elements of its operand in the same order: no kernel, an alias",
    "constant": "gives the array of its attribute `value`, in every run",
    "random": "depends on seed and step of the run; the same within one step",
    "pure": "no effect but its results: may be shared, moved and dropped",
    "linear": "what it does to a weighted mean of operands is the weighted mean of its results",
    "scaling": "linear in its first operand alone, in either where it is commutative",
    "mean": "averages its operand over its `axes`",
    "moves": "each element of its result is one of its first operand's, perhaps converted",
    "repeats": "repeats elements of its operand: costs nothing where the user reads them in place",
    "picks": "takes some elements of its operands; what flows back to the others is 0",
}


class Operator:
    """Base of all operators. Instances hold no data; one of each is made by `nnc.ops`.

    `vjp` is a `NotDifferentiable` or a method `vjp(builder, node, gradients, needed)`: `gradients`
    has a value or None (zero) for each result, at least one of them a value; it gives a value or
    None (zero) for each operand, and builds nothing for operands that are not `needed`.
    `guarded_vjp(..., flow)`, where there is one, is asked in its place: it keeps a gradient of 0
    where `flow` (nnc.slopes) says that the operator's slope may be infinite or NaN.
    """

    name: ClassVar[str]
    operands: ClassVar[tuple[str, ...]]  # names; a last name starting with "*" takes any number
    attributes: ClassVar[Mapping[str, Attribute]]
    traits: ClassVar[frozenset[str]]
    kernel: ClassVar[str | None]  # kernel id of the runtime; None: views, constants, tile programs
    language: ClassVar[str | None] = None  # its name in .nn text, where it can be called from there
    results: ClassVar[tuple[str, ...]] = ("y",)
    kernel_constants: ClassVar[
        Mapping[str, Any]
    ] = {}  # attributes of the kernel that the operator fixes
    kernel_omits: ClassVar[
        tuple[str, ...]
    ] = ()  # attributes that the kernel reads off the shapes of its buffers
    size: ClassVar[Size] = Size.ANY  # what is known of every element of its results
    # Operands that may be stored narrow where they are parameters: its weights. Others stay wide.
    weights: ClassVar[tuple[str, ...]] = ()
    takes_body: ClassVar[bool] = False  # its nodes hold a graph
    compile_time: ClassVar[bool] = False  # runs in the interpreter only (initializers)
    vjp: ClassVar[Any]
    guarded_vjp: ClassVar[Any] = None

    if TYPE_CHECKING:

        def infer(
            self, operands: Sequence[Type], attributes: Mapping[str, Any]
        ) -> tuple[Type, ...]:
            raise NotImplementedError

        def reference(
            self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
        ) -> tuple[Array, ...]:
            raise NotImplementedError

        def cost(
            self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
        ) -> Cost:
            raise NotImplementedError

        def samples(self) -> list[Sample]:
            raise NotImplementedError

    def __init_subclass__(cls, abstract: bool = False) -> None:
        if abstract:
            return
        missing = [part for part in _REQUIRED if not hasattr(cls, part)]
        if missing:
            raise TypeError(f"operator {cls.__name__} lacks {', '.join(missing)}")
        strange = [name for name in cls.weights if name not in cls.operands]
        if strange:
            raise TypeError(f"operator {cls.__name__} has no operand {strange[0]}")
        unknown = cls.traits - TRAITS.keys()
        if unknown:
            raise TypeError(f"operator {cls.__name__} has unknown traits {sorted(unknown)}")

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        """Whether each row of the results follows from the same row of the `carried` operands.

        Rows are equal parts along the first axis, one for each example. Operands that are not
        carried are the same for every row.
        """
        return False

    def index_bounds(self, operands: Sequence[Type], results: Sequence[Type]) -> Mapping[int, Dim]:
        """The operands that hold indices, by number, and the bound that each index must stay
        below.
        """
        return {}

    def scalable_weight(self, attributes: Mapping[str, Any]) -> tuple[int, int] | None:
        """The operand that is a weight, and its axis that belongs to the last axis of the result:
        a factor for each channel of the result may be multiplied into the weight along this axis.
        None if there is no such operand.
        """
        return None

    def statistic_count(self, operands: Sequence[Type]) -> Dim | None:
        """The number of values in each mean and variance that it takes (one value has no variance);
        None if it takes none.
        """
        return None

    def kernel_attributes(self, attributes: Mapping[str, Any]) -> dict[str, Any]:
        """The attributes of this operator's kernel step."""
        given = {name: a for name, a in attributes.items() if name not in self.kernel_omits}
        return {**given, **self.kernel_constants}

    def check_attributes(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes complete and normal. Raises ShapeError on unknown, missing, ill-typed ones."""
        if not given.keys() <= self.attributes.keys():
            unknown = next(name for name in given if name not in self.attributes)
            raise ShapeError(f"`{self.name}` has no attribute `{unknown}`", code="N0402")
        checked: dict[str, Any] = {}
        for name, schema in self.attributes.items():
            if name not in given and schema.required:
                raise ShapeError(f"`{self.name}` needs the attribute `{name}`", code="N0403")
            checked[name] = _normalize(self.name, name, schema, given.get(name, schema.default))
        return checked


def _normalize(op: str, name: str, schema: Attribute, value: Any) -> Any:
    made = _CONVERT[schema.kind](value)
    if made is None:
        raise ShapeError(
            f"`{name}` of `{op}` must be {_WORDS[schema.kind]}, found {value!r}", code="N0404"
        )
    return made


def _is_int(item: Any) -> bool:
    return isinstance(item, (int, np.integer)) and not isinstance(item, bool)


def _int(value: Any) -> int | None:
    return int(value) if _is_int(value) else None


def _float(value: Any) -> float | None:
    return float(value) if _is_int(value) or isinstance(value, (float, np.floating)) else None


def _bool(value: Any) -> bool | None:
    return bool(value) if isinstance(value, (bool, np.bool_)) else None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _dtype(value: Any) -> str | None:
    return value if isinstance(value, str) and value in DTYPES else None


def _dim(value: Any) -> Dim | None:
    return value if isinstance(value, Poly) else _int(value)


def _all(convert: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...] | None]:
    def run(value: Any) -> tuple[Any, ...] | None:
        if not isinstance(value, (tuple, list)):
            return None
        made = tuple([convert(item) for item in value])
        return None if None in made else made

    return run


# By kind of attribute: the value in its normal form, None where it is none of the kind.
_CONVERT: dict[str, Callable[[Any], Any]] = {
    "int": _int,
    "float": _float,
    "bool": _bool,
    "string": _string,
    "dtype": _dtype,
    "ints": _all(_int),
    "dim": _dim,
    "dims": _all(_dim),
    "array": np.asarray,
}
_WORDS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "string": "a string",
    "dtype": f"an element type ({', '.join(DTYPES)})",
    "ints": "a list of integers",
    "dim": "a dimension",
    "dims": "a list of dimensions",
}


def bytes_of(types: Sequence[Type]) -> Dim:
    """The bytes that values of these types occupy."""
    total: Dim = 0
    for type in types:
        total = total + product(type.shape) * DTYPES[type.dtype].itemsize
    return total


def cost_of(operands: Sequence[Type], results: Sequence[Type], flops: Dim) -> Cost:
    """The cost of work that reads each operand and writes each result once."""
    return Cost(flops, bytes_of(operands) + bytes_of(results))


def cost_of_node(node: Node) -> Cost:
    """The cost of a node; its operator counts what its body costs."""
    operands = [value.type for value in node.operands]
    return node.op.cost(operands, [value.type for value in node.results], node.parameters)


def cost_of_graph(graph: Graph) -> Cost:
    """The cost of all nodes of a graph, for operators that run a body."""
    flops: Dim = 0
    bytes: Dim = 0
    for node in graph.nodes:
        cost = cost_of_node(node)
        flops, bytes = flops + cost.flops, bytes + cost.bytes
    return Cost(flops, bytes)


def resolve(attributes: Mapping[str, Any], environment: Mapping[str, int]) -> dict[str, Any]:
    """Attributes with every dimension evaluated to an integer."""

    def one(value: Any) -> Any:
        if isinstance(value, Poly):
            return evaluate(value, environment)
        if isinstance(value, tuple):
            return tuple(one(item) for item in value)
        return value

    return {name: one(value) for name, value in attributes.items()}
