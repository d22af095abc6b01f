"""Make the small data sets in `examples/data` from the files that scikit-learn carries.

Takes a scikit-learn wheel (given, or fetched with pip; nothing is installed), gives `digits.npz`,
`diabetes.csv` and `breast_cancer.csv`. The same wheel gives the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

VERSION = "1.9.1"
DATA = Path(__file__).resolve().parent.parent / "examples" / "data"
FOLDER = "sklearn/datasets/data/"

DIABETES = ["age", "sex", "bmi", "pressure", "s1", "s2", "s3", "s4", "s5", "s6"]
CELL = [
    *["radius", "texture", "perimeter", "area", "smoothness"],
    *["compactness", "concavity", "concave_points", "symmetry", "fractal_dimension"],
]
BREAST_CANCER = [f"{kind}_{name}" for kind in ("mean", "error", "worst") for name in CELL]


def fetch_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += [
        "--only-binary=:all:",
        "--dest",
        str(folder),
        f"scikit-learn=={VERSION}",
    ]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def write_digits(read: Callable[[str], bytes]) -> None:
    """1,797 digits of 8x8 pixels, 0 to 16, and what they show."""
    text = gzip.decompress(read("digits.csv.gz")).decode()
    table = np.loadtxt(io.StringIO(text), delimiter=",")
    image = table[:, :64].astype(np.uint8).reshape(-1, 8, 8, 1)
    label = table[:, 64].astype(np.int64)
    assert (
        image.shape == (1797, 8, 8, 1) and int(image.max()) == 16 and set(label) == set(range(10))
    )
    np.savez_compressed(DATA / "digits.npz", image=image, label=label)


def write_diabetes(read: Callable[[str], bytes]) -> None:
    """442 patients: ten measurements, and the progression of the disease a year later."""
    data = gzip.decompress(read("diabetes_data_raw.csv.gz")).decode().splitlines()
    target = gzip.decompress(read("diabetes_target.csv.gz")).decode().splitlines()
    assert len(data) == len(target) == 442
    rows = ([*line.split(), f"{float(y):g}"] for line, y in zip(data, target, strict=True))
    write_csv("diabetes.csv", [*DIABETES, "target"], rows)


def write_breast_cancer(read: Callable[[str], bytes]) -> None:
    """569 tumours: thirty measurements of cell nuclei, and 1 for benign, 0 for malignant."""
    lines = list(csv.reader(io.StringIO(read("breast_cancer.csv").decode())))[1:]
    assert len(lines) == 569 and all(len(line) == 31 for line in lines)
    write_csv("breast_cancer.csv", [*BREAST_CANCER, "benign"], lines)


def write_csv(name: str, header: list[str], rows: Iterable[list[str]]) -> None:
    with (DATA / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            assert len(row) == len(header)
            writer.writerow(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--wheel", type=Path, help="a scikit-learn wheel; without it pip fetches one"
    )
    arguments = parser.parse_args()
    DATA.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        wheel = arguments.wheel or fetch_wheel(Path(scratch))
        with zipfile.ZipFile(wheel) as archive:

            def read(name: str) -> bytes:
                return archive.read(FOLDER + name)

            write_digits(read)
            write_diabetes(read)
            write_breast_cancer(read)
    for path in sorted([*DATA.glob("*.npz"), *DATA.glob("*.csv")]):
        print(f"{path.relative_to(DATA.parent.parent)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
