"""The compiled models that the C++ tests load without Python (tests/cpp/test_artifact.cpp).

Their numbers are small multiples of powers of two, so every instruction set gives the same bits,
and so do weights that are stored as bf16.
`pytest --accept` writes the files anew, to be committed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nnc
import nnrt
import numpy as np
import pytest
from nnrt import _engine, artifact

DATA = Path(__file__).parents[1] / "cpp" / "data"
MODELS = {None: DATA / "marks.nnc", "bf16": DATA / "marks_bf16.nnc"}  # by `store`
EXPECTED = DATA / "marks.txt"
ROWS = 5
SOURCE = """\
net Marks {
    input image: u8[N, 8, 8, 1]

    x = conv(image / 4.0, 4, kernel = 3) -> relu -> max_pool(2)
    y = x + relu(conv(x, 4, kernel = 3, padding = 1))

    output marks = y -> flatten -> dense(3)
}
"""
FIX = "after a wanted change, run `pytest --accept` on this file and commit tests/cpp/data"


def images() -> np.ndarray[Any, Any]:
    """As in test_artifact.cpp."""
    return (np.arange(ROWS * 64) * 37 % 101 % 8).astype(np.uint8).reshape(ROWS, 8, 8, 1)


def compiled(folder: Path, store: str | None) -> nnrt.Model:
    (folder / "marks.nn").write_text(SOURCE)
    model = nnc.compile(folder / "marks.nn", precision="strict", store=store)
    halves = np.random.default_rng(0)
    model.set_weights(
        {
            name: halves.integers(-2, 3, array.shape).astype(array.dtype) / array.dtype.type(2)
            for name, array in model.weights().items()
        }
    )
    return model


def numbers(text: str) -> np.ndarray[Any, Any]:
    return np.array(text.split(), np.float32).reshape(ROWS, 3)


@pytest.mark.parametrize("store", MODELS)
def test_the_model_is_what_the_compiler_writes(
    store: str | None, tmp_path: Path, accept: bool
) -> None:
    model = compiled(tmp_path, store)
    model.save(tmp_path / "marks.nnc")
    content = (tmp_path / "marks.nnc").read_bytes()
    if accept:
        MODELS[store].write_bytes(content)
        rows = [" ".join(str(float(value)) for value in row) for row in model(images())]
        EXPECTED.write_text("\n".join(rows) + "\n")
    assert len(content) < 8192
    assert artifact.unzip(MODELS[store].read_bytes()) == artifact.unzip(content), FIX


@pytest.mark.parametrize("store", MODELS)
@pytest.mark.parametrize("isa", ["reference", *_engine.machine()["available_isas"]])
def test_every_instruction_set_predicts_the_bits_that_cpp_expects(
    isa: str, store: str | None
) -> None:
    expected = numbers(EXPECTED.read_text())
    assert len(np.unique(expected)) > 10
    parts = artifact.read(MODELS[store])
    engine = _engine.Engine(parts.plan, 2, isa)
    engine.set_variables(parts.weights)
    (found,) = engine.call("predict", [images()])
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(nnrt.load(MODELS[store])(images()), expected)
