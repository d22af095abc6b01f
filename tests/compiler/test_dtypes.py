"""The lists of element types: of the compiler, the language, the engine and NumPy."""

from __future__ import annotations

import re
from pathlib import Path

import ml_dtypes
import nnrt.dtypes
import numpy as np
import pytest
from nnc import dtypes
from nnc.ops import all_operators
from nnc.ops.matmul import Matmul
from nnlang.syntax import AVAILABLE
from nnrt import _engine

ROOT = Path(__file__).parents[2]


def test_the_compiler_and_the_engine_have_the_same_types() -> None:
    engine = [(name, size, kind) for name, size, kind, _ in _engine.element_types()]
    assert engine == [(row.name, row.bytes, row.kind) for row in dtypes.TYPES.values()]
    assert tuple(dtypes.TYPES) == AVAILABLE
    assert list(nnrt.dtypes.TYPES) == list(dtypes.TYPES)


def test_no_other_file_lists_them() -> None:
    listed = re.compile(r"\bf64\b.{0,40}\bi32\b.{0,40}\bi64\b.{0,40}\bu8\b")
    sources = [
        path
        for folder in ("runtime/core", "runtime/cpu", "runtime/python", "runtime/include")
        for path in (ROOT / folder).rglob("*.*")
        if path.suffix in (".h", ".cpp", ".inc")
    ]
    sources += [*(ROOT / "runtime" / "nnrt").rglob("*.py")]
    found = [
        path.name
        for path in sources
        if listed.search(re.sub(r"\s+", " ", path.read_text(encoding="utf-8")))
    ]
    assert len(sources) > 100 and found == []


@pytest.mark.parametrize("name", dtypes.TYPES)
def test_numpy_has_each_type(name: str) -> None:
    row = dtypes.TYPES[name]
    made = dtypes.DTYPES[name]
    assert made == nnrt.dtypes.numpy_type(name)
    assert made.itemsize == row.bytes and made.name == row.numpy
    assert dtypes.name_of(made) == nnrt.dtypes.name_of(made) == name
    kinds = {"floating": "f", "narrow": "f", "integer": "iu", "truth": "b"}
    assert dtypes.kind_of(made) in kinds[row.kind]
    assert dtypes.kind_of(made) == nnrt.dtypes.kind_of(made)


def test_other_types_of_numpy_have_no_name() -> None:
    for text in ("float16", "complex64", ">f4", "V2", "U3", "uint16"):
        assert dtypes.name_of(np.dtype(text)) is None
        assert nnrt.dtypes.name_of(np.dtype(text)) is None
    assert dtypes.kind_of(np.dtype("V2")) == nnrt.dtypes.kind_of(np.dtype("V2")) == "V"
    assert dtypes.name_of(np.dtype(ml_dtypes.float8_e5m2)) is None
    with pytest.raises(KeyError):
        dtypes.DTYPES["f16"]


def test_kinds() -> None:
    assert dtypes.FLOATS == ("f32", "f64")
    assert dtypes.NARROW == ("bf16",)
    assert dtypes.INTEGERS == ("i32", "i64", "u8")
    assert "bf16" in dtypes.DTYPES and "f16" not in dtypes.DTYPES
    assert len(dtypes.DTYPES) == len(list(dtypes.DTYPES)) == len(AVAILABLE)


def test_weights_are_operands() -> None:
    weights = {op.name: op.weights for op in all_operators() if op.weights}
    assert weights == {
        "matmul": ("a", "b"),
        "conv2d": ("weight",),
        "conv2d_backward_data": ("weight",),
        "gather": ("table",),
    }
    with pytest.raises(TypeError, match="has no operand wait"):
        type("Wrong", (Matmul,), {"weights": ("wait",)})
