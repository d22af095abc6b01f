"""Reductions of the grammar to nodes of the syntax tree.

Takes what a production of the grammar matched, gives the node it stands for; one `make_` method for
each action of `grammar.lark`. Keeps true: methods have no effect but to report, so recovery may
call one more than once.

Whether an `if` is a statement or a value shows only around it. So a bare expression is a `Bare`, an
`if` that gives no value a `PartialIf`; bodies turn both into statements where they can, and
`checks` reports those that remain.
"""

from __future__ import annotations

from typing import Any, cast

from nnlang import syntax
from nnlang.diagnostics import Diagnostic, diagnostic, suggest
from nnlang.lexer import Token
from nnlang.node_class import node
from nnlang.syntax import Expression, Name, Span, Statement


@node(frozen=True, eq=False, repr=False)
class Body(syntax.Node):
    """What stands in braces, before it is known what it is the body of."""

    statements: tuple[Any, ...]


@node(frozen=True, eq=False, repr=False)
class Bare(syntax.Node):
    """An expression where a statement is expected."""

    value: Any


@node(frozen=True, eq=False, repr=False)
class PartialIf(syntax.Node):
    """An `if` of which some branch gives no value: good only as a statement."""

    condition: Expression
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] | None


_OTHER_DTYPES = {
    "float": "f32",
    "float16": "f16",
    "float32": "f32",
    "float64": "f64",
    "double": "f64",
    "half": "f16",
    "bfloat16": "bf16",
    "fp16": "f16",
    "fp32": "f32",
    "fp64": "f64",
    "int": "i64",
    "int8": "i8",
    "int16": "i16",
    "int32": "i32",
    "int64": "i64",
    "long": "i64",
    "short": "i16",
    "byte": "u8",
    "uint8": "u8",
    "uint16": "u16",
    "uint32": "u32",
    "uint64": "u64",
    "boolean": "bool",
}
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_PYTHON_CONSTANTS = {"True": True, "False": False}


class Builder:
    """Makes the nodes of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.diagnostics: list[Diagnostic] = []

    def name_of(self, token: Token) -> Name:
        return Name(token.text, span=token.span(self.file))

    def optional_name(self, token: Token | None) -> Name | None:
        return None if token is None else self.name_of(token)

    def string_of(self, token: Token) -> syntax.String:
        text = token.text[1:-1]
        span = token.span(self.file)
        if "\\" not in text:
            return syntax.String(text, span=span)
        value: list[str] = []
        position = 0
        while position < len(text):
            character = text[position]
            if character == "\\":
                position += 1
                escaped = text[position]
                if escaped not in _ESCAPES:
                    self.wrong_escape(span, position, escaped)
                character = _ESCAPES.get(escaped, escaped)
            value.append(character)
            position += 1
        return syntax.String("".join(value), span=span)

    def wrong_escape(self, string: Span, position: int, escaped: str) -> None:
        start, column = string.start + position, string.column + position
        place = Span(string.file, start, start + 2, string.line, column, string.line, column + 2)
        self.report(
            "N0119",
            place,
            f"strings have no escape `\\{escaped}`",
            'the escapes are `\\n`, `\\t`, `\\"` and `\\\\`',
        )

    def report(self, code: str, span: Span, message: str, *helps: str, label: str = "") -> None:
        self.diagnostics.append(diagnostic(code, message, span, label, helps=helps))

    def body_of(self, body: Body) -> tuple[Any, ...]:
        """The statements of a body whose value is not asked for."""
        return tuple(_as_statement(statement) for statement in body.statements)

    # The file and its items

    def make_file(self, parts: list[Any], span: Span) -> syntax.File:
        return syntax.File(tuple(parts), span=span)

    def make_file_with_edition(self, parts: list[Any], span: Span) -> syntax.File:
        number: Token = parts[1]
        if number.text != "1":
            self.report(
                "N0118",
                number.span(self.file),
                f"there is no edition {number.text}",
                "write `edition 1`, or leave the line out",
            )
        return syntax.File(tuple(parts[2:]), edition=1, span=span)

    def make_net(self, parts: list[Any], span: Span) -> syntax.Net:
        name, parameters, body = parts
        return syntax.Net(self.name_of(name), parameters or (), self.body_of(body), span=span)

    def make_block(self, parts: list[Any], span: Span) -> syntax.Block:
        name, parameters, body = parts
        return syntax.Block(self.name_of(name), parameters or (), self.block_body(body), span=span)

    def make_rule(self, parts: list[Any], span: Span) -> syntax.Rule:
        name, parameters, body = parts
        return syntax.Rule(self.name_of(name), parameters or (), self.block_body(body), span=span)

    def block_body(self, body: Body | Expression) -> Any:
        return self.body_of(body) if isinstance(body, Body) else body

    def make_train(self, parts: list[Any], span: Span) -> syntax.Train:
        net, name, body = parts
        recipe = self.optional_name(name)
        return syntax.Train(self.name_of(net), recipe, self.body_of(body), span=span)

    def make_const(self, parts: list[Any], span: Span) -> syntax.Const:
        return syntax.Const(self.name_of(parts[0]), parts[1], span=span)

    def make_use_file(self, parts: list[Any], span: Span) -> syntax.Use:
        path = self.string_of(parts[0]).value
        return syntax.Use(path, True, self.optional_name(parts[1]), span=span)

    def make_use_library(self, parts: list[Any], span: Span) -> syntax.Use:
        return syntax.Use(parts[0], False, self.optional_name(parts[1]), span=span)

    def make_dotted(self, parts: list[Any], span: Span) -> str:
        return ".".join(part.text for part in parts)

    def make_parameters(self, parts: list[Any], span: Span) -> tuple[syntax.Parameter, ...]:
        return tuple(part for part in parts if part is not None)

    def make_parameter(self, parts: list[Any], span: Span) -> syntax.Parameter:
        name, type_, default = parts
        return syntax.Parameter(self.name_of(name), type_, default, span=span)

    # Types

    def dtype_of(self, token: Token) -> str:
        if token.text in syntax.DTYPES:
            return token.text
        meant = _OTHER_DTYPES.get(token.text) or suggest(token.text, (*syntax.DTYPES, "like"))
        help_text = f"write one of {', '.join(syntax.AVAILABLE)}"
        if meant in (*syntax.AVAILABLE, "like"):
            help_text = f"write `{meant}`"
        elif meant is not None:
            help_text += f"; `{meant}` is not available"
        elif token.text in ("Tensor", "tensor", "array", "ndarray"):
            help_text = "write the type of its elements: `f32`"
        message = f"there is no element type `{token.text}`"
        self.report("N0113", token.span(self.file), message, help_text)
        return meant or "f32"

    def make_scalar_type(self, parts: list[Any], span: Span) -> syntax.TensorType:
        return syntax.TensorType(self.dtype_of(parts[0]), (), span=span)

    def make_tensor_type(self, parts: list[Any], span: Span) -> syntax.TensorType:
        return syntax.TensorType(self.dtype_of(parts[0]), tuple(parts[1:]), span=span)

    def make_any_tensor_type(self, parts: list[Any], span: Span) -> syntax.TensorType:
        return syntax.TensorType(None, tuple(parts), span=span)

    def make_like_type(self, parts: list[Any], span: Span) -> syntax.LikeType:
        word: Token = parts[0]
        if word.text != "like":
            self.report(
                "N0113",
                word.span(self.file),
                f"there is no type `{word.text}(...)`",
                "write `like(x)` for the type of a value, `f32[N, K]` for an array",
            )
        return syntax.LikeType(parts[1], span=span)

    def make_spread(self, parts: list[Any], span: Span) -> syntax.Spread:
        return syntax.Spread(None, span=span)

    def make_spread_of(self, parts: list[Any], span: Span) -> syntax.Spread:
        return syntax.Spread(parts[0], span=span)

    # Statements

    def make_body(self, parts: list[Any], span: Span) -> Body:
        return Body(tuple(part for part in parts if part is not None), span=span)

    def make_bare_expression(self, parts: list[Any], span: Span) -> Bare:
        return Bare(parts[0], span=span)

    def make_names(self, parts: list[Any], span: Span) -> tuple[Name, ...]:
        return tuple(self.name_of(part) for part in parts)

    def make_assign(self, parts: list[Any], span: Span) -> syntax.Assign:
        return syntax.Assign(parts[0], parts[1], span=span)

    def make_scan(self, parts: list[Any], span: Span) -> syntax.Scan:
        *patterns, iterable, body = parts
        return syntax.Scan((), _pattern(patterns), iterable, self.body_of(body), span=span)

    def make_scan_into(self, parts: list[Any], span: Span) -> syntax.Scan:
        targets, scan = parts
        return syntax.Scan(targets, scan.pattern, scan.iterable, scan.body, span=span)

    def make_for_(self, parts: list[Any], span: Span) -> syntax.For:
        *patterns, iterable, body = parts
        return syntax.For(_pattern(patterns), iterable, self.body_of(body), span=span)

    def make_repeat(self, parts: list[Any], span: Span) -> syntax.Repeat:
        return syntax.Repeat(parts[0], self.body_of(parts[1]), span=span)

    def make_param(self, parts: list[Any], span: Span) -> syntax.Param:
        return syntax.Param(self.name_of(parts[0]), parts[1], parts[2], span=span)

    def make_state(self, parts: list[Any], span: Span) -> syntax.State:
        return syntax.State(self.name_of(parts[0]), parts[1], parts[2], span=span)

    def make_carry(self, parts: list[Any], span: Span) -> syntax.Carry:
        return syntax.Carry(self.name_of(parts[0]), parts[1], parts[2], span=span)

    def make_input(self, parts: list[Any], span: Span) -> syntax.Input:
        return syntax.Input(self.name_of(parts[0]), parts[1], span=span)

    def make_output(self, parts: list[Any], span: Span) -> syntax.Output:
        return syntax.Output(self.name_of(parts[0]), parts[1], span=span)

    def make_return_(self, parts: list[Any], span: Span) -> syntax.Return:
        return syntax.Return(parts[0], span=span)

    def make_yield_(self, parts: list[Any], span: Span) -> syntax.Yield:
        return syntax.Yield(parts[0], span=span)

    def make_assert_(self, parts: list[Any], span: Span) -> syntax.Assert:
        return syntax.Assert(parts[0], parts[1], span=span)

    def make_metric(self, parts: list[Any], span: Span) -> syntax.Metric:
        return syntax.Metric(self.name_of(parts[1]), parts[2], span=span)

    def make_freeze(self, parts: list[Any], span: Span) -> syntax.Freeze:
        return syntax.Freeze(self.string_of(parts[1]), span=span)

    def make_load(self, parts: list[Any], span: Span) -> syntax.Load:
        return syntax.Load(self.string_of(parts[1]), span=span)

    # Expressions

    def make_name(self, parts: list[Any], span: Span) -> Name | syntax.Bool:
        word: Token = parts[0]
        value = _PYTHON_CONSTANTS.get(word.text)
        if value is not None:
            small = word.text.lower()
            self.report("N0112", span, f"`{word.text}` is spelt `{small}`", f"write `{small}`")
            return syntax.Bool(value, span=span)
        return Name(word.text, span=span)

    def make_attribute(self, parts: list[Any], span: Span) -> syntax.Attribute:
        return syntax.Attribute(parts[0], self.name_of(parts[1]), span=span)

    def make_number(self, parts: list[Any], span: Span) -> syntax.Number:
        text = parts[0].text
        digits = text.replace("_", "")
        if digits.isdigit():
            return syntax.Number(int(digits), True, text, span=span)
        return syntax.Number(float(digits), False, text, span=span)

    def make_string(self, parts: list[Any], span: Span) -> syntax.String:
        return self.string_of(parts[0])

    def make_true(self, parts: list[Any], span: Span) -> syntax.Bool:
        return syntax.Bool(True, span=span)

    def make_false(self, parts: list[Any], span: Span) -> syntax.Bool:
        return syntax.Bool(False, span=span)

    def make_list(self, parts: list[Any], span: Span) -> syntax.List:
        return syntax.List(tuple(part for part in parts if part is not None), span=span)

    def make_comprehension(self, parts: list[Any], span: Span) -> syntax.Comprehension:
        value, *patterns, iterable, condition = parts
        return syntax.Comprehension(value, _pattern(patterns), iterable, condition, span=span)

    def make_tuple(self, parts: list[Any], span: Span) -> syntax.Tuple:
        return syntax.Tuple(tuple(part for part in parts if part is not None), span=span)

    def make_group(self, parts: list[Any], span: Span) -> Any:
        return parts[0]

    def make_unary(self, parts: list[Any], span: Span) -> syntax.Unary:
        return syntax.Unary(parts[0].text, parts[1], span=span)

    def make_binary(self, parts: list[Any], span: Span) -> syntax.Binary:
        left, operator, right = parts
        place = operator.span(self.file)
        return syntax.Binary(operator.text, left, right, span=span, operator_span=place)

    def make_binary_not_in(self, parts: list[Any], span: Span) -> syntax.Binary:
        left, word, second, right = parts
        place = word.span(self.file).to(second.span(self.file))
        return syntax.Binary("not in", left, right, span=span, operator_span=place)

    def make_index(self, parts: list[Any], span: Span) -> syntax.Index:
        value, *items = parts
        return syntax.Index(value, tuple(_index_item(item) for item in items), span=span)

    def make_slice(self, parts: list[Any], span: Span) -> syntax.Slice:
        start, stop, step = parts
        return syntax.Slice(start, stop, step.value if step is not None else None, span=span)

    def make_slice_step(self, parts: list[Any], span: Span) -> Bare:
        return Bare(parts[0], span=span)

    def make_positional(self, parts: list[Any], span: Span) -> syntax.Argument:
        return syntax.Argument(None, parts[0], span=span)

    def make_named(self, parts: list[Any], span: Span) -> syntax.Argument:
        return syntax.Argument(self.name_of(parts[0]), parts[1], span=span)

    def make_call(self, parts: list[Any], span: Span) -> syntax.Call:
        function, *arguments, label = parts
        named: syntax.Argument | None = None
        for argument in arguments:
            if argument.name is not None:
                named = argument
            elif named is not None:
                self.positional_after_named(argument, named)
                break
        label = self.optional_name(label)
        return syntax.Call(function, tuple(arguments), label, span=span)

    def positional_after_named(self, argument: syntax.Argument, named: syntax.Argument) -> None:
        self.diagnostics.append(
            diagnostic(
                "N0117",
                "an argument by position stands after one by name",
                argument.span,
                "this one needs a name",
                others=[(named.span, "given by name")],
                helps=["name it (`name = value`), or move it before the named ones"],
            )
        )

    make_stage = make_call

    def make_share(self, parts: list[Any], span: Span) -> syntax.Share:
        return syntax.Share(parts[0], span=span)

    def make_pipe(self, parts: list[Any], span: Span) -> syntax.Pipe:
        value, *stages = parts
        values = value.items if isinstance(value, syntax.Tuple) else (value,)
        return syntax.Pipe(values, tuple(stages), span=span)

    def make_if(self, parts: list[Any], span: Span) -> syntax.IfExpression | PartialIf:
        condition, body, otherwise = parts
        then = _as_suite(body)
        if isinstance(otherwise, syntax.IfExpression):
            suite: syntax.Suite | None = syntax.Suite((), otherwise, span=otherwise.span)
        else:
            suite = _as_suite(otherwise)
        if then is not None and suite is not None:
            return syntax.IfExpression(condition, then, suite, span=span)
        statements: tuple[Any, ...] | None
        if isinstance(otherwise, Body):
            statements = self.body_of(otherwise)
        else:
            statements = None if otherwise is None else (_as_if(otherwise),)
        return PartialIf(condition, self.body_of(body), statements, span=span)


def _index_item(item: Any) -> Any:
    is_none = isinstance(item, Name) and item.text == "None"
    return syntax.NewAxis(span=item.span) if is_none else item


def _pattern(patterns: list[Any]) -> Any:
    if len(patterns) == 1:
        return patterns[0]
    return syntax.Tuple(tuple(patterns), span=patterns[0].span.to(patterns[-1].span))


def _as_suite(body: Any) -> syntax.Suite | None:
    """A body that ends in a value, as a branch that gives it."""
    if not isinstance(body, Body) or not body.statements:
        return None
    *statements, last = body.statements
    if not isinstance(last, Bare):
        return None
    before = tuple(_as_statement(statement) for statement in statements)
    return syntax.Suite(before, cast(Expression, last.value), span=body.span)


def _as_statement(statement: Any) -> Any:
    """The `if` statement that a bare `if` is; everything else unchanged."""
    if isinstance(statement, Bare) and isinstance(statement.value, PartialIf | syntax.IfExpression):
        return _as_if(statement.value)
    return statement


def _as_if(value: PartialIf | syntax.IfExpression) -> syntax.If:
    if isinstance(value, PartialIf):
        return syntax.If(value.condition, value.then, value.otherwise, span=value.span)
    then, otherwise = _statements_of(value.then), _statements_of(value.otherwise)
    return syntax.If(value.condition, then, otherwise, span=value.span)


def _statements_of(suite: syntax.Suite) -> tuple[Any, ...]:
    """A branch that gives a value, where nothing takes it."""
    last = _as_statement(Bare(suite.value, span=suite.value.span))
    return (*suite.statements, last)
