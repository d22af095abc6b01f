"""Data for training, evaluation and prediction, from files that fit in memory.

`open(source, inputs)` takes a path and the inputs of a model, and gives the arrays that meet them
by name:

- `data.npz` (and `data.npy` where there is one input): arrays by name. Pickles are refused.
- a folder of IDX files with MNIST's names, gzipped or not: `folder` is its training part
  (`train-*`), `folder#test` the other one (`t10k-*` or `test-*`).
- `table.csv` (or `.tsv`, or either with `.gz`) with a header: columns become inputs by name, see
  `table`.
- a folder with a folder of images for each class, a folder of images, or one image, see `images`.

Data for a trained model is read as its training data was: `known_classes` and `known_columns` of
its training section say how (`learned` makes them), and `closed` makes any other text an error.

`split` holds out a part. A mistake is an `nnrt.Error` that names the file and the place in it, and
says what to do.
"""

from __future__ import annotations

from nnrt.data.sources import open
from nnrt.data.split import split
from nnrt.data.types import (
    Arrays,
    Input,
    check_learned,
    known_classes,
    known_columns,
    learned,
)

__all__ = [
    "Arrays",
    "Input",
    "check_learned",
    "known_classes",
    "known_columns",
    "learned",
    "open",
    "split",
]
