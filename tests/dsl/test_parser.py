"""The tree of what is right: the programs of the language's plan, precedence, pipes, line ends,
types, statements.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from nnlang.parser import parse
from nnlang.syntax import (
    Argument,
    Assign,
    Attribute,
    Binary,
    Block,
    Bool,
    Call,
    Carry,
    Expression,
    File,
    For,
    If,
    IfExpression,
    Index,
    Input,
    LikeType,
    List,
    Name,
    Net,
    Number,
    Output,
    Param,
    Pipe,
    Repeat,
    Return,
    Rule,
    Scan,
    Share,
    Slice,
    Spread,
    String,
    Suite,
    TensorType,
    Train,
    Tuple,
    Unary,
    Use,
    Yield,
    walk,
)

GOOD = Path(__file__).parent / "good"


def statements(text: str, kind: str = "block f(x)") -> tuple[object, ...]:
    item = parse(f"{kind} {{\n{text}\n}}").items[0]
    assert isinstance(item, Block | Net | Rule | Train)
    assert isinstance(item.body, tuple)
    return item.body


def expression(text: str) -> Expression:
    (statement,) = statements(f"y = {text}")
    assert isinstance(statement, Assign)
    return statement.value


def show(node: object) -> str:
    """An expression with all its parentheses."""
    match node:
        case Name(text):
            return text
        case Number(value):
            return str(value)
        case Bool(value):
            return str(value).lower()
        case Unary(operator, operand):
            return f"({operator} {show(operand)})"
        case Binary(operator, left, right):
            return f"({show(left)} {operator} {show(right)})"
        case Pipe(values, stages):
            return f"[{', '.join(map(show, values))} -> {' -> '.join(map(show, stages))}]"
        case Call(function, arguments):
            return f"{show(function)}({', '.join(show(each.value) for each in arguments)})"
        case Tuple(items):
            return f"<{', '.join(map(show, items))}>"
        case Index(value, items):
            return f"{show(value)}[{', '.join(map(show, items))}]"
        case Attribute(value, name):
            return f"{show(value)}.{name.text}"
        case IfExpression(condition, then, otherwise):
            return f"if({show(condition)}; {show(then.value)}; {show(otherwise.value)})"
    raise AssertionError(node)


@pytest.mark.parametrize("name", ["digits", "resnet", "layers", "sentiment"])
def test_programs_of_the_plan_parse(name: str) -> None:
    file = parse((GOOD / f"{name}.nn").read_text(encoding="utf-8"), name)
    kinds = {
        "digits": [Net, Train],
        "resnet": [Block, Block, Net],
        "layers": [Block, Block, Rule],
        "sentiment": [Block, Net],
    }
    assert [type(item) for item in file.items] == kinds[name]


def test_digits_in_full() -> None:
    file = parse((GOOD / "digits.nn").read_text(encoding="utf-8"))
    net, train = file.items
    assert isinstance(net, Net) and isinstance(train, Train)
    assert net.name.text == "Digits"
    assert net.documentation == "digits.nn: a multilayer perceptron"
    (setting,) = net.parameters
    assert setting.name.text == "hidden" and show(setting.default) == "64"
    first, logits, output = net.body
    assert isinstance(first, Input) and isinstance(first.type, TensorType)
    assert first.type.dtype == "u8"
    assert [show(each) for each in first.type.dimensions] == ["N", "8", "8", "1"]
    assert isinstance(logits, Assign)
    assert show(logits.value) == (
        "[(image / 16) -> flatten() -> dense(hidden) -> relu() -> dense(10)]"
    )
    assert isinstance(output, Output) and show(output.value) == "softmax(logits)"
    assert train.net.text == "Digits" and train.name is None
    keys = [each.targets[0].text for each in train.body if isinstance(each, Assign)]
    assert keys == [
        "data", "loss", "regularizer", "optimizer", "learning_rate", "batch", "epochs",
    ]  # fmt: skip


def test_resnet_loops() -> None:
    net = parse((GOOD / "resnet.nn").read_text(encoding="utf-8")).items[2]
    assert isinstance(net, Net)
    loop = net.body[2]
    assert isinstance(loop, For)
    assert show(loop.pattern) == "<width, depth, stride>"
    assert isinstance(loop.iterable, List) and len(loop.iterable.items) == 4
    repeat = loop.body[1]
    assert isinstance(repeat, Repeat) and show(repeat.count) == "(depth - 1)"


def test_lstm_scan() -> None:
    block = parse((GOOD / "sentiment.nn").read_text(encoding="utf-8")).items[0]
    assert isinstance(block, Block) and isinstance(block.body, tuple)
    (scan,) = block.body
    assert isinstance(scan, Scan)
    assert scan.targets == () and show(scan.pattern) == "step" and show(scan.iterable) == "x"
    assert [type(each) for each in scan.body] == [
        Carry, Carry, Assign, Assign, Assign, Assign, Yield,
    ]  # fmt: skip
    split = scan.body[3]
    assert isinstance(split, Assign)
    assert [target.text for target in split.targets] == ["i", "f", "g", "o"]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1 + 2 * 3", "(1 + (2 * 3))"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b * c", "((a / b) * c)"),
        ("a @ b + c", "((a @ b) + c)"),
        ("a // b % c", "((a // b) % c)"),
        ("-x ** 2", "(- (x ** 2))"),
        ("2 ** -1", "(2 ** (- 1))"),
        ("2 ** 3 ** 2", "(2 ** (3 ** 2))"),
        ("-a * b", "((- a) * b)"),
        ("a + b == c * d", "((a + b) == (c * d))"),
        ("not a == b", "(not (a == b))"),
        ("not a and b or c", "(((not a) and b) or c)"),
        ("a or b and c", "(a or (b and c))"),
        ("a in b and c not in d", "((a in b) and (c not in d))"),
        ("a < b", "(a < b)"),
        ("a / 16 -> f", "[(a / 16) -> f()]"),
        ("a or b -> f -> g(1)", "[(a or b) -> f() -> g(1)]"),
        ("(a -> f) + b", "([a -> f()] + b)"),
        ("(x, y) -> f", "[x, y -> f()]"),
        ("((x, y)) -> f", "[x, y -> f()]"),
        ("(a -> f) -> g", "[[a -> f()] -> g()]"),
        ("f(a -> g, b)", "f([a -> g()], b)"),
        ("a[0][1]", "a[0][1]"),
        ("f(x)[0]", "f(x)[0]"),
        ("-a[0]", "(- a[0])"),
        ("m.f(x)", "m.f(x)"),
        ("x -> m.n.f(1)", "[x -> m.n.f(1)]"),
        ("()", "<>"),
        ("(a,)", "<a>"),
        ("(a)", "a"),
        ("a, b", "<a, b>"),
        ("if a { b } else { c }", "if(a; b; c)"),
        ("if a { b } else if c { d } else { e }", "if(a; b; if(c; d; e))"),
        ("2 * if a { b } else { c }", "(2 * if(a; b; c))"),
        ("if a { b } else { c } -> f", "[if(a; b; c) -> f()]"),
        ("true and false", "(true and false)"),
    ],
)
def test_precedence(text: str, tree: str) -> None:
    assert show(expression(text)) == tree


@pytest.mark.parametrize(
    ("text", "value", "is_int"),
    [
        ("1_000", 1000, True),
        ("0", 0, True),
        ("1e-3", 0.001, False),
        ("0.5", 0.5, False),
        ("2.5E+3", 2500.0, False),
        ("9223372036854775807", 2**63 - 1, True),
    ],
)
def test_numbers(text: str, value: float, is_int: bool) -> None:
    number = expression(text)
    assert isinstance(number, Number)
    assert (number.value, number.is_int, number.text) == (value, is_int, text)


def test_an_integer_is_not_the_float_of_its_value() -> None:
    assert expression("1") != expression("1.0")
    assert expression("1000") == expression("1_000")


def test_strings() -> None:
    assert expression(r'"a \"b\" \\ \n\t"') == expression(r'"a \"b\" \\ \n\t"')
    value = expression(r'"a \"b\" \\ \n"')
    assert isinstance(value, String) and value.value == 'a "b" \\ \n'


def test_arguments_labels_and_sharing() -> None:
    call = expression("conv(x, 32, stride = 2,) as stem")
    assert isinstance(call, Call) and call.label is not None
    assert call.label.text == "stem"
    assert [each.name.text if each.name else None for each in call.arguments] == [
        None, None, "stride",
    ]  # fmt: skip
    pipe = expression("x -> conv(32, 3) as stem -> relu as act")
    assert isinstance(pipe, Pipe)
    assert [stage.label.text for stage in pipe.stages if stage.label] == ["stem", "act"]
    shared = expression("share encoder(width = 64)")
    assert isinstance(shared, Share)
    assert isinstance(shared.call.arguments[0], Argument)


def test_indices() -> None:
    index = expression("x[:, 1:2, ::3, ..., -1]")
    assert isinstance(index, Index)
    first, second, third, rest, last = index.items
    assert first == Slice(None, None, None, span=index.span)
    assert isinstance(second, Slice) and show(second.start) == "1" and show(second.stop) == "2"
    assert isinstance(third, Slice) and third.stop is None and show(third.step) == "3"
    assert isinstance(rest, Spread) and rest.value is None
    assert show(last) == "(- 1)"


def test_types() -> None:
    body = statements(
        "param a: f32[K, units] = zeros()\n"
        "param b: f32\n"
        "state c: like(p) = zeros()\n"
        "param d: f32[...dims, 4]\n"
        "param e: f32[]"
    )
    a, b, c, d, e = body
    assert isinstance(a, Param) and isinstance(a.type, TensorType)
    assert a.type.dtype == "f32" and len(a.type.dimensions) == 2
    assert isinstance(b, Param) and isinstance(e, Param)
    assert b.type == e.type == TensorType("f32", (), span=b.span)
    assert b.initializer is None
    assert isinstance(c.type, LikeType)  # type: ignore[attr-defined]
    assert isinstance(d, Param) and isinstance(d.type, TensorType)
    spread = d.type.dimensions[0]
    assert isinstance(spread, Spread) and show(spread.value) == "dims"


def test_parameter_types_and_defaults() -> None:
    block = parse("block f(x: [..., K], units, bias = true, y: f32[N] = zeros(),) = x").items[0]
    assert isinstance(block, Block)
    x, units, bias, y = block.parameters
    assert isinstance(x.type, TensorType) and x.type.dtype is None
    assert units.type is None and units.default is None
    assert bias.default == expression("true")
    assert y.type is not None and y.default is not None


def test_if_is_a_statement_where_nothing_takes_its_value() -> None:
    (statement,) = statements("if a { y = 1 } else if b { y = 2 } else { y = 3 }")
    assert isinstance(statement, If) and statement.otherwise is not None
    (inner,) = statement.otherwise
    assert isinstance(inner, If) and inner.otherwise is not None
    (alone,) = statements("if a { y = 1 }")
    assert isinstance(alone, If) and alone.otherwise is None


def test_branches_of_a_value_may_hold_statements() -> None:
    value = expression("if a {\n z = f(x)\n if b { z = g(z) }\n z + 1\n} else { x }")
    assert isinstance(value, IfExpression)
    assert isinstance(value.then, Suite)
    assert [type(each) for each in value.then.statements] == [Assign, If]
    assert show(value.then.value) == "(z + 1)"


def test_loops_and_their_patterns() -> None:
    one, two, three = statements(
        "for i in range(3) { x = f(x) }\n"
        "for a, (b, c) in pairs { x = f(x) }\n"
        "for (a, (b, c),) in pairs { x = f(x) }"
    )
    assert isinstance(one, For) and show(one.pattern) == "i"
    assert isinstance(two, For) and show(two.pattern) == "<a, <b, c>>"
    assert isinstance(three, For) and three == two


def test_scan_into_a_name() -> None:
    (scan,) = statements("h = scan (a, b) in (x, y) { yield a }")
    assert isinstance(scan, Scan)
    assert [target.text for target in scan.targets] == ["h"]
    assert show(scan.pattern) == "<a, b>" and show(scan.iterable) == "<x, y>"


def test_return_of_several_values() -> None:
    (statement,) = statements("return a, b")
    assert isinstance(statement, Return) and show(statement.value) == "<a, b>"


def test_output_of_a_name() -> None:
    first, second = statements("output x\noutput p = softmax(x)", kind="net N")
    assert isinstance(first, Output) and first.value is None
    assert isinstance(second, Output) and second.value is not None


def test_training_section() -> None:
    train = parse(
        'train Digits as finetune {\n    freeze "features.*"\n    load "w.safetensors"\n'
        "    metric top = accuracy(logits, label)\n    batch = 8\n}"
    ).items[0]
    assert isinstance(train, Train) and train.name is not None
    assert train.name.text == "finetune"
    assert [type(each).__name__ for each in train.body] == ["Freeze", "Load", "Metric", "Assign"]


def test_soft_words_are_names_elsewhere() -> None:
    body = statements("metric = 1\nload = metric\nfreeze = load\nedition = f(metric)")
    assert [each.targets[0].text for each in body if isinstance(each, Assign)] == [
        "metric", "load", "freeze", "edition",
    ]  # fmt: skip


def test_use_and_edition() -> None:
    file = parse('edition 1\nuse "lib/blocks.nn"\nuse vision.resnet\nuse a.b as c\nconst k = 3')
    assert file.edition == 1
    uses = [item for item in file.items if isinstance(item, Use)]
    assert [(each.path, each.is_file, each.namespace) for each in uses] == [
        ("lib/blocks.nn", True, "blocks"),
        ("vision.resnet", False, "resnet"),
        ("a.b", False, "c"),
    ]
    assert parse("const k = 3").edition is None


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment", "\ufeff", "  \t\r\n"])
def test_empty_files(text: str) -> None:
    assert parse(text) == File((), span=parse("").span)


@pytest.mark.parametrize(
    "text",
    [
        "y = f(\n  a,\n\n  b,\n)\nz = 1",
        "y = f(a, b)\n\n\n\nz = 1",
        "y = f(a, b) # one\n# two\nz = 1",
        "y =\n  f(a, b)\nz = 1",
        "y = f(a # one\n , b)\nz = 1",
        "\r\ny = f(a, b)\r\nz = 1\r\n",
    ],
)
def test_line_ends(text: str) -> None:
    assert statements(text) == statements("y = f(a, b)\nz = 1")


def test_pipes_go_on_in_the_next_line() -> None:
    assert statements("y = a\n # why\n -> f\n\n -> g(1)") == statements("y = a -> f -> g(1)")


def test_lines_count_in_braces_inside_parentheses() -> None:
    assert expression("f(if a {\n b = 1\n b\n} else { c })") != expression("f(a)")


def test_else_and_braces_may_stand_on_their_own_line() -> None:
    spread = "if a\n{\n y = 1\n}\n\nelse\n{\n y = 2\n}"
    assert statements(spread) == statements("if a { y = 1 } else { y = 2 }")


def test_spans_cover_the_text_of_the_node() -> None:
    text = (GOOD / "resnet.nn").read_text(encoding="utf-8")
    lines = text.split("\n")
    for node in walk(parse(text, "resnet.nn")):
        span = node.span
        assert span.file == "resnet.nn"
        start = sum(len(line) + 1 for line in lines[: span.line - 1]) + span.column - 1
        end = sum(len(line) + 1 for line in lines[: span.end_line - 1]) + span.end_column - 1
        assert (start, end) == (span.start, span.end)
        if isinstance(node, Name | Number):
            assert text[span.start : span.end] == node.text
        if isinstance(node, Binary):
            place = node.operator_span
            assert text[place.start : place.end] == node.operator


def test_comments_before_an_item_are_its_documentation() -> None:
    file = parse("# far away\n\n# One.\n# Two.\nblock f(x) = x\nblock g(x) = x")
    first, second = file.items
    assert isinstance(first, Block) and isinstance(second, Block)
    assert first.documentation == "One.\nTwo." and second.documentation == ""
