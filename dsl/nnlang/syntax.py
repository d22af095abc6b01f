"""The syntax tree of a `.nn` file.

Takes nothing, gives the node classes that the parser makes and that the formatter and the compiler
read. Keeps true: every node is frozen and carries the span of text it came from; two trees are
equal when they say the same thing, wherever they stand (spans, spelling of numbers and comments do
not take part).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, dataclass, field, fields
from typing import TYPE_CHECKING, Any

from nnlang.node_class import node

DTYPES = (
    "f16", "bf16", "f32", "f64",
    "i8", "i16", "i32", "i64",
    "u8", "u16", "u32", "u64",
    "bool",
)  # fmt: skip
"""The element types a tensor type may name."""
AVAILABLE = ("f32", "f64", "bf16", "i32", "i64", "u8", "bool")
"""Those that this version of the compiler has."""


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of one file: offsets in characters, lines and columns from 1; the end excluded."""

    file: str
    start: int
    end: int
    line: int
    column: int
    end_line: int
    end_column: int

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of another one of the same file."""
        return Span(
            self.file,
            self.start,
            other.end,
            self.line,
            self.column,
            other.end_line,
            other.end_column,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickles: a call is loaded in half the time of a state."""
        place = (self.file, self.start, self.end, self.line, self.column)
        return Span, (*place, self.end_line, self.end_column)


@dataclass(frozen=True, slots=True)
class Source:
    """A file's text. `name` is what spans and messages call it; `directory` is what `use` and
    `data` start from.
    """

    name: str
    text: str
    directory: str | None = None


@node(frozen=True, eq=False, repr=False)
class Node:
    """What every node has: its place, and the methods of a frozen dataclass."""

    span: Span = field(compare=False, repr=False, kw_only=True)

    if not TYPE_CHECKING:  # To a type checker, `dataclass` writes these for each class.

        def __init__(self, *values: Any, **named: Any) -> None:
            given = dict(zip(self.positional, values, strict=False))
            if len(values) > len(given) or not given.keys().isdisjoint(named):
                raise TypeError(f"{type(self).__name__} is given too many values")
            given.update(named)
            if not self.required <= given.keys() <= self.allowed:
                wrong = sorted((self.required - given.keys()) | (given.keys() - self.allowed))
                raise TypeError(f"{type(self).__name__} lacks, or has no, {', '.join(wrong)}")
            for name, value in given.items():
                object.__setattr__(self, name, value)

        def __setattr__(self, name: str, value: object) -> None:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")

        def __delattr__(self, name: str) -> None:
            raise FrozenInstanceError(f"cannot delete field {name!r}")

    def _compared(self) -> tuple[Any, ...]:
        return tuple([getattr(self, entry.name) for entry in fields(self) if entry.compare])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node) or type(other) is not type(self):
            return NotImplemented
        return self._compared() == other._compared()

    def __hash__(self) -> int:
        return hash(self._compared())

    def __repr__(self) -> str:
        shown = [f"{e.name}={getattr(self, e.name)!r}" for e in fields(self) if e.repr]
        return f"{type(self).__name__}({', '.join(shown)})"


# Expressions


@node(frozen=True, eq=False, repr=False)
class Name(Node):
    """A name, where it is used and where it is made."""

    text: str


@node(frozen=True, eq=False, repr=False)
class Number(Node):
    """`3` or `1e-3`; `is_int` tells `1` from `1.0`."""

    value: int | float
    is_int: bool
    text: str = field(default="", compare=False)


@node(frozen=True, eq=False, repr=False)
class String(Node):
    """`"same"`, without its quotes and escapes"""

    value: str


@node(frozen=True, eq=False, repr=False)
class Bool(Node):
    """`true` or `false`"""

    value: bool


@node(frozen=True, eq=False, repr=False)
class Attribute(Node):
    """`resnet.resnet50`"""

    value: Expression
    name: Name


@node(frozen=True, eq=False, repr=False)
class List(Node):
    """`[64, 128]`"""

    items: tuple[Expression, ...]


@node(frozen=True, eq=False, repr=False)
class Comprehension(Node):
    """`[f(x) for f in layers if c]`: a list of the value for each item."""

    value: Expression
    pattern: Pattern
    iterable: Expression
    condition: Expression | None


@node(frozen=True, eq=False, repr=False)
class Tuple(Node):
    """`(a, b)`, and `a, b` after `=`, `return` and `yield`."""

    items: tuple[Expression, ...]


@node(frozen=True, eq=False, repr=False)
class Unary(Node):
    """`-x`, `+x`, `not x`"""

    operator: str
    operand: Expression


@node(frozen=True, eq=False, repr=False)
class Binary(Node):
    """`+ - * / // % ** @ == != < <= > >= and or in`, and `not in`."""

    operator: str
    left: Expression
    right: Expression
    operator_span: Span = field(compare=False, repr=False, kw_only=True)


@node(frozen=True, eq=False, repr=False)
class Suite(Node):
    """A branch of an `if` used as a value: statements, then the value."""

    statements: tuple[Statement, ...]
    value: Expression


@node(frozen=True, eq=False, repr=False)
class IfExpression(Node):
    """`if c { x } else { y }`; an `else if` is a suite that holds only the next `if`."""

    condition: Expression
    then: Suite
    otherwise: Suite


@node(frozen=True, eq=False, repr=False)
class Slice(Node):
    """`start : stop : step` inside an index; each part may be left out."""

    start: Expression | None
    stop: Expression | None
    step: Expression | None


@node(frozen=True, eq=False, repr=False)
class Spread(Node):
    """`...` in a shape or an index: any dimensions. `...s` in a shape: the dimensions that `s`
    holds.
    """

    value: Expression | None


@node(frozen=True, eq=False, repr=False)
class NewAxis(Node):
    """`None` in an index: an axis of size 1."""


@node(frozen=True, eq=False, repr=False)
class Index(Node):
    """`x[:, 0]`; the items are expressions, slices, `...` and `None`."""

    value: Expression
    items: tuple[Expression | Slice | Spread | NewAxis, ...]


@node(frozen=True, eq=False, repr=False)
class Argument(Node):
    """An argument of a call; `name` is None where it is given by position."""

    name: Name | None
    value: Expression


@node(frozen=True, eq=False, repr=False)
class Call(Node):
    """`conv(x, 32, 3) as stem`: `function` is a Name or an Attribute, `label` is `stem`."""

    function: Expression
    arguments: tuple[Argument, ...]
    label: Name | None = None


@node(frozen=True, eq=False, repr=False)
class Pipe(Node):
    """`x -> f -> g(a)` and `(x, y) -> f`: the values are the first arguments of the first stage."""

    values: tuple[Expression, ...]
    stages: tuple[Call, ...]


@node(frozen=True, eq=False, repr=False)
class Share(Node):
    """`share encoder(width = 64)`: one instance of a block, to be called several times."""

    call: Call


Expression = (
    Name
    | Number
    | String
    | Bool
    | Attribute
    | List
    | Comprehension
    | Tuple
    | Unary
    | Binary
    | IfExpression
    | Index
    | Call
    | Pipe
    | Share
)

Pattern = Name | Tuple
"""What `for` (of a statement or a list) and `scan` bind: a name, or a tuple of patterns."""


# Types


@node(frozen=True, eq=False, repr=False)
class TensorType(Node):
    """`f32[N, 8, 8, 1]`, `[..., K]`; without brackets (`f32`) a scalar. `dtype` is None where any
    will do.
    """

    dtype: str | None
    dimensions: tuple[Expression | Spread, ...]


@node(frozen=True, eq=False, repr=False)
class LikeType(Node):
    """`like(p)`: the dtype and shape of a value."""

    value: Expression


TypeExpression = TensorType | LikeType


# Statements


@node(frozen=True, eq=False, repr=False)
class Assign(Node):
    """`x = ...`, `a, b = ...`; in a training section `key = value`, with one target."""

    targets: tuple[Name, ...]
    value: Expression


@node(frozen=True, eq=False, repr=False)
class Param(Node):
    """`param weight: f32[C, units] = he_uniform()`"""

    name: Name
    type: TypeExpression
    initializer: Expression | None


@node(frozen=True, eq=False, repr=False)
class State(Node):
    """`state mean: f32[C] = zeros()`"""

    name: Name
    type: TypeExpression
    initializer: Expression | None


@node(frozen=True, eq=False, repr=False)
class Carry(Node):
    """In a `scan`: `carry h: f32[N, 64] = 0`"""

    name: Name
    type: TypeExpression
    initializer: Expression | None


@node(frozen=True, eq=False, repr=False)
class Input(Node):
    """`input image: f32[N, 28, 28, 1]`"""

    name: Name
    type: TypeExpression


@node(frozen=True, eq=False, repr=False)
class Output(Node):
    """`output p = softmax(x)`; `output x` alone gives out the value that has this name."""

    name: Name
    value: Expression | None


@node(frozen=True, eq=False, repr=False)
class Return(Node):
    """`return y`"""

    value: Expression


@node(frozen=True, eq=False, repr=False)
class Yield(Node):
    """In a `scan`: `yield h`"""

    value: Expression


@node(frozen=True, eq=False, repr=False)
class If(Node):
    """`if` as a statement; an `else if` is an `otherwise` that holds only the next `If`."""

    condition: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] | None


@node(frozen=True, eq=False, repr=False)
class For(Node):
    """`for (width, depth) in stages { ... }`"""

    pattern: Pattern
    iterable: Expression
    body: tuple[Statement, ...]


@node(frozen=True, eq=False, repr=False)
class Repeat(Node):
    """`repeat 3 { ... }`"""

    count: Expression
    body: tuple[Statement, ...]


@node(frozen=True, eq=False, repr=False)
class Scan(Node):
    """`h = scan step in x { ... }`; without `targets` its value is the value of the block."""

    targets: tuple[Name, ...]
    pattern: Pattern
    iterable: Expression
    body: tuple[Statement, ...]


@node(frozen=True, eq=False, repr=False)
class Assert(Node):
    """`assert size > 0, "message"`"""

    condition: Expression
    message: Expression | None


@node(frozen=True, eq=False, repr=False)
class Const(Node):
    """`const width = 64`"""

    name: Name
    value: Expression


@node(frozen=True, eq=False, repr=False)
class Metric(Node):
    """In a training section: `metric accuracy = accuracy(logits, label)`."""

    name: Name
    value: Expression


@node(frozen=True, eq=False, repr=False)
class Freeze(Node):
    """In a training section: `freeze "features.*"`."""

    pattern: String


@node(frozen=True, eq=False, repr=False)
class Load(Node):
    """In a training section: `load "weights.safetensors"`."""

    path: String


Statement = (
    Assign
    | Param
    | State
    | Carry
    | Input
    | Output
    | Return
    | Yield
    | If
    | For
    | Repeat
    | Scan
    | Assert
    | Const
)

TrainStatement = Input | Assign | Metric | Freeze | Load


# Items of a file


@node(frozen=True, eq=False, repr=False)
class Parameter(Node):
    """A parameter of a block or rule, a setting of a net."""

    name: Name
    type: TypeExpression | None
    default: Expression | None


@node(frozen=True, eq=False, repr=False)
class Block(Node):
    """`block f(x) = expression` has the expression as its body, `block f(x) { ... }` its
    statements.
    """

    name: Name
    parameters: tuple[Parameter, ...]
    body: Expression | tuple[Statement, ...]
    documentation: str = field(default="", compare=False)


@node(frozen=True, eq=False, repr=False)
class Rule(Node):
    """The rule of an optimizer; written as a block is."""

    name: Name
    parameters: tuple[Parameter, ...]
    body: Expression | tuple[Statement, ...]
    documentation: str = field(default="", compare=False)


@node(frozen=True, eq=False, repr=False)
class Net(Node):
    """`net Digits(hidden = 128) { ... }`"""

    name: Name
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]
    documentation: str = field(default="", compare=False)


@node(frozen=True, eq=False, repr=False)
class Train(Node):
    """`train Digits as finetune { ... }`: `net` is `Digits`, `name` is `finetune`."""

    net: Name
    name: Name | None
    body: tuple[TrainStatement, ...]
    documentation: str = field(default="", compare=False)


@node(frozen=True, eq=False, repr=False)
class Use(Node):
    """`use "blocks.nn"` has `is_file`; `use vision.resnet` has not, and the path is dotted."""

    path: str
    is_file: bool
    alias: Name | None

    @property
    def namespace(self) -> str:
        """The name by which the file refers to what it brings in."""
        if self.alias is not None:
            return self.alias.text
        if self.is_file:
            return self.path.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".nn")
        return self.path.rsplit(".", 1)[-1]


Item = Block | Rule | Net | Train | Const | Use


@node(frozen=True, eq=False, repr=False)
class File(Node):
    """The items of a text; `edition` is what its first line asks for."""

    items: tuple[Item, ...]
    edition: int | None = None


_PARTS: dict[type, tuple[str, ...]] = {}  # by kind of node: the fields that may hold nodes


def _parts(kind: type[Node]) -> tuple[str, ...]:
    found = _PARTS.get(kind)
    if found is None:
        found = _PARTS[kind] = tuple(e.name for e in fields(kind) if e.name != "span")
    return found


def children(node: Node) -> list[Node]:
    """The nodes directly below a node, in the order of its fields."""
    found: list[Node] = []
    for name in _parts(type(node)):
        value: Any = getattr(node, name)
        if isinstance(value, Node):
            found.append(value)
        elif isinstance(value, tuple):
            found += [part for part in value if isinstance(part, Node)]
    return found


def walk(node: Node) -> Iterator[Node]:
    """A node and everything below it, parents first; needs no recursion."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending += reversed(children(current))
