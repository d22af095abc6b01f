"""Data for training, evaluation and prediction, from files that fit in memory.

`open(source, inputs)` takes a path and the inputs of a model, and gives the arrays that meet them
by name:

- `data.npz` (and `data.npy` where there is one input): arrays by name. Pickles are refused.
- a folder of IDX files with MNIST's names, gzipped or not: `folder` is its training part
  (`train-*`), `folder#test` the other one (`t10k-*` or `test-*`).
- `table.csv` (or `.tsv`, or either with `.gz`) with a header: columns become inputs by name, see
  `table`.
- a folder with a folder of images for each class, a folder of images, or one image, see `images`.

`split` holds out a part. A mistake is an `nnrt.Error` that names the file and the place in it, and
says what to do.
"""

from __future__ import annotations

from nnrt.data.sources import open
from nnrt.data.split import split
from nnrt.data.types import Arrays, Input, known_classes

__all__ = ["Arrays", "Input", "known_classes", "open", "split"]
