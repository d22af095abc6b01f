"""What every part of elaboration shares while it builds one program: builder, variables, call frames, mistakes."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from nnlang import syntax
from nnlang.diagnostics import Diagnostic, Label

from ..graph import Builder, Origin, Value
from ..ops.base import ShapeError
from .scope import Paths
from .values import Tensor, shape_text

STANDARD = "std/"  # names of standard-library files begin with this
STATEMENT_LIMIT = 1_000_000
FRAME_LIMIT = 64


class Mistake(Exception):
    """A mistake of the user, found while evaluating; carries its diagnostic. `silent`: already reported."""

    def __init__(self, diagnostic: Diagnostic | None) -> None:
        super().__init__(diagnostic.message if diagnostic else "")
        self.diagnostic = diagnostic


@dataclass(frozen=True)
class Frame:
    """A block being built: what was called, where, and the block's definition (for recursion)."""

    text: str
    span: syntax.Span
    definition: Any


@dataclass(eq=False)
class VariableSpec:
    """A parameter, state or slot as declared: its graph value in this program, and how to make its first value."""

    name: str
    kind: str
    value: Value
    initializer: Any
    span: syntax.Span


@dataclass(eq=False)
class Context:
    """One elaboration of a net (with or without its training section)."""

    sources: dict[str, syntax.Source]
    training: bool
    builder: Builder = field(default_factory=Builder)
    variables: dict[str, VariableSpec] = field(default_factory=dict)
    current: dict[str, Tensor] = field(default_factory=dict)  # a state's value so far
    frames: list[Frame] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    paths: Paths = field(default_factory=Paths)
    variable_kind: str = ""  # "slot" while optimizer rules run
    statements: int = 0
    streams: dict[str, int] = field(default_factory=dict)
    initializing: str | None = None  # the variable whose initializer runs

    # Places

    def snippet(self, span: syntax.Span) -> str:
        """The text at a span, on one line and not too long."""
        source = self.sources.get(span.file)
        text = " ".join(source.text[span.start : span.end].split()) if source else ""
        return text if len(text) <= 60 else text[:57] + "..."

    def user_span(self, span: syntax.Span) -> syntax.Span:
        """The innermost place in a user's file: the span itself or the call that led into the standard library."""
        if not span.file.startswith(STANDARD):
            return span
        for frame in reversed(self.frames):
            if not frame.span.file.startswith(STANDARD):
                return frame.span
        return span

    def library_block(self, span: syntax.Span) -> str:
        """The standard-library block that the user called, or nothing."""
        if not span.file.startswith(STANDARD):
            return ""
        for frame in reversed(self.frames):
            if not frame.span.file.startswith(STANDARD):
                return frame.text
        return ""

    @contextmanager
    def at(self, span: syntax.Span) -> Iterator[None]:
        """Nodes made inside come from this place."""
        before = self.builder.origin
        place = self.user_span(span)
        self.builder.origin = Origin(self.paths.prefix, f"{place.file}:{place.line}")
        try:
            yield
        finally:
            self.builder.origin = before

    @contextmanager
    def path(self, paths: Paths) -> Iterator[None]:
        before, self.paths = self.paths, paths
        try:
            yield
        finally:
            self.paths = before

    @contextmanager
    def frame(self, frame: Frame) -> Iterator[None]:
        if any(other.definition is frame.definition for other in self.frames):
            self.fail("N0207", f"`{frame.text}` is used inside itself", frame.span, "this use",
                      helps=["write the repetition as `repeat` or `for`: blocks cannot be recursive"])  # fmt: skip
        self.frames.append(frame)
        try:
            yield
        finally:
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
        labels = [Label(place, text if place is span else "", primary=True)]
        if place is span:
            labels += [Label(o, t) for o, t in others if not o.file.startswith(STANDARD)]
        else:
            labels += [
                Label(o, t) for o, t in others if not o.file.startswith(STANDARD) and not _overlaps(o, place)
            ]
            message = f"`{self.library_block(span)}`: {message}" if self.library_block(span) else message
        raise Mistake(
            Diagnostic(code, message, tuple(labels), tuple(notes) + self.chain(place), tuple(helps))
        )

    def report_failure(self, code: str, message: str, span: syntax.Span, text: str = "", **parts: Any) -> None:
        """`fail`, kept in the list instead of raised."""
        try:
            self.fail(code, message, span, text, **parts)
        except Mistake as mistake:
            self.report(mistake)

    def chain(self, place: syntax.Span) -> tuple[str, ...]:
        """`while building `bottleneck(width = 64)`, line 21 → …` for a place inside blocks."""
        steps = [f for f in self.frames if not f.span.file.startswith(STANDARD) and f.span is not place]
        if not steps:
            return ()
        return ("while building " + " → ".join(f"`{f.text}`, line {f.span.line}" for f in reversed(steps)),)

    def report(self, mistake: Mistake) -> None:
        """Keep a mistake and go on; the same one from another use of a block is kept once."""
        found = mistake.diagnostic
        if found is None:
            return
        place = found.primary.span if found.primary else None
        for other in self.diagnostics:
            if other.code == found.code and (other.primary and other.primary.span) == place:
                return
        self.diagnostics.append(found)

    def count_statement(self, span: syntax.Span) -> None:
        self.statements += 1
        if self.statements > STATEMENT_LIMIT:
            self.fail("N0413", "the program is too large to unroll", span,
                      f"more than {STATEMENT_LIMIT:,} statements at compile time",
                      helps=["use fewer repetitions"])  # fmt: skip

    # Nodes

    def emit_all(
        self, name: str, operands: Sequence[Tensor], span: syntax.Span, shown: str = "", **attributes: Any
    ) -> tuple[Tensor, ...]:
        """Append a node; a shape mistake becomes a diagnostic that shows each operand and where it came from."""
        try:
            with self.at(span):
                results = self.builder.emit_all(name, [t.value for t in operands], **attributes)
        except ShapeError as error:
            self.shape_mistake(error, shown or name, operands, span)
        text = self.snippet(span)
        return tuple(Tensor(value, span, text) for value in results)

    def emit(self, name: str, *operands: Tensor, span: syntax.Span, shown: str = "", **attributes: Any) -> Tensor:
        return self.emit_all(name, operands, span, shown, **attributes)[0]

    def shape_mistake(
        self, error: ShapeError, shown: str, operands: Sequence[Tensor], span: syntax.Span
    ) -> NoReturn:
        notes = []
        for index in error.operands or range(len(operands)):
            if index < len(operands):
                notes.append(f"operand {index + 1} is {self.provenance(operands[index])}")
        if error.expected:
            notes.append(f"expected {error.expected}")
        self.fail(error.code, error.message, span, "", notes=notes, helps=[error.help] if error.help else [])

    def provenance(self, tensor: Tensor) -> str:
        """`[N, 64]` from `dense(64)`, line 7."""
        place = self.user_span(tensor.span)
        origin = self.snippet(place)
        return f"{tensor.dtype}{shape_text(tensor.shape)}" + (f" from `{origin}`, line {place.line}" if origin else "")

    def stream(self) -> int:
        """The random stream of the next random node: by its path, so that other layers do not change it."""
        key = self.initializing or self.paths.prefix
        count = self.streams.get(key, 0)
        self.streams[key] = count + 1
        return zlib.crc32(f"{key}#{count}".encode())


def _overlaps(left: syntax.Span, right: syntax.Span) -> bool:
    return left.file == right.file and left.start < right.end and right.start < left.end
