"""The text of a syntax tree: stable, and different for different trees."""

from __future__ import annotations

from textwrap import dedent

from nnlang.dump import dump_syntax
from nnlang.parser import parse


def test_a_net() -> None:
    text = """
        net X(k = 3) {
            input x: u8[N, ...]
            y = x / 2.5 -> dense(k, bias = false) as head
            if training { y = -y[0, 1:] }
            output y
        }
    """
    assert dump_syntax(parse(text)) == dedent("""\
        File
          items:
            Net X
              parameters:
                Parameter k
                  default: Number 3 is_int=true
              body:
                Input x
                  type: TensorType dtype=u8
                    dimensions:
                      Name N
                      Spread
                Assign
                  targets:
                    Name y
                  value: Pipe
                    values:
                      Binary /
                        left: Name x
                        right: Number 2.5 is_int=false
                    stages:
                      Call label=head
                        function: Name dense
                        arguments:
                          Argument
                            value: Name k
                          Argument bias
                            value: Bool false
                If
                  condition: Name training
                  then:
                    Assign
                      targets:
                        Name y
                      value: Unary -
                        operand: Index
                          value: Name y
                          items:
                            Number 0 is_int=true
                            Slice
                              start: Number 1 is_int=true
                Output y
        """)


def test_equal_trees_have_equal_texts() -> None:
    one = "use vision.resnet as r\nblock f(x) { return (x) -> g }"
    two = "use  vision.resnet as r # note\n\nblock f(x) {\n    return x -> g()\n}\n"
    assert parse(one) == parse(two)
    assert dump_syntax(parse(one)) == dump_syntax(parse(two))
    assert dump_syntax(parse(one)) != dump_syntax(parse(one.replace("-> g", "-> h")))
