"""Pauses Python's garbage collector while the compiler is imported and while it compiles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the garbage collector: nearly all that compiling makes lives to its end, so looking
    through it again and again takes a third of the time of a large net and finds nothing.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
