"""The command `nnc`: `main(arguments)` runs it and gives the exit code. One file a command."""

from __future__ import annotations

from nnc.cli.entry import main

__all__ = ["main"]
