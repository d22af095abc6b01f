"""Random graphs over many operators, the same for the same seed.

Every graph is valid and has inputs, variables, outputs and (unless it is for inference) updates.
Operators whose result jumps (floor, equality of floats) are left out, as rounding may differ
between two graphs that mean the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from nnc.builder import Builder
from nnc.dims import Dim, symbol
from nnc.graph import Graph, Origin, Type, Value

N = symbol("N")
UNARY = ("neg", "abs", "tanh", "sigmoid", "square", "erf", "sin", "cos", "exp", "log1p")
BINARY = ("add", "sub", "mul", "div", "maximum", "minimum")
CONSTANTS = (0.0, 1.0, -1.0, 2.0, 0.5, -0.25, 3.0, 0.1, 0.7)
TAME = ("tanh", "sigmoid", "sin", "cos")


def random_graph(seed: int, size: int = 24, training: bool = True) -> Graph:
    return _Maker(seed).make(size, training)


class _Maker:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        self.builder = Builder()
        self.floats: list[Value] = []
        self.truths: list[Value] = []
        self.integers: list[Value] = []
        self.streams = 0

    def make(self, size: int, training: bool) -> Graph:
        builder = self.builder
        channels = self.random.choice((2, 3, 4))
        self.floats.append(builder.input("x", Type("f32", (N, channels))))
        self.floats.append(builder.input("image", Type("f32", (N, 6, 5, channels))))
        self.integers.append(builder.input("label", Type("i64", (N,))))
        self.floats.append(
            builder.emit("div", builder.input("bytes", Type("u8", (N, channels))), self.byte())
        )
        if training:
            self.floats.append(builder.input("step", Type("f32", ()), "clock"))
        for index in range(3):
            self.variable(
                self.random.choice(((), (channels,), (1, channels), (3, channels))), index
            )
        makers = self.makers()
        for number in range(size):
            builder.origin = Origin(f"layer_{number}", f"random.nn:{number + 1}")
            try:
                self.random.choice(makers)()
            except _Unfit:
                continue
        return self.finish(training)

    def finish(self, training: bool) -> Graph:
        pool = [*self.floats, *self.truths, *self.integers]
        count = self.random.randint(1, 4)
        outputs = [(f"y{i}", self.random.choice(pool[-12:])) for i in range(count)]
        if self.random.random() < 0.2:
            outputs.append(("again", outputs[0][1]))
        if self.random.random() < 0.2:
            outputs.append(("given", self.random.choice(pool[:6])))
        return self.builder.graph(outputs, self.updates() if training else ())

    def updates(self) -> list[tuple[str, Value]]:
        made = []
        variables = list(self.builder.variables)
        for variable in variables:
            kind = self.random.random()
            value = variable.value
            if kind < 0.5:
                change = self.reduced_to(value)
                rate = self.builder.constant(0.1)
                step = self.builder.emit("mul", rate, change)
                made.append((variable.name, self.builder.emit("sub", value, step)))
            elif kind < 0.65:
                same = [v.value for v in variables if v.value.type == value.type]
                made.append((variable.name, self.random.choice(same)))
            elif kind < 0.8:
                fits = [v for v in self.floats if v.type == value.type]
                made.append((variable.name, self.random.choice(fits)))
        return made

    def reduced_to(self, like: Value) -> Value:
        """A value of the shape of a variable that depends on others."""
        source = self.random.choice(self.floats)
        total = self.builder.emit("reduce_mean", source, axes=tuple(range(len(source.shape))))
        shaped = self.builder.emit("broadcast_to", total, shape=like.shape)
        return self.builder.emit("add", shaped, self.builder.emit("tanh", like))

    # ------------------------------------------------------------ parts

    def byte(self) -> Value:
        return self.builder.constant(255, "u8")

    def variable(self, shape: tuple[int, ...], index: int | None = None) -> Value:
        array = self.numbers.standard_normal(shape).astype(np.float32) * 0.5
        name = f"layer_{len(self.builder.variables)}.w{index if index is not None else ''}"
        kind = self.random.choice(("parameter", "parameter", "state"))
        value = self.builder.variable(name, kind, np.asarray(array), "f32")
        self.floats.append(value)
        return value

    def pick(self, wanted: Callable[[Value], bool], pool: list[Value] | None = None) -> Value:
        fits = [value for value in (self.floats if pool is None else pool) if wanted(value)]
        if not fits:
            raise _Unfit
        return self.random.choice(fits[-10:] if self.random.random() < 0.8 else fits)

    def keep(self, value: Value) -> Value:
        """Into the pool, tamed now and then so that numbers stay of a size."""
        pools = {"bool": self.truths, "i64": self.integers}
        pools.get(value.dtype, self.floats).append(value)
        return value

    def tame(self, value: Value) -> Value:
        return self.builder.emit(self.random.choice(TAME), value)

    def emit(self, name: str, *operands: Value, **attributes: object) -> Value:
        return self.keep(self.builder.emit(name, *operands, **attributes))

    def number(self) -> Value:
        return self.builder.constant(self.random.choice(CONSTANTS))

    def partner(self, value: Value) -> Value:
        """Something that broadcasts with a value."""
        if self.random.random() < 0.35:
            return self.number()
        shape = value.shape

        def fits(other: Value) -> bool:
            aligned = zip(reversed(other.shape), reversed(shape), strict=False)
            return len(other.shape) <= len(shape) and all(a in (b, 1) for a, b in aligned)

        return self.pick(fits)

    # ------------------------------------------------------------ makers

    def makers(self) -> list[Callable[[], object]]:
        few = [
            self.transpose, self.concat, self.slice, self.pad, self.gather, self.softmax,
            self.cross_entropy, self.batch_norm, self.layer_norm, self.pool, self.resize,
            self.argmax, self.integer, self.cast, self.counting, self.new_variable, self.flatten,
            self.norm_chain, self.relu_mask, self.conv_transpose,
        ]  # fmt: skip
        many = [self.unary, self.binary, self.binary, self.select, self.compare, self.broadcast]
        some = [self.matmul, self.conv, self.reduce, self.reshape, self.dropout, self.dimension]
        return few + 3 * many + 2 * some

    def unary(self) -> None:
        value = self.pick(lambda v: True)
        name = self.random.choice(UNARY)
        if name in ("exp", "log1p"):
            value = self.builder.emit("square" if name == "log1p" else "tanh", value)
        self.emit(name, value)

    def binary(self) -> None:
        value = self.pick(lambda v: True)
        other = self.partner(value)
        name = self.random.choice(BINARY)
        if name == "div":
            one = self.builder.constant(1.5)
            other = self.builder.emit("add", self.builder.emit("abs", other), one)
        pair = (value, other)
        if self.random.random() < 0.4 and name != "div":
            pair = (other, value)
        made = self.builder.emit(name, *pair)
        self.keep(self.tame(made) if name == "mul" and self.random.random() < 0.5 else made)

    def compare(self) -> None:
        value = self.pick(lambda v: bool(v.shape))
        self.emit(self.random.choice(("greater", "less")), value, self.builder.constant(0.31))

    def select(self) -> None:
        condition = self.pick(lambda v: True, self.truths)
        value = self.pick(lambda v: v.shape == condition.shape)
        sides = [value, self.partner(value)]
        self.random.shuffle(sides)
        self.emit("select", condition, *sides)

    def broadcast(self) -> None:
        value = self.pick(lambda v: len(v.shape) <= 2)
        lead: tuple[Dim, ...] = self.random.choice(((2,), (N,), (1,)))
        self.emit("broadcast_to", value, shape=(*lead, *value.shape))

    def relu_mask(self) -> None:
        value = self.pick(lambda v: bool(v.shape))
        zero = self.builder.constant(0.0)
        relu = self.builder.emit("maximum", value, zero)
        mask = self.builder.emit("greater", value, zero)
        self.keep(relu)
        self.emit("select", mask, self.pick(lambda v: v.shape == value.shape), zero)

    def matmul(self) -> None:
        a = self.pick(lambda v: len(v.shape) >= 2)
        weight = self.fitting_weight(a, (a.shape[-1], self.random.choice((2, 3))))
        if self.random.random() < 0.3:
            turned = self.builder.emit("transpose", weight, permutation=(1, 0))
            weight = self.builder.emit("transpose", turned, permutation=(1, 0))
        made = self.builder.emit("matmul", a, weight)
        self.keep(self.builder.emit("add", made, self.variable((int(str(made.shape[-1])),))))

    def fitting_weight(self, value: Value, shape: tuple[Dim, ...]) -> Value:
        if not all(isinstance(dim, int) and 0 < dim < 200 for dim in shape):
            raise _Unfit
        return self.variable(tuple(int(str(dim)) for dim in shape))

    def conv(self) -> None:
        x = self.image()
        weight = self.fitting_weight(x, (2, 3, x.shape[3], self.random.choice((2, 4))))
        y = self.builder.emit("conv2d", x, weight, stride=(1, 1), padding=(1, 0, 1, 1))
        if self.random.random() < 0.6:
            y = self.builder.emit("add", y, self.variable((int(str(y.shape[-1])),)))
        if self.random.random() < 0.6:
            y = self.builder.emit("maximum", y, self.builder.constant(0.0))
        self.keep(y)

    def conv_transpose(self) -> None:
        x = self.image()
        weight = self.fitting_weight(x, (2, 2, 3, x.shape[3]))
        shape = (x.shape[0], x.shape[1] * 2, x.shape[2] * 2, 3)
        self.emit("conv2d_backward_data", x, weight, stride=(2, 2), shape=shape)

    def image(self) -> Value:
        def fits(value: Value) -> bool:
            shape = value.shape
            return len(shape) == 4 and all(isinstance(d, int) and 1 < d < 16 for d in shape[1:])

        return self.pick(fits)

    def norm_chain(self) -> None:
        """Batch norm as inference writes it, after a layer or alone."""
        y = self.pick(lambda v: len(v.shape) in (2, 4) and isinstance(v.shape[-1], int))
        if len(y.shape) == 2:
            y = self.builder.emit("matmul", y, self.fitting_weight(y, (y.shape[-1], 3)))
        channels = int(str(y.shape[-1]))
        mean, variance, scale, offset = (self.variable((channels,)) for _ in range(4))
        emit, constant = self.builder.emit, self.builder.constant
        spread = emit("rsqrt", emit("add", emit("square", variance), constant(0.01)))
        y = emit("mul", emit("mul", emit("sub", y, mean), spread), scale)
        self.keep(emit("add", y, offset))

    def batch_norm(self) -> None:
        x = self.pick(lambda v: len(v.shape) >= 2 and isinstance(v.shape[-1], int))
        channels = int(str(x.shape[-1]))
        scale, offset = self.variable((channels,)), self.variable((channels,))
        y, mean, variance = self.builder.emit_all("batch_norm", (x, scale, offset), epsilon=0.1)
        for value in (mean, variance, y):
            self.keep(value)
        if self.random.random() < 0.5:
            self.emit("maximum", y, self.builder.constant(0.0))

    def layer_norm(self) -> None:
        x = self.pick(lambda v: len(v.shape) >= 2 and isinstance(v.shape[-1], int))
        channels = int(str(x.shape[-1]))
        scale, offset = self.variable((channels,)), self.variable((channels,))
        self.keep(self.builder.emit_all("layer_norm", (x, scale, offset), epsilon=0.1)[0])

    def pool(self) -> None:
        x = self.image()
        name = self.random.choice(("max_pool", "avg_pool"))
        self.emit(name, x, kernel=(2, 2), stride=(1, 1))

    def resize(self) -> None:
        x = self.image()
        if int(str(x.shape[1])) > 6:
            raise _Unfit
        self.emit("resize_nearest", x, factor=(2, 1))

    def reduce(self) -> None:
        value = self.pick(lambda v: bool(v.shape))
        rank = len(value.shape)
        axes = tuple(a for a in range(rank) if self.random.random() < 0.5) or (rank - 1,)
        name = self.random.choice(("reduce_sum", "reduce_mean", "reduce_max", "reduce_min"))
        if self.random.random() < 0.5:
            value = self.builder.emit("square", value)
        made = self.builder.emit(name, value, axes=axes, keepdims=self.random.random() < 0.5)
        self.keep(self.tame(made) if name == "reduce_sum" else made)

    def reshape(self) -> None:
        value = self.pick(lambda v: True)
        self.emit("reshape", value, shape=(*value.shape, 1)[-8:])

    def flatten(self) -> None:
        value = self.pick(lambda v: len(v.shape) == 4)
        shape = value.shape
        self.emit("reshape", value, shape=(shape[0], shape[1] * shape[2] * shape[3]))

    def transpose(self) -> None:
        value = self.pick(lambda v: len(v.shape) >= 2)
        permutation = list(range(len(value.shape)))
        self.random.shuffle(permutation)
        self.emit("transpose", value, permutation=tuple(permutation))

    def concat(self) -> None:
        value = self.pick(lambda v: bool(v.shape))
        others = [v for v in self.floats if v.shape == value.shape][:2]
        axis = self.random.randrange(len(value.shape))
        self.emit("concat", value, *others, axis=axis)

    def slice(self) -> None:
        value = self.pick(lambda v: bool(v.shape) and isinstance(v.shape[-1], int))
        rank, last = len(value.shape), int(str(value.shape[-1]))
        begin = (0,) * (rank - 1) + (self.random.randrange(last),)
        self.emit("slice", value, begin=begin, end=value.shape, step=(1,) * rank)

    def pad(self) -> None:
        value = self.pick(lambda v: bool(v.shape))
        rank = len(value.shape)
        low = tuple(self.random.choice((0, 1)) for _ in range(rank))
        self.emit("pad", value, low=low, high=(0,) * rank, value=self.random.choice((0.0, 1.5)))

    def gather(self) -> None:
        label = self.builder.inputs[2].value
        self.emit("gather", self.variable((5, 3)), label)

    def cross_entropy(self) -> None:
        logits = self.pick(lambda v: len(v.shape) == 2 and v.shape[0] == N and v.shape[1] in (3, 4))
        self.emit("softmax_cross_entropy", logits, self.builder.inputs[2].value)

    def softmax(self) -> None:
        value = self.pick(lambda v: bool(v.shape) and v.shape[-1] != 0)
        self.emit(self.random.choice(("softmax", "log_softmax")), value)

    def argmax(self) -> None:
        value = self.pick(lambda v: bool(v.shape) and isinstance(v.shape[-1], int))
        self.emit("argmax", value, axis=len(value.shape) - 1)

    def integer(self) -> None:
        value = self.pick(lambda v: True, self.integers)
        three = self.builder.constant(3, "i64")
        name = self.random.choice(("mod", "add", "mul", "equal", "less"))
        self.emit(name, value, three)

    def cast(self) -> None:
        value = self.pick(lambda v: True, [*self.truths, *self.integers])
        self.emit("cast", value, dtype="f32")

    def dropout(self) -> None:
        value = self.pick(lambda v: bool(v.shape))
        self.streams += 1
        uniform = self.builder.emit("random_uniform", shape=value.shape, stream=self.streams)
        kept = self.builder.emit("less", uniform, self.builder.constant(0.6))
        mask = self.builder.emit("cast", kept, dtype="f32")
        self.keep(mask)
        self.emit("mul", value, mask)

    def dimension(self) -> None:
        size = self.builder.emit("dimension", value=N * 2 + 1, dtype="f32")
        self.emit("div", self.pick(lambda v: True), size)

    def counting(self) -> None:
        iota = self.builder.emit("iota", shape=(N, 3), axis=1, dtype="i64")
        self.integers.append(iota)
        self.emit("cast", iota, dtype="f32")

    def new_variable(self) -> None:
        self.variable(self.random.choice(((2,), (3,), (4,), (2, 2), ())))


class _Unfit(Exception):
    """Nothing in the pool fits; another operator is tried."""
