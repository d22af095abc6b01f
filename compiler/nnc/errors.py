"""Internal errors: the compiler's own mistakes, never the user's.

Takes what is known where a rule of the compiler is broken and says it whole: the message, the pass,
the node, and up to ten lines of the graph around it.
"""

from __future__ import annotations

from collections.abc import Sequence


class InternalError(Exception):
    """A bug in nnc. `pass_name`: where; `node`: its line of IR; `lines`: the IR around it;
    `reproducer`: a file to rerun.
    """

    def __init__(
        self,
        message: str,
        pass_name: str = "",
        node: str = "",
        lines: Sequence[str] = (),
        reproducer: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.pass_name = pass_name
        self.node = node
        self.lines = tuple(lines)[:10]
        self.reproducer = reproducer

    def __str__(self) -> str:
        text = "internal error"
        if self.pass_name:
            text += f" in pass `{self.pass_name}`"
        text += f": {self.message}"
        if self.node:
            text += f"\n  at node: {self.node}"
        if self.lines:
            text += "\n  graph around it:\n" + "\n".join(f"    {line}" for line in self.lines)
        if self.reproducer:
            text += f"\n  reproducer: {self.reproducer}"
        return text
