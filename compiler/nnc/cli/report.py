"""From an exception to what the user reads: the one place that knows all kinds of errors."""

from __future__ import annotations

import sys
import traceback

from nnrt.text import visible

from nnc import options

ISSUE = "This is a bug in nnc, not in your file. Please report it with the .nn file and this text."


def explain(error: Exception) -> tuple[str, bool]:
    """The text for standard error, and whether the error is a bug of nnc."""
    known = mistake(error)
    if known is not None:
        return known, False
    from nnc.errors import InternalError

    text = str(error) if isinstance(error, InternalError) else unexpected(error)
    try:
        debug = options.debug_level() > 0
    except options.OptionError:
        debug = False
    if debug:
        text = "".join(traceback.format_exception(error)) + text
        return f"{text}\n{ISSUE}", True
    return f"{text}\n{ISSUE} NNC_DEBUG=1 adds the traceback.", True


def mistake(error: Exception) -> str | None:
    """The text of a mistake of the user, or None for another error."""
    from nnlang import DiagnosticError, render_all

    if isinstance(error, DiagnosticError):
        return render_all(error.diagnostics, error.sources, colored())
    if isinstance(error, options.OptionError):
        return headed(str(error))
    from nnrt.errors import Error

    if isinstance(error, Error):
        return headed(str(error), error.code)
    if isinstance(error, UnicodeDecodeError):
        return headed(f"this is not UTF-8 text ({error.reason} at byte {error.start}).")
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        place = f"{error.filename}: " if error.filename else ""
        return headed(f"{place}{reason[:1].lower()}{reason[1:]}.")
    if isinstance(error, MemoryError):
        reason = f" ({error})" if str(error) else ""
        return headed(f"not enough memory{reason}. A smaller batch needs less: `--set batch=…`.")
    return None


def unexpected(error: Exception) -> str:
    """One line with the place, for an error that no part of nnc announced."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"internal error: {type(error).__name__}: {error}{place}"


def headed(message: str, code: str = "") -> str:
    head = f"error[{code}]" if code else "error"
    message = visible(message, keep="\n")
    return f"\x1b[1;31m{head}\x1b[0m: {message}" if colored() else f"{head}: {message}"


def colored() -> bool:
    return sys.stderr.isatty() and options.read("NO_COLOR") is None
