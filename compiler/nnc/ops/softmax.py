"""Softmax over the last axis, its logarithm, and cross-entropy; with what flows back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..dims import Dim, product
from ..graph import Node, Type, Value
from ..slopes import Flow
from . import samples
from .base import (
    Array,
    Attribute,
    Context,
    Cost,
    NotDifferentiable,
    Operator,
    Sample,
    ShapeError,
    cost_of,
    schema,
)
from .expression import Expression, apply, reshaped
from .shapes import require_float, require_integer, require_shape

if TYPE_CHECKING:
    from ..builder import Builder

Gradients = list[Value | None]

_CASES: tuple[tuple[int, ...], ...] = (
    (1,),
    (7,),
    (3, 1),
    (4, 10),
    (5, 17),
    (2, 3, 8),
    (2, 5, 33),
    (40, 100),
    (300, 16),
    (3, 5000),
)


def _log_softmax(x: Array) -> Array:
    with np.errstate(all="ignore"):
        shifted = x - x.max(-1, keepdims=True, initial=-np.inf)
        return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def _softmax(x: Array) -> Array:
    with np.errstate(all="ignore"):
        e = np.exp(x - x.max(-1, keepdims=True, initial=-np.inf))
        return np.asarray(e / e.sum(-1, keepdims=True))


def _where_known(builder: Builder, value: Value, otherwise: float) -> Value:
    """The value, with a number in place of NaN."""
    known = Expression(builder, value)
    return apply("select", apply("equal", known, known), known, otherwise).value


class OverLastAxis(Operator, abstract=True):
    operands: ClassVar[tuple[str, ...]] = ("x",)
    attributes = schema()
    traits = frozenset({"pure"})

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        require_float(self.name, operands, range(len(operands)))
        _require_classes(self.name, operands[0])
        for index in range(1, len(operands)):
            require_shape(self.name, "the gradient", operands, index, operands[0].shape)
        return (operands[0],)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return all(carried) and len(operands[0].shape) > 1

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, product(operands[0].shape) * 14)

    def samples(self) -> list[Sample]:
        return [Sample((samples.normal(*shape) * 3,), {}, (0,)) for shape in _CASES]


def _require_classes(name: str, x: Type) -> None:
    if not x.shape:
        raise ShapeError(
            f"`{name}` works along the last axis, found a scalar",
            operands=(0,),
            expected="a value of shape [..., K]",
        )


class Softmax(OverLastAxis):
    name = "softmax"
    language = "softmax"
    kernel = "softmax"

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        return (_softmax(operands[0]),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        return [builder.emit("softmax_backward", node.result, gradient)]

    def guarded_vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
        flow: Flow,
    ) -> Gradients:
        """A row without an answer (of -inf alone) that nothing takes gets 0."""
        (gradient,) = gradients
        assert gradient is not None
        y = _where_known(builder, node.result, 0.0) if flow.masked else node.result
        return [builder.emit("softmax_backward", y, gradient)]

    def samples(self) -> list[Sample]:
        return [*super().samples(), Sample((np.array([[900.0, 1000.0], [-1e4, 0.0]]),), {})]


class LogSoftmax(OverLastAxis):
    name = "log_softmax"
    language = "log_softmax"
    kernel = "log_softmax"

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        return (_log_softmax(operands[0]),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        return [builder.emit("log_softmax_backward", node.result, gradient)]

    def guarded_vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
        flow: Flow,
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        y = _where_known(builder, node.result, -np.inf) if flow.masked else node.result
        return [builder.emit("log_softmax_backward", y, gradient)]

    def samples(self) -> list[Sample]:
        return [*super().samples(), Sample((np.array([[900.0, 1000.0], [-1e4, 0.0]]),), {})]


class SoftmaxBackward(OverLastAxis):
    """From the result of softmax and its gradient."""

    name = "softmax_backward"
    operands = ("y", "dy")
    kernel = "softmax_backward"
    vjp = NotDifferentiable("second derivatives of softmax are not supported")

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        y, dy = operands
        return (y * (dy - (dy * y).sum(-1, keepdims=True)),)

    def samples(self) -> list[Sample]:
        return [
            Sample((_softmax(samples.normal(*shape) * 3), samples.normal(*shape, seed=1)), {})
            for shape in _CASES
        ]


class LogSoftmaxBackward(OverLastAxis):
    """From the result of log_softmax and its gradient."""

    name = "log_softmax_backward"
    operands = ("y", "dy")
    kernel = "log_softmax_backward"
    vjp = NotDifferentiable("second derivatives of log_softmax are not supported")

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        y, dy = operands
        return (dy - np.exp(y) * dy.sum(-1, keepdims=True),)

    def samples(self) -> list[Sample]:
        return [
            Sample((_log_softmax(samples.normal(*shape) * 3), samples.normal(*shape, seed=1)), {})
            for shape in _CASES
        ]


_SMOOTHING = schema(smoothing=Attribute("float", default=0.0))


def _check_labels(name: str, operands: Sequence[Type], attributes: Mapping[str, Any]) -> None:
    require_float(name, operands, (0,))
    require_integer(name, operands, 1)
    _require_classes(name, operands[0])
    require_shape(name, "the label", operands, 1, operands[0].shape[:-1])
    if not 0 <= attributes["smoothing"] <= 1:
        raise ShapeError(
            f"the label smoothing must be from 0 to 1, found {attributes['smoothing']}",
            code="N0404",
        )


def _target(labels: Array, classes: int, smoothing: float, dtype: np.dtype[Any]) -> Array:
    """The smoothed one-hot rows; NaN where a label is out of range."""
    hot = (labels[..., None] == np.arange(classes)).astype(dtype)
    target = hot * (1 - smoothing) + smoothing / classes
    wrong = (labels < 0) | (labels >= classes)
    return np.where(wrong[..., None], np.nan, target).astype(dtype)


class SoftmaxCrossEntropy(Operator):
    """Minus the logarithm of the probability that softmax(logits) gives the label, for each row.

    NaN where the label is out of range.
    """

    name = "softmax_cross_entropy"
    operands = ("logits", "labels")
    attributes = _SMOOTHING
    traits = frozenset({"pure"})
    kernel = "softmax_cross_entropy"

    def index_bounds(self, operands: Sequence[Type], results: Sequence[Type]) -> Mapping[int, Dim]:
        return {1: operands[0].shape[-1]}

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        _check_labels(self.name, operands, attributes)
        return (Type(operands[0].dtype, operands[1].shape),)

    def keeps_rows(
        self, operands: Sequence[Type], attributes: Mapping[str, Any], carried: Sequence[bool]
    ) -> bool:
        return all(carried)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        logits, labels = operands
        smoothing = attributes["smoothing"]
        log = _log_softmax(logits)
        classes = logits.shape[-1]
        wrong = (labels < 0) | (labels >= classes)
        chosen = np.where(wrong, 0, labels).astype(np.int64)[..., None]
        loss = (smoothing - 1) * np.take_along_axis(log, chosen, -1)[..., 0]
        if smoothing:
            loss = loss - smoothing / classes * log.sum(-1)
        return (np.where(wrong, np.nan, loss).astype(logits.dtype),)

    def vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
    ) -> Gradients:
        (gradient,) = gradients
        assert gradient is not None
        operands = (*node.operands, gradient)
        made = builder.emit("softmax_cross_entropy_backward", *operands, **node.attributes)
        return [made, None]

    def guarded_vjp(
        self,
        builder: Builder,
        node: Node,
        gradients: Sequence[Value | None],
        needed: Sequence[bool],
        flow: Flow,
    ) -> Gradients:
        """A row whose loss nothing takes gets 0, also where its label is out of range."""
        made, none = self.vjp(builder, node, gradients, needed)
        (gradient,) = gradients
        assert gradient is not None and made is not None
        if not flow.masked:
            return [made, none]
        kept = Expression(builder, reshaped(builder, gradient, (*gradient.shape, 1)))
        whole = Expression(builder, made)
        return [apply("select", apply("equal", kept, 0.0), 0.0, whole).value, none]

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, product(operands[0].shape) * 14)

    def samples(self) -> list[Sample]:
        made = [
            Sample((logits, labels), {"smoothing": smoothing}, (0,))
            for logits, labels, smoothing in _labelled()
        ]
        wrong = np.array([0, -1, 3, 2, 2**40])
        return [*made, Sample((samples.normal(5, 3), wrong), {"smoothing": 0.1})]


class SoftmaxCrossEntropyBackward(Operator):
    name = "softmax_cross_entropy_backward"
    operands = ("logits", "labels", "dloss")
    attributes = _SMOOTHING
    traits = frozenset({"pure"})
    kernel = "softmax_cross_entropy_backward"
    vjp = NotDifferentiable("second derivatives of softmax_cross_entropy are not supported")

    def index_bounds(self, operands: Sequence[Type], results: Sequence[Type]) -> Mapping[int, Dim]:
        return {1: operands[0].shape[-1]}

    def infer(self, operands: Sequence[Type], attributes: Mapping[str, Any]) -> tuple[Type, ...]:
        _check_labels(self.name, operands, attributes)
        require_float(self.name, operands, (0, 2))
        require_shape(self.name, "the gradient", operands, 2, operands[1].shape)
        return (operands[0],)

    def reference(
        self, operands: Sequence[Array], attributes: Mapping[str, Any], context: Context
    ) -> tuple[Array, ...]:
        logits, labels, dloss = operands
        target = _target(labels, logits.shape[-1], attributes["smoothing"], logits.dtype)
        return ((_softmax(logits) - target) * dloss[..., None],)

    def cost(
        self, operands: Sequence[Type], results: Sequence[Type], attributes: Mapping[str, Any]
    ) -> Cost:
        return cost_of(operands, results, product(operands[0].shape) * 14)

    def samples(self) -> list[Sample]:
        return [
            Sample(
                (logits, labels, samples.normal(*labels.shape, seed=2)), {"smoothing": smoothing}
            )
            for logits, labels, smoothing in _labelled()
        ]


def _labelled() -> list[tuple[Array, Array, float]]:
    made = []
    for number, shape in enumerate(_CASES):
        labels = np.asarray(samples.integers(0, shape[-1], *shape[:-1], seed=3))
        dtype = ("int64", "int32", "uint8")[number % 3] if shape[-1] <= 256 else "int64"
        made.append((samples.normal(*shape) * 3, labels.astype(dtype), (0.0, 0.1)[number % 2]))
    return made


OPERATORS: tuple[Operator, ...] = (
    Softmax(),
    LogSoftmax(),
    SoftmaxBackward(),
    LogSoftmaxBackward(),
    SoftmaxCrossEntropy(),
    SoftmaxCrossEntropyBackward(),
)
