"""What an expression of the language can be while the compiler evaluates it.

Plain Python values stand for compile-time ones: `int` or `Poly` (dimensions), `float`, `bool`,
`str`, `list`, `tuple`. The classes here are the rest. `describe` puts any of them in the words of
the language.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nnlang import syntax

from ..dims import Poly
from ..graph import Value

if TYPE_CHECKING:
    from .context import Context
    from .module import Module
    from .scope import Paths


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value of the graph, and the text that made it (for messages)."""

    value: Value
    span: syntax.Span
    text: str
    before: tuple[Any, ...] | None = None  # the shape that went into the call that made it

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.value.shape

    @property
    def dtype(self) -> str:
        return self.value.dtype


@dataclass(frozen=True, eq=False)
class Block:
    """A `block`, `rule` or `net` of a file, ready to be called."""

    definition: syntax.Block | syntax.Rule | syntax.Net
    module: Module

    @property
    def name(self) -> str:
        return self.definition.name.text

    @property
    def kind(self) -> str:
        """`block`, `rule` or `net`."""
        return type(self.definition).__name__.lower()

    @cached_property
    def parameters(self) -> tuple[syntax.Parameter, ...]:
        """What a call gives: of a net the inputs, then the settings."""
        inputs: tuple[syntax.Parameter, ...] = ()
        if isinstance(self.definition, syntax.Net):
            inputs = tuple(
                syntax.Parameter(item.name, item.type, None, span=item.span)
                for item in self.definition.body
                if isinstance(item, syntax.Input)
            )
        return (*inputs, *self.definition.parameters)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters."""
        return tuple(parameter.name.text for parameter in self.parameters)

    @cached_property
    def needs(self) -> tuple[tuple[str, bool], ...]:
        """The names of the parameters, and whether a call must give them."""
        return tuple((p.name.text, p.default is None) for p in self.parameters)

    @cached_property
    def binding_order(self) -> tuple[int, ...]:
        """The positions of the parameters as they are bound: in the order of the text, but those
        that the shape of another one names before that one.
        """
        positions = {parameter.name.text: at for at, parameter in enumerate(self.parameters)}
        order: dict[int, bool] = {}  # whether a position is done

        def add(at: int) -> None:
            if at in order:
                return
            order[at] = False
            type_ = self.parameters[at].type
            for node in syntax.walk(type_) if type_ is not None else ():
                if isinstance(node, syntax.Name) and node.text in positions:
                    add(positions[node.text])
            order.pop(at)
            order[at] = True

        for at in range(len(self.parameters)):
            add(at)
        return tuple(order)

    @cached_property
    def rule_parameters(self) -> frozenset[int | str]:
        """Names and positions of the parameters that take rules: their default is a block."""
        found: set[int | str] = set()
        for position, parameter in enumerate(self.parameters):
            if isinstance(parameter.default, syntax.Name):
                binding = self.module.scope.find(parameter.default.text)
                if binding is not None and isinstance(binding.value, (Block, Builtin)):
                    found |= {position, parameter.name.text}
        return frozenset(found)


@dataclass(frozen=True, eq=False)
class Builtin:
    """A function of the compiler: `implementation(context, arguments)`."""

    name: str
    implementation: Callable[[Context, Arguments], Any]
    signature: str
    deferred: bool = False  # named for later where a rule is expected: the place supplies the shape
    needs: tuple[tuple[str, bool], ...] = ()  # as of blocks; empty where a call is never kept


@dataclass(frozen=True, eq=False)
class Instance:
    """What `share` makes: a block with settings kept, whose parameters are made once."""

    block: Block
    arguments: Arguments
    paths: Paths


class Outputs(tuple[Tensor, ...]):
    """What a net with several outputs gives as a block: a tuple, also with the outputs' names."""

    names: tuple[str, ...]

    def __new__(cls, outputs: Sequence[tuple[str, Tensor]]) -> Outputs:
        made = super().__new__(cls, [tensor for _, tensor in outputs])
        made.names = tuple(name for name, _ in outputs)
        return made


@dataclass(frozen=True, eq=False)
class Part:
    """A place in the paths of something shared: `encoder.dense`, which holds `weight`."""

    instance: Instance
    path: str


@dataclass(frozen=True, eq=False)
class Deferred:
    """A call named for later use (`optimizer = sgd(momentum = 0.9)`): the place supplies the
    leading arguments.
    """

    function: Any
    arguments: Arguments


@dataclass(frozen=True, eq=False)
class Namespace:
    """What `use` brings in, or `op` (every operator of the compiler under its own name)."""

    name: str
    members: Mapping[str, Any]


class Poison:
    """Stands for a value whose making has failed, so that one mistake is reported once."""


POISON = Poison()


@dataclass(frozen=True, eq=False)
class Arguments:
    """Arguments of one call, evaluated, each with the place it stands at."""

    positional: tuple[tuple[Any, syntax.Span], ...] = ()
    named: Mapping[str, tuple[Any, syntax.Span]] = field(default_factory=dict)
    span: syntax.Span | None = None  # of the whole call
    label: str | None = None
    keys: Mapping[str, syntax.Span] = field(default_factory=dict)  # where the names stand
    supplied: int = 0  # how many leading ones the place gives, not the user

    def after(self, leading: Arguments, span: syntax.Span) -> Arguments:
        """These arguments, kept from before, in a call that gives others first."""
        return Arguments(
            leading.positional + self.positional,
            {**self.named, **leading.named},
            span,
            leading.label,
            {**self.keys, **leading.keys},
            leading.supplied,
        )


def is_plain(value: Any) -> bool:
    """Whether a value is known when compiling, all through: a number, a text, lists of such."""
    if isinstance(value, (bool, int, float, str, Poly)):
        return True
    return isinstance(value, (list, tuple)) and all(map(is_plain, value))


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Poly)) and not isinstance(value, bool)


def is_dim(value: Any) -> bool:
    return isinstance(value, (int, Poly)) and not isinstance(value, bool)


def shape_text(shape: tuple[Any, ...]) -> str:
    return "[" + ", ".join(str(dim) for dim in shape) + "]"


def written(value: Any, depth: int = 0) -> str:
    """A compile-time value as the language writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + (value if len(value) <= 40 else value[:37] + "...") + '"'
    if isinstance(value, (list, tuple)):
        shown = [written(item, depth + 1) for item in value[:8]] if depth < 3 else []
        shown += ["..."] * (len(value) > len(shown))
        comma = "," if isinstance(value, tuple) and len(value) == 1 else ""
        ends = "[]" if isinstance(value, list) else "()"
        return ends[0] + ", ".join(shown) + comma + ends[1]
    if isinstance(value, (int, float, Poly)):
        return str(value)
    return describe(value)


def describe(value: Any) -> str:
    """A value in words: `f32[N, 64]`, `the number 3`, `the block `dense``."""
    if isinstance(value, Tensor):
        return str(value.value.type)
    if isinstance(value, bool):
        return f"the value {written(value)}"
    if isinstance(value, Poly):
        return f"the dimension {value}, known only when the network is called"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {written(value)}"
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return f"the {kind} {written(value)}" if len(value) <= 4 else f"a {kind} of {len(value)}"
    if isinstance(value, Block):
        return f"the {value.kind} `{value.name}`"
    if isinstance(value, Builtin):
        return f"the function `{value.name}`"
    if isinstance(value, Instance):
        return f"a shared `{value.block.name}`"
    if isinstance(value, Part):
        return f"the part `{value.path}` of a shared `{value.instance.block.name}`"
    if isinstance(value, Deferred):
        return _described_call(value)
    if isinstance(value, Namespace):
        return f"the namespace `{value.name}`"
    return "nothing"


def _described_call(value: Deferred) -> str:
    """A call kept for later, with what it lacks: "`dense(64)`, which lacks `x`"."""
    text, lacks = _kept_call(value)
    words = " and ".join(f"`{name}`" for name in lacks)
    return f"`{text}`, which lacks {words}" if lacks else "a call kept for later"


def _kept_call(value: Deferred) -> tuple[str, list[str]]:
    """A call kept for later in words, and what it lacks."""
    function, given = joined(value, Arguments(span=value.arguments.span))
    parts = [written(item) for item, _ in given.positional]
    parts += [f"{key} = {written(item)}" for key, (item, _) in given.named.items()]
    return f"{function.name}({', '.join(parts)})", missing(function, given)


def called(function: Any) -> Block | Builtin:
    """The block or builtin that a call ends at."""
    while isinstance(function, (Deferred, Instance)):
        function = function.block if isinstance(function, Instance) else function.function
    found: Block | Builtin = function
    return found


def joined(function: Any, given: Arguments) -> tuple[Block | Builtin, Arguments]:
    """The block or builtin that a call ends at, with the arguments kept before."""
    while isinstance(function, (Deferred, Instance)):
        assert given.span is not None
        given = function.arguments.after(given, given.span)
        function = function.block if isinstance(function, Instance) else function.function
    return function, given


def missing(function: Any, given: Arguments) -> list[str]:
    """The parameters that a call lacks, if its first one is to come; else none.

    A number in the place of a tensor is a setting, as in `conv(32, 3)`: the tensor is to come.
    """
    function, given = joined(function, given)
    if any(isinstance(value, Tensor) for value, _ in given.positional):
        return []
    count = len(given.positional)
    lacks = [
        name
        for position, (name, required) in enumerate(function.needs)
        if required and position >= count and name not in given.named
    ]
    if not function.needs or function.needs[0][0] in given.named:
        return []
    if lacks or not isinstance(function, Block) or not 0 < count < len(function.needs):
        free = [name for name, _ in function.needs if name not in given.named]
        return free[: len(lacks)] if count else lacks  # what comes later comes first
    wants_tensor = function.parameters[0].type is not None
    is_tensor = isinstance(given.positional[0][0], (Tensor, list))
    return [function.needs[0][0]] if wants_tensor and not is_tensor else []


def tensor_help(value: Any) -> list[str]:
    """What to type where a tensor is needed and something else stands."""
    if isinstance(value, list):
        return ["make the list a tensor: `f32([...])`"]
    if isinstance(value, Deferred):
        text, lacks = _kept_call(value)
        if len(lacks) == 1:
            return [f"give it its `{lacks[0]}`: `{lacks[0]} -> {text}`"]
    return []
