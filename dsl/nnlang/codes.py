"""Every code a diagnostic may carry, with its one-line title.

One table for all stages; a stage that needs a code adds a row. Codes keep their meaning for ever.
N01 syntax · N02 names · N03 shapes and types · N04 settings and calls · N05 training sections ·
N06 files and `use` · N07 data and artifacts.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    # Syntax
    "N0101": "something else was expected here",
    "N0102": "a character the language does not know",
    "N0103": "a string that does not end",
    "N0104": "a number that cannot be read",
    "N0105": "a bracket that is never closed",
    "N0106": "a closing bracket that fits no opening one",
    "N0107": "nested too deeply",
    "N0108": "a body in braces is missing",
    "N0109": "a comma is missing",
    "N0110": "`=` where `==` is meant",
    "N0111": "a reserved word used as a name",
    "N0112": "the way another language writes it",
    "N0113": "an element type that does not exist",
    "N0114": "a statement where it has no meaning",
    "N0115": "a value that nothing uses",
    "N0116": "an `if` that gives no value where one is needed",
    "N0117": "an argument by position after one by name",
    "N0118": "an edition that does not exist",
    "N0119": "an escape that strings do not have",
    "N0120": "comparisons in a chain",
    "N0121": "a line that ends too early",
    # Names
    # Shapes and types
    # Settings and calls
    # Training sections
    # Files and `use`
    # Data and artifacts
}
