"""Shapes in signatures: `x: [N, H, W, C]` matches a tensor and binds the names in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from nnlang import syntax

from .context import STANDARD, Context
from .expressions import checked_dtype, evaluate
from .lists import alone
from .scope import Scope
from .values import Tensor, describe, is_dim, shape_text


@dataclass(frozen=True)
class _Size:
    """One dimension of a list that a pattern spreads, `...sizes`."""

    size: Any
    name: syntax.Name

    @property
    def span(self) -> syntax.Span:
        return self.name.span


class _Match:
    """One argument against the type of its parameter, with the places that messages show."""

    def __init__(
        self,
        context: Context,
        scope: Scope,
        parameter: syntax.Parameter,
        value: Tensor,
        place: syntax.Span,
        block: str,
        call: syntax.Span,
    ) -> None:
        assert parameter.type is not None
        self.context, self.scope, self.value, self.place = context, scope, value, place
        self.key, self.type, self.block, self.call = (
            parameter.name.text,
            parameter.type,
            block,
            call,
        )
        self.written = context.snippet(parameter.type.span)

    def fail(
        self,
        message: str,
        helps: Sequence[str] = (),
        others: Sequence[tuple[syntax.Span, str]] = (),
    ) -> NoReturn:
        """The call is the place to go to; the argument says what was found, the signature what was
        expected.
        """
        context = self.context
        origin = context.origin(self.value)
        found = f"{self.key}: {describe(self.value)}"
        places = list(others)
        notes = []
        if not self.place.file.startswith(STANDARD):
            hidden = (
                context.user_span(self.value.span) is self.place
            )  # the origin is the label's own text
            places.insert(0, (self.place, found if hidden or not origin else f"{found}   {origin}"))
        elif origin:
            notes.append(f"`{self.key}` is {describe(self.value)} {origin}")
        expected = f"expects `{self.key}: {self.written}`"
        if not self.type.span.file.startswith(STANDARD):
            places.append((self.type.span, "expected here"))
        head = callee_span(context, self.call)
        context.fail("N0303", message, head, expected, others=places, notes=notes, helps=helps)

    def whole(self, expected: str) -> str:
        found = describe(self.value)
        if expected.startswith("["):  # any element type
            found = shape_text(self.value.shape)
        return f"`{self.key}` of `{self.block}` must be {expected}, found {found}"

    def known_spreads(self, pattern: tuple[Any, ...]) -> tuple[Any, ...]:
        """A pattern with the dimensions of a list that is known in the place of its `...list`."""
        parts: list[Any] = []
        for part in pattern:
            name = part.value if isinstance(part, syntax.Spread) else None
            if not isinstance(name, syntax.Name) or self.is_new(name.text):
                parts.append(part)
                continue
            known = evaluate(self.context, self.scope, name)
            if not isinstance(known, (list, tuple)) or not all(is_dim(size) for size in known):
                self.context.fail("N0306", "`...` needs a shape", name.span, describe(known))
            parts += [_Size(size, name) for size in known]
        return tuple(parts)

    def dimensions(self, pattern: tuple[Any, ...]) -> None:
        shape = self.value.shape
        pattern = self.known_spreads(pattern)
        spreads = [i for i, part in enumerate(pattern) if isinstance(part, syntax.Spread)]
        fixed = len(pattern) - len(spreads)
        if len(spreads) > 1:
            self.context.fail(
                "N0303", "a shape can have one `...`", pattern[spreads[1]].span, "a second one"
            )
        if len(shape) < fixed or (not spreads and len(shape) != fixed):
            self.fail(self.whole(self.written), rank_help(fixed, self.value, self.place.file))
        pairs = list(zip(pattern, shape, strict=False))
        if spreads:
            at = spreads[0]
            spread = pattern[at]
            after = len(pattern) - at - 1
            if isinstance(spread.value, syntax.Name) and self.is_new(spread.value.text):
                middle = tuple(shape[at : len(shape) - after])
                self.scope.bind(spread.value.text, middle, "dimension", spread.span, self.place)
            pairs = pairs[:at] + list(
                zip(pattern[at + 1 :], shape[len(shape) - after :], strict=True)
            )
        for part, size in pairs:
            self.dimension(part, size)

    def is_new(self, name: str) -> bool:
        """Whether a name in a shape is bound by it: the block does not have it, and it is no
        constant.
        """
        if name in self.scope.names:
            return False
        known = self.scope.find(name)
        return known is None or known.kind != "constant"

    def dimension(self, part: Any, size: Any) -> None:
        scope, context = self.scope, self.context
        if isinstance(part, syntax.Name) and self.is_new(part.text):
            scope.bind(part.text, size, "dimension", part.span, self.place)
            return
        expected = part.size if isinstance(part, _Size) else evaluate(context, scope, part)
        if not is_dim(expected):
            context.fail(
                "N0303",
                "a dimension must be an integer or a name of one",
                part.span,
                describe(expected),
            )
        if expected == size:
            return
        others = []
        if isinstance(part, syntax.Name):
            known = scope.names.get(part.text)
            first = known.given if known is not None else None
            message = f"`{part.text}` of `{self.block}` is {expected}, found {size} in `{self.key}`"
            if first is not None and first is not self.place:
                others.append((first, f"{part.text} = {expected}"))
        elif isinstance(part, (syntax.Number, _Size)):
            message = self.whole(self.written)
        else:
            message = (
                f"`{context.snippet(part.span)}` is {expected} here, found {size} in `{self.key}`"
            )
        self.fail(message, (), others)


def callee_span(context: Context, call: syntax.Span) -> syntax.Span:
    """The name in a call `f(x)`, so that the marks of its arguments stand beside it."""
    source = context.sources.get(call.file)
    if source is None or call.file.startswith(STANDARD):
        return call
    name = source.text[call.start : call.end].partition("(")[0].rstrip()
    if not name or "\n" in name:
        return call
    end = call.column + len(name)
    return syntax.Span(
        call.file, call.start, call.start + len(name), call.line, call.column, call.line, end
    )


def match_type(
    context: Context,
    scope: Scope,
    parameter: syntax.Parameter,
    value: Any,
    place: syntax.Span,
    block: str,
    call: syntax.Span,
) -> Tensor:
    """Match a tensor with the shape in a signature; names in it are bound, or must agree when they
    are. Gives the tensor, also of a list.
    """
    pattern = parameter.type
    assert pattern is not None
    if isinstance(value, list):
        value = alone(context, value, place, _element_type(context, scope, pattern))
    if not isinstance(value, Tensor):
        written = context.snippet(pattern.span)
        key = parameter.name.text
        context.fail(
            "N0303",
            f"`{key}` of `{block}` must be a tensor",
            place,
            describe(value),
            notes=[f"`{block}` expects `{key}: {written}`"],
        )
    match = _Match(context, scope, parameter, value, place, block, call)
    if isinstance(pattern, syntax.LikeType):
        other = evaluate(context, scope, pattern.value)
        if not isinstance(other, Tensor) or other.value.type != value.value.type:
            match.fail(match.whole(describe(other)))
        return value
    if (
        pattern.dtype is not None
        and checked_dtype(context, pattern.dtype, pattern.span) != value.dtype
    ):
        match.fail(match.whole(match.written), [f"convert it: `{pattern.dtype}(...)`"])
    match.dimensions(pattern.dimensions)
    return value


def _element_type(context: Context, scope: Scope, pattern: syntax.TypeExpression) -> str | None:
    """The element type that a signature asks for."""
    if isinstance(pattern, syntax.TensorType):
        dtype = pattern.dtype
        return checked_dtype(context, dtype, pattern.span) if dtype is not None else None
    other = evaluate(context, scope, pattern.value)
    return other.dtype if isinstance(other, Tensor) else None


def rank_help(expected: int, value: Tensor, file: str) -> list[str]:
    """What to type where the number of axes is wrong."""
    found = len(value.shape)
    name = value.text if value.text.isidentifier() else "x"
    if expected == 4 and found == 3:
        whole = ", ".join(str(dim) for dim in (*value.shape, 1))
        return [
            "images are [N, height, width, channels]; add the channels: "
            f"`reshape({name}, ({whole}))`"
        ]
    if expected == 4:
        return ["images are [N, height, width, channels]"]
    if expected == 3:
        return ["sequences are [N, time, features]"]
    if expected == 2 and found > 2:
        return [f"flatten it first: `{name} -> flatten`"]
    return []
