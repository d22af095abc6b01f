"""What to say about a token that the grammar does not allow, and what was probably meant.

Takes the place of the trouble, gives a diagnostic and, where the intention is clear, the tokens to
go on with. Each explanation is one function of the list at the end: it knows one kind of mistake,
and gives None for every other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nnlang import foreign_syntax
from nnlang.diagnostics import Diagnostic, diagnostic, suggest
from nnlang.layout import NEWLINE
from nnlang.lexer import END, Token
from nnlang.syntax import Span

_OPENERS = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
_CLOSERS = frozenset({"RPAR", "RSQB", "RBRACE"})
_ENDS = frozenset({NEWLINE, END, "RBRACE"})
_VALUE_ENDS = frozenset({"NAME", "NUMBER", "STRING", "TRUE", "FALSE", "RPAR", "RSQB", "RBRACE"})
_OPERATORS = frozenset(
    {"PLUS", "MINUS", "STAR", "SLASH", "SLASHES", "PERCENT", "MATRIX", "POWER", "AND", "OR", "NOT"}
    | {"COMPARISON", "IN"}
)
_BODY_WORDS = ("NET", "BLOCK", "RULE", "TRAIN", "FOR", "REPEAT", "SCAN", "IF", "ELSE")
_ITEM_WORDS = ("net", "block", "rule", "train", "const", "use")
_STATEMENT_WORDS = (
    "param", "state", "input", "output", "return", "if", "for", "repeat", "scan", "carry", "yield",
    "assert", "const", "metric", "freeze", "load",
)  # fmt: skip
# What may be missing: its kind, its text, and the statements in which it may be.
_INSERTIONS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("COLON", ":", ("NET", "BLOCK", "RULE")),
    ("EQUAL", "=", ("CONST", "OUTPUT", "METRIC", "PARAM", "STATE", "CARRY", "NAME")),
    ("IN", "in", ("FOR", "SCAN")),
    ("LPAR", "(", ("NET", "BLOCK", "RULE")),
    ("LBRACE", "{", ("NET", "BLOCK", "RULE", "TRAIN", "FOR", "REPEAT", "SCAN", "IF")),
)
_WORDS = {
    NEWLINE: "the end of the line",
    END: "the end of the file",
    "COMMA": "`,`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "RBRACE": "`}`",
    "LBRACE": "`{`",
    "LPAR": "`(`",
    "EQUAL": "`=`",
    "COLON": "`:`",
    "AS": "`as`",
    "ELSE": "`else`",
    "IN": "`in`",
    "STRING": "a string",
    "ARROW": "`->`",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A token that cannot stand where it stands.

    `start` is the position of the first token of its statement; `accepts` tells whether tokens of
    some kinds could follow what was read so far.
    """

    tokens: list[Token]
    position: int
    start: int
    in_body: bool
    file: str
    keywords: dict[str, str]
    accepts: Callable[..., bool]

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    @property
    def before(self) -> Token | None:
        return self.tokens[self.position - 1] if self.position else None

    @property
    def after(self) -> Token:
        return self.tokens[min(self.position + 1, len(self.tokens) - 1)]

    @property
    def first(self) -> Token:
        return self.tokens[self.start]

    @property
    def at_start(self) -> bool:
        """Whether the trouble is with the first token of a statement."""
        return self.position == self.start

    @property
    def span(self) -> Span:
        """The place to show: the token, or behind the last one where a line or the file ends."""
        if self.token.type in (NEWLINE, END) and self.before is not None:
            last = self.before.span(self.file)
            line, column = last.end_line, last.end_column
            return Span(self.file, last.end, last.end, line, column, line, column)
        return self.token.span(self.file)

    def opener(self) -> Token | None:
        """The innermost bracket that is open here, of those that the statement opened."""
        depth = 0
        for token in reversed(self.tokens[self.start : self.position]):
            if token.type in _CLOSERS:
                depth += 1
            elif token.type in _OPENERS:
                if depth == 0:
                    return token
                depth -= 1
        return None

    def put(self, kind: str, text: str) -> Token:
        """A token to put in front of the one in trouble, or in its place."""
        span = self.span
        return Token(kind, text, span.start, span.start, span.line, span.column)

    def expects_value(self) -> bool:
        return self.accepts("NUMBER")

    def behind_value(self) -> bool:
        """Whether a complete value stands before the trouble."""
        return self.accepts("STAR")


@dataclass(frozen=True, slots=True)
class Repair:
    """What to report, and what to read in place of the next `drop` tokens (None: leave the
    statement out).
    """

    diagnostic: Diagnostic
    tokens: list[Token] | None = None
    drop: int = 0


def explain(trouble: Trouble) -> Repair:
    """The first explanation that fits."""
    for explanation in _EXPLANATIONS:
        repair = explanation(trouble)
        if repair is not None:
            return repair
    raise AssertionError("the last explanation fits always")


def found_words(trouble: Trouble) -> str:
    """What stands there, as one would say it."""
    token = trouble.token
    if token.type in (NEWLINE, END):
        return "the end of the line" if token.type == NEWLINE else "the end of the file"
    if token.type == "NAME":
        return f"the name `{token.text}`"
    if token.type == "NUMBER":
        return f"the number `{token.text}`"
    if token.type == "STRING":
        return "a string"
    if token.type in trouble.keywords:
        return f"the word `{token.text}`"
    return f"`{token.text}`"


def expected_words(trouble: Trouble) -> str:
    """What could stand there, as one would say it."""
    if trouble.accepts("NUMBER"):
        return "a value"
    if trouble.accepts("NAME"):
        return "a name or a string" if trouble.accepts("STRING") else "a name"
    words = [text for kind, text in _WORDS.items() if trouble.accepts(kind)]
    operators = trouble.behind_value()
    if operators:
        words = [text for text in words if text not in ("`->`", "`as`", "`(`", "`=`", "`in`")]
        words.append("an operator")
    if "the end of the line" in words and "the end of the file" in words:
        words.remove("the end of the file")
    if len(words) > 1:
        return ", ".join(words[:-1]) + " or " + words[-1]
    return words[0] if words else "something else"


def _repair(
    trouble: Trouble,
    code: str,
    message: str,
    *helps: str,
    label: str = "",
    others: tuple[tuple[Span, str], ...] = (),
    put: list[Token] | None = None,
    drop: int = 0,
) -> Repair:
    found = diagnostic(code, message, trouble.span, label, others=others, helps=helps)
    return Repair(found, put, drop)


def _other_language(trouble: Trouble) -> Repair | None:
    foreign = foreign_syntax.recognize(trouble)
    if foreign is None:
        return None
    span = foreign.span or trouble.span
    found = diagnostic("N0112", foreign.message, span, helps=[foreign.help])
    words = foreign.replacement
    put = None if words is None else [trouble.put(*word) for word in words]
    return Repair(found, put, foreign.drop)


def _line_too_short(trouble: Trouble) -> Repair | None:
    """`x = a +` and `f(a, ` at the end of a line or a body."""
    before = trouble.before
    ends = trouble.token.type in _ENDS or trouble.token.line > (before.line if before else 0)
    if before is None or trouble.at_start or not ends or not trouble.expects_value():
        return None
    if trouble.token.type in _CLOSERS and trouble.token.type != "RBRACE":
        return None
    if trouble.token.type not in _ENDS and trouble.token.type not in trouble.keywords:
        return None
    if before.type not in _OPERATORS | {"EQUAL", "COMMA"} and before.type not in trouble.keywords:
        return None
    help_text = "write the value behind it"
    if before.type in _OPERATORS:
        help_text += f", or start the next line with `{before.text}`"
        if before.text in ("//", "not"):
            help_text = "write the value behind it, or put the whole in parentheses to go on in "
            help_text += "the next line"
    end = before.span(trouble.file)
    found = diagnostic(
        "N0121",
        f"a value is missing after `{before.text}`",
        end,
        f"expected a value, found {found_words(trouble)}",
        helps=[help_text],
    )
    return Repair(found, [trouble.put("NAME", "_")], 0)


def _reserved_name(trouble: Trouble) -> Repair | None:
    token, before = trouble.token, trouble.before
    if token.type == "EQUAL" and before is not None:
        starts = trouble.position == trouble.start + 1
        named = starts or trouble.tokens[trouble.position - 2].type in ("LPAR", "COMMA")
        if before.type not in trouble.keywords or not named:
            return None
        message = f"`{before.text}` is a reserved word"
        help_text = f"choose another name, for example `{before.text}_`"
        return Repair(diagnostic("N0111", message, before.span(trouble.file), helps=[help_text]))
    if token.type not in trouble.keywords or trouble.at_start or not trouble.accepts("NAME"):
        return None
    if token.type in ("SCAN", "PARAM", "STATE", "RETURN") and trouble.expects_value():
        return None
    return _repair(
        trouble,
        "N0111",
        f"`{token.text}` is a reserved word",
        f"choose another name, for example `{token.text}_`",
        label=f"expected {expected_words(trouble)}",
        put=[trouble.put("NAME", token.text)],
        drop=1,
    )


def _for_in_a_list(trouble: Trouble) -> Repair | None:
    """`sum(a for x in xs)`, `[a for x in xs for y in ys]` and `[for x in xs]`"""
    opener = trouble.opener()
    if trouble.token.type != "FOR" or opener is None or opener.type == "LBRACE":
        return None
    inside = trouble.tokens[trouble.tokens.index(opener) : trouble.position]
    if opener.type != "LSQB":
        message, help_text = "a `for` in a value makes a list", "write it in square brackets: "
        return _repair(trouble, "N0101", message, help_text + "`[f(x) for x in items]`")
    if any(token.type == "FOR" for token in inside):
        message = "a list runs over one `for`"
        return _repair(trouble, "N0101", message, "write a list in the list: `[[...] for x in xs]`")
    message = "the value comes before the `for` of a list, and it is one value"
    return _repair(trouble, "N0101", message, "write `[f(x) for x in items]`")


def _statement_as_value(trouble: Trouble) -> Repair | None:
    token = trouble.token
    if token.type != "SCAN" or not trouble.expects_value():
        return None
    return _repair(
        trouble,
        "N0101",
        "a `scan` stands alone or behind `name =`",
        "give it a name on a line of its own, `h = scan ...`, and use the name here",
    )


def _single_equal(trouble: Trouble) -> Repair | None:
    if trouble.token.type != "EQUAL" or not trouble.accepts("COMPARISON"):
        return None
    if trouble.first.type in trouble.keywords or trouble.opener() is not None:
        return _repair(
            trouble,
            "N0110",
            "`=` gives a name to a value; two values are compared with `==`",
            "write `==`",
            put=[trouble.put("COMPARISON", "==")],
            drop=1,
        )
    first = trouble.first
    last = trouble.before or first
    second = trouble.tokens[trouble.start + 1]
    if second.type == "EQUAL" and last.line > second.line:
        place = second.span(trouble.file)
        help_text = "write the value behind it"
        found = diagnostic("N0121", "a value is missing after `=`", place, helps=[help_text])
        return Repair(found)
    place = first.span(trouble.file).to(last.span(trouble.file))
    help_text = "write a name before the `=`"
    if first.type == "LPAR":
        help_text = "write the names without parentheses: `a, b = ...`"
    elif any(token.type == "LSQB" for token in trouble.tokens[trouble.start : trouble.position]):
        help_text = "values never change; give the new value a name of its own"
    found = diagnostic("N0101", "only a name can be given a value", place, helps=[help_text])
    return Repair(found)


def _chained_comparison(trouble: Trouble) -> Repair | None:
    if trouble.token.type not in ("COMPARISON", "IN") or not trouble.behind_value():
        return None
    if trouble.first.type in ("FOR", "SCAN") and trouble.token.type == "IN":
        return None
    return _repair(
        trouble,
        "N0120",
        "comparisons cannot be chained",
        "compare twice: `a < b and b < c`",
        label="the second comparison",
        put=[trouble.put("AND", "and"), trouble.put("NAME", "_"), trouble.token],
        drop=1,
    )


def _after_arrow(trouble: Trouble) -> Repair | None:
    before = trouble.before
    if before is None or before.type != "ARROW":
        return None
    if trouble.token.type in _ENDS:
        return _repair(trouble, "N0121", "a call is missing after `->`", "write the call behind it")
    return _repair(
        trouble,
        "N0101",
        f"what follows `->` is a call, not {found_words(trouble)}",
        "write the name of a block: `x -> dense(10)`, `x -> relu`",
    )


def _missing_comma(trouble: Trouble) -> Repair | None:
    before, opener = trouble.before, trouble.opener()
    if before is None or opener is None or opener.type == "LBRACE":
        return None
    if before.type not in _VALUE_ENDS or not trouble.accepts("COMMA", trouble.token.type):
        return None
    end = before.span(trouble.file)
    place = Span(
        trouble.file,
        end.end,
        end.end,
        end.end_line,
        end.end_column,
        end.end_line,
        end.end_column,
    )
    found = diagnostic(
        "N0109", "a comma is missing", place, "between these two", helps=["write `,`"]
    )
    return Repair(found, [trouble.put("COMMA", ",")], 0)


def _missing_body(trouble: Trouble) -> Repair | None:
    if not trouble.accepts("LBRACE") or trouble.first.type not in (*_BODY_WORDS, "NAME"):
        return None
    if trouble.token.type not in (*_ENDS, *trouble.keywords):
        return None
    before = trouble.before or trouble.first
    what = before.text if before.type == "ELSE" else trouble.first.text
    return _repair(
        trouble,
        "N0108",
        "a body in braces is missing",
        "write `{` here, the statements, and `}` behind them",
        label=f"`{{` was expected, for the body of `{what}`",
    )


def _missing_type(trouble: Trouble) -> Repair | None:
    first = trouble.first
    if first.type not in ("PARAM", "STATE", "CARRY", "INPUT") or not trouble.accepts("COLON"):
        return None
    name = trouble.before.text if trouble.before else "x"
    example = "u8[N, 28, 28, 1]" if first.type == "INPUT" else "f32[units]"
    kind = trouble.token.type
    put = [trouble.put("COLON", ":")]
    if not trouble.accepts("COLON", kind):
        put += [trouble.put("NAME", "f32")]
    return _repair(
        trouble,
        "N0101",
        f"the type of `{name}` is missing",
        f"write `{first.text} {name}: {example}`",
        label=f"expected `:` and a type, found {found_words(trouble)}",
        put=put,
    )


def _start_of_item(trouble: Trouble) -> Repair | None:
    token = trouble.token
    if trouble.in_body or not trouble.at_start:
        first = trouble.first
        if trouble.in_body or trouble.position != trouble.start + 1 or first.type != "NAME":
            return None
    first = trouble.first
    second = trouble.tokens[min(trouble.start + 1, len(trouble.tokens) - 1)]
    place = first.span(trouble.file)
    helps = ["a file consists of `net`, `block`, `rule`, `train`, `const` and `use`"]
    if first.type == "NAME" and second.type == "EQUAL":
        helps = [f"write `const {first.text} = ...`, or put it into a net or block"]
    elif first.type == "NAME" and second.type in ("NAME", "STRING"):
        meant = suggest(first.text, _ITEM_WORDS)
        helps = [f"write `{meant}`"] if meant else helps
    elif first.type in ("PARAM", "STATE", "INPUT", "OUTPUT", "RETURN", "IF", "FOR"):
        helps = [f"put it into a net or block; {helps[0]}"]
    elif token.type == "EDITION":
        helps = ["`edition` is the first line of a file"]
    words = f"`{first.text}`" if first.text.strip() else found_words(trouble)
    found = diagnostic("N0101", f"a file has no place for {words} here", place, helps=helps)
    return Repair(found)


def _misspelt_statement(trouble: Trouble) -> Repair | None:
    """`parm weight: ...`: two names beside each other at the start of a statement."""
    first = trouble.first
    if trouble.position != trouble.start + 1 or first.type != "NAME" or not trouble.in_body:
        return None
    if trouble.token.type not in ("NAME", "STRING", "NUMBER"):
        return None
    meant = suggest(first.text, _STATEMENT_WORDS)
    if meant is None or len(first.text) < 3:
        return None
    found = diagnostic(
        "N0101",
        f"no statement starts with `{first.text}`",
        first.span(trouble.file),
        helps=[f"write `{meant}`"],
    )
    return Repair(found)


def _comment_in_slashes(trouble: Trouble) -> Repair | None:
    """`x = 3 // the width`: the words behind `//` are no value."""
    line = trouble.token.line
    for token in trouble.tokens[trouble.start : trouble.position]:
        if token.type == "SLASHES" and (token.line == line or trouble.token.type in _ENDS):
            before = trouble.before
            if before is None or before.type not in _VALUE_ENDS or trouble.opener() is not None:
                return None
            found = diagnostic(
                "N0112",
                "`//` divides and rounds down; it starts no comment",
                token.span(trouble.file),
                helps=["start a comment with `#`"],
            )
            return Repair(found)
    return None


def _unnamed_output(trouble: Trouble) -> Repair | None:
    """`output softmax(x)`, `output a + b` and `metric accuracy(logits, label)`"""
    first, before = trouble.first, trouble.before
    if first.type not in ("OUTPUT", "METRIC") or trouble.position != trouble.start + 2:
        return None
    if before is None or trouble.token.type not in (*_OPERATORS, "LPAR", "LSQB", "ARROW", "DOT"):
        return None
    name = "name" if first.type == "OUTPUT" else before.text
    rest = "(...)" if trouble.token.type == "LPAR" else " ..."
    found = diagnostic(
        "N0101",
        f"this {first.text} has no name",
        before.span(trouble.file),
        f"the name of the {first.text} was expected here",
        helps=[f"write `{first.text} {name} = {before.text}{rest}`"],
    )
    return Repair(found)


def _unquoted(trouble: Trouble) -> Repair | None:
    """`freeze features` and `load weights`"""
    first = trouble.first
    if first.text not in ("freeze", "load") or trouble.position != trouble.start + 1:
        return None
    example = '`freeze "features.*"`' if first.text == "freeze" else '`load "weights.safetensors"`'
    return _repair(
        trouble,
        "N0101",
        f"`{first.text}` takes a string",
        f"write it in quotes: {example}",
        label=f"expected a string, found {found_words(trouble)}",
    )


def _operator_behind_pipe(trouble: Trouble) -> Repair | None:
    """`x -> f + y`, and a line that starts with an operator behind one with a pipe"""
    sign = trouble.token.text
    if trouble.token.type not in _OPERATORS - {"NOT"} or trouble.behind_value():
        return None
    if not trouble.accepts("ARROW"):
        return None
    message = f"`->` binds loosest, so `{sign}` cannot follow a pipe"
    help_text = f"put the pipe in parentheses: `(x -> f) {sign} y`"
    return _repair(trouble, "N0101", message, help_text)


def _insertion(trouble: Trouble) -> Repair | None:
    """One token that, put in front, makes the text right."""
    for kind, text, statements in _INSERTIONS:
        following = (trouble.token.type, trouble.after.type)[
            : 1 if trouble.after.type == END else 2
        ]
        if trouble.first.type in statements and trouble.accepts(kind, *following):
            beside = trouble.position == trouble.start + 1 and trouble.after.type in _ENDS
            if trouble.first.type == "NAME" and not beside:
                continue
            return _repair(
                trouble,
                "N0108" if kind == "LBRACE" else "N0101",
                f"`{text}` is missing before {found_words(trouble)}",
                f"write `{text}`",
                label=f"expected `{text}`",
                put=None if kind in ("LPAR", "LBRACE") else [trouble.put(kind, text)],
            )
    return None


def _two_statements(trouble: Trouble) -> Repair | None:
    """`x = a y = b`: a second statement, or a second value, on one line."""
    before = trouble.before
    if before is None or trouble.opener() is not None or before.type not in _VALUE_ENDS:
        return None
    if not trouble.accepts(NEWLINE) or trouble.token.type in _CLOSERS:
        return None
    if trouble.accepts(NEWLINE, trouble.token.type) and trouble.after.type == "EQUAL":
        help_text = "start a new line here"
    elif trouble.token.type in ("NAME", "NUMBER", "STRING", "LPAR"):
        help_text = "an operator, a comma or a line end is missing before it"
    else:
        help_text = "remove it, or start a new line before it"
    return _repair(
        trouble,
        "N0101",
        f"{found_words(trouble)} cannot follow here",
        help_text,
        label="expected the end of the line or an operator",
    )


def _anything(trouble: Trouble) -> Repair:
    expected = expected_words(trouble)
    if trouble.at_start and trouble.in_body:
        expected = "a statement"
    opener = trouble.opener()
    others: tuple[tuple[Span, str], ...] = ()
    if opener is not None and trouble.token.type in _ENDS:
        others = ((opener.span(trouble.file), f"`{opener.text}` is open since here"),)
    return _repair(
        trouble,
        "N0101",
        f"expected {expected}, found {found_words(trouble)}",
        label=f"expected {expected}",
        others=others,
    )


_EXPLANATIONS: tuple[Callable[[Trouble], Repair | None], ...] = (
    _other_language,
    _comment_in_slashes,
    _start_of_item,
    _line_too_short,
    _after_arrow,
    _for_in_a_list,
    _statement_as_value,
    _reserved_name,
    _single_equal,
    _chained_comparison,
    _missing_comma,
    _missing_type,
    _missing_body,
    _misspelt_statement,
    _unnamed_output,
    _unquoted,
    _operator_behind_pipe,
    _insertion,
    _two_statements,
    _anything,
)
