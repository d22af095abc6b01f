"""What every part of elaboration shares while it builds one program: builder, variables, call
frames, mistakes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NoReturn

from nnlang import syntax
from nnlang.diagnostics import MAX_ERRORS, Diagnostic, Label

from ..builder import Builder
from ..graph import MAX_RANK, Node, Origin, Value
from ..ops.base import ShapeError
from .scope import Paths, Scope
from .values import Arguments, Tensor, shape_text

STANDARD = "std/"  # names of standard-library files begin with this
WORK_LIMIT = 1_000_000  # expressions and statements; training ResNet-50 takes 14,000
NODE_LIMIT = 50_000  # training ResNet-50 takes 2,600
WRAPPING = ("add", "sub", "mul", "square")  # operators that leave the range of u8
FRAME_LIMIT = 32
CHAIN_LIMIT = 6  # of the calls that a message names

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "another")


class Mistake(Exception):
    """A mistake of the user, found while evaluating. Without a diagnostic it has been reported
    already.
    """

    def __init__(self, diagnostic: Diagnostic | None) -> None:
        super().__init__(diagnostic.message if diagnostic else "")
        self.diagnostic = diagnostic


class Limit(Mistake):
    """A limit is reached: nothing more can be built, so nothing more is reported."""


@dataclass(frozen=True)
class Frame:
    """A block being built: its name, what says its call in words, where, and its definition."""

    name: str
    words: Callable[[], str]
    span: syntax.Span
    definition: Any
    kind: str = "block"


@dataclass(frozen=True)
class Evaluator:
    """The functions that evaluating an expression calls in modules that are built on it: to call,
    to keep a call for later, to execute a statement.
    """

    call: Callable[[Context, Any, Arguments, syntax.Span], Any]
    keep: Callable[[Context, Any, Arguments, syntax.Span], Any]
    execute: Callable[[Context, Scope, syntax.Statement], None]


class _Meanwhile:
    """Sets an attribute for as long as a `with` lasts."""

    __slots__ = ("name", "owner", "value")

    def __init__(self, owner: Any, name: str, value: Any) -> None:
        self.owner, self.name, self.value = owner, name, value

    def __enter__(self) -> None:
        before = getattr(self.owner, self.name)
        setattr(self.owner, self.name, self.value)
        self.value = before

    def __exit__(self, *_: object) -> None:
        setattr(self.owner, self.name, self.value)


Memo = dict[Hashable, Any]  # see `memoize`; the programs of a net share one


@dataclass(eq=False)
class VariableSpec:
    """A parameter, state or slot as declared: its graph value in this program, and how to make its
    first value.
    """

    name: str
    kind: str
    value: Value
    initializer: Any
    node: syntax.Param | syntax.State
    frames: tuple[Frame, ...]  # the blocks it stands in

    @property
    def span(self) -> syntax.Span:
        return self.node.span


@dataclass(eq=False)
class Context:
    """One elaboration of a net (with or without its training section)."""

    sources: dict[str, syntax.Source]
    evaluator: Evaluator
    training: bool  # false inside what is frozen, also while the training step is built
    subject: str = ""  # the net or training section, where chains of calls end
    builder: Builder = field(default_factory=Builder)
    variables: dict[str, VariableSpec] = field(default_factory=dict)
    elements: int = 0  # of all variables
    current: dict[str, Tensor] = field(default_factory=dict)  # a state's value so far
    outputs: list[tuple[str, Tensor]] = field(default_factory=list)
    input_places: dict[str, syntax.Span] = field(default_factory=dict)
    output_places: dict[str, syntax.Span] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    paths: Paths = field(default_factory=Paths)
    variable_kind: str = ""  # "slot" while optimizer rules run
    work: int = 0  # expressions evaluated and statements executed so far
    streams: dict[str, int] = field(default_factory=dict)
    initializing: str | None = None  # the variable whose initializer runs
    answering: bool = False  # while a net is built for inference, which draws no numbers
    frozen: tuple[str, ...] = ()  # the patterns of `freeze`, while the training step is built
    shared: str = ""  # the shared instance being called
    training_reads: int = 0  # how often a text has asked whether it is training
    memo: Memo = field(default_factory=dict)
    snippets: dict[tuple[str, int, int], str] = field(default_factory=dict)
    origins: dict[tuple[str, str, int], Origin] = field(default_factory=dict)

    # Places

    def snippet(self, span: syntax.Span) -> str:
        """The text at a span, on one line and not too long."""
        key = (span.file, span.start, span.end)
        text = self.snippets.get(key)
        if text is None:
            source = self.sources.get(span.file)
            text = " ".join(source.text[span.start : span.end].split()) if source else ""
            text = self.snippets[key] = text if len(text) <= 60 else text[:57] + "..."
        return text

    def user_span(self, span: syntax.Span) -> syntax.Span:
        """The innermost place in a user's file: the span or the call that led into the library."""
        if not span.file.startswith(STANDARD):
            return span
        frame = self._user_frame()
        return frame.span if frame is not None else span

    def library_block(self, span: syntax.Span) -> str:
        """The standard-library block that the user called to come to a place, or nothing."""
        frame = self._user_frame() if span.file.startswith(STANDARD) else None
        return frame.name if frame is not None else ""

    def in_called_block(self) -> bool:
        """Whether the block being built is the one that a user's text calls."""
        return not self.frames or not self.frames[-1].span.file.startswith(STANDARD)

    def _user_frame(self) -> Frame | None:
        for frame in reversed(self.frames):
            if not frame.span.file.startswith(STANDARD):
                return frame
        return None

    def at(self, span: syntax.Span) -> AbstractContextManager[None]:
        """Nodes made inside come from this place."""
        place = self.user_span(span)
        key = (self.paths.prefix, place.file, place.line)
        origin = self.origins.get(key)
        if origin is None:
            origin = self.origins[key] = Origin(key[0], f"{place.file}:{place.line}")
        return _Meanwhile(self.builder, "origin", origin)

    def is_frozen(self, name: str) -> bool:
        """Whether a parameter or state of this name is frozen."""
        return any(fnmatchcase(name, pattern) for pattern in self.frozen)

    def as_in_inference(self, paths: Paths) -> AbstractContextManager[Any]:
        """A use of a block of which everything is frozen is built as for inference."""
        below = f"{paths.prefix}."
        frozen = any(p.endswith("*") and fnmatchcase(below, p) for p in self.frozen)
        return _Meanwhile(self, "training", False) if frozen else nullcontext()

    def path(self, paths: Paths) -> AbstractContextManager[None]:
        return _Meanwhile(self, "paths", paths)

    def use_paths(self, name: str, label: str | None, span: syntax.Span) -> Paths:
        """The paths of one use of a block: under its own name or the one after `as`."""
        if is_helper(name, span):
            return self.paths
        if label is None:
            return self.paths.use(name)
        paths = self.paths.labelled(label)
        if paths is None:
            where = f"`{self.paths.prefix}`" if self.paths.prefix else "the net"
            self.fail(
                "N0206",
                f"the name `{label}` is taken in {where}",
                span,
                "named again here",
                helps=["give this use another name"],
            )
        return paths

    def enter(self, frame: Frame) -> None:
        """Begin to build a block; `leave` ends it."""
        if any(other.definition is frame.definition for other in self.frames):
            self.fail(
                "N0207",
                f"the {frame.kind} `{frame.name}` is used inside itself",
                frame.span,
                f"while `{frame.name}` is being built",
                helps=[
                    f"write the repetition as `repeat` or `for`: {frame.kind}s cannot be recursive"
                ],
            )
        if len(self.frames) >= FRAME_LIMIT:
            self.fail(
                "N0107",
                f"more than {FRAME_LIMIT} blocks are used inside each other",
                frame.span,
                helps=["write the repetition as `repeat` or `for`"],
            )
        self.frames.append(frame)

    def leave(self) -> None:
        self.frames.pop()

    # Mistakes

    def fail(
        self,
        code: str,
        message: str,
        span: syntax.Span,
        text: str = "",
        *,
        others: Iterable[tuple[syntax.Span, str]] = (),
        notes: Iterable[str] = (),
        helps: Iterable[str] = (),
    ) -> NoReturn:
        """Raise a Mistake at a place; one in the standard library moves to the user's call."""
        place = self.user_span(span)
        labels = [Label(place, text, primary=True)]
        for other, words in others:
            same = (other.file, other.start, other.end) == (place.file, place.start, place.end)
            if not other.file.startswith(STANDARD) and not same:
                labels.append(Label(other, words))
        block = self.library_block(span)
        if block and not message.startswith(f"`{block}`"):
            message = f"`{block}`: {message}"
        raise Mistake(
            Diagnostic(code, message, tuple(labels), (*notes, *self.chain(place)), tuple(helps))
        )

    def report_failure(
        self, code: str, message: str, span: syntax.Span, text: str = "", **parts: Any
    ) -> None:
        """`fail`, kept in the list instead of raised."""
        try:
            self.fail(code, message, span, text, **parts)
        except Mistake as mistake:
            self.report(mistake)

    def chain(self, place: syntax.Span) -> tuple[str, ...]:
        """`while building `bottleneck(width = 64)`, line 21 → `ResNet50`` for a place inside
        blocks.
        """
        steps = []
        for frame in reversed(self.frames):
            library = frame.definition.span.file.startswith(STANDARD)  # the message names it
            user = not frame.span.file.startswith(STANDARD)
            if user and not library and frame.span is not place:
                line = f"line {frame.span.line}"
                if frame.span.file != place.file:
                    line = f"{frame.span.file}:{frame.span.line}"
                steps.append(f"`{frame.words()}`, {line}")
        if not steps:
            return ()
        if len(steps) > CHAIN_LIMIT:
            steps[CHAIN_LIMIT - 2 : -1] = ["…"]
        return ("while building " + " → ".join([*steps, f"`{self.subject}`"]),)

    def report(self, mistake: Mistake) -> None:
        """Keep a mistake and go on; the same one from another use of a block is kept once. Raises
        Limit where no more of them will be shown.
        """
        found = mistake.diagnostic
        if found is not None and not is_known(found, self.diagnostics):
            self.diagnostics.append(found)
            if len(self.diagnostics) >= MAX_ERRORS:
                raise Limit(None)

    def spend(self, units: int, span: syntax.Span) -> None:
        """Count the work of evaluating; raise Limit where a small text asks for too much of it."""
        self.work += units
        if self.work > WORK_LIMIT:
            self.exceed(
                "the program takes too long to evaluate",
                span,
                f"after {WORK_LIMIT:,} expressions and statements",
                "use fewer repetitions, or give a value that is used twice a name",
            )

    def exceed(self, message: str, span: syntax.Span, text: str, help: str) -> NoReturn:
        """Raise Limit."""
        try:
            self.fail("N0413", message, span, text, helps=[help])
        except Mistake as mistake:
            raise Limit(mistake.diagnostic) from None

    # Nodes

    def emit_all(
        self,
        name: str,
        operands: Sequence[Tensor],
        span: syntax.Span,
        shown: str = "",
        **attributes: Any,
    ) -> tuple[Tensor, ...]:
        """Append a node; a shape mistake becomes a diagnostic that shows where each operand came
        from.
        """
        if name in WRAPPING and any(operand.dtype == "u8" for operand in operands):
            self.fail(
                "N0302",
                f"`{shown or name}` of u8 would wrap around: u8 holds whole numbers from 0 to 255",
                span,
                notes=[f"it is {self.provenance(operands[0])}"],
                helps=["convert it first: `f32(...)`"],
            )
        try:
            with self.at(span):
                results = self.builder.emit_all(name, [t.value for t in operands], **attributes)
            if self.training:
                self.check_statistics(self.builder.nodes[-1])
        except ShapeError as error:
            self.shape_mistake(error, name, shown or name, operands, span)
        for value in results:
            self.check_rank(value.shape, span)
        if len(self.builder.nodes) > NODE_LIMIT:
            self.exceed(
                "the program is too large to unroll",
                span,
                f"after {NODE_LIMIT:,} nodes of the graph",
                "use fewer repetitions",
            )
        text = self.snippet(span)
        return tuple(Tensor(value, span, text) for value in results)

    @staticmethod
    def check_statistics(node: Node) -> None:
        """Raises ShapeError where a training step would take statistics of single values."""
        count = node.op.statistic_count([operand.type for operand in node.operands])
        if isinstance(count, int) and count < 2:
            raise ShapeError(
                f"`{node.op.name}` takes each mean and variance of {count} "
                f"value{'' if count == 1 else 's'}, so its result is the same for every input",
                operands=(0,),
                expected="at least 2 values",
                help="leave it out here, or give it more values",
            )

    def emit(
        self, name: str, *operands: Tensor, span: syntax.Span, shown: str = "", **attributes: Any
    ) -> Tensor:
        return self.emit_all(name, operands, span, shown, **attributes)[0]

    def check_rank(self, shape: Sequence[Any], span: syntax.Span) -> None:
        """A tensor of more dimensions than the engine has is refused where it is written."""
        if len(shape) > MAX_RANK:
            self.fail(
                "N0315",
                f"a tensor has at most {MAX_RANK} dimensions, this one would have {len(shape)}",
                span,
                shape_text(tuple(shape)),
                helps=["join some of its dimensions into one"],
            )

    def shape_mistake(
        self,
        error: ShapeError,
        name: str,
        shown: str,
        operands: Sequence[Tensor],
        span: syntax.Span,
    ) -> NoReturn:
        """A mistake that an operator found, in the words of the function that the user called."""
        notes = [f"expected {error.expected}"] if error.expected else []
        indices = [i for i in error.operands or range(len(operands)) if i < len(operands)]
        for index in indices:
            which = "it is" if len(indices) == 1 else f"{_ORDINALS[min(index, 5)]}:"
            notes.append(f"{which} {self.provenance(operands[index])}")
        shown = self.library_block(span) or shown
        message = error.message.replace(f"`{name}`", f"`{shown}`")
        helps = [error.help] if error.help else []
        self.fail(error.code, message, span, notes=notes, helps=helps)

    def provenance(self, tensor: Tensor) -> str:
        """`f32[N, 64]` with where it came from: `from `dense(64)`, line 7`."""
        origin = self.origin(tensor)
        return f"{tensor.dtype}{shape_text(tensor.shape)}" + (f" {origin}" if origin else "")

    def origin(self, tensor: Tensor) -> str:
        """Where a tensor came from, `from `dense(64)`, line 7`, or nothing."""
        place = self.user_span(tensor.span)
        text = self.snippet(place)
        if place.file.startswith(STANDARD) or not text:
            return ""
        return f"from `{text}`, line {place.line}"

    def stream(self) -> int:
        """The random stream of the next random node: by its path, so that other layers do not
        change it.
        """
        key = self.initializing or self.paths.prefix
        count = self.streams.get(key, 0)
        self.streams[key] = count + 1
        return zlib.crc32(f"{key}#{count}".encode())


def is_helper(name: str, span: syntax.Span) -> bool:
    """Whether a block is one that the library keeps to itself; those have no paths."""
    return name.startswith("_") and span.file.startswith(STANDARD)


def is_known(found: Diagnostic, others: Iterable[Diagnostic]) -> bool:
    """Whether a mistake of this code is noted already at its place."""
    place = found.primary.span if found.primary else None
    return any(
        other.code == found.code and (other.primary and other.primary.span) == place
        for other in others
    )
