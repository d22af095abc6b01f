"""Two trees of this project against each other: times of the networks, and bits of what they learn.

Both trees are built in place (`cmake --build`, which puts the extension into `runtime/nnrt`). Each
network runs in a process of each tree; the processes take turns, many short rounds, one at a time.
Ratios are old / new, so above 1 the new tree is faster: of the medians, and of the times that a
tenth of the steps stayed below. Run it alone on the machine:

    python bench/compare.py ../old .                      every network and batch of bench/peers.py
    python bench/compare.py ../old . --only LeNet --kinds training
    python bench/compare.py ../old . --bits               trained weights, for each instruction set
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from networks import NETWORKS

ISAS = ("generic", "avx2", "avx512")
TRAINED = ("digits", "fashion", "resnet20")


def environment(tree: Path, **variables: str) -> dict[str, str]:
    folders = os.pathsep.join(str(tree / folder) for folder in ("dsl", "compiler", "runtime"))
    return {**os.environ, "PYTHONPATH": folders, **variables}


class Worker:
    """One tree on one network, in a process of its own."""

    def __init__(self, tree: Path, network: str, kind: str, batch: int, threads: int) -> None:
        self.times: list[float] = []
        self.process = subprocess.Popen(
            [
                *(sys.executable, str(tree / "bench" / "worker.py")),
                *("nnc", network, kind, str(batch), str(threads)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(tree, NNC_THREADS=str(threads)),
        )
        assert self.process.stdout is not None
        if not self.process.stdout.readline():
            sys.exit(f"{network} {kind} {batch} does not run in {tree}")

    def run(self, seconds: float) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"go {seconds}\n")
        self.process.stdin.flush()
        self.times += json.loads(self.process.stdout.readline())


def compare_times(options: argparse.Namespace) -> None:
    chosen = options.only.split(",") if options.only else [n.name for n in NETWORKS]
    print("| network | program | batch | old ms | old / new, medians | old / new, fastest tenth |")
    print("| --- | --- | --- | --- | --- | --- |")
    for network in NETWORKS:
        for kind in options.kinds.split(","):
            if network.name not in chosen:
                continue
            for batch in network.inference if kind == "inference" else (network.training,):
                old, new = (
                    Worker(tree, network.name, kind, batch, options.threads)
                    for tree in (options.old, options.new)
                )
                for turn in range(options.rounds):
                    # Neither is always the first after a pause.
                    for worker in (old, new) if turn % 2 else (new, old):
                        time.sleep(0.1)
                        worker.run(options.seconds)
                middle = [statistics.median(w.times) for w in (old, new)]
                fast = [sorted(w.times)[len(w.times) // 10] for w in (old, new)]
                print(
                    f"| {network.name} | {kind} | {batch} | {middle[0] * 1e3:.3f} |"
                    f" {middle[0] / middle[1]:.3f} | {fast[0] / fast[1]:.3f} |",
                    flush=True,
                )
                for worker in (old, new):
                    worker.process.communicate()


def train(name: str) -> str:
    """The hash of the weights that a short training ends at."""
    import nnc
    import numpy as np

    examples = Path(__file__).parents[1] / "examples"
    random = np.random.default_rng(0)
    if name == "digits":
        model = nnc.compile(examples / "digits.nn")
        model.fit(epochs=2, progress=False)
    else:
        shape, rows = ((28, 28, 1), 512) if name == "fashion" else ((32, 32, 3), 256)
        file, settings = (
            ("fashion.nn", {}) if name == "fashion" else ("resnet_small.nn", {"net": "ResNet20"})
        )
        model = nnc.compile(examples / file, **settings)
        images = random.integers(0, 256, (rows, *shape), dtype=np.uint8)
        data = images if name == "fashion" else (images / 255).astype(np.float32)
        labels = random.integers(0, 10, rows)
        model.fit((data, labels), epochs=1, validation=0, progress=False)
    digest = hashlib.sha256()
    for key in sorted(model.parameters):
        digest.update(np.ascontiguousarray(model.parameters[key]).tobytes())
    return digest.hexdigest()[:16]


def compare_bits(options: argparse.Namespace) -> None:
    differ = False
    for isa in ISAS:
        for name in TRAINED:
            found = []
            for tree in (options.old, options.new):
                command = [sys.executable, __file__, "--train", name]
                ran = subprocess.run(
                    command, capture_output=True, text=True, env=environment(tree, NNC_ISA=isa)
                )
                found.append(ran.stdout.strip() or ran.stderr.strip().splitlines()[-1])
            if "has no avx" in found[0]:
                print(f"{isa}: not on this processor")
                break
            differ |= found[0] != found[1]
            print(f"{isa:8} {name:9} {'same' if found[0] == found[1] else 'DIFFER'} {found}")
    sys.exit(int(differ))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=lambda text: Path(text).resolve(), nargs="?")
    parser.add_argument("new", type=lambda text: Path(text).resolve(), nargs="?")
    parser.add_argument("--bits", action="store_true", help="compare trained weights, no times")
    parser.add_argument("--train", choices=TRAINED, help=argparse.SUPPRESS)
    parser.add_argument("--only", help="networks, separated by commas")
    parser.add_argument("--kinds", default="inference,training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.3)
    options = parser.parse_args()
    if options.train:
        print(train(options.train))
    elif options.old is None or options.new is None:
        parser.error("two trees are needed: the old one and the new one")
    elif options.bits:
        compare_bits(options)
    else:
        compare_times(options)


if __name__ == "__main__":
    main()
