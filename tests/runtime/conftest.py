"""A small model and its data, for every test here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nnrt import Model

from .plans import make_model


@pytest.fixture
def model() -> Model:
    return make_model()


@pytest.fixture
def data() -> dict[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(1)
    x = random.normal(size=(50, 3)).astype(np.float32)
    line = np.array([[1, -2], [3, 0.5], [-1, 2]], np.float32)
    target = x @ line + np.array([1, 2], np.float32)
    return {"x": x, "target": target.astype(np.float32)}
