"""Where the time of a run goes, step by step: milliseconds, share, GFLOP/s and their share of the
measured multiply-add peak, GB/s, the algorithm, and why it was chosen.

    python bench/profile_steps.py resnet.nn --net ResNet50 --batch 8 --program train
    python bench/profile_steps.py my.nn --size T=100        other symbols of the inputs

Inputs are random numbers. Each step waits for all threads, so the total is more than an untimed
run's.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import nnc
import numpy as np
from nnrt import _engine
from nnrt.validate import DTYPES

EXAMPLES = Path(__file__).parents[1] / "examples"


def find(name: str) -> Path:
    return Path(name) if Path(name).exists() else EXAMPLES / name


def random_input(item: Any, symbols: dict[str, int], random: np.random.Generator) -> Any:
    """An array for one input: labels and tokens are 0 and 1, which any table has."""
    shape = [_engine.evaluate_dimension(str(dim), symbols) for dim in item["shape"]]
    if item["dtype"] in ("f32", "f64"):
        values = random.random(shape)
    else:
        values = random.integers(0, 2, shape)
    return values.astype(DTYPES[item["dtype"]])


def run(model: Any, program: str, symbols: dict[str, int], runs: int) -> Any:
    random = np.random.default_rng(0)
    items = model.inputs if program == "predict" else model.training["inputs"]
    columns = [random_input(item, symbols, random) for item in items]
    batch = symbols[items[0]["shape"][0]]

    def step() -> None:
        if program == "predict":
            model.engine.call(program, columns)
        else:
            model.engine.loop(program, columns, batch, clock_steps=1000)

    for _ in range(2):
        step()
    model.engine.timed = True
    for _ in range(runs):
        step()
    model.engine.timed = False
    return model.engine.describe(program, symbols)


def print_steps(about: Any, peak: float, most: int) -> None:
    steps = about["steps"]
    total = sum(step["seconds"] for step in steps)
    megabytes = {k: about[f"{k}_bytes"] / 1e6 for k in ("arena", "lower_bound", "prepared")}
    print(
        f"{total * 1e3:.3f} ms a run ({about['timed_runs']} runs), {len(steps)} steps, "
        f"{about['barriers']} barriers, {about['threads']} threads, {about['isa']}, "
        f"peak {peak / 1e9:.0f} GFLOP/s\n"
        f"arena {megabytes['arena']:.2f} MB (lower bound {megabytes['lower_bound']:.2f}), "
        f"kept weights {megabytes['prepared']:.2f} MB\n"
    )
    kinds: dict[str, float] = defaultdict(float)
    for step in steps:
        kinds[f"{step['kernel']}: {step['algorithm']}"] += step["seconds"]
    for kind, seconds in sorted(kinds.items(), key=lambda item: -item[1]):
        print(f"{seconds * 1e3:10.3f} ms {seconds / total:6.1%}  {kind}")
    print()
    shown = {id(step) for step in sorted(steps, key=lambda step: -step["seconds"])[:most]}
    for step in steps:
        if id(step) not in shown:
            continue
        seconds = max(step["seconds"], 1e-12)
        print(
            f"{seconds * 1e3:10.3f} ms {seconds / total:6.1%} {step['flops'] / seconds / 1e9:7.1f} "
            f"GFLOP/s {step['flops'] / seconds / peak:6.1%} {step['bytes'] / seconds / 1e9:6.1f} "
            f"GB/s  {step['path']}  {step['kernel']} ({step['algorithm']}) {step['shape']}"
            + (f"  {step['note']}" if step["note"] else "")
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", help="a .nn file, or the name of an example")
    parser.add_argument("--net")
    parser.add_argument("--program", default="predict", choices=("predict", "evaluate", "train"))
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--size", action="append", default=[], metavar="NAME=NUMBER")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--most", type=int, default=1000, help="print only the slowest steps")
    options = parser.parse_args()
    model = nnc.compile(find(options.file), net=options.net)
    symbols = {model.inputs[0]["shape"][0]: options.batch}
    symbols.update((name, int(size)) for name, size in (s.split("=") for s in options.size))
    about = run(model, options.program, symbols, options.runs)
    peak = _engine.peak_flops(about["isa"]) * about["threads"]
    print_steps(about, peak, options.most)


if __name__ == "__main__":
    main()
