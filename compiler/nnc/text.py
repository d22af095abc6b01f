"""The text form of a graph: `print_graph` and `parse_graph`, inverse to each other.

One line for each input, variable, node, output and update; values are numbered densely in the order
of printing. A graph inside a node follows the line of its node, between `{` and `}`, and is
numbered on its own. Arrays of variables are not printed (parse fills them from `arrays`, else with
zeros); constants up to `inline_limit` elements are, larger ones appear by a digest that `arrays`
resolves.
Parsing checks the form and the attributes; `nnc.verify` checks the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from .dims import Dim, parse_dim
from .dtypes import DTYPES, name_of
from .graph import Graph, Input, Node, Origin, Type, Value, Variable

Array = np.ndarray[Any, Any]
VARIABLE_KINDS = ("parameter", "state", "slot")
_INLINE_LIMIT = 16
_SIMPLE_NAME = re.compile(r"[A-Za-z_][\w.]*\Z")


class TextError(ValueError):
    """Text that is no graph. The message names the line."""


def type_text(type: Type) -> str:
    return f"{type.dtype}[{','.join(str(d) for d in type.shape)}]"


def digest(array: Array) -> str:
    """A name for the contents of an array."""
    import hashlib  # costs more to import than most modules, and is seldom used

    head = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def constant_arrays(graph: Graph) -> dict[str, Array]:
    """The arrays of a graph's attributes by digest: what `parse_graph` needs beside the text."""
    return {
        digest(value): value
        for node in graph.nodes
        for inner in node.within()
        for value in inner.attributes.values()
        if isinstance(value, np.ndarray)
    }


# ---------------------------------------------------------------- printing


def print_graph(graph: Graph, inline_limit: int = _INLINE_LIMIT) -> str:
    return "".join(f"{line}\n" for line in graph_lines(graph, inline_limit))


def graph_lines(graph: Graph, inline_limit: int = _INLINE_LIMIT) -> list[str]:
    return [line for line, _ in _lines(graph, inline_limit)]


def _lines(
    graph: Graph, inline_limit: int = _INLINE_LIMIT, indent: str = ""
) -> Iterator[tuple[str, Node | None]]:
    """The lines of a graph, with the node that each begins. The lines of a body follow those of its
    node, indented, with numbers of their own.
    """
    numbers = {value: number for number, value in enumerate(graph.values())}

    def name(value: Value) -> str:
        number = numbers.get(value)
        return f"%{number}" if number is not None else f"%?{value.id}"

    for item in graph.inputs:
        role = "" if item.role == "data" else f" {item.role}"
        head = f"{indent}{name(item.value)}: {type_text(item.value.type)}"
        yield f"{head} = input {_name(item.name)}{role}", None
    for variable in graph.variables:
        frozen = "" if variable.trainable else " frozen"
        head = f"{indent}{name(variable.value)}: {type_text(variable.value.type)}"
        master = f" master_of {_name(variable.master_of)}" if variable.master_of else ""
        yield f"{head} = {variable.kind} {_name(variable.name)}{frozen}{master}", None
    for node in graph.nodes:
        yield f"{indent}{_node_line(node, name, inline_limit)}", node
        if node.body is not None:
            yield from _lines(node.body, inline_limit, f"{indent}  ")
            yield f"{indent}}}", None
    for text, value in graph.outputs:
        yield f"{indent}output {_name(text)} = {name(value)}", None
    for text, value in graph.updates:
        yield f"{indent}update {_name(text)} = {name(value)}", None


def lines_around(graph: Graph, node: Node | None, count: int = 10) -> tuple[str, list[str]]:
    """A node's own line, and up to `count` lines of the graph around it; the node may be inside a
    body.
    """
    table = list(_lines(graph))
    lines = [line for line, _ in table]
    index = next((i for i, (_, other) in enumerate(table) if other is node), None)
    if node is None or index is None:
        return "", lines[:count]
    begin = max(0, index - count // 2)
    return lines[index].strip(), lines[begin : begin + count]


def _node_line(node: Node, name: Any, inline_limit: int) -> str:
    results = ", ".join(f"{name(value)}: {type_text(value.type)}" for value in node.results)
    attributes = _attributes_text(node, inline_limit)
    operands = ", ".join(name(value) for value in node.operands)
    opening = "" if node.body is None else " {"
    line = f"{results} = {node.op.name}{attributes}({operands}){opening}"
    origin = " ".join(part for part in (node.origin.source or "-", node.origin.path) if part)
    return line if origin == "-" else f"{line}  # {origin}"


def _attributes_text(node: Node, inline_limit: int) -> str:
    defaults = {
        name: schema.default for name, schema in node.op.attributes.items() if not schema.required
    }
    parts = []
    for name, value in node.attributes.items():
        if isinstance(value, np.ndarray):
            parts.append(f"{name}={_array_text(value, node.results[0].type, inline_limit)}")
        elif name not in defaults or not _same(defaults[name], value):
            parts.append(f"{name}={_plain_text(value)}")
    return f"[{', '.join(parts)}]" if parts else ""


def _same(default: Any, value: Any) -> bool:
    default = tuple(default) if isinstance(default, list) else default
    return bool(type(default) is type(value) and default == value)


def _plain_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value) if not _SIMPLE_NAME.match(value) else value
    if isinstance(value, tuple):
        return "(" + ",".join(str(item) for item in value) + ")"
    return repr(value)


def _array_text(array: Array, result: Type, inline_limit: int) -> str:
    kind = name_of(array.dtype) or str(array.dtype)
    fits = kind == result.dtype and result.shape == array.shape
    if not fits or array.size > inline_limit:
        shape = tuple(int(d) for d in array.shape)
        return f"<{type_text(Type(kind, shape))} {digest(array)}>"

    def nested(part: Any) -> str:
        if isinstance(part, np.ndarray) and part.ndim:
            return "[" + ",".join(nested(item) for item in part) + "]"
        return str(part[()] if isinstance(part, np.ndarray) else part).lower()

    return nested(array)


def _name(text: str) -> str:
    return text if _SIMPLE_NAME.match(text) else json.dumps(text)


# ---------------------------------------------------------------- parsing


def parse_graph(text: str, arrays: Mapping[str, Array] | None = None) -> Graph:
    """Read what `print_graph` wrote. `arrays`: variables by name, big constants by digest. Raises
    TextError.
    """
    parsers = [_GraphParser(arrays or {})]  # of the graph, and of the bodies that are open
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            if line.strip() == "}" and len(parsers) > 1:
                body = parsers.pop().graph()
                parsers[-1].close(body)
            elif parsers[-1].line(line):
                parsers.append(_GraphParser(arrays or {}))
        except (ValueError, KeyError, OverflowError) as error:
            raise TextError(f"line {number}: {error}: {line.strip()}") from None
    if len(parsers) > 1:
        raise TextError("the text ends inside a body: expected `}`")
    return parsers[0].graph()


_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|%\d+|[\w.]+|\S)')


class _GraphParser:
    def __init__(self, arrays: Mapping[str, Array]) -> None:
        self.arrays = arrays
        self.values: dict[str, Value] = {}
        self.inputs: list[Input] = []
        self.variables: list[Variable] = []
        self.nodes: list[Node] = []
        self.outputs: list[tuple[str, Value]] = []
        self.updates: list[tuple[str, Value]] = []

    def graph(self) -> Graph:
        return Graph(
            tuple(self.inputs),
            tuple(self.variables),
            tuple(self.nodes),
            tuple(self.outputs),
            tuple(self.updates),
        )

    def close(self, body: Graph) -> None:
        """Give the last node the body that its line opened."""
        self.nodes[-1] = replace(self.nodes[-1], body=body)

    def line(self, text: str) -> bool:
        """Read a line; gives whether it opens a body."""
        self.text, self.position, self.opens = text, 0, False
        if self.peek() in ("output", "update"):
            table = self.outputs if self.take() == "output" else self.updates
            name = self.name()
            self.take("=")
            table.append((name, self.operand()))
        else:
            self.definition()
        if self.peek() not in ("", "#"):
            raise ValueError(f"unexpected `{self.peek()}`")
        return self.opens

    def definition(self) -> None:
        results = [self.result()]
        while self.peek() == ",":
            self.take(",")
            results.append(self.result())
        self.take("=")
        word = self.take()
        if word == "input":
            name = self.name()
            role = self.take() if self.peek() not in ("", "#") else "data"
            self.inputs.append(Input(name, results[0], role))
        elif word in VARIABLE_KINDS:
            name = self.name()
            trainable = self.peek() != "frozen" or not self.take()
            master_of = self.name() if self.peek() == "master_of" and self.take() else ""
            made = self.variable(word, name, results[0], trainable)
            self.variables.append(replace(made, master_of=master_of))
        else:
            self.nodes.append(self.node(word, tuple(results)))

    def variable(self, kind: str, name: str, value: Value, trainable: bool) -> Variable:
        shape = tuple(value.shape)
        if not all(isinstance(d, int) for d in shape):
            raise ValueError(f"variable `{name}` has a symbolic shape")
        array = self.arrays.get(name)
        if array is None:
            array = np.zeros([int(str(d)) for d in shape], DTYPES[value.dtype])
        return Variable(name, kind, value, np.asarray(array, DTYPES[value.dtype]), trainable)

    def node(self, word: str, results: tuple[Value, ...]) -> Node:
        from .ops import operator
        from .ops.base import ShapeError

        op = operator(word)
        given: dict[str, Any] = {}
        if self.peek() == "[":
            inside = self.bracket("[", "]")
            for part in _split(inside):
                name, _, value = part.partition("=")
                name = name.strip()
                if name not in op.attributes:
                    raise ValueError(f"`{word}` has no attribute `{name}`")
                given[name] = self.attribute(
                    op.attributes[name].kind, value.strip(), results[0].type
                )
        operands = tuple(self.value(part) for part in _split(self.bracket("(", ")")))
        try:
            attributes = op.check_attributes(given)
        except ShapeError as error:
            raise ValueError(error.message) from None
        if self.peek() == "{":
            self.take("{")
            self.opens = True
        return Node(op, operands, attributes, results, self.origin())

    def attribute(self, kind: str, text: str, result: Type) -> Any:
        if kind == "bool":
            return {"true": True, "false": False}[text]
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind in ("string", "dtype"):
            return json.loads(text) if text.startswith('"') else text
        if kind == "dim":
            return parse_dim(text)
        if kind in ("ints", "dims"):
            return tuple(parse_dim(part) for part in _split(text[1:-1]))
        return self.array(text, result)

    def array(self, text: str, result: Type) -> Array:
        if text.startswith("<"):
            key = text[1:-1].split()[-1]
            if key not in self.arrays:
                raise ValueError(f"the array of constant {key} is not given")
            return self.arrays[key]
        numbers = [part for part in re.split(r"[\[\],\s]+", text) if part]
        dtype = DTYPES[result.dtype]
        items = [number == "true" for number in numbers] if result.dtype == "bool" else numbers
        shape = tuple(int(str(d)) for d in result.shape)
        return np.array(items).astype(dtype).reshape(shape) if items else np.zeros(shape, dtype)

    def origin(self) -> Origin:
        comment = self.text[self.position :].strip()
        self.position = len(self.text)
        if not comment:
            return Origin()
        if not comment.startswith("#"):
            raise ValueError(f"unexpected `{comment}`")
        match = re.match(r"#\s*(-|.*?:\d+(?::\d+)?|\S+)(?:\s+(.*))?\Z", comment)
        if not match:
            return Origin()
        source = "" if match[1] == "-" else match[1]
        return Origin(path=(match[2] or "").strip(), source=source)

    # ------------------------------------------------------------ tokens

    def peek(self) -> str:
        match = _TOKEN.match(self.text, self.position)
        return match[1] if match else ""

    def take(self, expected: str | None = None) -> str:
        match = _TOKEN.match(self.text, self.position)
        token = match[1] if match else ""
        if not token or (expected is not None and token != expected):
            raise ValueError(f"expected {expected or 'more'}, found `{token}`")
        assert match
        self.position = match.end()
        return token

    def name(self) -> str:
        token = self.take()
        return str(json.loads(token)) if token.startswith('"') else token

    def bracket(self, opening: str, closing: str) -> str:
        """The text between this bracket and its partner."""
        self.take(opening)
        begin, depth = self.position, 1
        for index in range(begin, len(self.text)):
            depth += (self.text[index] == opening) - (self.text[index] == closing)
            if depth == 0:
                self.position = index + 1
                return self.text[begin:index]
        raise ValueError(f"no `{closing}`")

    def result(self) -> Value:
        token = self.take()
        if not re.fullmatch(r"%\d+", token):
            raise ValueError(f"expected a value, found `{token}`")
        self.take(":")
        dtype = self.take()
        if dtype not in DTYPES:
            raise ValueError(f"no element type `{dtype}`")
        shape: tuple[Dim, ...] = tuple(parse_dim(part) for part in _split(self.bracket("[", "]")))
        if token in self.values:
            raise ValueError(f"{token} is defined twice")
        value = Value(int(token[1:]), Type(dtype, shape))
        self.values[token] = value
        return value

    def operand(self) -> Value:
        return self.value(self.take())

    def value(self, token: str) -> Value:
        token = token.strip()
        if token not in self.values:
            raise ValueError(f"{token} is not defined")
        return self.values[token]


def _split(text: str) -> Iterator[str]:
    """The parts between commas that stand outside of brackets and quotes."""
    depth, begin, quoted = 0, 0, False
    for index, letter in enumerate(text):
        if letter == '"' and (index == 0 or text[index - 1] != "\\"):
            quoted = not quoted
        elif not quoted:
            depth += (letter in "([<") - (letter in ")]>")
            if letter == "," and depth == 0:
                yield text[begin:index]
                begin = index + 1
    if text[begin:].strip():
        yield text[begin:]
