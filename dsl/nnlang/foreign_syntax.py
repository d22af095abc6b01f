"""Syntax of other languages, recognized where the grammar does not allow it.

Takes a place of trouble, gives what to type here instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nnlang import other_tools
from nnlang.syntax import Span

if TYPE_CHECKING:
    from nnlang.errors import Trouble

# The first word of a line, with a second word behind it.
_FIRST_WORDS: dict[str, str] = {
    "def": "write `block name(...) { ... }`",
    "fn": "write `block name(...) { ... }`",
    "func": "write `block name(...) { ... }`",
    "fun": "write `block name(...) { ... }`",
    "function": "write `block name(...) { ... }`",
    "layer": "write `block name(...) { ... }`",
    "class": "write `net Name { ... }` or `block name(...) { ... }`",
    "model": "write `net Name { ... }`",
    "module": "write `net Name { ... }` or `block name(...) { ... }`",
    "network": "write `net Name { ... }`",
    "import": 'the library needs no line; for a file of your own write `use "parts/blocks.nn"`',
    "from": 'the library needs no line; for a file of your own write `use "parts/blocks.nn"`',
    "include": 'write `use "blocks.nn"`',
    "let": "write `name = value`, without a word before it",
    "var": "write `name = value`, without a word before it",
    "val": "write `name = value`, without a word before it",
    "auto": "write `name = value`, without a word before it",
    "while": "loops have a known end: `repeat n { ... }` or `for i in range(n) { ... }`",
    "elif": "write `} else if condition {`",
    "elsif": "write `} else if condition {`",
    "elseif": "write `} else if condition {`",
    "unless": "write `if not condition { ... }`",
    "del": "names need no deleting; remove the line",
    "global": "constants of the file are seen everywhere; remove the line",
    "with": "nothing has to be entered or left here; remove the line",
    "raise": 'write `assert condition, "what is wrong"`',
    "async": "remove the word",
    "parameter": "write `param name: f32[...] = initializer()`",
    "variable": "write `param name: f32[...]` (learned) or `state name: f32[...]`",
}
_LOOP_WORDS = ("FOR", "REPEAT", "SCAN", "IF", "ELSE", "NET", "BLOCK", "RULE", "TRAIN")


@dataclass(frozen=True, slots=True)
class ForeignSyntax:
    """A message and what to type; `replacement` (kinds and texts) takes the place of the next
    `drop` tokens.
    """

    message: str
    help: str
    span: Span | None = None
    replacement: tuple[tuple[str, str], ...] | None = None
    drop: int = 0


def recognize(trouble: Trouble) -> ForeignSyntax | None:
    """The syntax of another language that stands here, if it is a known one."""
    return (
        _first_word(trouble)
        or _colon(trouble)
        or _typed_name(trouble)
        or _stars(trouble)
        or _trailing_if(trouble)
        or _method(trouble)
        or _word_operator(trouble)
        or _lonely_else(trouble)
        or _broken_arrow(trouble)
        or _named_with_colon(trouble)
        or _dictionary(trouble)
        or _result_type(trouble)
        or _lambda(trouble)
        or _increment(trouble)
        or _called_twice(trouble)
        or _open_dimension(trouble)
    )


def _first_word(trouble: Trouble) -> ForeignSyntax | None:
    first = trouble.first
    help_text = _FIRST_WORDS.get(first.text) if first.type == "NAME" else None
    if help_text is None:
        return None
    direct = trouble.position == trouble.start + 1 and trouble.token.type != "EQUAL"
    if not direct and not (trouble.at_start and trouble.after.type in ("NAME", "STRING", "LPAR")):
        return None
    return ForeignSyntax(f"there is no `{first.text}`", help_text, first.span(trouble.file))


def _colon(trouble: Trouble) -> ForeignSyntax | None:
    if trouble.token.type != "COLON":
        return None
    before = trouble.before
    word = before if before is not None and before.type == "ELSE" else trouble.first
    if word.type not in _LOOP_WORDS and not (word.type == "NAME" and word.text == "elif"):
        return None
    if not trouble.accepts("LBRACE"):
        return None
    message = f"the body of `{word.text}` stands in braces"
    help_text = "write `{` in place of `:`, and `}` behind the last statement"
    if trouble.after.type == "LBRACE":
        return ForeignSyntax(message, "remove the `:`", replacement=(), drop=1)
    return ForeignSyntax(message, help_text)


def _typed_name(trouble: Trouble) -> ForeignSyntax | None:
    """`x: f32[N] = ...`"""
    if trouble.token.type != "COLON" or trouble.first.type != "NAME":
        return None
    if trouble.position != trouble.start + 1:
        return None
    name = trouble.first.text
    return ForeignSyntax(
        "a value that is computed takes no type",
        f"write `{name} = ...`; what is declared has a word: `param {name}: f32[...]`",
    )


def _stars(trouble: Trouble) -> ForeignSyntax | None:
    """`f(*args, **settings)`"""
    if trouble.token.type not in ("STAR", "POWER") or not trouble.accepts("NAME"):
        return None
    if trouble.before is None or trouble.before.type not in ("LPAR", "COMMA"):
        return None
    message = f"there are no `{trouble.token.text}{trouble.after.text}` arguments"
    return ForeignSyntax(message, "write each one by its name", replacement=(), drop=1)


def _trailing_if(trouble: Trouble) -> ForeignSyntax | None:
    """`x if c else y`"""
    if trouble.token.type != "IF" or not trouble.behind_value():
        return None
    return ForeignSyntax(
        "the condition of a choice comes first",
        "write `if condition { a } else { b }`",
    )


def _method(trouble: Trouble) -> ForeignSyntax | None:
    """`f(x).relu()`; `x.relu()` reads as a name in a namespace, see `checks`."""
    if trouble.token.type != "DOT" or not trouble.accepts("LSQB") or trouble.after.type != "NAME":
        return None
    name = trouble.after.text
    return ForeignSyntax("values have no methods", f"write `-> {name}` in place of `.{name}`")


def _word_operator(trouble: Trouble) -> ForeignSyntax | None:
    token = trouble.token
    if token.type != "NAME" or not trouble.behind_value():
        return None
    if token.text == "is":
        if trouble.after.type == "NOT":
            return ForeignSyntax(
                "values are compared with `!=`",
                "write `!=` in place of `is not`",
                replacement=(("COMPARISON", "!="),),
                drop=2,
            )
        return ForeignSyntax(
            "values are compared with `==`",
            "write `==` in place of `is`",
            replacement=(("COMPARISON", "=="),),
            drop=1,
        )
    words = {"mod": ("PERCENT", "%"), "div": ("SLASHES", "//"), "xor": ("COMPARISON", "!=")}
    if token.text in words:
        kind, text = words[token.text]
        return ForeignSyntax(
            f"there is no operator `{token.text}`", f"write `{text}`", None, ((kind, text),), 1
        )
    return None


def _lonely_else(trouble: Trouble) -> ForeignSyntax | None:
    if trouble.token.type != "ELSE" or (trouble.accepts("NAME") and not trouble.at_start):
        return None
    if trouble.after.type == "COLON":
        return ForeignSyntax(
            "the body of `else` stands in braces",
            "write `} else {`, and `}` behind the last statement",
        )
    return ForeignSyntax(
        "no `if` with a body in braces stands before this `else`",
        "write `if condition { ... } else { ... }`",
    )


def _broken_arrow(trouble: Trouble) -> ForeignSyntax | None:
    """`- >`"""
    token, before = trouble.token, trouble.before
    if token.text != ">" or before is None or before.type != "MINUS":
        return None
    span = before.span(trouble.file).to(token.span(trouble.file))
    return ForeignSyntax("an arrow is one word", "write `->`", span)


def _named_with_colon(trouble: Trouble) -> ForeignSyntax | None:
    """`f(units: 3)`"""
    before, opener = trouble.before, trouble.opener()
    if trouble.token.type != "COLON" or before is None or before.type != "NAME":
        return None
    if opener is None or opener.type != "LPAR" or not trouble.accepts("COMMA"):
        return None
    return ForeignSyntax(
        "arguments are named with `=`",
        f"write `{before.text} = ...`",
        replacement=(("EQUAL", "="),),
        drop=1,
    )


def _dictionary(trouble: Trouble) -> ForeignSyntax | None:
    """`x = {a: 1}`"""
    before = trouble.before
    if trouble.token.type != "LBRACE" or before is None or not trouble.expects_value():
        return None
    if before.type not in ("EQUAL", "COMMA", "LPAR", "LSQB"):
        return None
    return ForeignSyntax("braces hold no values", "write a list `[a, b]` or a tuple `(a, b)`")


def _result_type(trouble: Trouble) -> ForeignSyntax | None:
    """`block f(x) -> f32[N] {`"""
    if trouble.token.type != "ARROW" or trouble.first.type not in ("NET", "BLOCK", "RULE"):
        return None
    if trouble.behind_value() or not trouble.accepts("LBRACE"):
        return None
    return ForeignSyntax("blocks declare no type of their result", "remove the `->` and the type")


def _lambda(trouble: Trouble) -> ForeignSyntax | None:
    before = trouble.before
    if before is None or before.text != "lambda" or trouble.token.type not in ("NAME", "COLON"):
        return None
    help_text = "write a `block`, or give the values by name: `optimizer = sgd(momentum = 0.9)`"
    return ForeignSyntax("there is no `lambda`", help_text, before.span(trouble.file))


def _increment(trouble: Trouble) -> ForeignSyntax | None:
    """`x++` at the end of a line"""
    before, place = trouble.before, trouble.position
    if before is None or before.type not in ("PLUS", "MINUS") or place != trouble.start + 3:
        return None
    sign, name = trouble.tokens[place - 2], trouble.first
    if sign.type != before.type or sign.end != before.start or name.type != "NAME":
        return None
    span = name.span(trouble.file).to(before.span(trouble.file))
    help_text = f"write `{name.text} = {name.text} {sign.text} 1`"
    return ForeignSyntax(f"there is no `{sign.text * 2}`", help_text, span)


def _called_twice(trouble: Trouble) -> ForeignSyntax | None:
    """`relu()(x)` and `nn.ReLU()(x)`: settings and tensors stand in one call here."""
    tokens, place = trouble.tokens, trouble.position
    if trouble.token.type != "LPAR" or not trouble.behind_value() or place < trouble.start + 3:
        return None
    depth, start = 0, place - 1
    while start > trouble.start:
        depth += {"RPAR": 1, "LPAR": -1}.get(tokens[start].type, 0)
        if depth == 0:
            break
        start -= 1
    if tokens[place - 1].type != "RPAR" or tokens[start - 1].type != "NAME":
        return None
    if tokens[start - 2].type == "SHARE":
        return None
    name = tokens[start - 1].text
    known = other_tools.NAMES.get(other_tools.folded(name), "")
    name = known if known.isidentifier() else name
    return ForeignSyntax("one call takes tensors and settings", f"write `{name}(...)`")


def _open_dimension(trouble: Trouble) -> ForeignSyntax | None:
    """`input x: f32[:, 3]` and `f32[*, 3]`"""
    before = trouble.before
    if trouble.token.type not in ("COLON", "STAR") or before is None:
        return None
    if before.type not in ("LSQB", "COMMA") or trouble.first.type not in ("INPUT", "PARAM"):
        return None
    message = "a size that is not fixed has a name"
    return ForeignSyntax(message, "write `N`", replacement=(("NAME", "N"),), drop=1)
