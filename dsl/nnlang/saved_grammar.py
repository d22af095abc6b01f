"""Lark's parser for a grammar, loaded from its saved form where there is one.

Takes the text of a grammar, gives its parser. Making one takes about ten times as long as loading
it, so `private_cache` keeps it. A saved parser is of one grammar, one Lark and one Python.
"""

from __future__ import annotations

import io
import sys

import lark
from lark.lexer import Lexer

from nnlang.private_cache import digest, kept


def load_parser(grammar: str, lexer: type[Lexer]) -> lark.Lark:
    """The LALR parser of a grammar, from the cache or made and put there."""
    versions = (lark.__version__, sys.implementation.cache_tag, lexer.__module__, lexer.__name__)
    key = digest(grammar, *versions)

    def make() -> lark.Lark:
        return lark.Lark(grammar, parser="lalr", lexer=lexer, maybe_placeholders=True)

    def load(saved: bytes) -> lark.Lark:
        return lark.Lark.load(io.BytesIO(saved))

    return kept(f"grammar-{key[:16]}.lark", key, make, _saved, load)


def _saved(parser: lark.Lark) -> bytes:
    buffer = io.BytesIO()
    parser.save(buffer)
    return buffer.getvalue()
