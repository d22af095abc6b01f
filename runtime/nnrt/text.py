"""Text from files, made safe to show: names, paths, notes and sources may hold anything."""

from __future__ import annotations

import functools
import re

# Control characters, halves of surrogate pairs, line ends that are no control characters, and
# characters that reorder the text around them.
_HIDDEN = (
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def visible(text: str, keep: str = "") -> str:
    """The text with control characters as escapes (`\\x1b`), so that none reaches a terminal.

    `keep` lists control characters that stay, such as the line ends of a text of several lines.
    """
    if text.isprintable():
        return text
    return hidden(keep).sub(lambda match: match[0].encode("unicode_escape").decode(), text)


@functools.cache
def hidden(keep: str) -> re.Pattern[str]:
    return re.compile(f"(?![{re.escape(keep)}]){_HIDDEN}" if keep else _HIDDEN)


def bytes_text(count: float) -> str:
    """A number of bytes for a sentence: `3.1 GB`."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} bytes" if unit == "bytes" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"
