"""Fetch Fashion-MNIST (31 MB, MIT licence) into `examples/data/fashion-mnist`.

The files come from the Debian package `dataset-fashion-mnist`, fetched with `apt-get download` and
unpacked with `dpkg-deb`: nothing is installed, and root is not needed. Elsewhere, put the four
files named in FILES there by hand.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "dataset-fashion-mnist"
INSIDE = "usr/share/datasets/fashion-mnist"
FILES = [
    *["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"],
    *["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"],
]
TARGET = Path(__file__).resolve().parent.parent / "examples" / "data" / "fashion-mnist"


def fetch(target: Path) -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            sys.exit(
                f"`{tool}` is not on this system: put {', '.join(FILES)} into {target} by hand"
            )
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["apt-get", "download", PACKAGE], cwd=scratch, check=True)
        package = next(Path(scratch).glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(package), scratch], check=True)
        for name in FILES:
            shutil.copyfile(Path(scratch) / INSIDE / name, target / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=TARGET, help="folder (default: %(default)s)")
    target = parser.parse_args().to
    if all((target / name).is_file() for name in FILES):
        print(f"{target} is there already")
        return
    fetch(target)
    print(f"{target}: {', '.join(FILES)}")


if __name__ == "__main__":
    main()
