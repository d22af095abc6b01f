"""The syntax trees of the standard library, loaded from their saved form where there is one.

Takes the library's texts, gives their trees. They are the same until the library or this package
changes, and parsing them takes several times as long as loading what `private_cache` keeps.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

from nnlang.parser import parse
from nnlang.private_cache import digest, kept
from nnlang.syntax import File, Source

_HOME = Path(__file__).parent


def parse_library(sources: Sequence[Source]) -> list[File]:
    """The trees of some texts that hardly ever change, from the cache or made and put there."""
    texts = [(source.name, source.text) for source in sources]
    key = digest(sys.implementation.cache_tag, texts, *_code())
    # One file for each place where the package is installed: a change of the package replaces it.
    name = f"library-{digest(sys.implementation.cache_tag, str(_HOME))[:16]}.pickle"

    def make() -> list[File]:
        return [parse(source.text, source.name, source.directory) for source in sources]

    return kept(name, key, make, pickle.dumps, pickle.loads)


def _code() -> list[bytes]:
    """What the tree of a text depends on: the files of this package."""
    files = sorted([*_HOME.glob("*.py"), *_HOME.glob("*.lark")])
    return [file.read_bytes() for file in files]
