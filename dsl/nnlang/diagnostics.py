"""Mistakes as data.

Takes what a stage found wrong, gives objects that the terminal and JSON renderings share. Keeps
true: a diagnostic has a code of the table in `codes`, and at most one primary label, the place to
go to.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nnlang.codes import CODES
from nnlang.paths import shown_name
from nnlang.rendering import render_all
from nnlang.syntax import Source, Span

MAX_ERRORS = 20  # that are reported at once


@dataclass(frozen=True)
class Label:
    """A place in a text and what is to be said about it. The text may be empty, or have several
    lines.
    """

    span: Span
    text: str = ""
    primary: bool = False


@dataclass(frozen=True)
class Diagnostic:
    """One mistake: what, where, expected and found, and what to type."""

    code: str
    message: str
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    severity: str = "error"

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"{self.code} is not in the table of codes")
        if sum(label.primary for label in self.labels) > 1:
            raise ValueError(f"{self.code} has more than one primary label")

    @property
    def primary(self) -> Label | None:
        """The place to go to: the primary label, else the first one."""
        for label in self.labels:
            if label.primary:
                return label
        return self.labels[0] if self.labels else None


def diagnostic(
    code: str,
    message: str,
    span: Span | None = None,
    text: str = "",
    *,
    others: Iterable[tuple[Span, str]] = (),
    notes: Iterable[str] = (),
    helps: Iterable[str] = (),
) -> Diagnostic:
    """The usual diagnostic: one primary place, perhaps others."""
    labels: tuple[Label, ...] = () if span is None else (Label(span, text, primary=True),)
    labels += tuple(Label(place, words) for place, words in others)
    return Diagnostic(code, message, labels, tuple(notes), tuple(helps))


class DiagnosticError(Exception):
    """Raised by a stage that cannot go on, with all that it found and the sources to show it in."""

    def __init__(
        self,
        diagnostics: Iterable[Diagnostic],
        sources: Mapping[str, Source] | Iterable[Source] = (),
    ) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        if isinstance(sources, Mapping):
            sources = sources.values()
        self.sources: dict[str, Source] = {source.name: source for source in sources}
        super().__init__(*self.diagnostics)

    def __str__(self) -> str:
        return render_all(self.diagnostics, self.sources)


def to_json(diagnostic: Diagnostic, sources: Mapping[str, Source] | None = None) -> dict[str, Any]:
    """A diagnostic as plain data for `json.dumps`; with `sources`, files by their paths."""
    names = {name: shown_name(source) for name, source in (sources or {}).items()}
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "title": CODES[diagnostic.code],
        "message": diagnostic.message,
        "labels": [
            {
                "file": names.get(label.span.file, label.span.file),
                "start": label.span.start,
                "end": label.span.end,
                "line": label.span.line,
                "column": label.span.column,
                "end_line": label.span.end_line,
                "end_column": label.span.end_column,
                "text": label.text,
                "primary": label.primary,
            }
            for label in diagnostic.labels
        ],
        "notes": list(diagnostic.notes),
        "helps": list(diagnostic.helps),
    }


def suggest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was probably meant, or None."""
    pool = sorted(set(candidates) - {name})
    folded = {candidate.casefold(): candidate for candidate in reversed(pool)}
    if name.casefold() in folded:
        return folded[name.casefold()]
    if len(pool) > 500:  # comparing with all of them takes longer than anything else
        pool = [candidate for candidate in pool if candidate[:1] == name[:1]][:500]
    close = difflib.get_close_matches(name, pool, n=1, cutoff=0.6)
    return close[0] if close else None
